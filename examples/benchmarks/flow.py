"""Differentiable flow beside OpenCV's, one pair at a time on the CPU, interleaved in one process; batches on CUDA.

    python examples/benchmarks/flow.py --repeats 30 --out examples/benchmarks/results/flow-cpu.json
    python examples/benchmarks/flow.py --device cuda --repeats 100 --out examples/benchmarks/results/flow-cuda.json

One thread on either side; on the CPU times are CPU time, which other programs disturb less. The script stops where the
flows do not agree. `backward` is forward and backward with gradients in both frames.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from timing import peak_memory_mb, record, write

from citygan.data.demo import render
from citygan.ops.farneback import FarnebackSettings, farneback

SIZE = (512, 256)
SETTINGS = {
    "Gaussian 15": FarnebackSettings(),
    "box 15": FarnebackSettings(gaussian=False),
    "box 9": FarnebackSettings(winsize=9, gaussian=False),
}
MEMORY = """
import torch
from citygan.ops.farneback import farneback
first, second = (torch.rand(1, 1, 256, 512) * 255 for _ in range(2))
"""


def frames() -> tuple[np.ndarray, np.ndarray]:
    """Two frames of the demo city, grey, uint8 [H, W]."""
    first, second = (cv2.cvtColor(frame.photo, cv2.COLOR_RGB2GRAY) for frame in render(0, 3, 2, SIZE))
    return first, second


def opencv(first: np.ndarray, second: np.ndarray, settings: FarnebackSettings) -> np.ndarray:
    """OpenCV's flow, float32 [H, W, 2]."""
    flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN if settings.gaussian else 0
    s = settings
    return cv2.calcOpticalFlowFarneback(
        first, second, np.zeros((*first.shape, 2), np.float32),
        s.pyr_scale, s.levels, s.winsize, s.iterations, s.poly_n, s.poly_sigma, flags,
    )  # fmt: skip


def in_turn(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each call, taken in turn, after two rounds that do not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 2):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if i > 1:
                times[name].append(time.process_time() - start)
    return times


def on_cuda(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call by the device's own clock."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 5):
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            torch.cuda.synchronize()
            if i > 4:
                times[name].append(start.elapsed_time(end) / 1e3)
    return times


def measure(name: str, batch: int, repeats: int, device: str) -> dict[str, Any]:
    """One setting: agreement, then times in turn."""
    settings, pair = SETTINGS[name], frames()
    exact = farneback(*(torch.from_numpy(frame)[None, None].double() for frame in pair), settings)
    apart = np.linalg.norm(exact[0].permute(1, 2, 0).numpy() - opencv(*pair, settings), axis=-1)
    if np.median(apart) > 1e-5:
        sys.exit(f"{name}: the flows differ by {np.median(apart):.0e} px")
    first, second = (torch.from_numpy(f)[None, None].float().repeat(batch, 1, 1, 1).to(device) for f in pair)
    first.requires_grad_()
    second.requires_grad_()

    def forward() -> None:
        with torch.no_grad():
            farneback(first, second, settings)

    def backward() -> None:
        flow = farneback(first, second, settings)
        torch.autograd.grad(flow, (first, second), torch.ones_like(flow))

    ours = {"forward": forward, "backward": backward}
    row: dict[str, Any] = {
        "settings": name,
        "size": f"{SIZE[0]}x{SIZE[1]}",
        "batch": batch,
        "median_difference_px": float(np.median(apart)),
        "largest_difference_px": float(apart.max()),
    }
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        row["raw_s"] = on_cuda(ours, repeats)
        row["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    else:
        row["raw_s"] = in_turn({"opencv": lambda: opencv(*pair, settings), **ours}, repeats)
        theirs = row["raw_s"]["opencv"]
        for part in ours:
            row[f"{part}_ratio"] = statistics.median(a / b for a, b in zip(row["raw_s"][part], theirs, strict=True))
    return row | {f"{part}_s": statistics.median(times) for part, times in row["raw_s"].items()}


def memory() -> dict[str, float]:
    """Peak memory of fresh processes, in MB."""
    with_flow = f"{MEMORY}farneback(first, second.requires_grad_())"
    return {
        "before": peak_memory_mb(MEMORY),
        "forward": peak_memory_mb(f"{MEMORY}with torch.no_grad(): farneback(first, second)"),
        "backward": peak_memory_mb(f"{with_flow}.sum().backward()"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cuda = arguments.device.startswith("cuda")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    for name in SETTINGS:
        for batch in (1, 8) if cuda else (1,):
            row = measure(name, batch, arguments.repeats, arguments.device)
            rows.append(row)
            beside = "" if cuda else f" ({row['forward_ratio']:.2f}x and {row['backward_ratio']:.2f}x of OpenCV's time)"
            ours = f"{1e3 * row['forward_s']:.1f} ms, with backward {1e3 * row['backward_s']:.1f} ms"
            print(f"{name}, batch {batch}: {ours}{beside}")
    results: dict[str, Any] = {"rows": rows}
    if not cuda:
        results["memory"] = memory()
    if arguments.out:
        write(arguments.out, record(results, arguments.device))


if __name__ == "__main__":
    main()
