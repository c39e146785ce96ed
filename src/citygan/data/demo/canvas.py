"""A canvas in metres on which both renderings of a surface are painted at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .texture import soft_noise
from .types import Array, Bytes, Colour

_SHIFT = 4
_ONE = 1 << _SHIFT


@dataclass(frozen=True)
class Paint:
    """What a spot looks like: sRGB 0..255 in the photo and in the graphics, and how much of the fine tile shows (0..255)."""

    photo: Colour
    graphics: Colour
    detail: float = 60.0

    def times(self, factor: float) -> Paint:
        """The same paint, lighter or darker in both renderings."""
        r, g, b = (min(255.0, c * factor) for c in self.photo)
        x, y, z = (min(255.0, c * (1 + (factor - 1) * 0.6)) for c in self.graphics)
        return Paint((r, g, b), (x, y, z), self.detail)


def shifted(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """`colour` with a random common and a smaller random single-channel change."""
    common = rng.normal(0, spread)
    r, g, b = (float(np.clip(c + common + rng.normal(0, spread / 3), 3, 252)) for c in colour)
    return (r, g, b)


class Canvas:
    """`width` x `height` metres at `ppm` pixels a metre; x to the right, y upwards from the bottom edge.

    With `cut` the surface starts transparent and is solid only where something was painted; the colours around the painted
    parts are `base`, so that coarse levels keep their hue.
    """

    def __init__(self, width: float, height: float, ppm: float, base: Paint, *, cut: bool = False) -> None:
        self.width, self.height, self.ppm, self.base = width, height, ppm, base
        w, h = max(4, round(width * ppm)), max(4, round(height * ppm))
        self.sx, self.sy = w / width, h / height
        self.photo: Bytes = np.empty((h, w, 4), np.uint8)
        self.photo[:] = (*(int(c) for c in base.photo), int(base.detail))
        self.graphics: Bytes = np.empty((h, w, 3), np.uint8)
        self.graphics[:] = tuple(int(c) for c in base.graphics)
        self.mask: Bytes | None = np.zeros((h, w), np.uint8) if cut else None

    def _point(self, x: float, y: float) -> tuple[int, int]:
        return (
            round((x * self.sx - 0.5) * _ONE),
            round((self.photo.shape[0] - y * self.sy - 0.5) * _ONE),
        )

    def _targets(self, paint: Paint) -> list[tuple[Array, tuple[float, ...]]]:
        targets: list[tuple[Array, tuple[float, ...]]] = [
            (self.photo, (*paint.photo, paint.detail)),
            (self.graphics, paint.graphics),
        ]
        if self.mask is not None:
            targets.append((self.mask, (255.0,)))
        return targets

    def rect(self, x0: float, y0: float, x1: float, y1: float, paint: Paint) -> None:
        """Fill the rectangle between two corners (at least one pixel)."""
        h, w = self.photo.shape[:2]
        left, right = round(x0 * self.sx), round(x1 * self.sx)
        top, bottom = h - round(y1 * self.sy), h - round(y0 * self.sy)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        if left >= w or top >= h:
            return
        for picture, colour in self._targets(paint):
            picture[rows, columns] = colour if picture.ndim == 3 else 255

    def poly(self, points: Sequence[tuple[float, float]], paint: Paint) -> None:
        """Fill a polygon."""
        corners = np.array([self._point(x, y) for x, y in points], np.int32)
        for picture, colour in self._targets(paint):
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_8 if picture is self.mask else cv2.LINE_AA, _SHIFT)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, paint: Paint, *, angle: float = 0.0, ring: float = 0.0
    ) -> None:
        """Fill an ellipse, or draw its outline `ring` metres thick."""
        axes = (max(1, round(rx * self.sx * _ONE)), max(1, round(ry * self.sy * _ONE)))
        width = max(1, round(ring * self.sx)) if ring else -1
        for picture, colour in self._targets(paint):
            kind = cv2.LINE_8 if picture is self.mask else cv2.LINE_AA
            cv2.ellipse(picture, self._point(x, y), axes, angle, 0, 360, colour, width, kind, _SHIFT)

    def line(self, points: Sequence[tuple[float, float]], width: float, paint: Paint) -> None:
        """Draw a line through the points, `width` metres thick, with round ends."""
        corners = np.array([self._point(x, y) for x, y in points], np.int32)
        thick = max(1, round(width * self.sx))
        for picture, colour in self._targets(paint):
            kind = cv2.LINE_8 if picture is self.mask else cv2.LINE_AA
            cv2.polylines(picture, [corners], False, colour, thick, kind, _SHIFT)

    def paste(self, other: Canvas, x: float, y: float) -> None:
        """Copy another canvas of the same scale with its lower left corner at (x, y)."""
        h, w = self.photo.shape[:2]
        oh, ow = other.photo.shape[:2]
        left, top = round(x * self.sx), h - round(y * self.sy) - oh
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + ow, w), min(top + oh, h)
        if x0 >= x1 or y0 >= y1:
            return
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        self.photo[y0:y1, x0:x1] = other.photo[part]
        self.graphics[y0:y1, x0:x1] = other.graphics[part]

    def grime(self, rng: np.random.Generator, strength: float, cell: float = 1.2) -> None:
        """Uneven brightness of an old surface, in the photo alone."""
        h, w = self.photo.shape[:2]
        noise = soft_noise(rng, h, w, max(3, round(cell * self.ppm)))
        noise = noise + 0.5 * soft_noise(rng, h, w, max(2, round(cell * self.ppm / 4)))
        factor = np.clip(1 + strength * noise, 0.3, 1.6)
        self.photo[..., :3] = np.clip(self.photo[..., :3] * factor[..., None], 0, 255)

    def shade_rows(self, bottom: float, top: float, power: float = 1.0) -> None:
        """Multiply the photo by a factor that runs from `bottom` to `top` over the height."""
        rows = np.linspace(0, 1, self.photo.shape[0], dtype=np.float32)[::-1] ** np.float32(power)
        factor = bottom + (top - bottom) * rows
        self.photo[..., :3] = np.clip(self.photo[..., :3] * factor[:, None, None], 0, 255)
