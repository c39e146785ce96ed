"""Tiles of a picture: where they lie, and how they are blended where they overlap."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST_TILE = 128
TILE_OVERLAP = 64  # pixels that neighbouring tiles share and are blended over


def spans(side: int, tile: int) -> Sequence[tuple[int, int]]:
    """Overlapping stretches of `tile` that cover `side`."""
    if tile >= side:
        return [(0, side)]
    stride = max(1, tile - TILE_OVERLAP)
    starts = [*range(0, side - tile, stride), side - tile]
    return [(start, start + tile) for start in starts]


def fade_of(length: int) -> Tensor:
    """Weights that rise from and fall to the ends over the overlap."""
    ramp = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0)).clamp_(max=TILE_OVERLAP) / TILE_OVERLAP
