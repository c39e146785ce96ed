"""Weights that torchvision publishes: which there are, in which file, and where torch keeps it. Nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

# our name: torchvision's, for `torchvision.models.get_weight`
PUBLISHED: dict[str, str] = {
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "deeplabv3_resnet50": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "deeplabv3_resnet101": "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
}


@runtime_checkable
class Pretrainable(Protocol):
    """A network that can start from published weights.

    Attributes:
        pretrained: A row of `PUBLISHED`.
        published_shape: Whether its width is the published one.
    """

    pretrained: str
    published_shape: bool

    def load_pretrained(self, tensors: dict[str, Tensor]) -> None:
        """Fills what the weights are for; ValueError where they do not fit."""


def published_url(name: str) -> str:
    """Where torchvision has the weights; the last word before the suffix begins the file's sha256."""
    from torchvision.models import get_weight

    return str(get_weight(PUBLISHED[name]).url)


def published_file(name: str) -> Path:
    """Where torch keeps them on this machine (in ``TORCH_HOME``), whether they are there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / published_url(name).rpartition("/")[2]
