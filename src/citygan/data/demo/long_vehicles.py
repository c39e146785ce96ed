"""Lorries, buses and trams as bodies of planar faces."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Paint, shifted
from .types import Colour
from .vehicles import GLASS, LAMP_FRONT, LAMP_REAR, PLATE, TRIM, TYRE, Face, mirrored, wheel


def _long_side(
    rng: np.random.Generator, kind: str, length: float, height: float, paint: Paint, daylight: float
) -> Canvas:
    """The side of a bus, a tram or a lorry's box, heading right."""
    canvas = Canvas(length, height, 24.0, paint, cut=True)
    sill = 0.18 if kind == "train" else 0.32
    canvas.rect(0, sill, length, height, paint)
    if kind in ("bus", "train"):
        canvas.rect(0.15, height * 0.42, length - 0.1, height * 0.82, GLASS)
        step = 1.35
        for x in np.arange(0.15, length, step):
            canvas.rect(float(x), height * 0.42, float(x) + 0.1, height * 0.82, paint.times(0.45))
            shine = Paint(
                shifted(rng, (100 + 40 * daylight, 112 + 40 * daylight, 122 + 40 * daylight), 14), (190, 232, 255), 6
            )
            canvas.poly(
                [
                    (x + 0.12, height * 0.66),
                    (x + step - 0.05, height * 0.74),
                    (x + step - 0.05, height * 0.8),
                    (x + 0.12, height * 0.8),
                ],
                shine,
            )
        for x in np.arange(length * 0.12, length - 1.6, length * 0.32):
            canvas.rect(float(x), sill + 0.05, float(x) + 1.3, height * 0.82, TRIM)
            for k in (0.08, 0.7):
                canvas.rect(float(x) + k, sill + 0.3, float(x) + k + 0.52, height * 0.78, GLASS.times(1.3))
        stripe = Paint(shifted(rng, (214, 206, 190), 14), (255, 255, 255), 10)
        canvas.rect(0, height * 0.34, length, height * 0.39, stripe)
        canvas.rect(0, height * 0.88, length, height * 0.9, paint.times(0.7))
        if rng.random() < 0.5:
            x = length * 0.45
            canvas.rect(
                x,
                sill + 0.2,
                x + length * 0.22,
                height * 0.33,
                Paint(shifted(rng, (180, 150, 110), 40), (255, 180, 220), 20),
            )
    else:
        for x in np.arange(0, length, 0.9):
            canvas.rect(float(x), sill, float(x) + 0.04, height, paint.times(0.8))
        if rng.random() < 0.6:
            mark = Paint(shifted(rng, (60, 80, 130), 50), (255, 120, 120), 20)
            canvas.rect(length * 0.2, height * 0.45, length * 0.8, height * 0.7, mark)
            canvas.rect(
                length * 0.26, height * 0.52, length * 0.7, height * 0.6, Paint((226, 222, 212), (255, 255, 255), 0)
            )
    canvas.rect(0, sill, length, sill + 0.25, paint.times(0.5))
    canvas.rect(0, height - 0.08, length, height, paint.times(1.2))
    wheels = (1.5, 2.6, length - 1.5, length - 2.6) if kind == "train" else (1.6, length - 2.2)
    for x in wheels:
        if kind == "train":
            canvas.rect(x - 0.45, 0.0, x + 0.45, sill + 0.1, TRIM)
        else:
            wheel(canvas, x, 0.46)
    canvas.grime(rng, 0.05, 0.8)
    return canvas


def _end(
    rng: np.random.Generator, kind: str, width: float, height: float, paint: Paint, *, front: bool, daylight: float
) -> Canvas:
    """The front or rear end of a long vehicle."""
    canvas = Canvas(width, height, 32.0, paint, cut=True)
    canvas.rect(0, 0.3, width, height, paint)
    for x in (0.1, width - 0.42):
        canvas.rect(x, 0.0, x + 0.32, 0.5, TYRE)
    canvas.rect(0, 0.3, width, 0.62, paint.times(0.5))
    low, high = (0.42, 0.86) if front or kind == "train" else (0.5, 0.8)
    if front or kind != "truck":
        canvas.rect(0.12, height * low, width - 0.12, height * high, GLASS)
        shine = Paint((96 + 60 * daylight, 108 + 60 * daylight, 120 + 60 * daylight), (190, 232, 255), 6)
        canvas.poly(
            [
                (0.2, height * (high - 0.16)),
                (width * 0.7, height * (high - 0.1)),
                (width - 0.3, height * high - 0.05),
                (0.2, height * high - 0.05),
            ],
            shine,
        )
        if kind != "truck":
            canvas.rect(0.3, height * 0.89, width - 0.3, height * 0.96, TRIM)
            canvas.rect(0.5, height * 0.9, width * 0.8, height * 0.95, Paint((236, 170, 50), (255, 210, 60), 0))
    else:
        canvas.rect(width / 2 - 0.03, 0.6, width / 2 + 0.03, height - 0.1, paint.times(0.55))
        for x in (0.25, width - 0.35):
            canvas.rect(x, 0.7, x + 0.06, height - 0.3, paint.times(0.7))
    lamp = LAMP_FRONT if front else LAMP_REAR
    for x in (0.08, width - 0.43):
        canvas.rect(x, 0.66, x + 0.35, 0.86, lamp)
    canvas.rect(width / 2 - 0.3, 0.42, width / 2 + 0.3, 0.56, PLATE)
    canvas.grime(rng, 0.06, 0.6)
    return canvas


def _box(
    z0: float, z1: float, width: float, height: float, side: Canvas, rear: Canvas, front: Canvas, top: Canvas
) -> list[Face]:
    length = z1 - z0
    return [
        Face((-width / 2, 0, z1), (0, 0, -length), (0, height, 0), mirrored(side)),
        Face((width / 2, 0, z0), (0, 0, length), (0, height, 0), side),
        Face((-width / 2, 0, z0), (width, 0, 0), (0, height, 0), rear),
        Face((width / 2, 0, z1), (-width, 0, 0), (0, height, 0), front),
        Face((-width / 2, height, z0), (width, 0, 0), (0, 0, length), top),
    ]


def long_vehicle(rng: np.random.Generator, kind: str, daylight: float) -> tuple[list[Face], float]:
    """A `bus`, `truck` or `train` (tram), and its length in metres."""
    colours: dict[str, tuple[Colour, ...]] = {
        "bus": ((206, 160, 40), (150, 30, 34), (206, 206, 200), (36, 80, 130)),
        "truck": ((214, 212, 206), (180, 178, 170), (60, 84, 130), (150, 60, 40), (90, 110, 90)),
        "train": ((196, 40, 36), (214, 190, 60), (70, 110, 80), (210, 208, 200)),
    }
    graphics: dict[str, Colour] = {"bus": (40, 220, 240), "truck": (160, 110, 240), "train": (60, 240, 120)}
    colour = shifted(rng, colours[kind][int(rng.integers(len(colours[kind])))], 8)
    paint = Paint(colour, graphics[kind], 25)
    if kind == "truck":
        length, width, height = float(rng.uniform(6.5, 9.5)), 2.4, float(rng.uniform(3.0, 3.7))
        cab_paint = Paint(
            shifted(rng, ((190, 190, 186), (140, 30, 32), (40, 66, 120))[int(rng.integers(3))], 10), (120, 60, 220), 10
        )
        top = Canvas(1, 1, 16.0, paint.times(0.9))
        box_side = _long_side(rng, kind, length - 2.1, height, paint, daylight)
        box_end = _end(rng, kind, width, height, paint, front=False, daylight=daylight)
        cab_height = 2.6
        cab_side = Canvas(1.9, cab_height, 30.0, cab_paint, cut=True)
        cab_side.poly([(0, 0.4), (1.9, 0.4), (1.9, 1.3), (1.6, cab_height), (0, cab_height)], cab_paint)
        cab_side.poly([(0.5, 1.4), (1.75, 1.4), (1.5, 2.35), (0.5, 2.35)], GLASS)
        cab_side.rect(0, 0.4, 1.9, 0.6, cab_paint.times(0.5))
        wheel(cab_side, 1.0, 0.46)
        cab_front = _end(rng, kind, width, cab_height, cab_paint, front=True, daylight=daylight)
        faces = _box(-length / 2, length / 2 - 2.1, width, height, box_side, box_end, box_end, top)
        return faces + _box(
            length / 2 - 1.9, length / 2, width * 0.98, cab_height, cab_side, box_end, cab_front, top
        ), length
    length, width, height = (12.0, 2.5, 3.1) if kind == "bus" else (float(rng.uniform(18, 28)), 2.45, 3.4)
    side = _long_side(rng, kind, length, height, paint, daylight)
    rear = _end(rng, kind, width, height, paint, front=False, daylight=daylight)
    front = _end(rng, kind, width, height, paint, front=True, daylight=daylight)
    return _box(-length / 2, length / 2, width, height, side, rear, front, Canvas(1, 1, 16.0, paint.times(1.1))), length
