"""The PatchGAN discriminators of pix2pix (sections 3.2.2 and 6.1.2).

All convolutions are 4x4; the last C layer and the output have stride 1, which is what gives the receptive fields that
name them (all strides 2, as the text says, would give 94 for the 70):

    16   C64-C128                        286   C64-C128-C256-C512-C512-C512
    70   C64-C128-C256-C512              1     C64-C128, in which all convolutions are 1x1: the PixelGAN

34, 142 and 574 lie between and beyond, for weights that the public code trained with so many layers.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.convolution import Scoring
from citygan.models.layers import Norm, init_normal, norm_layer

LAYERS = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5, 574: 6}  # receptive field: convolutions of stride 2


class PatchGAN(nn.Module):
    """Judges every patch of a picture, given what it was made from.

    Args:
        in_channels: C of condition and picture together.
        width: Filters of the first layer; they double up to eight times that.
        receptive_field: Side of a patch in pixels: a row of `LAYERS`.
        norm: `batch`, `instance` or `none`; the first layer has none.
        bias: Which convolutions have one: those that no norm follows (`needed`), the first and the output alone
            (`ends`, as the public PyTorch code saves it with batch norm or none), or all (with instance norm).
        margin: Zeros around every map: 1 in pix2pix, 2 in pix2pixHD's public code, whose maps so never vanish.
        widest: Filters at most, in all layers but the first; None: eight times `width`.

    Shape:
        [N, in_channels, H, W] -> logits [N, 1, H', W'], above 0 for real; for 256x256 and 70: 30x30. Pictures too
        small for one patch are padded with zeros, as the paper pads them for the larger patches (table 3).
        With `features`: what `maps` gives, as the only element of a tuple: this is a `Multiscale` of one scale.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        receptive_field: int = 70,
        norm: Norm = "batch",
        bias: Literal["needed", "ends", "all"] = "needed",
        margin: int = 1,
        widest: int | None = None,
    ) -> None:
        super().__init__()
        if receptive_field not in LAYERS:
            raise ValueError(f"expected a receptive field of {', '.join(map(str, LAYERS))}, got {receptive_field}")
        layers = LAYERS[receptive_field]
        inside = bias == "all" or (bias == "needed" and norm == "none")
        self.smallest = 3 * 2**layers if margin == 1 else 1  # the last two convolutions take a pixel each
        widths = [width, *(min(width * 2**i, widest or width * 8) for i in range(1, layers + 1))]
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for i, after in enumerate(widths):
            before = in_channels if i == 0 else widths[i - 1]
            stride = 2 if i < layers else 1
            self.convolutions.append(nn.Conv2d(before, after, 4, stride, margin, bias=i == 0 or inside))
            self.norms.append(nn.Identity() if i == 0 else norm_layer(norm, after))
        self.output = Scoring(widths[-1], margin)
        init_normal(self)

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[tuple[Tensor, ...], ...]:
        maps = self.maps(x)
        return (maps,) if features else maps[-1]

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """What is behind every layer, from the first on: [N, C, H', W'] each; the last are the logits."""
        down, right = (max(0, self.smallest - side) for side in x.shape[-2:])
        if down or right:
            x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        maps = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu_(norm(convolution(x)), 0.2)
            maps.append(x)
        return (*maps, self.output(x))


class PixelGAN(nn.Module):
    """Judges every pixel of a picture by itself, given what it was made from.

    Args:
        in_channels: C of condition and picture together.
        width: Filters of the first layer; the second has twice as many.
        norm: `batch`, `instance` or `none`, after the second layer.
        bias: Which convolutions have one: those that no norm follows (`needed`), the first alone (`first`, as the
            public PyTorch code saves it with batch norm or none), or all (with instance norm).

    Shape:
        [N, in_channels, H, W] -> logits [N, 1, H, W], above 0 for real
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        norm: Norm = "batch",
        bias: Literal["needed", "first", "all"] = "needed",
    ) -> None:
        super().__init__()
        inside = bias == "all" or (bias == "needed" and norm == "none")
        self.first = nn.Conv2d(in_channels, width, 1)
        self.second = nn.Conv2d(width, 2 * width, 1, bias=inside)
        self.norm = norm_layer(norm, 2 * width)
        self.output = nn.Conv2d(2 * width, 1, 1, bias=bias != "first")
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu_(self.first(x), 0.2)
        x = F.leaky_relu_(self.norm(self.second(x)), 0.2)
        logits: Tensor = self.output(x)
        return logits
