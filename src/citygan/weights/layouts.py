"""State dicts of public implementations onto our networks, and back."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from citygan.errors import DamagedError, UsageError
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.train.checkpoint import load_network
from citygan.weights.fitting import refit
from citygan.weights.formats import FORMATS, RECOGNISED
from citygan.weights.row import Format

OWN_FORMAT = "citygan"


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
        network = table_of(self.role)[self.name](**self.arguments)
        load_network(network, self.tensors, Path(where))
        return network

    def default(self, argument: str) -> Any:
        """What the constructor takes where an argument is not given; None: it has no such argument."""
        parameter = inspect.signature(table_of(self.role)[self.name]).parameters.get(argument)
        return None if parameter is None else parameter.default

    @property
    def flags(self) -> str:
        """Those of `train` that build such a network."""
        return flags_of(self.role, self.name, self.arguments)

    def __str__(self) -> str:
        shown = ", ".join(f"{key} {value}" for key, value in self.arguments.items() if key in _TOLD)
        return f"{self.format}: {self.name}, {shown}"


# arguments that are settings of `train` too
SETTINGS = (
    "width", "depth", "dropout", "dropout_place", "norm", "blocks", "halvings", "receptive_field", "scales", "skips",
    "upsample",
)  # fmt: skip
_TOLD = (
    "in_channels", "out_channels", "width", "depth", "blocks", "halvings", "enhancers", "local_blocks",
    "receptive_field", "scales", "norm", "dropout",
)  # fmt: skip


def flags_of(role: str, name: str, arguments: Mapping[str, Any]) -> str:
    """The flags of `train` that build a network."""
    known = {"name": name, **{key: arguments[key] for key in SETTINGS if key in arguments}}
    return " ".join(f"--set {role}.{key}={str(value).lower()}" for key, value in known.items())


def table_of(role: str) -> dict[str, type[nn.Module]]:
    """The networks of that role."""
    return GENERATORS if role == "generator" else DISCRIMINATORS


def bare(role: str, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network without memory for its weights: names and shapes alone."""
    with torch.device("meta"):
        return table_of(role)[name](**arguments)


def import_state_dict(
    tensors: Mapping[str, Tensor],
    where: str | os.PathLike[str] = "the state dict",
    record: Mapping[str, Any] | None = None,
) -> Imported:
    """Recognises a public format by its keys and maps it onto our module.

    Args:
        record: Of a file of our own: the network and its arguments.

    Raises:
        DamagedError: No format fits, or one is known and not built here; keys are missing or left over, with a list;
            shapes contradict each other; values are not finite.
    """
    told = os.fspath(where)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DamagedError(f"{key} holds values that are not finite", where=told)
    if record is not None:
        return _own(tensors, record, told)
    for beginning, what, instead in RECOGNISED:
        if any(key.startswith(beginning) for key in tensors):
            raise DamagedError(f"{what}, recognised, but not supported here", where=told, hint=instead)
    for layout in FORMATS:
        if layout.fits(tensors):
            return _take(layout, _without_old_statistics(tensors), told)
    first = ", ".join(list(tensors)[:4])
    names = ", ".join(dict.fromkeys(layout.name for layout in FORMATS))
    raise DamagedError(f"no known format has these keys: {first} …", where=told, hint=f"Known are those of {names}")


def _take(layout: Format, tensors: Mapping[str, Tensor], where: str) -> Imported:
    try:
        arguments = layout.read(tensors)
        network = bare(layout.role, layout.network, arguments)
    except (ValueError, RuntimeError, OverflowError) as problem:
        raise DamagedError(f"looks like {layout}, but does not fit; {problem}", where=where) from problem
    names = _names(layout, arguments, network)
    missing = [key for key in names if key not in tensors]
    unknown = [key for key in tensors if key not in names]
    if missing or unknown:
        parts = [f"missing: {_listed(missing)}"] if missing else []
        parts += [f"unknown: {_listed(unknown)}"] if unknown else []
        raise DamagedError(f"looks like {layout}, but does not fit; {'; '.join(parts)}", where=where)
    ours = {mine: _plain(tensors[theirs]) for theirs, mine in names.items()}
    swapped = layout.swapped(arguments)
    _check_shapes(network, ours, layout, where)
    return Imported(str(layout), layout.role, layout.network, arguments, _swap(ours, swapped))


def export_state_dict(layout: Format, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a network of ours as a public implementation would save them.

    Raises:
        UsageError: That implementation has no such network, or no place for some of the tensors.
    """
    full = _with_defaults(layout, arguments)
    hint = "--format safetensors or onnx keeps it as it is"
    try:
        there = layout.saved(full)
    except ValueError as problem:
        raise UsageError(f"{layout} cannot hold this network: {problem}", where="--format", hint=hint) from problem
    network = bare(layout.role, layout.network, there)
    fitted = refit(tensors, network)
    left = sorted(key for key in fitted if key not in network.state_dict())
    if left:
        raise UsageError(
            f"{layout} has no place for {_listed(left)}",
            where="--format",
            hint=f"{hint}; the other public formats may have one",
        )
    names = _names(layout, there, network)
    swapped = _swap(fitted, layout.swapped(there))
    return {theirs: swapped[mine].detach().clone().contiguous() for theirs, mine in names.items()}


def _with_defaults(layout: Format, arguments: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(table_of(layout.role)[layout.network]).parameters.items()
    defaults = {name: p.default for name, p in parameters if p.default is not p.empty}
    return {**defaults, **arguments}


def _names(layout: Format, arguments: dict[str, Any], network: nn.Module) -> dict[str, str]:
    """Theirs to ours, for each tensor of the network, in their order of saving as far as ours follows it."""
    modules = layout.modules(arguments)
    parts = ((key, *key.rpartition(".")[::2]) for key in network.state_dict())
    return {f"{modules[module]}.{last}": key for key, module, last in parts}


def _swap(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Halves of the input channels exchanged: [in, out, 4, 4] of transposed convolutions."""
    swapped = dict(tensors)
    for name in names:
        swapped[name] = torch.cat(swapped[name].chunk(2, dim=0)[::-1], dim=0)
    return swapped


def _check_shapes(network: nn.Module, tensors: Mapping[str, Tensor], layout: Format, where: str) -> None:
    wrong = [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(own.shape)}"
        for key, own in network.state_dict().items()
        if tensors[key].shape != own.shape
    ]
    if wrong:
        raise DamagedError(f"looks like {layout}, but does not fit; {'; '.join(wrong[:3])}", where=where)


def _own(tensors: Mapping[str, Tensor], record: Mapping[str, Any], where: str) -> Imported:
    try:
        role, name, arguments = str(record["role"]), str(record["name"]), dict(record["arguments"])
        network = bare(role, name, arguments)
    except Exception as problem:  # whatever there is in a record that somebody made up
        why = f"no {problem}" if isinstance(problem, KeyError) else str(problem)
        raise DamagedError(f"its record does not describe a network ({why})", where=where) from problem
    load_network(network, dict(tensors), Path(where))  # finds what does not fit, and fills nothing
    return Imported(OWN_FORMAT, role, name, arguments, {key: _plain(tensor) for key, tensor in tensors.items()})


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()


def _without_old_statistics(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the statistics of instance norms, which PyTorch saved up to 0.3 and its public loader passes over too."""
    kept = {}
    for key, tensor in tensors.items():
        module, _, last = key.rpartition(".")
        if last in ("running_mean", "running_var", "num_batches_tracked") and f"{module}.weight" not in tensors:
            continue
        kept[key] = tensor
    return kept


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
