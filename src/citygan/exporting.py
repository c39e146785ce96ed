"""A run's networks as other programs take them: ONNX, safetensors, state dicts of the public implementations."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from citygan.errors import DamagedError, UsageError, did_you_mean
from citygan.files import write_bytes
from citygan.progress import say
from citygan.runs import checkpoint_folder
from citygan.train.checkpoint import load_network, read_part, read_state
from citygan.weights import FORMATS
from citygan.weights.layouts import bare, export_state_dict, table_of
from citygan.weights.reading import OWN

ONNX, SAFETENSORS = "onnx", "safetensors"
NAMES = (ONNX, SAFETENSORS, *dict.fromkeys(row.name for row in FORMATS))


def export(
    run: str | Path | None,
    out: Path,
    *,
    format: str | None = None,
    checkpoint: str = "last",
    role: str = "generator",
    force: bool = False,
) -> str:
    """Writes a network of a run.

    Args:
        format: A row of `NAMES`; None: by the file's ending.
        role: `generator` or `discriminator`.
        force: Overwrite what exists.

    Returns:
        What was written, in words.

    Raises:
        UsageError: No such format, run or network; the format cannot hold it; the file exists.
        DamagedError: The checkpoint is not whole.
        MachineError: The packages for ONNX are missing, it does not agree with ours, or it cannot be written.
    """
    kind = _kind(out, format)
    if out.is_dir():
        raise UsageError("is a folder", where=out, hint="Name the file to write")
    if out.exists() and not force:
        raise UsageError("exists already", where=out, hint="--force overwrites it")
    folder = checkpoint_folder(run, checkpoint)
    state = read_state(folder)
    if role not in ("generator", "discriminator"):
        raise UsageError(f"no network '{role}'", where="--network", hint="generator or discriminator")
    part = str(state.get("use", role)) if role == "generator" else role
    if part not in state["files"]:
        raise UsageError(f"it has no {role}", where=folder, hint=f"It has: {', '.join(sorted(state['files']))}")
    try:
        record = {
            "role": role,
            "name": state["networks"][role]["name"],
            "arguments": state["networks"][role]["arguments"],
        }
        network = bare(role, record["name"], record["arguments"])
    except Exception as problem:  # whatever there is in a record that somebody made up
        raise DamagedError(f"its record does not describe a {role} ({problem})", where=folder) from problem
    tensors = read_part(folder, state, part)
    load_network(network, tensors, folder / f"{part}.safetensors")  # finds what does not fit
    if role == "generator":
        record |= {key: state.get(key) for key in ("inputs", "outputs", "inference")}
        beside = {key: state["networks"][key]["arguments"] for key in ("dned", "encoder") if key in state["networks"]}
        if state.get("skeleton") is not None or beside:
            record["beside"] = {"skeleton": state.get("skeleton"), **beside}
            say("the generator alone: behind its input come the channels shown beside it (docs/sflow.md)")
    if kind == ONNX:
        from citygan.onnxfile import to_onnx

        network = table_of(role)[record["name"]](**record["arguments"])
        load_network(network, tensors, folder)
        data, what = to_onnx(network, int(record["arguments"]["in_channels"]), json.dumps(record), out)
        if state.get("inference") != "deterministic" and role == "generator":
            say("deterministic: running statistics, no dropout; this run translates otherwise unless --mode says so")
    elif kind == SAFETENSORS:
        plain = {key: tensor.contiguous() for key, tensor in tensors.items()}
        data = safetensors.torch.save(plain, metadata={"format": "pt", OWN: json.dumps(record)})
        what = "safetensors by our names"
    else:
        data, what = _public(kind, record, tensors)
    write_bytes(out, data)
    return what


def _kind(out: Path, given: str | None) -> str:
    """The format: as given, or by the file's ending; `` for any public one that can hold the network."""
    if given is not None:
        if given not in NAMES:
            hint = f"{did_you_mean(given, NAMES)}There are: {', '.join(NAMES)}"
            raise UsageError(f"no format '{given}'", where="--format", hint=hint)
        return given
    endings = {".onnx": ONNX, ".safetensors": SAFETENSORS, ".pth": "", ".pt": ""}
    if out.suffix.lower() not in endings:
        raise UsageError(
            f"'{out.suffix}' names no format", where=out, hint=f"End it in {', '.join(endings)}, or give --format"
        )
    return endings[out.suffix.lower()]


def _public(kind: str, record: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[bytes, str]:
    """The bytes that `torch.save` would write of a public state dict."""
    own = (record["role"], record["name"])
    rows = [row for row in FORMATS if (row.role, row.network) == own and kind in ("", row.name)]
    problems = []
    for row in rows:
        try:
            found = export_state_dict(row, record["arguments"], tensors)
        except UsageError as problem:
            problems.append(problem)
            continue
        buffer = io.BytesIO()
        torch.save(found, buffer)  # tensors alone, in the form that those implementations load
        return buffer.getvalue(), f"state dict of {row}"
    if len(problems) == 1:
        raise problems[0]
    why = "; ".join(problem.what for problem in problems) or f"{kind or 'no public format'} has no {own[1]}"
    raise UsageError(why, where="--format", hint="--format safetensors or onnx keeps the network as it is")
