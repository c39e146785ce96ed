"""Networks, each by name in a table. A new one is its class and a row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from citygan.errors import UsageError, did_you_mean
from citygan.models.deeplab import DeepLabGenerator
from citygan.models.enhancer import LocalEnhancer
from citygan.models.fcn import FCN8s
from citygan.models.multiscale import Multiscale
from citygan.models.patchgan import PatchGAN, PixelGAN
from citygan.models.resnet import ResNet
from citygan.models.resnet18 import ResNet18
from citygan.models.segmenters import DeepLabV3, PSPNet, UNetSegmenter
from citygan.models.unet import EnhancedUNet, UNet

GENERATORS: dict[str, type[nn.Module]] = {
    "unet": UNet,
    "resnet": ResNet,
    "enhanced": EnhancedUNet,
    "deeplabv3": DeepLabGenerator,
    "local-enhancer": LocalEnhancer,
}
# each gives logits [N, 1, h, w], or a tuple of them, one a scale
DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "patchgan": PatchGAN,
    "multiscale": Multiscale,
    "pixelgan": PixelGAN,
    "resnet18": ResNet18,
}
SEGMENTERS: dict[str, type[nn.Module]] = {
    "fcn8s": FCN8s,
    "deeplabv3": DeepLabV3,
    "pspnet": PSPNet,
    "unet-seg": UNetSegmenter,
}

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """A row of a table.

    Raises:
        UsageError: No such row; the names are listed.
    """
    if name not in table:
        hint = f"{did_you_mean(name, table)}There are: {', '.join(sorted(table))}"
        raise UsageError(f"no {what} named '{name}'", hint=hint)
    return table[name]
