"""A recipe for a prepared set: networks whose shapes follow from settings and data, and what a run depends on."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from citygan.config import Settings
from citygan.data.store import PreparedSet
from citygan.devices import check_bf16
from citygan.errors import DataError, MachineError, UsageError
from citygan.models import lookup
from citygan.models.unet import unet_depth
from citygan.recipes import RECIPES
from citygan.recipes.base import Recipe
from citygan.recipes.inputs import InputEncoder
from citygan.runs import versions
from citygan.train.checkpoint import load_network, read_part, read_state
from citygan.train.distributed import Ranks

BOTH_SIDES = "Prepare a folder with both sides: photos, and label maps or source pictures of the same names"


@dataclass(frozen=True)
class Built:
    """A recipe, and what a checkpoint must say so that its networks can be built again."""

    recipe: Recipe
    inputs: InputEncoder
    networks: dict[str, dict[str, Any]]
    channels: int


def build(settings: Settings, data: PreparedSet) -> Built:
    """The recipe of the settings for a set.

    Raises:
        DataError: The set lacks what it needs, or its size does not suit the network.
    """
    if all(split.photo is None for split in data.splits.values()):
        hint = f"{BOTH_SIDES}; a trained run translates it: citygan translate {shlex.quote(str(data.path))} out/"
        raise DataError("the set has no photos to learn from", where=data.path, hint=hint)
    train_split = data.split("train")
    if train_split.photo is None:
        raise DataError("the split train has no photos to learn from", where=data.path, hint=BOTH_SIDES)
    use_label = settings.input.array == "label" or (settings.input.array == "auto" and train_split.label is not None)
    if use_label and (train_split.label is None or data.classes is None):
        raise DataError("the set has no label maps", where=data.path, hint="--set input.array=source")
    if not use_label and train_split.source is None:
        raise DataError("the set has neither label maps nor source pictures", where=data.path, hint=BOTH_SIDES)
    if settings.input.instance_edges and train_split.instance is None:
        raise DataError("the set has no instance maps", where=data.path, hint="--set input.instance_edges=false")
    inputs = InputEncoder(
        data.classes if use_label else None,
        None if use_label else train_split.source.shape[-1],  # type: ignore[union-attr]
        settings.input.encoding,
        settings.input.instance_edges,
    )
    channels = data.photo_channels or 3
    width, height = data.size
    depth = settings.generator.depth or unet_depth(width, height)
    if depth < 4 or width % 2**depth or height % 2**depth:
        step = 2 ** max(4, min(depth, 6))
        raise DataError(
            f"pictures of {width}x{height} cannot be halved {max(depth, 4)} times",
            where=data.path,
            hint=f"Prepare them with --size {max(1, round(width / step)) * step}x{max(1, round(height / step)) * step}",
        )
    networks: dict[str, dict[str, Any]] = {
        "generator": {
            "name": settings.generator.name,
            "arguments": {
                "in_channels": inputs.channels,
                "out_channels": channels,
                "width": settings.generator.width,
                "depth": depth,
                "dropout": settings.generator.dropout,
            },
        }
    }
    if settings.losses.lambda_gan > 0:
        networks["discriminator"] = {
            "name": settings.discriminator.name,
            "arguments": {
                "in_channels": inputs.channels + channels,
                "width": settings.discriminator.width,
                "receptive_field": settings.discriminator.receptive_field,
            },
        }
    torch.manual_seed(settings.seed)
    recipe = lookup(RECIPES, settings.recipe, "recipe")(
        settings,
        inputs,
        networks["generator"]["arguments"],
        networks["discriminator"]["arguments"] if "discriminator" in networks else None,
    )
    smallest = int(getattr(recipe.networks.get("discriminator"), "smallest", 1))
    if min(width, height) < smallest:
        raise DataError(
            f"pictures of {width}x{height} are too small for the discriminator, which needs {smallest} pixels a side",
            where=data.path,
            hint="Prepare them larger, or take a smaller discriminator.receptive_field",
        )
    return Built(recipe, inputs, networks, channels)


def start_from(networks: Mapping[str, nn.Module], folder: Path) -> None:
    """Fills networks from another run's checkpoint: its generator, and its discriminator where both have one.

    Raises:
        DamagedError: It is not whole, or does not fit.
    """
    state = read_state(folder)
    for name, network in networks.items():
        part = str(state.get("use", name)) if name == "generator" else name
        if name == "generator" or part in state["files"]:
            load_network(network, read_part(folder, state, part), folder / f"{part}.safetensors")


def steps_in_all(settings: Settings, count: int, ranks: Ranks) -> int:
    """Steps of the whole training of `count` pictures."""
    if settings.train.steps is not None:
        return settings.train.steps
    return max(1, round(settings.train.epochs * count / (settings.train.batch * ranks.size)))


def about(settings: Settings, data: PreparedSet, device: torch.device, ranks: Ranks) -> dict[str, Any]:
    """What a run's figures depend on besides its settings."""
    return {
        "data": {"path": str(data.path), "checksum": data.checksum},
        "seed": settings.seed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "ranks": ranks.size,
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
