"""Label maps painted in class colours, turned into ids: exactly, or by the nearest colour (after JPEG)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable

# Of 441, the distance from black to white. Label maps in Cityscapes' or CamVid's colours at 256x256 have 0.5 % of their
# pixels further away after JPEG with halved chroma, photos 10 % and more.
TOLERANCE = 64.0
MAX_DOUBTFUL = 0.01

UInt8 = npt.NDArray[np.uint8]


class UnknownValuesError(Exception):
    """Values of a label map that its table does not have.

    Attributes:
        counts: Pixels of each unknown value, most frequent first: an id, or an (r, g, b).
        first: (x, y) of the first of them.
        share: Share of all pixels.
    """

    def __init__(self, counts: dict[Any, int], first: tuple[int, int], share: float) -> None:
        super().__init__(counts, first, share)
        self.counts = counts
        self.first = first
        self.share = share

    def __str__(self) -> str:
        shown = [f"{value} ({count} pixel{'s'[: count > 1]})" for value, count in list(self.counts.items())[:3]]
        if len(self.counts) > 3:
            shown.append(f"and {len(self.counts) - 3} more")
        return f"{', '.join(shown)}; the first at x {self.first[0]}, y {self.first[1]}"


@lru_cache(maxsize=4)
def _exact_lookup(table: ClassTable) -> UInt8:
    """uint8 [2^24]: packed colour to 1 + the class's place in `_ids`; 0 where there is none."""
    lookup = np.zeros(1 << 24, np.uint8)
    for place, (r, g, b) in enumerate(table.colour_ids, 1):
        lookup[r << 16 | g << 8 | b] = place
    return lookup


def pack_colours(rgb: UInt8) -> npt.NDArray[np.uint32]:
    """uint8 [..., 3] to r << 16 | g << 8 | b, uint32 [...]."""
    packed = rgb[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= 8
        packed |= rgb[..., channel]
    return packed


def colours_to_ids(rgb: UInt8, table: ClassTable) -> UInt8:
    """Exact colours to ids.

    Args:
        rgb: uint8 [H, W, 3].
        table: Whose colours they are.

    Returns:
        uint8 [H, W]: ids of the table.

    Raises:
        UnknownValuesError: Colours that the table does not have.
    """
    packed = pack_colours(rgb)
    places = _exact_lookup(table)[packed]
    if not places.all():
        raise unknown_values(packed, places == 0, colours=True)
    return np.array([0, *table.colour_ids.values()], np.uint8)[places]


def in_colours(picture: UInt8) -> UInt8:
    """[..., C] with three channels: a grey picture, which has one, three times."""
    return np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture


def nearest_colours_to_ids(
    rgb: UInt8,
    table: ClassTable,
    *,
    tolerance: float = TOLERANCE,
    max_doubtful: float = MAX_DOUBTFUL,
    void: bool = True,
) -> tuple[UInt8, float]:
    """Colours that were changed a little (JPEG) to the ids of the nearest class colours.

    A pixel further than `tolerance` (Euclidean, in 8-bit RGB) from all of them is doubtful.

    Args:
        rgb: uint8 [H, W, 3].
        void: Whether the colours of void classes count too; without, a pixel is always of a class that is trained on,
            where there is any.

    Returns:
        uint8 [H, W] ids, and the share of doubtful pixels.

    Raises:
        UnknownValuesError: More than `max_doubtful` of the pixels are doubtful.
    """
    packed = pack_colours(rgb)
    values, inverse = np.unique(packed, return_inverse=True)
    unpacked = np.stack([values >> 16, values >> 8 & 255, values & 255], -1).astype(np.float32)  # [U, 3]
    known = table.colour_ids
    if not void and table.num_train:
        known = {colour: i for colour, i in known.items() if table.train_ids[i] < table.num_train}
    palette = np.array(list(known), np.float32)  # [K, 3]
    ids = np.array(list(known.values()), np.uint8)
    squares = (unpacked**2).sum(1)[:, None] - 2 * unpacked @ palette.T + (palette**2).sum(1)  # [U, K], exact in float32
    nearest = squares.argmin(1)
    far = (squares.min(1) > tolerance**2)[inverse].reshape(packed.shape)
    share = float(far.mean())
    if share > max_doubtful:
        raise unknown_values(packed, far, colours=True)
    return ids[nearest][inverse].reshape(packed.shape), share


def unknown_values(values: npt.NDArray[Any], unknown: npt.NDArray[np.bool_], *, colours: bool) -> UnknownValuesError:
    """What is to be told of the unknown pixels of a label map.

    Args:
        values: [H, W] ids or packed colours.
        unknown: bool [H, W].
    """
    found, counts = np.unique(values[unknown], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    names = [int(v) for v in found[order]]
    keys = [(v >> 16, v >> 8 & 255, v & 255) if colours else v for v in names]
    y, x = np.unravel_index(int(unknown.argmax()), unknown.shape)
    return UnknownValuesError(
        dict(zip(keys, counts[order].tolist(), strict=True)), (int(x), int(y)), float(unknown.mean())
    )
