"""The term of edge networks (S-Flow GAN, equation 4; Xie and Tu, "Holistically-Nested Edge Detection", equation 2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def dned_loss(logits: Tensor, target: Tensor, balanced: bool = True) -> Tensor:
    """Binary cross-entropy of each output of a DNED with the edge map: means over the pixels, added over the outputs.

    Each output has the weight 1 (the a_i of equation 4, which the paper does not tell).

    Args:
        logits: [N, 6, H, W], above 0 for edges: five sides and their fusion.
        target: [N, 1, H, W] in [0, 1], 1 at edges.
        balanced: Whether in each picture edges are weighted by the share of what is no edge, and the reverse, so that
            both have the same sum, as in HED. A picture that is all edge, or has none, then teaches nothing.

    Returns:
        A scalar >= 0, float32.
    """
    target = target.float()
    weight = None
    if balanced:
        edges = target.mean((1, 2, 3), keepdim=True)
        weight = target * (1 - edges) + (1 - target) * edges
    logits = logits.float()
    mean = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), weight)
    return mean * logits.shape[1]  # all outputs have as many pixels: the sum of their means
