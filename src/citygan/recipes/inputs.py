"""What the generator is shown: class colours, one-hot classes, instance edges, or a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.data.labels import ClassTable
from citygan.errors import DataError
from citygan.ops.edges import instance_edges


class InputEncoder:
    """Turns a batch's label maps or source pictures into the generator's input, on their device.

    Args:
        classes: The class table of the label maps; None where the input is a picture.
        source_channels: C of the source pictures; None where the input is a label map.
        encoding: `colour` (pix2pix) or `onehot`.
        edges: Whether a channel of instance boundaries is added.

    Attributes:
        channels: C of what it returns.
    """

    def __init__(self, classes: ClassTable | None, source_channels: int | None, encoding: str, edges: bool) -> None:
        self.classes = classes
        self.source_channels = source_channels
        self.encoding = encoding
        self.edges = edges
        self._tables: dict[torch.device, Tensor] = {}
        if classes is None:
            assert source_channels is not None
            if edges or encoding != "colour":
                raise DataError(
                    "one-hot input and instance edges need label maps, and this set's input is a picture",
                    where="input.encoding",
                    hint="Prepare it with --classes, or take input.encoding=colour",
                )
            self.channels = source_channels
        else:
            self.channels = (3 if encoding == "colour" else len(classes.classes)) + int(edges)

    @property
    def is_label(self) -> bool:
        """Whether the input is a label map."""
        return self.classes is not None

    def __call__(self, batch: Batch) -> Tensor:
        """[N, H, W] ids or [N, C, H, W] pictures -> [N, channels, H, W] float32 in [-1, 1] (one-hot: 0 and 1)."""
        if self.classes is None:
            assert batch.source is not None
            return batch.source
        assert batch.label is not None
        if batch.painted is not None:
            x = batch.painted
        else:
            # [N, H, W] -> [N, H, W, C] -> [N, C, H, W], which is channels-last in memory as it stands
            x = self._table(batch.label.device)[batch.label.int()].permute(0, 3, 1, 2)
        if self.edges:
            if batch.instance is None:
                raise DataError("instance edges need instance maps", where="input.instance_edges")
            x = torch.cat([x, instance_edges(batch.instance)], dim=1)
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
            "encoding": self.encoding,
            "edges": self.edges,
            "source_channels": self.source_channels,
            "classes": None if self.classes is None else self.classes.to_dict(),
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> InputEncoder:
        classes = None if value["classes"] is None else ClassTable.from_dict(value["classes"])
        return InputEncoder(classes, value["source_channels"], value["encoding"], value["edges"])
