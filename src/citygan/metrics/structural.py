"""Structural similarity (Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity").

Equal to scikit-image's `structural_similarity` with `data_range=255, win_size=7, channel_axis=2`: a uniform window of
7x7, covariances divided by 48, each channel by itself and averaged, the border of 3 left out of the mean.

All up to the last division is exact, in integers. With u = x + y, v = x - y, their sums U, V over the window of 49
pixels and the sums P, Q of their squares,

    SSIM = (U^2 - V^2 + c1) (49 P - U^2 - (49 Q - V^2) + c2) / ((U^2 + V^2 + c1) (49 P - U^2 + 49 Q - V^2 + c2))

which needs four sums over windows instead of five, and stays below 2^31. A sum over seven neighbours takes four
additions by doubling (1, 2, 4, 4 + 2 + 1) on the flat array, where the next pixel and the next row are shifts.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.metrics.pairs import UInt8, check_pair

Float64 = npt.NDArray[np.float64]

WINDOW = 7
DATA_RANGE = 255
K1, K2 = 0.01, 0.03
AREA = WINDOW * WINDOW

# the constants of the formula above: SSIM's (K L)^2, times the squares of what the sums were not divided by
C1 = 2 * AREA**2 * (K1 * DATA_RANGE) ** 2
C2 = 2 * AREA * (AREA - 1) * (K2 * DATA_RANGE) ** 2

_BLOCK = 150_000  # numbers worked on at a time: they stay in the cache, and the lock is rarely taken
_LEAST_ROWS = 16  # of a block, the WINDOW - 1 that it shares with the next one not counted

_local = threading.local()


def picture_ssim(fake: UInt8, real: UInt8) -> float:
    """Structural similarity of one pair, [H, W] or [H, W, C]."""
    check_pair(fake, real, smallest=WINDOW)
    height, width = fake.shape[:2]
    channels = fake.size // (height * width)
    row = width * channels
    x, y = np.ascontiguousarray(fake).reshape(-1), np.ascontiguousarray(real).reshape(-1)
    inner = WINDOW - 1
    rows = min(height - inner, max(_LEAST_ROWS, _BLOCK // row - inner))
    room = _room((rows + inner) * row)
    total = 0.0
    for first in range(0, height - inner, rows):
        count = min(rows, height - inner - first)
        part = slice(first * row, (first + count + inner) * row)
        values = _block(x[part], y[part], row, channels, room)
        total += float(values.reshape(count, width, channels)[:, : width - inner].sum())
    return total / ((height - inner) * (width - inner) * channels)


def _block(x: UInt8, y: UInt8, row: int, step: int, room: _Room) -> Float64:
    """SSIM at every window of some rows, flat; the last 6 windows of a row mix its end with the next row's start."""
    a, b, c, d = (buffer[: x.size] for buffer in room.short)
    u = np.add(x, y, out=a, dtype=np.int16)
    v = np.subtract(x, y, out=b, dtype=np.int16)
    e, f, g, h, i, j = (buffer[: x.size] for buffer in room.long)
    p = np.multiply(u, u, out=e, dtype=np.int32)
    q = np.multiply(v, v, out=f, dtype=np.int32)
    # each sum comes to lie in the first spare buffer, and leaves its own place as the next one's spare
    big_u = _window_sums(u, c, d, row, step)
    big_v = _window_sums(v, a, d, row, step)
    big_p = _window_sums(p, g, h, row, step)
    big_q = _window_sums(q, e, h, row, step)
    size = big_u.size
    u2 = np.multiply(big_u, big_u, out=i[:size], dtype=np.int32)
    v2 = np.multiply(big_v, big_v, out=j[:size], dtype=np.int32)
    big_p *= AREA
    big_q *= AREA
    big_p -= u2
    big_q -= v2
    spare = h[:size]
    values, below, factor = (buffer[:size] for buffer in room.real)
    np.add(np.subtract(u2, v2, out=spare), C1, out=values)
    values *= np.add(np.subtract(big_p, big_q, out=spare), C2, out=factor)
    np.add(np.add(u2, v2, out=spare), C1, out=below)
    below *= np.add(np.add(big_p, big_q, out=spare), C2, out=factor)
    values /= below
    whole = room.real[0][: x.size - (WINDOW - 1) * row]
    whole[size:] = 0.0  # past the last window
    return whole


def _window_sums(
    values: npt.NDArray[Any], one: npt.NDArray[Any], other: npt.NDArray[Any], row: int, step: int
) -> npt.NDArray[Any]:
    """Sums over 7 rows and 7 columns, at the place of each window's first pixel; all three arrays are overwritten.

    Returns:
        The sums, in the memory of `one`.
    """
    columns = _seven(values, one, other, row)  # lies in `other`
    return _seven(columns, values, one, step)


def _seven(values: npt.NDArray[Any], two: npt.NDArray[Any], four: npt.NDArray[Any], shift: int) -> npt.NDArray[Any]:
    """values[k] + values[k + shift] + … + values[k + 6 shift], in the memory of `four`."""
    size = values.size
    pairs = np.add(values[: size - shift], values[shift:], out=two[: size - shift])
    fours = np.add(pairs[: size - 3 * shift], pairs[2 * shift :], out=four[: size - 3 * shift])
    sums = fours[: size - 6 * shift]
    sums += pairs[4 * shift : size - 2 * shift]
    sums += values[6 * shift :]
    return sums


class _Room:
    """Memory for the work on a block, kept by each thread: fresh pages for every picture would cost more than sums."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.short = [np.empty(size, np.int16) for _ in range(4)]
        self.long = [np.empty(size, np.int32) for _ in range(6)]
        self.real = [np.empty(size, np.float64) for _ in range(3)]


def _room(size: int) -> _Room:
    room: _Room | None = getattr(_local, "room", None)
    if room is None or room.size < size:
        room = _local.room = _Room(size)
    return room
