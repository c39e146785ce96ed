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
    frames: bool = False,
) -> Path:
    """A prepared set of label maps in blocks, and photos painted from them with noise.

    Args:
        frames: Two and two are neighbouring frames, the second a pixel further to the left; with instance maps,
            graphics renderings, flow and occlusion.
    """
    random = np.random.default_rng(seed)
    ids = np.array([7, 8, 11, 21, 23, 26] if table == "cityscapes" else TABLES[table].ids[:6], np.uint8)
    writer = SetWriter(path, size=size, plan={})
    for split, count in (("train", train), ("val", val), ("test", test)):
        for i in range(count):
            if not (frames and i % 2):
                blocks = random.choice(ids, (4, 4))
                label = np.kron(blocks, np.ones((size[1] // 4, size[0] // 4), np.uint8))
                photo = TABLES[table].palette[label].astype(np.int16) + random.integers(-20, 21, (size[1], size[0], 3))
                arrays = {"label": label, "photo": np.clip(photo, 0, 255).astype(np.uint8)}
                if frames:
                    parts = np.arange(1, 17, dtype=np.uint16).reshape(4, 4)
                    arrays["instance"] = np.kron(parts, np.ones((size[1] // 4, size[0] // 4), np.uint16))
                    arrays["source"] = TABLES[table].palette[label]
                    moved = np.zeros((size[1], size[0], 2), np.float16)
                    moved[..., 0] = -1
                    arrays |= {"flow": moved, "occlusion": np.zeros((size[1], size[0]), np.uint8)}
            else:
                still = ("flow", "occlusion")
                arrays = {kind: x if kind in still else np.roll(x, -1, axis=1) for kind, x in arrays.items()}
            place = (f"scene{i // 2}", i % 2) if frames else ()
            writer.split(split).append(Item(f"{split}{i:03d}", {}, size, *place), **arrays)
    about = {"source_channels": 3} if frames else {}
    return writer.finish({"source": "test", "photo_channels": 3, "classes": TABLES[table].to_dict(), **about})
