"""Checkpoints: folders of tensors with a record that is written last.

    checkpoints/00004000/    one *.safetensors per network and optimizer; state.json with the sha256 of each

A folder appears under its name when it is whole; what is damaged afterwards is found by size and checksum. Nothing
but tensors and JSON is ever read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from citygan.errors import DamagedError
from citygan.files import guard, new_folder, read_bytes, read_json, write_json

FORMAT = 1
Tensors = dict[str, Tensor]


def save(folder: Path, parts: dict[str, Tensors], state: dict[str, Any]) -> None:
    """Writes a checkpoint.

    Args:
        parts: Name of a network or optimizer to its tensors.
        state: What else is needed to use or go on with them; plain JSON values.

    Raises:
        MachineError: It cannot be written; what was there before stays.
    """
    with new_folder(folder, replace=True) as temporary:
        files = {}
        for name, tensors in parts.items():
            file = temporary / f"{name}.safetensors"
            plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
            data = safetensors.torch.save(plain)
            with guard(folder, len(data)):
                file.write_bytes(data)
            files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        record = {"format": FORMAT, **state, "files": files}
        write_json(temporary / "state.json", {**record, "sha256": _digest(record)})


def read_state(folder: Path) -> dict[str, Any]:
    """The record of a checkpoint.

    Raises:
        DamagedError: There is none, it cannot be read, or a newer version wrote it.
    """
    if not (folder / "state.json").is_file():
        raise DamagedError("not a checkpoint: there is no state.json in it", where=folder)
    state = read_json(folder / "state.json")
    version = state.get("format")
    if not isinstance(version, int) or not isinstance(state.get("files"), dict):
        raise DamagedError("not a checkpoint's state.json", where=folder / "state.json")
    if version > FORMAT:
        raise DamagedError(
            f"made by a newer citygan (format {version}, this one reads up to {FORMAT})",
            where=folder,
            hint="Install that version: pip install -U citygan",
        )
    if state.pop("sha256", None) != _digest(state):
        raise DamagedError("its checksum is not the recorded one: damaged or edited", where=folder / "state.json")
    return state


def used_sha256(folder: Path) -> str | None:
    """sha256 of the weights that a checkpoint is used with; None where its record does not tell.

    Raises:
        DamagedError: As `read_state`.
    """
    state = read_state(folder)
    found: str | None = state["files"].get(state.get("use"), {}).get("sha256")
    return found


def _digest(record: dict[str, Any]) -> str:
    """sha256 of a record, whatever the order and spacing of its JSON."""
    plain = json.loads(json.dumps(record))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("ascii")).hexdigest()


def read_part(folder: Path, state: dict[str, Any], name: str) -> Tensors:
    """The tensors of one network or optimizer.

    Raises:
        DamagedError: Missing, of another size or checksum than recorded, not tensors, or with NaN in it.
    """
    record = state["files"].get(name)
    path = folder / f"{name}.safetensors"
    if not isinstance(record, dict):
        raise DamagedError(f"it has no {name}", where=folder, hint=f"It has: {', '.join(sorted(state['files']))}")
    data = read_bytes(path, error=DamagedError)
    if len(data) != record.get("bytes"):
        raise DamagedError(f"{len(data)} bytes instead of {record.get('bytes')}: cut short or replaced", where=path)
    if hashlib.sha256(data).hexdigest() != record.get("sha256"):
        raise DamagedError("its checksum is not the recorded one: damaged or replaced", where=path)
    try:
        tensors = safetensors.torch.load(data)
    except Exception as problem:  # safetensors raises its own error and several built-in ones
        raise DamagedError(f"not a safetensors file ({problem})", where=path) from problem
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DamagedError(f"{key} holds values that are not finite", where=path, hint="Take an earlier checkpoint")
    return tensors


def check_whole(folder: Path) -> dict[str, Any]:
    """The record of a checkpoint whose every part is there and as recorded.

    Raises:
        DamagedError: It is not.
    """
    state = read_state(folder)
    for name in state["files"]:
        read_part(folder, state, name)
    return state


def load_network(network: torch.nn.Module, tensors: Tensors, where: Path) -> None:
    """Fills a network, strictly.

    Raises:
        DamagedError: Other keys or shapes; the first that differ are named from both sides.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in tensors]
    unknown = [key for key in tensors if key not in own]
    shapes = [
        f"{key} is {tuple(tensors[key].shape)} there and {tuple(own[key].shape)} here"
        for key in own
        if key in tensors and own[key].shape != tensors[key].shape
    ]
    if missing or unknown or shapes:
        parts = []
        if shapes:
            parts.append("; ".join(shapes[:3]))
        if missing:
            parts.append(f"{len(missing)} not there, first {missing[0]}")
        if unknown:
            parts.append(f"{len(unknown)} unknown here, first {unknown[0]}")
        raise DamagedError(f"the weights do not fit the network: {'; '.join(parts)}", where=where)
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(tensors[key])


def steps(folder: Path) -> list[int]:
    """The steps of which there is a checkpoint with a record, ascending."""
    found = []
    if folder.is_dir():
        for entry in os.scandir(folder):
            if entry.name.isdecimal() and os.path.isfile(os.path.join(entry.path, "state.json")):
                found.append(int(entry.name))
    return sorted(found)


def path_of(folder: Path, step: int) -> Path:
    """The folder of a step's checkpoint among `folder`, a run's ``checkpoints``."""
    return folder / f"{step:08d}"


def best_step(folder: Path) -> int | None:
    """The step of the highest score, the earlier of equals; damaged records have none."""
    known = []
    for step in steps(folder):
        with contextlib.suppress(DamagedError):
            score = read_state(path_of(folder, step)).get("score")
            if isinstance(score, int | float):
                known.append((score, -step))
    return -max(known)[1] if known else None


def set_aside(folder: Path) -> None:
    """Takes a damaged checkpoint out of the reckoning, under a name that says so."""
    name = f"damaged-{folder.name}"
    with guard(folder):
        shutil.rmtree(folder.with_name(name), ignore_errors=True)
        os.replace(folder, folder.with_name(name))


def prune(folder: Path, keep_last: int = 2) -> None:
    """Keeps the last ones and the best."""
    there = steps(folder)
    keep = {*there[-keep_last:], best_step(folder)}
    for step in there:
        if step not in keep:
            # the record goes first: half a folder without it does not exist for any reader
            (path_of(folder, step) / "state.json").unlink(missing_ok=True)
            shutil.rmtree(path_of(folder, step), ignore_errors=True)
