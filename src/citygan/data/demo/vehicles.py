"""Passenger cars and vans as bodies of planar faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Paint, shifted
from .types import Colour

PPM = 34.0
Vector = tuple[float, float, float]

_CAR_COLOURS: tuple[Colour, ...] = (
    (196, 198, 200),
    (34, 36, 40),
    (92, 96, 102),
    (226, 226, 224),
    (132, 22, 28),
    (36, 58, 104),
    (60, 66, 74),
    (146, 150, 152),
    (40, 70, 60),
    (168, 150, 120),
    (178, 120, 40),
)
_CAR_GRAPHICS: tuple[Colour, ...] = (
    (255, 70, 70),
    (60, 120, 255),
    (255, 214, 40),
    (250, 250, 250),
    (60, 210, 200),
    (250, 130, 40),
)
GLASS = Paint((44, 52, 60), (130, 200, 255), 6)
TYRE = Paint((26, 26, 27), (50, 46, 60), 20)
_RIM = Paint((132, 134, 136), (220, 224, 230), 10)
LAMP_REAR = Paint((150, 22, 22), (255, 40, 40), 0)
LAMP_FRONT = Paint((232, 232, 222), (255, 255, 220), 0)
PLATE = Paint((220, 216, 200), (255, 255, 255), 0)
TRIM = Paint((42, 42, 44), (60, 60, 76), 20)


@dataclass(frozen=True)
class Face:
    """A planar face in the vehicle's own metres (x right, y up, z ahead): lower left corner, right and up edges as seen
    from outside, and what is painted on it."""

    origin: Vector
    right: Vector
    up: Vector
    canvas: Canvas


def body_paint(rng: np.random.Generator) -> Paint:
    """A car's paint."""
    colour = shifted(rng, _CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))], 7)
    return Paint(colour, _CAR_GRAPHICS[int(rng.integers(len(_CAR_GRAPHICS)))], 8)


def wheel(canvas: Canvas, x: float, radius: float) -> None:
    """A wheel in its arch, standing on the canvas' lower edge."""
    canvas.ellipse(x, radius + 0.02, radius * 1.16, radius * 1.16, TRIM)
    canvas.ellipse(x, radius, radius, radius, TYRE)
    canvas.ellipse(x, radius, radius * 0.62, radius * 0.62, _RIM)
    for k in range(5):
        a = k * 2 * np.pi / 5
        canvas.line(
            [(x, radius), (x + radius * 0.55 * float(np.cos(a)), radius + radius * 0.55 * float(np.sin(a)))], 0.05, TYRE
        )


def _glass(width: float, height: float, inset: float, frame: Paint, sky: float) -> Canvas:
    """A screen that narrows by `inset` on both sides towards the top, with the sky in it."""
    canvas = Canvas(width, height, PPM, frame, cut=True)
    canvas.poly([(0, 0), (width, 0), (width - inset, height), (inset, height)], frame)
    edge = 0.06
    low, high = inset * 0.1 + edge, inset + edge
    canvas.poly([(low, edge), (width - low, edge), (width - high, height - edge), (high, height - edge)], GLASS)
    shine = Paint((90 + 60 * sky, 104 + 60 * sky, 118 + 60 * sky), (180, 226, 255), 6)
    y = height * 0.55
    canvas.poly(
        [(high, y), (width * 0.62, y + 0.08), (width - high - 0.1, height - edge), (high, height - edge)], shine
    )
    return canvas


@dataclass(frozen=True)
class _Shape:
    length: float
    width: float
    height: float
    belt: float  # top of the doors
    tail: float  # z of the rear screen's foot from the tail
    roof_rear: float
    roof_front: float
    cowl: float  # z of the windscreen's foot
    nose: float  # height of the bonnet's front edge


_SHAPES = (
    _Shape(4.5, 1.80, 1.45, 0.95, 0.55, 1.15, 2.75, 3.45, 0.74),  # saloon
    _Shape(4.0, 1.75, 1.48, 0.95, 0.10, 0.55, 2.30, 3.00, 0.76),  # hatchback
    _Shape(4.7, 1.82, 1.50, 0.96, 0.06, 0.40, 2.95, 3.65, 0.76),  # estate
    _Shape(4.6, 1.90, 1.72, 1.08, 0.08, 0.40, 2.75, 3.45, 0.96),  # off-roader
    _Shape(4.9, 1.92, 1.95, 1.10, 0.02, 0.20, 3.60, 4.40, 0.98),  # van
)


def car(rng: np.random.Generator, daylight: float) -> list[Face]:
    """A passenger car or van."""
    shape = _SHAPES[int(rng.choice(5, p=(0.28, 0.28, 0.18, 0.16, 0.10)))]
    paint = body_paint(rng)
    L, W, H, belt = shape.length, shape.width, shape.height, shape.belt
    lamps = 1.3 if daylight < 0.3 else 1.0
    radius, sill = 0.33, 0.2
    side = Canvas(L, belt, PPM, paint, cut=True)
    nose = shape.nose
    side.poly(
        [
            (0.04, 0.34),
            (0.2, sill),
            (L - 0.2, sill),
            (L - 0.03, 0.36),
            (L, nose * 0.8),
            (L - 0.15, nose),
            (shape.cowl, belt),
            (0.0, belt),
        ],
        paint,
    )
    side.poly([(0.04, 0.34), (0.2, sill), (L - 0.2, sill), (L - 0.04, 0.36)], paint.times(0.55))
    side.rect(0.05, belt * 0.62, L - 0.2, belt * 0.66, paint.times(1.28))
    side.rect(0.05, belt * 0.58, L - 0.2, belt * 0.62, paint.times(0.8))
    for x in (shape.roof_rear + 0.25, (shape.roof_rear + shape.cowl) / 2 + 0.15, shape.cowl):
        side.line([(x, sill + 0.08), (x, belt)], 0.03, paint.times(0.5))
    for x in (shape.roof_rear + 0.5, (shape.roof_rear + shape.cowl) / 2 + 0.4):
        side.rect(x, belt * 0.78, x + 0.2, belt * 0.82, paint.times(0.6))
    side.rect(0.0, belt * 0.62, 0.18, belt * 0.84, LAMP_REAR)
    side.rect(L - 0.35, nose * 0.74, L - 0.08, nose * 0.92, LAMP_FRONT)
    for x in (0.78, L - 0.85):
        wheel(side, x, radius)

    inset, rise = 0.20, H - belt
    upper = Canvas(L, rise, PPM, paint, cut=True)
    upper.poly([(shape.tail, 0), (shape.roof_rear, rise), (shape.roof_front, rise), (shape.cowl, 0)], paint)
    a, b = shape.tail + 0.16, shape.roof_rear + 0.08
    c, d = shape.roof_front - 0.04, shape.cowl - 0.2
    upper.poly([(a, 0.03), (b, rise - 0.07), (c, rise - 0.07), (d, 0.03)], GLASS)
    sky = Paint((110 + 40 * daylight, 122 + 40 * daylight, 132 + 40 * daylight), (190, 232, 255), 6)
    upper.poly([(b - 0.05, rise * 0.7), (b, rise - 0.07), (c, rise - 0.07), (c + 0.1, rise * 0.78)], sky)
    for x in (shape.roof_rear + 0.35, (shape.roof_rear + shape.cowl) / 2 + 0.15):
        upper.rect(x, 0, x + 0.09, rise, paint.times(0.5))

    rear = Canvas(W, belt, PPM, paint, cut=True)
    rear.rect(0.0, sill, W, belt, paint)
    rear.rect(0.0, sill, W, 0.42, paint.times(0.6))
    rear.rect(0.1, 0.3, W - 0.1, 0.36, TRIM)
    for x in (0.04, W - 0.24):
        rear.rect(x, 0.0, x + 0.2, sill + 0.05, TYRE)
    for x in (0.0, W - 0.36):
        rear.rect(x, belt * 0.62, x + 0.36, belt * 0.86, LAMP_REAR.times(lamps))
    rear.rect(W / 2 - 0.26, 0.5, W / 2 + 0.26, 0.62, PLATE)
    rear.rect(0.1, belt - 0.07, W - 0.1, belt - 0.03, paint.times(1.25))
    rear.rect(0.4, belt * 0.68, W - 0.4, belt * 0.72, paint.times(0.7))

    front = Canvas(W, nose, PPM, paint, cut=True)
    front.rect(0.0, sill, W, nose, paint)
    front.rect(0.35, 0.42, W - 0.35, nose - 0.1, TRIM)
    front.rect(0.15, sill, W - 0.15, 0.34, TRIM)
    for x in (0.04, W - 0.24):
        front.rect(x, 0.0, x + 0.2, sill + 0.05, TYRE)
    for x in (0.02, W - 0.36):
        front.rect(x, nose * 0.72, x + 0.34, nose * 0.94, LAMP_FRONT.times(lamps))
    front.rect(W / 2 - 0.26, 0.36, W / 2 + 0.26, 0.47, PLATE)

    top = Canvas(1.0, 1.0, 16.0, paint.times(1.1))
    top.rect(0.2, 0.0, 0.35, 1.0, paint.times(1.3))
    top.rect(0.0, 0.0, 1.0, 0.06, paint.times(0.7))
    z0, roof_w = -L / 2, W - 2 * inset
    return [
        Face((-W / 2, 0, L / 2), (0, 0, -L), (0, belt, 0), mirrored(side)),
        Face((W / 2, 0, -L / 2), (0, 0, L), (0, belt, 0), side),
        Face((-W / 2, belt, L / 2), (0, 0, -L), (inset, rise, 0), mirrored(upper)),
        Face((W / 2, belt, -L / 2), (0, 0, L), (-inset, rise, 0), upper),
        Face((-W / 2, 0, z0), (W, 0, 0), (0, belt, 0), rear),
        Face((W / 2, 0, L / 2), (-W, 0, 0), (0, nose, 0), front),
        Face(
            (-W / 2, belt, z0 + shape.tail),
            (W, 0, 0),
            (0, rise, shape.roof_rear - shape.tail),
            _glass(W, rise, inset, paint, daylight),
        ),
        Face(
            (W / 2, belt, z0 + shape.cowl),
            (-W, 0, 0),
            (0, rise, shape.roof_front - shape.cowl),
            _glass(W, rise, inset, paint, daylight),
        ),
        Face((-roof_w / 2, H, z0 + shape.roof_rear), (roof_w, 0, 0), (0, 0, shape.roof_front - shape.roof_rear), top),
        Face((-W / 2, belt, z0), (W, 0, 0), (0, 0, max(shape.tail, 0.02)), top),
        Face((W / 2, nose, L / 2), (-W, 0, 0), (0, belt - nose, shape.cowl - L), top),
    ]


def mirrored(canvas: Canvas) -> Canvas:
    """The same painting seen from the other side."""
    other = Canvas(canvas.width, canvas.height, canvas.ppm, canvas.base)
    other.photo, other.graphics = canvas.photo[:, ::-1].copy(), canvas.graphics[:, ::-1].copy()
    other.mask = None if canvas.mask is None else canvas.mask[:, ::-1].copy()
    return other
