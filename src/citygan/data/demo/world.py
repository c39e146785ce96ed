"""What a scene consists of: the street, the light, objects with their motion, and the planar surfaces they are made of.

World metres: x to the right, y up, z ahead. A place in the street is (s, z): s metres to the right of its centre line.
A heading of 0 looks along the street, +90 degrees to the right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from .canvas import Canvas
from .texture import PLAIN, TILE_METRES, Atlas, pack
from .types import Bools, Bytes, Doubles, Floats, Ints

MASK_LEVELS = 5
PROFILE_STEP = 0.5  # metres
PROFILE_START = -30.0
PROFILE_COUNT = 520

GROUND_SURFACE, SKY_SURFACE, EGO_SURFACE, FIRST_SURFACE = 0, 1, 2, 3
EGO, STATIC, DYNAMIC, GROUND, ROAD, SIDEWALK, BUILDING, WALL, FENCE = 1, 4, 5, 6, 7, 8, 11, 12, 13
POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY = 17, 19, 20, 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 31, 32, 33
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Street:
    """The plan of the ground. All lengths in metres; `side` 0 is left, 1 is right."""

    curvature: float
    lanes: int
    lane_width: float
    road_half: tuple[float, float]  # from the centre line to the kerb
    parking: tuple[bool, bool]
    tracks: float | None  # s of the middle of tram tracks
    median: float  # half width of a green median, 0: none
    verge: tuple[float, float]  # width of the green strip between kerb and pavement
    walk: tuple[float, float]  # outer edge of the pavement, distance from the centre line
    crossing: float | None  # z of the middle of a side street
    crossing_half: float
    zebra: float | None  # z where a zebra crossing begins
    lot_ground: Bytes  # uint8 [2, PROFILE_COUNT] class of the ground beyond the pavement
    wear: float  # 0..1 how worn the markings are
    texture_shift: tuple[float, float]
    solid_centre: bool

    def centre(self, z: Any) -> Any:
        """x of the centre line at z."""
        return 0.5 * self.curvature * z * z

    def direction(self, z: Any) -> Any:
        """Heading of the street at z, radians."""
        return np.arctan(self.curvature * z)


@dataclass(frozen=True)
class Light:
    """The light of the day. Colours are linear RGB factors."""

    name: str
    sun: Floats  # unit vector towards the sun
    sun_colour: Floats
    sky_colour: Floats  # light from all round
    haze_colour: Floats
    haze_metres: float
    zenith: Floats
    horizon: Floats
    clouds: float  # 0..1 cover
    exposure: float
    warmth: Floats  # white balance
    daylight: float  # 0 night .. 1 day
    noise: float  # grey levels


@dataclass(frozen=True)
class Surfaces:
    """All planar surfaces, index 0 being surface id FIRST_SURFACE. Vectors are in their object's metres."""

    owner: Ints
    origin: Doubles
    right: Doubles
    up: Doubles
    class_id: Bytes
    instance: Ints
    texture: Ints
    tile: Ints
    tile_scale: Floats  # [n, 2] tiles along u and v
    pixels_per_metre: Floats
    two_sided: Bools
    caster: Bools
    swing: Doubles  # [n, 2] amplitude and phase, radians


@dataclass(frozen=True)
class Objects:
    """Where things are at frame 0, place [n, 3] = s, z, heading; and rate [n, 2], metres a frame along s and z."""

    place: Doubles
    rate: Doubles
    facing: Bools  # turns towards the camera
    footprint: Doubles  # [n, 3] half width, half length, strength of its contact shadow


@dataclass(frozen=True)
class Eye:
    """The camera's drive: height and pitch, start, speed, turning."""

    lateral: float
    height: float
    pitch: float
    yaw: float
    yaw_rate: float
    speed: float  # metres a frame at the start
    reach: float  # metres after which it has come to rest, so that no sequence leaves the street or hits anyone
    horizon: float  # height of the horizon in the picture at no pitch, 0 top .. 1 bottom
    bonnet: float  # share of the height covered by the own car, 0: none


@dataclass(frozen=True)
class World:
    """A whole scene."""

    street: Street
    light: Light
    eye: Eye
    objects: Objects
    surfaces: Surfaces
    atlas: Atlas
    masks: list[list[Bools] | None]  # per texture, fine to coarse
    skyline: Floats  # [2, PROFILE_COUNT] height of the buildings along each side, for their shadow
    facade: tuple[float, float]  # distance of the building fronts from the centre line


@dataclass
class Builder:
    """Collects objects and surfaces while a scene is laid out."""

    canvases: list[Canvas] = field(default_factory=list)
    _known: dict[int, int] = field(default_factory=dict)
    _objects: list[tuple[float, ...]] = field(default_factory=list)
    _footprints: list[tuple[float, float, float]] = field(default_factory=list)
    _surfaces: list[tuple[object, ...]] = field(default_factory=list)
    _counts: dict[int, int] = field(default_factory=dict)

    def instance(self, class_id: int) -> int:
        """The next instance id of a thing class (class * 1000 + count from 0)."""
        count = self._counts.get(class_id, 0)
        self._counts[class_id] = count + 1
        return class_id * 1000 + count

    def add_object(
        self, s: float, z: float, heading: float = 0.0, *, rate: tuple[float, float] = (0.0, 0.0), facing: bool = False,
        footprint: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> int:  # fmt: skip
        """An object at (s, z), `heading` radians relative to the street; returns its index."""
        self._objects.append((s, z, heading, *rate, float(facing)))
        self._footprints.append(footprint)
        return len(self._objects) - 1

    def add(
        self,
        owner: int,
        origin: Vector,
        right: Vector,
        up: Vector,
        canvas: Canvas,
        class_id: int,
        *,
        instance: int | None = None,
        tile: int = PLAIN,
        two_sided: bool = False,
        caster: bool = False,
        swing: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """A planar surface of an object; `instance` defaults to the class id (stuff)."""
        texture = self._known.setdefault(id(canvas), len(self.canvases))
        if texture == len(self.canvases):
            self.canvases.append(canvas)
        marks = (owner, class_id, class_id if instance is None else instance, texture, tile, two_sided, caster)
        self._surfaces.append((*marks, origin, right, up, swing))

    def finish(self, street: Street, light: Light, eye: Eye, skyline: Floats, facade: tuple[float, float]) -> World:
        """Pack the textures and freeze everything."""
        places = np.array(self._objects, np.float64)
        rows = self._surfaces
        integers = np.array([row[:7] for row in rows], np.int32)
        vectors = [np.array([row[k] for row in rows], np.float64) for k in (7, 8, 9, 10)]
        texture, tile = integers[:, 3], integers[:, 4]
        lengths = np.stack([np.linalg.norm(vectors[1], axis=1), np.linalg.norm(vectors[2], axis=1)], axis=1)
        widths = np.array([canvas.photo.shape[1] for canvas in self.canvases])
        surfaces = Surfaces(
            owner=integers[:, 0],
            origin=vectors[0],
            right=vectors[1],
            up=vectors[2],
            class_id=integers[:, 1].astype(np.uint8),
            instance=integers[:, 2],
            texture=texture,
            tile=tile,
            tile_scale=(lengths / TILE_METRES[tile][:, None]).astype(np.float32),
            pixels_per_metre=(widths[texture] / lengths[:, 0]).astype(np.float32),
            two_sided=integers[:, 5] > 0,
            caster=integers[:, 6] > 0,
            swing=vectors[3],
        )
        objects = Objects(places[:, :3], places[:, 3:5], places[:, 5] > 0, np.array(self._footprints, np.float64))
        atlas = pack([canvas.photo for canvas in self.canvases], [canvas.graphics for canvas in self.canvases])
        masks = [None if canvas.mask is None else _levels(canvas.mask, canvas.fine_mask) for canvas in self.canvases]
        return World(street, light, eye, objects, surfaces, atlas, masks, skyline, facade)


def _levels(mask: Bytes, fine: Bytes | None) -> list[Bools]:
    h, w = mask.shape
    if fine is None:  # edges of cut-outs are smooth curves seen close by, not steps of the canvas
        fine = np.asarray(cv2.resize(mask, (w * 3, h * 3), interpolation=cv2.INTER_CUBIC), np.uint8)
    levels = [fine > 127, mask > 127]
    for _ in range(MASK_LEVELS - 1):
        h, w = mask.shape
        if min(h, w) < 4:
            break
        mask = cv2.resize(mask, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        levels.append(mask > 105)
    return levels
