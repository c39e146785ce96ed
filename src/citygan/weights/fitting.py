"""Biases that a norm makes superfluous: added as zeros, or folded into its mean, so that the sums stay the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

# a convolution of ours, by itself or in a part of a network, and the norm behind it
_BEHIND = (
    (r"(.*\.)?(down|up)\.(\d+)", r"\1\2_norm.\3"),
    (r"(.*\.)?first", r"\1first_norm"),
    (r"(.*\.)?(blocks\.\d+)\.convolution([12])", r"\1\2.norm\3"),
    (r"(.*\.)?convolutions\.(\d+)", r"\1norms.\2"),
    (r"second", "norm"),
)


def refit(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Tensors for a network that differs from the one they were made for in its biases alone.

    A bias that they lack is 0. One that the network lacks moves into the running mean of the batch norm behind it, or
    goes where an instance norm takes it away; where there is neither, it stays, unless it is 0 all over, and whoever
    loads the tensors finds it left over.

    Args:
        tensors: By our names.
        network: On any device, `meta` too.
    """
    own = network.state_dict()
    fitted = dict(tensors)
    for key, tensor in own.items():
        bare = key.removesuffix(".bias")
        if key not in fitted and key != bare and f"{bare}.weight" in fitted and f"{bare}.running_mean" not in own:
            fitted[key] = torch.zeros(tensor.shape)
    modules = dict(network.named_modules())
    for key in [key for key in fitted if key.endswith(".bias") and key not in own]:
        norm = norm_behind(key.removesuffix(".bias"))
        mean = f"{norm}.running_mean"
        if mean in own and mean in fitted and fitted[mean].shape == fitted[key].shape:
            fitted[mean] = fitted[mean] - fitted[key].to(fitted[mean])
            del fitted[key]
        elif type(modules.get(norm or "")).__name__ == "InstanceNorm2d" or not bool(fitted[key].any()):
            del fitted[key]
    return fitted


def norm_behind(convolution: str) -> str | None:
    """The name of the norm that follows a convolution, whether the network has one there or not."""
    for pattern, norm in _BEHIND:
        found = re.fullmatch(pattern, convolution)
        if found is not None:
            return found.expand(norm)
    return None
