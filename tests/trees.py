"""Small data sets as they lie on disks, for tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from citygan.data.labels import CAMVID32, CITYSCAPES, GTA5, SYNTHIA, SYNTHIA_SEQS, ClassTable
from citygan.pictures import encode_picture, encode_png

SHARED = Path(__file__).parents[2] / "shared/data"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def photo(seed: int, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """A smooth random picture, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


def ids(seed: int, table: ClassTable = CITYSCAPES, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """Random blocks of ids, uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(np.array(table.ids, np.uint8), (size[1] // 8, size[0] // 8))
    return np.kron(chosen, np.ones((8, 8), np.uint8))


def photo_file(path: Path, seed: int, size: tuple[int, int] = (48, 32)) -> Path:
    return put(path, encode_picture(photo(seed, size), path.suffix))


def label_file(path: Path, seed: int, table: ClassTable = CITYSCAPES, size: tuple[int, int] = (48, 32)) -> Path:
    return put(path, encode_png(ids(seed, table, size)))


def painted_file(path: Path, seed: int, table: ClassTable = CITYSCAPES) -> Path:
    return put(path, encode_png(table.palette[ids(seed, table)]))


def cityscapes(
    root: Path,
    *,
    train: int = 3,
    val: int = 2,
    test: int = 0,
    photos: bool = True,
    labels: bool = True,
    cities: Sequence[str] = ("aachen",),
) -> Path:
    """With the pictures of train taken from `cities` in turn; the labels of test say nothing, as the real ones."""
    for split, count, places in (("train", train, cities), ("val", val, ["frankfurt"]), ("test", test, ["berlin"])):
        for i in range(count):
            city = places[i % len(places)]
            stem = f"{split}/{city}/{city}_{i:06d}_000019"
            if photos:
                photo_file(root / f"leftImg8bit/{stem}_leftImg8bit.png", i)
            if labels:
                label = ids(i) if split != "test" else np.zeros_like(ids(i))
                put(root / f"gtFine/{stem}_gtFine_labelIds.png", encode_png(label))
                put(root / f"gtFine/{stem}_gtFine_color.png", encode_png(CITYSCAPES.palette[label]))
                things = np.where(label >= 24, label.astype(np.uint16) * 1000 + 3, label)
                put(root / f"gtFine/{stem}_gtFine_instanceIds.png", encode_png(things.astype(np.uint16)))
                put(root / f"gtFine/{stem}_gtFine_polygons.json", b"{}")
    return root


def camvid(root: Path, table: ClassTable, *, train: int = 4, val: int = 3) -> Path:
    for split, count, step in (("train", train, 30), ("val", val, 2)):
        for i in range(count):
            photo_file(root / f"{split}/0001TP_{6690 + step * i:06d}.png", i)
            label_file(root / f"{split}annot/0001TP_{6690 + step * i:06d}.png", i, table)
    return root


def camvid32(root: Path, count: int = 20) -> Path:
    for i in range(count):
        photo_file(root / f"701_StillsRaw_full/0006R0_{i * 30:05d}.png", i)
        painted_file(root / f"LabeledApproved_full/0006R0_{i * 30:05d}_L.png", i, CAMVID32)
    return root


def pairs(root: Path, *, count: int = 3, kind: str = ".jpg", subsampling: int = 0, grey: bool = False) -> Path:
    for split in ("train", "val"):
        for i in range(count):
            seed = i + (100 if split == "val" else 0)
            left = CITYSCAPES.palette[ids(seed, size=(64, 64))]
            both = np.concatenate([left, photo(seed, (64, 64))], 1)
            image = Image.fromarray(both[..., 0] if grey else both)
            file = io.BytesIO()
            if kind == ".jpg":
                image.save(file, "JPEG", quality=95, subsampling=subsampling)
            else:
                image.save(file, "PNG")
            put(root / split / f"{i + 1}{kind}", file.getvalue())
    return root


def pix2pixhd(root: Path) -> Path:
    for split, count in (("train", 3), ("test", 2)):
        for i in range(count):
            stem = f"aachen_{i:06d}_000019"
            label = ids(i)
            put(root / f"{split}_label/{stem}_gtFine_labelIds.png", encode_png(label))
            put(root / f"{split}_inst/{stem}_gtFine_instanceIds.png", encode_png(label.astype(np.uint16)))
            if split == "train":
                photo_file(root / f"{split}_img/{stem}_leftImg8bit.png", i)
    return root


def folders(
    root: Path, count: int = 4, *, labels: str = "labels", photos: str = "photos", suffix: str = ".jpg"
) -> Path:
    for i in range(count):
        label_file(root / labels / f"{i}.png", i)
        photo_file(root / photos / f"{i}{suffix}", i)
    return root


def channels_file(path: Path, label: np.ndarray, instance: np.ndarray) -> Path:
    """A 16-bit PNG of three channels as SYNTHIA has them: classes, instances, nothing. OpenCV takes them backwards."""
    backwards = np.dstack([np.zeros_like(label), instance, label]).astype(np.uint16)
    done, data = cv2.imencode(".png", backwards)
    assert done
    return put(path, data.tobytes())


def numbers(label: np.ndarray, seed: int, things: Sequence[int] = (8, 10, 11)) -> np.ndarray:
    """Instances as SYNTHIA numbers them, above 255 too: of things alone, uint16 [H, W]."""
    drawn = np.random.default_rng(seed + 1000).integers(1, 600, (label.shape[0] // 8, label.shape[1] // 8))
    return np.where(np.isin(label, things), np.kron(drawn, np.ones((8, 8), int)), 0).astype(np.uint16)


def synthia(root: Path, count: int = 4) -> Path:
    for i in range(count):
        label = ids(i, SYNTHIA)
        photo_file(root / f"RGB/{i:07d}.png", i)
        channels_file(root / f"GT/LABELS/{i:07d}.png", label, numbers(label, i))
        put(root / f"GT/COLOR/{i:07d}.png", encode_png(SYNTHIA.palette[label]))
        put(root / f"Depth/{i:07d}.png", encode_png(np.full((32, 48), 500 + i, np.uint16)))
    return root


SEQS = ("SYNTHIA-SEQS-02-FALL", "SYNTHIA-SEQS-04-SUMMER")
CAMERAS = ("Stereo_Left/Omni_B", "Stereo_Left/Omni_F", "Stereo_Right/Omni_F")


def synthia_seqs(
    root: Path, drives: Sequence[str] = SEQS, cameras: Sequence[str] = CAMERAS, frames: Sequence[int] = (0, 1, 2, 3)
) -> Path:
    """Drives of several cameras; '' as the only drive puts it right into `root`."""
    for d, drive in enumerate(drives):
        for c, camera in enumerate(cameras):
            for frame in frames:
                seed = 100 * d + 10 * c + frame
                label = ids(seed, SYNTHIA_SEQS)
                folder, name = root / drive, f"{camera}/{frame:06d}.png"
                photo_file(folder / "RGB" / name, seed)
                channels_file(folder / "GT/LABELS" / name, label, numbers(label, seed))
                put(folder / "GT/COLOR" / name, encode_png(SYNTHIA_SEQS.palette[label]))
                put(folder / "Depth" / name, encode_png(np.full((32, 48), 500, np.uint16)))
    return root


def gta5(root: Path, count: int = 4, *, painted: bool = False, size: tuple[int, int] = (48, 32)) -> Path:
    for i in range(1, count + 1):
        label = ids(i, GTA5, size)
        photo_file(root / f"images/{i:05d}.png", i, size)
        data = encode_png(GTA5.palette[label]) if painted else encode_png(label, palette=GTA5.palette)
        put(root / f"labels/{i:05d}.png", data)
    return root


def tree_hashes(root: Path) -> dict[str, str]:
    """sha256 of every file under a folder."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()
    }
