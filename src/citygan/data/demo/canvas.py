"""A canvas in metres on which both renderings of a surface are painted at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .texture import noise_crop
from .types import Array, Bytes, Colour

_SHIFT = 4
_ONE = 1 << _SHIFT


@dataclass(frozen=True)
class Paint:
    """sRGB 0..255 of a spot in the photo and in the graphics, and how much of the fine tile shows there (0..255)."""

    photo: Colour
    graphics: Colour
    detail: float = 60.0

    def times(self, factor: float) -> Paint:
        """The same paint, lighter or darker in both renderings."""
        f, g = factor, 1 + (factor - 1) * 0.6
        p, q = self.photo, self.graphics
        photo = (min(255.0, p[0] * f), min(255.0, p[1] * f), min(255.0, p[2] * f))
        return Paint(photo, (min(255.0, q[0] * g), min(255.0, q[1] * g), min(255.0, q[2] * g)), self.detail)


def shifted(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """`colour` with a random common and a smaller random single-channel change."""
    change = rng.standard_normal(4).tolist()
    common, single = change[3] * spread, spread / 3
    r, g, b = (min(max(colour[k] + common + change[k] * single, 3.0), 252.0) for k in range(3))
    return (r, g, b)


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 9.0) -> Colour:
    """One of some colours, slightly changed."""
    return shifted(rng, colours[int(rng.integers(len(colours)))], spread)


class Canvas:
    """`width` x `height` metres at `ppm` pixels a metre; x to the right, y upwards from the bottom edge.

    With `cut` the surface starts transparent and is solid only where something was painted; around the painted parts
    the colour is `base`, so that coarse levels keep their hue.
    """

    def __init__(self, width: float, height: float, ppm: float, base: Paint, *, cut: bool = False) -> None:
        self.width, self.height, self.ppm, self.base = width, height, ppm, base
        w, h = max(4, round(width * ppm)), max(4, round(height * ppm))
        self.sx, self.sy = w / width, h / height
        self.photo: Bytes = np.empty((h, w, 4), np.uint8)
        self.graphics: Bytes = np.empty((h, w, 3), np.uint8)
        cv2.rectangle(self.photo, (0, 0), (w, h), (*base.photo, base.detail), -1)
        cv2.rectangle(self.graphics, (0, 0), (w, h), base.graphics, -1)
        self.mask: Bytes | None = np.zeros((h, w), np.uint8) if cut else None
        self.fine_mask: Bytes | None = None  # a sharper mask for close views, any whole multiple of the size

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
        if left >= w or top >= h:
            return
        for picture, colour in self._targets(paint):
            cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, -1)

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
        """Uneven brightness of an old surface, in the photo alone; `cell` metres is the size of the larger spots."""
        h, w = self.photo.shape[:2]
        noise = noise_crop(rng, h, w, max(2.0, cell * self.ppm))
        factor = cv2.convertScaleAbs(noise, alpha=128 * strength, beta=128)
        cv2.multiply(self.photo, cv2.merge([factor, factor, factor, np.full_like(factor, 128)]), self.photo, 1 / 128)

    def shade_rows(self, bottom: float, top: float, power: float = 1.0) -> None:
        """Multiply the photo by a factor that runs from `bottom` to `top` over the height."""
        rows = np.linspace(0, 1, self.photo.shape[0], dtype=np.float32)[::-1] ** np.float32(power)
        factor = bottom + (top - bottom) * rows
        self.photo[..., :3] = np.clip(self.photo[..., :3] * factor[:, None, None], 0, 255)
