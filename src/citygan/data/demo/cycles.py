"""Painted bicycles and motorcycles."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Paint, pick

BIKE_SIZE = (1.9, 1.15)  # metres


def bicycle(rng: np.random.Generator, *, side: bool) -> Canvas:
    """A bicycle from the side (heading right) or from behind."""
    width = BIKE_SIZE[0] if side else 0.6
    frame = Paint(
        pick(rng, ((150, 30, 34), (34, 60, 110), (40, 40, 42), (170, 172, 170), (30, 96, 70))), (255, 90, 60), 20
    )
    tyre, metal = Paint((30, 30, 32), (60, 40, 80), 20), Paint((150, 152, 154), (220, 220, 230), 10)
    canvas = Canvas(width, BIKE_SIZE[1], 50.0, tyre, cut=True)
    if not side:
        canvas.rect(0.26, 0.0, 0.34, 0.68, tyre)
        canvas.rect(0.2, 0.6, 0.4, 0.72, Paint((140, 24, 24), (255, 60, 60), 0))
        canvas.rect(0.27, 0.7, 0.33, 0.95, frame)
        canvas.ellipse(0.3, 0.97, 0.12, 0.05, tyre)
        canvas.line([(0.03, 1.03), (0.57, 1.03)], 0.05, metal)
        canvas.line([(0.2, 0.34), (0.4, 0.28)], 0.06, metal)
        return canvas
    for x in (0.36, 1.54):
        canvas.ellipse(x, 0.35, 0.32, 0.32, tyre, ring=0.06)
        for k in range(4):
            dx, dy = 0.3 * np.cos(k * 0.785), 0.3 * np.sin(k * 0.785)
            canvas.line([(x - dx, 0.35 - dy), (x + dx, 0.35 + dy)], 0.02, metal.times(0.8))
    canvas.line([(0.36, 0.35), (0.78, 0.36), (1.32, 0.8), (0.68, 0.8), (0.36, 0.35)], 0.055, frame)
    canvas.line([(0.78, 0.36), (0.64, 0.92)], 0.055, frame)
    canvas.line([(1.54, 0.35), (1.34, 0.86), (1.3, 1.03), (1.42, 1.06)], 0.055, frame.times(0.85))
    canvas.line([(0.52, 0.94), (0.76, 0.95)], 0.08, tyre)
    canvas.ellipse(0.78, 0.35, 0.1, 0.1, metal)
    canvas.line([(0.3, 0.72), (0.56, 0.72)], 0.04, metal)
    if rng.random() < 0.4:
        canvas.rect(1.36, 0.82, 1.64, 1.04, Paint((120, 92, 60), (210, 170, 90), 120))
    return canvas


def motorcycle(rng: np.random.Generator, *, side: bool) -> Canvas:
    """A motorcycle or scooter from the side (heading right) or from behind."""
    body = Paint(
        pick(rng, ((140, 26, 30), (30, 48, 96), (34, 34, 36), (190, 190, 188), (196, 130, 30))), (120, 60, 255), 10
    )
    tyre, metal = Paint((26, 26, 28), (50, 40, 70), 20), Paint((140, 142, 146), (220, 224, 236), 10)
    width = 2.0 if side else 0.8
    canvas = Canvas(width, 1.2, 50.0, tyre, cut=True)
    if not side:
        canvas.rect(0.31, 0.0, 0.49, 0.66, tyre)
        canvas.ellipse(0.4, 0.72, 0.2, 0.2, body)
        canvas.rect(0.31, 0.66, 0.49, 0.76, Paint((170, 26, 24), (255, 50, 50), 0))
        canvas.rect(0.3, 0.46, 0.5, 0.6, Paint((220, 218, 206), (255, 255, 255), 0))
        canvas.line([(0.05, 1.02), (0.75, 1.02)], 0.07, metal)
        for x in (0.06, 0.74):
            canvas.ellipse(x, 1.12, 0.07, 0.06, tyre)
        canvas.rect(0.55, 0.28, 0.64, 0.44, metal)
        return canvas
    for x in (0.36, 1.62):
        canvas.ellipse(x, 0.32, 0.31, 0.31, tyre)
        canvas.ellipse(x, 0.32, 0.18, 0.18, metal)
        canvas.ellipse(x, 0.32, 0.06, 0.06, tyre)
    canvas.poly([(0.5, 0.4), (0.7, 0.3), (1.2, 0.28), (1.3, 0.6), (1.0, 0.74), (0.56, 0.66)], metal.times(0.6))
    canvas.line([(0.3, 0.3), (0.9, 0.26)], 0.09, metal)
    canvas.line([(1.62, 0.32), (1.36, 0.98), (1.2, 1.08)], 0.08, metal)
    canvas.poly([(0.12, 0.82), (0.3, 0.66), (0.86, 0.7), (0.8, 0.84), (0.4, 0.86)], tyre)
    canvas.poly([(0.8, 0.72), (1.26, 0.66), (1.42, 0.82), (1.3, 0.98), (0.94, 0.96)], body)
    canvas.poly([(1.34, 0.72), (1.52, 0.78), (1.44, 1.06), (1.3, 1.02)], body.times(1.15))
    canvas.ellipse(1.5, 0.9, 0.07, 0.08, Paint((240, 236, 214), (255, 250, 200), 0))
    canvas.rect(0.08, 0.74, 0.18, 0.82, Paint((170, 26, 24), (255, 50, 50), 0))
    return canvas
