"""How public implementations name the tensors of our networks: one row a network, read in both directions.

| format | networks |
|---|---|
| pytorch-CycleGAN-and-pix2pix | ``networks.py``: U-Net of any depth, ResNet of 6 or 9 blocks, PatchGAN, PixelGAN |
| pytorch-pix2pix | ``network.py``: ``generator(d)``, ``discriminator(d)`` |
| pix2pixHD | ``networks.py``: ``GlobalGenerator``, ``LocalEnhancer``, ``MultiscaleDiscriminator`` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citygan.models.patchgan import LAYERS
from citygan.weights import pix2pixhd
from citygan.weights.row import (
    Arguments,
    Format,
    Tensors,
    counted,
    is_resnet,
    need,
    norm_of,
    patches,
    resnet,
    resnet_modules,
    side,
    size,
)

CYCLEGAN, PIX2PIX = "pytorch-CycleGAN-and-pix2pix", "pytorch-pix2pix"


def _public_bias(arguments: Mapping[str, Any], without: str) -> str:
    return "all" if arguments.get("norm", "batch") == "instance" else without


# U-Nets


def _block(i: int) -> str:
    """The i-th block of the nested ones, from 1."""
    return "model.model.1" + ".model.3" * (i - 1) + ".model"


def _unet(tensors: Tensors) -> Arguments:
    depth = 1 + counted(tensors, lambda i: f"{_block(i)}.1.weight", 1)
    return {
        "in_channels": size(tensors, "model.model.0.weight", 1),
        "out_channels": size(tensors, "model.model.3.weight", 1),
        "width": size(tensors, "model.model.0.weight", 0),
        "depth": depth,
        "dropout_place": "behind",
        **norm_of(tensors, f"{_block(1)}.1"),
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
    need(arguments, skips=True, upsample="transposed", norm_ends=False, depth=tuple(range(5, 17)))
    return {**arguments, "bias": _public_bias(arguments, "output")}


def _pix2pix_unet(tensors: Tensors) -> Arguments:
    depth = 1 + counted(tensors, lambda i: f"conv{i}.weight", 2)
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
    need(arguments, skips=True, upsample="transposed", norm_ends=False, depth=8, norm="batch", **channels)
    return {**arguments, "bias": "all"}


# ResNets


def _resnet_saved(arguments: Arguments) -> Arguments:
    need(arguments, blocks=(6, 9), halvings=2)
    return {**arguments, "bias": _public_bias(arguments, "output")}


# discriminators


def _patchgan(tensors: Tensors) -> Arguments:
    layers = counted(tensors, lambda i: f"model.{2 + 3 * i}.weight") - 1
    norm = norm_of(tensors, "model.2")
    return patches(tensors, "model.0.weight", layers) | norm | {"bias": {"output": "ends"}.get(norm["bias"], "all")}


def _patchgan_modules(arguments: Arguments) -> dict[str, str]:
    layers = LAYERS[arguments["receptive_field"]]
    names = {"convolutions.0": "model.0", "output": f"model.{2 + 3 * layers}"}
    for i in range(layers):
        names |= {f"convolutions.{i + 1}": f"model.{2 + 3 * i}", f"norms.{i + 1}": f"model.{3 + 3 * i}"}
    return names


def _patchgan_saved(arguments: Arguments) -> Arguments:
    return {**arguments, "bias": _public_bias(arguments, "ends")}


def _pix2pix_patchgan(tensors: Tensors) -> Arguments:
    layers = counted(tensors, lambda i: f"conv{i}.weight", 1) - 2
    return patches(tensors, "conv1.weight", layers) | {"norm": "batch", "bias": "all"}


def _pix2pix_patchgan_modules(arguments: Arguments) -> dict[str, str]:
    layers = LAYERS[arguments["receptive_field"]]
    names = {"output": f"conv{layers + 2}"}
    for i in range(layers + 1):
        names |= {f"convolutions.{i}": f"conv{i + 1}", f"norms.{i}": f"conv{i + 1}_bn"}
    return names


def _pix2pix_patchgan_saved(arguments: Arguments) -> Arguments:
    need(arguments, receptive_field=70, norm="batch", in_channels=6)
    return {**arguments, "bias": "all"}


def _pixelgan(tensors: Tensors) -> Arguments:
    norm = norm_of(tensors, "net.2")
    sides = {"in_channels": size(tensors, "net.0.weight", 1), "width": size(tensors, "net.0.weight", 0)}
    return sides | norm | {"bias": {"output": "first"}.get(norm["bias"], "all")}


def _pixelgan_modules(arguments: Arguments) -> dict[str, str]:
    return {"first": "net.0", "second": "net.2", "norm": "net.3", "output": "net.5"}


def _pixelgan_saved(arguments: Arguments) -> Arguments:
    return {**arguments, "bias": _public_bias(arguments, "first")}


FORMATS: tuple[Format, ...] = (
    Format(
        CYCLEGAN, "U-Net", "generator", "unet",
        lambda t: "model.model.0.weight" in t, _unet, _unet_modules, _unet_saved,
    ),
    *pix2pixhd.ROWS,  # the global generator before the other ResNets, of which it has all marks
    Format(CYCLEGAN, "ResNet", "generator", "resnet", is_resnet, resnet, resnet_modules, _resnet_saved),
    Format(
        CYCLEGAN, "PatchGAN", "discriminator", "patchgan",
        lambda t: side(t, "model.0.weight") == 4, _patchgan, _patchgan_modules, _patchgan_saved,
    ),
    Format(
        CYCLEGAN, "PixelGAN", "discriminator", "pixelgan",
        lambda t: side(t, "net.0.weight") == 1, _pixelgan, _pixelgan_modules, _pixelgan_saved,
    ),
    Format(
        PIX2PIX, "generator", "generator", "unet",
        lambda t: "deconv1.weight" in t and "conv1.weight" in t,
        _pix2pix_unet, _pix2pix_unet_modules, _pix2pix_unet_saved,
        lambda arguments: tuple(f"up.{i}.weight" for i in range(1, arguments["depth"])),  # decoder before encoder
    ),
    Format(
        PIX2PIX, "discriminator", "discriminator", "patchgan",
        lambda t: side(t, "conv1.weight") == 4 and "conv2_bn.weight" in t,
        _pix2pix_patchgan, _pix2pix_patchgan_modules, _pix2pix_patchgan_saved,
    ),
)  # fmt: skip

# marks of layouts that are known by sight and not built here: (beginning of a key, what it is, what to do instead)
RECOGNISED: tuple[tuple[str, str, str], ...] = (
    ("layer5.conv2d_list.", "AdaptSegNet's or ADVENT's DeepLabV2", "It is a segmenter"),
    ("layer6.conv2d_list.", "AdaptSegNet's or ADVENT's DeepLabV2", "It is a segmenter"),
    ("classifier.conv2d_list.", "AdaptSegNet's DeepLabV2 on VGG-16", "It is a segmenter"),
    ("layer1.0.conv1.", "torchvision's ResNet", "--set weights.NAME=PATH of train takes it"),
    ("backbone.layer1.", "torchvision's DeepLabV3", "--set weights.NAME=PATH of train takes it"),
    ("features.0.", "torchvision's VGG or AlexNet", "--set weights.NAME=PATH of train and evaluate takes it"),
)
