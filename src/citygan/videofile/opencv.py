"""OpenCV's video classes without their talk: what goes wrong is told by what they return."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import cv2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within the block neither OpenCV nor the libraries under it write to stderr, not even past Python."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first video is opened
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(0)
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nowhere, 2)  # the tag of VP9 in WebM is complained of by a plain fprintf
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        cv2.utils.logging.setLogLevel(level)
