"""Mutated pictures: refused or read, but never a crash, a hang or another error than `DataError`.

    python -m tests.fuzz_pictures --count 5000 --seed 0

A small share of it runs with the tests. A crash of the process is its own sign: the seed and count tell where.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from citygan import pictures
from citygan.data.labels import CAMVID11
from citygan.errors import DataError

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (20, 30, 3), np.uint8)
SMOOTH = np.stack(np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48)), -1).mean(-1).astype(np.uint8)
IDS = RNG.integers(0, 12, (20, 30), np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few flipped, lost, doubled or foreign bytes; half of the PNGs get right check sums again."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(changed))
        action = rng.randrange(5)
        if action == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            changed[at] = rng.choice((0, 1, 127, 128, 255))
        elif action == 2:
            del changed[at : at + rng.choice((1, 4, 50))]
        elif action == 3:
            changed[at:at] = changed[at : at + rng.choice((1, 4, 50))]
        else:
            del changed[max(8, at) :]
        if len(changed) < 9:
            break
    return repaired(bytes(changed)) if rng.random() < 0.5 else bytes(changed)


def repaired(data: bytes) -> bytes:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    at, out = 8, data[:8]
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return out + data[at:]


def fuzz_seeds() -> list[bytes]:
    palette = Image.fromarray(IDS)
    palette.putpalette(CAMVID11.palette.tobytes())
    images: list[tuple[Image.Image, str, dict[str, object]]] = [
        (Image.fromarray(PHOTO), "PNG", {}),
        (Image.fromarray(PHOTO), "JPEG", {"exif": exif(6)}),
        (Image.fromarray(PHOTO), "JPEG", {"progressive": True}),
        (Image.fromarray(PHOTO), "WEBP", {}),
        (Image.fromarray(PHOTO), "WEBP", {"lossless": True, "exif": exif(3)}),
        (Image.fromarray(PHOTO), "BMP", {}),
        (palette, "PNG", {"bits": 4}),
        (palette, "BMP", {}),
        (Image.fromarray(IDS.astype(np.uint16)), "PNG", {}),
        (Image.fromarray(np.dstack([PHOTO, PHOTO[..., 0]])), "PNG", {"exif": exif(8)}),
        (Image.fromarray(IDS > 3), "PNG", {}),
    ]
    wide = np.dstack([IDS, IDS, IDS]).astype(np.uint16) * (1, 7, 0)
    of_16_bits = pictures.encode_png(wide.astype(np.uint16))
    return [*(saved(image, kind, **options) for image, kind, options in images), of_16_bits]


def fuzz(count: int, seed: int = 0) -> int:
    """Decodes mutated pictures; returns how many were refused. Anything but a DataError is a failure."""
    rng = random.Random(seed)
    seeds = fuzz_seeds()
    refused = 0
    reads: list[Callable[[pictures.Picture], object]] = [
        lambda p: pictures.photo_of(p, "x"),
        lambda p: pictures.index_of(p, "x"),
        lambda p: pictures.second_channel(p, "x"),
        lambda p: pictures.label_of(p, "x", CAMVID11),
        lambda p: pictures.label_of(p, "x", CAMVID11, painted=True),
    ]
    for number in range(count):
        data = mutate(seeds[number % len(seeds)], rng)
        try:
            picture = pictures.decode(data, "x", max_pixels=1_000_000)
        except DataError:
            refused += 1
            continue
        for read in reads:
            try:
                read(picture)
            except DataError:
                refused += 1
    return refused


def main() -> None:
    """Runs as many as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    refused = fuzz(arguments.count, arguments.seed)
    print(f"{arguments.count} mutated pictures, {refused} refusals, no crash, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
