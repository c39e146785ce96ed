"""How pix2pixHD names the tensors of its networks.

Its discriminator counts scales from the coarsest: with three, `scale2_...` (or `layer2`) sees the picture at full size.
With intermediate features, which feature matching needs and which is its default, each layer has a name of its own;
without, those of a scale stand in one sequence. Its batch norms and instance norms (which have no tensors) both follow
convolutions with biases.
"""

from __future__ import annotations

from citygan.models.patchgan import LAYERS
from citygan.weights.row import (
    Arguments,
    Format,
    Tensors,
    back,
    counted,
    front,
    is_resnet,
    need,
    patches,
    residual,
    resnet,
    resnet_modules,
    side,
    size,
)

NAME = "pix2pixHD"


def _saved(arguments: Arguments) -> Arguments:
    need(arguments, dropout=0.0, norm=("batch", "instance"))
    return {**arguments, "bias": "all"}


def _norm(tensors: Tensors) -> Arguments:
    batch = any(key.endswith(".running_mean") for key in tensors)
    return {"norm": "batch" if batch else "instance", "bias": "all"}


def _is_global(tensors: Tensors) -> bool:
    return is_resnet(tensors) and not any(key.startswith("model.10.conv_block.") for key in tensors)


# the local enhancer


def _local(tensors: Tensors) -> Arguments:
    found = residual(tensors)
    del found["dropout"]  # there is none
    last = counted(tensors, lambda i: f"model{i}_1.1.weight", 1)
    blocks = counted(tensors, lambda i: f"model{last}_2.{i}.conv_block.1.weight")
    return {
        **found,
        **_norm(tensors),
        "out_channels": size(tensors, f"model{last}_2.{blocks + 4}.weight", 0),
        "width": size(tensors, f"model{last}_1.1.weight", 0),
        "enhancers": last,
        "local_blocks": blocks,
    }


def _local_modules(arguments: Arguments) -> dict[str, str]:
    halvings, blocks = arguments["halvings"], arguments["local_blocks"]
    names = front("coarse.", "model", halvings)
    names |= back("coarse.", "model", 4 + 3 * halvings, arguments["blocks"], halvings)
    for i in range(arguments["enhancers"]):
        ours = f"enhancers.{i}."
        names |= front(ours, f"model{i + 1}_1", 1) | back(ours, f"model{i + 1}_2", 0, blocks, 1)
    return names | {"output": f"model{arguments['enhancers']}_2.{blocks + 4}"}


# the discriminator


def _multiscale(tensors: Tensors) -> Arguments:
    layers = counted(tensors, lambda i: f"scale0_layer{i}.0.weight") - 2
    return {
        **patches(tensors, "scale0_layer0.0.weight", layers),
        **_norm(tensors),
        "scales": counted(tensors, lambda i: f"scale{i}_layer0.0.weight"),
    }


def _multiscale_modules(arguments: Arguments) -> dict[str, str]:
    layers, scales = LAYERS[arguments["receptive_field"]], arguments["scales"]
    names: dict[str, str] = {}
    for i in range(scales):
        ours, theirs = f"scales.{i}", f"scale{scales - 1 - i}_layer"
        for j in range(layers + 1):
            names |= {f"{ours}.convolutions.{j}": f"{theirs}{j}.0", f"{ours}.norms.{j}": f"{theirs}{j}.1"}
        names[f"{ours}.output"] = f"{theirs}{layers + 1}.0"
    return names


def _sequences(tensors: Tensors) -> Arguments:
    layers = counted(tensors, lambda i: f"layer0.{2 + 3 * i}.weight") - 1
    return {
        **patches(tensors, "layer0.0.weight", layers),
        **_norm(tensors),
        "scales": counted(tensors, lambda i: f"layer{i}.0.weight"),
    }


def _sequences_modules(arguments: Arguments) -> dict[str, str]:
    layers, scales = LAYERS[arguments["receptive_field"]], arguments["scales"]
    names: dict[str, str] = {}
    for i in range(scales):
        ours, theirs = f"scales.{i}", f"layer{scales - 1 - i}"
        names |= {f"{ours}.convolutions.0": f"{theirs}.0", f"{ours}.output": f"{theirs}.{2 + 3 * layers}"}
        for j in range(1, layers + 1):
            at = 3 * j - 1
            names |= {f"{ours}.convolutions.{j}": f"{theirs}.{at}", f"{ours}.norms.{j}": f"{theirs}.{at + 1}"}
    return names


ROWS: tuple[Format, ...] = (
    Format(
        NAME, "local enhancer", "generator", "local-enhancer",
        lambda t: "model1_1.1.weight" in t, _local, _local_modules, _saved,
    ),
    Format(NAME, "global generator", "generator", "resnet", _is_global, resnet, resnet_modules, _saved),
    Format(
        NAME, "multi-scale discriminator", "discriminator", "multiscale",
        lambda t: side(t, "scale0_layer0.0.weight") == 4, _multiscale, _multiscale_modules, _saved,
    ),
    Format(
        NAME, "multi-scale discriminator without features", "discriminator", "multiscale",
        lambda t: side(t, "layer0.0.weight") == 4, _sequences, _sequences_modules, _saved,
    ),
)  # fmt: skip
