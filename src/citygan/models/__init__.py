"""Networks, each by name in a table. A new one is its class and a row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from citygan.errors import UsageError, did_you_mean
from citygan.models.patchgan import PatchGAN
from citygan.models.unet import UNet

GENERATORS: dict[str, type[nn.Module]] = {"unet": UNet}
DISCRIMINATORS: dict[str, type[nn.Module]] = {"patchgan": PatchGAN}

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """A row of a table.

    Raises:
        UsageError: No such row; the names are listed.
    """
    if name not in table:
        hint = f"{did_you_mean(name, table)}There are: {', '.join(sorted(table))}"
        raise UsageError(f"no {what} named '{name}'", hint=hint)
    return table[name]
