"""Terms that compare a generated picture with the real one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def l1(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference (pix2pix, equation 3).

    Args:
        fake: [N, C, H, W] in [-1, 1].
        real: The same shape.

    Returns:
        A scalar in [0, 2], float32.
    """
    return F.l1_loss(fake.float(), real.float())


def mse(fake: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference (the L2 that pix2pix, section 3.1, compares L1 with).

    Args:
        fake: [N, C, H, W] in [-1, 1].
        real: The same shape.

    Returns:
        A scalar in [0, 4], float32.
    """
    return F.mse_loss(fake.float(), real.float())
