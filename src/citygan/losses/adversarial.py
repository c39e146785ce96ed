"""Adversarial terms (pix2pix, equation 1 and section 3.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of every logit with "real" or "fake", averaged.

    For the generator, cross_entropy(D(x, G(x)), real=True) is the -log D(x, G(x)) that section 3.3 minimises in the
    place of log(1 - D(x, G(x))).

    Args:
        logits: Any shape, above 0 for real.

    Returns:
        A scalar >= 0, float32: mean of log(1 + exp(-logits)) for real, log(1 + exp(logits)) for fake.
    """
    logits = logits.float()
    return F.softplus(-logits if real else logits).mean()
