"""Carrying pictures along a flow, as tensors with gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Backward warping: ``out(p) = x(p + flow(p))``, bilinear.

    With the flow from frame t to t + 1, it carries frame t + 1 back onto frame t. Positions beyond the picture take
    the nearest pixel of its border; `inside` tells which these are.

    Args:
        x: [N, C, H, W] of any range, floating point; computed in float32 at least, under autocast too.
        flow: [N, 2, H, W] in pixels, x first.

    Returns:
        [N, C, H, W], the type of `x`; differentiable in `x`, and in `flow` within the picture.

    Raises:
        ValueError: Shapes that do not belong together.
    """
    if x.ndim != 4 or flow.shape != (x.shape[0], 2, *x.shape[2:]):
        raise ValueError(f"expected x [N, C, H, W] and flow [N, 2, H, W], got {tuple(x.shape)} and {tuple(flow.shape)}")
    height, width = x.shape[2:]
    # in half precision positions beyond 2048 are no whole pixels any more, and fractions are coarse long before
    with torch.autocast(x.device.type, enabled=False):
        px, py = positions(flow)
        picture = x if x.dtype == torch.float64 else x.float()
        # -1 and 1 are the middles of the first and the last pixel
        grid = torch.stack([px * (2 / max(1, width - 1)) - 1, py * (2 / max(1, height - 1)) - 1], -1)  # [N, H, W, 2]
        warped = functional.grid_sample(
            picture, grid.to(picture.dtype), mode="bilinear", padding_mode="border", align_corners=True
        )
        return warped.to(x.dtype)


def inside(flow: Tensor) -> Tensor:
    """Where a flow leads to a position within the picture.

    Args:
        flow: [N, 2, H, W] in pixels, x first.

    Returns:
        bool [N, H, W].
    """
    height, width = flow.shape[2:]
    x, y = positions(flow)
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def positions(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel goes: x and y, [N, H, W] in pixels, float32 at least."""
    flow = flow if flow.dtype == torch.float64 else flow.float()
    height, width = flow.shape[2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    return x + flow[:, 0], y + flow[:, 1]
