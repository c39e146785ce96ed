"""Small prepared sets for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from citygan.data.labels import TABLES
from citygan.data.store import Item
from citygan.data.writer import SetWriter


def prepared_set(
    path: Path,
    *,
    train: int = 4,
    val: int = 2,
    size: tuple[int, int] = (32, 32),
    seed: int = 0,
    test: int = 0,
    table: str = "cityscapes",
) -> Path:
    """A prepared set of label maps in blocks, and photos painted from them with noise."""
    random = np.random.default_rng(seed)
    ids = np.array([7, 8, 11, 21, 23, 26] if table == "cityscapes" else TABLES[table].ids[:6], np.uint8)
    writer = SetWriter(path, size=size, plan={})
    for split, count in (("train", train), ("val", val), ("test", test)):
        for i in range(count):
            blocks = random.choice(ids, (4, 4))
            label = np.kron(blocks, np.ones((size[1] // 4, size[0] // 4), np.uint8))
            photo = TABLES[table].palette[label].astype(np.int16) + random.integers(-20, 21, (size[1], size[0], 3))
            writer.split(split).append(
                Item(f"{split}{i:03d}", {}, size), label=label, photo=np.clip(photo, 0, 255).astype(np.uint8)
            )
    return writer.finish({"source": "test", "photo_channels": 3, "classes": TABLES[table].to_dict()})
