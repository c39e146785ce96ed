"""Writes a video whole or not at all: to a temporary beside its place, read back and counted, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from citygan.errors import CityganError, DataError, MachineError, counted
from citygan.files import guard, new_file
from citygan.videofile.coders import Coder, Encoder, UInt8
from citygan.videofile.reading import probe


class VideoWriter:
    """A video that is being written.

    Attributes:
        frames: Frames written so far.
        size: (width, height) of the pictures, known with the first of them.
        padded: Likewise, of the frames: 4:2:0 wants even sides, and an odd one gets its last row or column twice.
    """

    def __init__(self, path: Path, coder: Coder, fps: Fraction) -> None:
        self.path = path
        self.coder = coder
        self.fps = fps
        self.frames = 0
        self.size: tuple[int, int] | None = None
        self.padded: tuple[int, int] | None = None
        self._encoder: Encoder | None = None

    def write(self, picture: UInt8) -> None:
        """The next frame, uint8 [H, W, 3] RGB.

        Raises:
            DataError: Of another size than the first.
            MachineError: It cannot be written.
        """
        height, width = picture.shape[:2]
        if self._encoder is None:
            self.size, self.padded = (width, height), (width + width % 2, height + height % 2)
            self._encoder = self.coder.open(self.path, self.padded, self.fps)
        if (width, height) != self.size:
            assert self.size is not None
            raise DataError(
                f"frame {self.frames + 1} is of {width}x{height}, those before of {self.size[0]}x{self.size[1]}"
            )
        if (width, height) != self.padded:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._encoder.write(picture)
        self.frames += 1

    def finish(self) -> None:
        """Ends the file and reads it back.

        Raises:
            OSError, MachineError: It is not what was written.
        """
        assert self._encoder is not None
        encoder, self._encoder = self._encoder, None
        try:
            encoder.close()
        except BaseException:
            encoder.stop()
            raise
        try:
            found = probe(self.path)
        except CityganError as problem:
            raise MachineError(f"cannot be read back ({problem.what})") from problem
        if (found.frames, found.size) != (self.frames, self.padded):
            raise MachineError(
                f"{counted(found.frames, 'frame')} of {found.size[0]}x{found.size[1]} can be read back, "
                f"{self.frames} were written"
            )

    def stop(self) -> None:
        """Ends it as it is."""
        if self._encoder is not None:
            self._encoder.stop()


@contextlib.contextmanager
def new_video(path: Path, coder: Coder, fps: Fraction) -> Iterator[VideoWriter]:
    """A video that appears under its name when the block ends well; otherwise nothing is left of it.

    It is read back and counted before that. A block that writes no frame is one that did not end well.

    Raises:
        MachineError: It cannot be written, or what can be read back is not what was written.
    """
    with guard(path), new_file(path) as temporary:
        writer = VideoWriter(temporary, coder, fps)
        try:
            yield writer
            if not writer.frames:
                raise DataError("no frame to write", where=path)
            writer.finish()
        except MachineError as problem:  # said of the place it was meant for
            raise MachineError(
                problem.what, where=path, hint=problem.hint or "Nothing is left of it; is there space enough?"
            ) from problem
        finally:
            writer.stop()
    assert os.path.lexists(path)
