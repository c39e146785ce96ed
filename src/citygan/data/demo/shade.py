"""The two renderings of a buffer: the photo and the graphics."""

from __future__ import annotations

import cv2
import numpy as np

from . import ground
from .planes import SAMPLES, along
from .raster import Buffer
from .texture import BLOTCHES, sample_tiles
from .types import Array, Bytes, Floats
from .world import EGO_SURFACE, FIRST_SURFACE, GROUND_SURFACE, SKY_SURFACE, Light, World

AMBIENT_FLOOR = 0.70  # share of the sky's light that reaches the foot of a wall
SHARPEN = 0.45  # as cameras do


class Shading:
    """What both renderings need of a buffer: plan of the ground, atlas coordinates, footprints."""

    def __init__(self, world: World, buffer: Buffer) -> None:
        self.world, self.buffer = world, buffer
        ids = buffer.surface
        self.rows = (
            int(np.argmax((ids == GROUND_SURFACE).any(axis=1))) if (ids == GROUND_SURFACE).any() else ids.shape[0]
        )
        self.lod = -np.log2(np.maximum(buffer.inverse_depth, np.float32(1e-4))) - np.float32(
            np.log2(SAMPLES * buffer.camera.focal)
        )
        below = slice(self.rows, None)
        self.is_ground = ids[below] == GROUND_SURFACE
        x = np.where(self.is_ground, buffer.u[below], np.float32(0))
        z = np.where(self.is_ground, buffer.v[below], np.float32(0))
        depth = 1 / np.maximum(buffer.inverse_depth[below], np.float32(1e-3))
        self.ground_x, self.ground_z = x, z
        self.plan = ground.plan(world.street, x, z, depth)
        # A flat look along the ground: the footprint grows with the square of the distance in depth.
        self.ground_lod = self.lod[below] + 0.35 * np.log2(np.maximum(depth / np.float32(world.eye.height), 1))
        self.index = np.maximum(ids - FIRST_SURFACE, 0)
        surfaces = world.surfaces
        pixels = np.log2(surfaces.pixels_per_metre)
        self.texel_lod = self.lod + np.take(pixels, self.index)
        self.on_object = ids >= FIRST_SURFACE
        rect = np.take(np.ascontiguousarray(world.atlas.rects.T[:, surfaces.texture]), self.index, axis=1)
        u = np.where(self.on_object, buffer.u, np.float32(0))
        v = np.where(self.on_object, buffer.v, np.float32(0))
        self.u, self.v = u, v
        self.map_x, self.map_y = world.atlas.coordinates(rect, u, v, self.texel_lod)

    def labels(self) -> tuple[Bytes, Array]:
        """Class ids uint8 and instance ids uint16 at the pixel centres."""
        ids = self.buffer.surface[::SAMPLES, ::SAMPLES]
        surfaces = self.world.surfaces
        head = np.array([0, 23, 1], np.int32)
        class_table = np.concatenate([head, surfaces.class_id.astype(np.int32)])
        instance_table = np.concatenate([head, surfaces.instance])
        label = np.take(class_table, ids)
        instance = np.take(instance_table, ids)
        plan_ids = np.zeros(self.buffer.surface.shape, np.uint8)
        plan_ids[self.rows :] = self.plan.class_id
        flat = plan_ids[::SAMPLES, ::SAMPLES]
        on_ground = ids == GROUND_SURFACE
        label = np.where(on_ground, flat, label).astype(np.uint8)
        instance = np.where(on_ground, flat, instance).astype(np.uint16)
        return label, instance


def _shrink(planes: list[Floats]) -> Floats:
    """Sample planes to one picture of pixels: a small blur around each pixel's centre, as a lens has."""
    height, width = planes[0].shape
    return np.asarray(
        cv2.merge([cv2.pyrDown(plane, dstsize=(width // SAMPLES, height // SAMPLES)) for plane in planes]), np.float32
    )


def graphics(shading: Shading) -> Bytes:
    """The game-like rendering: flat colours, three tones of light, a plain sky; uint8 [H, W, 3]."""
    world, buffer = shading.world, shading.buffer
    painted = cv2.split(cv2.remap(world.atlas.graphics, shading.map_x, shading.map_y, cv2.INTER_LINEAR))
    facing = buffer.normal @ np.array([0.55, 0.75, -0.36])
    tone = np.take(np.where(facing > 0.5, 1.06, np.where(facing > 0.1, 0.94, 0.8)).astype(np.float32), buffer.surface)
    _, ray_y, _ = buffer.camera.rays(1, buffer.surface.shape[0])
    climb = np.clip(ray_y * np.float32(1.6), 0, 1)
    flat = ground.graphics(shading.plan)
    contact = 1 - np.float32(0.25) * (buffer.contact[shading.rows :] > 0.25)
    is_sky, own = buffer.surface == SKY_SURFACE, buffer.surface == EGO_SURFACE
    planes = []
    for channel, (low, change, bonnet) in enumerate(((196, -100, 60), (236, -60, 60), (255, -8, 90))):
        plane = np.asarray(painted[channel] * tone, np.float32)
        np.copyto(plane, np.float32(low) + climb * np.float32(change), where=is_sky)
        np.copyto(plane[shading.rows :], flat[channel] * contact, where=shading.is_ground)
        if world.eye.bonnet > 0:
            plane[own] = bonnet
        planes.append(plane)
    return np.asarray(np.clip(_shrink(planes) + 0.5, 0, 255), np.uint8)


def _sky(shading: Shading, ray: tuple[Floats, Floats, Floats], rows: int, seed: np.random.Generator) -> list[Floats]:
    """Linear RGB planes of the sky in the first `rows` rows: gradient, glow around the sun, clouds on a high plane.

    It has nothing fine in it, so every second sample is enough.
    """
    light = shading.world.light
    width = shading.buffer.surface.shape[1]
    x, y, z = (np.broadcast_to(part, shading.buffer.surface.shape)[:rows:2, ::2] for part in ray)
    length = np.sqrt(x * x + y * y + z * z)
    elevation = np.maximum(y / length, 0)
    climb = np.clip(elevation * 1.9, 0, 1) ** np.float32(0.6)
    glow = np.clip((x * light.sun[0] + y * light.sun[1] + z * light.sun[2]) / length, 0, 1)
    glow = (0.55 * glow**12 + 1.6 * glow**200) * np.float32(0.5 * (1 - 0.8 * light.clouds))
    flat = np.maximum(elevation, np.float32(0.02)) + np.float32(0.10)
    shift = seed.uniform(0, 1, 2).astype(np.float32)
    u, v = x / length / flat * np.float32(0.16) + shift[0], z / length / flat * np.float32(0.16) + shift[1]
    big = sample_tiles(BLOTCHES, u, v, np.zeros_like(u))
    small = sample_tiles(BLOTCHES, u * np.float32(3.1) + np.float32(0.37), v * np.float32(3.1), np.ones_like(u))
    tiny = sample_tiles(BLOTCHES, u * np.float32(9.7), v * np.float32(9.7) + np.float32(0.61), np.full_like(u, 2))
    density = np.clip((big * 2.2 + small * 1.0 + tiny * 0.7 + np.float32(light.clouds * 1.5 - 0.62)) * 1.8, 0, 1)
    shade = 1.0 - 0.42 * np.clip(density - 0.25 + small + 0.5 * tiny, 0, 1)
    cover = density * np.clip(elevation * 9, 0.15, 1)
    planes = []
    for channel in range(3):
        low, high = light.horizon[channel], light.zenith[channel]
        sky = low + climb * (high - low) + glow * light.sun_colour[channel]
        cloud = (low * 0.55 + light.sky_colour[channel] * 0.45 + light.sun_colour[channel] * 0.12) * shade
        sky += cover * (cloud - sky)
        planes.append(cv2.resize(sky.astype(np.float32), (width, rows), interpolation=cv2.INTER_LINEAR))
    return planes


def photo(shading: Shading, clouds: np.random.Generator, noise: np.random.Generator) -> Bytes:
    """The photo: albedo, sun with shadows, sky light, haze, exposure, sensor; uint8 [H, W, 3]."""
    world, buffer = shading.world, shading.buffer
    light, ids = world.light, buffer.surface
    height, width = ids.shape
    rows = slice(shading.rows, None)
    painted = cv2.split(cv2.remap(world.atlas.photo, shading.map_x, shading.map_y, cv2.INTER_LINEAR))
    fine = _fine(shading, painted[3])
    ground_albedo = ground.photo(world.street, shading.plan, shading.ground_x, shading.ground_z, shading.ground_lod)
    ray = buffer.camera.rays(width, height)
    depth = 1 / np.maximum(buffer.inverse_depth, np.float32(1 / 600))
    ambient, lit = _light(shading, ray, depth)
    clear = np.exp(depth * np.float32(-1 / light.haze_metres))
    is_sky = ids == SKY_SURFACE
    seen = np.flatnonzero(is_sky.any(axis=1))
    sky_rows = int(seen[-1]) + 1 if len(seen) else 0
    sky = _sky(shading, ray, sky_rows, clouds) if sky_rows else []
    bonnet = _bonnet(buffer) if world.eye.bonnet > 0 else None
    planes = []
    for channel in range(3):
        # Painted colours are sRGB; a square is near enough to linear, and its root undoes it.
        value = painted[channel] * np.float32(1 / 255)
        value *= value
        value *= fine
        np.copyto(value[rows], ground_albedo[channel], where=shading.is_ground)
        value *= ambient * light.sky_colour[channel] + lit * light.sun_colour[channel]
        haze = light.haze_colour[channel]
        value -= haze
        value *= clear
        value += haze
        if sky_rows:
            np.copyto(value[:sky_rows], sky[channel], where=is_sky[:sky_rows])
        if bonnet is not None:
            own, sky_share, shine = bonnet
            value[-len(own) :][own] = sky_share * light.sky_colour[channel] + shine * light.horizon[channel]
        planes.append(value)
    return _expose(light, _shrink(planes), noise)


def _expose(light: Light, picture: Floats, noise: np.random.Generator) -> Bytes:
    """Linear RGB [H, W, 3] to the bytes a camera writes: exposure, white balance, tone curve, sharpening, noise."""
    picture *= light.warmth * np.float32(light.exposure)
    picture = np.sqrt(np.maximum(picture, 0)) * np.float32(255)
    picture += np.float32(SHARPEN) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    over = np.maximum(picture - np.float32(205), 0)
    picture -= over - over / (1 + over / np.float32(60))  # highlights roll off instead of clipping
    grain = noise.standard_normal(picture.shape, dtype=np.float32)
    grain *= np.float32(light.noise)
    grain *= np.float32(0.7) + np.float32(0.3 / np.sqrt(128)) * np.sqrt(np.maximum(picture, 0))
    return np.asarray(np.clip(picture + grain + np.float32(0.5), 0, 255), np.uint8)


def _fine(shading: Shading, strength: Bytes) -> Floats:
    """The factor of the fine material tile at each sample."""
    surfaces = shading.world.surfaces
    scale_u, scale_v = (np.take(np.ascontiguousarray(surfaces.tile_scale[:, k]), shading.index) for k in (0, 1))
    tile = np.take(surfaces.tile, shading.index)
    lod = shading.lod + np.take(np.log2(256.0 / _spans(shading.world)).astype(np.float32), shading.index)
    fine = sample_tiles(tile, shading.u * scale_u, shading.v * scale_v, lod)
    fine *= strength * np.float32(1.6 / 255)
    fine += 1
    return np.asarray(np.maximum(fine, np.float32(0.1), out=fine), np.float32)


def _light(shading: Shading, ray: tuple[Floats, Floats, Floats], depth: Floats) -> tuple[Floats, Floats]:
    """How much of the sky's and of the sun's light reaches each sample."""
    world, buffer, surfaces = shading.world, shading.buffer, shading.world.surfaces
    ids, eye, sun = buffer.surface, buffer.camera, world.light.sun
    rows = slice(shading.rows, None)
    x, y, z = (ray[k] * depth + np.float32(eye.position[k]) for k in range(3))
    facing = np.clip(buffer.normal @ sun.astype(np.float64), 0, 1).astype(np.float32)
    turned = world.objects.facing[surfaces.owner]
    facing[FIRST_SURFACE:][turned] = 0.62  # cut-outs stand for round bodies; their sides are painted lit and dark
    facing[GROUND_SURFACE] = sun[1]
    lit = np.take(facing, ids)
    lit *= _sunlit(world, x, y, z)
    lit[rows] *= 1 - np.float32(0.92) * buffer.decals[rows]
    up = np.clip(0.78 + 0.22 * buffer.normal[:, 1], 0.5, 1).astype(np.float32)
    ambient = np.take(up, ids) * np.clip(y * np.float32((1 - AMBIENT_FLOOR) / 1.5) + np.float32(AMBIENT_FLOOR), 0, 1)
    side = np.abs(shading.plan.s)
    edge = np.where(shading.plan.s > 0, np.float32(world.facade[1]), np.float32(world.facade[0]))
    bright = 1 - buffer.contact[rows]
    open_ground = (1 - np.float32(0.35) * np.exp(np.abs(edge - side) * np.float32(-0.8))) * bright
    np.copyto(ambient[rows], open_ground, where=shading.is_ground)
    np.copyto(lit[rows], lit[rows] * bright, where=shading.is_ground)
    return ambient, lit


def _spans(world: World) -> Floats:
    """Metres that a tile spans on each surface."""
    lengths = np.linalg.norm(world.surfaces.right, axis=1)
    return np.asarray(lengths / np.maximum(world.surfaces.tile_scale[:, 0], 1e-6), np.float32)


def _sunlit(world: World, x: Floats, y: Floats, z: Floats) -> Floats:
    """1 where the row of buildings on the sun's side lets the sun through, 0 in its shadow, soft at the edge."""
    sun = world.light.sun
    side = 1 if sun[0] > 0 else 0
    sign = np.float32(1 if side else -1)
    across = max(abs(float(sun[0])), 0.05)
    s = x - np.asarray(world.street.centre(z), np.float32)
    way = (np.float32(world.facade[side]) - sign * s) * np.float32(1 / across)
    top = y + way * np.float32(sun[1])
    roof = along(world.skyline[side], z + way * np.float32(sun[2]))
    shade = np.clip((top - roof) * np.float32(1.5) + np.float32(0.5), 0, 1)
    # What stands at or behind that row is not in its shadow.
    return np.asarray(np.where(way < 0.3, np.float32(1), shade), np.float32)


def _bonnet(buffer: Buffer) -> tuple[Array, Floats, Floats]:
    """Where the own car shows (mask of the last rows), and how much of sky and horizon it mirrors there."""
    own = buffer.surface == EGO_SURFACE
    part = slice(int(np.flatnonzero(own.any(axis=1))[0]), None)
    own = own[part]
    x, v = buffer.u[part][own], buffer.v[part][own]
    shine = np.clip(1 - np.abs(v - np.float32(0.25) + np.float32(0.1) * x) * 4, 0, 1) * np.float32(0.28) + np.clip(
        0.12 - v, 0, 1
    )
    return own, np.full_like(shine, 0.035), shine
