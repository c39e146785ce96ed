"""The coarse-to-fine generator of pix2pixHD (Wang et al., section 3.1, figure 3).

The global generator G1, without its output, sees the picture at half the size. A local enhancer G2 has a front that
halves the picture itself; its maps and G1's are added, and go through G2's own blocks and back to the full size. Each
further enhancer does the same at twice the size. The published one has width 32, one enhancer with 3 blocks, and
within it a global generator of width 64 with 4 halvings and 9 blocks.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import Norm, check_sides, init_normal, pyramid
from citygan.models.resnet import Residual


class LocalEnhancer(nn.Module):
    """Pictures to pictures of the same size, in two steps from coarse to fine.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Filters of the last enhancer's first layer; each part before it has twice as many.
        blocks: Residual blocks of the global generator.
        norm: `batch`, `instance` (the public code's default) or `none`.
        bias: As `ResNet`; the public code saves all.
        halvings: Times the global generator halves what it is shown.
        enhancers: Local enhancers, each of which doubles the size.
        local_blocks: Residual blocks of each enhancer.
        coarse_output: Whether the global generator has an output of its own, to learn alone by.
        coarse_only: Whether it alone paints so far: its pictures are enlarged bilinearly.

    Shape:
        [N, in_channels, H, W] in [-1, 1] -> [N, out_channels, H, W] in (-1, 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        width: int = 32,
        blocks: int = 9,
        norm: Norm = "batch",
        bias: Literal["needed", "output", "all"] = "needed",
        halvings: int = 4,
        enhancers: int = 1,
        local_blocks: int = 3,
        coarse_output: bool = False,
        coarse_only: bool = False,
    ) -> None:
        super().__init__()
        if coarse_only and not coarse_output:
            raise ValueError("a global generator without an output cannot paint alone")
        self.coarse_only = coarse_only
        if not 1 <= enhancers <= 4:
            raise ValueError(f"expected from 1 to 4 enhancers, got {enhancers}")
        inside = bias == "all" or (bias == "needed" and norm == "none")
        coarse = width * 2**enhancers
        self.coarse = Residual(in_channels, coarse, blocks, 0.0, norm, bias=inside, halvings=halvings)
        self.enhancers = nn.ModuleList(
            Residual(in_channels, width * 2**i, local_blocks, 0.0, norm, bias=inside, halvings=1)
            for i in reversed(range(enhancers))
        )
        self.output = nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect")
        if coarse_output:
            self.coarse_output = nn.Conv2d(coarse, out_channels, 7, padding=3, padding_mode="reflect")
        self.multiple = self.coarse.multiple * 2**enhancers
        self.smallest = self.coarse.smallest * 2**enhancers
        init_normal(self)

    def forward(self, x: Tensor, part: Literal["all", "global", "local"] = "all") -> Tensor:
        """Paints a picture.

        Args:
            part: `global`: the global generator's picture, as much smaller as there are enhancers; `local`: no
                gradient reaches the global generator.
        """
        check_sides(x, self.multiple, smallest=self.smallest)
        *finer, coarsest = pyramid(x, len(self.enhancers) + 1)
        if part == "global" or self.coarse_only:
            y: Tensor = self.coarse_output(self.coarse.maps(coarsest)).tanh()
            return y if part == "global" else F.interpolate(y, x.shape[-2:], mode="bilinear", align_corners=False)
        with torch.no_grad() if part == "local" else nullcontext():
            maps = self.coarse.maps(coarsest)
        for enhancer, level in zip(self.enhancers, reversed(finer), strict=True):
            maps = enhancer.maps(level, maps)  # type: ignore[operator]
        y = self.output(maps)
        return y.tanh()
