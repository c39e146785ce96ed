"""The two renderings of a buffer: the photo and the graphics."""

from __future__ import annotations

import cv2
import numpy as np

from . import ground
from .raster import SAMPLES, Buffer, along
from .texture import sample_tiles, soft_noise
from .types import Array, Bytes, Floats
from .world import BUILDING, EGO_SURFACE, FIRST_SURFACE, GROUND_SURFACE, SKY_SURFACE, World

_AMBIENT_FLOOR = 0.70  # share of the sky's light that reaches the foot of a wall


class Shading:
    """What both renderings need of a buffer: plan of the ground, atlas coordinates, footprints."""

    def __init__(self, world: World, buffer: Buffer) -> None:
        self.world, self.buffer = world, buffer
        ids = buffer.surface
        self.rows = int(np.argmax((ids == GROUND_SURFACE).any(axis=1))) if (ids == GROUND_SURFACE).any() else ids.shape[0]
        self.lod = -np.log2(np.maximum(buffer.inverse_depth, np.float32(1e-4))) - np.float32(np.log2(SAMPLES * buffer.camera.focal))
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
        position = buffer.camera.position
        self.texel_lod = self.lod + np.take(pixels, self.index)
        self.on_object = ids >= FIRST_SURFACE
        rect = np.take(np.ascontiguousarray(world.atlas.rects.T[:, surfaces.texture]), self.index, axis=1)
        u = np.where(self.on_object, buffer.u, np.float32(0))
        v = np.where(self.on_object, buffer.v, np.float32(0))
        self.u, self.v = u, v
        self.map_x, self.map_y = world.atlas.coordinates(rect, u, v, self.texel_lod)
        del position

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


def _shrink(picture: Floats) -> Floats:
    """Samples to pixels: a small blur around each pixel's centre, as a lens has."""
    height, width = picture.shape[:2]
    return np.asarray(cv2.pyrDown(picture, dstsize=(width // SAMPLES, height // SAMPLES)), np.float32)


def graphics(shading: Shading) -> Bytes:
    """The game-like rendering: flat colours, three tones of light, a plain sky; uint8 [H, W, 3]."""
    world, buffer = shading.world, shading.buffer
    picture = cv2.remap(world.atlas.graphics, shading.map_x, shading.map_y, cv2.INTER_LINEAR).astype(np.float32)
    facing = buffer.normal @ np.array([0.55, 0.75, -0.36])
    tone = np.where(facing > 0.5, 1.06, np.where(facing > 0.1, 0.94, 0.8)).astype(np.float32)
    tone[:FIRST_SURFACE] = 1
    picture *= np.take(tone, buffer.surface)[..., None]
    _, ray_y, _ = buffer.camera.rays(buffer.surface.shape[1], buffer.surface.shape[0])
    climb = np.clip(ray_y * np.float32(1.6), 0, 1)[..., None]
    sky = np.array([196, 236, 255], np.float32) + climb * np.array([-100, -60, -8], np.float32)
    picture = np.where((buffer.surface == SKY_SURFACE)[..., None], sky, picture)
    flat = ground.graphics(shading.plan)
    flat *= (1 - 0.25 * (buffer.contact[shading.rows :] > 0.25))[..., None]
    below = picture[shading.rows :]
    np.copyto(below, flat, where=shading.is_ground[..., None])
    own = buffer.surface == EGO_SURFACE
    if own.any():
        picture[own] = (60, 60, 90)
    return np.asarray(np.clip(_shrink(picture) + 0.5, 0, 255), np.uint8)


def _sky(shading: Shading, ray: tuple[Floats, Floats, Floats], rows: slice, seed: np.random.Generator) -> Floats:
    """Linear RGB of the sky in some rows: gradient, glow around the sun, clouds on a high plane."""
    light = shading.world.light
    x, y, z = (np.broadcast_to(part, shading.buffer.surface.shape)[rows] for part in ray)
    length = np.sqrt(x * x + y * y + z * z)
    elevation = np.maximum(y / length, 0)
    climb = np.clip(elevation * 1.9, 0, 1) ** np.float32(0.6)
    sky = light.horizon + climb[..., None] * (light.zenith - light.horizon)
    glow = np.clip((x * light.sun[0] + y * light.sun[1] + z * light.sun[2]) / length, 0, 1)
    sky += ((0.55 * glow**12 + 1.6 * glow**200)[..., None] * light.sun_colour) * np.float32(0.5 * (1 - 0.8 * light.clouds))
    flat = np.maximum(elevation, np.float32(0.02)) + np.float32(0.10)
    shift = seed.uniform(0, 1, 2).astype(np.float32)
    u, v = x / length / flat * np.float32(0.16) + shift[0], z / length / flat * np.float32(0.16) + shift[1]
    big = sample_tiles(11, u, v, np.float32(0) * u)
    small = sample_tiles(11, u * 3.1 + 0.37, v * 3.1, np.float32(0) * u + 1)
    density = np.clip((big * 2.2 + small * 0.9 + light.clouds * 1.5 - 0.62) * 1.8, 0, 1)
    shade = 1.0 - 0.42 * np.clip(density - 0.25 + small, 0, 1)
    cloud = (light.horizon * 0.55 + light.sky_colour * 0.45 + light.sun_colour * 0.12) * shade[..., None]
    cover = density * np.clip(elevation * 9, 0.15, 1)
    return np.asarray(sky + cover[..., None] * (cloud - sky), np.float32)


def photo(shading: Shading, clouds: np.random.Generator, noise: np.random.Generator) -> Bytes:
    """The photo: albedo, sun with shadows, sky light, haze, exposure, sensor; uint8 [H, W, 3]."""
    world, buffer = shading.world, shading.buffer
    light, surfaces, eye = world.light, world.surfaces, buffer.camera
    ids = buffer.surface
    height, width = ids.shape
    rows = slice(shading.rows, None)
    painted = cv2.remap(world.atlas.photo, shading.map_x, shading.map_y, cv2.INTER_LINEAR)
    # Painted colours are sRGB; a square is near enough to linear, and its root undoes it.
    albedo = painted[..., :3].astype(np.float32) * np.float32(1 / 255)
    albedo *= albedo
    scale = np.take(np.ascontiguousarray(surfaces.tile_scale.T), shading.index, axis=1)
    tile = np.take(surfaces.tile, shading.index)
    tile_lod = shading.lod + np.take(np.log2(256.0 / _spans(world)).astype(np.float32), shading.index)
    fine = sample_tiles(tile, shading.u * scale[0], shading.v * scale[1], tile_lod)
    fine *= painted[..., 3] * np.float32(1.5 / 255)
    albedo *= np.maximum(1 + fine, np.float32(0.1))[..., None]
    ground_albedo = ground.photo(world.street, shading.plan, shading.ground_x, shading.ground_z, shading.ground_lod)
    np.copyto(albedo[rows], ground_albedo, where=shading.is_ground[..., None])

    ray = eye.rays(width, height)
    depth = 1 / np.maximum(buffer.inverse_depth, np.float32(1 / 600))
    wx = ray[0] * depth + np.float32(eye.position[0])
    wy = ray[1] * depth + np.float32(eye.position[1])
    wz = ray[2] * depth + np.float32(eye.position[2])
    facing = np.clip(buffer.normal @ light.sun.astype(np.float64), 0, 1).astype(np.float32)
    turned = world.objects.facing[surfaces.owner]
    facing[FIRST_SURFACE:][turned] = 0.62  # cut-outs stand for round bodies; their sides are painted lit and dark
    facing[GROUND_SURFACE] = light.sun[1]
    lit = np.take(facing, ids)
    lit *= _sunlit(world, wx, wy, wz, ids)
    lit[rows] *= 1 - np.float32(0.92) * buffer.decals[rows]
    up = np.clip(0.78 + 0.22 * buffer.normal[:, 1], 0.5, 1).astype(np.float32)
    ambient = np.take(up, ids) * np.clip(wy * np.float32((1 - _AMBIENT_FLOOR) / 1.5) + np.float32(_AMBIENT_FLOOR), 0, 1)
    side = np.abs(shading.plan.s)
    edge = np.where(shading.plan.s > 0, np.float32(world.facade[1]), np.float32(world.facade[0]))
    open_ground = np.clip(1.0 - 0.35 * np.exp(-np.abs(edge - side) * np.float32(0.8)), 0, 1) * (1 - buffer.contact[rows])
    np.copyto(ambient[rows], open_ground.astype(np.float32), where=shading.is_ground)
    np.copyto(lit[rows], lit[rows] * (1 - buffer.contact[rows]), where=shading.is_ground)

    clear = np.exp(depth * np.float32(-1 / light.haze_metres))
    picture = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        value = ambient * np.float32(light.sky_colour[channel]) + lit * np.float32(light.sun_colour[channel])
        value *= albedo[..., channel]
        haze = np.float32(light.haze_colour[channel])
        picture[..., channel] = haze + clear * (value - haze)
    is_sky = ids == SKY_SURFACE
    seen = np.flatnonzero(is_sky.any(axis=1))
    if len(seen):
        top = slice(0, int(seen[-1]) + 1)
        np.copyto(picture[top], _sky(shading, ray, top, clouds), where=is_sky[top][..., None])
    if world.eye.bonnet > 0:
        _bonnet(picture, buffer, light.sky_colour, light.horizon)
    small = _shrink(picture)
    small *= light.warmth * np.float32(light.exposure)
    small = np.sqrt(np.maximum(small, 0)) * np.float32(255)
    over = np.maximum(small - 205, 0)
    small -= over - over / (1 + over / 60)  # highlights roll off instead of clipping
    grain = noise.standard_normal(small.shape, dtype=np.float32)
    small += grain * (np.float32(light.noise) * (0.7 + 0.3 * np.sqrt(np.maximum(small, 0) / 128)))
    return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


def _spans(world: World) -> Floats:
    """Metres that a tile spans on each surface."""
    lengths = np.linalg.norm(world.surfaces.right, axis=1)
    return np.asarray(lengths / np.maximum(world.surfaces.tile_scale[:, 0], 1e-6), np.float32)


def _sunlit(world: World, x: Floats, y: Floats, z: Floats, ids: Array) -> Floats:
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


def _bonnet(picture: Floats, buffer: Buffer, sky: Floats, horizon: Floats) -> None:
    own = buffer.surface == EGO_SURFACE
    rows = np.flatnonzero(own.any(axis=1))
    part = slice(int(rows[0]), None)
    x, v = buffer.u[part], buffer.v[part]
    shine = np.clip(1 - np.abs(v - 0.25 + 0.1 * x) * 4, 0, 1)[..., None] * horizon * np.float32(0.28)
    base = sky * np.float32(0.035) + shine + np.clip(0.12 - v, 0, 1)[..., None] * horizon
    np.copyto(picture[part], base.astype(np.float32), where=own[part][..., None])


__all__ = ["BUILDING", "Shading", "graphics", "photo", "soft_noise"]
