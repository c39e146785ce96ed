"""Trained weights that a model builds on: which there are, and what their networks are like."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from citygan.errors import DamagedError, UsageError
from citygan.files import runs_home
from citygan.runnames import names
from citygan.runs import GENERATOR, kind_of
from citygan.train.checkpoint import path_of, read_state, steps
from citygan.weights import import_state_dict, read_weights
from citygan.weights.layouts import SETTINGS

WANTED = (
    "--init FILE takes a generator's state dict, such as latest_net_G.pth of pytorch-CycleGAN-and-pix2pix; "
    "citygan weights import makes a run of it, with its discriminator by --discriminator FILE"
)


def newest_imported() -> str:
    """The name of the run of imported weights that was made last.

    Raises:
        UsageError: There is none; how to come by one is told.
    """
    found: list[tuple[str, str]] = []
    for name in names():
        folder = runs_home() / name / "checkpoints"
        with contextlib.suppress(DamagedError):
            for step in steps(folder)[-1:]:
                state = read_state(path_of(folder, step))
                if state.get("imported") and kind_of(path_of(folder, step)) == GENERATOR:
                    found.append((str(state.get("time")), name))
    if not found:
        raise UsageError("this model starts from trained weights, and none are given", where="--init", hint=WANTED)
    return max(found)[1]


def networks_of(start: Path) -> dict[str, Any]:
    """Settings of the networks that weights are of, by role: those that a model must have to start from them.

    Args:
        start: A checkpoint's folder, or a file of weights.

    Raises:
        DamagedError: It is not whole, or of no known format.
    """
    if start.is_file():
        tensors, record = read_weights(start)
        network = import_state_dict(tensors, start, record)
        return {network.role: settings_of_network(network.name, network.arguments)}
    networks = read_state(start).get("networks", {})
    roles = [role for role in ("generator", "discriminator") if role in networks]
    return {role: settings_of_network(networks[role]["name"], networks[role]["arguments"]) for role in roles}


def settings_of_network(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A network's name, and those of its arguments that are settings."""
    return {"name": name} | {key: value for key, value in arguments.items() if key in SETTINGS}
