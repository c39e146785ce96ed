"""The picture to beat, out of a prepared set's training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from citygan.data.store import PreparedSet
from citygan.metrics.painting import fit_mean_colours, mean_photo, paint
from citygan.metrics.pairs import UInt8


@dataclass(frozen=True)
class Painter:
    """Paints the picture to beat.

    Attributes:
        palette: uint8 [256, 3], the mean training colour of each id; None without labels.
        photo: uint8 [H, W, 3], the mean training photo; None with labels.
        reason: Why there is neither.
        name: What the painting is called.
        protocol: What it was taken from.
    """

    palette: UInt8 | None = None
    photo: UInt8 | None = None
    reason: str | None = None
    name: str = "mean-colour painting"
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["label", "photo"] | None:
        """Whether it paints the true labels, or is the same photo always; None where there is none."""
        return "label" if self.palette is not None else "photo" if self.photo is not None else None

    def __call__(self, label: npt.NDArray[np.uint8] | None, channels: int = 3) -> UInt8 | None:
        """The painting for a label map [H, W], uint8 [H, W, C]."""
        painting = self.photo
        if self.palette is not None and label is not None:
            painting = paint(label, self.palette)
        return None if painting is None else painting[..., :channels]


def fit_painter(data: PreparedSet) -> Painter:
    """Reads a set's training split, a picture at a time, for its mean colours or, without labels, its mean photo."""
    train = data.splits.get("train")
    if train is None or train.photo is None:
        return no_painter(f"{data.name} has no training photos to take colours from")
    about = {"data": data.name, "checksum": data.checksum, "split": train.name, "pictures": len(train)}
    if train.label is None:
        photo = mean_photo(np.asarray(photo) for photo in train.photo)
        kind = "mean training photo (the set has no labels)"
        return Painter(photo=photo, name="mean training photo", protocol={"kind": kind, **about})
    pairs = ((np.asarray(label), np.asarray(photo)) for label, photo in zip(train.label, train.photo, strict=True))
    return Painter(fit_mean_colours(pairs), protocol={"kind": "mean training colour of each class", **about})


def no_painter(reason: str) -> Painter:
    """The painter where there is none."""
    return Painter(reason=reason, protocol={"kind": None, "reason": reason})
