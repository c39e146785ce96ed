"""Reads videos that users bring, frame by frame. OpenCV decodes; it is handed bytes, never a name or an address."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.files import open_file
from citygan.videofile.coders import ffmpeg
from citygan.videofile.opencv import quiet

UInt8 = npt.NDArray[np.uint8]
FASTEST = 240.0  # frames a second that are still believed
SLOWEST = 0.1
# Beginnings of the containers that are read: a playlist or a list of files would lead elsewhere
_ISO = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_WANTED = "MP4, MOV, WebM, Matroska, AVI and MPEG streams are read"


@dataclass(frozen=True)
class VideoInfo:
    """What is in a video.

    Attributes:
        size: (width, height).
        frames: Frames that can be decoded.
        promised: Frames that its container tells of, where that is more; else `frames`.
        fps: Frames a second as the container says; None where that cannot be.
    """

    size: tuple[int, int]
    frames: int
    promised: int
    fps: float | None


def looks_like_video(head: bytes) -> bool:
    """Whether a file that begins like this is a container that is read; at least 200 bytes, or all there are."""
    return (
        head[4:8] in _ISO
        or head[:4] in (b"\x1a\x45\xdf\xa3", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3")
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:1] == b"\x47" and head[188:189] in (b"", b"\x47"))
    )


def probe(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> VideoInfo:
    """Decodes a whole video once, keeping nothing.

    Raises:
        DataError: Not a video, no frame that can be decoded, frames larger than `max_pixels`.
    """
    with _opened(path) as (capture, iso):
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if max_pixels is not None and width * height > max_pixels:
            raise DataError(f"frames of {width}x{height}, the limit is {max_pixels} pixels", where=os.fspath(path))
        told = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        promised = int(told) if 0 < told < 1e9 else 0
        first, frame = capture.read()
        frames = int(first)
        while first and capture.grab():
            frames += 1
        if not frames:
            of = f", where {promised} are promised" if promised else ""
            raise DataError(f"not one frame of it can be decoded{of}", where=os.fspath(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
    if not iso and promised - frames <= 1:
        promised = frames  # without an index the number is reckoned from the length in seconds
    height, width = frame.shape[:2]
    return VideoInfo((width, height), frames, max(frames, promised), fps if SLOWEST <= fps <= FASTEST else None)


def frames_of(path: str | os.PathLike[str]) -> Iterator[UInt8]:
    """The frames that can be decoded, uint8 [H, W, 3] RGB, one in memory at a time.

    Raises:
        DataError: As `probe`.
    """
    with _opened(path) as (capture, _):
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield np.ascontiguousarray(frame[..., ::-1], np.uint8)


def check_one_size(path: Path) -> None:
    """Sees that a video's frames are all of one size, which OpenCV would quietly enlarge or shrink.

    It takes ffmpeg; without it nothing is seen.

    Raises:
        DataError: They are not; the first other one is named.
    """
    program = ffmpeg()
    if program is None:
        return
    command = [
        *(program, "-nostdin", "-v", "info", "-nostats", "-hide_banner", "-protocol_whitelist", "file"),
        *("-i", f"file:{path}", "-map", "0:v:0", "-vf", "showinfo=checksum=0", "-f", "null", "-"),
    ]
    first: str | None = None
    number = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(rb"Parsed_showinfo.* s:(\d+x\d+) ", line)
            if found is None:
                continue
            number += 1
            size = found[1].decode("ascii")
            first = first or size
            if size != first:
                process.kill()
                raise DataError(
                    f"frame {number} is of {size}, those before of {first}",
                    where=path,
                    hint="Cut it there into two videos, or bring its frames to one size",
                )


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[cv2.VideoCapture, bool]]:
    """A capture, and whether its container has an index that counts the frames."""
    with open_file(path) as file:
        head = file.read(512)
        if not looks_like_video(head):
            what = "an empty file" if not head else "not a video"
            raise DataError(what, where=os.fspath(path), hint=_WANTED)
        iso = head[4:8] in _ISO
        if iso and not _has_index(file):
            raise DataError(
                "not a video that can be read: its index (moov) is missing",
                where=os.fspath(path),
                hint="It was cut off, or its writing was: copy or write it again",
            )
        file.seek(0)
        with quiet():
            try:
                source: Any = file  # OpenCV's types do not tell that Python's files will do
                capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [])
            except cv2.error as problem:
                raise DataError(f"not a video that OpenCV reads ({problem.err})", where=os.fspath(path)) from problem
        try:
            if not capture.isOpened():
                raise DataError("not a video that can be decoded", where=os.fspath(path), hint=_WANTED)
            yield capture, iso
        finally:
            capture.release()


def _has_index(file: BinaryIO) -> bool:
    """Whether one of the boxes of an MP4 is its index."""
    size = file.seek(0, os.SEEK_END)
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind == b"moov":
            return place + length <= size
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        place += length
    return False
