"""What a recipe is handed: a few tensors on the device."""

from __future__ import annotations

from collections.abc import Sequence
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
        flow: [N, 2, H, W] float32, pixels to the following frame, x and y.
        occlusion: [N, H, W] uint8, 1 where the following frame has no correspondence.
        following: The frame after each, with the same crop, mirroring and colours.
    """

    photo: Tensor | None = None
    label: Tensor | None = None
    instance: Tensor | None = None
    source: Tensor | None = None
    painted: Tensor | None = None
    flow: Tensor | None = None
    occlusion: Tensor | None = None
    following: Batch | None = None

    def split(self, parts: int) -> list[Batch]:
        """Cuts the batch into equal parts along N."""

        def cut(value: Tensor | Batch | None) -> Sequence[Tensor | Batch | None]:
            if value is None:
                return [None] * parts
            return value.split(parts) if isinstance(value, Batch) else value.chunk(parts)

        chunks = {item.name: cut(getattr(self, item.name)) for item in fields(self)}
        return [Batch(**{name: pieces[i] for name, pieces in chunks.items()}) for i in range(parts)]  # type: ignore[arg-type]

    def tensors(self) -> dict[str, Tensor]:
        """All that is there, by name; those of the following frame behind ``following.``."""
        found: dict[str, Tensor] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Batch):
                found |= {f"{item.name}.{name}": tensor for name, tensor in value.tensors().items()}
            elif value is not None:
                found[item.name] = value
        return found

    def clone(self) -> Batch:
        """The same in memory of its own."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return Batch(**{name: value.clone() for name, value in values.items() if value is not None})
