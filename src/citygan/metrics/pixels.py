"""Figures of pixel against pixel, of one pair of pictures."""

from __future__ import annotations

import math

import cv2
import numpy as np

from citygan.metrics.pairs import UInt8, check_pair

DATA_RANGE = 255


def picture_psnr(fake: UInt8, real: UInt8) -> float:
    """Peak signal-to-noise ratio of one pair, [H, W] or [H, W, C], in dB; infinite for equal pictures."""
    squares = _norm(fake, real, cv2.NORM_L2SQR)
    return 10.0 * math.log10(DATA_RANGE**2 * fake.size / squares) if squares else math.inf


def picture_l1(fake: UInt8, real: UInt8) -> float:
    """Mean absolute difference of one pair, [H, W] or [H, W, C], in grey levels."""
    return _norm(fake, real, cv2.NORM_L1) / fake.size


def _norm(fake: UInt8, real: UInt8, kind: int) -> float:
    """A sum over all differences; of whole numbers below 2^53, so exact."""
    check_pair(fake, real)
    return float(cv2.norm(np.ascontiguousarray(fake), np.ascontiguousarray(real), kind))
