"""The PatchGAN discriminators of pix2pix (sections 3.2.2 and 6.1.2).

All convolutions are 4x4; the last C layer and the output have stride 1, which is what gives the receptive fields that
name them (all strides 2, as the text says, would give 94 for the 70):

    16   C64-C128                        286   C64-C128-C256-C512-C512-C512
    70   C64-C128-C256-C512
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.convolution import Scoring
from citygan.models.layers import BatchNorm2d, init_normal

LAYERS = {16: 1, 70: 3, 286: 5}  # receptive field: convolutions of stride 2


class PatchGAN(nn.Module):
    """Judges every patch of a picture, given what it was made from.

    Args:
        in_channels: C of condition and picture together.
        width: Filters of the first layer; they double up to eight times that.
        receptive_field: Side of a patch in pixels: 16, 70 or 286.
        bias: Which convolutions have one: those that no norm follows (`needed`), or all.

    Shape:
        [N, in_channels, H, W] -> logits [N, 1, H', W'], above 0 for real; for 256x256 and 70: 30x30
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        receptive_field: int = 70,
        bias: Literal["needed", "all"] = "needed",
    ) -> None:
        super().__init__()
        layers = LAYERS[receptive_field]
        widths = [min(width * 2**i, width * 8) for i in range(layers + 1)]
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for i, after in enumerate(widths):
            before = in_channels if i == 0 else widths[i - 1]
            self.convolutions.append(
                nn.Conv2d(before, after, 4, 2 if i < layers else 1, 1, bias=i == 0 or bias == "all")
            )
            self.norms.append(nn.Identity() if i == 0 else BatchNorm2d(after))
        self.output = Scoring(widths[-1])
        init_normal(self)

    @property
    def smallest(self) -> int:
        """The shortest side of a picture that it can judge: its last map still has a pixel, the one before four."""
        return 3 * 2 ** (len(self.norms) - 1)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu_(norm(convolution(x)), 0.2)
        logits: Tensor = self.output(x)
        return logits
