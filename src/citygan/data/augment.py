"""Jitter and mirroring on the device, for a whole batch (pix2pix, section 6.2).

Each picture's crop and mirroring is a function of the seed and of its place in the whole training alone, so a resume
or another number of devices changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Jitter:
    """One batch's draws.

    Attributes:
        enlarged: (H, W) that pictures are enlarged to before the crop.
        size: (H, W) of the crop.
        top: First row of each crop, [N].
        left: First column of each crop, [N].
        mirrored: Whether each is mirrored, [N].
    """

    enlarged: tuple[int, int]
    size: tuple[int, int]
    top: list[int]
    left: list[int]
    mirrored: list[bool]

    @staticmethod
    def draw(size: tuple[int, int], factor: float, mirror: bool, seed: int, positions: list[int]) -> Jitter:
        """Draws for pictures at `positions` in the whole training; `size` is (H, W)."""
        enlarged = (round(size[0] * factor), round(size[1] * factor))
        top, left, mirrored = [], [], []
        for position in positions:
            random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 1, position))))
            top.append(int(random.integers(0, enlarged[0] - size[0] + 1)))
            left.append(int(random.integers(0, enlarged[1] - size[1] + 1)))
            mirrored.append(bool(random.integers(0, 2)) and mirror)
        return Jitter(enlarged, size, top, left, mirrored)

    def picture(self, x: Tensor) -> Tensor:
        """[N, C, H, W] uint8 -> the same shape, enlarged bilinearly (half-pixel centres), cropped, mirrored.

        As a picture on the disk would be, the enlarged one is rounded to whole levels; CPUs do that several times as
        fast as in floating point.
        """
        if self.enlarged != self.size:
            if x.device.type == "cpu":
                x = F.interpolate(x, self.enlarged, mode="bilinear", align_corners=False)
            else:
                x = F.interpolate(x.float(), self.enlarged, mode="bilinear", align_corners=False).round_().byte()
        return self._crop(x)

    def index(self, x: Tensor) -> Tensor:
        """[N, H, W] ids -> the same shape: nearest, so that no id is invented."""
        if self.enlarged != self.size:
            rows, columns = (
                ((torch.arange(many, device=x.device) + 0.5) * (few / many)).long()
                for many, few in zip(self.enlarged, self.size, strict=True)
            )
            x = x.index_select(1, rows).index_select(2, columns)
        return self._crop(x)

    def _crop(self, x: Tensor) -> Tensor:
        height, width = self.size
        pieces = []
        for i, (top, left, mirrored) in enumerate(zip(self.top, self.left, self.mirrored, strict=True)):
            piece = x[i : i + 1, ..., top : top + height, left : left + width]
            pieces.append(piece.flip(-1) if mirrored else piece)
        return torch.cat(pieces)
