"""What a recipe is handed: a few tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """N pictures and what belongs to them; what a set does not have is None.

    Attributes:
        photo: [N, C, H, W] float32 in [-1, 1].
        label: [N, H, W] uint8, ids of the set's class table, 255 = outside.
        instance: [N, H, W] int32, instance ids.
        source: [N, C, H, W] float32 in [-1, 1], the input where it is a picture.
        painted: [N, 3, H, W] float32 in [-1, 1], the label map in the colours of its classes where these were changed.
    """

    photo: Tensor | None = None
    label: Tensor | None = None
    instance: Tensor | None = None
    source: Tensor | None = None
    painted: Tensor | None = None

    def split(self, parts: int) -> list[Batch]:
        """Cuts the batch into equal parts along N."""
        chunks = {
            item.name: [None] * parts if (value := getattr(self, item.name)) is None else value.chunk(parts)
            for item in fields(self)
        }
        return [Batch(**{name: pieces[i] for name, pieces in chunks.items()}) for i in range(parts)]
