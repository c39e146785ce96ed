"""The only place that decodes pictures which users bring: PNG, JPEG, WebP and BMP, whole or not at all.

`headers` looks before anything is decoded, `decoding` decodes and says how a picture becomes 8-bit RGB, `idmaps` and
`painted` read label maps.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from citygan import files
from citygan.errors import DataError
from citygan.pictures.decoding import MAX_PIXELS, Alpha, Picture, UInt8, decode, photo_of
from citygan.pictures.headers import Header, PathLike, open_header
from citygan.pictures.idmaps import index_of, label_of, second_channel

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Alpha",
    "Header",
    "Picture",
    "decode",
    "encode_picture",
    "encode_png",
    "header",
    "index_of",
    "label_of",
    "photo_of",
    "read_bytes",
    "read_index",
    "read_instances",
    "read_label",
    "read_photo",
    "read_source",
    "second_channel",
]

MAX_BYTES = 1 << 30
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


# reading files


def read_photo(path: PathLike, *, max_pixels: int = MAX_PIXELS, alpha: Alpha = "refuse") -> UInt8:
    """A photo, upright.

    Returns:
        uint8 [H, W, 3] RGB.

    Raises:
        DataError: Not a whole picture of the kinds read, too large, animated, transparent (the reason is named).
    """
    return photo_of(decode(read_bytes(path), path, max_pixels=max_pixels), path, alpha=alpha)


def read_source(path: PathLike, *, max_pixels: int = MAX_PIXELS, alpha: Alpha = "refuse") -> UInt8:
    """A picture that is an input, upright: grey stays one channel.

    Returns:
        uint8 [H, W, 1] or [H, W, 3].

    Raises:
        DataError: As `read_photo`.
    """
    picture = decode(read_bytes(path), path, max_pixels=max_pixels)
    rgb = photo_of(picture, path, alpha=alpha)
    return rgb[..., :1] if picture.header.grey else rgb


def read_index(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """A map of ids, exactly as stored: palette, 1 to 16 bits, or grey saved as RGB.

    Returns:
        uint8 or uint16 [H, W].

    Raises:
        DataError: As `read_photo`; or lossy, rotated by EXIF, or in colours.
    """
    return index_of(decode(read_bytes(path), path, max_pixels=max_pixels), path)


def read_instances(
    path: PathLike, *, within_label: bool, max_pixels: int = MAX_PIXELS
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """The instances of a label map: a map of their own, or the second channel of the label map itself.

    Args:
        within_label: It is the label map (SYNTHIA's 16-bit PNGs).

    Returns:
        uint8 or uint16 [H, W].

    Raises:
        DataError: As `read_index`; or a label map without such a channel.
    """
    picture = decode(read_bytes(path), path, max_pixels=max_pixels)
    return second_channel(picture, path) if within_label else index_of(picture, path)


def read_label(path: PathLike, table: ClassTable, *, max_pixels: int = MAX_PIXELS, alpha: Alpha = "refuse") -> UInt8:
    """A label map by a class table: ids, or the table's colours; which, is recognised.

    Returns:
        uint8 [H, W], ids of the table.

    Raises:
        DataError: As `read_index`; or ids or colours that the table does not have (which, how many, where, and why
            that might be).
    """
    return label_of(decode(read_bytes(path), path, max_pixels=max_pixels), path, table, alpha=alpha)[0]


def read_bytes(path: PathLike) -> bytes:
    """A whole regular file of at most 1 GiB; anything else (FIFO, device, folder) is refused without waiting.

    Raises:
        DataError: It cannot be read.
    """
    try:
        size = os.stat(path).st_size
    except OSError:
        size = 0  # read_bytes tells what is wrong
    if size > MAX_BYTES:
        raise DataError(f"{size / 1e9:.1f} GB are no picture", where=os.fspath(path))
    return files.read_bytes(path)


def header(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Header:
    """The header of a picture file, without reading all of it.

    Raises:
        DataError: Not a picture of the kinds read, too large, or animated.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        files.read_bytes(path)  # tells what is wrong
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        os.close(descriptor)
        read_bytes(path)  # tells what is wrong
    with open(descriptor, "rb") as file:
        return open_header(file, path, max_pixels)[0]


# writing


def encode_png(array: npt.NDArray[Any], *, palette: npt.NDArray[np.uint8] | None = None) -> bytes:
    """A PNG file's bytes; the same for the same array.

    Args:
        array: uint8 [H, W, 3] RGB; uint8 or uint16 [H, W] or [H, W, 1] grey or ids.
        palette: uint8 [K, 3]: the colours in which ids (uint8 [H, W]) are shown; the ids stay what they are.

    Raises:
        ValueError: Another shape or type.
    """
    if palette is None:
        return encode_picture(array, ".png")
    if array.ndim != 2 or array.dtype != np.uint8:
        raise ValueError(f"no map of ids: {array.dtype} {array.shape}")
    image = Image.fromarray(np.ascontiguousarray(array))
    image.putpalette(np.ascontiguousarray(palette, np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def encode_picture(array: npt.NDArray[Any], suffix: str) -> bytes:
    """A picture file's bytes, by the suffix it is going to have; JPEGs with quality 95.

    Args:
        array: uint8 [H, W, 3] RGB; uint8 [H, W] or [H, W, 1] grey; uint16 in PNGs.
        suffix: One of `SUFFIXES`.

    Raises:
        ValueError: Another shape, type or suffix.
    """
    suffix = suffix.lower()
    types = (np.uint8, np.uint16) if suffix == ".png" else (np.uint8,)
    if suffix not in SUFFIXES or array.dtype not in types or array.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"no {suffix} picture: {array.dtype} {array.shape}")
    pixels = array[..., ::-1] if array.shape[2:] == (3,) else array
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in (".jpg", ".jpeg") else []
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise ValueError(f"not encoded: {suffix} {array.dtype} {array.shape}")
    return data.tobytes()
