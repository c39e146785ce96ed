"""Polynomial expansion: the neighbourhood of each pixel as a quadratic polynomial (Farnebäck, SCIA 2003, section 2).

With weights w(x) w(y), a Gaussian, each neighbourhood is fitted by r1 + rx x + ry y + rxx x^2 + ryy y^2 + rxy x y. The
Gram matrix of these six functions has so few entries that its inverse has four which matter, and each coefficient is
one separable filter:

    ry = i11 (x w)(y) w(x)      ryy = (i03 + i33 y^2) w(y) w(x)      rxy = i55 (y w)(y) (x w)(x)

and rx and rxx with x and y exchanged. As the displacement needs them: [rx / 2, rxx, ry / 2, rxy / 2, ryy].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from citygan.ops.windows import constant, fold

MAPS = 5


@dataclass(frozen=True)
class Taps:
    """The filters on one side of the middle, from distance 0 on, and what the maps are multiplied with at the end.

    Attributes:
        even: w.
        odd: x w; the other side is its negative.
        square: (i03 + i33 x^2) w.
        first: Factors of the five maps of the first frame.
        second: Those of the second.
    """

    even: tuple[float, ...]
    odd: tuple[float, ...]
    square: tuple[float, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def reach(self) -> int:
        """Taps on either side of the middle."""
        return len(self.even) - 1


@cache
def taps_of(n: int, sigma: float) -> Taps:
    """The filters for neighbourhoods of 2 n + 1 pixels.

    The maps of the second frame come as they are added to those of the first: rx and ry negative, and the others
    halved, since those two frames are averaged.
    """
    x = np.arange(-n, n + 1)
    w = np.exp(-(x**2) / (2 * sigma**2))
    w /= w.sum()
    m2, m4 = (w * x**2).sum(), (w * x**4).sum()
    gram = np.array([[1, m2, m2], [m2, m4, m2 * m2], [m2, m2 * m2, m4]])  # of 1, x^2, y^2; x, y and xy stand alone
    inverse = np.linalg.inv(gram)
    i03, i33, i11, i55 = inverse[0, 1], inverse[1, 1], 1 / m2, 1 / (m2 * m2)
    even, odd, square = (tuple((values * w)[n:].tolist()) for values in (np.ones_like(w), x, i03 + i33 * x**2))
    first = (i11 / 2, 1.0, i11 / 2, i55 / 2, 1.0)
    second = (-i11 / 2, 0.5, -i11 / 2, i55 / 4, 0.5)
    return Taps(even, odd, square, first, second)


def expand(frames: Tensor, n: int, sigma: float) -> tuple[Tensor, Tensor]:
    """The maps of two frames at once.

    Args:
        frames: [2, N, H, W], first and second.
        n: Reach of the neighbourhood in pixels.
        sigma: Deviation of its weights in pixels.

    Returns:
        Of each frame [N, 5, H, W]: rx / 2, rxx, ry / 2, rxy / 2, ryy; of the second times (-1, 1/2, -1, 1/2, 1/2).
    """
    taps = taps_of(n, sigma)
    if frames.device.type == "cpu":
        return _Expansion.apply(frames, taps)
    return convolved(frames, taps)


class _Expansion(torch.autograd.Function):
    """Out of slices, for all frames at once."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
        ctx.taps, n = taps, taps.reach
        two, count, height, width = frames.shape
        tall = F.pad(frames, (0, 0, n, n), mode="replicate")[:, :, None]
        rows = frames.new_empty(two, count, 3, height, width)  # filtered along y with w, y w and the square
        _even(tall, -2, (rows[:, :, 0:1], taps.even), (rows[:, :, 2:3], taps.square))
        _odd(tall, -2, rows[:, :, 1:2], taps.odd)
        wide = F.pad(rows.flatten(0, 1), (n, n, 0, 0), mode="replicate").unflatten(0, (two, count))
        maps = frames.new_empty(two, count, MAPS, height, width)
        _odd(wide[:, :, 0:2], -1, maps[:, :, 0::3], taps.odd)
        _even(wide[:, :, 0:1], -1, (maps[:, :, 1:2], taps.square))
        _even(wide[:, :, 1:3], -1, (maps[:, :, 2::2], taps.even))
        first, second = _factors(taps, maps)
        return maps[0] * first, maps[1] * second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, first: Tensor, second: Tensor) -> tuple[Tensor, None]:
        taps: Taps = ctx.taps
        n = taps.reach
        factors = _factors(taps, first)
        count, _, height, width = first.shape
        wide = first.new_zeros(2, count, MAPS, height, width + 4 * n)
        for part, gradient, factor in zip(wide, (first, second), factors, strict=True):
            torch.mul(gradient, factor, out=part.narrow(-1, 2 * n, width))
        # the adjoint of an odd filter is its negative
        rows = first.new_empty(2, count, 3, height, width + 2 * n)
        _even(wide[:, :, 2::2], -1, (rows[:, :, 1:3], taps.even))
        _even(wide[:, :, 1:2], -1, (rows[:, :, 0:1], taps.square))
        _odd(wide[:, :, 0::3], -1, rows[:, :, 0:2], taps.odd, sign=-1, add=True)
        tall = F.pad(fold(rows, n, -1), (0, 0, 2 * n, 2 * n))
        frames = first.new_empty(2, count, 1, height + 2 * n, width)
        _even(tall[:, :, 0:1], -2, (frames, taps.even))
        _even(tall[:, :, 2:3], -2, (frames, taps.square), add=True)
        _odd(tall[:, :, 1:2], -2, frames, taps.odd, sign=-1, add=True)
        return fold(frames, n, -2)[:, :, 0], None


def _even(padded: Tensor, dim: int, *filters: tuple[Tensor, tuple[float, ...]], add: bool = False) -> None:
    """Sums over windows along `dim`, put into or added to each tensor; weights are the same on both sides."""
    n = len(filters[0][1]) - 1
    length = padded.shape[dim] - 2 * n
    middle = padded.narrow(dim, n, length)
    for out, taps in filters:
        if add:
            out.add_(middle, alpha=taps[0])
        else:
            torch.mul(middle, taps[0], out=out)
    both = torch.empty_like(middle)
    for k in range(1, n + 1):
        torch.add(padded.narrow(dim, n + k, length), padded.narrow(dim, n - k, length), out=both)
        for out, taps in filters:
            out.add_(both, alpha=taps[k])


def _odd(padded: Tensor, dim: int, out: Tensor, taps: tuple[float, ...], *, sign: int = 1, add: bool = False) -> None:
    """Likewise with weights that change their sign."""
    n = len(taps) - 1
    length = padded.shape[dim] - 2 * n
    difference = torch.empty_like(out)
    for k in range(1, n + 1):
        torch.sub(padded.narrow(dim, n + k, length), padded.narrow(dim, n - k, length), out=difference)
        if k == 1 and not add:
            torch.mul(difference, sign * taps[k], out=out)
        else:
            out.add_(difference, alpha=sign * taps[k])


def _factors(taps: Taps, like: Tensor) -> Tensor:
    """[2, 5, 1, 1]."""
    return constant((*taps.first, *taps.second), like.dtype, like.device).view(2, MAPS, 1, 1)


def convolved(frames: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
    """The same in two depthwise convolutions: three filters along y, of each of which two along x (one for nothing)."""
    two, count, height, width = frames.shape
    n = taps.reach
    even, square = ((*half[:0:-1], *half) for half in (taps.even, taps.square))
    odd = (*(-value for value in taps.odd[:0:-1]), *taps.odd)
    along_y = constant((*even, *odd, *square), frames.dtype, frames.device).view(3, 1, -1, 1)
    one = np.array([odd, square, even, odd, even, even])
    across = np.concatenate([np.array([*factors, 0])[:, None] * one for factors in (taps.first, taps.second)])
    along_x = constant(tuple(across.ravel().tolist()), frames.dtype, frames.device).view(2, 1, 6, 1, 1, -1)
    padded = F.pad(frames.reshape(1, two * count, height, width), (n,) * 4, mode="replicate")
    rows = F.conv2d(padded, along_y.repeat(two * count, 1, 1, 1), groups=two * count)
    maps = F.conv2d(rows, along_x.expand(-1, count, -1, -1, -1, -1).flatten(0, 2), groups=3 * two * count)
    first, second = maps.view(two, count, 6, height, width)[:, :, :MAPS].unbind(0)
    return first, second
