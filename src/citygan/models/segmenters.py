"""Networks that tell the class of each pixel of a photo.

All take [N, 3, H, W] in [-1, 1] and give logits [N, K, H, W] for as many classes; those whose trunks were trained on
ImageNet bring the photo into its form themselves. `multiple` is what both sides must be a multiple of; another size is
a ValueError that names it. FCN-8s has a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from citygan.errors import MachineError
from citygan.models.convolution import join
from citygan.models.layers import BatchNorm2d, check_sides, own_norms
from citygan.models.trunk import ImageNetInput, fill, without


class DeepLabV3(nn.Module):
    """torchvision's DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation").

    Its norms are ours: the pooling branch, whose map is one pixel, would refuse to train at batch 1. There is no
    auxiliary head.

    Args:
        classes: Their number, K.
        backbone: `resnet50` or `resnet101`.

    Shape:
        [N, 3, H, W] in [-1, 1] of any size -> logits [N, K, H, W]
    """

    multiple = 1
    published_shape = True

    def __init__(self, classes: int, backbone: str = "resnet50") -> None:
        super().__init__()
        from torchvision.models import segmentation

        builders = {"resnet50": segmentation.deeplabv3_resnet50, "resnet101": segmentation.deeplabv3_resnet101}
        if backbone not in builders:
            raise ValueError(f"expected a backbone of {', '.join(builders)}, got '{backbone}'")
        self.input = ImageNetInput()
        self.network = builders[backbone](weights=None, weights_backbone=None, num_classes=classes, aux_loss=False)
        own_norms(self.network)
        self.pretrained = f"deeplabv3_{backbone}"

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(self.input(x))["out"]
        return logits

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills all but the last convolution, which is for other classes, from torchvision's DeepLabV3.

        Raises:
            ValueError: They do not fit.
        """
        last = "classifier.4."
        fill(self.network, without(tensors, last, "aux_classifier."), keep=(last,))


class PSPNet(nn.Module):
    """The PSPNet of segmentation-models-pytorch (Zhao et al., "Pyramid Scene Parsing Network").

    As in the paper the trunk has all its stages, the last two dilated, so that the pyramid (1, 2, 3, 6) stands on 1/8
    of the sides; that package alone would end at the second stage.

    Args:
        classes: Their number, K.
        backbone: `resnet18`, `resnet50` or `resnet101`.

    Shape:
        [N, 3, H, W] in [-1, 1], H and W multiples of 8 -> logits [N, K, H, W]

    Raises:
        MachineError: The package is not installed.
    """

    multiple = 8
    published_shape = True

    def __init__(self, classes: int, backbone: str = "resnet50") -> None:
        super().__init__()
        try:
            import segmentation_models_pytorch as smp
        except ImportError as problem:
            raise MachineError(
                "pspnet needs the package segmentation-models-pytorch, which is missing",
                hint="pip install 'citygan[segment]'",
            ) from problem
        if backbone not in ("resnet18", "resnet50", "resnet101"):
            raise ValueError(f"expected a backbone of resnet18, resnet50, resnet101, got '{backbone}'")
        self.input = ImageNetInput()
        self.network = smp.PSPNet(
            backbone, encoder_weights=None, encoder_depth=5, output_stride=8, upsampling=8, classes=classes
        )
        own_norms(self.network)
        self.pretrained = backbone

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        logits: Tensor = self.network(self.input(x))
        return logits

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills the trunk from torchvision's ResNet.

        Raises:
            ValueError: They do not fit.
        """
        fill(self.network.encoder, without(tensors, "fc."))


class UNetSegmenter(nn.Module):
    """A small U-Net (Ronneberger, Fischer and Brox) that two CPU cores train in a minute or two.

    Each stage has two 3x3 convolutions with batch norm and ReLU; max-pools lead down, resizes to the size of the
    encoder's map lead up, where both are joined.

    Args:
        classes: Their number, K.
        width: Filters of the first stage; they double with each.
        depth: Times the photo is halved.

    Shape:
        [N, 3, H, W] in [-1, 1] of any size -> logits [N, K, H, W]
    """

    multiple = 1

    def __init__(self, classes: int, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"expected a depth of at least 1, got {depth}")
        widths = [width * 2**i for i in range(depth + 1)]
        self.down = nn.ModuleList(_stage(before, after) for before, after in pairwise([3, *widths]))
        self.up = nn.ModuleList(_stage(below + beside, beside) for below, beside in pairwise(reversed(widths)))
        self.output = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps: list[Tensor] = []
        for i, stage in enumerate(self.down):
            x = stage(x if i == 0 else F.max_pool2d(x, 2, ceil_mode=True))
            maps.append(x)
        maps.pop()
        for stage in self.up:
            beside = maps.pop()
            x = stage(join(beside, F.interpolate(x, size=beside.shape[-2:])))
        logits: Tensor = self.output(x)
        return logits


def _stage(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        convolution = nn.Conv2d(channels, after, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
