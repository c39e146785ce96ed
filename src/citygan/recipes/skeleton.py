"""The edge map that a generator is shown: S-Flow GAN's skeleton of a picture (sections 2.2.2 and 3.2)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from citygan.ops.edges import edge_map


@dataclass(frozen=True)
class Skeleton:
    """How it is made of a picture.

    Attributes:
        of: The array whose edges are learnt from, `photo` or `source`.
        smoothing, threshold, kernel: Of the Laplacian (`citygan.ops.edges.edge_map`).
        network: Whether what is shown is the edge network's; else it is the Laplacian's as it stands.
        network_input: What that network is shown: the Laplacian's `edges`, or the picture itself (`photo`).
        concentration: Of the draws around its fusion weights.
    """

    of: str
    smoothing: float
    threshold: float
    kernel: int
    network: bool = False
    network_input: Literal["edges", "photo"] = "edges"
    concentration: float = 1.0

    @property
    def needs_picture(self) -> bool:
        """Whether an edge map alone will not do."""
        return self.network and self.network_input == "photo"

    @torch.no_grad()
    def edges(self, picture: Tensor, jitter: float = 0.0) -> Tensor:
        """The Laplacian's edge map of pictures.

        Args:
            picture: [N, C, H, W] in [-1, 1].
            jitter: Each picture's threshold is multiplied by a factor drawn from 1 / (1 + jitter) to 1 + jitter, even
                in its logarithm.

        Returns:
            [N, 1, H, W] float32, 0 and 1.
        """
        threshold: float | Tensor = self.threshold
        if jitter > 0:
            drawn = torch.rand(len(picture), device=picture.device) * 2 - 1
            threshold = self.threshold * (drawn * math.log1p(jitter)).exp()
        return edge_map(picture, smoothing=self.smoothing, threshold=threshold, ksize=self.kernel)

    def logits(
        self, network: nn.Module, edges: Tensor, picture: Tensor | None, weights: Tensor | None = None
    ) -> Tensor:
        """The edge network's six outputs, [N, 6, H, W]: five sides, and last their fusion."""
        if self.network_input == "photo":
            assert picture is not None
            edges = picture.expand(-1, 3, -1, -1)  # one channel would be taken for an edge map
        found: Tensor = network(edges, weights)
        return found

    @staticmethod
    def of_logits(logits: Tensor) -> Tensor:
        """What of them the generator is shown, [N, 1, H, W] in [0, 1]."""
        return logits[:, -1:].sigmoid()

    def to_dict(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return dataclasses.asdict(self)
