"""Edges of pictures and of instances."""

from __future__ import annotations

import torch
from torch import Tensor


def instance_edges(instance: Tensor) -> Tensor:
    """Pixels that border on another instance, above, below, left or right (pix2pixHD, section 3.3).

    Args:
        instance: [N, H, W] instance ids.

    Returns:
        [N, 1, H, W] float32: 1 on both sides of a boundary, else 0.
    """
    edge = torch.zeros(instance.shape, dtype=torch.bool, device=instance.device)
    across = instance[:, :, 1:] != instance[:, :, :-1]
    down = instance[:, 1:] != instance[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge[:, None].float()
