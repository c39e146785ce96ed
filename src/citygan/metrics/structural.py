"""Structural similarity (Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity").

Equal to scikit-image's `structural_similarity` with `data_range=255, win_size=7, channel_axis=2`: a uniform window of
7x7, covariances divided by 48, each channel by itself and averaged, the border of 3 left out of the mean.

All up to the last division is exact, in 32-bit integers. With the sums X, Y, P, Q of x, y, x y and x^2 + y^2 over the
49 pixels of a window,

    SSIM = 4 (X Y + c1 / 2) (49 P - X Y + c2 / 2) / ((X^2 + Y^2 + c1) (49 Q - X^2 - Y^2 + c2))

takes four sums over windows instead of five. OpenCV's unnormalised box filter adds integers, so nothing is rounded.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
import numpy.typing as npt

from citygan.metrics.pairs import UInt8, check_pair

WINDOW = 7
DATA_RANGE = 255
K1, K2 = 0.01, 0.03
AREA = WINDOW * WINDOW

# SSIM's (K L)^2, times the squares of what the sums above were not divided by
C1 = AREA**2 * (K1 * DATA_RANGE) ** 2
C2 = AREA * (AREA - 1) * (K2 * DATA_RANGE) ** 2

Int32 = npt.NDArray[np.int32]
Float64 = npt.NDArray[np.float64]

_BLOCK = 200_000  # numbers worked on at a time: enough that threads seldom wait for the lock, few enough for the cache
_LEAST_ROWS = 32  # of a block, the 6 that it shares with the next one among them

_local = threading.local()


def picture_ssim(fake: UInt8, real: UInt8) -> float:
    """Structural similarity of one pair, [H, W] or [H, W, C]: from -1 to 1, 1 for equal ones; symmetric."""
    check_pair(fake, real, smallest=WINDOW)
    height, width = fake.shape[:2]
    channels = fake.size // (height * width)
    # OpenCV knows no [H, W, 1]
    shape = (height, width) if channels == 1 else (height, width, channels)
    x, y = (np.ascontiguousarray(picture).reshape(shape) for picture in (fake, real))
    edge = WINDOW - 1
    rows = min(height, max(_LEAST_ROWS, _BLOCK // (width * channels)))
    room = _room(rows * width * channels)
    total = 0.0
    for first in range(0, height - edge, rows - edge):
        part = slice(first, first + rows)
        total += _block_sum(x[part], y[part], room)
    return total / ((height - edge) * (width - edge) * channels)


def _block_sum(x: UInt8, y: UInt8, room: _Room) -> float:
    """The sum of SSIM over the windows that lie within some rows of two pictures."""
    one, two, *sums = (buffer[: x.size].reshape(x.shape) for buffer in room.whole)
    values, below, factor = (buffer[: x.size].reshape(x.shape) for buffer in room.real)
    products = room.real[0].view(np.int32)[: x.size].reshape(x.shape)  # not needed for anything else yet
    np.copyto(one, x)
    np.copyto(two, y)
    x_sum, y_sum = _window_sums(x, sums[0]), _window_sums(y, sums[1])
    p = _window_sums(np.multiply(one, two, out=products), sums[2])
    one *= one
    two *= two
    q = _window_sums(np.add(one, two, out=products), sums[3])
    # every number is a whole one below 2^31
    product = np.multiply(x_sum, y_sum, out=one)
    x_sum *= x_sum
    y_sum *= y_sum
    squares = np.add(x_sum, y_sum, out=two)
    p *= AREA
    p -= product
    q *= AREA
    q -= squares
    _plus(product, C1 / 2, values)
    values *= _plus(p, C2 / 2, factor)
    _plus(squares, C1, below)
    below *= _plus(q, C2, factor)
    values /= below
    border = WINDOW // 2
    return 4.0 * float(values[border:-border, border:-border].sum())


def _window_sums(values: npt.NDArray[np.uint8] | Int32, room: Int32) -> Int32:
    """Sums over 7x7 around every pixel, in `room`; at the border the window holds pixels that are made up."""
    kind, window, border = cv2.CV_32S, (WINDOW, WINDOW), cv2.BORDER_REPLICATE
    return np.asarray(cv2.boxFilter(values, kind, window, dst=room, normalize=False, borderType=border), np.int32)


def _plus(values: Int32, constant: float, out: Float64) -> Float64:
    np.copyto(out, values)
    out += constant
    return out


class _Room:
    """Memory for the work on a block, kept by each thread: fresh pages for every picture would cost more than sums."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.whole = [np.empty(size, np.int32) for _ in range(6)]
        self.real = [np.empty(size, np.float64) for _ in range(3)]


def _room(size: int) -> _Room:
    room: _Room | None = getattr(_local, "room", None)
    if room is None or room.size < size:
        room = _local.room = _Room(size)
    return room
