"""The perceptual term: how far apart a network trained on ImageNet sees two pictures (S-Flow GAN, equation 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from citygan.losses.features import Maps, Weighting
from citygan.losses.reconstruction import l1

PUBLISHED = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # pix2pixHD's code, behind relu1_1 to relu5_1 of VGG-19


def perceptual(fake: Maps, real: Maps, weighting: Weighting = "published") -> Tensor:
    """Weighted sum of the mean absolute differences between the maps of a generated and of the real picture.

    Both are what `citygan.models.vgg.VGG19` gives. No gradient goes through the real ones.

    Args:
        fake: P maps [N, C, H, W] of any shapes, the finest first.
        real: The same shapes.
        weighting: `equation`: each has the weight 1/P. `published`, as in pix2pixHD's code: the coarsest weighs most,
            1/32, 1/16, 1/8, 1/4 and 1.

    Returns:
        A scalar >= 0, float32.

    Raises:
        ValueError: Other numbers of maps: for the published weights five.
    """
    weights = PUBLISHED if weighting == "published" else (1 / len(fake),) * len(fake)
    terms = [weight * l1(f, r.detach()) for weight, f, r in zip(weights, fake, real, strict=True)]
    return torch.stack(terms).sum()
