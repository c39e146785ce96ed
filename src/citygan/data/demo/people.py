"""Painted people on foot and riders: cut-outs that are seen from one side."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Paint, pick
from .types import Colour

PERSON_SIZE = (0.9, 1.85)  # metres
_SKIN: tuple[Colour, ...] = ((224, 178, 150), (198, 146, 116), (150, 104, 78), (104, 72, 54))
_CLOTHES: tuple[Colour, ...] = (
    (44, 48, 60),
    (36, 36, 38),
    (128, 34, 38),
    (60, 78, 116),
    (196, 190, 178),
    (98, 104, 84),
    (150, 120, 84),
    (206, 120, 60),
    (84, 60, 88),
    (226, 222, 214),
    (70, 100, 108),
    (188, 170, 60),
)
_TROUSERS: tuple[Colour, ...] = ((40, 46, 66), (30, 30, 32), (90, 86, 80), (120, 106, 86), (66, 80, 104))


def _vivid(colour: Colour) -> Colour:
    """The game-like version of a colour: brighter and more saturated."""
    mean = sum(colour) / 3
    r, g, b = (float(np.clip(mean * 1.25 + (c - mean) * 1.8 + 18, 0, 255)) for c in colour)
    return (r, g, b)


def cloth(rng: np.random.Generator, colours: tuple[Colour, ...] = _CLOTHES) -> Paint:
    """A random garment."""
    colour = pick(rng, colours)
    return Paint(colour, _vivid(colour), 120)


def _side_light(canvas: Canvas, sun_side: float) -> None:
    """Brighten the side towards the sun (-1 left, +1 right), as a round body would be."""
    columns = np.linspace(-1, 1, canvas.photo.shape[1], dtype=np.float32)
    factor = 0.95 + 0.30 * np.clip(columns * sun_side * 1.6, -1, 1)
    canvas.photo[..., :3] = np.clip(canvas.photo[..., :3] * factor[None, :, None], 0, 255)


class Outfit:
    """The colours of one person, shared by the parts it is painted in."""

    def __init__(self, rng: np.random.Generator) -> None:
        skin = pick(rng, _SKIN, 6)
        self.skin = Paint(skin, _vivid(skin), 20)
        self.top, self.legs = cloth(rng), cloth(rng, _TROUSERS)
        hair = pick(rng, ((40, 32, 26), (84, 60, 40), (150, 120, 80), (120, 118, 116), (24, 22, 22)), 8)
        self.hair = Paint(hair, _vivid(hair), 80)
        self.shoes = Paint((34, 32, 32), (60, 50, 60), 20)
        self.bag = cloth(rng) if rng.random() < 0.45 else None
        self.skirt = bool(rng.random() < 0.2)
        self.long_hair = bool(rng.random() < 0.4)
        self.build = float(rng.uniform(0.88, 1.15))


def _head(canvas: Canvas, outfit: Outfit, x: float, y: float, facing: int) -> None:
    """facing: 0 towards the viewer, 1 away, 2 to the right."""
    if outfit.long_hair:
        canvas.ellipse(x, y - 0.05, 0.145, 0.2, outfit.hair)
    neck = outfit.hair if outfit.long_hair and facing == 1 else outfit.skin.times(0.85)
    canvas.rect(x - 0.06, y - 0.2, x + 0.06, y - 0.05, neck)
    canvas.ellipse(x, y, 0.105, 0.135, outfit.hair if facing == 1 else outfit.skin)
    if facing != 1:
        canvas.ellipse(x - (0.04 if facing == 2 else 0), y + 0.07, 0.115, 0.085, outfit.hair)


def upper_body(rng: np.random.Generator, outfit: Outfit, sun_side: float, facing: int) -> Canvas:
    """Head, arms and trunk of a walking person, standing on the hip height (the legs are surfaces of their own)."""
    width, height = PERSON_SIZE
    canvas = Canvas(width, height, 60.0, outfit.top, cut=True)
    x, b = width / 2, outfit.build
    swing = float(rng.uniform(0.03, 0.2)) if facing == 2 else float(rng.uniform(0.0, 0.05))
    half = (0.15 if facing == 2 else 0.215) * b
    canvas.line(
        [(x - half * 0.9, 1.45), (x - half - 0.04 - swing, 1.12), (x - half - swing, 0.86)],
        0.115,
        outfit.top.times(0.8),
    )
    canvas.ellipse(x - half - swing, 0.84, 0.05, 0.06, outfit.skin)
    if outfit.skirt:
        canvas.poly([(x - half, 1.0), (x + half, 1.0), (x + half + 0.08, 0.62), (x - half - 0.08, 0.62)], outfit.legs)
    canvas.rect(x - half * 0.85, 0.78, x + half * 0.85, 1.0, outfit.legs)
    trunk = [(x - half, 1.42), (x - half * 0.5, 1.53), (x + half * 0.5, 1.53), (x + half, 1.42)]
    canvas.poly(
        [*trunk, (x + half * 0.85, 1.1), (x + half * 0.95, 0.88), (x - half * 0.95, 0.88), (x - half * 0.85, 1.1)],
        outfit.top,
    )
    canvas.line([(x, 1.5), (x, 0.9)], 0.03, outfit.top.times(0.75))
    canvas.rect(x - half * 0.9, 0.86, x + half * 0.9, 0.9, outfit.top.times(0.6))
    canvas.line(
        [(x + half * 0.9, 1.45), (x + half + 0.04 + swing, 1.12), (x + half + swing, 0.88)],
        0.115,
        outfit.top.times(0.9),
    )
    canvas.ellipse(x + half + swing, 0.86, 0.05, 0.06, outfit.skin)
    if outfit.bag is not None:
        if facing == 1:
            canvas.ellipse(x, 1.25, 0.15, 0.2, outfit.bag)
        else:
            canvas.line([(x - half * 0.6, 1.48), (x + half, 0.95)], 0.04, outfit.bag)
            canvas.rect(x + half * 0.6, 0.75, x + half * 0.6 + 0.25, 1.0, outfit.bag)
    _head(canvas, outfit, x + (0.03 if facing == 2 else 0), 1.7, facing)
    canvas.grime(rng, 0.045, 0.12)
    _side_light(canvas, sun_side)
    return canvas


def leg(outfit: Outfit, sun_side: float) -> Canvas:
    """One leg with its shoe, 0.95 m tall, hanging from its upper end."""
    canvas = Canvas(0.42, 0.95, 50.0, outfit.legs, cut=True)
    bare = outfit.skirt
    canvas.line([(0.2, 0.88), (0.21, 0.48)], 0.17, outfit.skin if bare else outfit.legs)
    canvas.line([(0.21, 0.48), (0.2, 0.1)], 0.13, (outfit.skin if bare else outfit.legs).times(0.93))
    canvas.poly([(0.12, 0.0), (0.34, 0.0), (0.33, 0.07), (0.22, 0.12), (0.12, 0.12)], outfit.shoes)
    _side_light(canvas, sun_side)
    return canvas


def rider(rng: np.random.Generator, outfit: Outfit, sun_side: float, *, side: bool, motor: bool) -> Canvas:
    """A rider without the vehicle, from the side (riding to the right) or from behind, 1.9 m wide, 1.9 m tall."""
    canvas = Canvas(1.9, 1.9, 50.0, outfit.top, cut=True)
    helmet = cloth(rng) if motor or rng.random() < 0.5 else outfit.hair
    low = 0.12 if motor else 0.0
    if side:
        hip, shoulder, hand = (0.72, 0.98 - low), (0.95, 1.48 - low), (1.38, 1.08 - low)
        for knee, foot, shade in (((1.06, 0.74), (0.98, 0.3), 0.7), ((1.12, 0.9), (1.0, 0.42), 1.0)):
            canvas.line([hip, knee, foot], 0.14, outfit.legs.times(shade))
            canvas.line([foot, (foot[0] + 0.16, foot[1] - 0.02)], 0.09, outfit.shoes)
        canvas.line([hip, shoulder], 0.27, outfit.top)
        canvas.line([shoulder, (1.16, 1.16 - low), hand], 0.11, outfit.top.times(0.85))
        head = (1.06, 1.7 - low)
        facing = 2
    else:
        x = 0.95
        for sign in (-1, 1):
            canvas.line(
                [(x + sign * 0.1, 0.95 - low), (x + sign * 0.17, 0.6), (x + sign * 0.13, 0.25)],
                0.14,
                outfit.legs.times(0.9),
            )
            canvas.ellipse(x + sign * 0.14, 0.22, 0.06, 0.07, outfit.shoes)
            canvas.line(
                [(x + sign * 0.18, 1.42 - low), (x + sign * 0.31, 1.2 - low), (x + sign * 0.28, 1.0)],
                0.11,
                outfit.top.times(0.85),
            )
        canvas.poly(
            [(x - 0.23, 1.42 - low), (x + 0.23, 1.42 - low), (x + 0.17, 0.85 - low), (x - 0.17, 0.85 - low)], outfit.top
        )
        canvas.ellipse(x, 1.42 - low, 0.22, 0.1, outfit.top)
        if outfit.bag is not None:
            canvas.ellipse(x, 1.2 - low, 0.16, 0.2, outfit.bag)
        head, facing = (x, 1.68 - low), int(rng.integers(2))
    _head(canvas, outfit, *head, facing)
    if helmet is not outfit.hair:
        canvas.ellipse(head[0], head[1] + (0.0 if motor else 0.06), 0.14, 0.155 if motor else 0.11, helmet)
    canvas.grime(rng, 0.045, 0.12)
    _side_light(canvas, sun_side)
    return canvas
