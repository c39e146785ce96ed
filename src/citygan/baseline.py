"""The picture to beat, out of a prepared set's training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from citygan.data.store import WHAT, PreparedSet
from citygan.metrics.painting import fit_mean_colours, mean_photo, most_frequent, paint
from citygan.metrics.pairs import UInt8
from citygan.pictures.painted import in_colours


@dataclass(frozen=True)
class Painter:
    """Paints the picture to beat.

    Attributes:
        palette: uint8 [256, 3], the mean training colour of each id; None without labels.
        photo: uint8 [H, W, 3], the same for every picture: the mean training photo, where there are no labels, or
            where labels are painted the most frequent class of each pixel.
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


def fit_painter(data: PreparedSet, painted: str = "photo") -> Painter:
    """Reads a set's training split, a picture at a time, for its mean colours or, without labels, its mean photo.

    Args:
        painted: The array that is to be painted: `photo`, `source` or `label`.
    """
    train = data.splits.get("train")
    target = None if train is None else getattr(train, painted)
    if train is None or target is None:
        return no_painter(f"{data.name} has no training {WHAT[painted]} to take colours from")
    about = {"data": data.name, "checksum": data.checksum, "split": train.name, "pictures": len(train)}
    if painted == "label" and data.classes is not None:
        name = "most frequent class of each pixel"
        common = data.classes.palette[most_frequent((np.asarray(label) for label in target), data.classes)]
        return Painter(photo=common, name=name, protocol={"kind": f"{name}, in training", **about})
    if train.label is None:
        photo = mean_photo(in_colours(np.asarray(picture)) for picture in target)
        kind = f"mean training {painted} (the set has no labels)"
        return Painter(photo=photo, name=f"mean training {painted}", protocol={"kind": kind, **about})
    pairs = (
        (np.asarray(label), in_colours(np.asarray(picture))) for label, picture in zip(train.label, target, strict=True)
    )
    return Painter(fit_mean_colours(pairs), protocol={"kind": "mean training colour of each class", **about})


def no_painter(reason: str) -> Painter:
    """The painter where there is none."""
    return Painter(reason=reason, protocol={"kind": None, "reason": reason})
