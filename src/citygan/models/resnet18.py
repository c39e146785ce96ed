"""The discriminator that the Cityscapes study makes of torchvision's ResNet-18 (section II.C.2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models.trunk import PUBLISHED_WIDTH, Trunk, fill, widened, without


class ResNet18(nn.Module):
    """Judges a picture as a whole, given what it was made from.

    The first convolution takes condition and picture together; with pretrained weights its filters for the picture
    are the published ones and those for the condition begin at 0. Average pool and one linear unit; the sigmoid is
    the loss's.

    Args:
        in_channels: C of condition and picture together, the picture last.
        width: Filters of the stem; published weights are for 64.
        photo_channels: C of the picture.

    Attributes:
        pretrained: Whose published weights it takes (a row of `citygan.weightfiles.WEIGHTS`).

    Shape:
        [N, in_channels, H, W] of any size -> logits [N, 1, 1, 1], above 0 for real
    """

    pretrained = "resnet18"

    def __init__(self, in_channels: int, width: int = PUBLISHED_WIDTH, photo_channels: int = 3) -> None:
        super().__init__()
        if not 1 <= photo_channels <= in_channels:
            raise ValueError(f"expected from 1 to {in_channels} channels of the picture, got {photo_channels}")
        self.published_shape = width == PUBLISHED_WIDTH
        self.photo_channels = photo_channels
        self.trunk = Trunk("resnet18", in_channels, width)
        self.output = nn.Linear(self.trunk.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(self.trunk(x), 1).flatten(1)  # [N, channels]
        logits: Tensor = self.output(features)
        return logits[:, :, None, None]

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills the trunk from torchvision's ResNet-18.

        Raises:
            ValueError: They do not fit.
        """
        found = without(tensors, "fc.")
        if "conv1.weight" in found:
            channels, count = self.trunk.conv1.in_channels, self.photo_channels
            found["conv1.weight"] = widened(found["conv1.weight"], channels, channels - count, count)
        fill(self.trunk, found)
