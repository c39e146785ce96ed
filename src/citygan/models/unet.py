"""The U-Net generator of pix2pix (sections 3.2.1 and 6.1.1).

With width 64 and depth 8, C being a convolution, D one with dropout:

    encoder  C64-C128-C256-C512-C512-C512-C512-C512    4x4, stride 2, leaky ReLU 0.2
    decoder  D512-D1024-D1024-C1024-C1024-C512-C256-C128    (channels with the skips), transposed 4x4, stride 2, ReLU
    output   tanh

There is no norm on the first encoder layer, and none on the innermost: at batch 1 its map is one pixel, which batch
norm would zero (pix2pix, section 6.3). Without its skips it is the paper's encoder-decoder (section 4.3).
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.convolution import Doubling, Halving, join
from citygan.models.layers import Dropout, Enlarging, Norm, check_sides, init_normal, norm_layer

PAPER_DEPTH = 8
Upsampling = Literal["transposed", "nearest", "bilinear"]


class UNet(nn.Module):
    """Pictures to pictures of the same size.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Filters of the first layer; they double up to eight times that.
        depth: Times the picture is halved; both sides must be multiples of 2 ** depth.
        dropout: Rate of dropout in the decoder layers told by `dropout_place`.
        skips: Whether the decoder sees the encoder's maps; without, it is the encoder-decoder.
        norm: `batch`, `instance` or `none`.
        upsample: `transposed` convolutions as in the paper, or a `nearest` or `bilinear` resize and a 3x3 convolution.
        norm_ends: Whether the first encoder layer and the innermost have a norm too.
        bias: Which convolutions have one: only the output (`output`, as in the public PyTorch code with batch norm or
            none, which so can load what is trained here), all (as there with instance norm), or those that no norm
            follows (`needed`).
        dropout_place: The three `innermost` decoder layers, as in the paper; or, as in the public PyTorch code, those
            `behind` the innermost that are as wide as it, three of them at depth 8.

    Shape:
        [N, in_channels, H, W] in [-1, 1] -> [N, out_channels, H, W] in (-1, 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        width: int = 64,
        depth: int = PAPER_DEPTH,
        dropout: float = 0.5,
        skips: bool = True,
        norm: Norm = "batch",
        upsample: Upsampling = "transposed",
        norm_ends: bool = False,
        bias: Literal["needed", "output", "all"] = "output",
        dropout_place: Literal["innermost", "behind"] = "innermost",
    ) -> None:
        super().__init__()
        if not 1 <= depth <= 16:
            raise ValueError(f"expected a depth from 1 to 16, got {depth}")
        self.depth = depth
        self.skips = skips
        first, end = (0, 3) if dropout_place == "innermost" else (1, max(1, depth - 4))
        widths = [min(width * 2**i, width * 8) for i in range(depth)]
        ends, inside = bias != "output", bias == "all" or (bias == "needed" and norm == "none")
        self.down = nn.ModuleList()
        self.down_norm = nn.ModuleList()
        for i in range(depth):
            bare = (i == 0 or i == depth - 1) and not norm_ends
            before = in_channels if i == 0 else widths[i - 1]
            self.down.append(Halving(before, widths[i], bias=ends if bare else inside))
            self.down_norm.append(nn.Identity() if bare else norm_layer(norm, widths[i]))
        # up[0] is the innermost; each but that sees the output of the one before beside the encoder's at its size
        self.up = nn.ModuleList()
        self.up_norm = nn.ModuleList()
        self.dropout = nn.ModuleList()
        for i in reversed(range(depth)):
            before = 2 * widths[i] if skips and i < depth - 1 else widths[i]
            last = i == 0
            after = out_channels if last else widths[i - 1]
            self.up.append(_doubling(upsample, before, after, bias=last or inside))
            if not last:
                self.up_norm.append(norm_layer(norm, after))
                noisy = first <= depth - 1 - i < end and dropout > 0
                self.dropout.append(Dropout(dropout) if noisy else nn.Identity())
        init_normal(self)

    @property
    def multiple(self) -> int:
        """What both sides of a picture must be a multiple of."""
        return 2**self.depth

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple, ", or take fewer layers")
        skips: list[Tensor] = []
        for i, (convolution, norm) in enumerate(zip(self.down, self.down_norm, strict=True)):
            x = norm(convolution(x))
            if i < self.depth - 1:
                # in place: the skip then holds the leaky value, whose ReLU in the decoder is that of the value before
                x = F.leaky_relu_(x, 0.2)
                if self.skips:
                    skips.append(x)
        for i, convolution in enumerate(self.up):
            x = convolution(F.relu_(x))
            if i < self.depth - 1:
                x = self.dropout[i](self.up_norm[i](x))
                if self.skips:
                    x = join(skips.pop(), x)
        return x.tanh()


class EnhancedUNet(UNet):
    """The *enhanced* generator of the Cityscapes study (Ortega Pinto and Romero Romero, section II.C.3).

    The text tells: encoder and decoder in blocks of their own, skips between those that correspond, batch
    normalisation after each convolution, dropout in the first three blocks of the decoder, tanh. It gives neither
    depth nor filters, so these are the base model's; with them the norms of the first encoder block and of the
    innermost are what it has beyond a U-Net. The output, which tanh scales, has no norm.

    Args and shape: As `UNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        width: int = 64,
        depth: int = PAPER_DEPTH,
        dropout: float = 0.5,
        upsample: Upsampling = "transposed",
    ) -> None:
        super().__init__(in_channels, out_channels, width, depth, dropout, upsample=upsample, norm_ends=True)


def _doubling(upsample: Upsampling, before: int, after: int, *, bias: bool) -> nn.Module:
    if upsample == "transposed":
        return Doubling(before, after, bias=bias)
    if upsample in ("nearest", "bilinear"):
        return Enlarging(before, after, bias=bias, mode=upsample)
    raise ValueError(f"expected upsampling by transposed, nearest or bilinear, got '{upsample}'")


def unet_depth(width: int, height: int) -> int:
    """Times both sides can be halved, at most the paper's 8: the depth of a U-Net for pictures of that size."""
    depth = 0
    while depth < PAPER_DEPTH and width % 2 ** (depth + 1) == 0 and height % 2 ** (depth + 1) == 0:
        depth += 1
    return depth
