"""Frames a second of a video: translated, and translated and written, beside writing alone, taken in turn.

    python examples/benchmarks/video.py --size 512x256 --out examples/benchmarks/results/video-cpu.json

`translate` makes pictures of the frames' label maps one by one; `film` is what `citygan video` does with a prepared
sequence (temporal figures aside); `write` encodes, reads back and counts frames that are there already.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import interleaved, peak_memory_mb, record, write

from citygan.data.demo import render
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.filming import Take, film
from citygan.footage import PreparedSequence
from citygan.infer import Translator
from citygan.models import GENERATORS
from citygan.recipes.views import View
from citygan.videofile import coder_for, new_video


def translator(width: int, device: str) -> Translator:
    """A U-Net as it is built: speed does not ask whether it was trained."""
    inputs, outputs = View("label", CITYSCAPES, 3, encoding="colour"), View("photo", None, 3)
    generator = GENERATORS["unet"](in_channels=inputs.channels, width=width)
    where = torch.device(device)
    return Translator(generator.to(where), inputs, outputs, mode="paper", device=where)


def sequence(folder: Path, size: tuple[int, int], count: int) -> PreparedSequence:
    """A street of the demo city, labels alone, so that no temporal figures are computed."""
    writer = SetWriter(folder / "set", size=size, plan={})
    for number, frame in enumerate(render(0, 1, count, size, photo=False)):
        writer.split("test").append(Item(f"{number:04d}", {}, size, "s", number), label=frame.label)
    data = PreparedSet.open(writer.finish({"source": "demo", "classes": CITYSCAPES.to_dict()}))
    part = data.split("test")
    return PreparedSequence(part, "s", part.sequences()["s"])


def measure(size: tuple[int, int], arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One size."""
    city, footage = translator(arguments.width, arguments.device), sequence(folder, size, arguments.frames)
    labels = np.asarray(footage.split.label)
    batch = arguments.batch or city.default_batch
    out = folder / f"out{arguments.suffix}"
    coder = coder_for(out)
    pictures = [city.translate(label) for label in labels]

    def encode() -> None:
        with new_video(out, coder, Fraction(15)) as video:
            for picture in pictures:
                video.write(picture)

    calls: dict[str, Any] = {
        "translate": lambda: list(city.translate_split(footage.split, batch=batch)),
        "film": lambda: film(
            city, footage, out, Take(batch=batch), coder=coder, fps=Fraction(15), failed=print,
            progress=lambda number: None,
        ),
        "write": encode,
    }  # fmt: skip
    times = interleaved(calls, arguments.repeats, 1)
    row: dict[str, Any] = {"size": f"{size[0]}x{size[1]}", "frames": len(labels), "batch": batch, "codec": str(coder)}
    for name, seconds in times.items():
        row[f"{name}_frames_per_s"] = len(labels) / float(np.median(seconds))
        row[f"{name}_raw_s"] = seconds
    print(f"{row['size']}: " + ", ".join(f"{name} {row[f'{name}_frames_per_s']:.2f} frames/s" for name in calls))
    return row


def memory(suffix: str) -> dict[str, float]:
    """Peak memory of fresh processes that write and read back 10 and 10,000 frames."""
    code = (
        "import numpy as np\nfrom fractions import Fraction\nfrom pathlib import Path\nimport tempfile\n"
        "from citygan.videofile import coder_for, new_video\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    out = Path(folder, 'a{suffix}')\n"
        "    with new_video(out, coder_for(out), Fraction(15)) as video:\n"
        "        for i in range({count}): video.write(np.full((64, 128, 3), i % 256, np.uint8))\n"
    )
    return {f"frames_{count}_mb": peak_memory_mb(code.format(suffix=suffix, count=count)) for count in (10, 10_000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", default=["512x256"])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--suffix", default=".mp4", choices=[".mp4", ".webm"])
    parser.add_argument("--memory", action="store_true", help="peak memory of 10 and 10,000 frames, too")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for text in arguments.size:
        width, _, height = text.partition("x")
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure((int(width), int(height)), arguments, Path(folder)))
    results: dict[str, Any] = {"width": arguments.width, "rows": rows, "threads": torch.get_num_threads()}
    if arguments.memory:
        results["memory"] = memory(arguments.suffix)
        print(", ".join(f"{name} {value:.0f}" for name, value in results["memory"].items()))
    if arguments.out:
        write(arguments.out, record(results, arguments.device))


if __name__ == "__main__":
    main()
