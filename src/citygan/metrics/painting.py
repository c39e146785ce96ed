"""The picture to beat: each class painted with its mean training colour.

It knows the classes' colours and nothing else; whatever a network is worth beyond that shows in the difference. Where
there are no labels, the mean training photo takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from citygan.data.labels import VOID, ClassTable
from citygan.errors import DataError
from citygan.metrics.pairs import UInt8

_IDS = 256


class MeanColours:
    """The mean colour of every class over a training split, gathered picture by picture.

    Classes that do not occur take the mean colour of all pixels. Every id counts as a class, void ones too.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self._pixels = np.zeros(_IDS, np.int64)
        self._sums = np.zeros((_IDS, 3), np.int64)

    def add(self, label: npt.NDArray[np.uint8], photo: UInt8) -> None:
        """Counts one picture in.

        Args:
            label: uint8 [H, W] ids.
            photo: uint8 [H, W, 3].

        Raises:
            DataError: Their sizes differ.
        """
        if label.shape != photo.shape[:2]:
            raise DataError(f"label {label.shape[::-1]} and photo {photo.shape[1::-1]} differ in size")
        # runs of one id along the rows, each summed at once: a fraction of the time that single pixels take
        ids = np.asarray(label).reshape(-1)
        starts = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
        sums = np.add.reduceat(np.asarray(photo).reshape(-1, 3), starts, axis=0, dtype=np.int64)  # [runs, 3]
        lengths = np.diff(starts, append=ids.size)
        self._pixels += np.bincount(ids[starts], lengths, _IDS).astype(np.int64)
        for channel in range(3):
            self._sums[:, channel] += np.bincount(ids[starts], sums[:, channel], _IDS).astype(np.int64)
        self.pictures += 1

    def palette(self) -> UInt8:
        """uint8 [256, 3]: the colour of each id, to the nearest of 256 levels.

        Raises:
            DataError: No picture was added.
        """
        total = int(self._pixels.sum())
        if not total:
            raise DataError("no training picture to take mean colours from")
        means = np.broadcast_to(self._sums.sum(axis=0) / total, (_IDS, 3)).copy()
        seen = self._pixels > 0
        means[seen] = self._sums[seen] / self._pixels[seen, None]
        return np.rint(means).astype(np.uint8)


def fit_mean_colours(pairs: Iterable[tuple[npt.NDArray[np.uint8], UInt8]]) -> UInt8:
    """The palette of mean colours, uint8 [256, 3], of (label [H, W], photo [H, W, 3]) pairs."""
    colours = MeanColours()
    for label, photo in pairs:
        colours.add(label, photo)
    return colours.palette()


def paint(label: npt.NDArray[np.uint8], palette: UInt8) -> UInt8:
    """uint8 [H, W] ids -> uint8 [H, W, 3], every pixel in the colour of its id."""
    return np.take(palette, label, axis=0)


def mean_photo(photos: Iterable[UInt8]) -> UInt8:
    """The mean of photos of one size, uint8 [H, W, C], to the nearest of 256 levels.

    Raises:
        DataError: There is none.
    """
    total: npt.NDArray[np.int64] | None = None
    count = 0
    for photo in photos:
        total = photo.astype(np.int64) if total is None else total + photo
        count += 1
    if total is None:
        raise DataError("no training picture to take the mean of")
    return np.rint(total / count).astype(np.uint8)


def most_frequent(labels: Iterable[npt.NDArray[np.uint8]], table: ClassTable) -> npt.NDArray[np.uint8]:
    """The id that stands most often at each pixel of label maps of one size; void never where a class stands there.

    Returns:
        uint8 [H, W] ids of the table; of several equally frequent the first of the table.

    Raises:
        DataError: There is none.
    """
    ids = np.array(sorted(table.ids, key=lambda number: table.train_ids[number] == VOID), np.uint8)  # void last
    trained = int((table.train_ids[ids] != VOID).sum())
    places = np.full(_IDS, len(ids), np.intp)
    places[ids] = np.arange(len(ids))
    counts: npt.NDArray[np.int32] | None = None
    shape: tuple[int, ...] = ()
    for label in labels:
        if counts is None:
            shape, counts = label.shape, np.zeros((len(ids) + 1, label.size), np.int32)
        counts[places[label.reshape(-1)], np.arange(label.size)] += 1
    if counts is None:
        raise DataError("no training label map to take the most frequent classes of")
    counts[trained:, counts[:trained].any(axis=0)] = 0
    return np.append(ids, np.uint8(VOID))[counts.argmax(axis=0)].reshape(shape)
