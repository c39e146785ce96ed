"""ResNets (He et al., "Deep Residual Learning for Image Recognition") as features: torchvision's blocks at any width.

At width 64 and with three channels a trunk has the keys, the shapes and the arithmetic of torchvision's ResNet of the
same name, so its published weights fit; narrower ones are for machines without a GPU.

    stem    7x7 convolution, stride 2; max-pool, stride 2
    layer1  1/4 of the picture's sides     layer2  1/8
    layer3  1/16, dilated: 1/8             layer4  1/32, dilated: 1/8

torchvision is imported where it is needed: it takes as long as torch itself, and most networks do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import BatchNorm2d

if TYPE_CHECKING:
    from torchvision.models.resnet import BasicBlock, Bottleneck

PUBLISHED_WIDTH = 64
BLOCKS: dict[str, tuple[str, tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Trunk(nn.Module):
    """Pictures to the map of the last stage.

    Args:
        name: A row of `BLOCKS`.
        in_channels: C of the input.
        width: Filters of the stem and of the first stage's blocks; they double from stage to stage.
        dilated: Whether the last two stages keep the resolution and are dilated instead, by 2 and 4, as DeepLabV3
            has them (the blocks of ResNet-18 cannot be).

    Attributes:
        channels: C of what it returns: for width 64 2,048, of `resnet18` 512.

    Shape:
        [N, in_channels, H, W] -> [N, channels, H / 32, W / 32], dilated H / 8, W / 8, rounded up
    """

    def __init__(self, name: str, in_channels: int = 3, width: int = PUBLISHED_WIDTH, *, dilated: bool = False) -> None:
        super().__init__()
        if name not in BLOCKS:
            raise ValueError(f"expected a trunk of {', '.join(BLOCKS)}, got '{name}'")
        from torchvision.models.resnet import BasicBlock, Bottleneck

        kind, counts = BLOCKS[name]
        block = BasicBlock if kind == "basic" else Bottleneck
        self.conv1 = nn.Conv2d(in_channels, width, 7, 2, 3, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.channels = width
        dilation = 1
        stages: list[nn.Module] = []
        for stage, count in enumerate(counts):
            stride = 1 if stage == 0 else 2
            before = dilation  # the first block of a stage is dilated as far as the stage before
            if dilated and stage >= 2:
                dilation, stride = dilation * stride, 1
            blocks = [self._block(block, width * 2**stage, stride, before)]
            blocks += [self._block(block, width * 2**stage, 1, dilation) for _ in range(1, count)]
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _block(self, block: type[BasicBlock] | type[Bottleneck], filters: int, stride: int, dilation: int) -> nn.Module:
        before, self.channels = self.channels, filters * block.expansion
        aside = None
        if stride != 1 or before != self.channels:
            aside = nn.Sequential(nn.Conv2d(before, self.channels, 1, stride, bias=False), BatchNorm2d(self.channels))
        return block(before, filters, stride, aside, dilation=dilation, norm_layer=BatchNorm2d)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu_(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x


class ImageNetInput(nn.Module):
    """[N, 3, H, W] in [-1, 1] -> what trunks trained on ImageNet were shown; the constants go with the weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return ((x + 1) / 2 - self.mean) / self.deviation


def fill(network: nn.Module, tensors: Mapping[str, Tensor], *, keep: tuple[str, ...] = ()) -> None:
    """Fills a network strictly, but for how often a norm was trained, which older files do not say.

    Args:
        keep: Beginnings of the network's own keys that stay as they are.

    Raises:
        ValueError: Keys that are missing or left over, or other shapes; the first are named.
    """
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith(keep)}
    problems = [f"no {key}" for key in own if key not in tensors and not key.endswith("num_batches_tracked")]
    problems += [f"unknown {key}" for key in tensors if key not in own]
    problems += [
        f"{key} is {tuple(tensors[key].shape)} there and {tuple(own[key].shape)} here"
        for key in own
        if key in tensors and own[key].shape != tensors[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{'; '.join(problems[:3])}{more}")
    with torch.no_grad():
        for key, tensor in tensors.items():
            own[key].copy_(tensor)


def without(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """What does not begin with these."""
    return {key: tensor for key, tensor in tensors.items() if not key.startswith(prefixes)}


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What begins with the prefix, without it."""
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def widened(filters: Tensor, channels: int, first: int, count: int) -> Tensor:
    """Filters for colours, for an input with more channels than these.

    Args:
        filters: [out, 3, h, w], for red, green and blue.
        channels: C of the new input.
        first: The first channel of the picture in it.
        count: Channels of the picture: with fewer than three each gets the filters' mean, so that grey is answered
            as before.

    Returns:
        [out, channels, h, w]; 0 for all other channels, so that at first they change nothing and learn what to add.
    """
    if count != 3:
        filters = filters.mean(dim=1, keepdim=True).expand(-1, count, -1, -1) * (3 / count)
    wide = filters.new_zeros(filters.shape[0], channels, *filters.shape[2:])
    wide[:, first : first + count] = filters
    return wide
