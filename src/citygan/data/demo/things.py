"""Painted street furniture: lamps, posts, traffic lights, signs, bins."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Paint, pick, shifted
from .types import Colour

_POLE = Paint((112, 114, 114), (70, 70, 90), 40)


def lamp(rng: np.random.Generator, height: float, reach: float, pole_width: float) -> Canvas:
    """A street lamp: pole, arm and head. `reach` > 0: the arm points to the right."""
    canvas = Canvas(
        abs(reach) * 2 + 0.4, height, 24.0, Paint(shifted(rng, _POLE.photo, 16), _POLE.graphics, 40), cut=True
    )
    x = canvas.width / 2
    paint = canvas.base
    canvas.rect(x - pole_width / 2, 0, x + pole_width / 2, height - 0.2, paint)
    canvas.rect(x + pole_width * 0.15, 0, x + pole_width / 2, height - 0.2, paint.times(0.7))
    canvas.rect(x - pole_width * 0.8, 0, x + pole_width * 0.8, 1.0, paint.times(0.85))
    canvas.line([(x, height - 0.5), (x + reach * 0.4, height - 0.14), (x + reach, height - 0.12)], 0.12, paint)
    canvas.poly(
        [
            (x + reach * 0.8, height - 0.2),
            (x + reach * 1.05, height - 0.22),
            (x + reach * 1.05, height - 0.08),
            (x + reach * 0.8, height - 0.04),
        ],
        paint.times(0.6),
    )
    return canvas


def post(height: float, width: float) -> Canvas:
    """A plain pole."""
    canvas = Canvas(width, height, 20.0, _POLE)
    canvas.rect(0, 0, width * 0.35, height, _POLE.times(1.3))
    canvas.rect(width * 0.75, 0, width, height, _POLE.times(0.65))
    return canvas


def traffic_light(rng: np.random.Generator, state: int) -> Canvas:
    """The box with its three lamps; `state` 0 red, 1 amber, 2 green."""
    case = Paint((34, 36, 36), (40, 40, 60), 10)
    canvas = Canvas(0.5, 1.15, 60.0, case, cut=True)
    canvas.rect(0.02, 0.02, 0.48, 1.13, Paint((206, 204, 196), (240, 240, 240), 0) if rng.random() < 0.35 else case)
    canvas.rect(0.08, 0.07, 0.42, 1.08, case)
    lit: tuple[Colour, ...] = ((255, 70, 46), (255, 190, 60), (90, 255, 150))
    unlit: tuple[Colour, ...] = ((84, 30, 28), (84, 66, 30), (28, 66, 44))
    for k in range(3):
        colour = lit[k] if k == state else unlit[k]
        canvas.ellipse(0.25, 0.9 - 0.325 * k, 0.125, 0.125, Paint(colour, lit[k] if k == state else (60, 60, 70), 0))
    return canvas


def sign(rng: np.random.Generator) -> Canvas:
    """A traffic sign: prohibition, warning, order, priority, stop, direction board."""
    kind = int(rng.integers(7))
    red, blue = Paint((184, 34, 36), (255, 30, 60), 10), Paint((34, 78, 150), (20, 100, 255), 10)
    white, yellow = Paint((232, 230, 224), (255, 255, 255), 10), Paint((226, 178, 40), (255, 220, 20), 10)
    black = Paint((30, 30, 32), (20, 20, 40), 0)
    board = kind in (5, 6)
    canvas = Canvas(1.5 if board else 0.8, 0.8, 60.0, white, cut=True)
    x, y = canvas.width / 2, 0.4
    if kind == 0:
        canvas.ellipse(x, y, 0.38, 0.38, red)
        canvas.ellipse(x, y, 0.27, 0.27, white)
        for k in (-1, 1):
            canvas.rect(x - 0.12 + 0.14 * (k > 0), y - 0.13, x - 0.02 + 0.14 * (k > 0), y + 0.13, black)
    elif kind == 1:
        canvas.poly([(0.02, 0.04), (0.78, 0.04), (0.4, 0.76)], red)
        canvas.poly([(0.17, 0.13), (0.63, 0.13), (0.4, 0.56)], white)
        canvas.rect(0.37, 0.18, 0.43, 0.42, black)
    elif kind == 2:
        canvas.ellipse(x, y, 0.38, 0.38, blue)
        canvas.line([(x - 0.15, y), (x + 0.15, y)], 0.08, white)
        canvas.line([(x + 0.04, y + 0.12), (x + 0.17, y), (x + 0.04, y - 0.12)], 0.07, white)
    elif kind == 3:
        canvas.poly([(x, 0.02), (0.78, y), (x, 0.78), (0.02, y)], white)
        canvas.poly([(x, 0.14), (0.66, y), (x, 0.66), (0.14, y)], yellow)
    elif kind == 4:
        angles = np.arange(8) * np.pi / 4 + np.pi / 8
        canvas.poly([(x + 0.39 * float(np.cos(a)), y + 0.39 * float(np.sin(a))) for a in angles], red)
        canvas.rect(x - 0.26, y - 0.09, x + 0.26, y + 0.09, white)
    else:
        paint = blue if kind == 5 else yellow
        canvas.rect(0.02, 0.05, 1.48, 0.75, paint)
        for row in (0.18, 0.48):
            canvas.rect(0.2, row, 0.2 + float(rng.uniform(0.5, 1.0)), row + 0.13, white if kind == 5 else black)
    return canvas


def bin_or_box(rng: np.random.Generator) -> Canvas:
    """Street furniture: a litter bin, a switch box, a container."""
    colour = pick(rng, ((70, 80, 70), (120, 118, 110), (60, 60, 62), (150, 120, 40), (60, 84, 110)))
    canvas = Canvas(0.8, 1.1, 40.0, Paint(colour, (150, 150, 170), 60))
    canvas.rect(0, 0.95, 0.8, 1.1, canvas.base.times(0.6))
    canvas.rect(0.1, 0.2, 0.7, 0.8, canvas.base.times(1.15))
    canvas.grime(rng, 0.1, 0.3)
    return canvas
