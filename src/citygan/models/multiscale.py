"""The multi-scale discriminator of pix2pixHD (Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation
with Conditional GANs", section 3.2): the same PatchGAN, with weights of its own, on each level of a picture pyramid.

Feature matching (its equation 4) compares what real and generated pictures leave behind every layer: `features=True`
gives those maps together with the logits, of one pass.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from citygan.models.layers import Norm, pyramid
from citygan.models.patchgan import PatchGAN

WIDEST = 512  # filters, whatever the first layer has, as in the public code


class Multiscale(nn.Module):
    """Judges every patch of a picture at several scales, given what it was made from.

    Args:
        in_channels: C of condition and picture together.
        width: Filters of the first layers; they double up to 512.
        receptive_field: Side of a patch in pixels of each scale: a row of `LAYERS`.
        norm: `batch`, `instance` (the public code's default) or `none`; the first layers have none.
        bias: As `PatchGAN`; the public code saves all.
        scales: Levels of the pyramid: 3 in the paper.

    Shape:
        [N, in_channels, H, W] -> a tuple of logits [N, 1, H', W'], above 0 for real, one a scale, the finest first.
        With `features`: a tuple of such tuples, with the maps [N, C, H', W'] behind every layer, the logits last.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        receptive_field: int = 70,
        norm: Norm = "batch",
        bias: Literal["needed", "ends", "all"] = "needed",
        scales: int = 3,
    ) -> None:
        super().__init__()
        if not 1 <= scales <= 8:
            raise ValueError(f"expected from 1 to 8 scales, got {scales}")
        self.scales = nn.ModuleList(
            PatchGAN(in_channels, width, receptive_field, norm, bias, margin=2, widest=WIDEST) for _ in range(scales)
        )

    def forward(self, x: Tensor, features: bool = False) -> tuple[Tensor, ...] | tuple[tuple[Tensor, ...], ...]:
        levels = pyramid(x, len(self.scales))
        maps = tuple(scale.maps(level) for scale, level in zip(self.scales, levels, strict=True))  # type: ignore[operator]
        return maps if features else tuple(of_scale[-1] for of_scale in maps)
