"""Run folders: making them, and what lies in them."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from citygan.config import Layer, Settings, resolve
from citygan.errors import DamagedError, UsageError
from citygan.files import new_folder, runs_home, write_text
from citygan.runnames import is_checkpoint, is_run, names, no_choice, resolve_run
from citygan.train.checkpoint import best_step, check_whole, path_of, read_state, steps
from citygan.yamlfile import read_yaml, to_yaml

GENERATOR, SEGMENTER = "generator", "segmenter"


def kind_of(checkpoint: Path) -> str:
    """What a checkpoint is: `generator` or `segmenter`.

    Raises:
        DamagedError: It has no record.
    """
    return str(read_state(checkpoint).get("kind", GENERATOR))


def makes_labels(state: Mapping[str, Any]) -> bool:
    """Whether what a checkpoint's record describes makes label maps: a segmenter, or a generator that paints them."""
    return state.get("kind") == SEGMENTER or (state.get("outputs") or {}).get("array") == "label"


def of_kind(kind: str) -> list[str]:
    """The names of the runs of a kind that have a whole checkpoint."""
    found = []
    for name in names():
        folder = runs_home() / name / "checkpoints"
        with contextlib.suppress(DamagedError):
            if (there := steps(folder)) and kind_of(path_of(folder, there[-1])) == kind:
                found.append(name)
    return found


def check_kind(checkpoint: Path, kind: str, flag: str) -> None:
    """Refuses a checkpoint of another kind.

    Args:
        flag: What named it.

    Raises:
        UsageError: It is one; those that fit are named.
    """
    found = kind_of(checkpoint)
    if found != kind:
        fitting = of_kind(kind)
        model = "unet-seg" if kind == SEGMENTER else "pix2pix"
        hint = f"{flag} can be: {', '.join(fitting[-8:])}" if fitting else f"citygan train --model {model} makes one"
        raise UsageError(
            f"a {found}, and a {kind} is wanted", where=f"{flag} {run_of(checkpoint) or checkpoint}", hint=hint
        )


def checkpoint_folder(run: str | Path | None = None, checkpoint: str = "last") -> Path:
    """The folder of a checkpoint: of a run, by `last`, `best` or a step; or a checkpoint folder as it is.

    Raises:
        UsageError: No such run or checkpoint; a choice among one.
    """
    if run is not None and is_checkpoint(run):
        if checkpoint != "last":
            raise no_choice(run)
        return Path(run)
    folder = resolve_run(run) / "checkpoints"
    there = steps(folder)
    if not there:
        raise UsageError(
            "no whole checkpoint yet",
            where=folder.parent,
            hint=f"citygan train --resume {folder.parent} goes on with it",
        )
    if checkpoint == "last":
        return path_of(folder, there[-1])
    if checkpoint == "best":
        best = best_step(folder)
        return path_of(folder, there[-1] if best is None else best)
    if not checkpoint.isdecimal() or int(checkpoint) not in there:
        raise UsageError(
            f"no checkpoint '{checkpoint}'",
            where=folder.parent,
            hint=f"There are: last, best, {', '.join(map(str, there))}",
        )
    return path_of(folder, int(checkpoint))


def newest_whole(run: Path) -> tuple[Path | None, dict[Path, str]]:
    """The newest checkpoint whose every part is as recorded, None without any; and what is wrong with newer ones.

    Raises:
        DamagedError: There are checkpoints, and none is whole.
    """
    problems: dict[Path, str] = {}
    for step in reversed(steps(run / "checkpoints")):
        folder = path_of(run / "checkpoints", step)
        try:
            check_whole(folder)
        except DamagedError as problem:
            problems[folder] = str(problem)
            continue
        return folder, problems
    if problems:
        raise DamagedError(f"no whole checkpoint is left ({next(iter(problems.values()))})", where=run)
    return None, problems


def new_run(
    settings: Settings,
    name: str | None,
    about: Mapping[str, Any],
    home: Path | None = None,
    *,
    fill: Callable[[Path], None] = lambda folder: None,
    stem: str | None = None,
) -> Path:
    """Makes a run's folder with its settings.

    Args:
        name: A name for it; None: `stem` and the next free number.
        about: Versions, device, data and their checksum, kept beside the settings.
        home: The folder to make it in; None: that of all runs.
        fill: Puts more into the folder before it appears.
        stem: None: the model, of a run that is trained.

    Raises:
        UsageError: It exists, or the name is no folder's name.
        MachineError: It cannot be written.
    """
    home = home or runs_home()
    if name is not None:
        if name in ("", ".", "..", "last") or "/" in name or "\0" in name or name.startswith("."):
            raise UsageError(f"'{name}' is no name for a run", where="--name", hint="Take a plain word")
        if (home / name).exists():
            hint = "Another --name" if stem is not None else f"Another --name, or --resume {name}"
            raise UsageError("the run exists already", where=home / name, hint=hint)
        return _make(home / name, settings, about, fill)
    number = 1
    while True:
        path = home / f"{stem or settings.model}-{number}"
        if not path.exists():
            try:
                return _make(path, settings, about, fill)
            except UsageError:  # another process took the number meanwhile
                if not path.exists():
                    raise
        number += 1


def _make(path: Path, settings: Settings, about: Mapping[str, Any], fill: Callable[[Path], None]) -> Path:
    with new_folder(path) as temporary:
        write_text(temporary / "config.yaml", to_yaml(settings.to_dict()))
        write_text(temporary / "about.yaml", to_yaml(about))
        fill(temporary)
    return path


def read_settings(run: Path) -> Settings:
    """The settings of a run.

    Raises:
        DamagedError: They cannot be read.
    """
    try:
        values, lines = read_yaml(run / "config.yaml")
        return resolve([Layer(str(run / "config.yaml"), values, lines)])[0]
    except UsageError as problem:
        raise DamagedError(problem.what, where=problem.where or run / "config.yaml") from problem


def run_of(checkpoint: Path) -> Path | None:
    """The run that a checkpoint folder lies in, if it does."""
    run = checkpoint.parent.parent
    return run if checkpoint.parent.name == "checkpoints" and is_run(run) else None


def describe(checkpoint: Path) -> str:
    """What a command says of the checkpoint it uses: ``runs/pix2pix-2, step 4000``."""
    return f"{run_of(checkpoint) or checkpoint}, step {read_state(checkpoint).get('step')}"


def summary(run: Path) -> dict[str, Any]:
    """What came of a run so far, as values that JSON can hold: where it stands, its score and figures, its files.

    Raises:
        DamagedError: There is no checkpoint yet, or its record cannot be read.
    """
    folder = run / "checkpoints"
    there = steps(folder)
    if not there:
        raise DamagedError("no whole checkpoint yet", where=run)
    state = read_state(path_of(folder, there[-1]))
    best = best_step(folder)
    labels = makes_labels(state)
    wanted = ("miou",) if labels else ("ssim", "psnr")
    score, figures = state.get("score"), {**dict.fromkeys(wanted), **(state.get("figures") or {})}
    about = {
        "run": str(run),
        "model": state.get("model"),
        "quick": bool(state.get("settings", {}).get("quick", False)),
        "data": state.get("data"),
        "seed": state.get("seed"),
        "step": there[-1],
        "steps": state.get("steps"),
        "checkpoint": str(path_of(folder, there[-1])),
        "best": None if best is None else {"step": best, "score": read_state(path_of(folder, best)).get("score")},
        "score": score,
        "figures": figures,
        "validation": state.get("validation") or {"split": "val"},
        "report": str(run / "report.html"),
    }
    if score is None:
        about["reason"] = "stopped between two validations: this checkpoint was not scored"
        if labels and state.get("figures"):
            about["reason"] = "no pixel of a scored class in the validation pictures"
    elif None in figures.values():
        about["reason"] = "a picture equals the real one: its PSNR is infinite"
    return about


def versions() -> dict[str, str]:
    """Of Python and of the libraries that figures depend on."""
    from importlib.metadata import version

    libraries = ("citygan", "torch", "torchvision", "numpy", "opencv-python", "scikit-image", "pillow")
    found = {"python": platform.python_version(), "platform": f"{sys.platform} {platform.machine()}"}
    for library in libraries:
        try:
            found[library] = version(library)
        except ImportError:
            found[library] = "unknown"
    return found
