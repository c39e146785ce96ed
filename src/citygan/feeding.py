"""From settings to the batches of a training: what of `augment` a recipe and a set can have, and the feed itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from citygan.config import Settings
from citygan.data.batches import Feed
from citygan.data.colours import ColourRanges
from citygan.data.crops import ClassCrops
from citygan.data.store import PreparedSet
from citygan.errors import DataError, UsageError
from citygan.runs import SEGMENTER


def check_augment(settings: Settings, data: PreparedSet, arrays: Sequence[str], uncoloured: str | None) -> None:
    """Finds before the work what of `augment` a recipe or a set cannot have.

    Args:
        arrays: What the recipe learns from.
        uncoloured: Why nothing beside the photo has colours that could change with its own; None: something has.

    Raises:
        UsageError: A setting of another recipe, or of other pictures.
        DataError: The set has no label maps by which to choose crops.
    """
    augment = settings.augment
    if settings.recipe != SEGMENTER and augment.crop is not None:
        hint = "A generator's crops are as large as its pictures: augment.jitter, or augment.scale_max"
        raise UsageError("random crops of another size are of segmenters", where="augment.crop", hint=hint)
    if settings.recipe != SEGMENTER and augment.scale_min < 1:
        hint = "A generator paints whole pictures: at least 1"
        raise UsageError("scales below 1 are of segmenters", where="augment.scale_min", hint=hint)
    ranges = colours_of(settings)
    if "photo" not in arrays and (ranges.jitters or ranges.lights):
        raise UsageError("nothing is learnt from photos, whose colours would change", where="augment", hint="Take 0")
    if augment.colour_of == "both" and uncoloured is not None:
        raise UsageError(
            f"{uncoloured}, so nothing beside the photo has colours to change",
            where="augment.colour_of",
            hint="--set augment.colour_of=photo",
        )
    if augment.class_crops > 1:
        if data.split("train").label is None or data.classes is None:
            hint = "--set augment.class_crops=1"
            raise DataError("class-aware crops need label maps, and the set has none", where=data.path, hint=hint)
        if data.classes.num_train == 0:
            raise DataError("class-aware crops need classes, and all of the set's are void", where=data.path)


def count_of(settings: Settings, data: PreparedSet) -> int:
    """Pictures of the split `train` that an epoch goes through, or pairs of neighbouring frames."""
    split = data.split("train")
    return len(split.pairs()) if settings.video.pairs else len(split)


def colours_of(settings: Settings) -> ColourRanges:
    """How colours change in a training."""
    augment = settings.augment
    return ColourRanges(
        brightness=augment.brightness,
        contrast=augment.contrast,
        saturation=augment.saturation,
        hue=augment.hue,
        both=augment.colour_of == "both",
        gain=augment.gain,
        bias=augment.bias,
        gamma=augment.gamma,
    )


def feed_of(
    settings: Settings,
    data: PreparedSet,
    *,
    arrays: Sequence[str],
    channels: int,
    device: torch.device,
    rank: int = 0,
    ranks: int = 1,
) -> Feed:
    """The batches of a training on a set's split `train`.

    Args:
        arrays: What the recipe learns from.
        channels: C of the photos.
        rank: Which of the `ranks` processes this is.
    """
    augment = settings.augment
    split = data.split("train")
    class_crops = None
    if augment.class_crops > 1:
        assert split.label is not None and data.classes is not None
        class_crops = ClassCrops(split.label, data.classes, augment.class_crops)
    return Feed(
        split,
        arrays=arrays,
        batch=settings.train.batch,
        jitter=augment.jitter,
        mirror=augment.mirror,
        seed=settings.seed,
        device=device,
        channels=channels,
        scales=(augment.scale_min, augment.scale_max),
        crop=augment.crop,
        class_crops=class_crops,
        colours=colours_of(settings),
        palette=None if data.classes is None else data.classes.palette,
        pairs=settings.video.pairs,
        rank=rank,
        ranks=ranks,
    )
