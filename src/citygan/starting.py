"""The weights that networks start from: another run's, a file's, published ones. Nothing is ever fetched."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from citygan.config import Settings
from citygan.errors import DamagedError, UsageError
from citygan.files import read_bytes, runs_home
from citygan.models.enhancer import LocalEnhancer
from citygan.models.pretrained import Pretrainable
from citygan.models.trunk import PUBLISHED_WIDTH
from citygan.runnames import names
from citygan.runs import GENERATOR, SEGMENTER, check_kind
from citygan.train.checkpoint import load_network, path_of, read_part, read_state, steps
from citygan.weightfiles import RANDOM, Found, find_weights
from citygan.weights import import_state_dict, read_state_dict, read_weights, refit
from citygan.weights.layouts import SETTINGS, flags_of

WANTED = (
    "--init FILE takes a generator's state dict, such as latest_net_G.pth of pytorch-CycleGAN-and-pix2pix; "
    "citygan weights import makes a run of it, with its discriminator by --discriminator FILE"
)


def newest_imported() -> str:
    """The name of the run of imported weights that was made last.

    Raises:
        UsageError: There is none; how to come by one is told.
    """
    found = _newest(lambda state: bool(state.get("imported")) and state.get("kind", GENERATOR) == GENERATOR)
    if found is None:
        raise UsageError("this model starts from trained weights, and none are given", where="--init", hint=WANTED)
    return found


def newest_of(models: Collection[str]) -> str:
    """The name of the run of one of these models whose newest checkpoint was made last.

    Raises:
        UsageError: There is none; the command that makes one is told.
    """
    found = _newest(lambda state: state.get("model") in models)
    if found is None:
        first = next(iter(models))
        raise UsageError(
            f"this model goes on from a trained {first}, and there is none",
            where="--init",
            hint=f"citygan train --model {first}, then this again",
        )
    return found


def _newest(fits: Callable[[Mapping[str, Any]], bool]) -> str | None:
    """The name of the run whose newest checkpoint was made last, of those whose newest has a record that fits."""
    found: list[tuple[str, str]] = []
    for name in names():
        folder = runs_home() / name / "checkpoints"
        with contextlib.suppress(DamagedError):
            for step in steps(folder)[-1:]:
                state = read_state(path_of(folder, step))
                if fits(state):
                    found.append((str(state.get("time")), name))
    return max(found)[1] if found else None


# what a model that goes on from another's run takes over from it
_TAKEN_OVER = ("input", "output", "edges", "dned", "features", "generator", "discriminator")


def settings_to_build_on(start: Path, models: Collection[str]) -> dict[str, Any]:
    """The settings of a run's networks and of what they are shown, for a model that goes on from it.

    Args:
        start: A checkpoint's folder.
        models: Those that it may be of.

    Raises:
        UsageError: It is a file, or of another model.
        DamagedError: It is not whole.
    """
    if start.is_file():
        hint = "--init names a run"
        raise UsageError("a file of weights does not say what they are shown", where=start, hint=hint)
    state = read_state(start)
    if state.get("model") not in models:
        raise UsageError(
            f"a run of {state.get('model')}, and this model goes on from one of: {', '.join(models)}",
            where="--init",
            hint=f"citygan train --model {next(iter(models))} makes one",
        )
    return settings_going_on(state["settings"], bool((state.get("skeleton") or {}).get("network")))


def settings_going_on(settings: Mapping[str, Any], shown: bool) -> dict[str, Any]:
    """What a model that goes on from a run with these settings takes over from it.

    Args:
        settings: Of that run, nested.
        shown: Whether its generator was last shown the edge network's edges: it goes on in that stage.
    """
    known = {item.name: getattr(Settings(), item.name) for item in dataclasses.fields(Settings)}
    found = {
        group: {key: value for key, value in values.items() if hasattr(known[group], key)}
        for group, values in settings.items()
        if group in _TAKEN_OVER
    }
    if "dned" in found:
        found["dned"]["from_share"] = None if found["dned"]["from_share"] is None else 0.0 if shown else 1.0
    found["generator"] |= {"global_share": 0.0, "local_share": 0.0}
    return found


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


def initialise(networks: Mapping[str, nn.Module], settings: Settings, start: Path | None) -> dict[str, Found]:
    """Gives networks the weights that they start from: another run's, and for what it lacks published ones.

    Args:
        start: A checkpoint's folder, or a file of weights; None: neither.

    Returns:
        What each network was filled with, by its name; those that start as they are drawn are left out.

    Raises:
        DamagedError: The checkpoint or a file of weights is not whole, or does not fit.
        MachineError: Weights are missing.
        UsageError: There are none for networks of that width.
    """
    filled = start_from(networks, start) if start is not None else {}
    choices = dataclasses.asdict(settings.weights)
    for name, network in networks.items():
        if name not in filled and isinstance(network, Pretrainable):
            filled[name] = fill_published(network, choices[network.pretrained])
    return filled


def random_ones(filled: Mapping[str, Found]) -> list[str]:
    """The weights, by `weights.NAME`, that are random and would have been published ones."""
    return [found.name for found in filled.values() if found.name is not None and found.path is None]


def start_from(networks: Mapping[str, nn.Module], folder: Path) -> dict[str, Found]:
    """Fills networks from another run's checkpoint: its main network, and its discriminator where both have one.

    Of a file of weights, which holds one network, that one is filled.

    Returns:
        Those filled, by name, each with its file.

    Raises:
        DamagedError: It is not whole, or does not fit.
        UsageError: It is a run of another kind.
    """
    main = SEGMENTER if SEGMENTER in networks else "generator"
    if folder.is_file():
        return _start_from_file(networks, folder)
    check_kind(folder, main, "--init")
    state = read_state(folder)
    filled = {}
    for name, network in networks.items():
        part = str(state.get("use", name)) if name == main else name
        if name != main and f"{name}-ema" in state["files"]:
            part = f"{name}-ema"
        if name == main or part in state["files"]:
            tensors = refit(read_part(folder, state, part), network)
            if isinstance(network, LocalEnhancer) and not hasattr(network, "coarse_output"):
                # what the global generator painted alone with, in a phase that is over
                tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("coarse_output.")}
            file = folder / f"{part}.safetensors"
            try:
                load_network(network, tensors, file)
            except DamagedError as problem:
                built = state["networks"][name]
                flags = flags_of(name, built["name"], built["arguments"])
                raise DamagedError(problem.what, where=problem.where, hint=f"Try {flags}") from problem
            filled[name] = Found(None, file, state["files"][part]["sha256"])
    return filled


def _start_from_file(networks: Mapping[str, nn.Module], path: Path) -> dict[str, Found]:
    """Fills the network that a state dict is of."""
    found = import_state_dict(*_with_record(path))
    if found.role not in networks:
        raise UsageError(
            f"weights of a {found.role}, and this model has none ({found})",
            where=path,
            hint="Give the generator's file to --init",
        )
    try:
        load_network(networks[found.role], refit(found.tensors, networks[found.role]), path)
    except DamagedError as problem:
        raise DamagedError(
            f"{problem.what}; the file holds {found}", where=path, hint=f"Try {found.flags}"
        ) from problem
    digest = hashlib.sha256(read_bytes(path, error=DamagedError)).hexdigest()
    return {found.role: Found(None, path, digest)}


def _with_record(path: Path) -> tuple[dict[str, torch.Tensor], Path, dict[str, Any] | None]:
    tensors, record = read_weights(path)
    return tensors, path, record


def fill_published(network: Pretrainable, choice: str | None) -> Found:
    """Fills what a network has published weights for.

    Args:
        choice: `weights.NAME` of the settings: a file, None for torchvision's, or `random`, which leaves the network
            as it is.

    Returns:
        What it was filled with.

    Raises:
        MachineError: The file is not on this machine.
        DamagedError: The file is damaged, another one than its name says, or does not fit.
        UsageError: The network's width is not the published one.
    """
    name = network.pretrained
    instead = f"--set weights.{name}={RANDOM} does without"
    if choice != RANDOM and not network.published_shape:
        raise UsageError(
            f"there are no published weights for a {name} whose width is not {PUBLISHED_WIDTH}",
            where=f"weights.{name}",
            hint=instead,
        )
    found = find_weights(name, {} if choice is None else {name: choice}, instead)
    if found.path is None or found.sha256 is None:
        return found
    told = re.search(r"-([0-9a-f]{8,64})\.pth$", found.path.name)  # as torchvision's do: resnet18-f37072fd.pth
    if told is not None and not found.sha256.startswith(told[1]):
        raise DamagedError("its sha256 is not the one in its name: cut short or damaged", where=found.path)
    try:
        network.load_pretrained(read_state_dict(found.path))
    except ValueError as problem:
        raise DamagedError(f"the weights do not fit {name}: {problem}", where=found.path, hint=instead) from problem
    return found
