"""Going on with a run: where it stands, whether it may go on, and what is not as it was."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from citygan.building import steps_in_all
from citygan.config import Settings
from citygan.data.store import PreparedSet
from citygan.errors import DamagedError, UsageError
from citygan.progress import say
from citygan.runs import newest_whole
from citygan.train import checkpoint
from citygan.train.distributed import Ranks
from citygan.train.engine import Engine
from citygan.train.loop import Window

# what a run is free to change: how long it is, and what it writes when
FREE = ("data", "init", "train.epochs", "train.steps", "train.log_every_steps", "train.sample_every_steps",
        "train.checkpoint_every_steps", "train.tensorboard", "train.validation_pictures")  # fmt: skip
# the same learning, in other roundings
ROUNDINGS = ("train.channels_last", "train.compile", "train.cuda_graphs", "train.precision")


@dataclass(frozen=True)
class Found:
    """The checkpoint that a run goes on from.

    Attributes:
        folder: The checkpoint.
        state: Its record.
        damaged: Newer ones that are not whole.
    """

    folder: Path
    state: dict[str, Any]
    damaged: list[Path]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state["step"])

    def load(self, engine: Engine, ranks: Ranks) -> Window:
        """Fills networks and optimizers; the losses since the last line of the log.

        Raises:
            DamagedError: It does not fit, or lacks a part.
        """
        parts = {name: checkpoint.read_part(self.folder, self.state, name) for name in self.state["files"]}
        for name in engine.tensors():
            if name not in parts:
                raise DamagedError(f"it has no {name}, which a resume needs", where=self.folder)
        engine.load(parts, self.folder)
        ranks.wait()  # all have read
        if ranks.first:
            for folder in self.damaged:
                checkpoint.set_aside(folder)
        return Window.from_dict(self.state["window"], engine.device)


def check_trained(run: Path, name: str) -> None:
    """Refuses to go on with a run that `citygan weights import` made.

    Args:
        name: The run's, as on the command line.

    Raises:
        UsageError: It was never trained here.
    """
    there = checkpoint.steps(run / "checkpoints")
    state: dict[str, Any] = {}
    with contextlib.suppress(DamagedError):  # of a run that was trained an older checkpoint is taken then
        state = checkpoint.read_state(checkpoint.path_of(run / "checkpoints", there[-1])) if there else {}
    if "imported" in state:
        raise UsageError(
            "made of a file of weights, so there is no training to go on with",
            where=run,
            hint=f"citygan train --init {shlex.quote(name)} starts a new run from it",
        )


def find(path: Path, settings: Settings, data: PreparedSet, ranks: Ranks) -> Found | None:
    """The newest whole checkpoint of the run `path`, None before its first; looked at before any network is built.

    What differs from the run so far is said.

    Raises:
        DamagedError: None is whole, or the data are others.
        UsageError: It has done its steps.
    """
    folder, problems = newest_whole(path)
    if folder is None:
        if ranks.first:
            say(f"no checkpoint in {path} yet: starting at step 0")
        return None
    state = checkpoint.read_state(folder)
    lacking = [key for key in ("step", "data", "threads", "ranks", "settings", "window") if key not in state]
    if lacking:
        raise DamagedError(f"its record has no {', '.join(lacking)}, which a resume needs", where=folder)
    if state["data"]["checksum"] != data.checksum:
        raise DamagedError(
            f"the data are not those of the run (then {state['data']['name']})",
            where=data.path,
            hint="Resume with the same prepared set, or start a new run with --init",
        )
    if ranks.first:
        for line in (
            *(f"passed over: {problem}" for problem in problems.values()),
            *_differences(state, settings, ranks),
        ):
            say(f"warning: {line}")
    _check_steps(path, int(state["step"]), steps_in_all(settings, data, ranks))
    if ranks.first:
        say(f"resuming {path} at step {state['step']}")
    return Found(folder, state, list(problems))


def _check_steps(path: Path, done: int, steps: int) -> None:
    if done > steps:
        raise UsageError(
            f"already at step {done}, beyond the {steps} asked for",
            where=path,
            hint=f"--steps counts from the beginning of the run: --steps {done + steps} makes {steps} more",
        )
    if done == steps:
        raise UsageError(
            f"already finished: {done} of {steps} steps",
            where=path,
            hint=f"--steps {done + steps} with --resume goes on from there",
        )


def _differences(state: Mapping[str, Any], settings: Settings, ranks: Ranks) -> Iterator[str]:
    """What was otherwise when the checkpoint was made, and what follows from it; a line each."""
    bits = "the result will not repeat bit for bit"
    if state["threads"] != torch.get_num_threads():
        yield f"threads: {state['threads']} then, {torch.get_num_threads()} now: {bits}"
    if state["ranks"] != ranks.size:
        pictures = ranks.size * settings.train.batch
        yield f"ranks: {state['ranks']} then, {ranks.size} now: a step takes {pictures} pictures, in another order"
    changed = dict(_changed(state["settings"], settings.to_dict()))
    for key, (then, now) in changed.items():
        if key == "train.batch":
            yield f"batch: {then} then, {now} now: pictures will not come in the same order"
        elif key == "train.steps" and settings.optimizer.schedule != "constant":
            yield f"{key}: {_shown(then)} then, {_shown(now)} now: the rate falls by another schedule from here on"
        elif key not in FREE:
            follows = bits if key in ROUNDINGS else "from here on it learns otherwise than it would have"
            yield f"{key}: {_shown(then)} then, {_shown(now)} now: {follows}"


def _changed(
    then: Mapping[str, Any], now: Mapping[str, Any], before: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The settings with other values, by dotted key; those that only one side knows have no other value."""
    for key in [key for key in now if key in then]:
        name = f"{before}{key}"
        if isinstance(then[key], Mapping) and isinstance(now[key], Mapping):
            yield from _changed(then[key], now[key], f"{name}.")
        elif then[key] != now[key]:
            yield name, (then[key], now[key])


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
