"""From a world to a buffer of what each sample of the picture sees, and from two such buffers to exact flow.

Every surface is planar, so a pixel's place on it is a homography of the pixel, its inverse depth is linear in the pixel
and the flow of all its pixels is one homography too. The buffer has two samples a pixel along each side; sample
(2i, 2j) is the centre of pixel (i, j), so labels and flow need no rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .planes import SAMPLES, Camera, boxes_of, camera, cut, homographies, inverse_of, place
from .types import Bools, Bytes, Doubles, Floats, Ints
from .world import (
    EGO_SURFACE,
    FIRST_SURFACE,
    GROUND_SURFACE,
    SKY_SURFACE,
    World,
)

FAR_METRES = 500.0
REACH_SIDES = 4  # flow is cut off at this many times the picture's longer side
SWING_RATE = 0.55  # radians a frame of a walking leg


@dataclass(frozen=True)
class Buffer:
    """What each sample sees: surface id, inverse depth (1/m), place on the surface (0..1; the ground: world x, z in m).

    `forward` [n, 3, 3] maps (u, v, 1) of each surface to homogeneous pixels, `backward` pixels to (u, v, 1) / depth.
    """

    camera: Camera
    surface: Ints
    inverse_depth: Floats
    u: Floats
    v: Floats
    forward: Doubles
    backward: Doubles
    normal: Doubles  # [n, 3] unit, towards the viewer
    decals: Floats  # sun blocked by trees, cars, people: 0..1
    contact: Floats  # ambient light blocked under cars and feet: 0..1


def _posed(world: World, frame: int, eye: Camera) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles]:
    """World origin, right and up of all surfaces, and place and heading of all objects at a frame."""
    objects, surfaces, street = world.objects, world.surfaces, world.street
    where = objects.place.copy()
    where[:, :2] += objects.rate * frame
    x = where[:, 0] + street.centre(where[:, 1])
    toward = np.arctan2(x - eye.position[0], where[:, 1] - eye.position[2])
    heading = np.where(objects.facing, toward, where[:, 2] + street.direction(where[:, 1]))
    ground = np.stack([x, np.zeros_like(x), where[:, 1]], axis=1)
    sin, cos = np.sin(heading)[surfaces.owner], np.cos(heading)[surfaces.owner]

    def turned(vector: Doubles) -> Doubles:
        return np.stack(
            [vector[:, 0] * cos + vector[:, 2] * sin, vector[:, 1], vector[:, 2] * cos - vector[:, 0] * sin], axis=1
        )

    origin, right, up = surfaces.origin, surfaces.right, surfaces.up
    moving = np.flatnonzero(surfaces.swing[:, 0])
    if len(moving):  # legs turn around the middle of their upper edge, in their own plane
        angle = surfaces.swing[moving, 0] * np.sin(SWING_RATE * frame + surfaces.swing[moving, 1])
        s, c = np.sin(angle)[:, None], np.cos(angle)[:, None]
        quarter = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        pivot = origin[moving] + 0.5 * right[moving] + up[moving]
        origin, right, up = origin.copy(), right.copy(), up.copy()
        right[moving] = c * right[moving] + s * (right[moving] @ quarter)
        up[moving] = c * up[moving] + s * (up[moving] @ quarter)
        origin[moving] = pivot - 0.5 * right[moving] - up[moving]
    return turned(origin) + ground[surfaces.owner], turned(right), turned(up), ground, heading


def render_buffer(world: World, frame: int, size: tuple[int, int], *, shadows: bool = True) -> Buffer:
    """Rasterise a frame."""
    width, height = size[0] * SAMPLES, size[1] * SAMPLES
    eye = camera(world, frame, size)
    origin, right, up, places, headings = _posed(world, frame, eye)
    ground = np.array([[0.0, 0, 0]]), np.array([[1.0, 0, 0]]), np.array([[0.0, 0, 1]])
    planes = [np.concatenate([g, g, g, rest]) for g, rest in zip(ground, (origin, right, up), strict=True)]
    forward = homographies(eye, *planes)
    forward[SKY_SURFACE] = eye.matrix
    forward[EGO_SURFACE] = np.eye(3)
    backward = inverse_of(forward)
    normal = np.cross(right, up)
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-9)[:, None]
    toward = np.einsum("ni,ni->n", normal, eye.position - origin)
    normal *= np.sign(toward)[:, None]
    normal = np.concatenate([[[0.0, 1, 0], [0, 0, 0], [0, 1, 0]], normal])

    px = np.arange(width, dtype=np.float32)[None, :] / SAMPLES
    py = np.arange(height, dtype=np.float32)[:, None] / SAMPLES
    low = backward.astype(np.float32)
    far = np.float32(1 / FAR_METRES)
    plane = np.broadcast_to(low[0, 2, 0] * px + (low[0, 2, 1] * py + low[0, 2, 2]), (height, width))
    on_ground = plane > far
    depth = np.where(on_ground, plane, np.float32(0))
    surface = np.where(on_ground, np.int32(GROUND_SURFACE), np.int32(SKY_SURFACE))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        safe = np.where(on_ground, plane, np.float32(1))
        u, v, _ = place(low[0], px, py, safe)
        boxes, nearest = boxes_of(forward[FIRST_SURFACE:], width, height)
        columns = np.moveaxis(forward[FIRST_SURFACE:], 2, 0)
        determinant = np.einsum(
            "ni,ni->n", columns[0], np.cross(columns[1], columns[2])
        )  # negative: seen from its front
        shows = (
            (boxes[:, 1] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 2]) & (world.surfaces.two_sided | (determinant < 0))
        )
        finest = nearest * world.surfaces.pixels_per_metre / (eye.focal * SAMPLES)
        levels = np.clip(np.floor(np.log2(np.maximum(finest, 1e-6)) + 1.5), 0, 8).astype(np.int32)
        for k in sorted(np.flatnonzero(shows).tolist(), key=lambda k: (nearest[k], k)):
            x0, x1, y0, y1 = boxes[k].tolist()
            window = (slice(y0, y1), slice(x0, x1))
            inverse = low[k + FIRST_SURFACE]
            c = inverse[2, 0] * px[:, x0:x1] + (inverse[2, 1] * py[y0:y1] + inverse[2, 2])
            wins = c > depth[window]
            if not wins.any():
                continue
            uu, vv, inside = place(inverse, px[:, x0:x1], py[y0:y1], c)
            wins &= inside
            mask = world.masks[world.surfaces.texture[k]]
            if mask is not None:
                cut(wins, mask, int(levels[k]), uu, vv)
            np.copyto(depth[window], c, where=wins)
            np.copyto(surface[window], np.int32(k + FIRST_SURFACE), where=wins)
            np.copyto(u[window], uu, where=wins)
            np.copyto(v[window], vv, where=wins)
        decals = np.zeros((height, width), np.float32)
        contact = np.zeros((height, width), np.float32)
        if shadows:
            _shadows(world, eye, (origin, right, up), (places, headings), surface, decals, contact)
    if world.eye.bonnet > 0:
        _bonnet(world.eye.bonnet, size, surface, depth, u, v)
    return Buffer(eye, surface, depth, u, v, forward, backward, normal, decals, contact)


def _shadows(
    world: World,
    eye: Camera,
    planes: tuple[Doubles, Doubles, Doubles],
    poses: tuple[Doubles, Doubles],
    surface: Ints,
    decals: Floats,
    contact: Floats,
) -> None:
    """Shadows of objects on the ground: each caster is projected along the light, and stays a planar piece."""
    height, width = surface.shape
    px = np.arange(width, dtype=np.float32)[None, :] / SAMPLES
    py = np.arange(height, dtype=np.float32)[:, None] / SAMPLES
    places, headings = poses
    feet = np.flatnonzero(world.objects.footprint[:, 2] > 0)
    half = world.objects.footprint[feet]
    sin, cos, zero = np.sin(headings[feet]), np.cos(headings[feet]), np.zeros(len(feet))
    along = 2 * half[:, 1:2] * np.stack([sin, zero, cos], axis=1)
    across = 2 * half[:, 0:1] * np.stack([cos, zero, -sin], axis=1)
    groups: list[tuple[Doubles, list[list[Bools] | None], Doubles | None]] = []
    groups.append(
        (homographies(eye, places[feet] - 0.5 * along - 0.5 * across, across, along), [None] * len(feet), half[:, 2])
    )
    sun = world.light.sun
    if float(world.light.sun_colour.max()) > 0.25:
        chosen = np.flatnonzero(world.surfaces.caster)
        slope = np.array([sun[0] / sun[1], 1.0, sun[2] / sun[1]], np.float64)
        flat = [vector[chosen] - vector[chosen, 1:2] * slope for vector in planes]
        groups.append((homographies(eye, *flat), [world.masks[world.surfaces.texture[k]] for k in chosen], None))
    for forward, masks, strength in groups:
        if not len(forward):
            continue
        boxes, nearest = boxes_of(forward, width, height)
        backward = inverse_of(forward).astype(np.float32)
        for k in range(len(forward)):
            x0, x1, y0, y1 = boxes[k].tolist()
            if x1 <= x0 or y1 <= y0 or nearest[k] > 90:
                continue
            window = (slice(y0, y1), slice(x0, x1))
            c = backward[k, 2, 0] * px[:, x0:x1] + (backward[k, 2, 1] * py[y0:y1] + backward[k, 2, 2])
            uu, vv, inside = place(backward[k], px[:, x0:x1], py[y0:y1], c)
            inside &= (surface[window] == GROUND_SURFACE) & (c > 0)
            if not inside.any():
                continue
            if strength is not None:
                fall = np.clip(1.35 - (2 * uu - 1) ** 4 - (2 * vv - 1) ** 4, 0, 1) * np.float32(strength[k])
                np.copyto(contact[window], np.maximum(contact[window], fall), where=inside)
                continue
            mask = masks[k]
            if mask is not None:
                cut(inside, mask, 2, uu, vv)
            np.copyto(decals[window], np.float32(1), where=inside)


def _bonnet(share: float, size: tuple[int, int], surface: Ints, depth: Floats, u: Floats, v: Floats) -> None:
    """Cover the lower rim with the own car; it moves with the camera."""
    height, width = surface.shape
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    top = height * (1 - share * np.sqrt(np.clip(1.25 - x * x, 0.02, None) / 1.25))
    first = int(top.min())
    rows = np.arange(first, height, dtype=np.float32)[:, None]
    covered = rows > top[None, :]
    np.copyto(surface[first:], np.int32(EGO_SURFACE), where=covered)
    np.copyto(depth[first:], np.float32(1e3), where=covered)
    np.copyto(u[first:], np.broadcast_to(x, covered.shape), where=covered)
    np.copyto(v[first:], (rows - top) / np.float32(share * height), where=covered)


def flow(first: Buffer, second: Buffer) -> tuple[Floats, Bytes]:
    """Exact flow from `first` to `second`, float32 [H, W, 2] pixels, and occlusion uint8 [H, W], 1 = none."""
    ids = first.surface[::SAMPLES, ::SAMPLES]
    inverse_depth = first.inverse_depth[::SAMPLES, ::SAMPLES]
    height, width = ids.shape
    move = second.forward @ first.backward
    x = np.arange(width, dtype=np.float64)[None, :]
    y = np.arange(height, dtype=np.float64)[:, None]
    terms = [np.take(row, ids) for row in np.ascontiguousarray(move.reshape(len(move), 9).T)]
    q = [terms[3 * k] * x + terms[3 * k + 1] * y + terms[3 * k + 2] for k in range(3)]
    ahead = q[2] > 1e-6
    scale = np.where(ahead, q[2], 1.0)
    tx, ty = np.where(ahead, q[0] / scale, x), np.where(ahead, q[1] / scale, y)
    limit = REACH_SIDES * max(width, height)  # what nearly touches the camera would go to infinity, and is gone anyway
    vectors = np.clip(np.stack([tx - x, ty - y], axis=2), -limit, limit).astype(np.float32)
    column, row = np.floor(tx * SAMPLES + 0.5), np.floor(ty * SAMPLES + 0.5)
    limit_x, limit_y = SAMPLES * (width - 1), SAMPLES * (height - 1)
    inside = ahead & (tx > -0.5) & (tx < width - 0.5) & (ty > -0.5) & (ty < height - 0.5)
    column, row = np.clip(column, 0, limit_x).astype(np.int32), np.clip(row, 0, limit_y).astype(np.int32)
    seen = second.surface[row, column]
    nearer = second.inverse_depth[row, column] > inverse_depth / scale * 1.01 + 1e-6
    occluded = ~inside | ((seen != ids) & nearer)
    return vectors, occluded.astype(np.uint8)
