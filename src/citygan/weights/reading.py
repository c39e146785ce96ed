"""The tensors of a file: nothing in it is ever run, and what is no state dict is refused by name."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from citygan.errors import DamagedError
from citygan.files import read_bytes

OWN = "citygan"  # entry of a safetensors file's own record, with what our networks are built from


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or ``.safetensors`` file; nothing in it is ever run.

    Raises:
        DamagedError: Not there, damaged, or holding anything but named tensors.
    """
    return read_weights(path)[0]


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """The same, and what `citygan weights export` wrote beside them in a safetensors file: network and arguments.

    Raises:
        DamagedError: Not there, damaged, or holding anything but named tensors.
    """
    where = os.fspath(path)
    data = read_bytes(path, error=DamagedError)
    record: dict[str, Any] | None = None
    try:
        if data[8:9] == b"{":
            value = safetensors.torch.load(data)
            record = _record(data)
        else:
            _check_no_program(data, where)
            value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except DamagedError:
        raise
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        zipfile.BadZipFile,
    ) as problem:
        raise DamagedError(
            "holds something else than tensors, or is damaged; it was not run",
            where=where,
            hint="Save the bare state_dict() with torch.save, or a safetensors file",
        ) from problem
    except Exception as problem:  # safetensors has an error class of its own
        raise DamagedError(f"not a file of tensors ({type(problem).__name__})", where=where) from problem
    if isinstance(value, Mapping) and any(_of_an_optimizer(str(key)) for key in value):
        beside = "Give the file of the network beside it, such as latest_net_G.pth"
        raise DamagedError("an optimizer's state, not the weights of a network", where=where, hint=beside)
    if not isinstance(value, Mapping) or not value or not all(isinstance(v, Tensor) for v in value.values()):
        inner = [
            str(key)
            for key, item in (value.items() if isinstance(value, Mapping) else ())
            if isinstance(item, Mapping) and item and all(isinstance(v, Tensor) for v in item.values())
        ]
        hint = f"The entry {inner[0]} holds tensors: save it by itself with torch.save" if inner else None
        raise DamagedError("not a state dict: named tensors and nothing else are taken", where=where, hint=hint)
    return {str(key).removeprefix("module."): tensor for key, tensor in value.items()}, record


def _check_no_program(data: bytes, where: str) -> None:
    """Refuses what `torch.jit.save` writes: a zip archive with the source text of a program in its folder `code`."""
    if data[:4] != b"PK\x03\x04":
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        raise DamagedError(
            "a TorchScript archive, which is a program; it was not run",
            where=where,
            hint="Take the network's state dict instead: named tensors, saved with torch.save",
        )


def _of_an_optimizer(key: str) -> bool:
    return key == "param_groups" or key.endswith((".exp_avg", ".exp_avg_sq", ".momentum_buffer"))


def _record(data: bytes) -> dict[str, Any] | None:
    """Our own entry in the header of a safetensors file that has been read before."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(OWN)
    value = None if text is None else json.loads(text)
    return value if isinstance(value, dict) else None
