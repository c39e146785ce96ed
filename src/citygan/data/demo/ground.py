"""The ground: which class lies at a place of the plan, its markings, and how it looks in both renderings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import world as w
from .planes import along
from .texture import ASPHALT, BLOTCHES, GRASS, PATCHES, PAVING, TILE_METRES, sample_tiles
from .types import Array, Bytes, Floats
from .world import Street

KERB_METRES = 0.2
MARK_METRES = 0.14

# Linear RGB of the photo.
_ALBEDO = {
    w.ROAD: (0.125, 0.125, 0.13),
    w.SIDEWALK: (0.27, 0.255, 0.24),
    w.TERRAIN: (0.115, 0.15, 0.045),
    w.GROUND: (0.27, 0.24, 0.19),
}
_KERB, _MARK, _RAIL = (0.36, 0.355, 0.34), (0.62, 0.61, 0.58), (0.30, 0.30, 0.31)

_GRAPHICS = {
    w.ROAD: (92, 88, 112), w.SIDEWALK: (214, 178, 196), w.TERRAIN: (150, 224, 110), w.GROUND: (226, 206, 150),
}  # fmt: skip
_GRAPHICS_KERB, _GRAPHICS_MARK, _GRAPHICS_RAIL = (246, 226, 232), (255, 246, 190), (150, 150, 190)


@dataclass(frozen=True)
class Plan:
    """Ground samples: class, and how much of each is kerb, marking and rail (0..1)."""

    class_id: Bytes
    kerb: Array
    mark: Floats
    rail: Array
    s: Floats


def _band(value: Floats, low: float, high: float, soft: Floats) -> Floats:
    """1 between low and high, with edges as wide as a sample."""
    return np.clip((value - np.float32(low)) / soft + 0.5, 0, 1) * np.clip(
        (np.float32(high) - value) / soft + 0.5, 0, 1
    )


def plan(street: Street, x: Floats, z: Floats, depth: Floats) -> Plan:
    """Classes and markings at world (x, z), metres; `depth` (metres) decides how soft markings are."""
    s = x - np.asarray(street.centre(z), np.float32)
    right = s > 0
    distance = np.abs(s)
    half = np.where(right, np.float32(street.road_half[1]), np.float32(street.road_half[0]))
    outside = distance - half  # beyond the kerb of the street
    verge = np.where(right, np.float32(street.verge[1]), np.float32(street.verge[0]))
    walk = np.where(right, np.float32(street.walk[1]), np.float32(street.walk[0]))
    lots = np.where(right, along(street.lot_ground[1], z), along(street.lot_ground[0], z))
    ids = np.where(distance < walk, np.uint8(w.SIDEWALK), lots.astype(np.uint8))
    ids[(outside < verge) & (outside > KERB_METRES)] = w.TERRAIN
    kerb = (outside > 0) & (outside < KERB_METRES)
    ids[kerb] = w.SIDEWALK
    road = outside <= 0
    if street.crossing is not None:
        off = np.abs(z - np.float32(street.crossing)) - np.float32(street.crossing_half)
        beside = (off < 3.0) & ~road
        ids[beside] = w.SIDEWALK
        radius = np.float32(2.5)
        corner = (outside > 0) & (outside < radius) & (off > 0) & (off < radius)
        round_corner = corner & ((outside - radius) ** 2 + (off - radius) ** 2 > radius * radius)
        kerb = (kerb & (off > radius)) | ((off > 0) & (off < KERB_METRES) & (outside > radius))
        kerb |= corner & ~round_corner & ((outside - radius) ** 2 + (off - radius) ** 2 > (radius - KERB_METRES) ** 2)
        road |= (off <= 0) | round_corner
    ids[road] = w.ROAD
    if street.median > 0:
        free = z < np.float32(street.crossing - street.crossing_half - 4) if street.crossing is not None else np.True_
        middle = (distance < street.median) & free
        ids[middle] = w.TERRAIN
        kerb |= middle & (distance > street.median - KERB_METRES)
    ids[kerb] = w.SIDEWALK
    mark = _markings(street, s, z, depth)
    mark[ids != w.ROAD] = 0
    rail = np.zeros(s.shape, bool)
    if street.tracks is not None:
        for offset in (-0.72, 0.72):
            rail |= np.abs(s - np.float32(street.tracks + offset)) < 0.05
        rail &= ids == w.ROAD
    return Plan(ids, kerb, mark, rail, s)


def _markings(street: Street, s: Floats, z: Floats, depth: Floats) -> Floats:
    soft = np.maximum(depth * np.float32(0.0022), np.float32(0.015))
    long_soft = np.maximum(depth * depth * np.float32(0.0016), np.float32(0.03))
    free = np.ones(s.shape, np.float32)
    if street.crossing is not None:
        off = np.abs(z - np.float32(street.crossing)) - np.float32(street.crossing_half + 0.8)
        free = (off > 0).astype(np.float32)
    if street.zebra is not None:
        free *= (z < street.zebra - 1.2) | (z > street.zebra + 3.8)
    travel = street.lanes * street.lane_width / 2
    dashes = _band(np.mod(z, np.float32(6.0)), 0.0, 3.0, long_soft)
    mark = np.zeros(s.shape, np.float32)
    half = MARK_METRES / 2
    for lane in range(street.lanes + 1):
        place = -travel + lane * street.lane_width
        edge = lane in (0, street.lanes)
        centre = abs(place) < 0.1
        if centre and street.median > 0:
            continue
        if edge and not street.parking[int(place > 0)]:
            place -= np.sign(place) * 0.35
        solid = edge or (centre and street.solid_centre)
        line = _band(s, place - half, place + half, soft)
        mark = np.maximum(mark, line if solid else line * dashes)
    mark *= free
    if street.crossing is not None:  # stop line for our side
        stop = street.crossing - street.crossing_half - (4.6 if street.zebra is not None else 1.6)
        line = _band(z, stop - 0.45, stop, long_soft) * _band(s, 0.1, street.road_half[1] - 0.3, soft)
        mark = np.maximum(mark, line)
    if street.zebra is not None:
        bars = _band(np.mod(s, np.float32(1.0)), 0.0, 0.5, soft)
        zebra = bars * _band(z, street.zebra, street.zebra + 3.0, long_soft)
        zebra *= ((s > 0.2 - street.road_half[0]) & (s < street.road_half[1] - 0.2)).astype(np.float32)
        mark = np.maximum(mark, zebra)
    return np.asarray(mark, np.float32)


def photo(street: Street, ground: Plan, x: Floats, z: Floats, lod_metres: Floats) -> list[Floats]:
    """Linear albedo, three planes float32 [h, w]; `lod_metres` is log2 of the metres a sample covers."""

    def detail(tile: int, scale: float = 1.0) -> Floats:
        span = np.float32(TILE_METRES[tile] * scale)
        u, v = (value / span + np.float32(shift) for value, shift in zip((x, z), street.texture_shift, strict=True))
        return sample_tiles(tile, u, v, lod_metres + np.float32(np.log2(256.0 / span)))

    ids = ground.class_id
    blotches, grain = detail(BLOTCHES), detail(ASPHALT)
    road, grass = ids == w.ROAD, ids == w.TERRAIN
    fine = np.where(ids == w.SIDEWALK, detail(PAVING), np.where(road, grain, detail(GRASS)))
    wheel = np.mod(ground.s + np.float32(street.lane_width / 2 * (street.lanes % 2)), np.float32(street.lane_width))
    wheel = np.abs(np.abs(wheel - np.float32(street.lane_width / 2)) - np.float32(0.75))
    factor = (1 + 1.6 * fine) * (1 + 1.2 * blotches)
    worn_lanes = factor * (1.05 - 0.13 * np.clip(1 - wheel * 2.2, 0, 1)) * (1 + 1.1 * detail(PATCHES))
    factor = np.where(road, worn_lanes, factor)
    factor = np.where(grass, factor * (1 + 1.3 * detail(BLOTCHES, 0.21)), factor)
    outside = np.where(
        ground.s > 0, ground.s - np.float32(street.road_half[1]), -ground.s - np.float32(street.road_half[0])
    )
    factor *= 1 - 0.45 * np.clip(1 - np.abs(outside + 0.12) / 0.14, 0, 1) * road  # dirt in the gutter
    factor = np.where(ground.kerb, 1 + 1.2 * grain, np.clip(factor, 0.15, 2.5)).astype(np.float32)
    fresh = 1 - ground.mark * np.clip(1 - street.wear * (0.5 + 3.0 * np.maximum(blotches + grain * 1.2, -0.2)), 0.12, 1)
    planes = []
    for channel in range(3):
        table = np.zeros(256, np.float32)
        for class_id, colour in _ALBEDO.items():
            table[class_id] = colour[channel]
        plane = np.take(table, ids)
        plane[ground.kerb] = _KERB[channel]
        plane *= factor
        plane -= _MARK[channel]
        plane *= fresh
        plane += _MARK[channel]
        plane[ground.rail] = _RAIL[channel]
        planes.append(np.asarray(plane, np.float32))
    return planes


def graphics(ground: Plan) -> list[Floats]:
    """sRGB 0..255 of the flat rendering, three planes float32 [h, w]."""
    planes = []
    for channel in range(3):
        table = np.zeros(256, np.float32)
        for class_id, colour in _GRAPHICS.items():
            table[class_id] = colour[channel]
        plane = np.take(table, ground.class_id)
        plane[ground.kerb] = _GRAPHICS_KERB[channel]
        plane += ground.mark * (np.float32(_GRAPHICS_MARK[channel]) - plane)
        plane[ground.rail] = _GRAPHICS_RAIL[channel]
        planes.append(plane)
    return planes
