"""Rows of metrics that compare label maps: predicted ones, or painted ones read by the nearest class colour.

A painted label map is what a photo-to-labels generator makes (pix2pix, section 4.6): every pixel takes the class whose
colour is nearest, and is then scored as any other prediction (table 6).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.errors import DataError
from citygan.metrics.figures import Figure, absent
from citygan.metrics.metric import Metric, Setup
from citygan.metrics.miou import (
    INSTANCE_SIZE,
    Counts,
    InstanceHits,
    InstanceSums,
    confusion,
    instance_hits,
    segmentation_figure,
)
from citygan.metrics.pairs import UInt8
from citygan.pictures.painted import UnknownValuesError, in_colours, nearest_colours_to_ids

MAX_DOUBTFUL = 0.05  # share of pixels far from all class colours, above which a picture is no painted label map

PARTS = (
    *("pixel_accuracy", "class_accuracy", "fw_iou", "category_iou", "iiou", "category_iiou", "pixels", "pix2pix"),
    *("classes", "categories", "iiou_reason"),
)


def painted_ids(picture: UInt8, table: ClassTable) -> UInt8:
    """What a painted label map means: the id of the nearest class colour for every pixel, however far it is.

    Void, which is not scored where it is true and wrong elsewhere, is never meant.

    Args:
        picture: uint8 [H, W, C], as generated.

    Returns:
        uint8 [H, W].
    """
    return nearest_colours_to_ids(in_colours(picture), table, max_doubtful=1.0, void=False)[0]


def true_painted_ids(picture: UInt8, table: ClassTable) -> UInt8:
    """As `painted_ids`, of a real picture: it must be a painted label map.

    Raises:
        DataError: More than 5 % of its pixels are far from all class colours.
    """
    try:
        return nearest_colours_to_ids(in_colours(picture), table, max_doubtful=MAX_DOUBTFUL)[0]
    except UnknownValuesError as problem:
        raise DataError(
            f"{problem.share:.0%} of the pixels are far from all colours of the class table {table.name}: "
            "not a painted label map",
            hint="miou scores label maps; --classes names another table",
        ) from problem


def start_miou(row: Metric, setup: Setup) -> Metric:
    """Starts the row by the class table of the evaluation."""
    table = setup.classes
    if table is None:
        raise DataError("no class table to score label maps by", hint="--classes names one, as cityscapes")

    def measure(
        fake: UInt8,
        real: UInt8,
        *,
        ids: UInt8,
        label: UInt8,
        instance: npt.NDArray[np.integer[Any]] | None = None,
    ) -> tuple[Counts, InstanceHits | None]:
        weighted = instance is not None and instance.shape[::-1] == INSTANCE_SIZE
        hits = instance_hits(ids, instance, table) if instance is not None and weighted else None
        return confusion(ids, label, table), hits

    painting = "it is painted from the true label maps" if setup.painting == "label" else None
    return replace(
        row,
        measure=measure,
        gather=lambda: Segmentation(table),
        protocol={**row.protocol, "classes": table.name},
        no_painting=painting,
    )


class Segmentation:
    """The figures of label maps against the true ones.

    Args:
        table: Whose ids they hold.
    """

    def __init__(self, table: ClassTable) -> None:
        self.n = 0
        self._table = table
        self._matrix: Counts | int = 0
        self._sums = InstanceSums()

    def add(self, measured: tuple[Counts, InstanceHits | None]) -> None:
        """Takes in one picture."""
        matrix, hits = measured
        self.n += 1
        self._matrix = self._matrix + matrix
        if hits is not None:
            self._sums.add(hits, self._table)

    def figure(self) -> Figure:
        """`mean` is the mean IoU of the classes; the rest is `PARTS`."""
        if not self.n:
            return absent("no picture")
        sums = self._sums if self._sums.pictures == self.n else None
        found: dict[str, Any] = segmentation_figure(np.asarray(self._matrix), self._table, sums)
        if found["mean"] is None:
            return {**absent("no pixel of a scored class"), **found, "n": self.n}
        width, height = INSTANCE_SIZE
        why = None if sums else f"iIoU takes instance maps of every picture, at {width}x{height}"
        reason = "one figure over the set: no std"
        return {"std": None, "reason": reason, **found, "iiou_reason": why, "n": self.n}
