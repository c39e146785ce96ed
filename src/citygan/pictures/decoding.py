"""Decodes a picture wholly, or not at all.

The header is looked at before anything is decoded (kind, size, frames), a PNG's check sums are
compared, and then the picture is decoded wholly. OpenCV decodes what it decodes exactly (8- and 16-bit PNG without
palette, JPEG), Pillow the rest. Never by file name: OpenCV's `imread` ends the process on some, fills truncated
pictures with grey, and turns them as EXIF says.

How a picture becomes 8-bit RGB: 16-bit samples are divided by 257 and rounded; 1-, 2- and 4-bit grey is stretched to
0-255; grey is repeated, palettes looked up, CMYK converted as Pillow does; colour profiles are not applied; EXIF
rotation is. An alpha channel must be opaque, unless it is to be dropped; then the colours under it are taken.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFile

from citygan.errors import DataError
from citygan.pictures.headers import Header, PathLike, check_png, open_header, reason

MAX_PIXELS = 64_000_000

Alpha = Literal["refuse", "drop"]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: its header, and its samples [H, W] or [H, W, C] as stored; `palette` [256, 3] for indices."""

    header: Header
    samples: npt.NDArray[Any]
    palette: UInt8 | None = None


def decode(data: bytes, where: PathLike, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a whole picture, after looking at its header.

    Args:
        data: The file's bytes.
        where: Its name, for errors.

    Raises:
        DataError: Not a whole picture of the kinds read, too large, or animated.
    """
    head, image = open_header(io.BytesIO(data), where, max_pixels)
    if head.format == "PNG":
        check_png(data, where)
    if head.format == "JPEG" and head.mode in ("L", "RGB"):
        samples = _opencv(
            data, (cv2.IMREAD_GRAYSCALE if head.mode == "L" else cv2.IMREAD_COLOR_RGB) | cv2.IMREAD_IGNORE_ORIENTATION
        )
    elif head.format == "PNG" and (head.mode, head.bits, head.alpha) == ("RGB", 8, False):
        samples = _opencv(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    elif head.format == "PNG" and head.bits >= 8 and data[25] in (0, 2, 6) and "transparency" not in image.info:
        samples = _opencv(data, cv2.IMREAD_UNCHANGED)
        if samples is not None and samples.ndim == 3:
            code = cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
            samples = cv2.cvtColor(samples, code)
    else:
        return _pillow(head, image, where)
    if samples is None or samples.shape[:2] != (head.height, head.width):
        raise DataError(f"damaged or truncated {head.format}", where=os.fspath(where))
    return Picture(head, samples)


def photo_of(picture: Picture, where: PathLike, *, alpha: Alpha = "refuse") -> UInt8:
    """uint8 [H, W, 3] RGB of a decoded picture, by the rules at the head of this file.

    Raises:
        DataError: It is transparent.
    """
    samples = _to_8_bits(picture)
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        if alpha == "refuse" and int(samples[..., -1].min()) < 255:
            raise DataError(
                "a transparent picture",
                where=os.fspath(where),
                hint="Save it without transparency; prepare --alpha drop takes the colours under it",
            )
        samples = samples[..., :-1]
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.shape[2] == 1:
        samples = np.broadcast_to(samples, (*samples.shape[:2], 3))
    return np.ascontiguousarray(_upright(samples, picture.header.orientation))


def _opencv(data: bytes, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _pillow(head: Header, image: ImageFile.ImageFile, where: PathLike) -> Picture:
    try:
        image.load()
        if head.mode == "P":
            return _palette_picture(head, image)
        if "transparency" in image.info:
            return Picture(head, np.asarray(image.convert("RGBA" if head.mode == "RGB" else "LA")))
        if head.mode not in ("1", "L", "LA", "RGB", "RGBA", "I;16"):  # CMYK
            return Picture(head, np.asarray(image.convert("RGB")))
        samples = np.asarray(image)
    except Exception as problem:  # as in `headers`
        raise DataError(f"damaged or truncated {head.format} ({reason(problem)})", where=os.fspath(where)) from problem
    if samples.dtype == np.bool_:
        return Picture(head, samples.astype(np.uint8))
    if head.format == "PNG" and head.bits in (2, 4):
        samples = samples // np.uint8(255 // (2**head.bits - 1))  # Pillow has stretched them to 0-255
    return Picture(head, samples)


def _palette_picture(head: Header, image: ImageFile.ImageFile) -> Picture:
    if "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        if int(rgba[..., 3].min()) < 255:
            return Picture(head, rgba)
    colours = bytes(image.getpalette("RGB") or [])
    palette = np.frombuffer(colours.ljust(768, b"\0")[:768], np.uint8).reshape(256, 3)
    return Picture(head, np.asarray(image), palette)


def _to_8_bits(picture: Picture) -> UInt8:
    """uint8 [H, W] or [H, W, C], looked up, stretched and rounded."""
    samples, head = picture.samples, picture.header
    if picture.palette is not None:
        looked_up: UInt8 = picture.palette[samples]
        return looked_up
    if samples.dtype == np.uint16:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.ndim == 2 and head.mode == "1":
        return samples * np.uint8(255)
    if samples.ndim == 2 and head.format == "PNG" and head.bits in (2, 4):
        return samples * np.uint8(255 // (2**head.bits - 1))
    return samples


def _upright(samples: UInt8, orientation: int) -> UInt8:
    """[H, W, C] turned and mirrored as EXIF's orientation says: 2 mirror, 3 half turn, …, 6 clockwise, 8 back."""
    if orientation >= 5:
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples
