"""Holes in pictures."""

from __future__ import annotations

import torch
from torch import Tensor


def central_hole(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Where the central hole is: half as high and half as wide as the picture (Pathak et al., Context Encoders).

    Returns:
        bool [height, width].
    """
    hole = torch.zeros(height, width, dtype=torch.bool, device=device)
    high, wide = (max(1, side // 2) for side in (height, width))
    top, left = (height - high) // 2, (width - wide) // 2
    hole[top : top + high, left : left + wide] = True
    return hole
