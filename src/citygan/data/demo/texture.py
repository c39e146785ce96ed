"""Textures: tileable noise, the fine material tiles, and the mip-mapped atlas that a scene's painted surfaces share.

Everything is a function of its arguments; the material tiles are built once a process from a fixed stream.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from .types import Bytes, Floats, Ints

TILE_PX = 256  # side of a material tile
TILE_LEVELS = 7  # 256 .. 4 pixels
TILE_PAD = 2
ATLAS_LEVELS = 5
ATLAS_WIDTH = 2048
GUTTER = 8  # pixels of repeated border around a painted surface, so that coarse levels do not bleed

PLAIN, ASPHALT, BRICK, PLASTER, CONCRETE, LEAVES, GRASS, PAVING, PLANKS, ROOF, CLOTH, BLOTCHES, PATCHES, COBBLES = (
    range(14)
)
# Metres that one tile spans along each side.
TILE_METRES = np.array([2.0, 1.6, 2.0, 3.0, 5.0, 1.5, 1.2, 2.4, 2.0, 2.4, 0.5, 11.0, 17.0, 1.6], np.float32)


def tile_noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 4, gain: float = 0.6) -> Floats:
    """float32 [size, size] noise that repeats without a seam, mean 0 and standard deviation 1."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        count = min(size, cells << octave)
        grid = rng.standard_normal((count, count), dtype=np.float32)
        if count == size:
            layer = grid
        else:
            step = size // count
            wide = cv2.resize(np.pad(grid, 2, mode="wrap"), None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
            layer = np.asarray(wide[2 * step : 2 * step + size, 2 * step : 2 * step + size], np.float32)
        total += weight * layer
        weight *= gain
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), np.float32)


def soft_noise(rng: np.random.Generator, height: int, width: int, cell: int) -> Floats:
    """float32 [height, width] smooth noise with blobs of about `cell` pixels, roughly in -2..2."""
    grid = rng.standard_normal((height // cell + 3, width // cell + 3), dtype=np.float32)
    big = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return np.asarray(big[cell : cell + height, cell : cell + width], np.float32)


@functools.cache
def _stock() -> Floats:
    """float32 [512, 512] noise with blobs of about 32 pixels and finer ones, from which surfaces take their stains."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([0x57A1])))
    stock = tile_noise(rng, 512, 16, 5, 0.62)
    stock.flags.writeable = False
    return stock


def noise_crop(rng: np.random.Generator, height: int, width: int, cell: float) -> Floats:
    """float32 [height, width] noise of mean 0 and deviation about 1, blobs of about `cell` pixels and finer ones."""
    scale = 32.0 / cell
    h, w = min(512, max(2, round(height * scale))), min(512, max(2, round(width * scale)))
    y, x = int(rng.integers(0, 513 - h)), int(rng.integers(0, 513 - w))
    return np.asarray(
        cv2.resize(_stock()[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _bricks(
    rng: np.random.Generator, rows: int, columns: int, joint: int, spread: float, offset: bool = True
) -> Floats:
    """Courses of stones, each of its own brightness, with darker joints."""
    tile = np.zeros((TILE_PX, TILE_PX), np.float32)
    height, width = TILE_PX / rows, TILE_PX / columns
    for row in range(rows):
        shift = width / 2 if offset and row % 2 else 0.0
        line = np.zeros((round((row + 1) * height) - round(row * height), TILE_PX), np.float32)
        for column in range(columns):
            line[:, round(column * width) : round((column + 1) * width)] = rng.normal(0.0, spread)
            line[:, round(column * width) : round(column * width) + joint] = -0.45
        line[:joint] = -0.4
        tile[round(row * height) : round(row * height) + len(line)] = np.roll(line, round(shift), axis=1)
    return tile + 0.05 * tile_noise(rng, TILE_PX, 32, 3)


def _leaves(rng: np.random.Generator) -> Floats:
    """Overlapping leaf clusters, lit from above, with dark gaps."""
    tile = np.full((TILE_PX * 3, TILE_PX * 3), -0.75, np.float32)
    for index in range(520):
        x, y = (int(value) for value in rng.integers(0, TILE_PX, 2))
        axes = (int(rng.integers(6, 14)), int(rng.integers(4, 9)))
        angle = float(rng.uniform(0, 180))
        shade = float(rng.normal(0.08, 0.34)) - 0.25 + 0.25 * index / 520
        for dx in (0, TILE_PX, 2 * TILE_PX):
            for dy in (0, TILE_PX, 2 * TILE_PX):
                cv2.ellipse(tile, (x + dx, y + dy), axes, angle, 0, 360, shade, -1, cv2.LINE_8)
    return tile[TILE_PX : 2 * TILE_PX, TILE_PX : 2 * TILE_PX]


def _patches(rng: np.random.Generator) -> Floats:
    """Repaired rectangles and cracks of an old carriageway."""
    tile = 0.05 * tile_noise(rng, TILE_PX, 4, 3)
    for _ in range(7):
        x, y = (int(value) for value in rng.integers(0, TILE_PX - 70, 2))
        w, h = int(rng.integers(14, 40)), int(rng.integers(20, 68))
        tile[y : y + h, x : x + w] = rng.uniform(-0.28, 0.16)
        cv2.rectangle(tile, (x, y), (x + w, y + h), -0.4, 1)
    for _ in range(9):
        points = [rng.uniform(20, TILE_PX - 20, 2)]
        for _ in range(9):
            points.append(np.clip(points[-1] + rng.normal(0, 10, 2), 2, TILE_PX - 3))
        cv2.polylines(tile, [np.round(points).astype(np.int32)], False, -0.55, 1, cv2.LINE_AA)
    return tile


@functools.cache
def tiles() -> Bytes:
    """uint8 picture of all material tiles, one under the other, with their levels side by side; 128 is neutral."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([0x717E5])))
    noise = functools.partial(tile_noise, rng, TILE_PX)
    slabs = _bricks(rng, 4, 4, 2, 0.10, offset=False) + 0.06 * noise(32, 3)
    panels = _bricks(rng, 2, 2, 2, 0.07, offset=False) + 0.10 * noise(4, 6, 0.75)
    roof = _bricks(rng, 10, 10, 3, 0.16) + np.tile(np.linspace(0.15, -0.15, TILE_PX // 8, dtype=np.float32), 8)[:, None]
    planks = _bricks(rng, 1, 16, 2, 0.12) + 0.12 * cv2.blur(noise(64, 2), (1, 31))
    grass = 0.30 * cv2.blur(noise(128, 2), (1, 5)) * 1.4 + 0.16 * noise(8, 3)
    made: list[Floats] = [
        np.zeros((TILE_PX, TILE_PX), np.float32),
        0.17 * noise(64, 3, 0.9) + 0.05 * noise(4, 3),
        _bricks(rng, 26, 8, 2, 0.20),
        0.09 * noise(8, 6, 0.85),
        panels,
        _leaves(rng),
        grass,
        slabs,
        planks,
        roof,
        0.15 * noise(8, 4, 0.8),
        0.16 * noise(4, 6, 0.7),
        _patches(rng),
        _bricks(rng, 16, 14, 3, 0.16) + 0.06 * noise(32, 3),
    ]
    row = TILE_PX + 2 * TILE_PAD
    sheet = np.full(
        (row * len(made), sum((TILE_PX >> level) + 2 * TILE_PAD for level in range(TILE_LEVELS))), 128, np.uint8
    )
    for index, tile in enumerate(made):
        left = 0
        level_tile = np.asarray(tile - tile.mean(), np.float32)
        for level in range(TILE_LEVELS):
            size = TILE_PX >> level
            if level:
                level_tile = np.asarray(cv2.resize(level_tile, (size, size), interpolation=cv2.INTER_AREA), np.float32)
            block = np.pad(level_tile, TILE_PAD, mode="wrap")
            sheet[index * row : index * row + len(block), left : left + len(block)] = np.clip(128 + 127 * block, 0, 255)
            left += len(block)
    sheet.flags.writeable = False
    return sheet


_TILE_SIZE = np.array([TILE_PX >> level for level in range(TILE_LEVELS)], np.float32)
_TILE_LEFT = np.array(
    [sum((TILE_PX >> k) + 2 * TILE_PAD for k in range(level)) for level in range(TILE_LEVELS)], np.float32
)


def sample_tiles(index: Ints | int, u: Floats, v: Floats, lod: Floats) -> Floats:
    """float32 detail in -1..1 of material tile `index` at (u, v), in tiles; `lod`: log2 of level-0 texels a sample."""
    if u.size == 0:  # remap takes no empty maps
        return np.zeros(u.shape, np.float32)
    level = np.clip(lod + 0.5, 0, TILE_LEVELS - 1).astype(np.int32)
    size = _TILE_SIZE[level]
    x = (u - np.floor(u)) * size + (_TILE_LEFT[level] + np.float32(TILE_PAD - 0.5))
    y = (v - np.floor(v)) * size + (np.float32(TILE_PAD - 0.5) + np.float32(TILE_PX + 2 * TILE_PAD) * index)
    picture = cv2.remap(tiles(), x.astype(np.float32, copy=False), y.astype(np.float32, copy=False), cv2.INTER_LINEAR)
    return np.subtract(picture, np.float32(128), dtype=np.float32) * np.float32(1 / 127)


@dataclass(frozen=True)
class Atlas:
    """All painted surfaces of a scene. `photo` uint8 [H, W, 4]: RGB and the strength of the fine tile; `graphics`
    uint8 [H, W, 3]; both with their coarser levels to the right. `rects` float32 [n, 4]: left, top,
    width, height at level 0."""

    photo: Bytes
    graphics: Bytes
    rects: Floats
    height: int

    def coordinates(self, rect: Floats, u: Floats, v: Floats, lod: Floats) -> tuple[Floats, Floats]:
        """Pixel coordinates in the pictures for (u, v) in 0..1 of `rect` [4, ...]; `lod` as for the tiles."""
        level = np.clip(lod + 0.5, 0, ATLAS_LEVELS - 1).astype(np.int32)
        scale = _ATLAS_SCALE[level]
        left = np.where(level > 0, np.float32(ATLAS_WIDTH), np.float32(0))
        top = _atlas_tops(self.height)[level]
        x = (rect[0] + u * rect[2]) * scale + (left - np.float32(0.5))
        y = (rect[1] + (1 - v) * rect[3]) * scale + (top - np.float32(0.5))
        return x, y


_ATLAS_SCALE = np.array([0.5**level for level in range(ATLAS_LEVELS)], np.float32)


def _atlas_tops(height: int) -> Floats:
    return np.array([0] + [sum(height >> k for k in range(1, level)) for level in range(1, ATLAS_LEVELS)], np.float32)


def pack(photos: list[Bytes], graphics: list[Bytes]) -> Atlas:
    """Pack painted surfaces (uint8 [h, w, 4] and [h, w, 3]) in shelves, tall ones first, with coarser levels."""
    order = sorted(range(len(photos)), key=lambda k: (-photos[k].shape[0], k))
    rects = np.zeros((len(photos), 4), np.float32)
    x = y = shelf = 0
    for k in order:
        h, w = photos[k].shape[:2]
        if x + w + 2 * GUTTER > ATLAS_WIDTH:
            x, y, shelf = 0, y + shelf, 0
        rects[k] = (x + GUTTER, y + GUTTER, w, h)
        x += (w + 2 * GUTTER + 15) // 16 * 16
        shelf = max(shelf, (h + 2 * GUTTER + 15) // 16 * 16)
    height = y + shelf
    pictures = []
    for parts in (photos, graphics):
        sheet = np.zeros((height, ATLAS_WIDTH * 3 // 2, parts[0].shape[2]), np.uint8)
        for k, part in enumerate(parts):
            left, top = int(rects[k, 0]), int(rects[k, 1])
            h, w = part.shape[:2]
            framed = cv2.copyMakeBorder(part, GUTTER, GUTTER, GUTTER, GUTTER, cv2.BORDER_REPLICATE)
            sheet[top - GUTTER : top + h + GUTTER, left - GUTTER : left + w + GUTTER] = framed
        level_picture = sheet[:, :ATLAS_WIDTH]
        top = 0
        for level in range(1, ATLAS_LEVELS):
            size = (ATLAS_WIDTH >> level, height >> level)
            level_picture = np.asarray(cv2.resize(level_picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            sheet[top : top + size[1], ATLAS_WIDTH : ATLAS_WIDTH + size[0]] = level_picture
            top += size[1]
        pictures.append(sheet)
    return Atlas(pictures[0], pictures[1], rects, height)
