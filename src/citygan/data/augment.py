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


@dataclass(frozen=True)
class Scaling:
    """One batch's draws of a segmenter's augmentation: scale, crop, mirroring, all in one resampling.

    Attributes:
        size: (H, W) of the pictures.
        crop: (H, W) of what is cut out.
        scale: Factor of each picture, [N].
        top: First row of each crop in the scaled picture, [N]; below 0 where that is smaller than the crop.
        left: First column, [N].
        mirrored: Whether each is mirrored, [N].
    """

    size: tuple[int, int]
    crop: tuple[int, int]
    scale: list[float]
    top: list[float]
    left: list[float]
    mirrored: list[bool]

    @staticmethod
    def draw(
        size: tuple[int, int],
        crop: tuple[int, int],
        scales: tuple[float, float],
        mirror: bool,
        seed: int,
        positions: list[int],
    ) -> Scaling:
        """Draws for pictures at `positions` in the whole training; scales are even in their logarithm."""
        scale: list[float] = []
        top: list[float] = []
        left: list[float] = []
        mirrored: list[bool] = []
        for position in positions:
            random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 1, position))))
            factor = float(np.exp(random.uniform(np.log(scales[0]), np.log(scales[1]))))
            scale.append(factor)
            for first, side, cut in zip((top, left), size, crop, strict=True):
                # a picture smaller than the crop lies within it
                first.append(float(random.uniform(0, 1) * (side * factor - cut)))
            mirrored.append(bool(random.integers(0, 2)) and mirror)
        return Scaling(size, crop, scale, top, left, mirrored)

    def picture(self, x: Tensor) -> Tensor:
        """[N, C, H, W] uint8 -> [N, C, h, w] uint8, bilinear, middle grey where there is no picture."""
        y = F.grid_sample(x.float() - 127.5, self._grid(x.device), mode="bilinear", align_corners=False)
        return y.add_(127.5).round_().clamp_(0, 255).byte()

    def index(self, x: Tensor) -> Tensor:
        """[N, H, W] ids -> [N, h, w]: the nearest, 255 where there is no picture."""
        y = F.grid_sample(x[:, None].float() - 255, self._grid(x.device), mode="nearest", align_corners=False)
        return y[:, 0].add_(255).round_().to(x.dtype)

    def _grid(self, device: torch.device) -> Tensor:
        """[N, h, w, 2]: where each pixel comes from, x and y from -1 to 1 over the picture."""
        lines = []
        for first, side, cut in ((self.left, self.size[1], self.crop[1]), (self.top, self.size[0], self.crop[0])):
            place = torch.arange(cut, dtype=torch.float32) + 0.5
            line = (place[None] + torch.tensor(first)[:, None]) / (torch.tensor(self.scale)[:, None] * side)
            lines.append(line * 2 - 1)
        x, y = lines
        x = torch.where(torch.tensor(self.mirrored)[:, None], x.flip(-1), x)
        shape = (len(self.scale), self.crop[0], self.crop[1])
        return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1).to(device)
