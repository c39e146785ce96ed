"""What a picture's header says, before anything is decoded: kind, size, frames, and a PNG's check sums."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from citygan.errors import DataError

MAX_SIDE = 65_535

PathLike = str | os.PathLike[str]

_PNG = b"\x89PNG\r\n\x1a\n"
_WANTED = "PNG, JPEG, WebP and BMP are read"


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header says.

    Attributes:
        format: PNG, JPEG, WebP or BMP.
        width, height: As stored, before any EXIF rotation.
        mode: Pillow's name: 1, L, LA, P, RGB, RGBA, CMYK, I;16.
        bits: Bits a sample.
        frames: More than one in animations.
        orientation: EXIF's, 1 = upright.
        lossy: Whether its samples went through lossy compression.
        alpha: Whether it has an alpha channel or a transparent colour.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    frames: int
    orientation: int
    lossy: bool
    alpha: bool

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as seen, after EXIF rotation."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def grey(self) -> bool:
        """Whether it has one channel of light, and not an index into a palette."""
        return self.mode in ("1", "L", "LA", "I;16", "I")

    @property
    def conversion(self) -> str:
        """What has to be done to it to make it an 8-bit RGB photo; empty where nothing is."""
        parts = [
            ("16-bit", self.bits == 16),
            ("grey", self.grey),
            ("palette", self.mode == "P"),
            ("CMYK", self.mode == "CMYK"),
            ("alpha", self.alpha),
            ("EXIF rotation", self.orientation != 1),
        ]
        return ", ".join(name for name, applies in parts if applies)


def open_header(file: BinaryIO, where: PathLike, max_pixels: int) -> tuple[Header, ImageFile.ImageFile]:
    """Recognises a picture by its first bytes and parses its header; nothing is decoded."""
    magic = file.read(64)
    file.seek(0)
    plugin: type[ImageFile.ImageFile]
    if magic[:8] == _PNG:
        kind, plugin = "PNG", PngImagePlugin.PngImageFile
    elif magic[:3] == b"\xff\xd8\xff":
        kind, plugin = "JPEG", JpegImagePlugin.JpegImageFile
    elif magic[:4] == b"RIFF" and magic[8:12] == b"WEBP":
        kind, plugin = "WebP", WebPImagePlugin.WebPImageFile
        _check_size(_webp_size(magic), where, max_pixels)  # before Pillow sets up its decoder for it
    elif magic[:2] == b"BM":
        kind, plugin = "BMP", BmpImagePlugin.BmpImageFile
    else:
        what, hint = _what_is_it(magic, file)
        raise DataError(what, where=os.fspath(where), hint=hint)
    try:
        # The plugin itself, not Image.open: no process-wide pixel limit, no other format tried.
        image = plugin(file)
        width, height = image.size
        frames = int(getattr(image, "n_frames", 1))
        orientation = _orientation(image.info.get("exif"))
        transparency = "transparency" in image.info
    except Exception as problem:  # Pillow raises anything on broken files: SyntaxError, struct.error, OverflowError
        raise DataError(f"not a readable {kind} ({reason(problem)})", where=os.fspath(where)) from problem
    _check_size((width, height), where, max_pixels)
    if frames != 1:
        raise DataError(f"{frames} frames, need 1", where=os.fspath(where), hint="It is animated: save one frame")
    head = Header(
        format=kind,
        width=width,
        height=height,
        mode=image.mode,
        bits=magic[24] if kind == "PNG" else 8,
        frames=frames,
        orientation=orientation,
        lossy=kind == "JPEG" or (kind == "WebP" and not _webp_lossless(file)),
        alpha=transparency or image.mode in ("RGBA", "LA", "PA"),
    )
    return head, image


def _check_size(size: tuple[int, int], where: PathLike, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"the header says {width}x{height} pixels", where=os.fspath(where))
    if width * height > max_pixels:
        raise DataError(
            f"{width}x{height} are {width * height / 1e6:.0f} million pixels (the limit is {max_pixels / 1e6:g})",
            where=os.fspath(where),
            hint="--max-pixels of prepare and translate raises it",
        )
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{width}x{height}: no side may be longer than {MAX_SIDE}", where=os.fspath(where))


def _webp_size(magic: bytes) -> tuple[int, int]:
    """The canvas of a WebP from its first 30 bytes (RFC 9649, 2.5 to 2.7)."""
    kind = magic[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(magic[24:27], "little"), 1 + int.from_bytes(magic[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(magic[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(magic[26:28], "little") & 0x3FFF, int.from_bytes(magic[28:30], "little") & 0x3FFF


def _webp_lossless(file: BinaryIO) -> bool:
    """Whether the picture's own chunk is VP8L: chunks have a name, a length and an even number of bytes."""
    file.seek(12)
    while len(chunk := file.read(8)) == 8:
        if chunk[:4] in (b"VP8L", b"VP8 "):
            return chunk[:4] == b"VP8L"
        length = int.from_bytes(chunk[4:], "little")
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _orientation(exif: object) -> int:
    """EXIF's orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    if not isinstance(exif, bytes):
        return 1
    try:
        block = Image.Exif()
        block.load(exif)
        value = block.get(0x0112, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the picture, and Pillow raises anything
        return 1
    return value if type(value) is int and 1 <= value <= 8 else 1


def _what_is_it(magic: bytes, file: BinaryIO) -> tuple[str, str | None]:
    """What a file is that is no picture of the kinds read, and a hint."""
    if not magic:
        return "zero bytes", None
    if magic[:4] == b"GIF8":
        return _gif_frames(file), _WANTED
    if magic.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the picture", "git lfs pull fetches it"
    known = {
        b"II*\x00": "a TIFF",
        b"MM\x00*": "a TIFF",
        b"%PDF": "a PDF",
        b"PK\x03\x04": "a zip archive",
        b"\x93NUM": "a NumPy array",
    }
    for prefix, name in known.items():
        if magic.startswith(prefix):
            return name, _WANTED
    if magic[4:8] == b"ftyp":
        return "a video, HEIC or AVIF", _WANTED
    text = magic.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "a web page or XML, not a picture", None
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in magic):
        return "text, not a picture", None
    if not magic.strip(b"\0"):
        return "nothing but zeros, not a picture", None
    return "not a picture that is known", _WANTED


def _gif_frames(file: BinaryIO) -> str:
    from PIL import GifImagePlugin

    try:
        frames = GifImagePlugin.GifImageFile(file).n_frames
    except Exception:  # as for every other format
        frames = 1
    return f"an animated GIF: {frames} frames, need 1" if frames > 1 else "a GIF"


def check_png(data: bytes, where: PathLike) -> None:
    """Walks through the chunks: all there, every check sum right. Decoders look at some of that only."""
    at = len(_PNG)
    while True:
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            raise DataError("truncated PNG", where=os.fspath(where))
        name = data[at + 4 : at + 8]
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DataError(f"damaged PNG (CRC of {name!r} is wrong)", where=os.fspath(where))
        if name == b"IEND":
            return
        at = end


def reason(problem: Exception) -> str:
    """A decoder's own words in short."""
    return " ".join(str(problem).split())[:100] or type(problem).__name__
