"""Jitter, scale, crop and mirroring on the device, for a whole batch (pix2pix, section 6.2).

Each picture's crop and mirroring is a function of the seed and of its place in the whole training alone, so a resume
or another number of devices changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from citygan.data.crops import Box, ClassCrops
from citygan.data.draws import CROPS, MORE_CROPS, generator

Crop = TypeVar("Crop")


@dataclass(frozen=True)
class Picker:
    """Takes one of several crops of each picture of a batch.

    Attributes:
        crops: Chooses.
        pictures: Numbers of the batch's pictures in the split, [N].
    """

    crops: ClassCrops
    pictures: Sequence[int]

    def take(
        self,
        i: int,
        first: Crop,
        another: Callable[[np.random.Generator], Crop],
        box: Callable[[Crop], Box],
        random: np.random.Generator,
    ) -> Crop:
        """The crop that is taken of the batch's picture `i`.

        Args:
            first: The crop that was drawn already.
            another: Draws one more.
            box: Where a crop lies in the picture.
        """
        crops = [first, *(another(random) for _ in range(self.crops.many - 1))]
        return crops[self.crops.choose(self.pictures[i], [box(crop) for crop in crops], float(random.random()))]


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
    def draw(
        size: tuple[int, int],
        factor: float,
        mirror: bool,
        seed: int,
        positions: list[int],
        picker: Picker | None = None,
    ) -> Jitter:
        """Draws for pictures at `positions` in the whole training; `size` is (H, W)."""
        enlarged = (round(size[0] * factor), round(size[1] * factor))

        def corner(random: np.random.Generator) -> tuple[int, int]:
            top = int(random.integers(0, enlarged[0] - size[0] + 1))
            return top, int(random.integers(0, enlarged[1] - size[1] + 1))

        def box(corner: tuple[int, int]) -> Box:
            high, wide = enlarged[0] / size[0], enlarged[1] / size[1]
            return corner[0] / high, corner[1] / wide, size[0] / high, size[1] / wide

        corners, mirrored = [], []
        for i, position in enumerate(positions):
            random = generator(seed, CROPS, position)
            found = corner(random)
            mirrored.append(bool(random.integers(0, 2)) and mirror)
            if picker is not None:
                found = picker.take(i, found, corner, box, generator(seed, MORE_CROPS, position))
            corners.append(found)
        return Jitter(enlarged, size, [top for top, _ in corners], [left for _, left in corners], mirrored)

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

    def flow(self, x: Tensor) -> Tensor:
        """[N, 2, H, W] pixels to the right and down -> the same shape: motion is enlarged and mirrored too."""
        x = x.float()
        if self.enlarged != self.size:
            factors = torch.tensor([self.enlarged[1] / self.size[1], self.enlarged[0] / self.size[0]], device=x.device)
            x = F.interpolate(x, self.enlarged, mode="bilinear", align_corners=False) * factors[:, None, None]
        return _turned(self._crop(x), self.mirrored)

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
    """One batch's draws of scale, crop and mirroring, all in one resampling.

    Attributes:
        size: (H, W) of the pictures.
        crop: (H, W) of what is cut out.
        scale: Factor of each picture, [N].
        top: First row of each crop in the scaled picture, [N]; below 0 where that is smaller than the crop.
        left: First column, [N].
        mirrored: Whether each is mirrored, [N].
        filled: Whether no picture is ever smaller than its crop; then none has a rim of grey either.
    """

    size: tuple[int, int]
    crop: tuple[int, int]
    scale: list[float]
    top: list[float]
    left: list[float]
    mirrored: list[bool]
    filled: bool = False

    @staticmethod
    def draw(
        size: tuple[int, int],
        crop: tuple[int, int],
        scales: tuple[float, float],
        mirror: bool,
        seed: int,
        positions: list[int],
        picker: Picker | None = None,
    ) -> Scaling:
        """Draws for pictures at `positions` in the whole training; scales are even in their logarithm."""

        def one(random: np.random.Generator) -> tuple[float, float, float]:
            scale = float(np.exp(random.uniform(np.log(scales[0]), np.log(scales[1]))))
            # a picture smaller than the crop lies within it
            top = float(random.uniform(0, 1) * (size[0] * scale - crop[0]))
            return scale, top, float(random.uniform(0, 1) * (size[1] * scale - crop[1]))

        def box(drawn: tuple[float, float, float]) -> Box:
            scale, top, left = drawn
            return top / scale, left / scale, crop[0] / scale, crop[1] / scale

        drawn, mirrored = [], []
        for i, position in enumerate(positions):
            random = generator(seed, CROPS, position)
            found = one(random)
            mirrored.append(bool(random.integers(0, 2)) and mirror)
            if picker is not None:
                found = picker.take(i, found, one, box, generator(seed, MORE_CROPS, position))
            drawn.append(found)
        scale, top, left = (list(numbers) for numbers in zip(*drawn, strict=True))
        filled = scales[0] >= 1 and crop[0] <= size[0] and crop[1] <= size[1]
        return Scaling(size, crop, scale, top, left, mirrored, filled)

    def picture(self, x: Tensor) -> Tensor:
        """[N, C, H, W] uint8 -> [N, C, h, w] uint8, bilinear, middle grey where there is no picture."""
        y = F.grid_sample(
            x.float() - 127.5,
            self._grid(x.device),
            mode="bilinear",
            # an enlarged picture's first and last pixels lie beyond the centres of those they are made from
            padding_mode="border" if self.filled else "zeros",
            align_corners=False,
        )
        return y.add_(127.5).round_().clamp_(0, 255).to(torch.uint8, memory_format=torch.channels_last)

    def flow(self, x: Tensor) -> Tensor:
        """[N, 2, H, W] pixels to the right and down -> [N, 2, h, w]: motion is scaled and mirrored too."""
        y = F.grid_sample(x.float(), self._grid(x.device), mode="bilinear", padding_mode="border", align_corners=False)
        return _turned(y * torch.tensor(self.scale, device=x.device)[:, None, None, None], self.mirrored)

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


def _turned(flow: Tensor, mirrored: list[bool]) -> Tensor:
    """Flow of pictures of which some were mirrored: what went right goes left, [N, 2, H, W]."""
    signs = torch.tensor([[-1.0 if turned else 1.0, 1.0] for turned in mirrored], device=flow.device)
    return flow * signs[:, :, None, None]
