"""Feature matching: what real and generated pictures leave behind the layers of D (pix2pixHD, equation 4; S-Flow GAN,
equation 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor

from citygan.losses.reconstruction import l1

Weighting = Literal["published", "equation"]
Maps = Sequence[Tensor]  # behind the layers of one scale, the logits last


def feature_matching(
    fake: Maps | Sequence[Maps], real: Maps | Sequence[Maps], weighting: Weighting = "published"
) -> Tensor:
    """Mean absolute differences between the maps of a generated and of the real picture, but for the logits.

    Both are what `Multiscale(x, features=True)` gives, or `PatchGAN.maps(x)`: one scale. No gradient goes through the
    real ones.

    Args:
        fake: A sequence of scales, or one scale: maps [N, C, H, W] of any shapes, the logits last.
        real: The same shapes.
        weighting: `equation`: the layers' means are added, over all scales, as the equations have it. `published`, as
            pix2pixHD's code: each has the weight 4 / (L + 1) / S, where L is the number of D's layers of stride 2,
            which is one less than its maps without the logits, and S that of scales. For one scale of the published
            depth, L = 3, the two are the same.

    Returns:
        A scalar >= 0, float32.

    Raises:
        ValueError: Other numbers of scales or layers, or a scale with nothing but logits.
    """
    fakes, reals = _scales(fake), _scales(real)
    terms = [_of_scale(f, r, weighting) for f, r in zip(fakes, reals, strict=True)]
    total = torch.stack(terms).sum()
    return total / len(terms) if weighting == "published" else total


def _of_scale(fake: Maps, real: Maps, weighting: Weighting) -> Tensor:
    if len(fake) < 2:
        raise ValueError("expected maps behind the layers of D and its logits, got the logits alone")
    added = torch.stack([l1(f, r.detach()) for f, r in zip(fake, real, strict=True)][:-1]).sum()
    return added * (4 / (len(fake) - 1)) if weighting == "published" else added


def _scales(maps: Maps | Sequence[Maps]) -> Sequence[Maps]:
    return cast(Sequence[Maps], (maps,) if isinstance(maps[0], Tensor) else maps)
