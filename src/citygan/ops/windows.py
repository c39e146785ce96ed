"""Separable sums over windows with replicated borders, and their adjoints, for batches of maps.

On a CPU they are made of slices that are added up: convolutions of few channels cost several times as much. Elsewhere,
where launches count, they are depthwise convolutions, which no library rounds to TF32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Weights of a window, the same along both axes, odd in number and symmetric.

    Attributes:
        half: From the middle outwards: the weights at distance 0, 1, and so on.
    """

    half: tuple[float, ...]

    @property
    def reach(self) -> int:
        """Taps on either side of the middle."""
        return len(self.half) - 1

    def average(self, maps: Tensor) -> Tensor:
        """Weighted sums over the window around each pixel; beyond the border stands its nearest pixel.

        Args:
            maps: [N, C, H, W], C > 1.

        Returns:
            The same shape.
        """
        return self._within(F.pad(maps, (self.reach,) * 4, mode="replicate"))

    def spread(self, gradient: Tensor) -> Tensor:
        """The adjoint of `average`: the gradient of its input, of that of its output."""
        r = self.reach
        return fold(fold(self._within(F.pad(gradient, (2 * r,) * 4)), r, -2), r, -1)

    def _within(self, padded: Tensor) -> Tensor:
        """Sums over those windows that lie within the maps."""
        if padded.device.type != "cpu":
            return self._convolved(padded)
        if len(set(self.half)) == 1:
            size = 2 * self.reach + 1
            return box(box(padded, size, -2), size, -1).mul_(self.half[0] ** 2)
        return self._weighted(self._weighted(padded, -2), -1)

    def _convolved(self, padded: Tensor) -> Tensor:
        channels = padded.shape[1]
        taps = constant((*self.half[:0:-1], *self.half), padded.dtype, padded.device).expand(channels, 1, -1)
        return F.conv2d(F.conv2d(padded, taps[..., None], groups=channels), taps[..., None, :], groups=channels)

    def _weighted(self, padded: Tensor, dim: int) -> Tensor:
        r = self.reach
        length = padded.shape[dim] - 2 * r
        total = padded.narrow(dim, r, length) * self.half[0]
        both = torch.empty_like(total)
        for k in range(1, r + 1):
            torch.add(padded.narrow(dim, r - k, length), padded.narrow(dim, r + k, length), out=both)
            total.add_(both, alpha=self.half[k])
        return total


def box(padded: Tensor, size: int, dim: int) -> Tensor:
    """Sums over `size` neighbours along `dim`, which grows shorter by size - 1: by doubling, in few additions."""
    length = padded.shape[dim] - size + 1
    sums, spare, done = padded, [torch.empty_like(padded) for _ in range(min(2, size.bit_length() - 1))], 0
    total: Tensor | None = None
    for bit in range(size.bit_length()):
        span = 1 << bit  # `sums` are over 1, 2, 4, ... neighbours; some of them, side by side, are those of `size`
        if size & span:
            part = sums.narrow(dim, done, length)
            total = part.clone() if total is None else total.add_(part)
            done += span
        if 2 * span <= size:
            kept = sums.shape[dim] - span
            out = spare[bit % 2].narrow(dim, 0, kept)
            sums = torch.add(sums.narrow(dim, 0, kept), sums.narrow(dim, span, kept), out=out)
    assert total is not None
    return total


def fold(padded: Tensor, reach: int, dim: int) -> Tensor:
    """The adjoint of replicating the border of an axis: what lies beyond is added to its nearest pixel.

    Args:
        padded: `reach` longer on either side along `dim`; overwritten.

    Returns:
        A part of it.
    """
    length = padded.shape[dim] - 2 * reach
    inner = padded.narrow(dim, reach, length)
    inner.narrow(dim, 0, 1).add_(padded.narrow(dim, 0, reach).sum(dim, keepdim=True))
    inner.narrow(dim, length - 1, 1).add_(padded.narrow(dim, reach + length, reach).sum(dim, keepdim=True))
    return inner


@cache
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers on the device, brought there once: a step that is recorded as a CUDA graph may not."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype).to(device)
