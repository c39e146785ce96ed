"""One run of a study: trained as `citygan train` does and scored as `citygan evaluate` does, unless that was done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from citygan.building import about, build, check_device, steps_in_all
from citygan.config import Settings
from citygan.data.store import PreparedSet
from citygan.devices import is_out_of_memory, pick_device
from citygan.errors import CityganError, DamagedError, Interrupted, MachineError, UsageError
from citygan.evaluation import evaluate_run
from citygan.figurefile import keep_figures
from citygan.files import clean_temporaries, lock, read_json, write_json
from citygan.infer import load
from citygan.progress import say
from citygan.report import write_report
from citygan.runnames import is_run
from citygan.runs import checkpoint_folder, new_run
from citygan.starting import initialise
from citygan.study.divided import splits_of
from citygan.study.parts import Row
from citygan.study.planning import MISSING, Job, Options, folder_of
from citygan.train.checkpoint import path_of, steps, used_sha256
from citygan.train.distributed import Ranks
from citygan.training import run_training
from citygan.weightfiles import RANDOM, find_weights
from citygan.yamlfile import read_yaml

Validated = Callable[[int, dict[str, float]], None]
Outcome = dict[str, Any]
"""What came of one run: `run`, `status` (`done`, `not run`, `failed`), `short` and `reason` where it is not done,
`results` (evaluations by split), `random` (weights that are random in the place of published ones), `seconds` (that its
training took)."""
TIME = "study-time.json"


@dataclass(frozen=True)
class Place:
    """Where and on what a run is made.

    Attributes:
        runs: The folder with all runs.
        data: Path of the prepared set.
        device: As on the command line.
    """

    runs: Path
    data: Path
    device: str


def run_job(job: Job, metrics: Mapping[str, Sequence[str]], options: Options, place: Place) -> Outcome:
    """Trains and scores one run, going on where it stands; an error of this run is its outcome.

    A run that another study is at is waited for: studies may share runs.

    Args:
        metrics: To compute, by split.

    Raises:
        Interrupted: After all was saved.
    """
    outcome = _begun(place.runs / job.name)
    try:
        data = PreparedSet.open(place.data)
        if (lacking := _lacking(job.row, data, metrics)) is not None:
            return outcome | lacking
        with lock(place.runs / job.digest, _waits(job.row.title)):
            path = folder_of(place.runs, job)
            outcome |= _begun(path) | _train_job(job, path, data, place)
            if outcome["status"] == "done":
                outcome["seconds"] = _own_seconds(job, path)
                for split, names, actual in _to_score(data, metrics):
                    outcome["results"][split] = _score(path, data, actual, names, options, place, job.row.edges_of)
    except Interrupted:
        raise
    except (CityganError, RuntimeError, MemoryError) as problem:
        if not isinstance(problem, CityganError) and not is_out_of_memory(problem):
            raise
        outcome |= {"status": "failed", "short": "failed", "reason": str(problem)}
    return outcome


def _train_job(job: Job, path: Path, data: PreparedSet, place: Place) -> Outcome:
    """Trains a run, and before it the one that it goes on from, where that is not done yet."""
    settings = job.settings
    if job.start is not None and not _trained(settings, path, data):
        with lock(place.runs / job.start.digest, _waits(job.start.row.title)):
            start = folder_of(place.runs, job.start)
            told = _train_job(job.start, start, data, place)
        if told.get("status", "done") != "done":
            return told | {"reason": f"it goes on from '{job.start.row.title}': {told['reason']}"}
        init = path_of(start / "checkpoints", steps(start / "checkpoints")[-1])
        settings = replace(settings, init=str(init.absolute()))
    return train_run(settings, path, data, place)


def _lacking(row: Row, data: PreparedSet, metrics: Mapping[str, Sequence[str]]) -> Outcome | None:
    """Why a row makes no sense on a set; None where it does."""
    train = data.split("train")
    reason = None
    if "instance" in row.needs and train.instance is None:
        reason = "the set has no instance maps"
    elif "pairs" in row.needs and not train.pairs():
        reason = "the set has no pairs of neighbouring frames to learn from"
    elif row.edges_of is not None:
        scored = [data.splits[actual] for _, _, actual in _to_score(data, metrics)]
        if all(split.source is None for split in scored):
            reason = "the set has no graphics rendering, so the row that it stands beside takes the photos' edges too"
    return None if reason is None else {"status": "not run", "short": "not run: not on this set", "reason": reason}


def _begun(path: Path) -> Outcome:
    return {"run": f"runs/{path.name}", "status": "done", "random": [], "results": {}}


def _to_score(data: PreparedSet, metrics: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str], str]]:
    """The splits of a table, the metrics on each, and which split of the set stands for it."""
    splits = splits_of(data, metrics)
    return ((split, names, splits[split]) for split, names in metrics.items() if split in splits)


def _waits(what: str) -> Callable[[str], None]:
    """Says whom a run is waited for."""
    return lambda holder: say(f"{what}: process {holder} is at this run: waiting for it")


def outcome_there(
    job: Job, metrics: Mapping[str, Sequence[str]], options: Options, place: Place, data: PreparedSet
) -> Outcome | None:
    """What came of a run before, from its files alone; None where it is not at its end, or not scored so."""
    path = folder_of(place.runs, job)
    with contextlib.suppress(CityganError):  # what is damaged is told when the run is gone on with
        if (lacking := _lacking(job.row, data, metrics)) is not None:
            return _begun(path) | lacking
        if not _trained(job.settings, path, data):
            return None
        outcome = _begun(path) | {"random": _random(path), "seconds": _own_seconds(job, path)}
        for split, names, actual in _to_score(data, metrics):
            kept = _kept_of(path, data, actual, names, options, job.row.edges_of)
            tried = {name for name, figure in kept.before.get("metrics", {}).items() if "exit_code" in figure}
            if not kept.before or not set(kept.lacking) <= tried:
                return None
            outcome["results"][split] = _part(kept.before, kept.wanted)
        return outcome
    return None


def _trained(settings: Settings, path: Path, data: PreparedSet) -> bool:
    """Whether a run is at the end of its steps."""
    wanted = steps_in_all(settings, data, Ranks())
    return is_run(path) and wanted in steps(path / "checkpoints")


def train_run(
    settings: Settings, path: Path, data: PreparedSet, place: Place, validated: Validated | None = None
) -> Outcome:
    """Trains to the end of the steps, from the beginning or from where it was stopped.

    A process that is at it already, as `citygan train --resume`, is waited for.

    Args:
        validated: As `citygan.training.run_training`.
    """
    with lock(path, _waits(path.name)):
        return _train_run(settings, path, data, place, validated)


def _train_run(settings: Settings, path: Path, data: PreparedSet, place: Place, validated: Validated | None) -> Outcome:
    if _trained(settings, path, data):
        say(f"{path}: there already")
        return {"random": _random(path)}
    alone, device = Ranks(), pick_device(place.device)
    check_device(settings, device, 1)
    if is_run(path):
        with _timed(path):
            run_training(settings, data, path, device, alone, resume=True, validated=validated)
        return {"random": _random(path)}
    built = build(settings, data)
    try:
        filled = initialise(built.recipe.all_networks, settings, None if settings.init is None else Path(settings.init))
    except MachineError as problem:
        return {"status": "not run", "short": MISSING, "reason": str(problem)}
    except UsageError as problem:
        return {"status": "not run", "short": "not run: no such weights", "reason": str(problem)}
    new_run(settings, path.name, about(settings, data, device, alone, filled), path.parent)
    with _timed(path):
        run_training(settings, data, path, device, alone, built=built, validated=validated)
    return {"random": _random(path)}


def _random(run: Path) -> list[str]:
    """The weights, by `weights.NAME`, that a run took at random in the place of published ones."""
    weights = read_yaml(run / "about.yaml")[0].get("weights") or {}
    return sorted(told["name"] for told in weights.values() if told["name"] and told["file"] == RANDOM)


@contextlib.contextmanager
def _timed(run: Path) -> Iterator[None]:
    """Adds what a training takes to the time that the run took before, interrupted or not."""
    before, start = _seconds(run), time.monotonic()
    try:
        yield
    finally:
        write_json(run / TIME, {"seconds": round((before or 0.0) + time.monotonic() - start, 1)})


def _seconds(run: Path) -> float | None:
    """What the training of a run took; None where nobody measured it."""
    with contextlib.suppress(DamagedError, KeyError, ValueError):
        return float(read_json(run / TIME)["seconds"]) if (run / TIME).is_file() else None
    return None


def _own_seconds(job: Job, path: Path) -> float | None:
    """What a row's training took; None of one that trains nothing."""
    return None if job.row.scores is not None else _seconds(path)


def _score(
    path: Path,
    data: PreparedSet,
    split: str,
    names: Sequence[str],
    options: Options,
    place: Place,
    edges_of: str | None = None,
) -> dict[str, Any]:
    """The evaluation of a run on a split: what is kept of it, and the figures that it lacks computed now."""
    kept = _kept_of(path, data, split, names, options, edges_of)
    before = kept.before
    if before and not kept.lacking:
        return _part(before, kept.wanted)
    more: dict[str, Any] = {"weights": options.weights, "edges_of": edges_of}
    if "fcn-score" in kept.lacking:
        more["segmenter"] = options.judge
    result = evaluate_run(load(path, device=place.device), split, kept.lacking, data=data, **more)
    if before:  # figures that other studies want of the same run stay
        of_metrics = before["protocol"]["metrics"] | result["protocol"]["metrics"]
        result = before | {
            "metrics": before["metrics"] | result["metrics"],
            "protocol": before["protocol"] | {"metrics": of_metrics},
        }
    if result != before:
        keep_figures(path, result)
        write_report(path)
        clean_temporaries(path)
        write_json(kept.file, {"asked": kept.asked, "result": result})
    return _part(result, kept.wanted)


@dataclass(frozen=True)
class _Kept:
    """The evaluation of a run that its folder keeps.

    Attributes:
        file: Where.
        asked: What it must be of.
        before: All of it; empty where there is none, or of others.
        wanted: The metrics to compute.
        lacking: Those of them without a figure that holds.
    """

    file: Path
    asked: dict[str, Any]
    before: dict[str, Any]
    wanted: list[str]
    lacking: list[str]


def _kept_of(
    path: Path, data: PreparedSet, split: str, names: Sequence[str], options: Options, edges_of: str | None
) -> _Kept:
    done = steps(path / "checkpoints")[-1]
    of_edges = "" if edges_of is None else f"-edges-of-{edges_of}"
    file, weights = path / f"study-{split}{of_edges}.json", used_sha256(path_of(path / "checkpoints", done))
    asked = {"data": data.checksum, "step": done, "weights": weights}
    before = _kept(file, asked)
    there = {
        name
        for name, figure in before.get("metrics", {}).items()
        if "exit_code" not in figure and _looked_so(before["protocol"]["metrics"].get(name, {}), options)
    }
    wanted = [name for name in names if computable(name, options)]
    return _Kept(file, asked, before, wanted, [name for name in wanted if name not in there])


def _part(result: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """An evaluation with these metrics alone."""
    protocol = result["protocol"]
    told = {name: about for name, about in protocol["metrics"].items() if name in wanted}
    figures = {name: result["metrics"][name] for name in wanted}
    return {**result, "metrics": figures, "protocol": {**protocol, "metrics": told}}


def _looked_so(protocol: Mapping[str, Any], options: Options) -> bool:
    """Whether a figure is by the segmenter and the weights that are given now; where no weights are given, any but
    random ones will do."""
    if "segmenter" in protocol:
        sha256 = protocol["segmenter"]["weights_sha256"]
        return options.judge is not None and bool(sha256 == used_sha256(checkpoint_folder(options.judge)))
    name = protocol.get("weights_name")
    if name is None:
        return True
    if name not in options.weights:
        return protocol["weights_sha256"] is not None
    return bool(protocol["weights_sha256"] == find_weights(name, options.weights).sha256)


def _kept(path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was found before of the same pictures; nothing where there is none, or of others."""
    if not path.is_file():
        return {}
    try:
        kept = read_json(path)
    except DamagedError:
        return {}
    return dict(kept["result"]) if kept.get("asked") == asked else {}


def computable(name: str, options: Options) -> bool:
    """Whether a metric can be asked for: `fcn-score` needs a segmenter."""
    return name != "fcn-score" or options.judge is not None
