"""The deep neural edge detector of S-Flow GAN (sections 2.2.2 and 3.2): HED (Xie and Tu, "Holistically-Nested Edge
Detection") on VGG-16, modified.

VGG-16's convolutions in their five stages, without the last pool. Behind each stage (conv1_2, 2_2, 3_3, 4_3, 5_3) a 1x1
convolution gives logits of edges, coarser from stage to stage, which are enlarged bilinearly to the picture. Their
fusion is the mean of their probabilities with five learnt weights, the softmax of five numbers: other weights give
another superposition of the same scene's edges, and `draw_fusion` draws them near the learnt ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import init_normal
from citygan.models.trunk import PUBLISHED_WIDTH, ImageNetInput, fill, without
from citygan.models.vgg import VGG16, WIDENING, stages

SIDES = len(VGG16)


class DNED(nn.Module):
    """Edge maps, or photos, to logits of edges at five scales and of their fusion.

    Args:
        width: Filters of VGG's first stage; published weights are for 64.

    Attributes:
        pretrained: Whose published weights it takes (a row of `citygan.weightfiles.WEIGHTS`).

    Shape:
        x: an edge map [N, 1, H, W] in [0, 1], or a photo [N, 3, H, W] in [-1, 1], of any size.
        weights: [5] or [N, 5], in the place of the learnt `fusion`.
        -> logits [N, 6, H, W]: the five sides, finest first, then their fusion.
    """

    pretrained = "vgg16"

    def __init__(self, width: int = PUBLISHED_WIDTH) -> None:
        super().__init__()
        self.published_shape = width == PUBLISHED_WIDTH
        self.input = ImageNetInput()
        # rounded up at every pool, so that any size has all five sides
        self.features = stages(VGG16, width, ceil=True)[:-1]
        self.sides = nn.ModuleList(nn.Conv2d(width * widening, 1, 1) for widening in WIDENING)
        for side in self.sides:
            init_normal(side, 0.0)  # as HED: all is as likely an edge as not
        self.mixing = nn.Parameter(torch.zeros(SIDES))

    @property
    def fusion(self) -> Tensor:
        """[5]: the weights of the sides in their fusion, finest first; they are positive and sum to 1."""
        return self.mixing.softmax(0)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        if x.shape[1] not in (1, 3):
            raise ValueError(f"expected edge maps of 1 channel or photos of 3, got {x.shape[1]}")
        if weights is None:
            weights = self.fusion
        elif weights.shape[-1:] != (SIDES,) or weights.numel() not in (SIDES, SIDES * len(x)):
            raise ValueError(f"expected {SIDES} weights, got {list(weights.shape)}")
        height, width = x.shape[-2:]
        x = self.input(x if x.shape[1] == 3 else (x * 2 - 1).expand(-1, 3, -1, -1))
        maps: list[Tensor] = []  # behind each stage
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        maps.append(x)
        logits = [side(found) for side, found in zip(self.sides, maps, strict=True)]
        for i in range(1, SIDES):
            wide = F.interpolate(logits[i], scale_factor=2**i, mode="bilinear", align_corners=False)
            logits[i] = wide[:, :, :height, :width]
        sides = torch.cat(logits, dim=1)  # [N, 5, H, W]
        return torch.cat([sides, fused(sides, weights)], dim=1)

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills the five stages from torchvision's VGG-16.

        Raises:
            ValueError: They do not fit.
        """
        fill(self, without(tensors, "classifier."), keep=("input.", "sides.", "mixing"))


def fused(sides: Tensor, weights: Tensor) -> Tensor:
    """Logits of the weighted mean of the sides' probabilities, of which their superposition is made.

    Not the mean of their logits, as HED's: one side that is very sure of itself would decide it whatever its weight,
    and no draw of the weights would change a thing.

    Args:
        sides: Logits [N, 5, H, W].
        weights: [5] or [N, 5], of sum 1.

    Returns:
        [N, 1, H, W].
    """
    of_sides = weights.to(sides).view(-1, SIDES, 1, 1).clamp(min=1e-12).log()
    edge, none = (torch.logsumexp(of_sides + F.logsigmoid(sign * sides), 1, keepdim=True) for sign in (1, -1))
    return edge - none


def draw_fusion(weights: Tensor, concentration: float, seed: int) -> Tensor:
    """Other weights of the sides, from a Dirichlet distribution around these: their mean is `weights`.

    Args:
        weights: [5], positive, of sum 1: `DNED.fusion`.
        concentration: Above 0; the variance of weight i is w_i (1 - w_i) / (concentration + 1).
        seed: The same seed, weights and concentration give the same draw, on any device.

    Returns:
        float32 [5] of sum 1, on the weights' device.

    Raises:
        ValueError: A concentration that is not above 0.
    """
    if not 0 < concentration < float("inf"):
        raise ValueError(f"expected a concentration above 0, got {concentration}")
    # a softmax can round to 0, which no Dirichlet has
    means = weights.detach().cpu().double().clamp(min=1e-9).numpy()
    drawn = np.random.default_rng(seed).dirichlet(concentration * means / means.sum())
    return torch.from_numpy(drawn).float().to(weights.device)
