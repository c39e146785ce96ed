"""What a row of `citygan.weights.formats.FORMATS` is, and what rows share: sizes, norms, parts of residual networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from torch import Tensor

from citygan.models.patchgan import LAYERS

Tensors = Mapping[str, Tensor]
Arguments = dict[str, Any]
FIELDS = {layers: field for field, layers in LAYERS.items()}


@dataclass(frozen=True)
class Format:
    """How one public implementation saves one network of ours.

    Attributes:
        name: The implementation.
        what: What it calls the network.
        role: `generator` or `discriminator`.
        network: Row of that table in `citygan.models`.
        fits: Whether tensors have this format's marks.
        read: The constructor's arguments, off the shapes; ValueError where they cannot be.
        modules: Given the arguments: our modules' names to theirs.
        saved: Given arguments of a network of ours: those of the same one as they would save it; ValueError where
            they have none.
        swapped: Given the arguments: our tensors whose input channels stand the other way round there.
    """

    name: str
    what: str
    role: str
    network: str
    fits: Callable[[Tensors], bool]
    read: Callable[[Tensors], Arguments]
    modules: Callable[[Arguments], dict[str, str]]
    saved: Callable[[Arguments], Arguments]
    swapped: Callable[[Arguments], tuple[str, ...]] = lambda arguments: ()

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


def size(tensors: Tensors, key: str, axis: int) -> int:
    """A side of a four-dimensional tensor; ValueError without it."""
    if key not in tensors:
        raise ValueError(f"missing: {key}")
    if tensors[key].dim() != 4:
        raise ValueError(f"{key} has {tensors[key].dim()} dimensions instead of 4")
    return tensors[key].shape[axis]


def norm_of(tensors: Tensors, inside: str) -> Arguments:
    """Norm and biases: batch norm is saved with its statistics, instance norm as biases of the convolutions before."""
    bias = f"{inside}.bias" in tensors
    if any(key.endswith(".running_mean") for key in tensors):
        return {"norm": "batch", "bias": "all" if bias else "output"}
    return {"norm": "instance", "bias": "all"} if bias else {"norm": "none", "bias": "output"}


def need(arguments: Mapping[str, Any], **wanted: Any) -> None:
    """Refuses arguments that an implementation has no word for."""
    for key, value in wanted.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if key in arguments and arguments[key] not in allowed:
            raise ValueError(f"it knows no {key}={arguments[key]}")


def side(tensors: Tensors, key: str) -> int:
    """The side of a convolution's kernel; 0 where there is none of that name."""
    tensor = tensors.get(key)
    return tensor.shape[-1] if tensor is not None and tensor.dim() == 4 else 0


def patches(tensors: Tensors, first: str, layers: int) -> Arguments:
    """The arguments of a PatchGAN with so many layers of stride 2, by its first convolution."""
    if layers not in FIELDS:
        raise ValueError(f"{layers} layers of stride 2, and {', '.join(map(str, FIELDS))} are known")
    return {
        "in_channels": size(tensors, first, 1),
        "width": size(tensors, first, 0),
        "receptive_field": FIELDS[layers],
    }


def counted(tensors: Tensors, key: Callable[[int], str], first: int = 0) -> int:
    """How many of the keys of first, first + 1, ... are there, up to the first that is not."""
    return sum(1 for _ in takewhile(lambda i: key(i) in tensors, count(first)))


def residual(tensors: Tensors) -> Arguments:
    """The arguments of a residual network as `model` has it, its output aside; ValueError where it is none."""
    first = _first_block(tensors)
    second = tensors.get(f"model.{first}.conv_block.6.weight")
    return {
        "in_channels": size(tensors, "model.1.weight", 1),
        "width": size(tensors, "model.1.weight", 0),
        "blocks": counted(tensors, lambda i: f"model.{i}.conv_block.1.weight", first),
        "dropout": 0.5 if second is not None and second.dim() == 4 else 0.0,  # its layer moves the names behind it
        "halvings": (first - 4) // 3,
        **norm_of(tensors, "model.1"),
    }


def _first_block(tensors: Tensors) -> int:
    inside = (key.split(".") for key in tensors if key.startswith("model.") and ".conv_block." in key)
    numbers = [int(parts[1]) for parts in inside if parts[1].isdecimal()]
    if not numbers or min(numbers) < 7 or (min(numbers) - 4) % 3:
        raise ValueError("missing: model.10.conv_block.1.weight")
    return min(numbers)


def front(ours: str, theirs: str, halvings: int) -> dict[str, str]:
    """Our modules to theirs, of what stands before the blocks of a residual network; `ours` ends in a point or not."""
    names = {f"{ours}first": f"{theirs}.1", f"{ours}first_norm": f"{theirs}.2"}
    for i in range(halvings):
        names |= {f"{ours}down.{i}": f"{theirs}.{4 + 3 * i}", f"{ours}down_norm.{i}": f"{theirs}.{5 + 3 * i}"}
    return names


def back(ours: str, theirs: str, at: int, blocks: int, halvings: int, dropout: float = 0.0) -> dict[str, str]:
    """The same of the blocks, of which the first is number `at` there, and what doubles the size behind them."""
    names: dict[str, str] = {}
    second = 6 if dropout > 0 else 5
    for i in range(blocks):
        mine, inside = f"{ours}blocks.{i}", f"{theirs}.{at + i}.conv_block"
        names |= {f"{mine}.convolution1": f"{inside}.1", f"{mine}.norm1": f"{inside}.2"}
        names |= {f"{mine}.convolution2": f"{inside}.{second}", f"{mine}.norm2": f"{inside}.{second + 1}"}
    for i in range(halvings):
        number = at + blocks + 3 * i
        names |= {f"{ours}up.{i}": f"{theirs}.{number}", f"{ours}up_norm.{i}": f"{theirs}.{number + 1}"}
    return names


def resnet(tensors: Tensors) -> Arguments:
    """The arguments of a whole residual generator; ValueError where it is none."""
    found = residual(tensors)
    output = 4 + 6 * found["halvings"] + found["blocks"] + 1
    return {**found, "out_channels": size(tensors, f"model.{output}.weight", 0)}


def resnet_modules(arguments: Arguments) -> dict[str, str]:
    """Our modules of a residual generator to theirs."""
    halvings, blocks = arguments.get("halvings", 2), arguments["blocks"]
    first = 4 + 3 * halvings
    names = front("", "model", halvings) | back("", "model", first, blocks, halvings, arguments["dropout"])
    return names | {"output": f"model.{first + blocks + 3 * halvings + 1}"}


def is_resnet(tensors: Tensors) -> bool:
    """Whether tensors have a residual generator's marks."""
    return side(tensors, "model.1.weight") == 7 and any(".conv_block." in key for key in tensors)
