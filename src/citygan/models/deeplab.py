"""The generator that the Cityscapes study makes of torchvision's DeepLabV3 (section II.C.2).

The study takes the backbone of a pretrained DeepLabV3 and adds one convolution and a resize. So there is neither the
pyramid of dilated convolutions nor the classifier. The study does not say which backbone, nor the size of the
convolution: ResNet-50 and 1x1 here; `resnet101` is the other that torchvision has weights for.

The input goes in as it is, in [-1, 1]: the norm behind the first convolution takes away scale and shift.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.layers import init_normal
from citygan.models.trunk import PUBLISHED_WIDTH, Trunk, below, fill, widened, without


class DeepLabGenerator(nn.Module):
    """Dilated ResNet (1/8 of the sides), 1x1 convolution, tanh, bilinear resize to the size of the input.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Filters of the stem; published weights are for 64, with which the trunk's last map has 2,048 channels.
        backbone: `resnet50` or `resnet101`.

    Attributes:
        pretrained: Whose published weights the trunk takes (a row of `citygan.weightfiles.WEIGHTS`).

    Shape:
        [N, in_channels, H, W] in [-1, 1] -> [N, out_channels, H, W] in (-1, 1)
    """

    multiple = 8

    def __init__(
        self, in_channels: int, out_channels: int = 3, width: int = PUBLISHED_WIDTH, backbone: str = "resnet50"
    ) -> None:
        super().__init__()
        self.trunk = Trunk(backbone, in_channels, width, dilated=True)
        self.output = nn.Conv2d(self.trunk.channels, out_channels, 1)
        init_normal(self.output)
        self.pretrained = f"deeplabv3_{backbone}"
        self.published_shape = width == PUBLISHED_WIDTH

    def forward(self, x: Tensor) -> Tensor:
        y = self.output(self.trunk(x)).tanh()
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills the trunk from torchvision's DeepLabV3, or from a ResNet.

        Beyond colours and one channel more the input's channels are classes, of which the weights know nothing: their
        filters stay as they are.

        Raises:
            ValueError: They do not fit.
        """
        found = below(tensors, "backbone.") or without(tensors, "fc.")
        channels = self.trunk.conv1.in_channels
        if channels > 4:
            found["conv1.weight"] = self.trunk.conv1.weight.detach().clone()
        elif "conv1.weight" in found:
            found["conv1.weight"] = widened(found["conv1.weight"], channels, 0, min(channels, 3))
        fill(self.trunk, found)
