"""FCN-8s on VGG-16 (Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation").

VGG-16 with its two large linear layers as convolutions scores every 32nd pixel; the scores are enlarged by two and
added to those of pool4 (16s), once more to those of pool3 (8s), and enlarged by eight. As in the published networks
the picture is padded by 100 pixels, so that any size has scores, maps are cut where their pixels lie over one another,
scores begin at zero, enlargements at bilinear, and the last stays so.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import init_normal
from citygan.models.trunk import PUBLISHED_WIDTH, ImageNetInput, fill, without
from citygan.models.vgg import VGG16, stages

PADDING = 100
OFFSETS = (5, 9, 31)  # pixels of pool4, pool3 and the picture before the first enlarged score


class FCN8s(nn.Module):
    """Photos to scores of each class at each pixel.

    Args:
        classes: Their number, K.
        width: Filters of VGG's first stage; published weights are for 64.

    Attributes:
        pretrained: Whose published weights it takes (a row of `citygan.weightfiles.WEIGHTS`).

    Shape:
        [N, 3, H, W] in [-1, 1] of any size -> logits [N, K, H, W]
    """

    pretrained = "vgg16"
    enlarge8: Tensor

    def __init__(self, classes: int, width: int = PUBLISHED_WIDTH) -> None:
        super().__init__()
        self.published_shape = width == PUBLISHED_WIDTH
        self.input = ImageNetInput()
        self.features = stages(VGG16, width, margin=PADDING, ceil=True)
        self.fc6 = nn.Conv2d(width * 8, width * 64, 7)
        self.fc7 = nn.Conv2d(width * 64, width * 64, 1)
        for layer in (self.fc6, self.fc7):
            init_normal(layer, 0.01)
        self.score = nn.Conv2d(width * 64, classes, 1)
        self.score4 = nn.Conv2d(width * 8, classes, 1)
        self.score3 = nn.Conv2d(width * 4, classes, 1)
        for score in (self.score, self.score4, self.score3):
            init_normal(score, 0.0)
        self.enlarge32 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        self.enlarge16 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        for enlarge in (self.enlarge32, self.enlarge16):
            with torch.no_grad():
                enlarge.weight.copy_(torch.eye(classes)[:, :, None, None] * bilinear(4))
        self.register_buffer("enlarge8", bilinear(16).view(1, 1, 16, 16))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        maps: list[Tensor] = []  # after each pool
        x = self.input(x)
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        x = F.dropout(F.relu_(self.fc6(x)), training=self.training)
        x = F.dropout(F.relu_(self.fc7(x)), training=self.training)
        x = self.enlarge32(self.score(x))  # 1/16
        x = x + _cut(self.score4(maps[3]), OFFSETS[0], *x.shape[-2:])
        x = self.enlarge16(x)  # 1/8
        x = x + _cut(self.score3(maps[2]), OFFSETS[1], *x.shape[-2:])
        classes = x.shape[1]
        x = F.conv_transpose2d(x, self.enlarge8.to(x.dtype).expand(classes, -1, -1, -1), stride=8, groups=classes)
        return _cut(x, OFFSETS[2], height, width)

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills all but the scores from torchvision's VGG-16.

        Raises:
            ValueError: They do not fit.
        """
        found = without(tensors, "classifier.")
        for theirs, ours in (("classifier.0", self.fc6), ("classifier.3", self.fc7)):
            name = "fc6" if ours is self.fc6 else "fc7"
            for part, own in ours.named_parameters():
                tensor = tensors.get(f"{theirs}.{part}")
                if tensor is not None:
                    # [out, in * h * w] -> [out, in, h, w]
                    found[f"{name}.{part}"] = tensor.view(own.shape) if tensor.numel() == own.numel() else tensor
        fill(self, found, keep=("input.", "score", "enlarge"))


def bilinear(side: int) -> Tensor:
    """[side, side]: what enlarges by side / 2 linearly as the kernel of a transposed convolution of that stride."""
    factor = side // 2
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / factor
    return ramp[:, None] * ramp[None, :]


def _cut(x: Tensor, offset: int, height: int, width: int) -> Tensor:
    return x[:, :, offset : offset + height, offset : offset + width]
