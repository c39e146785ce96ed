"""Which runs there are, and which one a name means; without a look into their checkpoints, or PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

from citygan.errors import UsageError, did_you_mean
from citygan.files import read_last, runs_home


def is_run(path: Path) -> bool:
    """Whether a folder is a run."""
    return (path / "config.yaml").is_file()


def names() -> list[str]:
    """The runs there are, by name and number."""
    home = runs_home()
    if not home.is_dir():
        return []
    found = [entry.name for entry in os.scandir(home) if is_run(home / entry.name)]
    return sorted(found, key=lambda name: (name.rpartition("-")[0], len(name), name))


def resolve_run(run: str | Path | None = None) -> Path:
    """The folder of a run: a name, a path, or the last one.

    Raises:
        UsageError: No such run; those that exist are named.
    """
    there = names()
    home = runs_home()
    listing = f"There are: {', '.join(there[-8:])}" if there else "citygan train --model pix2pix makes one"
    if run is None or str(run) == "last":
        last = read_last(home)
        if last is None and not there:
            raise UsageError(f"no run yet: there is none in {home}{os.sep}", hint=listing)
        if last is None:
            raise UsageError("no run has saved a checkpoint yet that could be the default", where=home, hint=listing)
        return home / last
    for candidate in (home / run, Path(run)):
        if is_run(candidate):
            return candidate
    raise UsageError(f"no run '{run}'", where=home, hint=f"{did_you_mean(str(run), there)}{listing}")


def is_checkpoint(run: str | Path | None) -> bool:
    """Whether what `--run` names is a checkpoint folder by itself."""
    return run is not None and str(run) != "last" and (Path(run) / "state.json").is_file()


def no_choice(run: str | Path) -> UsageError:
    """A checkpoint by itself leaves nothing to choose."""
    hint = "Leave --checkpoint out, or name the run by --run"
    return UsageError("one checkpoint by itself, among which --checkpoint cannot choose", where=run, hint=hint)


def check_run(run: str | Path | None, checkpoint: str | None) -> None:
    """Finds what `--run` and `--checkpoint` cannot mean before anything slow is imported.

    Raises:
        UsageError: As `resolve_run`; a choice among one.
    """
    if run is None or not is_checkpoint(run):
        resolve_run(run)
    elif checkpoint is not None:
        raise no_choice(run)
