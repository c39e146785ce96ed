"""Dense optical flow by polynomial expansion, batched and differentiable.

Gunnar Farnebäck, "Two-Frame Motion Estimation Based on Polynomial Expansion", SCIA 2003, over a pyramid, with the
choices of OpenCV's `calcOpticalFlowFarneback`, with which it agrees to rounding: its pyramid, borders, window and
regulariser. OpenCV's flow has no gradient; this one's reaches both frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from citygan.ops.expansion import MAPS, expand
from citygan.ops.windows import Window, constant

SMALLEST_SIDE = 32  # px, of a level that is added to the pyramid
REGULARISER = 1e-3  # added to the determinant
BILINEAR = (0, 0, True)  # of PyTorch's sampler: linear, zeros beyond the border, -1 and 1 in the middle of pixels
HALVES = (0, 0.5, 0, 0.5, 0.5)  # of the maps, those that two frames are averaged in
BORDER = (0.14, 0.14, 0.4472, 0.4472, 0.4472)  # weights from the border inwards


@dataclass(frozen=True, kw_only=True)
class FarnebackSettings:
    """Settings of the flow, named as OpenCV's. The defaults are those of `citygan.ops.flow`."""

    pyr_scale: float = 0.5
    """Size of a level of the pyramid to that of the one below, between 0 and 1."""
    levels: int = 5
    """Levels above the full size, as far as both sides stay at least 32 px; 0 is none."""
    winsize: int = 15
    """Side in pixels of the window over which displacements are averaged; larger ones are steadier and blurrier."""
    iterations: int = 3
    """Rounds a level."""
    poly_n: int = 5
    """Reach in pixels of the neighbourhood that a polynomial is fitted to."""
    poly_sigma: float = 1.1
    """Deviation in pixels of the weights of that neighbourhood."""
    gaussian: bool = True
    """Whether the window is a Gaussian of deviation 0.3 (winsize // 2) and not a box."""

    def __post_init__(self) -> None:
        rows = (
            (0 < self.pyr_scale < 1, "pyr_scale", "between 0 and 1"),
            (self.levels >= 0, "levels", "at least 0"),
            (self.winsize >= 2, "winsize", "at least 2"),
            (self.iterations >= 1, "iterations", "at least 1"),
            (self.poly_n >= 1, "poly_n", "at least 1"),
            (0 < self.poly_sigma < math.inf, "poly_sigma", "above 0"),
        )
        wrong = [f"{name}: expected {what}, got {getattr(self, name)}" for holds, name, what in rows if not holds]
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def window(self) -> Window:
        """The weights that products of coefficients are averaged with."""
        reach = self.winsize // 2
        if not self.gaussian:
            return Window((1 / self.winsize,) * (reach + 1))  # an even window has a tap more than it is divided by
        half = [math.exp(-(k**2) / (2 * (0.3 * reach) ** 2)) for k in range(reach + 1)]
        total = 2 * sum(half) - half[0]
        return Window(tuple(weight / total for weight in half))

    def sizes(self, height: int, width: int) -> list[tuple[float, tuple[int, int]]]:
        """Scale and (height, width) of each level, the coarsest first."""
        scales = [1.0]
        while len(scales) <= self.levels and min(height, width) * scales[-1] * self.pyr_scale >= SMALLEST_SIDE:
            scales.append(scales[-1] * self.pyr_scale)
        return [(scale, (round(height * scale), round(width * scale))) for scale in reversed(scales)]


DEFAULT = FarnebackSettings()


def farneback(first: Tensor, second: Tensor, settings: FarnebackSettings = DEFAULT) -> Tensor:
    """Optical flow from the first frames to the second.

    Gradients reach both frames through everything but the floor of the positions at which the second frame is read.
    They stay finite where there is nothing to see.

    Args:
        first: [N, 1, H, W] grey, 0 to 255.
        second: The same shape.
        settings: Pyramid, window, neighbourhood.

    Returns:
        [N, 2, H, W] pixels, x and y: what is at p in the first frame is at p + flow(p) in the second. float64 where the
        frames are float64, else float32.

    Raises:
        ValueError: Frames of another shape.
    """
    if first.shape != second.shape or first.dim() != 4 or first.shape[1] != 1:
        raise ValueError(f"expected two tensors [N, 1, H, W], got {list(first.shape)} and {list(second.shape)}")
    with torch.autocast(first.device.type, enabled=False):
        frames = torch.cat([first, second], 1).transpose(0, 1)  # [2, N, H, W]
        if frames.dtype != torch.float64:
            frames = frames.float()
        _, count, height, width = frames.shape
        flow: Tensor | None = None
        for scale, size in settings.sizes(height, width):
            if flow is None:
                flow = frames.new_zeros(count, 2, *size)
            else:
                resized = F.interpolate(flow, size, mode="bilinear", align_corners=False)
                flow = resized * (1 / settings.pyr_scale)
            maps = expand(_level(frames, scale, size), settings.poly_n, settings.poly_sigma)
            flow = _Rounds.apply(flow, *maps, settings.window, settings.iterations)
        assert flow is not None
        return flow


def _level(frames: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
    """The frames [2, N, H, W] at a level: blurred and resized."""
    if scale == 1:
        return _smoothed(_smoothed(frames, -2), -1)
    like = (frames.dtype, frames.device)
    down, across = (_reducing(frames.shape[i - 2], size[i], scale, *like) for i in range(2))
    return down @ frames @ across.T


def _smoothed(x: Tensor, dim: int) -> Tensor:
    """Weights 1/4, 1/2, 1/4 along an axis, reflected at its ends: the full size's blur."""
    length = x.shape[dim]
    if length == 1:
        return x
    padded = F.pad(x, (1, 1, 0, 0) if dim == -1 else (0, 0, 1, 1), mode="reflect")
    both = padded.narrow(dim, 0, length) + padded.narrow(dim, 2, length)
    return torch.add(0.5 * x, both, alpha=0.25)


@cache
def _reducing(length: int, reduced: int, scale: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[reduced, length]: blurs and resizes an axis.

    A Gaussian of deviation (1/scale - 1)/2 pixels, cut at an odd number of taps and reflected without repeating the
    last pixel; then linear interpolation between the centres of pixels.
    """
    sigma = (1 / scale - 1) / 2
    reach = max(round(5 * sigma) | 1, 3) // 2
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    blur = np.zeros((length, length))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        np.add.at(blur, (np.arange(length), _reflected(np.arange(length) + offset, length)), weight)
    centres = np.clip((np.arange(reduced) + 0.5) * (length / reduced) - 0.5, 0, length - 1)
    left = np.floor(centres).astype(int)
    part = (centres - left)[:, None]
    both = blur[left] * (1 - part) + blur[np.minimum(left + 1, length - 1)] * part
    with torch.inference_mode(False):
        return torch.from_numpy(both).to(device, dtype)


def _reflected(index: np.ndarray, length: int) -> np.ndarray:
    """Indices beyond an axis, mirrored at its first and last pixel."""
    if length == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * length - 2)
    return np.minimum(index, 2 * length - 2 - index)


@cache
def _border(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[H, W]: how much each pixel counts, less within five of the border; on two borders, the product."""
    axes = []
    for length in (height, width):
        axis, reach = np.ones(length), min(len(BORDER), length)
        axis[:reach] *= BORDER[:reach]
        axis[length - reach :] *= BORDER[:reach][::-1]
        axes.append(axis)
    with torch.inference_mode(False):
        return torch.from_numpy(np.outer(*axes)).to(device, dtype)


@cache
def _pixels(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[2, H, W]: x and y of each pixel."""
    with torch.inference_mode(False):
        return torch.from_numpy(np.mgrid[:height, :width][::-1].copy()).to(device, dtype)


class _Rounds(torch.autograd.Function):
    """The rounds of a level (section 3 of the paper).

    Where the frames' polynomials have the matrices A = [rxx, rxy/2; rxy/2, ryy], averaged over both frames, and the
    linear coefficients differ by -2 db, the displacement d solves A d = db in the least squares of a window: averages
    of A A and of A db. The second frame's polynomials are read where the flow so far points to.

    Maps of a pixel are q = [bx, rxx, by, rxy/2, ryy]; products and their averages are [h1, h2, g12, g11, g22], where
    1 is y and 2 is x: in these orders, pairs that are multiplied alike are slices.
    """

    @staticmethod
    def forward(ctx: Any, flow: Tensor, first: Tensor, second: Tensor, window: Window, rounds: int) -> Tensor:
        height, width = flow.shape[-2:]
        like = (flow.dtype, flow.device)
        border, pixels = _border(height, width, *like), _pixels(height, width, *like)
        # where positions are -1 and 1 in the first and the last pixel
        scale = constant((2 / max(1, width - 1), 2 / max(1, height - 1)), *like).view(2, 1, 1)
        origin = pixels * scale - 1
        halved = first * constant(HALVES, *like).view(MAPS, 1, 1)
        weighted = first * border
        kept: list[Tensor] = []
        for _ in range(rounds):
            seen = border * _within(pixels + flow)
            grid = torch.addcmul(origin, flow, scale).permute(0, 2, 3, 1)
            q = torch.ops.aten.grid_sampler_2d(second, grid, *BILINEAR)
            q = torch.addcmul(weighted, seen, q.sub_(halved))
            x, y = flow[:, 0:1], flow[:, 1:2]
            q[:, 0:3:2].addcmul_(q[:, 1:4:2], x).addcmul_(q[:, 3:5], y)
            g = window.average(_products(q))
            before = flow
            h1, h2, g12, g11, g22 = g.unbind(1)
            determinant = (g11 * g22).addcmul_(g12, g12, value=-1).add_(REGULARISER)
            flow = torch.empty_like(before)
            torch.mul(g11, h2, out=flow[:, 0]).addcmul_(g12, h1, value=-1)
            torch.mul(g22, h1, out=flow[:, 1]).addcmul_(g12, h2, value=-1)
            flow /= determinant[:, None]
            kept += before, grid, seen, q, g, determinant, flow
        ctx.window = window
        ctx.save_for_backward(second, scale, border, *kept)
        return flow

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        second, scale, border, *kept = ctx.saved_tensors
        of_q, of_sampled, of_second = (torch.zeros_like(second) for _ in range(3))
        while kept:
            before, grid, seen, q, g, determinant, flow = kept[-7:]
            del kept[-7:]
            of_products = ctx.window.spread(_of_solution(gradient / determinant[:, None], g, flow))
            of_map, gradient = _of_products(of_products, q, before)
            of_q += of_map
            of_map *= seen
            of_sampled += of_map
            of_read, of_grid = torch.ops.aten.grid_sampler_2d_backward(of_map, second, grid, *BILINEAR, [True, True])
            of_second += of_read
            gradient = torch.addcmul(gradient, of_grid.permute(0, 3, 1, 2), scale)
        halves = constant(HALVES, second.dtype, second.device).view(MAPS, 1, 1)
        of_first = of_q.mul_(border).addcmul_(of_sampled, halves, value=-1)
        return gradient, of_first, of_second, None, None


def _within(positions: Tensor) -> Tensor:
    """Where all four neighbours of [N, 2, H, W] positions lie within the picture: bool [N, 1, H, W].

    In OpenCV's precision, float32, since at the border a rounding decides.
    """
    height, width = positions.shape[-2:]
    x, y = positions.float().split(1, 1)
    right, bottom = (float(np.nextafter(np.float32(side - 1), np.float32(-1))) for side in (width, height))
    return (x == x.clamp(0, right)) & (y == y.clamp(0, bottom))


def _products(q: Tensor) -> Tensor:
    """A db and A A of [N, 5, H, W], in the orders of `_Rounds`."""
    rxx, rxy, ryy = q[:, 1:2], q[:, 3:4], q[:, 4:5]
    m = torch.empty_like(q)
    torch.mul(ryy, q[:, 2:5:2], out=m[:, 0:4:3]).addcmul_(rxy, q[:, 0:4:3])
    torch.mul(rxx, q[:, 0:2], out=m[:, 1:5:3]).addcmul_(rxy, q[:, 2:4])
    torch.add(rxx, ryy, out=m[:, 2:3]).mul_(rxy)
    return m


def _of_products(gradient: Tensor, q: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the maps before A d was added to them, and of d, from that of `_products`."""
    h1, h2, g12, g11, g22 = gradient.unbind(1)
    bx, rxx, by, rxy, ryy = q.unbind(1)
    x, y = flow.unbind(1)
    of_q = torch.empty_like(q)
    of_bx, of_rxx, of_by, of_rxy, of_ryy = of_q.unbind(1)
    torch.mul(q[:, 3:5], h1[:, None], out=of_q[:, 0:3:2]).addcmul_(q[:, 1:4:2], h2[:, None])
    torch.mul(by, h1, out=of_ryy).addcmul_(rxy, g12).addcmul_(ryy, g11, value=2).addcmul_(y, of_by)
    torch.mul(bx, h2, out=of_rxx).addcmul_(rxy, g12).addcmul_(rxx, g22, value=2).addcmul_(x, of_bx)
    torch.mul(bx, h1, out=of_rxy).addcmul_(by, h2).addcmul_(rxx + ryy, g12).addcmul_(rxy, g11 + g22, value=2)
    of_rxy.addcmul_(x, of_by).addcmul_(y, of_bx)
    return of_q, (q[:, 3:5] * of_by[:, None]).addcmul_(q[:, 1:4:2], of_bx[:, None])


def _of_solution(p: Tensor, g: Tensor, flow: Tensor) -> Tensor:
    """Gradient of the averaged products, from that of the flow over the determinant."""
    h1, h2, g12, g11, g22 = g.unbind(1)
    x, y = p.unbind(1)
    of_determinant = (flow * p).sum(1).neg_()
    of_g = torch.empty_like(g)
    of_h1, of_h2, of_g12, of_g11, of_g22 = of_g.unbind(1)
    torch.mul(g22, y, out=of_h1).addcmul_(g12, x, value=-1)
    torch.mul(g11, x, out=of_h2).addcmul_(g12, y, value=-1)
    torch.mul(h1, x, out=of_g12).addcmul_(h2, y).addcmul_(of_determinant, g12, value=2).neg_()
    torch.mul(h2, x, out=of_g11).addcmul_(of_determinant, g22)
    torch.mul(h1, y, out=of_g22).addcmul_(of_determinant, g11)
    return of_g
