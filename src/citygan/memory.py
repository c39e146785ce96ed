"""Telling that memory ran out, and what to lower."""

from __future__ import annotations

import sys

from citygan.errors import MachineError


def out_of_memory_error(problem: BaseException) -> MachineError | None:
    """The error to tell a user if `problem` means that memory ran out; None if it means anything else."""
    if isinstance(problem, MemoryError):
        return _error(str(problem))
    if "torch" in sys.modules:
        from citygan.devices import is_out_of_memory

        if is_out_of_memory(problem):
            return _error(str(problem).splitlines()[0])
    return None


def _error(text: str) -> MachineError:
    return MachineError(
        f"memory ran out ({text or 'no more to be had'})",
        hint="Lower train.batch, raise train.accumulate, take train.precision=bf16, a smaller generator.width, "
        "or prepare the data at a smaller --size",
    )
