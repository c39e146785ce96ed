"""The study `amt`: a page that asks people which picture is the fake, and the table of their answers.

Beside what every study writes there are, in the study's folder:

    trials.html      the page: one file, for participants
    trials.json      the key: which half of which trial is the fake, and of which pictures; not for participants
    results.json     what the answers gave

A page is not made again while it is of the same runs and data, and never replaced: results belong to it.
"""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from citygan.assembling import run_name
from citygan.data.store import PreparedSet, Split
from citygan.errors import DamagedError, DataError, UsageError, counted
from citygan.evaluation import evaluate_run, set_of_run
from citygan.files import clean_temporaries, lock, read_bytes, read_json, write_json, write_text
from citygan.infer import Translator, load
from citygan.progress import Progress, say
from citygan.runs import checkpoint_folder
from citygan.study.answers import read_key, read_results, result_files
from citygan.study.divided import splits_of
from citygan.study.opinions import apply, results_of
from citygan.study.page import page, trials_page
from citygan.study.parts import Row, Study
from citygan.study.planning import Options
from citygan.study.realfake import PRACTICE, TRIALS, Algorithm, Pair, UInt8, check_enough, choose, make
from citygan.study.record import Record, record_of
from citygan.study.tables import csv_text, markdown
from citygan.study.working import Files, check_same, devices_for, measured, run_study
from citygan.train.checkpoint import read_state, used_sha256
from citygan.translation import split_for

PAGE, KEY, RESULTS = "trials.html", "trials.json", "results.json"
SEED = 0  # of the choice of pictures


# the page


def run_amt(
    study: Study,
    data: PreparedSet,
    options: Options,
    out: Path,
    home: Path,
    device: str = "auto",
    split: str | None = None,
) -> Record:
    """Trains and scores the rows that are lacking, and makes the page of those that there are.

    Args:
        out, home: As of `run_study`: the study's folder, that of all runs.
        split: To take pictures from.

    Raises:
        UsageError: As `run_study`; `out` holds a page of other runs, or of runs that were given.
        DataError: Too few pictures.
    """
    _check_given(out, [])
    split = _split_of(data, out, split)
    record = run_study(study, data, options, out, home, device)
    runs = {
        row["name"]: home / Path(row["runs"][0]).name for row in record["rows"] if row["status"] == "done"
    }  # of the first seed
    with lock(out):
        if any(row["status"] == "failed" for row in record["rows"]):
            say("no page before every row has its run")
        else:
            _page(study, data, runs, out, split, devices_for(device)[0])
        return _told(study, record, out)


def show_runs(
    study: Study,
    runs: Sequence[str],
    data: str | PreparedSet | None,
    out: Path,
    device: str = "auto",
    split: str | None = None,
) -> Record:
    """As `run_amt`, of runs that are there, each a row.

    Args:
        runs: Names or folders.
        data: The set to take pictures from; None: the one the first was trained on.

    Raises:
        UsageError: No such run, or twice the same; `out` holds something else.
        DataError: A run cannot translate the set, or there are too few pictures.
    """
    translators = [load(run, device=device) for run in runs]
    prepared = set_of_run(translators[0], data)
    names = [str(run_name(translator)) for translator in translators]
    if len(set(names)) < len(names):
        raise UsageError("a run named twice", where="--run", hint="Each is a row of its own")
    _check_given(out, names)
    split = _split_of(prepared, out, split)
    for translator in translators:
        if translator.output_kind != "photo":
            hint = "citygan evaluate --metric miou scores label maps"
            raise UsageError(
                f"it paints {translator.output_kind} maps, and people are asked about photos",
                where=f"--run {run_name(translator)}",
                hint=hint,
            )
        split_for(translator, prepared, split, scored=True)
    rows = tuple(Row(f"run-{number}", name) for number, name in enumerate(names, 1))
    study = dataclasses.replace(study, rows=rows)
    quick = any(translator.settings.get("quick", False) for translator in translators)
    options = Options(data=str(prepared.path), quick=quick, named_data=_named(translators[0], data))
    check_same(out, study, prepared, options)
    with lock(out):
        clean_temporaries(out)
        metrics = study.metrics.get("val", [])
        outcomes = {}
        for row, translator in zip(rows, translators, strict=True):
            result = evaluate_run(translator, split, metrics, data=prepared)
            outcomes[row.name] = [{"run": row.title, "status": "done", "random": [], "results": {"val": result}}]
        record = record_of(study, options, _about(prepared, options, split), outcomes) | {
            "measured": measured(devices_for(device)[0])
        }
        record["given"] = names
        given = [f"--data={options.named_data}"] if isinstance(data, str) else []
        given += [f"--split={split}", *(f"--run={run}" for run in runs)]
        record["command"] = shlex.join(["citygan", "study", study.name, *given])
        for row in record["rows"]:
            row["command"] = None  # it is not known here how it was trained
        folders = {row.name: Path(name) for row, name in zip(rows, runs, strict=True)}
        _page(study, prepared, folders, out, split, device)
        return _told(study, record, out)


def _named(translator: Translator, data: str | PreparedSet | None) -> str | None:
    """The set as it was named, or as the run names the one that it was trained on."""
    named = translator.settings.get("data") if data is None else data
    return named if isinstance(named, str) else None


def _about(data: PreparedSet, options: Options, split: str) -> dict[str, Any]:
    width, height = data.size
    return {
        "name": data.name,
        "path": options.shown_data,
        "checksum": data.checksum,
        "size": f"{width}x{height}",
        "splits": {name: len(part) for name, part in data.splits.items()},
        "stands_for": {"val": split},
    }


def _check_given(out: Path, names: Sequence[str]) -> None:
    """Refuses a folder whose page is of other runs, or of rows where runs are given."""
    try:
        before = read_json(Files(out).json).get("given", []) if Files(out).json.is_file() else None
    except DamagedError:
        return
    if before is not None and before != list(names):
        there = f"runs {', '.join(before)}" if before else "the rows of the study"
        raise UsageError(f"the page there is of {there}", where=out, hint="Another --out")


def _split_of(data: PreparedSet, out: Path, split: str | None) -> str:
    """The split to take pictures from, with as many as are needed.

    Raises:
        UsageError: No such split.
        DataError: Nothing in it to show, or too little.
    """
    if split is None and (out / KEY).is_file():
        split = str(read_key(out / KEY)["about"]["split"])
    if split is None:
        split = splits_of(data, ("val",)).get("val")
        if split is None:
            raise DataError("nothing to translate and compare", where=data.path, hint="--data names another set")
    part = data.split(split)
    enough = [name for name, other in data.splits.items() if len(other) >= PRACTICE + TRIALS and name != "train"]
    hint = f"--split {' or --split '.join(enough)} has enough" if enough else "--data names another set"
    check_enough(len(part), f"{data.path}, split {split}", hint)
    return split


def _page(study: Study, data: PreparedSet, runs: Mapping[str, Path], out: Path, split: str, device: str) -> None:
    """Writes page and key, unless they are there.

    Raises:
        UsageError: Those there are of something else.
    """
    if not runs:
        say("no page: no row has a run")
        return
    rows = [row for row in study.rows if row.name in runs]
    described = [
        {"row": row.name, "title": row.title, "same_input": row.same_input, **_weights(runs[row.name])} for row in rows
    ]
    about = {
        "study": study.name,
        "data": {"name": data.name, "checksum": data.checksum},
        "size": list(data.size),
        "split": split,
        "seed": SEED,
        "rows": described,
    }
    if (out / KEY).exists():
        before = read_key(out / KEY)
        if before["about"] != about:
            differs = [name for name, value in about.items() if before["about"].get(name) != value]
            hint = "Answers to it may be under way: another --out for the new one, or remove it"
            raise UsageError(f"a page of something else ({', '.join(differs)})", where=out / KEY, hint=hint)
        if (out / PAGE).is_file():
            say(f"{out / PAGE}: there already")
            return
    part = data.split(split)
    done = Progress("translating", len(rows) * (PRACTICE + TRIALS), unit="picture")
    algorithms = []
    for number, row in enumerate(rows):
        pairs = choose(len(part), same_input=row.same_input, seed=SEED + number)
        pictures = functools.partial(_pictures, runs[row.name], part, device, done, number * len(pairs))
        stems = [item.stem for item in part.items]
        algorithms.append(Algorithm(row.name, described[number], pairs, stems, pictures))
    try:
        payload, key = make(algorithms, about)
    finally:
        done.close()
    if (out / KEY).exists() and read_key(out / KEY)["page"] != payload["page"]:
        hint = "Keep the page where there is a copy; else another --out"
        raise UsageError("the page to this key cannot be made again just so here", where=out / KEY, hint=hint)
    text = trials_page(payload)
    write_text(out / PAGE, text)
    write_json(out / KEY, key)
    say(f"{out / PAGE}: {len(text) / 1e6:.1f} MB, {counted(len(rows), 'algorithm')}, {PRACTICE} + {TRIALS} trials each")


def _weights(run: Path) -> dict[str, Any]:
    """By what a run's pictures are known: step and checksum of the weights."""
    checkpoint = checkpoint_folder(run)
    return {"step": read_state(checkpoint)["step"], "weights_sha256": used_sha256(checkpoint)}


def _pictures(
    run: Path, part: Split, device: str, done: Progress, before: int, pairs: Sequence[Pair]
) -> Iterator[tuple[UInt8, UInt8]]:
    """The fake and the real picture of each pair."""
    translator = load(run, device=device)
    fakes = translator.translate_split(part, indices=[pair.fake for pair in pairs])
    assert part.photo is not None
    for number, (pair, fake) in enumerate(zip(pairs, fakes, strict=True), 1):
        done.update(before + number)
        yield fake, np.asarray(part.photo[pair.real])


# the answers


def read_answers(study: Study, paths: Sequence[Path], out: Path) -> Record:
    """Reads result files and writes the table with them.

    Raises:
        UsageError: `out` holds no page.
        DataError: A file is not of this page, or not whole; nothing is written then.
    """
    if not (out / KEY).is_file() or not Files(out).json.is_file():
        hint = f"citygan study {study.name} makes it; --out names its folder"
        raise UsageError("no page that answers could belong to", where=out, hint=hint)
    key = read_key(out / KEY)
    sessions = read_results(result_files(paths), key)
    with lock(out):
        clean_temporaries(out)
        write_json(out / RESULTS, results_of(key, sessions))
        return _told(study, read_json(Files(out).json), out)


def _told(study: Study, record: Record, out: Path) -> Record:
    """Puts the papers' figures and the answers that there are into a study's record, and writes its files again."""
    results = None
    if (out / RESULTS).is_file():
        results = read_json(out / RESULTS)
        if results.get("page") != read_key(out / KEY)["page"]:
            raise DamagedError("results of another page", where=out / RESULTS, hint="Remove it and read them again")
    apply(record, results)
    files = Files(out)
    pictures = read_bytes(files.sheet) if files.sheet.is_file() else None
    write_json(files.json, record)
    write_text(files.markdown, markdown(record))
    write_text(files.csv, csv_text(record))
    write_text(files.html, page(record, pictures))
    return record
