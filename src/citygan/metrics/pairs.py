"""Pairs of pictures, checked: what every metric is handed.

Letters: N pictures, H rows, W columns, C channels.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.errors import DataError

UInt8 = npt.NDArray[np.uint8]

MAX_THREADS = 8  # NumPy holds the interpreter lock between its loops: more threads wait for each other


def threads() -> int:
    """How many threads to measure on: the cores this process may use, at most 8."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(MAX_THREADS, len(os.sched_getaffinity(0))))
    return max(1, min(MAX_THREADS, os.cpu_count() or 1))


def check_pair(fake: npt.NDArray[Any], real: npt.NDArray[Any], *, smallest: int = 1) -> None:
    """Checks two pictures that are to be compared.

    Args:
        fake, real: uint8 [H, W] or [H, W, C].
        smallest: The least height and width that the metric can take.

    Raises:
        DataError: Another type, another shape, other sizes, or too small.
    """
    for name, picture in (("fake", fake), ("real", real)):
        if picture.dtype != np.uint8:
            raise DataError(
                f"{name}: expected uint8 pictures in 0-255, got {picture.dtype}",
                hint="Scale to 0-255, round and convert first",
            )
        if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3)):
            raise DataError(f"{name}: expected [H, W] or [H, W, 3], got {shape_text(picture)}")
    if fake.shape != real.shape:
        raise DataError(f"pictures of different sizes: fake {shape_text(fake)}, real {shape_text(real)}")
    height, width = fake.shape[:2]
    if height < smallest or width < smallest:
        raise DataError(
            f"a picture of {width}x{height} is smaller than the {smallest}x{smallest} window",
            hint=f"Use pictures of {smallest}x{smallest} or more",
        )


def digest_of(picture: UInt8) -> bytes:
    """sha256 of a picture's shape and pixels."""
    digest = hashlib.sha256(repr(picture.shape).encode("ascii"))
    digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()


def shape_text(array: npt.NDArray[Any]) -> str:
    """The shape for a message: ``[480, 360, 3]``."""
    return "[" + ", ".join(map(str, array.shape)) + "]"
