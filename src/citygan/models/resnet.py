"""The residual generator of Johnson et al., as CycleGAN and pix2pix's public code have it.

With width 64 and n blocks (Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
Networks", section 7.2: 6 blocks for pictures of 128, 9 for 256 and larger):

    c7s1-64, d128, d256, R256 x n, u128, u64, c7s1-3

c7s1-k is a 7x7 convolution, dk a 3x3 one of stride 2, Rk two 3x3 convolutions beside which the map passes unchanged,
uk a transposed 3x3 one of stride 2; norm and ReLU after each, tanh after the last. Borders are reflected in all that
keep the size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import Dropout, Norm, check_sides, init_normal, norm_layer

HALVINGS = 2


class Residual(nn.Module):
    """Pictures to maps of the same size: all but the output.

    Args: As `ResNet`; `bias`: of its convolutions.

    Shape:
        [N, in_channels, H, W] -> [N, width, H, W]; `beside`, [N, width * 2**halvings, H / 2**halvings, ...], is added
        before the blocks.
    """

    fewest_blocks = 1

    def __init__(
        self, in_channels: int, width: int, blocks: int, dropout: float, norm: Norm, *, bias: bool, halvings: int
    ) -> None:
        super().__init__()
        if blocks < self.fewest_blocks:
            raise ValueError(f"expected at least {self.fewest_blocks} blocks, got {blocks}")
        if not 1 <= halvings <= 8:
            raise ValueError(f"expected from 1 to 8 halvings, got {halvings}")
        self.multiple = 2**halvings
        self.smallest = 2 * self.multiple  # a map of one pixel has nothing to reflect
        widths = [width * 2**i for i in range(halvings + 1)]
        self.first = nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect", bias=bias)
        self.first_norm = norm_layer(norm, width)
        self.down = nn.ModuleList()
        self.down_norm = nn.ModuleList()
        for before, after in pairwise(widths):
            self.down.append(nn.Conv2d(before, after, 3, 2, 1, bias=bias))
            self.down_norm.append(norm_layer(norm, after))
        self.blocks = nn.ModuleList(Block(widths[-1], dropout, norm, bias=bias) for _ in range(blocks))
        self.up = nn.ModuleList()
        self.up_norm = nn.ModuleList()
        for before, after in pairwise(reversed(widths)):
            self.up.append(nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=bias))
            self.up_norm.append(norm_layer(norm, after))

    def maps(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """What the output is made of."""
        x = F.relu_(self.first_norm(self.first(x)))
        for convolution, norm in zip(self.down, self.down_norm, strict=True):
            x = F.relu_(norm(convolution(x)))
        if beside is not None:
            x = x + beside
        for block in self.blocks:
            x = block(x)
        for convolution, norm in zip(self.up, self.up_norm, strict=True):
            x = F.relu_(norm(convolution(x)))
        return x


class ResNet(Residual):
    """Pictures to pictures of the same size.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Filters of the first layer.
        blocks: Residual blocks: 6 and 9 are the published ones.
        dropout: Rate between the two convolutions of each block.
        norm: `batch`, `instance` or `none`.
        bias: Which convolutions have one: those that no norm follows (`needed`), only the output (`output`, as the
            public code saves it without a norm), or all (as it does with instance norm).
        halvings: Times the picture is halved before the blocks: 2 are the published ones, pix2pixHD's global
            generator has 4.

    Shape:
        [N, in_channels, H, W] in [-1, 1] -> [N, out_channels, H, W] in (-1, 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        dropout: float = 0.5,
        norm: Norm = "batch",
        bias: Literal["needed", "output", "all"] = "needed",
        halvings: int = HALVINGS,
    ) -> None:
        inside = bias == "all" or (bias == "needed" and norm == "none")
        super().__init__(in_channels, width, blocks, dropout, norm, bias=inside, halvings=halvings)
        self.output = nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect")
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple, smallest=self.smallest)
        y: Tensor = self.output(self.maps(x))
        return y.tanh()


class Block(nn.Module):
    """R: two convolutions, and what they are given beside them: [N, channels, H, W] -> the same."""

    def __init__(self, channels: int, dropout: float, norm: Norm, *, bias: bool) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.norm1 = norm_layer(norm, channels)
        self.dropout = Dropout(dropout) if dropout > 0 else nn.Identity()
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.norm2 = norm_layer(norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu_(self.norm1(self.convolution1(x))))
        y = self.norm2(self.convolution2(y))
        return x + y
