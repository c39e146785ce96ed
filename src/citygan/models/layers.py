"""Layers whose behaviour at test time pix2pix defines, and the initialisation.

pix2pix (section 3.3) runs the generator at test time as in training: with dropout, and with batch normalisation by
the statistics of the pictures at hand. Here these are the statistics of each picture by itself, and one draw of
dropout for all pictures, so what a picture becomes never depends on its neighbours in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Statistics = Literal["picture", "running"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that, outside training, can use each picture's own statistics.

    Attributes:
        statistics: Outside training: `running` (as PyTorch) or `picture`.
    """

    statistics: Statistics = "running"

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        if self.training or self.statistics == "running":
            return super().forward(x)
        if x.device.type != "cpu" and x.shape[0] > 1:
            return F.instance_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        # each picture as a batch by itself: on CPUs ten times as fast as instance_norm
        dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
        simple = dense and self.weight.dtype == torch.float32 and x.dtype in (torch.float32, torch.bfloat16)
        if x.shape[0] == 1 or torch.is_grad_enabled() or not simple:
            pictures = [F.batch_norm(p, None, None, self.weight, self.bias, True, 0.0, self.eps) for p in x.split(1)]
            return pictures[0] if len(pictures) == 1 else torch.cat(pictures)
        normed = torch.empty_like(x)
        mean, deviation = torch.empty(2, x.shape[1], device=x.device)
        for p, out in zip(x.split(1), normed.split(1), strict=True):
            torch.native_batch_norm(
                p, self.weight, self.bias, None, None, True, 0.0, self.eps, out=(out, mean, deviation)
            )
        return normed


class Dropout(nn.Module):
    """Dropout that stays on at test time when it is given a `draw`.

    Attributes:
        rate: Share of zeroed values in [0, 1).
        draw: Outside training, the source of one mask for all pictures; None switches dropout off.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"expected a rate of dropout from 0 to below 1, got {rate}")
        self.rate = rate
        self.draw: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        if self.training:
            return F.dropout(x, self.rate)
        if self.draw is None or self.rate == 0:
            return x
        # on the CPU, so that the same seed gives the same picture on every device
        keep = torch.rand(x.shape[1:], generator=self.draw) >= self.rate
        return x * (keep / (1 - self.rate)).to(x)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


@contextmanager
def test_time(network: nn.Module, *, statistics: Statistics, dropout_seed: int | None) -> Iterator[None]:
    """Sets a network up for translation, and back to how it was afterwards.

    Args:
        statistics: Which statistics normalise.
        dropout_seed: Decides the masks of dropout; None switches it off.
    """
    was_training = network.training
    draw = None if dropout_seed is None else torch.Generator().manual_seed(dropout_seed)
    before: list[tuple[BatchNorm2d, Statistics]] = []
    dropouts: list[Dropout] = []
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            before.append((module, module.statistics))
            module.statistics = statistics
        elif isinstance(module, Dropout):
            dropouts.append(module)
            module.draw = draw
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
        for norm, old in before:
            norm.statistics = old
        for dropout in dropouts:
            dropout.draw = None


def init_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Weights from N(0, 0.02), biases 0 (pix2pix, section 6.2); the gains of norms from N(1, 0.02), as its code has."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)
