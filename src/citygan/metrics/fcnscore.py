"""The FCN-score (pix2pix, section 4.2): a segmenter that knows real photos looks at generated ones.

Its figures say little alone. Above them stands the *oracle* row, the real photos through the same segmenter; below,
the *chance* row: each picture scored against the labels of another one, half the set away, which tells what the mean
street earns; and the mean-colour painting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from citygan.data.labels import ClassTable
from citygan.errors import DataError, UsageError
from citygan.metrics.figures import Figure, absent
from citygan.metrics.metric import Metric, Segmented, Setup
from citygan.metrics.miou import Counts, confusion, segmentation_figure
from citygan.metrics.pairs import UInt8

PIX2PIX = "pix2pix"
PARTS = ("pixel_accuracy", "class_accuracy", "class_iou", "rows", "classes")
ROW_FIGURES = ("pixel_accuracy", "class_accuracy", "class_iou")
FULL_SIZE, REDUCED = "2048x1024", "256x256"

_Matrices = tuple[Counts, Counts | None, Counts | None]


def other_of(index: int, count: int) -> int | None:
    """The picture whose labels a picture is scored by in the chance row: a fixed derangement; None in a set of one."""
    return None if count < 2 else (index + count // 2) % count


def name_of_protocol(segmenter: dict[str, Any], size: str, sizes: set[str]) -> str:
    """`pix2pix`, where all that its protocol says holds, or what is done instead.

    Args:
        segmenter: Its protocol.
        size: WIDTHxHEIGHT of the pictures.
        sizes: Those of the labels.
    """
    enlarged = segmenter.get("enlarged")
    own = (segmenter.get("network"), segmenter.get("num_train"), enlarged, size, sizes)
    street = str(segmenter.get("classes")).startswith("cityscapes")
    if street and own == ("fcn8s", 19, FULL_SIZE, REDUCED, {FULL_SIZE}):
        return PIX2PIX
    seen = f"enlarged to {enlarged}" if enlarged else "as they are"
    labels = " and ".join(sorted(sizes))
    return (
        f"pictures of {size} {seen} through {segmenter.get('network')}, against labels of {labels}, "
        f"{segmenter.get('num_train')} classes"
    )


def start_fcn_score(row: Metric, setup: Setup) -> Metric:
    """Starts the row by the segmenter of the evaluation."""
    table = setup.classes
    if setup.segmenter is None:
        raise UsageError(
            "fcn-score looks through a segmenter, and none is given",
            where="--metric fcn-score",
            hint="--segmenter RUN names one; citygan train --model unet-seg makes one",
        )
    if table is None:
        raise DataError("no class table to score label maps by")

    def measure(fake: UInt8, real: UInt8, *, segmented: Segmented) -> _Matrices:
        seen = segmented
        oracle = None if seen.oracle is None else confusion(seen.oracle, seen.truth, table)
        chance = None
        if seen.chance is not None and seen.other is not None:
            chance = confusion(seen.chance, seen.other, table)
        return confusion(seen.ids, seen.truth, table), oracle, chance

    about = {**row.protocol, "classes": table.name, "segmenter": dict(setup.segmenter)}
    return replace(row, measure=measure, gather=lambda: FcnScore(table), protocol=about)


class FcnScore:
    """The three figures of each row.

    Args:
        table: Whose ids they hold.
    """

    def __init__(self, table: ClassTable) -> None:
        self.n = 0
        self._table = table
        self._rows: dict[str, Counts] = {}

    def add(self, measured: _Matrices) -> None:
        """Takes in one picture."""
        self.n += 1
        for name, matrix in zip(("generated", "oracle", "chance"), measured, strict=True):
            if matrix is not None:
                self._rows[name] = self._rows[name] + matrix if name in self._rows else matrix

    def figure(self) -> Figure:
        """`mean` is the class IoU of the generated pictures; `rows` holds all three figures of each row."""
        if not self.n:
            return absent("no picture")
        rows = {name: _row(matrix, self._table) for name, matrix in self._rows.items()}
        whole = segmentation_figure(np.asarray(self._rows["generated"]), self._table)
        if whole["mean"] is None:
            return {**absent("no pixel of a scored class"), "n": self.n}
        if "oracle" in rows and "chance" not in rows:
            rows["chance"] = dict.fromkeys((*ROW_FIGURES, "pix2pix")) | {"reason": "one picture has no other"}
        return {
            "mean": whole["mean"],
            "std": None,
            "reason": "one figure over the set: no std",
            **{name: rows["generated"][name] for name in ROW_FIGURES},
            "rows": rows,
            "classes": whole["classes"],
            "n": self.n,
        }


def _row(matrix: Counts, table: ClassTable) -> dict[str, Any]:
    found = segmentation_figure(np.asarray(matrix), table)
    return {
        "pixel_accuracy": found["pixel_accuracy"],
        "class_accuracy": found["class_accuracy"],
        "class_iou": found["mean"],
        "pix2pix": found["pix2pix"],
    }
