"""Cars, vans, lorries, buses and trams as bodies of planar faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Paint, shifted
from .types import Colour

PPM = 34.0
Vector = tuple[float, float, float]

_CAR_COLOURS: tuple[Colour, ...] = (
    (196, 198, 200), (34, 36, 40), (92, 96, 102), (226, 226, 224), (132, 22, 28), (36, 58, 104), (60, 66, 74), (146, 150, 152),
    (40, 70, 60), (168, 150, 120), (178, 120, 40),
)  # fmt: skip
_CAR_GRAPHICS: tuple[Colour, ...] = ((255, 70, 70), (60, 120, 255), (255, 214, 40), (250, 250, 250), (60, 210, 200), (250, 130, 40))
_GLASS = Paint((44, 52, 60), (130, 200, 255), 6)
_TYRE = Paint((26, 26, 27), (50, 46, 60), 20)
_RIM = Paint((132, 134, 136), (220, 224, 230), 10)
_LAMP_REAR = Paint((150, 22, 22), (255, 40, 40), 0)
_LAMP_FRONT = Paint((232, 232, 222), (255, 255, 220), 0)
_PLATE = Paint((220, 216, 200), (255, 255, 255), 0)
_TRIM = Paint((42, 42, 44), (60, 60, 76), 20)


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


def _wheel(canvas: Canvas, x: float, radius: float) -> None:
    canvas.ellipse(x, radius + 0.02, radius * 1.16, radius * 1.16, _TRIM)
    canvas.ellipse(x, radius, radius, radius, _TYRE)
    canvas.ellipse(x, radius, radius * 0.62, radius * 0.62, _RIM)
    for k in range(5):
        a = k * 2 * np.pi / 5
        canvas.line([(x, radius), (x + radius * 0.55 * float(np.cos(a)), radius + radius * 0.55 * float(np.sin(a)))], 0.05, _TYRE)


def _glass(width: float, height: float, inset: float, frame: Paint, sky: float) -> Canvas:
    """A screen that narrows by `inset` on both sides towards the top, with the sky in it."""
    canvas = Canvas(width, height, PPM, frame, cut=True)
    canvas.poly([(0, 0), (width, 0), (width - inset, height), (inset, height)], frame)
    edge = 0.06
    low, high = inset * 0.1 + edge, inset + edge
    canvas.poly([(low, edge), (width - low, edge), (width - high, height - edge), (high, height - edge)], _GLASS)
    shine = Paint((90 + 60 * sky, 104 + 60 * sky, 118 + 60 * sky), (180, 226, 255), 6)
    y = height * 0.55
    canvas.poly([(high, y), (width * 0.62, y + 0.08), (width - high - 0.1, height - edge), (high, height - edge)], shine)
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
    side.poly([(0.04, 0.34), (0.2, sill), (L - 0.2, sill), (L - 0.03, 0.36), (L, nose * 0.8), (L - 0.15, nose), (shape.cowl, belt),
               (0.0, belt)], paint)  # fmt: skip
    side.poly([(0.04, 0.34), (0.2, sill), (L - 0.2, sill), (L - 0.04, 0.36)], paint.times(0.55))
    side.rect(0.05, belt * 0.62, L - 0.2, belt * 0.66, paint.times(1.28))
    side.rect(0.05, belt * 0.58, L - 0.2, belt * 0.62, paint.times(0.8))
    for x in (shape.roof_rear + 0.25, (shape.roof_rear + shape.cowl) / 2 + 0.15, shape.cowl):
        side.line([(x, sill + 0.08), (x, belt)], 0.03, paint.times(0.5))
    for x in (shape.roof_rear + 0.5, (shape.roof_rear + shape.cowl) / 2 + 0.4):
        side.rect(x, belt * 0.78, x + 0.2, belt * 0.82, paint.times(0.6))
    side.rect(0.0, belt * 0.62, 0.18, belt * 0.84, _LAMP_REAR)
    side.rect(L - 0.35, nose * 0.74, L - 0.08, nose * 0.92, _LAMP_FRONT)
    for x in (0.78, L - 0.85):
        _wheel(side, x, radius)

    inset, rise = 0.20, H - belt
    upper = Canvas(L, rise, PPM, paint, cut=True)
    upper.poly([(shape.tail, 0), (shape.roof_rear, rise), (shape.roof_front, rise), (shape.cowl, 0)], paint)
    a, b = shape.tail + 0.16, shape.roof_rear + 0.08
    c, d = shape.roof_front - 0.04, shape.cowl - 0.2
    upper.poly([(a, 0.03), (b, rise - 0.07), (c, rise - 0.07), (d, 0.03)], _GLASS)
    sky = Paint((110 + 40 * daylight, 122 + 40 * daylight, 132 + 40 * daylight), (190, 232, 255), 6)
    upper.poly([(b - 0.05, rise * 0.7), (b, rise - 0.07), (c, rise - 0.07), (c + 0.1, rise * 0.78)], sky)
    for x in (shape.roof_rear + 0.35, (shape.roof_rear + shape.cowl) / 2 + 0.15):
        upper.rect(x, 0, x + 0.09, rise, paint.times(0.5))

    rear = Canvas(W, belt, PPM, paint, cut=True)
    rear.rect(0.0, sill, W, belt, paint)
    rear.rect(0.0, sill, W, 0.42, paint.times(0.6))
    rear.rect(0.1, 0.3, W - 0.1, 0.36, _TRIM)
    for x in (0.04, W - 0.24):
        rear.rect(x, 0.0, x + 0.2, sill + 0.05, _TYRE)
    for x in (0.0, W - 0.36):
        rear.rect(x, belt * 0.62, x + 0.36, belt * 0.86, _LAMP_REAR.times(lamps))
    rear.rect(W / 2 - 0.26, 0.5, W / 2 + 0.26, 0.62, _PLATE)
    rear.rect(0.1, belt - 0.07, W - 0.1, belt - 0.03, paint.times(1.25))
    rear.rect(0.4, belt * 0.68, W - 0.4, belt * 0.72, paint.times(0.7))

    front = Canvas(W, nose, PPM, paint, cut=True)
    front.rect(0.0, sill, W, nose, paint)
    front.rect(0.35, 0.42, W - 0.35, nose - 0.1, _TRIM)
    front.rect(0.15, sill, W - 0.15, 0.34, _TRIM)
    for x in (0.04, W - 0.24):
        front.rect(x, 0.0, x + 0.2, sill + 0.05, _TYRE)
    for x in (0.02, W - 0.36):
        front.rect(x, nose * 0.72, x + 0.34, nose * 0.94, _LAMP_FRONT.times(lamps))
    front.rect(W / 2 - 0.26, 0.36, W / 2 + 0.26, 0.47, _PLATE)

    top = Canvas(1.0, 1.0, 16.0, paint.times(1.1))
    top.rect(0.2, 0.0, 0.35, 1.0, paint.times(1.3))
    top.rect(0.0, 0.0, 1.0, 0.06, paint.times(0.7))
    z0, roof_w = -L / 2, W - 2 * inset
    return [
        Face((-W / 2, 0, L / 2), (0, 0, -L), (0, belt, 0), _mirrored(side)),
        Face((W / 2, 0, -L / 2), (0, 0, L), (0, belt, 0), side),
        Face((-W / 2, belt, L / 2), (0, 0, -L), (inset, rise, 0), _mirrored(upper)),
        Face((W / 2, belt, -L / 2), (0, 0, L), (-inset, rise, 0), upper),
        Face((-W / 2, 0, z0), (W, 0, 0), (0, belt, 0), rear),
        Face((W / 2, 0, L / 2), (-W, 0, 0), (0, nose, 0), front),
        Face((-W / 2, belt, z0 + shape.tail), (W, 0, 0), (0, rise, shape.roof_rear - shape.tail),
             _glass(W, rise, inset, paint, daylight)),
        Face((W / 2, belt, z0 + shape.cowl), (-W, 0, 0), (0, rise, shape.roof_front - shape.cowl),
             _glass(W, rise, inset, paint, daylight)),
        Face((-roof_w / 2, H, z0 + shape.roof_rear), (roof_w, 0, 0), (0, 0, shape.roof_front - shape.roof_rear), top),
        Face((-W / 2, belt, z0), (W, 0, 0), (0, 0, max(shape.tail, 0.02)), top),
        Face((W / 2, nose, L / 2), (-W, 0, 0), (0, belt - nose, shape.cowl - L), top),
    ]  # fmt: skip


def _mirrored(canvas: Canvas) -> Canvas:
    """The same painting seen from the other side."""
    other = Canvas(canvas.width, canvas.height, canvas.ppm, canvas.base)
    other.photo, other.graphics = canvas.photo[:, ::-1].copy(), canvas.graphics[:, ::-1].copy()
    other.mask = None if canvas.mask is None else canvas.mask[:, ::-1].copy()
    return other


def _long_side(rng: np.random.Generator, kind: str, length: float, height: float, paint: Paint, daylight: float) -> Canvas:
    """The side of a bus, a tram or a lorry's box, heading right."""
    canvas = Canvas(length, height, 24.0, paint, cut=True)
    sill = 0.18 if kind == "train" else 0.32
    canvas.rect(0, sill, length, height, paint)
    if kind in ("bus", "train"):
        canvas.rect(0.15, height * 0.42, length - 0.1, height * 0.82, _GLASS)
        step = 1.35
        for x in np.arange(0.15, length, step):
            canvas.rect(float(x), height * 0.42, float(x) + 0.1, height * 0.82, paint.times(0.45))
            shine = Paint(shifted(rng, (100 + 40 * daylight, 112 + 40 * daylight, 122 + 40 * daylight), 14), (190, 232, 255), 6)
            canvas.poly([(x + 0.12, height * 0.66), (x + step - 0.05, height * 0.74), (x + step - 0.05, height * 0.8), (x + 0.12, height * 0.8)], shine)
        for x in np.arange(length * 0.12, length - 1.6, length * 0.32):
            canvas.rect(float(x), sill + 0.05, float(x) + 1.3, height * 0.82, _TRIM)
            for k in (0.08, 0.7):
                canvas.rect(float(x) + k, sill + 0.3, float(x) + k + 0.52, height * 0.78, _GLASS.times(1.3))
        stripe = Paint(shifted(rng, (214, 206, 190), 14), (255, 255, 255), 10)
        canvas.rect(0, height * 0.34, length, height * 0.39, stripe)
        canvas.rect(0, height * 0.88, length, height * 0.9, paint.times(0.7))
        if rng.random() < 0.5:
            x = length * 0.45
            canvas.rect(x, sill + 0.2, x + length * 0.22, height * 0.33, Paint(shifted(rng, (180, 150, 110), 40), (255, 180, 220), 20))
    else:
        for x in np.arange(0, length, 0.9):
            canvas.rect(float(x), sill, float(x) + 0.04, height, paint.times(0.8))
        if rng.random() < 0.6:
            mark = Paint(shifted(rng, (60, 80, 130), 50), (255, 120, 120), 20)
            canvas.rect(length * 0.2, height * 0.45, length * 0.8, height * 0.7, mark)
            canvas.rect(length * 0.26, height * 0.52, length * 0.7, height * 0.6, Paint((226, 222, 212), (255, 255, 255), 0))
    canvas.rect(0, sill, length, sill + 0.25, paint.times(0.5))
    canvas.rect(0, height - 0.08, length, height, paint.times(1.2))
    wheels = (1.5, 2.6, length - 1.5, length - 2.6) if kind == "train" else (1.6, length - 2.2)
    for x in wheels:
        if kind == "train":
            canvas.rect(x - 0.45, 0.0, x + 0.45, sill + 0.1, _TRIM)
        else:
            _wheel(canvas, x, 0.46)
    canvas.grime(rng, 0.05, 0.8)
    return canvas


def _end(rng: np.random.Generator, kind: str, width: float, height: float, paint: Paint, *, front: bool, daylight: float) -> Canvas:
    """The front or rear end of a long vehicle."""
    canvas = Canvas(width, height, 32.0, paint, cut=True)
    canvas.rect(0, 0.3, width, height, paint)
    for x in (0.1, width - 0.42):
        canvas.rect(x, 0.0, x + 0.32, 0.5, _TYRE)
    canvas.rect(0, 0.3, width, 0.62, paint.times(0.5))
    low, high = (0.42, 0.86) if front or kind == "train" else (0.5, 0.8)
    if front or kind != "truck":
        canvas.rect(0.12, height * low, width - 0.12, height * high, _GLASS)
        shine = Paint((96 + 60 * daylight, 108 + 60 * daylight, 120 + 60 * daylight), (190, 232, 255), 6)
        canvas.poly([(0.2, height * (high - 0.16)), (width * 0.7, height * (high - 0.1)), (width - 0.3, height * high - 0.05), (0.2, height * high - 0.05)], shine)
        if kind != "truck":
            canvas.rect(0.3, height * 0.89, width - 0.3, height * 0.96, _TRIM)
            canvas.rect(0.5, height * 0.9, width * 0.8, height * 0.95, Paint((236, 170, 50), (255, 210, 60), 0))
    else:
        canvas.rect(width / 2 - 0.03, 0.6, width / 2 + 0.03, height - 0.1, paint.times(0.55))
        for x in (0.25, width - 0.35):
            canvas.rect(x, 0.7, x + 0.06, height - 0.3, paint.times(0.7))
    lamp = _LAMP_FRONT if front else _LAMP_REAR
    for x in (0.08, width - 0.43):
        canvas.rect(x, 0.66, x + 0.35, 0.86, lamp)
    canvas.rect(width / 2 - 0.3, 0.42, width / 2 + 0.3, 0.56, _PLATE)
    canvas.grime(rng, 0.06, 0.6)
    return canvas


def _box(z0: float, z1: float, width: float, height: float, side: Canvas, rear: Canvas, front: Canvas, top: Canvas) -> list[Face]:
    length = z1 - z0
    return [
        Face((-width / 2, 0, z1), (0, 0, -length), (0, height, 0), _mirrored(side)),
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
        cab_paint = Paint(shifted(rng, ((190, 190, 186), (140, 30, 32), (40, 66, 120))[int(rng.integers(3))], 10), (120, 60, 220), 10)
        top = Canvas(1, 1, 16.0, paint.times(0.9))
        box_side = _long_side(rng, kind, length - 2.1, height, paint, daylight)
        box_end = _end(rng, kind, width, height, paint, front=False, daylight=daylight)
        cab_height = 2.6
        cab_side = Canvas(1.9, cab_height, 30.0, cab_paint, cut=True)
        cab_side.poly([(0, 0.4), (1.9, 0.4), (1.9, 1.3), (1.6, cab_height), (0, cab_height)], cab_paint)
        cab_side.poly([(0.5, 1.4), (1.75, 1.4), (1.5, 2.35), (0.5, 2.35)], _GLASS)
        cab_side.rect(0, 0.4, 1.9, 0.6, cab_paint.times(0.5))
        _wheel(cab_side, 1.0, 0.46)
        cab_front = _end(rng, kind, width, cab_height, cab_paint, front=True, daylight=daylight)
        faces = _box(-length / 2, length / 2 - 2.1, width, height, box_side, box_end, box_end, top)
        return faces + _box(length / 2 - 1.9, length / 2, width * 0.98, cab_height, cab_side, box_end, cab_front, top), length
    length, width, height = (12.0, 2.5, 3.1) if kind == "bus" else (float(rng.uniform(18, 28)), 2.45, 3.4)
    side = _long_side(rng, kind, length, height, paint, daylight)
    rear = _end(rng, kind, width, height, paint, front=False, daylight=daylight)
    front = _end(rng, kind, width, height, paint, front=True, daylight=daylight)
    return _box(-length / 2, length / 2, width, height, side, rear, front, Canvas(1, 1, 16.0, paint.times(1.1))), length
