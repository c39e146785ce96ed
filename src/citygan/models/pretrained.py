"""What a network has that can start from published weights."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Pretrainable(Protocol):
    """A network that can start from published weights.

    Attributes:
        pretrained: A row of `citygan.weightfiles.WEIGHTS`.
        published_shape: Whether its width is the published one.
    """

    pretrained: str
    published_shape: bool

    def load_pretrained(self, tensors: dict[str, Tensor]) -> None:
        """Fills what the weights are for; ValueError where they do not fit."""
