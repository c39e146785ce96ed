"""The 4x4 convolutions of pix2pix, and what makes them fast on CPUs.

oneDNN is made for many channels on large maps. Where it wastes time, the same sums are taken another way:

- The inner layers of a U-Net have millions of weights and maps of a few pixels. oneDNN lays those weights out anew at
  every call: for 1024 x 512 x 4 x 4 weights and 4x4 pixels that takes several times as long as the arithmetic. As one
  matrix product over the pixels of the whole batch they are read where they lie: in channels-last order they are a
  matrix already, and so is their gradient.
- Layers with one or three outputs leave its vectors of 16 channels almost empty; a product with all 16 taps of the
  kernel at once, whose results are then added up where they belong, fills them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, STRIDE, PADDING = 4, 2, 1
# where the ways break even on two cores with AVX-512, in float32 and bfloat16, at widths 16 and 64 and batches 1 and 4
FEW = 64  # pixels
LARGE = 2**22  # weights
PICTURE = 4  # channels, at most


class Scoring(nn.Conv2d):
    """A convolution to one channel, 4x4 with stride 1: [N, in, H, W] -> [N, 1, H + 2 * margin - 3, W + 2 * margin - 3].

    Args:
        margin: Zeros around the map: 1 in pix2pix, 2 in pix2pixHD.
    """

    def __init__(self, in_channels: int, margin: int = PADDING) -> None:
        super().__init__(in_channels, 1, SIDE, 1, margin)
        self.margin = margin

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        height, width = (side + 2 * self.margin - SIDE + 1 for side in x.shape[-2:])
        # what each pixel gives to the window that it is the last, ..., the first of
        taps = self.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2) @ x.flatten(2)
        assert self.bias is not None
        return (
            F.fold(_at_least_float32(taps), (height, width), SIDE, padding=SIDE - 1 - self.margin)
            + self.bias[:, None, None]
        )


class Halving(nn.Conv2d):
    """A convolution, 4x4 with stride 2 and padding 1: [N, in, H, W] -> [N, out, H // 2, W // 2]."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, SIDE, STRIDE, PADDING, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        even = height % 2 == 0 and width % 2 == 0
        if even and _product_pays(x, self.weight, x.shape[0] * height * width // 4):
            return _applied(_Halve, x, self.weight, self.bias)
        return super().forward(x)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution, 4x4 with stride 2 and padding 1: [N, in, H, W] -> [N, out, 2H, 2W]."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, SIDE, STRIDE, PADDING, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is None and (
            _product_pays(x, self.weight, x.shape[0] * x.shape[-2] * x.shape[-1]) or self._few_outputs(x)
        ):
            return _applied(_Double, x, self.weight, self.bias)
        return super().forward(x, output_size)

    def _few_outputs(self, x: Tensor) -> bool:
        """Whether this is a last layer, with so many inputs that the product pays."""
        enough = 64 if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") else 16
        return _can_multiply(x, self.weight) and self.out_channels <= PICTURE and self.in_channels >= enough


def _product_pays(x: Tensor, weight: Tensor, pixels: int) -> bool:
    """Whether a matrix product is the faster way for so many pixels of the smaller map, in the whole batch."""
    large = weight.numel() >= LARGE
    if pixels > (4 * FEW if large else FEW):
        return False
    return (large or torch.is_grad_enabled()) and _can_multiply(x, weight)  # gradients gain most


def _can_multiply(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
    )


def _applied(product: type[torch.autograd.Function], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    y: Tensor = product.apply(x, weight)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


def join(*maps: Tensor) -> Tensor:
    """The channels of maps of one size, one after another."""
    if maps[0].device.type != "cpu" or torch.compiler.is_compiling():
        return torch.cat(maps, dim=1)
    joined: Tensor = _Join.apply(*maps)
    return joined


class _Join(torch.autograd.Function):
    """Concatenation whose gradients lie dense in memory: batch norm takes ten times as long for parts of a whole."""

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.channels = [x.shape[1] for x in maps]
        return torch.cat(maps, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        parts = gradients[0].split(ctx.channels, dim=1)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in parts)


class _Halve(torch.autograd.Function):
    """Windows of the larger map times the weights [out, 4 * 4 * in]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        windows, matrix = _windows(x), _matrix(weight)
        shape = (x.shape[0], weight.shape[0], x.shape[2] // 2, x.shape[3] // 2)
        y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        torch.mm(windows, matrix.t(), out=_pixels(y))  # no view, since it may be changed in place
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        pixels = _pixels(gradients[0])
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _overlay(pixels @ _matrix(weight), x.shape[0], x.shape[2] // 2, x.shape[3] // 2)
        if ctx.needs_input_grad[1]:
            dw = _as_weight(pixels.t() @ _windows(x), x.shape[1])
        return dx, dw


class _Double(torch.autograd.Function):
    """Pixels of the smaller map times the weights [in, 4 * 4 * out], laid over one another."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        windows = _pixels(x) @ _matrix(weight)
        if weight.shape[1] <= PICTURE:  # its sums in full precision, which is the faster way, too
            windows = _at_least_float32(windows)
        return _overlay(windows, x.shape[0], x.shape[2], x.shape[3])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        windows = _windows(gradients[0].to(weight.dtype))
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _as_map(windows @ _matrix(weight).t(), x.shape[0], x.shape[2], x.shape[3])
        if ctx.needs_input_grad[1]:
            dw = _as_weight(_pixels(x).t() @ windows, weight.shape[1])
        return dx, dw


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _pixels(x: Tensor) -> Tensor:
    """[N, C, h, w] -> [N * h * w, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_map(pixels: Tensor, count: int, height: int, width: int) -> Tensor:
    """[N * h * w, C] -> [N, C, h, w], channels last in memory."""
    return pixels.view(count, height, width, -1).permute(0, 3, 1, 2)


def _matrix(weight: Tensor) -> Tensor:
    """[A, B, 4, 4] with channels last in memory -> [A, 4 * 4 * B], the same memory."""
    return weight.permute(0, 2, 3, 1).view(weight.shape[0], -1)


def _as_weight(matrix: Tensor, channels: int) -> Tensor:
    """[A, 4 * 4 * B] -> [A, B, 4, 4], the same memory."""
    return matrix.view(-1, SIDE, SIDE, channels).permute(0, 3, 1, 2)


def _windows(x: Tensor) -> Tensor:
    """Under each pixel of the smaller map its 4x4 of the larger: [N, C, 2h, 2w] -> [N * h * w, 4 * 4 * C]."""
    count, channels, height, width = x.shape
    padded = x.new_zeros(count, height + 2 * PADDING, width + 2 * PADDING, channels)
    padded[:, PADDING:-PADDING, PADDING:-PADDING] = x.permute(0, 2, 3, 1)
    image, row, column, channel = padded.stride()
    windows = padded.as_strided(
        (count, height // STRIDE, width // STRIDE, SIDE, SIDE, channels),
        (image, STRIDE * row, STRIDE * column, row, column, channel),
    )
    return windows.reshape(-1, SIDE * SIDE * channels)


def _overlay(windows: Tensor, count: int, height: int, width: int) -> Tensor:
    """The transpose of `_windows`: [N * h * w, 4 * 4 * C] -> [N, C, 2h, 2w], overlapping windows added up."""
    channels = windows.shape[1] // (SIDE * SIDE)
    # a window of 4 is two blocks of 2, the first its own, the second its neighbour's
    blocks = windows.view(count, height, width, 2, STRIDE, 2, STRIDE, channels)
    padded = windows.new_zeros(count, height + 1, STRIDE, width + 1, STRIDE, channels)
    for down in (0, 1):
        for right in (0, 1):
            part = blocks[:, :, :, down, :, right].permute(0, 1, 3, 2, 4, 5)
            padded[:, down : down + height, :, right : right + width] += part
    padded = padded.view(count, STRIDE * (height + 1), STRIDE * (width + 1), channels)
    inner = padded[:, PADDING:-PADDING, PADDING:-PADDING].permute(0, 3, 1, 2)
    return inner.clone(memory_format=torch.channels_last)
