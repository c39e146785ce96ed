"""Figures of a set of pictures against another: how alike the distributions of edges and of colours are.

They see what SSIM and PSNR do not: a blurred picture of the right mean colours has neither the real set's contrasts
nor its colours. Each picture gives whole counts, which are added up over the set: any order and any division of the
work gives the same figure, to the last bit.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.metrics.pairs import UInt8

Counts = npt.NDArray[np.int64]

# in grey levels a pixel; half an octave wide from 1 on: where edges differ, not where one is a little stronger
GRADIENT_EDGES = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 181)
_SOBEL_SUM = 8  # the Sobel kernel's response to a slope of one grey level a pixel
_SOBEL_MOST = 1443  # above sqrt(2) 4 255, the greatest response


def gradient_counts(picture: UInt8) -> Counts:
    """Counts of the gradient's magnitude (`mean_gradient`) over a picture's inner pixels.

    Args:
        picture: uint8 [H, W] or [H, W, C], at least 3x3.

    Returns:
        int64 [17], in the bins between `GRADIENT_EDGES`.
    """
    magnitude = _responses(picture)
    fine = _counts(magnitude.astype(np.uint16), _SOBEL_MOST)
    starts = [int(edge * _SOBEL_SUM) for edge in GRADIENT_EDGES[:-1]]
    return np.add.reduceat(fine, starts)


def mean_gradient(picture: UInt8) -> float:
    """Mean magnitude of the gradient, by which blur is seen: 0 of a flat picture.

    The magnitude is sqrt(gx^2 + gy^2) / 8 of the 3x3 Sobel responses on the luma (OpenCV's RGB to grey: .299 R +
    .587 G + .114 B, rounded), in grey levels a pixel; the outermost pixels, whose neighbours are made up, are left out.

    Args:
        picture: uint8 [H, W] or [H, W, C], at least 3x3.
    """
    return float(_responses(picture).mean(dtype=np.float64)) / _SOBEL_SUM


def colour_counts(picture: UInt8) -> Counts:
    """Counts of L, a and b over a picture's pixels, in OpenCV's 8-bit CIE Lab (D65): L 2.55, a + 128, b + 128.

    Args:
        picture: uint8 [H, W] or [H, W, C].

    Returns:
        int64 [3, 256].
    """
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    lab = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB), np.uint8)
    return np.stack([_counts(np.ascontiguousarray(lab[:, :, channel]), 256) for channel in range(3)])


def gradient_error(fake: Counts, real: Counts) -> float:
    """Total variation distance of two gradient histograms: half the sum of absolute differences of the shares.

    Args:
        fake, real: int64 [17], summed over a set (`gradient_counts`).

    Returns:
        From 0 (equal) to 1 (no bin in common).
    """
    return float(0.5 * np.abs(_shares(fake) - _shares(real)).sum())


def colour_intersection(fake: Counts, real: Counts) -> dict[str, float]:
    """Intersection of two sets' histograms of L, a and b (pix2pix, figure 7): the sum of the lesser shares.

    Args:
        fake, real: int64 [3, 256], summed over a set (`colour_counts`).

    Returns:
        `L`, `a`, `b` and their `mean`, each from 0 (no bin in common) to 1 (equal).
    """
    each = np.minimum(_shares(fake), _shares(real)).sum(axis=1)
    return {"mean": float(each.mean()), "L": float(each[0]), "a": float(each[1]), "b": float(each[2])}


def _responses(picture: UInt8) -> npt.NDArray[np.float32]:
    """Magnitudes of the Sobel responses at the inner pixels, float32 [H - 2, W - 2]: eight times the gradient's."""
    luma = _grey(picture)
    if min(luma.shape) < 3:
        raise DataError(f"a picture of {luma.shape[1]}x{luma.shape[0]} is smaller than the 3x3 Sobel kernel")
    gx = cv2.Sobel(luma, cv2.CV_32F, 1, 0)[1:-1, 1:-1]
    gy = cv2.Sobel(luma, cv2.CV_32F, 0, 1)[1:-1, 1:-1]
    return np.asarray(np.sqrt(gx * gx + gy * gy), np.float32)  # of whole numbers below 2^24: rounding down is exact


def _grey(picture: UInt8) -> UInt8:
    if picture.ndim == 3 and picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), np.uint8)
    return np.ascontiguousarray(picture).reshape(picture.shape[:2])


def _counts(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bins: int) -> Counts:
    return np.bincount(values.reshape(-1), minlength=bins)


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    return counts / counts.sum(axis=-1, keepdims=True)
