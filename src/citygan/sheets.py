"""Sheets of pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.pictures.painted import pack_colours

UInt8 = npt.NDArray[np.uint8]
FEW = 64  # colours: more than a class table has, less than any photo
GAP = 4  # pixels between pictures
TITLE = 22  # pixels of the line above


def label_colours(label: npt.NDArray[np.integer], table: ClassTable) -> UInt8:
    """A label map in its classes' colours, uint8 [H, W] -> [H, W, 3]."""
    return table.palette[label]


def few_colours(picture: UInt8) -> bool:
    """Whether a picture, uint8 [H, W, C], is in flat colours, as label maps are and photos are not."""
    height, width, channels = picture.shape
    rows, columns = (max(1, side // 256) for side in (height, width))
    pixels = picture[::rows, ::columns].reshape(-1, channels)
    # a part of a photo has too many already: only of flat colours all pixels are counted
    parts = (pixels[:: 1 + len(pixels) // 4096], pixels)
    return len(pixels) >= 16 * FEW and all(_count_colours(part) <= FEW for part in parts)


def _count_colours(pixels: UInt8) -> int:
    """Of uint8 [N, 1 or 3]."""
    return len(np.unique(pixels if pixels.shape[1] == 1 else pack_colours(pixels)))


def sheet(rows: Sequence[Sequence[npt.NDArray[np.uint8]]], titles: Sequence[str] = ()) -> UInt8:
    """Pictures in rows under titles, on white.

    Args:
        rows: uint8 [H, W, 3] or [H, W, 1], all of one size.
        titles: One a column.

    Returns:
        uint8 [H', W', 3].
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    top = TITLE if titles else 0
    page = np.full((top + len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = top + i * (height + GAP), j * (width + GAP)
            page[y : y + height, x : x + width] = picture
    for j, title in enumerate(titles):
        cv2.putText(
            page,
            title,
            (j * (width + GAP) + 4, TITLE - 7),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (40, 40, 40),
            1,
            cv2.LINE_AA,
        )
    return page
