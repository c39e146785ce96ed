"""The two sides of a translation: what a generator is shown and what it paints, of a prepared set and of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.config import Settings
from citygan.data.labels import ClassTable
from citygan.data.store import WHAT, PreparedSet, Split
from citygan.errors import DataError, UsageError
from citygan.recipes.views import View, keeps, picture_of

UInt8 = npt.NDArray[np.uint8]
BOTH_SIDES = "Prepare a folder with both sides: photos, and label maps or source pictures of the same names"


class Sides:
    """What a generator is shown and what it paints, as arrays.

    Args:
        inputs: What it is shown.
        outputs: What it paints.
    """

    def __init__(self, inputs: View, outputs: View, device: torch.device) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.device = device

    @property
    def classes(self) -> ClassTable | None:
        """The class table of its label maps; None where it takes pictures."""
        return self.inputs.classes

    @property
    def channels(self) -> int:
        """C of the pictures it takes."""
        return self.inputs.picture_channels

    @property
    def painted_classes(self) -> ClassTable | None:
        """The class table of the label maps it paints; None where it paints pictures."""
        return self.outputs.classes

    @property
    def input_kind(self) -> str:
        """The array of a prepared set that it takes: `label`, `source` or `photo`."""
        return self.inputs.array

    @property
    def output_kind(self) -> str:
        """The array of a prepared set that it paints."""
        return self.outputs.array

    @property
    def needs_instances(self) -> bool:
        """Whether it must be given instance maps too."""
        return self.inputs.edges

    def given(self, split: Split, index: int) -> UInt8:
        """What it takes of a picture of a prepared split: ids [H, W], or a picture [H, W, C]."""
        return self.own_channels(np.asarray(getattr(split, self.input_kind)[index]))

    def real(self, split: Split, index: int) -> UInt8:
        """What it should paint of a picture of a prepared split, uint8 [H, W, C]."""
        array = np.asarray(getattr(split, self.output_kind)[index])
        if self.painted_classes is not None:
            return self.painted_classes.palette[array]
        return array[..., : self.outputs.picture_channels]

    def shown(self, given: npt.NDArray[np.uint8]) -> UInt8:
        """What it is shown of one label map or picture, as a picture: uint8 [H, W, C]."""
        if self.classes is not None:
            return self.classes.palette[given]
        return to_uint8(self.inputs(self.batch_of(given[None])))[0]

    def joined(self, painting: UInt8, given: UInt8) -> UInt8:
        """Another painting with what pictures of this run keep of their input, uint8 [H, W, C] both."""
        if keeps(self.inputs, self.outputs) is None:
            return painting
        x = self.inputs(self.batch_of(given[None]))
        y = self.outputs(_batch(self.output_kind, scaled(painting[None], self.device)))
        return to_uint8(picture_of(self.inputs, self.outputs, x, y))[0]

    def own_channels(self, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Pictures as it takes them: a set of grey photos keeps them with three equal channels."""
        return array if self.inputs.is_label else array[..., : self.channels]

    def batch_of(self, pictures: npt.NDArray[np.uint8]) -> Batch:
        """Of pictures that it takes, uint8 [N, H, W, C]."""
        return _batch(self.input_kind, scaled(pictures, self.device))


def _batch(kind: str, pictures: Tensor) -> Batch:
    arrays: dict[str, Any] = {kind: pictures}
    return Batch(**arrays)


def scaled(pictures: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 [N, H, W, C] -> [N, C, H, W] in [-1, 1] on the device."""
    x = torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2)
    return x.float().mul_(1 / 127.5).sub_(1)


def to_uint8(x: Tensor) -> UInt8:
    """[N, C, H, W] in [-1, 1] -> [N, H, W, C], to the nearest of 256 levels."""
    x = x.add(1).mul_(127.5).round_().clamp_(0, 255)
    return x.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()


def sides_of(settings: Settings, data: PreparedSet) -> tuple[View, View]:
    """What the generator is shown of a set, and what it paints.

    Raises:
        DataError: The set lacks one of them.
        UsageError: They are the same, or do not go together.
    """
    shown, painted, encoding = settings.input.array, settings.output.array, settings.input.encoding
    train_split = data.split("train")
    has_labels = train_split.label is not None and data.classes is not None
    if shown == "auto":
        shown = "label" if has_labels else "source"
        if train_split.source is None and not has_labels and painted == "photo":
            raise DataError("the set has neither label maps nor source pictures", where=data.path, hint=BOTH_SIDES)
    if shown == painted and (shown == "label" or encoding == "colour"):
        raise UsageError(
            f"the {WHAT[shown]} would be shown as they are to be painted",
            where="input.array, output.array",
            hint="Take two, or photos that lack something: input.encoding=lightness or hole",
        )
    if settings.output.encoding == "ab" and (shown, encoding) != (painted, "lightness"):
        raise UsageError(
            "a and b alone make no picture: their L must be what is shown",
            where="output.encoding",
            hint=f"--set input.array={painted} --set input.encoding=lightness",
        )
    if settings.input.instance_edges and train_split.instance is None:
        raise DataError("the set has no instance maps", where=data.path, hint="--set input.instance_edges=false")
    inputs = _view(data, shown, encoding, settings.input.instance_edges, "input")
    return inputs, _view(data, painted, settings.output.encoding, False, "output")


def _view(data: PreparedSet, array: str, encoding: str, edges: bool, side: str) -> View:
    found = getattr(data.split("train"), array)
    if found is None or (array == "label" and data.classes is None):
        others = [name for name in WHAT if name in data.split("train").arrays and (name != "label" or data.classes)]
        hint = f"--set {side}.array={others[0]} takes what it has" if len(others) > 1 else BOTH_SIDES
        raise DataError(f"the split train has no {WHAT[array]} to learn from", where=data.path, hint=hint)
    if array == "label":
        return View(array, data.classes, encoding=encoding, edges=edges, side=side)
    channels = (data.photo_channels or 3) if array == "photo" else found.shape[-1]
    return View(array, None, channels, encoding, edges, side=side)
