"""Painted trees, hedges and bushes."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Canvas, Paint, shifted
from .texture import noise_crop, soft_noise
from .types import Colour


def tree(rng: np.random.Generator, height: float, leaf: Colour, sun_side: float, *, bare: float = 0.0) -> Canvas:
    """A tree on its trunk: clusters of leaves around boughs, lit from the sun's side, ragged at the rim."""
    width = height * float(rng.uniform(0.62, 0.85))
    ppm = 150 / height
    trunk_paint = Paint(shifted(rng, (84, 70, 56), 8), (150, 100, 80), 50)
    paint = Paint(leaf, (90, 214, 90), 255)
    canvas = Canvas(width, height, ppm, paint, cut=True)
    x = width / 2
    trunk = height * 0.035 + 0.05
    clear = height * float(rng.uniform(0.24, 0.34))
    middle = (clear + height) / 2
    for _ in range(7):
        tip = (x + float(rng.normal(0, 0.2)) * width, middle + float(rng.normal(0.05, 0.15)) * height)
        canvas.line(
            [(x, clear * 0.9), ((x + tip[0]) / 2, (clear + tip[1]) / 2), tip], trunk * 0.4, trunk_paint.times(0.8)
        )
    canvas.line([(x, 0), (x + float(rng.normal(0, 0.02)) * width, middle)], trunk, trunk_paint)
    canvas.line(
        [(x + sun_side * trunk * 0.25, 0), (x + sun_side * trunk * 0.25, middle)], trunk * 0.3, trunk_paint.times(1.3)
    )
    assert canvas.mask is not None
    h, w = canvas.mask.shape
    crown = np.zeros((h, w), np.uint8)
    clusters = sorted((float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))) for _ in range(34))
    order = rng.permutation(len(clusters))
    half = (height - clear) / 2
    for k in order:
        a, b = clusters[k]
        if a * a + b * b > 1:
            a, b = a * 0.7, b * 0.7
        cx, cy = x + a * width * 0.36, middle + b * half * 0.8
        r = float(rng.uniform(0.13, 0.2)) * width
        light = 0.90 + 0.26 * (b * 0.8 + a * sun_side * 0.8) + float(rng.normal(0, 0.09))
        canvas.ellipse(cx, cy - r * 0.12, r, r * 0.85, paint.times(light * 0.66))
        canvas.ellipse(cx + sun_side * r * 0.15, cy + r * 0.12, r * 0.78, r * 0.62, paint.times(light))
        cv2.ellipse(
            crown,
            (int(cx * canvas.sx), int(h - cy * canvas.sy)),
            (int(r * canvas.sx), int(r * canvas.sy * 0.9)),
            0,
            0,
            360,
            255,
            -1,
        )
    trunk_only = Canvas(width, height, ppm, paint, cut=True)
    trunk_only.line([(x, 0), (x, middle)], trunk, trunk_paint)
    assert trunk_only.mask is not None
    big = (w * 3, h * 3)
    soft = cv2.resize(cv2.blur(crown, (11, 11)), big, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    ragged = 0.20 * noise_crop(rng, h * 3, w * 3, 30.0) + 0.24 * noise_crop(rng, h * 3, w * 3, 9.0)
    leaves = np.asarray(soft * np.float32(1 / 255) + ragged > 0.5 + 0.5 * bare, np.uint8) * np.uint8(255)
    leaves[soft < 12] = 0
    canvas.fine_mask = np.maximum(leaves, cv2.resize(trunk_only.mask, big, interpolation=cv2.INTER_LINEAR))
    canvas.mask[:] = cv2.resize(canvas.fine_mask, (w, h), interpolation=cv2.INTER_AREA)
    canvas.grime(rng, 0.16, 4.0 / ppm)
    return canvas


def bush(rng: np.random.Generator, width: float, height: float, leaf: Colour, *, hedge: bool) -> Canvas:
    """A clipped hedge (straight) or a row of bushes (ragged top)."""
    paint = Paint(shifted(rng, leaf, 6), (70, 190, 96), 255)
    canvas = Canvas(width, height, 18.0, paint, cut=True)
    assert canvas.mask is not None
    h, w = canvas.mask.shape
    top = soft_noise(rng, 1, w, 4 if hedge else 14)[0] * (0.03 if hedge else 0.16) + (0.95 if hedge else 0.72)
    top = top + 0.04 * rng.standard_normal(w, dtype=np.float32)
    rows = 1 - (np.arange(h, dtype=np.float32) + 0.5) / h
    canvas.mask[:] = np.where(rows[:, None] < top[None, :], 255, 0)
    canvas.shade_rows(0.5, 1.25, 0.7)
    canvas.grime(rng, 0.16, 0.35)
    return canvas
