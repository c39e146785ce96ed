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
            photo = np.clip(photo, 0, 255).astype(np.uint8)
            writer.split(split).append(Item(f"{split}{i:03d}", {}, size), label=label, photo=photo)
    return writer.finish({"source": "test", "photo_channels": 3, "classes": TABLES[table].to_dict()})


def city_set(
    path: Path,
    *,
    train: tuple[tuple[int, ...], ...] = ((0, 1, 2), (0, 1)),
    val: int | tuple[tuple[int, ...], ...] = 2,
    size: tuple[int, int] = (32, 32),
    seed: int = 0,
    without: tuple[str, ...] = (),
) -> Path:
    """A prepared set with all arrays, of scenes that the camera passes at two pixels a frame.

    Args:
        train: The numbers of the frames of each sequence.
        val: Likewise; a number: pictures of no sequence.
        without: Arrays that are left out.
    """
    random = np.random.default_rng(seed)
    width, height = size
    writer = SetWriter(path, size=size, plan={})
    alone = isinstance(val, int)
    scenes = [("train", f"s{i}", frames) for i, frames in enumerate(train)]
    scenes += [("val", f"v{i}", frames) for i, frames in enumerate(((0,),) * val if isinstance(val, int) else val)]
    for split, scene, frames in scenes:
        wide = width + 8 * (2 + max(frames) // 4)
        blocks = random.choice(np.array([7, 8, 11, 21, 23, 26], np.uint8), (height // 8, wide // 8))
        label = np.kron(blocks, np.ones((8, 8), np.uint8))
        number = np.kron(np.arange(blocks.size).reshape(blocks.shape), np.ones((8, 8), np.int64))
        instance = np.where(label == 26, 26000 + number, label).astype(np.uint16)
        texture = np.kron(random.integers(-40, 41, (height // 4, wide // 4, 3)), np.ones((4, 4, 1), np.int64))
        graphics = TABLES["cityscapes"].palette[label].astype(np.int64)
        photo = np.clip(graphics + texture, 0, 255).astype(np.uint8)
        for frame in frames:
            here = (slice(None), slice(2 * frame, 2 * frame + width))
            last = frame + 1 not in frames
            flow = np.zeros((height, width, 2), np.float16)
            flow[..., 0] = 0 if last else -2
            occlusion = np.full((height, width), last, np.uint8)
            occlusion[:, :2] = 1
            arrays = {"photo": photo[here], "label": label[here], "source": graphics[here].astype(np.uint8),
                      "instance": instance[here], "flow": flow, "occlusion": occlusion}  # fmt: skip
            place = (None, None) if alone and split == "val" else (scene, frame)
            item = Item(f"{scene}_{frame:02d}", {}, size, *place)
            writer.split(split).append(item, **{name: a for name, a in arrays.items() if name not in without})
    colours = {"photo_channels": 3, "source_channels": None if "source" in without else 3}
    return writer.finish({"source": "test", **colours, "classes": TABLES["cityscapes"].to_dict()})
