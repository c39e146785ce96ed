"""SSIM of a set of pictures, ours beside a loop over scikit-image's, interleaved in one process.

    python examples/benchmarks/ssim.py --repeats 10 --out examples/benchmarks/results/ssim-cpu.json

`metric` is the function on arrays; `evaluate` is all that `citygan evaluate --metric ssim` does with decoded pictures
(checks, checksums of the pixels, mean and deviation). On the CPU the figures agree to 1e-8, with `--device cuda` (both
pictures there already) to 1e-5; the script stops where they do not.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage.metrics import structural_similarity
from timing import compare, interleaved, peak_memory_mb, record, write

import citygan
from citygan.metrics import ssim
from citygan.metrics.pairs import threads

SIZES = ((256, 256), (512, 256))


def pictures(count: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Blurred noise, and the same with noise on top, uint8 [N, H, W, 3]."""
    random = np.random.default_rng(0)
    real, fake = (np.empty((count, size[1], size[0], 3), np.uint8) for _ in range(2))
    for i in range(count):  # one at a time: the peak memory shall be the metric's
        real[i] = cv2.GaussianBlur(random.integers(0, 256, real.shape[1:], np.uint8), (0, 0), 3)
        fake[i] = np.clip(real[i] + random.normal(0, 15, real.shape[1:]), 0, 255)
    return fake, real


def skimage_loop(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """What people write."""
    return np.array(
        [
            structural_similarity(x, y, data_range=255, win_size=7, channel_axis=2)
            for x, y in zip(fake, real, strict=True)
        ]
    )


def measure(size: tuple[int, int], count: int, repeats: int, device: str) -> dict[str, Any]:
    """One size: agreement, then times in turn."""
    fake, real = pictures(count, size)
    calls: dict[str, Any] = {"skimage": lambda: skimage_loop(fake, real)}
    synchronise = None
    if device == "cpu":
        difference = float(np.abs(ssim(fake, real) - skimage_loop(fake, real)).max())
        calls |= {
            "metric": lambda: ssim(fake, real),
            "evaluate": lambda: citygan.evaluate(fake, real, metrics=["ssim"]),
        }
    else:
        import torch

        from citygan.metrics import tensors

        x, y = (torch.from_numpy(z).permute(0, 3, 1, 2).contiguous().to(device) for z in (fake, real))
        difference = float(np.abs(tensors.ssim(x, y).cpu().numpy() - skimage_loop(fake, real)).max())
        calls["metric"] = lambda: tensors.ssim(x, y)
        synchronise = torch.cuda.synchronize
    limit = 1e-8 if device == "cpu" else 1e-5
    if difference > limit:
        raise SystemExit(f"SSIM differs from scikit-image's by {difference:g}, more than {limit:g}")
    times = interleaved(calls, repeats, 1, synchronise)
    row: dict[str, Any] = {"size": f"{size[0]}x{size[1]}", "pictures": count, "largest_difference": difference}
    for name in calls:
        if name != "skimage":
            row[name] = compare(times, name, "skimage")
            row[name]["ours_ms_a_picture"] = 1e3 * row[name]["ours_median_s"] / count
            row[name]["theirs_ms_a_picture"] = 1e3 * row[name]["theirs_median_s"] / count
            print(
                f"{row['size']} {name}: {row[name]['ours_ms_a_picture']:.2f} ms a picture, scikit-image "
                f"{row[name]['theirs_ms_a_picture']:.2f}: {row[name]['speedup']:.1f}x, difference {difference:.1e}"
            )
    return row


def memory() -> dict[str, float]:
    """Peak memory of fresh processes: ours and scikit-image's on the same pictures, and ours on a stream of many."""
    here = str(Path(__file__).resolve().parent)
    start = f"import sys; sys.path.insert(0, {here!r})\nimport ssim as benchmark, citygan\n"
    arrays = "fake, real = benchmark.pictures(16, (512, 256))\n"
    stream = (
        "fake, real = benchmark.pictures(2, (512, 256))\n"
        "def some(pictures): return (pictures[i % 2] for i in range({count}))\n"
        "citygan.evaluate(some(fake), some(real), metrics=['ssim'])"
    )
    found = {
        "ours_mb": peak_memory_mb(f"{start}{arrays}benchmark.ssim(fake, real)"),
        "skimage_mb": peak_memory_mb(f"{start}{arrays}benchmark.skimage_loop(fake, real)"),
        "stream_of_10_mb": peak_memory_mb(start + stream.format(count=10)),
        "stream_of_1000_mb": peak_memory_mb(start + stream.format(count=1000)),
    }
    print("peak memory: " + ", ".join(f"{name} {value:.0f}" for name, value in found.items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    # once a large array was freed, the C library keeps memory instead of asking for fresh pages each time;
    # scikit-image, which allocates much, then runs twice as fast: it shall have its best
    np.empty(30_000_000, np.uint8).fill(0)
    rows = [measure(size, arguments.pictures, arguments.repeats, arguments.device) for size in SIZES]
    results: dict[str, Any] = {"rows": rows, "threads": threads()}
    if arguments.device == "cpu":
        results["memory"] = memory()
    if arguments.out:
        write(arguments.out, record(results, arguments.device))


if __name__ == "__main__":
    main()
