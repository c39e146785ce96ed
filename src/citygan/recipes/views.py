"""What a generator is shown and what it paints: each a view of one array of a prepared set.

    array     encoding    tensor
    label     colour      the class colours as a picture [N, 3, H, W]
    label     onehot      one channel a class
    source    colour      the picture as it is
    photo     colour      the picture as it is
    photo     lightness   L of Lab [N, 1, H, W], L / 50 - 1
    photo     ab          a and b of Lab [N, 2, H, W], / 110
    photo     hole        the picture, white in a central hole

All are float32 in [-1, 1] (one-hot: 0 and 1). The scales of Lab are those of the public code's colourisation; sRGB's
a and b reach from -108 to 98.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.data.labels import ClassTable
from citygan.errors import DataError
from citygan.ops.edges import instance_edges
from citygan.ops.holes import central_hole
from citygan.ops.lab import lab_to_rgb, rgb_to_lab

_HALF_L = 50.0
_MOST_AB = 110.0
_IN_LAB = {"lightness": 1, "ab": 2}  # channels


class View:
    """Turns a batch's label maps or pictures into what one side of a generator is, on their device.

    Args:
        array: `label`, `source` or `photo`.
        classes: The class table of label maps; None where the array holds pictures.
        picture_channels: C of the pictures; of label maps 3, those of their class colours.
        encoding: As above.
        edges: Whether a channel of instance boundaries is added to label maps.
        side: `input` or `output`, for messages.

    Attributes:
        channels: C of what it returns.
    """

    def __init__(
        self,
        array: str,
        classes: ClassTable | None = None,
        picture_channels: int = 3,
        encoding: str = "colour",
        edges: bool = False,
        *,
        side: str = "input",
    ) -> None:
        self.array = array
        self.classes = classes
        self.picture_channels = 3 if classes is not None else picture_channels
        self.encoding = encoding
        self.edges = edges
        self._painted = side == "input" and encoding == "colour"  # colour jitter never changes what is to be learnt
        self._tables: dict[torch.device, Tensor] = {}
        where, colour = f"{side}.encoding", f"Take {side}.encoding=colour"
        if (classes is None) == (array == "label"):
            raise DataError("label maps have a class table, and pictures have none", where=f"{side}.array")
        if classes is None and (edges or encoding == "onehot"):
            raise DataError(
                f"one-hot {side} and instance edges need label maps, and this set's {side} is a picture",
                where=where,
                hint=f"Prepare it with --classes, or take {side}.encoding=colour",
            )
        if classes is not None and encoding not in ("colour", "onehot"):
            raise DataError(f"'{encoding}' is of pictures, not of label maps", where=where, hint=colour)
        if encoding in _IN_LAB and self.picture_channels != 3:
            raise DataError(
                f"'{encoding}' is of pictures in colour, and the set's are grey", where=where, hint="Take another set"
            )
        if encoding in _IN_LAB:
            self.channels = _IN_LAB[encoding]
        elif classes is not None and encoding == "onehot":
            self.channels = len(classes.classes) + int(edges)
        else:
            self.channels = self.picture_channels + int(edges)

    @property
    def is_label(self) -> bool:
        """Whether it is of label maps."""
        return self.classes is not None

    @property
    def arrays(self) -> tuple[str, ...]:
        """What it needs of a prepared set."""
        return (self.array, "instance") if self.edges else (self.array,)

    def __call__(self, batch: Batch) -> Tensor:
        """[N, H, W] ids or [N, C, H, W] pictures -> [N, channels, H, W] float32 in [-1, 1] (one-hot: 0 and 1)."""
        if self.classes is None:
            picture = getattr(batch, self.array)
            assert picture is not None
            return self._of_picture(picture)
        assert batch.label is not None
        if batch.painted is not None and self._painted:
            x = batch.painted
        else:
            # [N, H, W] -> [N, H, W, C] -> [N, C, H, W], which is channels-last in memory as it stands
            x = self._table(batch.label.device)[batch.label.int()].permute(0, 3, 1, 2)
        if self.edges:
            if batch.instance is None:
                raise DataError("instance edges need instance maps", where="input.instance_edges")
            x = torch.cat([x, instance_edges(batch.instance)], dim=1)
        return x

    def _of_picture(self, x: Tensor) -> Tensor:
        if self.encoding in _IN_LAB:
            lab = rgb_to_lab((x + 1) / 2)
            return lab[:, :1] / _HALF_L - 1 if self.encoding == "lightness" else lab[:, 1:] / _MOST_AB
        if self.encoding == "hole":
            return x.masked_fill(central_hole(x.shape[-2], x.shape[-1], x.device), 1.0)
        return x

    def _table(self, device: torch.device) -> Tensor:
        """[256, C]: what each id becomes; ids outside the table are black, or no class at all."""
        if device not in self._tables:
            assert self.classes is not None
            if self.encoding == "colour":
                table = self.classes.palette.astype(np.float32) / 127.5 - 1
            else:
                table = np.zeros((256, len(self.classes.classes)), np.float32)
                for channel, item in enumerate(self.classes.classes):
                    if 0 <= item.id <= 255:
                        table[item.id, channel] = 1
            self._tables[device] = torch.from_numpy(table).to(device)
        return self._tables[device]

    def to_dict(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return {
            "array": self.array,
            "encoding": self.encoding,
            "edges": self.edges,
            "picture_channels": self.picture_channels,
            "classes": None if self.classes is None else self.classes.to_dict(),
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> View:
        """What `to_dict` gave; records from before there were outputs say of pictures only their channels."""
        classes = None if value["classes"] is None else ClassTable.from_dict(value["classes"])
        array = value.get("array", "source" if classes is None else "label")
        channels = value["picture_channels"] if "picture_channels" in value else value["source_channels"]
        return View(array, classes, channels or 3, value["encoding"], value["edges"])


def keeps(inputs: View, outputs: View) -> str | None:
    """What of the input a picture keeps as it is: `lightness`, `surroundings` of the hole, or nothing."""
    if outputs.encoding == "ab":
        return "lightness"
    return "surroundings" if inputs.encoding == "hole" and inputs.array == outputs.array else None


def picture_of(inputs: View, outputs: View, x: Tensor, y: Tensor) -> Tensor:
    """The picture: what was painted, with what it keeps of the input.

    Args:
        x: What the generator was shown, [N, inputs.channels, H, W].
        y: What it painted, [N, outputs.channels, H, W].

    Returns:
        [N, C, H, W] in [-1, 1].
    """
    kept = keeps(inputs, outputs)
    if kept == "lightness":
        lab = torch.cat([(x.float() + 1) * _HALF_L, y.float() * _MOST_AB], dim=1)
        return lab_to_rgb(lab) * 2 - 1
    if kept == "surroundings":
        return torch.where(central_hole(x.shape[-2], x.shape[-1], x.device), y, x)
    return y
