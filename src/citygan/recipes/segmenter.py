"""A segmenter learns the class of each pixel of a photo: cross-entropy with the labels, void left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.config import Settings
from citygan.data.labels import ClassTable
from citygan.losses.segmentation import cross_entropy
from citygan.models import SEGMENTERS, lookup
from citygan.recipes.base import Recipe, Update, group_of


class Segmentation(Recipe):
    """min_S of the mean of -log softmax(S(photo))[train id of the label], over the pixels that are not void.

    Args:
        settings: Rate, optimizer, schedule, size to enlarge to.
        classes: What the ids of the label maps are.
        segmenter: The constructor's arguments, as the checkpoint keeps them.
    """

    averaged = ("segmenter",)

    def __init__(self, settings: Settings, classes: ClassTable, segmenter: dict[str, Any]) -> None:
        self.enlarged = settings.segmenter.enlarged
        self._train_ids = torch.from_numpy(classes.train_ids.copy())
        self.networks: dict[str, nn.Module] = {
            "segmenter": lookup(SEGMENTERS, settings.segmenter.name, "segmenter")(**segmenter)
        }
        self.groups = {"segmenter": group_of(("segmenter",), settings.optimizer)}

    def updates(self, batch: Batch, phase: str = "all") -> Iterator[Update]:
        assert batch.photo is not None and batch.label is not None
        if self._train_ids.device != batch.label.device:
            self._train_ids = self._train_ids.to(batch.label.device)
        photo, target = batch.photo, self._train_ids[batch.label.int()]
        if self.enlarged is not None:
            photo, target = enlarge(photo, self.enlarged), enlarge_ids(target, self.enlarged)
        yield Update("segmenter", {"cross_entropy": cross_entropy(self.networks["segmenter"](photo), target)})


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, H, W] resized bilinearly to (width, height), half-pixel centres."""
    return F.interpolate(x.float(), (size[1], size[0]), mode="bilinear", align_corners=False)


def enlarge_ids(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, H, W] ids, each pixel the nearest one's, resized to (width, height)."""
    return F.interpolate(ids[:, None].float(), (size[1], size[0]), mode="nearest-exact")[:, 0].to(ids.dtype)
