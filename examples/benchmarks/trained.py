"""What the benchmarks that train share: runs of named models in their quick form, kept and known again."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from citygan.building import about, build
from citygan.config import Layer, Settings, resolve
from citygan.data.store import PreparedSet
from citygan.devices import pick_device
from citygan.files import lock, read_json, write_json
from citygan.presets import preset
from citygan.runnames import is_run
from citygan.runs import checkpoint_folder, new_run, read_settings
from citygan.starting import initialise, settings_to_build_on
from citygan.train.checkpoint import steps
from citygan.train.distributed import Ranks
from citygan.training import run_training
from citygan.yamlfile import read_yaml

ERRORS_APART = 2.0  # standard errors that the mean of a gap has to be above


def settings_of(
    model: str,
    data: PreparedSet,
    seed: int,
    count: int,
    start: Path | None = None,
    own: Mapping[str, Any] | None = None,
) -> Settings:
    """The quick form of a named model, trained for so many steps; validated twice, so that little time goes there.

    Args:
        start: The run that it goes on from.
        own: Settings beyond that.
    """
    chosen = preset(model)
    often = max(1, count // 2)
    last: dict[str, Any] = {
        "data": str(data.path),
        "seed": seed,
        "train": {"steps": count, "checkpoint_every_steps": often, "sample_every_steps": often},
    }
    layers = [
        Layer(f"preset {model}", {"model": model, **chosen.settings}),
        Layer("quick", {"quick": True, **chosen.quick}),
    ]
    if start is not None:
        folder = checkpoint_folder(start)
        layers.append(Layer("start", settings_to_build_on(folder, chosen.builds_on)))
        last["init"] = str(folder)
    return resolve([*layers, Layer("benchmark", last), Layer("row", own or {})])[0]


def trained(settings: Settings, data: PreparedSet, work: Path, device: str, name: str) -> tuple[Path, float | None]:
    """The run of these settings, and the seconds its training took; None of one that was stopped and went on."""
    count = settings.train.steps
    assert count is not None
    path = work / f"{name}-{count}-{settings.seed}"
    clock, place, begun = path / "seconds.json", pick_device(device), is_run(path)
    made_of = {"settings": _portable(settings), "data": data.checksum}
    if begun:
        before = {
            "settings": _portable(read_settings(path)),
            "data": read_yaml(path / "about.yaml")[0]["data"]["checksum"],
        }
        if before != made_of:
            raise SystemExit(f"{path} is a run with other settings or data: take another --work")
        if count in steps(path / "checkpoints"):
            return path, float(read_json(clock)["seconds"]) if clock.exists() else None
    began = time.perf_counter()
    if not begun:
        built = build(settings, data)
        initialise(built.recipe.all_networks, settings, None if settings.init is None else Path(settings.init))
        new_run(settings, path.name, about(settings, data, place, Ranks()), work)
        with lock(path):
            run_training(settings, data, path, place, Ranks(), built=built)
    else:
        with lock(path):
            run_training(settings, data, path, place, Ranks(), resume=True)
        return path, None
    seconds = time.perf_counter() - began
    write_json(clock, {"seconds": seconds})
    return path, seconds


def gap(seeds: Sequence[Mapping[str, Any]], above: str, below: str, name: str) -> dict[str, Any]:
    """The paired difference of two rows: at each seed, its mean, its standard error, whether it holds."""
    by_seed = [each["rows"][above][name] - each["rows"][below][name] for each in seeds]
    mean = statistics.mean(by_seed)
    error = statistics.stdev(by_seed) / len(by_seed) ** 0.5 if len(by_seed) > 1 else None
    return {
        "above": above,
        "below": below,
        "figure": name,
        "by_seed": by_seed,
        "mean": mean,
        "standard_error": error,
        "holds": None if error is None else mean > ERRORS_APART * error,
    }


def _portable(settings: Settings) -> dict[str, Any]:
    """Wherever the set and the run that it started from lie."""
    init = None if settings.init is None else Path(*Path(settings.init).parts[-3:])
    return dataclasses.replace(settings, data=None, init=None if init is None else str(init)).to_dict()
