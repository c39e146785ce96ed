"""Class-aware crops: of several crops of a picture one is taken, so that rare classes are seen more often.

The choice is made on the host by whole numbers, so it is the same on every device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from citygan.data.labels import ClassTable
from citygan.data.store import Array

Box = tuple[float, float, float, float]  # top, left, height, width in pixels of the picture


class ClassCrops:
    """Knows how rare each class is in a split, and chooses crops by it.

    One of the classes in the picture is drawn, with a probability in inverse proportion to its share of the split's
    pixels; the crop that shows most of it is taken. Void is no class.

    Args:
        label: [N, H, W] uint8, all label maps of the split; read once here, for the counts.
        classes: What their ids are; ids of one train id are one class.
        many: Crops to choose from.

    Attributes:
        many: As given.
        counts: int64 [N, K], pixels of each class in each picture.
        rarity: float64 [K], 1 over the share of each class in the split; 0 where it does not occur.
    """

    def __init__(self, label: Array, classes: ClassTable, many: int) -> None:
        self.many = many
        self._label = label
        self._is_class = classes.train_ids == np.arange(classes.num_train)[:, None]  # [K, 256]
        ids = np.stack([np.bincount(one.reshape(-1), minlength=256) for one in label])
        self.counts = ids @ self._is_class.T.astype(np.int64)
        whole = self.counts.sum(axis=0)
        self.rarity = np.divide(whole.sum(), whole, out=np.zeros(len(whole)), where=whole > 0)

    def choose(self, picture: int, boxes: Sequence[Box], share: float) -> int:
        """Which of the crops is taken; the first where they are alike.

        Args:
            picture: Number of the picture in the split.
            boxes: The crops; what lies outside of the picture counts for nothing.
            share: Drawn evenly from 0 to below 1.
        """
        chances = np.cumsum(self.rarity * (self.counts[picture] > 0))
        if not chances.any():  # nothing but void
            return 0
        drawn = int(np.searchsorted(chances, share * chances[-1], side="right"))
        inside = self._is_class[drawn][self._label[picture]]
        return int(np.argmax([_share(inside, box) for box in boxes]))


def _share(inside: Array, box: Box) -> float:
    """What share of a box the pixels are that are true and have their centres in it."""
    top, left, height, width = box
    rows, columns = (slice(max(0, round(a)), max(0, round(a + b))) for a, b in ((top, height), (left, width)))
    return int(np.count_nonzero(inside[rows, columns])) / (height * width)
