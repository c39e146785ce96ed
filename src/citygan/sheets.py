"""Sheets of pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.pictures.painted import pack_colours

UInt8 = npt.NDArray[np.uint8]
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
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


def sheet(
    rows: Sequence[Sequence[npt.NDArray[np.uint8]]], titles: Sequence[str] = (), captions: Sequence[str] = ()
) -> UInt8:
    """Pictures in rows under titles, on white.

    Args:
        rows: uint8 [H, W, 3] or [H, W, 1]; smaller ones stand at the top left of the room of the largest.
        titles: One a column.
        captions: One a row, above it.

    Returns:
        uint8 [H', W', 3].
    """
    height, width = (max(picture.shape[axis] for row in rows for picture in row) for axis in (0, 1))
    columns = max(len(row) for row in rows)
    top, above = TITLE if titles else 0, TITLE if captions else 0
    step = above + height + GAP
    page = np.full((top + len(rows) * step - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = top + i * step + above, j * (width + GAP)
            page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    for j, title in enumerate(titles):
        _write(page, title, j * (width + GAP), TITLE, width)
    for i, caption in enumerate(captions):
        _write(page, caption, 0, top + i * step + above, page.shape[1])
    return page


def _write(page: UInt8, text: str, left: int, bottom: int, room: int) -> None:
    """A line of text, cut where it is wider than its room; its font has the characters of ASCII alone."""
    plain = shown = text.encode("ascii", "replace").decode("ascii")
    while len(shown) > 3 and cv2.getTextSize(shown, FONT, SCALE, 1)[0][0] > room - 4:
        plain = plain[:-1]
        shown = f"{plain.rstrip()}.."
    cv2.putText(page, shown, (left + 4, bottom - 7), FONT, SCALE, (40, 40, 40), 1, cv2.LINE_AA)
