"""Weights as public implementations save them: one map of names for each format, onto our own modules.

| format | source |
|---|---|
| pytorch-CycleGAN-and-pix2pix | ``latest_net_G.pth`` of a U-Net, ``latest_net_D.pth`` of a PatchGAN, batch norm |
| pytorch-pix2pix | ``generator(d)`` |

Files hold tensors or are refused; architecture and widths are read off the shapes.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from citygan.errors import DamagedError
from citygan.files import read_bytes
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.patchgan import LAYERS
from citygan.train.checkpoint import load_network

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Imported:
    """A network read off a state dict.

    Attributes:
        format: Where the names come from.
        role: `generator` or `discriminator`.
        name: Row of that table in `citygan.models`.
        arguments: The constructor's.
        tensors: By our names.
    """

    format: str
    role: str
    name: str
    arguments: dict[str, Any]
    tensors: dict[str, Tensor]

    def build(self, where: str | Path = "the imported weights") -> nn.Module:
        """The network, filled."""
        table = GENERATORS if self.role == "generator" else DISCRIMINATORS
        network = table[self.name](**self.arguments)
        load_network(network, self.tensors, Path(where))
        return network


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or ``.safetensors`` file; nothing in it is ever run.

    Raises:
        DamagedError: Not there, damaged, or holding anything but named tensors.
    """
    where = os.fspath(path)
    data = read_bytes(path, error=DamagedError)
    try:
        if data[8:9] == b"{":
            value = safetensors.torch.load(data)
        else:
            value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        zipfile.BadZipFile,
    ) as problem:
        raise DamagedError(
            "holds something else than tensors, or is damaged; it was not run",
            where=where,
            hint="Save the bare state_dict() with torch.save, or a safetensors file",
        ) from problem
    except Exception as problem:  # safetensors has an error class of its own
        raise DamagedError(f"not a file of tensors ({type(problem).__name__})", where=where) from problem
    if isinstance(value, Mapping) and any(str(key) == "param_groups" or str(key).endswith(".exp_avg") for key in value):
        raise DamagedError("an optimizer's state, not the weights of a network", where=where)
    if not isinstance(value, Mapping) or not value or not all(isinstance(v, Tensor) for v in value.values()):
        raise DamagedError("not a state dict: named tensors and nothing else are taken", where=where)
    return {str(key).removeprefix("module."): tensor for key, tensor in value.items()}


def import_state_dict(tensors: Mapping[str, Tensor], where: str | os.PathLike[str] = "the state dict") -> Imported:
    """Recognises a public format by its keys and maps it onto our module.

    Raises:
        DamagedError: No format fits; or keys are missing or left over, with a list.
    """
    if "model.model.0.weight" in tensors:
        found = _cyclegan_unet(tensors)
    elif "deconv1.weight" in tensors and "conv1.weight" in tensors:
        found = _pix2pix_generator(tensors)
    elif "model.0.weight" in tensors and tensors["model.0.weight"].shape[-1] == 4:
        found = _cyclegan_patchgan(tensors)
    else:
        first = ", ".join(list(tensors)[:4])
        raise DamagedError(f"no known format has these keys: {first} …", where=os.fspath(where))
    return found.take(tensors, os.fspath(where))


@dataclass(frozen=True)
class _Map:
    format: str
    role: str
    name: str
    arguments: dict[str, Any]
    names: dict[str, str]  # theirs to ours
    swapped: tuple[str, ...] = ()  # ours whose input channels stand the other way round there: decoder before encoder

    def take(self, tensors: Mapping[str, Tensor], where: str) -> Imported:
        missing = [key for key in self.names if key not in tensors]
        unknown = [key for key in tensors if key not in self.names]
        if missing or unknown:
            parts = [f"missing: {', '.join(missing[:8])}"] if missing else []
            parts += [f"unknown: {', '.join(unknown[:8])}"] if unknown else []
            raise DamagedError(f"looks like {self.format}, but does not fit; {'; '.join(parts)}", where=where)
        ours = {mine: tensors[theirs] for theirs, mine in self.names.items()}
        for name in self.swapped:
            ours[name] = torch.cat(ours[name].chunk(2, dim=0)[::-1], dim=0)  # [in, out, 4, 4] of a transposed one
        return Imported(self.format, self.role, self.name, self.arguments, ours)


def _both(theirs: str, ours: str, what: tuple[str, ...]) -> dict[str, str]:
    return {f"{theirs}.{key}": f"{ours}.{key}" for key in what}


def _cyclegan_unet(tensors: Mapping[str, Tensor]) -> _Map:
    depth = 1
    while f"model{'.model.1' + '.model.3' * (depth - 1)}.model.1.weight" in tensors:
        depth += 1
    first = tensors["model.model.0.weight"]
    names = _both("model.model.0", "down.0", ("weight",))
    names |= _both("model.model.3", f"up.{depth - 1}", ("weight", "bias"))
    for i in range(1, depth):
        block = "model.model.1" + ".model.3" * (i - 1) + ".model"
        inner = i == depth - 1
        names |= _both(f"{block}.1", f"down.{i}", ("weight",))
        if not inner:
            names |= _both(f"{block}.2", f"down_norm.{i}", _NORM)
        names |= _both(f"{block}.{3 if inner else 5}", f"up.{depth - 1 - i}", ("weight",))
        names |= _both(f"{block}.{4 if inner else 6}", f"up_norm.{depth - 1 - i}", _NORM)
    arguments = {
        "in_channels": first.shape[1],
        "out_channels": _shape(tensors, "model.model.3.weight", 1),
        "width": first.shape[0],
        "depth": depth,
        "bias": "output",
    }
    return _Map("pytorch-CycleGAN-and-pix2pix U-Net", "generator", "unet", arguments, names)


def _pix2pix_generator(tensors: Mapping[str, Tensor]) -> _Map:
    depth = 1
    while f"conv{depth + 1}.weight" in tensors:
        depth += 1
    names: dict[str, str] = {}
    swapped = []
    for i in range(depth):
        names |= _both(f"conv{i + 1}", f"down.{i}", ("weight", "bias"))
        names |= _both(f"deconv{i + 1}", f"up.{i}", ("weight", "bias"))
        if 0 < i < depth - 1:
            names |= _both(f"conv{i + 1}_bn", f"down_norm.{i}", _NORM)
        if i < depth - 1:
            names |= _both(f"deconv{i + 1}_bn", f"up_norm.{i}", _NORM)
        if i > 0:
            swapped.append(f"up.{i}.weight")
    first = tensors["conv1.weight"]
    arguments = {
        "in_channels": first.shape[1],
        "out_channels": _shape(tensors, f"deconv{depth}.weight", 1),
        "width": first.shape[0],
        "depth": depth,
        "bias": "all",
    }
    return _Map("pytorch-pix2pix generator", "generator", "unet", arguments, names, tuple(swapped))


def _cyclegan_patchgan(tensors: Mapping[str, Tensor]) -> _Map:
    layers = 0
    while f"model.{2 + 3 * layers}.weight" in tensors and f"model.{3 + 3 * layers}.weight" in tensors:
        layers += 1
    fields = {count: field for field, count in LAYERS.items()}
    if layers not in fields:
        raise DamagedError(f"a PatchGAN with {layers} inner layers is not known; {sorted(fields)} are")
    names = _both("model.0", "convolutions.0", ("weight", "bias"))
    for i in range(layers):
        names |= _both(f"model.{2 + 3 * i}", f"convolutions.{i + 1}", ("weight",))
        names |= _both(f"model.{3 + 3 * i}", f"norms.{i + 1}", _NORM)
    names |= _both(f"model.{2 + 3 * layers}", "output", ("weight", "bias"))
    first = tensors["model.0.weight"]
    arguments = {"in_channels": first.shape[1], "width": first.shape[0], "receptive_field": fields[layers]}
    return _Map("pytorch-CycleGAN-and-pix2pix PatchGAN", "discriminator", "patchgan", arguments, names)


def _shape(tensors: Mapping[str, Tensor], name: str, axis: int) -> int:
    return tensors[name].shape[axis] if name in tensors else 3
