"""How a picture of any size becomes one of the set's size.

``stretch`` changes the aspect, ``crop`` takes the largest middle part of the right aspect, ``pad`` puts the whole
picture in the middle: around it photos are black and labels 255. Photos are shrunk by averaging over areas
(antialiasing) and enlarged bicubically, each axis for itself. Maps of ids take the nearest pixel: with pixel centres
at halves, pixel x of w new ones is old pixel floor((2 x + 1) W / (2 w)), in whole numbers, so that no rounding mode
of any library matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

OUTSIDE = 255

Mode = Literal["stretch", "crop", "pad"]
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Fit:
    """Makes pictures fit `size`, (width, height)."""

    size: tuple[int, int]
    mode: Mode = "stretch"

    def photo(self, photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """uint8 [H, W, C] to uint8 [height, width, C]."""
        left, top, right, bottom = self._crop(photo)
        width, height = self._inner(photo)
        inner = shrink_or_enlarge(photo[top:bottom, left:right], (width, height))
        return self._pad(inner, 0)

    def ids(self, ids: npt.NDArray[_Scalar], outside: int) -> npt.NDArray[_Scalar]:
        """Ids [H, W] to ids [height, width] of the same type; `outside` is put where there is no picture."""
        left, top, right, bottom = self._crop(ids)
        return self._pad(nearest(ids[top:bottom, left:right], self._inner(ids)), outside)

    def aspect_change(self, size: tuple[int, int]) -> float:
        """By how much a picture's aspect is changed: 0.25 is 25 %."""
        if self.mode != "stretch":
            return 0.0
        ratio = size[0] * self.size[1] / (size[1] * self.size[0])
        return max(ratio, 1 / ratio) - 1

    def _crop(self, picture: npt.NDArray[_Scalar]) -> tuple[int, int, int, int]:
        """left, top, right, bottom of the part that is taken."""
        height, width = picture.shape[:2]
        if self.mode != "crop":
            return 0, 0, width, height
        new_width, new_height = self.size
        if width * new_height > height * new_width:
            taken = max(1, round(height * new_width / new_height))
            left = (width - taken) // 2
            return left, 0, left + taken, height
        taken = max(1, round(width * new_height / new_width))
        top = (height - taken) // 2
        return 0, top, width, top + taken

    def _inner(self, picture: npt.NDArray[_Scalar]) -> tuple[int, int]:
        """(width, height) of the part of the new picture that shows the old one."""
        height, width = picture.shape[:2]
        new_width, new_height = self.size
        if self.mode != "pad":
            return self.size
        if width * new_height > height * new_width:
            return new_width, max(1, round(height * new_width / width))
        return max(1, round(width * new_height / height)), new_height

    def _pad(self, inner: npt.NDArray[_Scalar], value: int) -> npt.NDArray[_Scalar]:
        height, width = inner.shape[:2]
        if (width, height) == self.size:
            return inner
        left, top = (self.size[0] - width) // 2, (self.size[1] - height) // 2
        padded = np.full((self.size[1], self.size[0], *inner.shape[2:]), value, inner.dtype)
        padded[top : top + height, left : left + width] = inner
        return padded


def shrink_or_enlarge(photo: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, C] to `size`, (width, height): areas are averaged where an axis shrinks, else bicubic."""
    result = photo
    smaller = (min(photo.shape[1], size[0]), min(photo.shape[0], size[1]))
    for target, how in ((smaller, cv2.INTER_AREA), (size, cv2.INTER_CUBIC)):
        if (result.shape[1], result.shape[0]) != target:
            result = np.asarray(cv2.resize(result, target, interpolation=how), np.uint8)
            result = result.reshape(target[1], target[0], photo.shape[2])  # OpenCV drops a channel axis of one
    return result


def nearest(ids: npt.NDArray[_Scalar], size: tuple[int, int]) -> npt.NDArray[_Scalar]:
    """Ids [H, W] to `size`, (width, height), by the rule at the head of this file."""
    height, width = ids.shape
    if (width, height) == size:
        return ids
    columns = (2 * np.arange(size[0]) + 1) * width // (2 * size[0])
    rows = (2 * np.arange(size[1]) + 1) * height // (2 * size[1])
    taken: npt.NDArray[_Scalar] = np.take(np.take(ids, rows, axis=0), columns, axis=1)
    return taken
