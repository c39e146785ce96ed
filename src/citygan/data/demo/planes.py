"""The camera, and planes seen by it: homographies, bounding boxes, places on a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .types import Array, Bools, Doubles, Floats, Ints
from .world import PROFILE_COUNT, PROFILE_START, PROFILE_STEP, World

SAMPLES = 2  # a pixel, along each side
NEAR_METRES = 0.15
FOCAL = 1.06  # focal length over the geometric mean of the sides


@dataclass(frozen=True)
class Camera:
    """Position [3], rotation [3, 3] (world to right, down, ahead), focal length and principal point in pixels."""

    position: Doubles
    rotation: Doubles
    focal: float
    cx: float
    cy: float

    @property
    def matrix(self) -> Doubles:
        """World directions to homogeneous pixels."""
        k = np.array([[self.focal, 0, self.cx], [0, self.focal, self.cy], [0, 0, 1]])
        return np.asarray(k @ self.rotation, np.float64)

    def rays(self, width: int, height: int) -> tuple[Floats, Floats, Floats]:
        """World direction of each sample at unit depth: three float32 [height, width]."""
        inverse = np.linalg.inv(self.matrix)
        px = np.arange(width, dtype=np.float32)[None, :] / SAMPLES
        py = np.arange(height, dtype=np.float32)[:, None] / SAMPLES
        x, y, z = (
            np.float32(row[0]) * px + (np.float32(row[1]) * py + np.float32(row[2]))
            for row in inverse.astype(np.float32)
        )
        return x, y, z


def camera(world: World, frame: int, size: tuple[int, int]) -> Camera:
    """The camera at a frame for pictures of `size` (width, height)."""
    width, height = size
    eye, street = world.eye, world.street
    z = eye.reach * (1 - np.exp(-eye.speed * frame / eye.reach))
    turn = eye.yaw + eye.yaw_rate * np.sin(0.12 * frame) + float(street.direction(np.float64(z)))
    x = float(street.centre(np.float64(z))) + eye.lateral * np.cos(float(street.direction(np.float64(z))))
    bump = 0.006 * np.sin(0.9 * frame)
    cos, sin = np.cos(turn), np.sin(turn)
    up, ahead = np.cos(eye.pitch), np.sin(eye.pitch)
    rotation = np.array([[cos, 0, -sin], [sin * ahead, -up, cos * ahead], [sin * up, ahead, cos * up]])
    focal = FOCAL * float(np.sqrt(width * height))
    position = np.array([x, eye.height + bump, z])
    return Camera(position, rotation, focal, (width - 1) / 2, eye.horizon * (height - 1))


def along(profile: Floats, z: Floats) -> Array:
    """Look up a table along the street, [PROFILE_COUNT], at z metres."""
    index = np.clip((z - np.float32(PROFILE_START)) * np.float32(1 / PROFILE_STEP), 0, PROFILE_COUNT - 1).astype(
        np.int32
    )
    return np.take(profile, index)


def inverse_of(matrices: Doubles) -> Doubles:
    """Inverse of [n, 3, 3] by cofactors."""
    a, b, c = matrices[:, :, 0], matrices[:, :, 1], matrices[:, :, 2]
    rows = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    determinant = np.einsum("ni,ni->n", a, rows[:, 0])
    return np.asarray(rows / np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)[:, None, None])


def homographies(eye: Camera, origin: Doubles, right: Doubles, up: Doubles) -> Doubles:
    """[n, 3, 3] maps from (u, v, 1) on planes to homogeneous pixels."""
    matrix = eye.matrix
    return np.stack([right @ matrix.T, up @ matrix.T, (origin - eye.position) @ matrix.T], axis=2)


def boxes_of(forward: Doubles, width: int, height: int) -> tuple[Ints, Doubles]:
    """Bounding boxes (x0, x1, y0, y1 in samples, x0 = x1 where nothing shows) and nearest depth of unit squares."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)
    points = np.einsum("nij,cj->nci", forward, corners)
    depth = points[..., 2]
    inside = depth > NEAR_METRES
    places, valid = [points[..., :2] / np.where(inside, depth, 1.0)[..., None]], [inside]
    for k in range(4):  # where an edge pierces the near plane
        first, second = points[:, k], points[:, (k + 1) % 4]
        crosses = inside[:, k] != inside[:, (k + 1) % 4]
        gap = np.where(crosses, second[:, 2] - first[:, 2], 1.0)
        t = (NEAR_METRES - first[:, 2]) / gap
        places.append(((first + t[:, None] * (second - first))[:, None, :2]) / NEAR_METRES)
        valid.append(crosses[:, None])
    xy, ok = np.concatenate(places, axis=1), np.concatenate(valid, axis=1)[..., None]
    low = np.where(ok, xy, np.inf).min(axis=1) * SAMPLES
    high = np.where(ok, xy, -np.inf).max(axis=1) * SAMPLES
    limit = np.array([width, height])
    first_sample = np.clip(np.ceil(np.clip(low, -1e6, 1e6)), 0, limit).astype(np.int32)
    last_sample = np.clip(np.floor(np.clip(high, -1e6, 1e6)) + 1, first_sample, limit).astype(np.int32)
    boxes = np.stack([first_sample[:, 0], last_sample[:, 0], first_sample[:, 1], last_sample[:, 1]], axis=1)
    return boxes, np.maximum(depth.min(axis=1), NEAR_METRES)


def place(backward: Floats, px: Floats, py: Floats, inverse: Floats) -> tuple[Floats, Floats, Bools]:
    """(u, v) of samples and whether they lie on the unit square."""
    u = (backward[0, 0] * px + (backward[0, 1] * py + backward[0, 2])) / inverse
    v = (backward[1, 0] * px + (backward[1, 1] * py + backward[1, 2])) / inverse
    return u, v, (u >= 0) & (u < 1) & (v >= 0) & (v < 1)


def cut(wins: Bools, levels: list[Bools], level: int, u: Floats, v: Floats) -> None:
    """Take the samples out of `wins` that lie on a transparent part of a mask."""
    mask = levels[min(level, len(levels) - 1)]
    h, w = mask.shape
    column = (u[wins] * w).astype(np.int32)
    row = ((1 - v[wins]) * h).astype(np.int32)
    wins[wins] = mask[np.minimum(row, h - 1), np.minimum(column, w - 1)]
