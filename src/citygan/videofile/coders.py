"""What can encode a video here, tried before it is needed.

H.264 plays in every browser, but OpenCV's wheel has no encoder for it: imageio-ffmpeg (the extra `video`) brings one.
Without it OpenCV writes VP9, which Chrome, Edge and Firefox play in .mp4 and .webm, Safari since 14.1 in .webm.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import MachineError, UsageError
from citygan.files import scratch_file
from citygan.videofile.opencv import quiet

UInt8 = npt.NDArray[np.uint8]
FFMPEG = "imageio-ffmpeg"
OPENCV = "OpenCV"
INSTALL = "pip install 'citygan[video]' brings H.264"

# RGB becomes BT.709 of limited range, and the file says so: an untagged one looks different in every player
COLOURS = (
    *("-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
)


@dataclass(frozen=True)
class Coder:
    """One way to encode a video.

    Attributes:
        codec: H.264 or VP9.
        maker: The library that encodes.
        suffix: Of the files it writes.
        options: ffmpeg's, or
        fourcc: OpenCV's name of the codec.
    """

    codec: str
    maker: str
    suffix: str
    options: tuple[str, ...] = ()
    fourcc: str = ""

    def __str__(self) -> str:
        return f"{self.codec} in {self.suffix} ({self.maker})"

    def open(self, path: Path, size: tuple[int, int], fps: Fraction) -> Encoder:
        """Begins a file; width and height are even.

        Raises:
            MachineError: It cannot.
        """
        if self.maker == FFMPEG:
            return _FFmpeg(self, path, size, fps)
        return _OpenCV(self, path, size, fps)


class Encoder(Protocol):
    """A file that is being encoded."""

    def write(self, frame: UInt8) -> None:
        """uint8 [H, W, 3] RGB, of the size it was opened for."""

    def close(self) -> None:
        """All is in the file now.

        Raises:
            OSError, MachineError: It is not.
        """

    def stop(self) -> None:
        """Ends without more ado; the file is worth nothing."""


CODERS = (
    Coder(
        *("H.264", FFMPEG, ".mp4"),
        options=(
            *("-c:v", "libx264", "-preset", "medium", "-crf", "18", *COLOURS),
            *("-movflags", "+faststart", "-f", "mp4"),  # the index stands first: it plays while it loads
        ),
    ),
    Coder("VP9", OPENCV, ".mp4", fourcc="vp09"),
    Coder(
        *("VP9", FFMPEG, ".webm"),
        options=(
            *("-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-deadline", "good", "-cpu-used", "4", "-row-mt", "1"),
            *(*COLOURS, "-f", "webm"),
        ),
    ),
    Coder("VP9", OPENCV, ".webm", fourcc="VP90"),
)
SUFFIXES = tuple(dict.fromkeys(coder.suffix for coder in CODERS))


def coder_for(path: Path) -> Coder:
    """The best coder for a file that works here, found by encoding one frame beside it.

    Raises:
        UsageError: A suffix that no coder writes.
        MachineError: No coder for it works (those that do are named), or the place may not be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"'{suffix or path.name}' is no video that is written", where=path, hint=f"Take {' or '.join(SUFFIXES)}"
        )
    for coder in CODERS:
        if coder.suffix == suffix and _works(coder, path):
            return coder
    others = [str(coder) for coder in CODERS if coder.suffix != suffix and _works(coder, path)]
    there = f"There are: {', '.join(others)}; " if others else "There are none here: "
    raise MachineError(f"no codec that writes {suffix} here", where=path, hint=there + INSTALL)


def _works(coder: Coder, path: Path) -> bool:
    """Whether a frame of one colour can be encoded.

    Raises:
        UsageError: A name that the coder cannot write.
        MachineError: Nothing at all can be written there.
    """
    with scratch_file(path.with_suffix(coder.suffix)) as trial:
        try:
            encoder = coder.open(trial, (64, 64), Fraction(15))
            encoder.write(np.zeros((64, 64, 3), np.uint8))
            encoder.close()
        except (MachineError, OSError):
            return False
        return trial.stat().st_size > 0


def ffmpeg() -> str | None:
    """The program that imageio-ffmpeg brings or finds; None without it."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


class _FFmpeg:
    """ffmpeg, fed through a pipe; it never sees a name that it could take for anything but a file."""

    def __init__(self, coder: Coder, path: Path, size: tuple[int, int], fps: Fraction) -> None:
        program = ffmpeg()
        if program is None:
            raise MachineError(f"{FFMPEG} is not installed", hint=INSTALL)
        command = [
            *(program, "-v", "error", "-nostats", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-video_size", f"{size[0]}x{size[1]}", "-framerate", f"{fps.numerator}/{fps.denominator}"),
            *("-i", "pipe:0", *coder.options, "-fflags", "+bitexact", "-flags:v", "+bitexact"),
            f"file:{os.fspath(path)}",
        ]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except OSError as problem:
            raise MachineError(f"does not start ({problem.strerror})", where=program, hint=INSTALL) from problem
        self._path = path
        self._said: deque[str] = deque(maxlen=4)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.decode("utf-8", "replace").strip())

    def write(self, frame: UInt8) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data.cast("B"))
        except BrokenPipeError:
            self._end()
            raise MachineError("ffmpeg ended before the video did", where=self._path) from None

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # how it ended tells why
            self._process.stdin.close()
        self._end()

    def _end(self) -> None:
        code = self._process.wait()
        self._listener.join()
        said = " ".join(self._said)
        if code == -signal.SIGXFSZ:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if "No space left" in said or "File too large" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if code:
            raise MachineError(f"ffmpeg failed ({said or f'code {code}'})", where=self._path)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


class _OpenCV:
    """OpenCV's writer, which tells nothing of what goes wrong: its file is counted afterwards."""

    def __init__(self, coder: Coder, path: Path, size: tuple[int, int], fps: Fraction) -> None:
        name = os.fspath(path)
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as problem:
            raise UsageError(
                "OpenCV writes no name that is not UTF-8",
                where=path,
                hint=f"Take another name; {INSTALL}, with any name",
            ) from problem
        with quiet():
            fourcc = cv2.VideoWriter.fourcc(*coder.fourcc)
            self._writer = cv2.VideoWriter(name, cv2.CAP_FFMPEG, fourcc, float(fps), size)
        if not self._writer.isOpened():
            raise MachineError(f"{coder} is not there", hint=INSTALL)

    def write(self, frame: UInt8) -> None:
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()

    stop = close
