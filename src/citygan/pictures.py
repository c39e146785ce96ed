"""The only place that decodes pictures which users bring: PNG, JPEG, WebP and BMP, whole or not at all.

The bytes are read, the header is looked at before anything is decoded (kind, size, frames), a PNG's check sums are
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
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from citygan import files
from citygan.errors import DataError
from citygan.headers import Header, PathLike, check_png, open_header, reason
from citygan.painted import UnknownValuesError, colours_to_ids, nearest_colours_to_ids, unknown_values

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable

MAX_PIXELS = 64_000_000
MAX_BYTES = 1 << 30
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

Alpha = Literal["refuse", "drop"]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: its header, and its samples [H, W] or [H, W, C] as stored; `palette` [256, 3] for indices."""

    header: Header
    samples: npt.NDArray[Any]
    palette: UInt8 | None = None


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


# decoding


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
                "transparent", where=os.fspath(where), hint="--alpha drop takes the colours under the transparency"
            )
        samples = samples[..., :-1]
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.shape[2] == 1:
        samples = np.broadcast_to(samples, (*samples.shape[:2], 3))
    return np.ascontiguousarray(_upright(samples, picture.header.orientation))


def index_of(picture: Picture, where: PathLike) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """[H, W] ids of a decoded picture.

    Raises:
        DataError: Lossy, rotated by EXIF, or in colours.
    """
    _check_exact(picture.header, where)
    samples = _without_opaque_alpha(picture, where, "refuse")
    if samples.ndim == 3:
        grey = _equal_channels(samples)
        if grey is None:
            raise DataError("a map of ids is needed, this one is in colours", where=os.fspath(where))
        samples = grey
    return np.ascontiguousarray(samples)


def label_of(
    picture: Picture, where: PathLike, table: ClassTable, *, alpha: Alpha = "refuse", painted: bool = False
) -> tuple[UInt8, str]:
    """uint8 [H, W] ids of the table, and which kind of label map it was: ``ids``, ``colours`` or ``nearest colours``.

    A palette PNG whose colours are all the table's, but stand at other indices, is taken by its colours.

    Args:
        painted: It is the painted side of a pair: colours that are not exact go by the nearest one.

    Raises:
        DataError: As `read_label`.
    """
    if painted and picture.header.lossy:
        return _nearest(photo_of(picture, where, alpha=alpha), where, table), "nearest colours"
    _check_exact(picture.header, where)
    samples = _without_opaque_alpha(picture, where, alpha)
    if picture.palette is not None and _palette_by_colour(samples, picture.palette, table):
        samples = picture.palette[samples]
    if samples.ndim == 2:
        return _known_ids(samples, where, table), "ids"
    if samples.dtype != np.uint8:
        raise DataError("16-bit colours are no label map", where=os.fspath(where))
    try:
        return colours_to_ids(samples, table), "colours"
    except UnknownValuesError as problem:
        grey = _equal_channels(samples)  # ids saved as RGB
        if grey is not None:
            return _known_ids(grey, where, table), "ids"
        if painted:
            return _nearest(samples, where, table), "nearest colours"
        raise _colour_error(problem, where, table) from problem


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


# samples


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


def _check_exact(head: Header, where: PathLike) -> None:
    if head.lossy:
        raise DataError(
            f"a lossy {head.format} as a label map",
            where=os.fspath(where),
            hint="Lossy compression invents ids: export the labels as PNG",
        )
    if head.orientation != 1:
        raise DataError(
            "a label map with an EXIF rotation",
            where=os.fspath(where),
            hint="Save it upright, without the EXIF block",
        )


def _without_opaque_alpha(picture: Picture, where: PathLike, alpha: Alpha) -> npt.NDArray[Any]:
    samples = picture.samples
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        if alpha == "refuse" and (samples[..., -1] != np.iinfo(samples.dtype).max).any():
            raise DataError("a transparent label map", where=os.fspath(where), hint="Save it without transparency")
        samples = samples[..., 0] if samples.shape[2] == 2 else samples[..., :3]
    return samples


def _equal_channels(samples: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The one channel of a grey picture saved as RGB, or None."""
    first = samples[..., 0]
    if all(np.array_equal(first, samples[..., c]) for c in range(1, samples.shape[2])):
        return first
    return None


def _palette_by_colour(samples: npt.NDArray[Any], palette: UInt8, table: ClassTable) -> bool:
    """Whether a palette PNG's used colours are the table's, while its indices are not the ids of those colours."""
    used = np.flatnonzero(np.bincount(samples.reshape(-1), minlength=256))
    colours = [tuple(colour) for colour in palette[used].tolist()]
    if not all(colour in table.colour_ids for colour in colours):
        return False
    return not all(table.known[i] and tuple(table.palette[i].tolist()) == c for i, c in zip(used, colours, strict=True))


def _known_ids(samples: npt.NDArray[Any], where: PathLike, table: ClassTable) -> UInt8:
    low = samples if samples.dtype == np.uint8 else np.minimum(samples, 255).astype(np.uint8)
    known = np.asarray(cv2.LUT(low, table.known.astype(np.uint8)), np.bool_)  # NumPy's look-up takes ten times as long
    if samples.dtype != np.uint8:
        known &= samples <= 255
    if not known.all():
        unknown = ~known
        problem = unknown_values(samples, unknown, colours=False)
        raise DataError(
            f"ids that the class table {table.name} does not have: {problem}",
            where=os.fspath(where),
            hint=table.likely_cause(int(v) for v in np.unique(samples)) or None,
        )
    return np.ascontiguousarray(low)


def _nearest(rgb: UInt8, where: PathLike, table: ClassTable) -> UInt8:
    try:
        return nearest_colours_to_ids(rgb, table)[0]
    except UnknownValuesError as problem:
        raise _colour_error(problem, where, table) from problem


def _colour_error(problem: UnknownValuesError, where: PathLike, table: ClassTable) -> DataError:
    return DataError(
        f"colours that the class table {table.name} does not have: {problem} ({problem.share:.1%} of the pixels)",
        where=os.fspath(where),
        hint=table.likely_cause_of_colours(problem.counts),
    )
