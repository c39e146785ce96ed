"""Which device to work on."""

from __future__ import annotations

import re

import torch

from citygan.errors import MachineError, UsageError


def pick_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """The device of that name; `auto` takes CUDA where it is, and never anything else silently.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        local_rank: Which CUDA device `auto` and `cuda` mean.

    Raises:
        UsageError: Not one of these names.
        MachineError: It is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"no device '{name}'", where="--device", hint="There are: auto, cpu, cuda, cuda:N, mps")
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise MachineError("no CUDA device is there", where="--device", hint="--device cpu works anywhere")
        index = int(name.partition(":")[2] or local_rank)
        if index >= torch.cuda.device_count():
            raise MachineError(f"there are {torch.cuda.device_count()} CUDA devices", where=f"--device cuda:{index}")
        torch.cuda.set_device(index)  # what libraries and messages between processes take where none is named
        return torch.device("cuda", index)
    if name == "mps" and not torch.backends.mps.is_available():
        raise MachineError("no MPS device is there", where="--device", hint="--device cpu works anywhere")
    return torch.device(name)


def check_bf16(device: torch.device, where: str) -> None:
    """Finds before the work that a device has no bfloat16.

    Raises:
        MachineError: It has none.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise MachineError(f"{device} has no bfloat16", where=where, hint="Take float32")


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether an error means that memory ran out, on whatever device."""
    return isinstance(problem, torch.cuda.OutOfMemoryError | MemoryError) or (
        isinstance(problem, RuntimeError)
        and ("out of memory" in str(problem) or "can't allocate memory" in str(problem))
    )
