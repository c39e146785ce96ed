"""How public implementations name the tensors of our networks: one row a network, read in both directions.

| format | networks |
|---|---|
| pytorch-CycleGAN-and-pix2pix | ``networks.py``: U-Net of any depth, ResNet of 6 or 9 blocks, PatchGAN, PixelGAN |
| pytorch-pix2pix | ``network.py``: ``generator(d)``, ``discriminator(d)`` |
| pix2pixHD | ``networks.py``: ``GlobalGenerator`` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from torch import Tensor

from citygan.models.patchgan import LAYERS

Tensors = Mapping[str, Tensor]
Arguments = dict[str, Any]
CYCLEGAN, PIX2PIX, PIX2PIXHD = "pytorch-CycleGAN-and-pix2pix", "pytorch-pix2pix", "pix2pixHD"
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


def _norm(tensors: Tensors, inside: str) -> Arguments:
    """Norm and biases: batch norm is saved with its statistics, instance norm as biases of the convolutions before."""
    bias = f"{inside}.bias" in tensors
    if any(key.endswith(".running_mean") for key in tensors):
        return {"norm": "batch", "bias": "all" if bias else "output"}
    return {"norm": "instance", "bias": "all"} if bias else {"norm": "none", "bias": "output"}


def _need(arguments: Mapping[str, Any], **wanted: Any) -> None:
    """Refuses arguments that an implementation has no word for."""
    for key, value in wanted.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if key in arguments and arguments[key] not in allowed:
            raise ValueError(f"it knows no {key}={arguments[key]}")


def _public_bias(arguments: Mapping[str, Any], without: str) -> str:
    return "all" if arguments.get("norm", "batch") == "instance" else without


# U-Nets


def _block(i: int) -> str:
    """The i-th block of the nested ones, from 1."""
    return "model.model.1" + ".model.3" * (i - 1) + ".model"


def _unet(tensors: Tensors) -> Arguments:
    depth = 1 + sum(1 for _ in takewhile(lambda i: f"{_block(i)}.1.weight" in tensors, count(1)))
    return {
        "in_channels": size(tensors, "model.model.0.weight", 1),
        "out_channels": size(tensors, "model.model.3.weight", 1),
        "width": size(tensors, "model.model.0.weight", 0),
        "depth": depth,
        "dropout_place": "behind",
        **_norm(tensors, f"{_block(1)}.1"),
    }


def _unet_modules(arguments: Arguments) -> dict[str, str]:
    depth = arguments["depth"]
    names = {"down.0": "model.model.0", f"up.{depth - 1}": "model.model.3"}
    for i in range(1, depth):
        inner = i == depth - 1
        names[f"down.{i}"] = f"{_block(i)}.1"
        if not inner:
            names[f"down_norm.{i}"] = f"{_block(i)}.2"
        names[f"up.{depth - 1 - i}"] = f"{_block(i)}.{3 if inner else 5}"
        names[f"up_norm.{depth - 1 - i}"] = f"{_block(i)}.{4 if inner else 6}"
    return names


def _unet_saved(arguments: Arguments) -> Arguments:
    _need(arguments, skips=True, upsample="transposed", norm_ends=False, depth=tuple(range(5, 17)))
    return {**arguments, "bias": _public_bias(arguments, "output")}


def _pix2pix_unet(tensors: Tensors) -> Arguments:
    depth = 1 + sum(1 for _ in takewhile(lambda i: f"conv{i}.weight" in tensors, count(2)))
    return {
        "in_channels": size(tensors, "conv1.weight", 1),
        "out_channels": size(tensors, f"deconv{depth}.weight", 1),
        "width": size(tensors, "conv1.weight", 0),
        "depth": depth,
        "bias": "all",
    }


def _pix2pix_unet_modules(arguments: Arguments) -> dict[str, str]:
    depth = arguments["depth"]
    names = {}
    for i in range(depth):
        names[f"down.{i}"] = f"conv{i + 1}"
        names[f"up.{i}"] = f"deconv{i + 1}"
        names[f"down_norm.{i}"] = f"conv{i + 1}_bn"
        names[f"up_norm.{i}"] = f"deconv{i + 1}_bn"
    return names


def _pix2pix_unet_saved(arguments: Arguments) -> Arguments:
    channels = {"in_channels": 3, "out_channels": 3}
    _need(arguments, skips=True, upsample="transposed", norm_ends=False, depth=8, norm="batch", **channels)
    return {**arguments, "bias": "all"}


# ResNets


def _first_block(tensors: Tensors) -> int:
    numbers = [int(k.split(".")[1]) for k in tensors if ".conv_block." in k and k.split(".")[1].isdecimal()]
    if not numbers or min(numbers) < 7 or (min(numbers) - 4) % 3:
        raise ValueError("missing: model.10.conv_block.1.weight")
    return min(numbers)


def _resnet(tensors: Tensors) -> Arguments:
    first = _first_block(tensors)
    halvings = (first - 4) // 3
    blocks = sum(1 for _ in takewhile(lambda i: f"model.{i}.conv_block.1.weight" in tensors, count(first)))
    second = tensors.get(f"model.{first}.conv_block.6.weight")
    return {
        "in_channels": size(tensors, "model.1.weight", 1),
        "out_channels": size(tensors, f"model.{first + blocks + 3 * halvings + 1}.weight", 0),
        "width": size(tensors, "model.1.weight", 0),
        "blocks": blocks,
        "dropout": 0.5 if second is not None and second.dim() == 4 else 0.0,  # its layer moves the names behind it
        "halvings": halvings,
        **_norm(tensors, "model.1"),
    }


def _resnet_modules(arguments: Arguments) -> dict[str, str]:
    halvings, blocks = arguments.get("halvings", 2), arguments["blocks"]
    names = {"first": "model.1", "first_norm": "model.2"}
    for i in range(halvings):
        names |= {f"down.{i}": f"model.{4 + 3 * i}", f"down_norm.{i}": f"model.{5 + 3 * i}"}
    first = 4 + 3 * halvings
    second = 6 if arguments["dropout"] > 0 else 5
    for i in range(blocks):
        inside = f"model.{first + i}.conv_block"
        names |= {f"blocks.{i}.convolution1": f"{inside}.1", f"blocks.{i}.norm1": f"{inside}.2"}
        names |= {f"blocks.{i}.convolution2": f"{inside}.{second}", f"blocks.{i}.norm2": f"{inside}.{second + 1}"}
    for i in range(halvings):
        at = first + blocks + 3 * i
        names |= {f"up.{i}": f"model.{at}", f"up_norm.{i}": f"model.{at + 1}"}
    return names | {"output": f"model.{first + blocks + 3 * halvings + 1}"}


def _resnet_saved(arguments: Arguments) -> Arguments:
    _need(arguments, blocks=(6, 9), halvings=2)
    return {**arguments, "bias": _public_bias(arguments, "output")}


def _hd_saved(arguments: Arguments) -> Arguments:
    _need(arguments, dropout=0.0, norm=("batch", "instance"))
    return {**arguments, "bias": "all"}


# discriminators


def _patchgan(tensors: Tensors) -> Arguments:
    layers = sum(1 for _ in takewhile(lambda i: f"model.{2 + 3 * i}.weight" in tensors, count())) - 1
    norm = _norm(tensors, "model.2")
    return _patches(tensors, "model.0.weight", layers) | norm | {"bias": {"output": "ends"}.get(norm["bias"], "all")}


def _patches(tensors: Tensors, first: str, layers: int) -> Arguments:
    if layers not in FIELDS:
        raise ValueError(f"{layers} layers of stride 2, and {', '.join(map(str, FIELDS))} are known")
    return {
        "in_channels": size(tensors, first, 1),
        "width": size(tensors, first, 0),
        "receptive_field": FIELDS[layers],
    }


def _patchgan_modules(arguments: Arguments) -> dict[str, str]:
    layers = LAYERS[arguments["receptive_field"]]
    names = {"convolutions.0": "model.0", "output": f"model.{2 + 3 * layers}"}
    for i in range(layers):
        names |= {f"convolutions.{i + 1}": f"model.{2 + 3 * i}", f"norms.{i + 1}": f"model.{3 + 3 * i}"}
    return names


def _patchgan_saved(arguments: Arguments) -> Arguments:
    return {**arguments, "bias": _public_bias(arguments, "ends")}


def _pix2pix_patchgan(tensors: Tensors) -> Arguments:
    layers = sum(1 for _ in takewhile(lambda i: f"conv{i}.weight" in tensors, count(1))) - 2
    return _patches(tensors, "conv1.weight", layers) | {"norm": "batch", "bias": "all"}


def _pix2pix_patchgan_modules(arguments: Arguments) -> dict[str, str]:
    layers = LAYERS[arguments["receptive_field"]]
    names = {"output": f"conv{layers + 2}"}
    for i in range(layers + 1):
        names |= {f"convolutions.{i}": f"conv{i + 1}", f"norms.{i}": f"conv{i + 1}_bn"}
    return names


def _pix2pix_patchgan_saved(arguments: Arguments) -> Arguments:
    _need(arguments, receptive_field=70, norm="batch", in_channels=6)
    return {**arguments, "bias": "all"}


def _pixelgan(tensors: Tensors) -> Arguments:
    norm = _norm(tensors, "net.2")
    sides = {"in_channels": size(tensors, "net.0.weight", 1), "width": size(tensors, "net.0.weight", 0)}
    return sides | norm | {"bias": {"output": "first"}.get(norm["bias"], "all")}


def _pixelgan_modules(arguments: Arguments) -> dict[str, str]:
    return {"first": "net.0", "second": "net.2", "norm": "net.3", "output": "net.5"}


def _pixelgan_saved(arguments: Arguments) -> Arguments:
    return {**arguments, "bias": _public_bias(arguments, "first")}


def _side(tensors: Tensors, key: str) -> int:
    tensor = tensors.get(key)
    return tensor.shape[-1] if tensor is not None and tensor.dim() == 4 else 0


def _is_resnet(tensors: Tensors) -> bool:
    return _side(tensors, "model.1.weight") == 7 and any(".conv_block." in key for key in tensors)


def _is_hd(tensors: Tensors) -> bool:
    return _is_resnet(tensors) and not any(key.startswith("model.10.conv_block.") for key in tensors)


FORMATS: tuple[Format, ...] = (
    Format(
        CYCLEGAN, "U-Net", "generator", "unet",
        lambda t: "model.model.0.weight" in t, _unet, _unet_modules, _unet_saved,
    ),
    Format(PIX2PIXHD, "global generator", "generator", "resnet", _is_hd, _resnet, _resnet_modules, _hd_saved),
    Format(CYCLEGAN, "ResNet", "generator", "resnet", _is_resnet, _resnet, _resnet_modules, _resnet_saved),
    Format(
        CYCLEGAN, "PatchGAN", "discriminator", "patchgan",
        lambda t: _side(t, "model.0.weight") == 4, _patchgan, _patchgan_modules, _patchgan_saved,
    ),
    Format(
        CYCLEGAN, "PixelGAN", "discriminator", "pixelgan",
        lambda t: _side(t, "net.0.weight") == 1, _pixelgan, _pixelgan_modules, _pixelgan_saved,
    ),
    Format(
        PIX2PIX, "generator", "generator", "unet",
        lambda t: "deconv1.weight" in t and "conv1.weight" in t,
        _pix2pix_unet, _pix2pix_unet_modules, _pix2pix_unet_saved,
        lambda arguments: tuple(f"up.{i}.weight" for i in range(1, arguments["depth"])),  # decoder before encoder
    ),
    Format(
        PIX2PIX, "discriminator", "discriminator", "patchgan",
        lambda t: _side(t, "conv1.weight") == 4 and "conv2_bn.weight" in t,
        _pix2pix_patchgan, _pix2pix_patchgan_modules, _pix2pix_patchgan_saved,
    ),
)  # fmt: skip

# marks of layouts that are known by sight and not built here: (beginning of a key, what it is, what to do instead)
RECOGNISED: tuple[tuple[str, str, str], ...] = (
    ("model1_1.", "pix2pixHD's local enhancer", "Its global generator can be imported"),
    ("scale0_layer0.", "pix2pixHD's multi-scale discriminator", "Its global generator can be imported"),
    ("layer5.conv2d_list.", "AdaptSegNet's or ADVENT's DeepLabV2", "It is a segmenter"),
    ("layer6.conv2d_list.", "AdaptSegNet's or ADVENT's DeepLabV2", "It is a segmenter"),
    ("classifier.conv2d_list.", "AdaptSegNet's DeepLabV2 on VGG-16", "It is a segmenter"),
    ("layer1.0.conv1.", "torchvision's ResNet", "--set weights.NAME=PATH of train takes it"),
    ("backbone.layer1.", "torchvision's DeepLabV3", "--set weights.NAME=PATH of train takes it"),
    ("features.0.", "torchvision's VGG or AlexNet", "--set weights.NAME=PATH of train and evaluate takes it"),
)
