"""Painted buildings: facades in several styles, roofs, gable ends, walls, fences."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Paint, shifted
from .texture import BRICK, CONCRETE, PLAIN, PLANKS, PLASTER
from .types import Colour

NEAR_PPM, FAR_PPM = 18.0, 8.0  # pixels a metre of painted facades near by and far down the street
FAR_METRES = 45.0
STYLES = ("brick", "plaster", "concrete", "glass", "old")

_WALLS: dict[str, tuple[Colour, ...]] = {
    "brick": ((142, 82, 66), (158, 104, 82), (122, 76, 68), (170, 128, 100)),
    "plaster": ((206, 194, 170), (216, 206, 190), (190, 160, 126), (198, 178, 150), (176, 182, 182), (210, 176, 150)),
    "concrete": ((150, 150, 146), (168, 164, 156), (132, 134, 136)),
    "glass": ((96, 108, 118), (80, 92, 100), (112, 122, 128)),
    "old": ((186, 170, 140), (170, 160, 146), (200, 186, 156), (160, 134, 110)),
}
_GRAPHICS_WALLS: tuple[Colour, ...] = (
    (236, 188, 128),
    (226, 150, 120),
    (244, 216, 160),
    (180, 206, 214),
    (206, 186, 224),
    (238, 170, 150),
    (200, 214, 170),
)
FACADE_TILE = {"brick": BRICK, "plaster": PLASTER, "concrete": CONCRETE, "glass": PLAIN, "old": PLASTER}

_GLASS = Paint((52, 62, 72), (120, 190, 236), 12)
_FRAME = Paint((222, 220, 214), (255, 255, 255), 20)
_DARK = Paint((40, 38, 36), (70, 66, 90), 30)


def wall_paint(rng: np.random.Generator, style: str) -> Paint:
    """The wall colour of a building."""
    colours = _WALLS[style]
    photo = shifted(rng, colours[int(rng.integers(len(colours)))], 9)
    graphics = _GRAPHICS_WALLS[int(rng.integers(len(_GRAPHICS_WALLS)))]
    return Paint(photo, graphics, 150 if style == "brick" else 110)


def _pane(
    rng: np.random.Generator, canvas: Canvas, x0: float, y0: float, x1: float, y1: float, daylight: float
) -> None:
    """A pane: dark room below, reflected sky above, at times curtains or a lamp."""
    glass = Paint(shifted(rng, _GLASS.photo, 12), _GLASS.graphics, 12)
    canvas.rect(x0, y0, x1, y1, glass)
    kind = rng.random()
    split = y0 + (y1 - y0) * rng.uniform(0.35, 0.75)
    if kind < 0.45:
        sky = Paint(
            shifted(rng, (128 + 40 * daylight, 142 + 40 * daylight, 156 + 40 * daylight), 14), (160, 214, 246), 12
        )
        canvas.poly([(x0, split), (x1, split + (x1 - x0) * 0.4), (x1, y1), (x0, y1)], sky)
    elif kind < 0.72:
        cloth = Paint(shifted(rng, (190, 184, 170), 16), (214, 232, 244), 40)
        edge = (x1 - x0) * rng.uniform(0.2, 0.34)
        canvas.rect(x0, y0, x0 + edge, y1, cloth)
        canvas.rect(x1 - edge, y0, x1, y1, cloth.times(0.92))
    elif kind < 0.84:
        canvas.rect(x0, split, x1, y1, Paint(shifted(rng, (176, 170, 158), 18), (226, 232, 236), 40))
    elif daylight < 0.3 and kind < 0.97:
        canvas.rect(x0, y0, x1, y1, Paint(shifted(rng, (250, 214, 140), 10), (255, 232, 150), 10))


def _window_cell(
    rng: np.random.Generator,
    wall: Paint,
    style: str,
    cell: tuple[float, float],
    look: dict[str, float],
    daylight: float,
    ppm: float,
) -> Canvas:
    """One bay of one floor, wall included."""
    width, height = cell
    canvas = Canvas(width, height, ppm, wall)
    if style == "glass":
        _pane(rng, canvas, 0, 0.55, width, height, daylight)
        canvas.rect(0, 0, width, 0.5, Paint(shifted(rng, wall.photo, 10), (96, 130, 170), 20))
        canvas.rect(0, 0, 0.09, height, Paint((150, 154, 156), (230, 236, 240), 20))
        canvas.rect(0, 0.48, width, 0.58, Paint((132, 136, 138), (230, 236, 240), 20))
        return canvas
    w, h = width * look["wide"], height * look["tall"]
    x0, y0 = (width - w) / 2, height * 0.24
    x1, y1 = x0 + w, min(y0 + h, height - 0.2)
    if look["surround"] > 0.5:
        canvas.rect(x0 - 0.16, y0 - 0.1, x1 + 0.16, y1 + 0.2, wall.times(1.22 if style != "brick" else 1.5))
    canvas.rect(x0, y0, x1, y1, _FRAME if look["frame"] < 0.7 else _DARK)
    bar = 0.07
    panes = 2 if w > 1.0 else 1
    for k in range(panes):
        left = x0 + bar + k * (w - bar) / panes
        _pane(rng, canvas, left, y0 + bar, left + (w - bar) / panes - bar, y1 - bar, daylight)
    canvas.rect(x0, y1 - 0.14, x1, y1, Paint((46, 44, 44), (90, 110, 150), 10))  # shadow of the lintel
    canvas.rect(x0 - 0.1, y0 - 0.12, x1 + 0.1, y0, Paint((200, 196, 186), (250, 250, 244), 30))
    canvas.rect(x0 - 0.1, y0 - 0.22, x1 + 0.1, y0 - 0.12, wall.times(0.66))
    if look["shutters"] > 0.75:
        shutter = Paint((70 + 40 * look["frame"], 92, 84), (90, 160, 130), 90)
        canvas.rect(x0 - 0.42, y0, x0 - 0.04, y1, shutter)
        canvas.rect(x1 + 0.04, y0, x1 + 0.42, y1, shutter.times(0.9))
    return canvas


def _balcony(canvas: Canvas, x: float, y: float, width: float) -> None:
    canvas.rect(x, y - 0.5, x + width, y, Paint((70, 66, 64), (150, 140, 150), 20))
    canvas.rect(x, y, x + width, y + 0.16, Paint((186, 182, 174), (236, 236, 232), 40))
    rail = Paint((60, 62, 64), (90, 96, 120), 20)
    for k in range(int(width / 0.2) + 1):
        canvas.rect(x + k * 0.2, y + 0.16, x + k * 0.2 + 0.04, y + 1.0, rail)
    canvas.rect(x, y + 0.95, x + width, y + 1.05, rail)


_SHOP_COLOURS: tuple[Colour, ...] = (
    (150, 40, 36),
    (36, 70, 120),
    (44, 92, 62),
    (190, 140, 40),
    (60, 58, 60),
    (206, 200, 188),
)


def _shops(rng: np.random.Generator, canvas: Canvas, height: float, daylight: float) -> None:
    """A ground floor of shop windows, doors, sign boards and awnings."""
    x = 0.3
    while x < canvas.width - 2.0:
        w = min(float(rng.uniform(2.6, 5.0)), canvas.width - x - 0.2)
        colour = shifted(rng, _SHOP_COLOURS[int(rng.integers(len(_SHOP_COLOURS)))], 10)
        sign = Paint(colour, (min(255, colour[0] * 1.5), min(255, colour[1] * 1.3), min(255, colour[2] * 1.3)), 30)
        canvas.rect(x, 0.0, x + w, height - 0.3, sign.times(0.7))
        canvas.rect(x + 0.1, 0.5, x + w - 1.2, height - 0.9, _GLASS)
        for _ in range(int(w * 2)):  # goods behind the glass
            gx, gy = rng.uniform(x + 0.15, max(x + 0.2, x + w - 1.6)), rng.uniform(0.5, 1.7)
            goods = shifted(rng, (150, 128, 104), 46)
            canvas.rect(
                gx, gy, gx + rng.uniform(0.15, 0.5), gy + rng.uniform(0.15, 0.6), Paint(goods, (160, 200, 220), 20)
            )
        canvas.rect(x + 0.1, height - 1.25, x + w - 1.2, height - 0.9, Paint((130, 138, 144), (170, 220, 240), 10))
        canvas.rect(x + w - 1.05, 0.05, x + w - 0.15, 2.2, Paint(shifted(rng, (74, 66, 60), 18), (120, 90, 80), 60))
        canvas.rect(x + w - 0.92, 0.9, x + w - 0.28, 2.05, _GLASS)
        canvas.rect(x, height - 0.85, x + w, height - 0.3, sign)
        lx = x + 0.3
        while lx < x + w - 0.5:  # letters
            step = rng.uniform(0.16, 0.3)
            canvas.rect(lx, height - 0.72, lx + step * 0.6, height - 0.45, Paint((236, 230, 214), (255, 255, 240), 0))
            lx += step
        if rng.random() < 0.35:
            stripes = Paint((230, 226, 216), (255, 250, 240), 40)
            for k in range(int(w / 0.3)):
                sx = x + k * 0.3
                cloth = sign if k % 2 else stripes
                canvas.rect(sx, height - 1.35, sx + 0.3, height - 0.8, cloth)
            canvas.rect(x, height - 1.5, x + w, height - 1.35, _DARK)
        x += w + float(rng.uniform(0.15, 0.6))
    canvas.rect(0, height - 0.3, canvas.width, height, Paint((176, 170, 160), (240, 236, 226), 60))


def _ground_floor(rng: np.random.Generator, canvas: Canvas, wall: Paint, height: float, cell: Canvas) -> None:
    """Windows with one or two doors."""
    canvas.rect(0, 0, canvas.width, 0.6, wall.times(0.7))
    count = max(1, int(canvas.width / cell.width))
    door = int(rng.integers(count))
    for k in range(count):
        x = k * canvas.width / count
        if k == door or (count > 6 and k == (door + 4) % count):
            colour = shifted(rng, ((96, 58, 40), (52, 66, 82), (60, 78, 58))[int(rng.integers(3))], 10)
            middle = x + cell.width / 2
            canvas.rect(middle - 0.75, 0, middle + 0.75, 2.65, wall.times(1.25))
            canvas.rect(middle - 0.58, 0.1, middle + 0.58, 2.45, Paint(colour, (190, 90, 70), 110))
            canvas.rect(middle - 0.5, 1.7, middle + 0.5, 2.35, _GLASS)
            canvas.rect(middle - 0.02, 0.1, middle + 0.02, 2.4, _DARK)
            canvas.rect(middle - 0.85, 0, middle + 0.85, 0.14, Paint((150, 146, 140), (220, 220, 214), 60))
        else:
            canvas.paste(cell, x, 0.35)


def facade(
    rng: np.random.Generator,
    style: str,
    wall: Paint,
    width: float,
    height: float,
    *,
    shops: bool,
    daylight: float,
    ppm: float,
) -> Canvas:
    """The street side of a building at `ppm` pixels a metre; `daylight` 0..1 decides about lit windows."""
    canvas = Canvas(width, height, ppm, wall)
    canvas.grime(rng, 0.05, 2.0)
    look = {key: float(rng.random()) for key in ("surround", "frame", "shutters")}
    look["wide"], look["tall"] = float(rng.uniform(0.36, 0.6)), float(rng.uniform(0.48, 0.62))
    ground = 3.9 if shops else 3.2
    floors = max(1, round((height - ground - 0.6) / 3.1))
    floor = (height - ground - 0.6) / floors
    bays = max(2, round(width / float(rng.uniform(2.2, 3.4))))
    cell = (width / bays, floor)
    variants = [_window_cell(rng, wall, style, cell, look, daylight, ppm) for _ in range(5)]
    if style != "glass":
        for variant in variants:
            variant.grime(rng, 0.05, 0.8)
    balconies = style in ("plaster", "concrete", "old") and rng.random() < 0.4
    columns = rng.random(bays) < 0.45
    for row in range(floors):
        for column in range(bays):
            canvas.paste(variants[int(rng.integers(5))], column * cell[0], ground + row * floor)
            if balconies and columns[column]:
                _balcony(canvas, column * cell[0] + 0.1, ground + row * floor + 0.1, cell[0] - 0.2)
        if style in ("old", "concrete") or (style == "plaster" and row == 0):
            line = ground + row * floor
            canvas.rect(0, line - 0.1, width, line + 0.1, wall.times(1.2))
            canvas.rect(0, line - 0.22, width, line - 0.1, wall.times(0.7))
    if shops:
        _shops(rng, canvas, ground, daylight)
    else:
        _ground_floor(rng, canvas, wall, ground, _window_cell(rng, wall, style, (cell[0], 2.9), look, daylight, ppm))
    canvas.rect(0, height - 0.6, width, height, wall.times(1.12))
    canvas.rect(0, height - 0.75, width, height - 0.6, wall.times(0.62))
    canvas.rect(0, height - 0.12, width, height, Paint((150, 146, 140), (200, 190, 190), 40))
    if style != "glass" and rng.random() < 0.7:  # rain pipe
        x = float(rng.uniform(0.1, 0.3))
        canvas.rect(x, 0, x + 0.12, height - 0.6, Paint((104, 106, 106), (190, 190, 200), 20))
        canvas.rect(x + 0.12, 0, x + 0.2, height - 0.6, wall.times(0.72))
    return canvas


def gable(rng: np.random.Generator, wall: Paint, width: float, height: float, rise: float) -> Canvas:
    """A side wall, with a gable of `rise` metres on top (0: a flat top), a few windows and stains."""
    canvas = Canvas(width, height + rise, 10.0, wall.times(0.95), cut=rise > 0)
    if rise > 0:
        canvas.poly([(0, 0), (width, 0), (width, height), (width / 2, height + rise), (0, height)], wall.times(0.95))
    if rng.random() < 0.8:
        for y in np.arange(1.2, height - 1.5, 3.1):
            for x in np.arange(width * 0.14, width - 1.2, 2.9):
                if rng.random() < 0.72:
                    canvas.rect(x, float(y), x + 1.0, float(y) + 1.3, _FRAME)
                    canvas.rect(x + 0.1, float(y) + 0.1, x + 0.9, float(y) + 1.15, _GLASS)
                    canvas.rect(x - 0.05, float(y) - 0.12, x + 1.05, float(y), wall.times(0.66))
    canvas.grime(rng, 0.055, 2.0)
    return canvas


def roof(rng: np.random.Generator, width: float, depth: float) -> Canvas:
    """A slope of roof tiles, with dormer-like skylights at times."""
    colours: tuple[Colour, ...] = ((132, 66, 50), (92, 84, 82), (108, 74, 60), (78, 82, 90))
    canvas = Canvas(width, depth, 8.0, Paint(shifted(rng, colours[int(rng.integers(4))], 9), (206, 90, 74), 190))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0.5, max(0.6, width - 2)), rng.uniform(0.3, max(0.4, depth - 1.6))
        canvas.rect(x, y, x + 0.9, y + 1.2, Paint((70, 84, 96), (150, 210, 240), 10))
    canvas.grime(rng, 0.10, 1.5)
    return canvas


def wall(rng: np.random.Generator, width: float, height: float) -> tuple[Canvas, int]:
    """A free-standing wall and the tile it is made of."""
    tile = (BRICK, CONCRETE, PLASTER)[int(rng.integers(3))]
    colour: Colour = {BRICK: (140, 92, 76), CONCRETE: (150, 148, 142), PLASTER: (196, 188, 168)}[tile]
    paint = Paint(shifted(rng, colour, 12), (170, 140, 190), 170)
    canvas = Canvas(width, height, 16.0, paint)
    canvas.grime(rng, 0.12, 1.5)
    for x in np.arange(0, width, 3.0):
        canvas.rect(float(x), 0, float(x) + 0.35, height, paint.times(0.86))
    canvas.rect(0, height - 0.14, width, height, Paint((176, 172, 166), (210, 190, 226), 60))
    canvas.rect(0, height - 0.22, width, height - 0.14, paint.times(0.6))
    canvas.shade_rows(0.72, 1.0, 0.5)
    if tile != BRICK and rng.random() < 0.5:  # writing on the wall
        for _ in range(int(rng.integers(1, 4))):
            spray = Paint(shifted(rng, (110, 90, 130), 60), (230, 120, 180), 60)
            start = rng.uniform(0.5, max(0.6, width - 3))
            points = [(start + 0.25 * k, float(rng.uniform(0.3, height * 0.75))) for k in range(7)]
            canvas.line(points, 0.12, spray)
    return canvas, tile


def fence(rng: np.random.Generator, width: float, height: float) -> tuple[Canvas, int]:
    """A see-through fence: iron bars, wooden pales or a guard rail; and the tile it is made of."""
    kind = int(rng.integers(3))
    metal = shifted(rng, ((58, 62, 60), (120, 124, 126), (66, 84, 70))[int(rng.integers(3))], 10)
    paint = (
        Paint(metal, (120, 220, 190), 40)
        if kind != 1
        else Paint(shifted(rng, (136, 108, 80), 16), (230, 200, 120), 170)
    )
    canvas = Canvas(width, height, 22.0, paint, cut=True)
    if kind == 0:
        for x in np.arange(0, width, 0.22):
            canvas.rect(float(x), 0, float(x) + 0.07, height, paint.times(float(rng.uniform(0.85, 1.15))))
        for y in (0.1, height - 0.25):
            canvas.rect(0, y, width, y + 0.1, paint.times(1.1))
    elif kind == 1:
        for x in np.arange(0, width, 0.2):
            canvas.rect(
                float(x), 0.05, float(x) + 0.15, height - 0.1 * float(rng.random()), paint.times(rng.uniform(0.8, 1.15))
            )
        for y in (0.25, height - 0.4):
            canvas.rect(0, y, width, y + 0.1, paint.times(0.8))
    else:
        for x in np.arange(0, width, 1.5):
            canvas.rect(float(x), 0, float(x) + 0.12, height, paint.times(0.8))
        for y, thick in ((0.35 * height, 0.22), (0.75 * height, 0.3)):
            canvas.rect(0, y, width, y + thick, paint.times(1.15))
            canvas.rect(0, y, width, y + thick * 0.3, paint.times(0.75))
    return canvas, PLANKS if kind == 1 else PLAIN
