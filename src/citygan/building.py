"""A recipe for a prepared set: networks whose shapes follow from settings and data, and what a run depends on."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from citygan.companions import CG2REAL, arrays_beside, networks_beside, skeleton_of
from citygan.config import DiscriminatorSettings, GeneratorSettings, Settings
from citygan.data.store import PreparedSet
from citygan.devices import check_bf16
from citygan.errors import DataError, MachineError, UsageError
from citygan.feeding import check_augment, count_of
from citygan.models import DISCRIMINATORS, GENERATORS, SEGMENTERS, lookup
from citygan.models.unet import unet_depth
from citygan.recipes import RECIPES
from citygan.recipes.base import Recipe
from citygan.recipes.cg2real import CG2Real
from citygan.recipes.pix2pix import Pix2Pix
from citygan.recipes.segmenter import Segmentation
from citygan.recipes.skeleton import Skeleton
from citygan.recipes.views import View
from citygan.runs import SEGMENTER, versions
from citygan.sides import BOTH_SIDES, sides_of
from citygan.train.distributed import Ranks
from citygan.weightfiles import Found


@dataclass(frozen=True)
class Built:
    """A recipe, and what a checkpoint must say so that its networks can be built again.

    Attributes:
        inputs: What the generator is shown; None of a segmenter, which is shown photos.
        outputs: What it paints; likewise.
        networks: Name and arguments of each network.
        channels: C of the photos.
        arrays: What it learns from, of the prepared set.
        skeleton: The edge map that the generator is shown; None: none.
    """

    recipe: Recipe
    inputs: View | None
    outputs: View | None
    networks: dict[str, dict[str, Any]]
    channels: int
    arrays: tuple[str, ...]
    skeleton: Skeleton | None = None


def build(settings: Settings, data: PreparedSet) -> Built:
    """The recipe of the settings for a set.

    Raises:
        DataError: The set lacks what it needs, or its size does not suit the network.
        UsageError: No such recipe; a setting that its network does not have.
    """
    lookup(RECIPES, settings.recipe, "recipe")
    if settings.output.array == "photo" and all(split.photo is None for split in data.splits.values()):
        hint = f"{BOTH_SIDES}; a trained run translates it: citygan translate {shlex.quote(str(data.path))} out/"
        raise DataError("the set has no photos to learn from", where=data.path, hint=hint)
    return _build_segmenter(settings, data) if settings.recipe == SEGMENTER else _build_generator(settings, data)


def _build_segmenter(settings: Settings, data: PreparedSet) -> Built:
    train_split = data.split("train")
    if train_split.photo is None:
        raise DataError("the split train has no photos to learn from", where=data.path, hint=BOTH_SIDES)
    if train_split.label is None or data.classes is None:
        raise DataError(
            "a segmenter learns from label maps, and the set has none", where=data.path, hint="--data names another"
        )
    if data.classes.num_train < 2:
        raise DataError(
            f"a segmenter tells classes apart, and {data.classes.name} has {data.classes.num_train}", where=data.path
        )
    arrays = ("photo", "label")
    check_augment(settings, data, arrays, "a segmenter's input is the photo")
    chosen = settings.segmenter
    network = lookup(SEGMENTERS, chosen.name, "segmenter")
    parameters = inspect.signature(network).parameters
    given = {key: getattr(chosen, key) for key in ("width", "depth", "backbone")}
    given = {key: value for key, value in given.items() if value is not None}
    lost = [key for key in given if key not in parameters]
    if lost:
        raise UsageError(
            f"the segmenter {chosen.name} has no {' and no '.join(lost)}",
            where=", ".join(f"segmenter.{key}" for key in lost),
            hint=f"It has: {', '.join(key for key in parameters if key != 'classes')}",
        )
    arguments = {"classes": data.classes.num_train, **given}
    torch.manual_seed(settings.seed)
    try:
        recipe = Segmentation(settings, data.classes, arguments)
    except ValueError as problem:
        raise UsageError(str(problem), where="segmenter") from problem
    built = recipe.networks["segmenter"]
    crop = settings.augment.crop
    if chosen.enlarged is None:
        if crop is not None:
            _check_crop(built, crop)
        else:
            _check_size(built, data, "segmenter")
    networks = {"segmenter": {"name": chosen.name, "arguments": arguments}}
    return Built(recipe, None, None, networks, 3, arrays)


def _check_crop(segmenter: nn.Module, crop: int) -> None:
    multiple = int(getattr(segmenter, "multiple", 1))
    if crop % multiple:
        raise UsageError(
            f"expected a multiple of {multiple} with this segmenter, got {crop}",
            where="augment.crop",
            hint=f"Take {_nearest(crop, multiple)}",
        )


def _build_generator(settings: Settings, data: PreparedSet) -> Built:
    inputs, outputs = sides_of(settings, data)
    skeleton = skeleton_of(settings, data)
    beside = arrays_beside(settings, data, skeleton)
    arrays = tuple(dict.fromkeys((*outputs.arrays, *inputs.arrays, *beside)))
    check_augment(settings, data, arrays, _uncoloured(inputs, outputs))
    shown = inputs.channels + (skeleton is not None) + (settings.features.channels if settings.features.shown else 0)
    networks = {"generator": _generator(settings, data, shown, outputs.channels)}
    if settings.losses.lambda_gan > 0:
        networks["discriminator"] = _discriminator(settings, inputs.channels, outputs.channels)
    torch.manual_seed(settings.seed)
    recipe: Recipe
    if settings.recipe == CG2REAL:
        _check_layers(settings, networks)
        networks |= networks_beside(settings, skeleton, data.photo_channels or 3)
        arguments = {role: about["arguments"] for role, about in networks.items()}
        try:
            recipe = CG2Real(settings, inputs, outputs, skeleton, arguments)
        except ValueError as problem:
            raise UsageError(str(problem), where="features" if "encoder" in networks else "dned") from problem
    else:
        recipe = Pix2Pix(
            settings,
            inputs,
            outputs,
            networks["generator"]["arguments"],
            networks["discriminator"]["arguments"] if "discriminator" in networks else None,
        )
    _check_size(recipe.networks["generator"], data, "generator")
    return Built(recipe, inputs, outputs, networks, data.photo_channels or 3, arrays, skeleton)


def _check_layers(settings: Settings, networks: Mapping[str, Any]) -> None:
    """Refuses a discriminator that does not show what is behind its layers."""
    name = settings.discriminator.name
    if "discriminator" in networks and "features" not in inspect.signature(DISCRIMINATORS[name].forward).parameters:
        raise UsageError(
            f"the recipe {CG2REAL} compares what is behind a discriminator's layers, and {name} does not tell",
            where="discriminator.name",
            hint="Take patchgan or multiscale",
        )


def _uncoloured(inputs: View, outputs: View) -> str | None:
    """Why the generator's input cannot change its colours with the photo that it paints; None where it can."""
    if outputs.array != "photo":
        return "no photo is painted"
    if inputs.array == "photo":
        return "the input is made of the photo"
    return "one-hot classes have no colours" if inputs.encoding == "onehot" else None


def _generator(settings: Settings, data: PreparedSet, in_channels: int, channels: int) -> dict[str, Any]:
    """Name and arguments of the generator."""
    chosen = settings.generator
    network = lookup(GENERATORS, chosen.name, "generator")
    alone = chosen.global_share > 0
    offered = {"in_channels": in_channels, "out_channels": channels} | _options(chosen)
    if alone or chosen.local_share > 0:
        offered["coarse_output"] = alone
    arguments = _arguments(network, chosen, offered)
    if "depth" in arguments:
        arguments["depth"] = _depth(settings, data)
    return {"name": chosen.name, "arguments": arguments}


def _discriminator(settings: Settings, in_channels: int, channels: int) -> dict[str, Any]:
    """Name and arguments of the discriminator."""
    chosen = settings.discriminator
    network = lookup(DISCRIMINATORS, chosen.name, "discriminator")
    seen = channels + (in_channels if chosen.conditional else 0)
    offered = {"in_channels": seen, "photo_channels": channels} | _options(chosen)
    return {"name": chosen.name, "arguments": _arguments(network, chosen, offered)}


def _options(chosen: GeneratorSettings | DiscriminatorSettings) -> dict[str, Any]:
    """What a group of settings offers to a network's constructor."""
    options = dataclasses.asdict(chosen)
    if options.get("halvings", 0) is None:  # the network's own
        del options["halvings"]
    aside = ("name", "conditional", "shared_pass", "global_share", "local_share")
    return {key: value for key, value in options.items() if key not in aside}


def _arguments(
    network: type[nn.Module], chosen: GeneratorSettings | DiscriminatorSettings, offered: Mapping[str, Any]
) -> dict[str, Any]:
    """Of what is offered that which the network's constructor takes.

    Raises:
        UsageError: A setting that it does not take has another value than the default.
    """
    parameters = inspect.signature(network).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(offered)
    default = dataclasses.asdict(type(chosen)())
    group = "generator" if isinstance(chosen, GeneratorSettings) else "discriminator"
    lost = [
        key
        for key, value in offered.items()
        # a network without dropout is one whose dropout is off
        if key not in parameters and value != default.get(key, value) and (key, value) != ("dropout", 0)
    ]
    if "coarse_output" in offered and "coarse_output" not in parameters:
        lost += [f"{part}_share" for part in ("global", "local") if getattr(chosen, f"{part}_share", 0) > 0]
    if lost:
        taken = ", ".join(key for key in offered if key in parameters and key in default)
        raise UsageError(
            f"the {group} {chosen.name} has no {' and no '.join(lost)}",
            where=", ".join(f"{group}.{key}" for key in lost),
            hint=f"It has: {taken}",
        )
    return {key: value for key, value in offered.items() if key in parameters}


def _depth(settings: Settings, data: PreparedSet) -> int:
    """Times the pictures of a set are halved.

    Raises:
        DataError: They cannot be halved that often.
    """
    width, height = data.size
    depth = settings.generator.depth or unet_depth(width, height)
    if depth < 4 or width % 2**depth or height % 2**depth:
        step = 2 ** max(4, depth if settings.generator.depth else min(depth, 6))
        raise DataError(
            f"pictures of {width}x{height} cannot be halved {max(depth, 4)} times",
            where=data.path,
            hint=f"Prepare them with --size {_nearest(width, step)}x{_nearest(height, step)}",
        )
    return depth


def _check_size(generator: nn.Module, data: PreparedSet, what: str) -> None:
    """Refuses a set whose pictures the network cannot take as they are."""
    multiple, smallest = int(getattr(generator, "multiple", 1)), int(getattr(generator, "smallest", 1))
    width, height = data.size
    if width % multiple or height % multiple or min(width, height) < smallest:
        fitting = [max(_nearest(side, multiple), -(-smallest // multiple) * multiple) for side in (width, height)]
        raise DataError(
            f"pictures of {width}x{height}, and this {what} takes sides that are multiples of {multiple}"
            + (f", at least {smallest}" if smallest > multiple else ""),
            where=data.path,
            hint=f"Prepare them with --size {fitting[0]}x{fitting[1]}",
        )


def _nearest(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple


def steps_in_all(settings: Settings, data: PreparedSet, ranks: Ranks) -> int:
    """Steps of the whole training on a set."""
    if settings.train.steps is not None:
        return settings.train.steps
    return max(1, round(settings.train.epochs * count_of(settings, data) / (settings.train.batch * ranks.size)))


def about(
    settings: Settings,
    data: PreparedSet,
    device: torch.device,
    ranks: Ranks,
    filled: Mapping[str, Found] | None = None,
) -> dict[str, Any]:
    """What a run's figures depend on besides its settings.

    Args:
        filled: What its networks start from (`citygan.starting.initialise`); None: as they are drawn.
    """
    return {
        "data": {"path": str(data.path), "checksum": data.checksum},
        "seed": settings.seed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "ranks": ranks.size,
        "weights": {name: found.to_dict() for name, found in (filled or {}).items()},
        "versions": versions(),
    }


def check_device(settings: Settings, device: torch.device, ranks: int) -> None:
    """Finds before the work what a device cannot do.

    Raises:
        MachineError: bfloat16, CUDA graphs or TensorBoard where there are none.
        UsageError: CUDA graphs on several devices.
    """
    if settings.train.precision == "bf16":
        check_bf16(device, "train.precision")
    if settings.train.cuda_graphs and device.type != "cuda":
        raise MachineError(f"{device} has no CUDA graphs", where="train.cuda_graphs", hint="Take false")
    if settings.train.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MachineError(
            "the package tensorboard is missing", where="train.tensorboard", hint="pip install 'citygan[tensorboard]'"
        )
    if settings.train.cuda_graphs and ranks > 1:
        raise UsageError("one device only", where="train.cuda_graphs", hint="Take false with torchrun")
