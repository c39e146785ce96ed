"""Painted people, two-wheelers, plants, poles, lights and signs: cut-outs that are seen from one side."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Canvas, Paint, shifted
from .texture import noise_crop, soft_noise
from .types import Colour

PERSON_SIZE = (0.9, 1.85)  # metres
BIKE_SIZE = (1.9, 1.15)
_SKIN: tuple[Colour, ...] = ((224, 178, 150), (198, 146, 116), (150, 104, 78), (104, 72, 54))
_CLOTHES: tuple[Colour, ...] = (
    (44, 48, 60), (36, 36, 38), (128, 34, 38), (60, 78, 116), (196, 190, 178), (98, 104, 84), (150, 120, 84), (206, 120, 60),
    (84, 60, 88), (226, 222, 214), (70, 100, 108), (188, 170, 60),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = ((40, 46, 66), (30, 30, 32), (90, 86, 80), (120, 106, 86), (66, 80, 104))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 9.0) -> Colour:
    return shifted(rng, colours[int(rng.integers(len(colours)))], spread)


def _vivid(colour: Colour) -> Colour:
    """The game-like version of a colour: brighter and more saturated."""
    mean = sum(colour) / 3
    r, g, b = (float(np.clip(mean * 1.25 + (c - mean) * 1.8 + 18, 0, 255)) for c in colour)
    return (r, g, b)


def cloth(rng: np.random.Generator, colours: tuple[Colour, ...] = _CLOTHES) -> Paint:
    """A random garment."""
    colour = _pick(rng, colours)
    return Paint(colour, _vivid(colour), 120)


def _side_light(canvas: Canvas, sun_side: float) -> None:
    """Brighten the side towards the sun (-1 left, +1 right), as a round body would be."""
    columns = np.linspace(-1, 1, canvas.photo.shape[1], dtype=np.float32)
    factor = 0.95 + 0.30 * np.clip(columns * sun_side * 1.6, -1, 1)
    canvas.photo[..., :3] = np.clip(canvas.photo[..., :3] * factor[None, :, None], 0, 255)


class Outfit:
    """The colours of one person, shared by the parts it is painted in."""

    def __init__(self, rng: np.random.Generator) -> None:
        skin = _pick(rng, _SKIN, 6)
        self.skin = Paint(skin, _vivid(skin), 20)
        self.top, self.legs = cloth(rng), cloth(rng, _TROUSERS)
        hair = _pick(rng, ((40, 32, 26), (84, 60, 40), (150, 120, 80), (120, 118, 116), (24, 22, 22)), 8)
        self.hair = Paint(hair, _vivid(hair), 80)
        self.shoes = Paint((34, 32, 32), (60, 50, 60), 20)
        self.bag = cloth(rng) if rng.random() < 0.45 else None
        self.skirt = bool(rng.random() < 0.2)
        self.long_hair = bool(rng.random() < 0.4)
        self.build = float(rng.uniform(0.88, 1.15))


def _head(canvas: Canvas, outfit: Outfit, x: float, y: float, facing: int) -> None:
    """facing: 0 towards the viewer, 1 away, 2 to the right."""
    canvas.rect(x - 0.055, y - 0.2, x + 0.055, y - 0.05, outfit.skin.times(0.8))
    if outfit.long_hair:
        canvas.ellipse(x, y - 0.07, 0.13, 0.2, outfit.hair)
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
    canvas.line([(x - half * 0.9, 1.45), (x - half - 0.04 - swing, 1.12), (x - half - swing, 0.86)], 0.115, outfit.top.times(0.8))
    canvas.ellipse(x - half - swing, 0.84, 0.05, 0.06, outfit.skin)
    if outfit.skirt:
        canvas.poly([(x - half, 1.0), (x + half, 1.0), (x + half + 0.08, 0.62), (x - half - 0.08, 0.62)], outfit.legs)
    canvas.rect(x - half * 0.85, 0.78, x + half * 0.85, 1.0, outfit.legs)
    trunk = [(x - half, 1.42), (x - half * 0.5, 1.53), (x + half * 0.5, 1.53), (x + half, 1.42)]
    canvas.poly([*trunk, (x + half * 0.85, 1.1), (x + half * 0.95, 0.88), (x - half * 0.95, 0.88), (x - half * 0.85, 1.1)], outfit.top)
    canvas.line([(x, 1.5), (x, 0.9)], 0.03, outfit.top.times(0.75))
    canvas.rect(x - half * 0.9, 0.86, x + half * 0.9, 0.9, outfit.top.times(0.6))
    canvas.line([(x + half * 0.9, 1.45), (x + half + 0.04 + swing, 1.12), (x + half + swing, 0.88)], 0.115, outfit.top.times(0.9))
    canvas.ellipse(x + half + swing, 0.86, 0.05, 0.06, outfit.skin)
    if outfit.bag is not None:
        if facing == 1:
            canvas.ellipse(x, 1.25, 0.15, 0.2, outfit.bag)
        else:
            canvas.line([(x - half * 0.6, 1.48), (x + half, 0.95)], 0.04, outfit.bag)
            canvas.rect(x + half * 0.6, 0.75, x + half * 0.6 + 0.25, 1.0, outfit.bag)
    _head(canvas, outfit, x + (0.03 if facing == 2 else 0), 1.7, facing)
    canvas.grime(rng, 0.08, 0.1)
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
            canvas.line([(x + sign * 0.1, 0.95 - low), (x + sign * 0.17, 0.6), (x + sign * 0.13, 0.25)], 0.14, outfit.legs.times(0.9))
            canvas.ellipse(x + sign * 0.14, 0.22, 0.06, 0.07, outfit.shoes)
            canvas.line([(x + sign * 0.18, 1.42 - low), (x + sign * 0.31, 1.2 - low), (x + sign * 0.28, 1.0)], 0.11, outfit.top.times(0.85))
        canvas.poly([(x - 0.23, 1.42 - low), (x + 0.23, 1.42 - low), (x + 0.17, 0.85 - low), (x - 0.17, 0.85 - low)], outfit.top)
        canvas.ellipse(x, 1.42 - low, 0.22, 0.1, outfit.top)
        if outfit.bag is not None:
            canvas.ellipse(x, 1.2 - low, 0.16, 0.2, outfit.bag)
        head, facing = (x, 1.68 - low), int(rng.integers(2))
    _head(canvas, outfit, *head, facing)
    if helmet is not outfit.hair:
        canvas.ellipse(head[0], head[1] + (0.0 if motor else 0.06), 0.14, 0.155 if motor else 0.11, helmet)
    canvas.grime(rng, 0.08, 0.1)
    _side_light(canvas, sun_side)
    return canvas


def bicycle(rng: np.random.Generator, *, side: bool) -> Canvas:
    """A bicycle from the side (heading right) or from behind."""
    width = BIKE_SIZE[0] if side else 0.6
    frame = Paint(_pick(rng, ((150, 30, 34), (34, 60, 110), (40, 40, 42), (170, 172, 170), (30, 96, 70))), (255, 90, 60), 20)
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
    body = Paint(_pick(rng, ((140, 26, 30), (30, 48, 96), (34, 34, 36), (190, 190, 188), (196, 130, 30))), (120, 60, 255), 10)
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
        canvas.line([(x, clear * 0.9), ((x + tip[0]) / 2, (clear + tip[1]) / 2), tip], trunk * 0.4, trunk_paint.times(0.8))
    canvas.line([(x, 0), (x + float(rng.normal(0, 0.02)) * width, middle)], trunk, trunk_paint)
    canvas.line([(x + sun_side * trunk * 0.25, 0), (x + sun_side * trunk * 0.25, middle)], trunk * 0.3, trunk_paint.times(1.3))
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
        cv2.ellipse(crown, (int(cx * canvas.sx), int(h - cy * canvas.sy)), (int(r * canvas.sx), int(r * canvas.sy * 0.9)), 0, 0, 360, 255, -1)
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


_POLE = Paint((112, 114, 114), (70, 70, 90), 40)


def lamp(rng: np.random.Generator, height: float, reach: float, pole_width: float) -> Canvas:
    """A street lamp: pole, arm and head. `reach` > 0: the arm points to the right."""
    canvas = Canvas(abs(reach) * 2 + 0.4, height, 24.0, Paint(shifted(rng, _POLE.photo, 16), _POLE.graphics, 40), cut=True)
    x = canvas.width / 2
    paint = canvas.base
    canvas.rect(x - pole_width / 2, 0, x + pole_width / 2, height - 0.2, paint)
    canvas.rect(x + pole_width * 0.15, 0, x + pole_width / 2, height - 0.2, paint.times(0.7))
    canvas.rect(x - pole_width * 0.8, 0, x + pole_width * 0.8, 1.0, paint.times(0.85))
    canvas.line([(x, height - 0.5), (x + reach * 0.4, height - 0.14), (x + reach, height - 0.12)], 0.12, paint)
    canvas.poly([(x + reach * 0.8, height - 0.2), (x + reach * 1.05, height - 0.22), (x + reach * 1.05, height - 0.08), (x + reach * 0.8, height - 0.04)], paint.times(0.6))
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
    colour = _pick(rng, ((70, 80, 70), (120, 118, 110), (60, 60, 62), (150, 120, 40), (60, 84, 110)))
    canvas = Canvas(0.8, 1.1, 40.0, Paint(colour, (150, 150, 170), 60))
    canvas.rect(0, 0.95, 0.8, 1.1, canvas.base.times(0.6))
    canvas.rect(0.1, 0.2, 0.7, 0.8, canvas.base.times(1.15))
    canvas.grime(rng, 0.1, 0.3)
    return canvas
