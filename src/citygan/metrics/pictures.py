"""Figures of arrays of pictures: one for each pair.

Letters: N pictures, H rows, W columns, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.metrics.pairs import UInt8, shape_text, threads
from citygan.metrics.pixels import picture_l1, picture_psnr
from citygan.metrics.structural import picture_ssim

Float64 = npt.NDArray[np.float64]


def ssim(fake: npt.ArrayLike, real: npt.ArrayLike) -> Float64:
    """Structural similarity of each pair of pictures: from -1 to 1, 1 for equal ones; symmetric.

    Args:
        fake, real: uint8 [N, H, W, 3], [H, W, 3], [N, H, W] or [H, W]; H and W at least 7.

    Returns:
        float64 [N].

    Raises:
        DataError: Not such pictures, or of different sizes.
    """
    return _each(picture_ssim, fake, real)


def psnr(fake: npt.ArrayLike, real: npt.ArrayLike) -> Float64:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / mean squared error): 0 or more, infinite for equal pictures.

    Equal to scikit-image's `peak_signal_noise_ratio` with `data_range=255`; symmetric.

    Args:
        fake, real: uint8 [N, H, W, 3], [H, W, 3], [N, H, W] or [H, W].

    Returns:
        float64 [N].

    Raises:
        DataError: Not such pictures, or of different sizes.
    """
    return _each(picture_psnr, fake, real)


def l1(fake: npt.ArrayLike, real: npt.ArrayLike) -> Float64:
    """Mean absolute difference in grey levels, over pixels and channels: from 0 (equal) to 255; symmetric.

    Args:
        fake, real: uint8 [N, H, W, 3], [H, W, 3], [N, H, W] or [H, W].

    Returns:
        float64 [N].

    Raises:
        DataError: Not such pictures, or of different sizes.
    """
    return _each(picture_l1, fake, real)


def stacks(fake: npt.ArrayLike, real: npt.ArrayLike) -> Iterator[tuple[UInt8, UInt8]]:
    """The pairs of two arrays.

    Args:
        fake, real: uint8 [H, W], [H, W, C], [N, H, W] or [N, H, W, C], C being 1 or 3. Three dimensions of which the
            last is 1 or 3 are one picture with channels.

    Raises:
        DataError: Different shapes, no picture, or not pictures at all.
    """
    x, y = np.asarray(fake), np.asarray(real)
    if x.shape != y.shape:
        raise DataError(f"pictures of different sizes: fake {shape_text(x)}, real {shape_text(y)}")
    if x.ndim == 2 or (x.ndim == 3 and x.shape[2] in (1, 3)):
        x, y = x[None], y[None]
    if x.ndim not in (3, 4):
        raise DataError(f"expected pictures [N, H, W, 3], [H, W, 3], [N, H, W] or [H, W], got {shape_text(x)}")
    if len(x) == 0:
        raise DataError("no pictures to compare")
    return zip(x, y, strict=True)


def _each(function: Callable[[UInt8, UInt8], float], fake: npt.ArrayLike, real: npt.ArrayLike) -> Float64:
    """A figure for each pair of two arrays (see `stacks`), float64 [N], on as many threads as help."""
    pairs = list(stacks(fake, real))
    count = min(threads(), len(pairs))
    if count == 1:
        return np.array([function(x, y) for x, y in pairs])
    with ThreadPoolExecutor(count, "metrics") as pool:
        return np.array(list(pool.map(lambda pair: function(*pair), pairs)))
