"""Terms that compare scores of classes with label maps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

VOID = 255


def cross_entropy(logits: Tensor, target: Tensor, ignore: int = VOID) -> Tensor:
    """Cross-entropy of softmax(logits) with the classes, averaged over the pixels that are kept.

    Args:
        logits: [N, K, H, W].
        target: [N, H, W] whole numbers: 0 to K - 1, or `ignore`, which is left out.

    Returns:
        A scalar >= 0, float32: mean of -log softmax(logits)[target]; 0 where nothing is kept.
    """
    wanted = target.long()
    total = F.cross_entropy(logits.float(), wanted, ignore_index=ignore, reduction="sum")
    return total / (wanted != ignore).sum().clamp(min=1)
