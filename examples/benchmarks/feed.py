"""Feeding: a batch of jittered pairs ready on the device, ours out of a prepared set beside a loader of files.

    python examples/benchmarks/feed.py --batch 1 4 --out examples/benchmarks/results/feed-cpu.json

The other loader does what the public pix2pix does for every picture of every epoch, with the libraries it uses: opens
the side-by-side JPEG with Pillow, enlarges both halves to 286x286 (bicubic), crops, mirrors, turns them into tensors.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import compare, interleaved, record, write
from torchvision import transforms
from torchvision.transforms import functional as tf

from citygan.data.batches import Feed
from citygan.data.demo import render
from citygan.data.labels import TABLES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter

SIZE, ENLARGED = 256, 286


class FileLoader:
    """Side-by-side JPEGs, decoded and transformed anew each time."""

    def __init__(self, files: list[Path], batch: int) -> None:
        self.files = files
        self.batch = batch
        self.normalise = transforms.Normalize((0.5,) * 3, (0.5,) * 3)
        self.done = 0

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [self._pair(self.files[(self.done + i) % len(self.files)]) for i in range(self.batch)]
        self.done += self.batch
        a, b = zip(*pairs, strict=True)
        return torch.stack(a), torch.stack(b)

    def _pair(self, file: Path) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(file) as opened:
            both = opened.convert("RGB")
        top, left, mirrored = random.randint(0, 30), random.randint(0, 30), random.random() > 0.5
        halves = []
        for x in (0, SIZE):
            half = both.crop((x, 0, x + SIZE, SIZE)).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC)
            half = half.crop((left, top, left + SIZE, top + SIZE))
            if mirrored:
                half = half.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            halves.append(self.normalise(tf.to_tensor(half)))
        return halves[0], halves[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    palette = TABLES["cityscapes"].palette
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = SetWriter(folder / "set", size=(SIZE, SIZE), plan={})
        files = []
        for scene in range(arguments.pictures):
            frame = next(iter(render(0, scene, 1, (SIZE, SIZE))))
            writer.split("train").append(Item(f"{scene:03d}", {}, (SIZE, SIZE)), photo=frame.photo, label=frame.label)
            files.append(folder / f"{scene:03d}.jpg")
            buffer = io.BytesIO()
            Image.fromarray(np.hstack([frame.photo, palette[frame.label]])).save(buffer, "JPEG", quality=95)
            files[-1].write_bytes(buffer.getvalue())
        data = PreparedSet.open(
            writer.finish({"source": "demo", "photo_channels": 3, "classes": TABLES["cityscapes"].to_dict()})
        )
        for batch in arguments.batch:
            feed = Feed(
                data.split("train"),
                arrays=["photo", "label"],
                batch=batch,
                jitter=ENLARGED / SIZE,
                mirror=True,
                seed=0,
                device=torch.device("cpu"),
            )
            steps = iter(range(10**9))
            loader = FileLoader(files, batch)
            times = interleaved({"ours": lambda: feed(next(steps)), "files": loader}, arguments.repeats)  # noqa: B023
            row = {"batch": batch, **compare(times, "ours", "files")}
            rows.append(row)
            print(f"batch {batch}: {row['speedup']:.1f}x, {batch / row['ours_median_s']:.0f} pictures/s")
    if arguments.out:
        write(arguments.out, record({"rows": rows}))


if __name__ == "__main__":
    main()
