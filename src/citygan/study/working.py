"""A whole study: its runs, those of before included, and the files that tell what came of them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from citygan.data.store import PreparedSet
from citygan.devices import pick_device
from citygan.errors import DamagedError, PartialError, UsageError, counted
from citygan.files import clean_temporaries, lock, read_bytes, read_json, write_bytes, write_json, write_text
from citygan.progress import say
from citygan.runs import versions
from citygan.segmented import check_classes
from citygan.segmenting import load_segmenter
from citygan.study.divided import notes_on, splits_of
from citygan.study.page import Shown, page, study_sheet
from citygan.study.parts import Study
from citygan.study.planning import NO_SEGMENTER, Job, Options, folder_of, judge_of, plan
from citygan.study.record import Record, record_of
from citygan.study.running import Outcome, Place, outcome_there, run_job
from citygan.study.sidebyside import run_side_by_side
from citygan.study.tables import csv_text, markdown
from citygan.weightfiles import find_weights


@dataclass(frozen=True)
class Files:
    """What a study writes into its folder, beside `runs/`."""

    out: Path

    @property
    def json(self) -> Path:
        """The record."""
        return self.out / "study.json"

    @property
    def markdown(self) -> Path:
        """The table."""
        return self.out / "study.md"

    @property
    def csv(self) -> Path:
        """A line a figure."""
        return self.out / "study.csv"

    @property
    def html(self) -> Path:
        """The page."""
        return self.out / "study.html"

    @property
    def sheet(self) -> Path:
        """The pictures."""
        return self.out / "sheet.png"


def measured(device: str) -> dict[str, Any]:
    """When, on what and with what the table was made."""
    place = torch.device(device)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else place.type,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def run_study(study: Study, data: PreparedSet, options: Options, out: Path, home: Path, device: str = "auto") -> Record:
    """Does the runs that are lacking and writes the table, the page and the pictures.

    Args:
        out: The study's folder.
        home: The folder with all runs, which studies may share.

    Raises:
        UsageError: `out` holds another study, or the same of other data; settings that are not; no such device; a
            segmenter by other classes.
        MachineError: Weights that are given are not there.
        Interrupted: After the run on the way was saved; the table of what there is has been written.
    """
    jobs, own = plan(study, options, data.checksum), judge_of(study, options, data)
    check_same(out, study, data, options)
    _check_looks(data, options)
    devices = devices_for(device)
    with lock(out):
        clean_temporaries(out)
        metrics = study.metrics
        place = Place(home, data.path, devices[0])
        outcomes: list[Outcome] = []
        judged = dataclasses.replace(options, judge=options.segmenter)
        if own is not None and (there := outcome_there(own, {}, options, place, data)) is not None:
            judged = _judged(options, own, there, home)
        write = functools.partial(_write, study, data, out, place, jobs)
        _say_fewer_seeds(out, options)
        write(judged, outcomes, pictures=False)  # so that --resume finds what it is to go on with
        try:
            if own is not None:
                say("the segmenter that judges the streets")
                judged = _judged(options, own, run_job(own, {}, options, place), home)
            if len(devices) > 1:
                outcomes = run_side_by_side(jobs, metrics, judged, place, devices)
            else:
                for number, job in enumerate(jobs, 1):
                    say(f"run {number} of {len(jobs)}: {job.row.title}, seed {job.settings.seed}")
                    outcomes.append(run_job(job, metrics, judged, place))
                    if outcomes[-1]["status"] != "done":
                        say(f"{job.row.title}: {outcomes[-1]['short']}: {outcomes[-1]['reason']}")
        finally:
            record = write(judged, outcomes, pictures=len(outcomes) == len(jobs))
        return record


def _check_looks(data: PreparedSet, options: Options) -> None:
    """Finds before anything is trained that what is to look at the pictures is not there, or does not fit.

    Raises:
        UsageError: No such segmenter, or one by other classes.
        DamagedError: It, or a file of weights, is not whole.
        MachineError: No such file of weights.
    """
    for name in options.weights:
        find_weights(name, options.weights)
    if options.segmenter is not None:
        check_classes(load_segmenter(options.segmenter, device="cpu", flag="--segmenter"), data, "--segmenter")


def _judged(options: Options, own: Job, outcome: Outcome, home: Path) -> Options:
    """The options with the study's own segmenter, or with the reason why there is none."""
    if outcome["status"] == "done":
        return dataclasses.replace(options, judge=str(folder_of(home, own)))
    say(f"{own.row.title}: {outcome['short']}: {outcome['reason']}")
    short = outcome["short"] if outcome["status"] == "not run" else NO_SEGMENTER
    return dataclasses.replace(options, unjudged=(short, outcome["reason"]))


def _write(
    study: Study,
    data: PreparedSet,
    out: Path,
    place: Place,
    jobs: Sequence[Job],
    options: Options,
    outcomes: Sequence[Outcome],
    *,
    pictures: bool,
) -> Record:
    """All files of a study, from what its runs gave now or before; a new sheet of pictures only at its end."""
    by_row: dict[str, list[Outcome]] = {}
    for job, told in itertools.zip_longest(jobs, outcomes):
        outcome = told or outcome_there(job, study.metrics, options, place, data)
        if outcome is not None:
            by_row.setdefault(job.row.name, []).append(outcome)
    stands_for = splits_of(data, study.metrics)
    width, height = data.size
    about_data = {
        "name": data.name,
        "path": options.shown_data,
        "checksum": data.checksum,
        "size": f"{width}x{height}",
        "splits": {name: len(split) for name, split in data.splits.items()},
        "stands_for": stands_for,
        "notes": notes_on(data, stands_for),
    }
    record = record_of(study, options, about_data, by_row) | {"measured": measured(place.device)}
    runs: list[Shown] = []
    for row, told in zip(study.rows, record["rows"], strict=True):
        done = [outcome for outcome in by_row.get(row.name, []) if outcome["status"] == "done"]
        if row.runs and (done or row.scores is None):
            run = place.runs / Path(done[0]["run"]).name if done else None
            form = (" (quick)" if options.quick else "") if run else ": not run"
            runs.append(Shown(f"{told['title']}{form}", run, row.edges_of))
    files = Files(out)
    write_json(files.json, record)
    shown = stands_for.get("val") or stands_for.get("test")
    drawn = read_bytes(files.sheet) if files.sheet.is_file() else None
    if pictures and shown is not None and any(each.run for each in runs):
        drawn = study_sheet(data, shown, runs, place.device)
        write_bytes(files.sheet, drawn)
    write_text(files.markdown, markdown(record))
    write_text(files.csv, csv_text(record))
    write_text(files.html, page(record, drawn))
    return record


def _say_fewer_seeds(out: Path, options: Options) -> None:
    """Says that a table over more seeds is replaced; its runs stay."""
    with contextlib.suppress(DamagedError):
        before = read_json(Files(out).json).get("seeds", 0) if Files(out).json.is_file() else 0
        if before > options.seeds:
            say(f"the table of {counted(before, 'seed')} is replaced: --seeds {before} makes it again from its runs")


def check_same(out: Path, study: Study, data: PreparedSet, options: Options) -> None:
    """Refuses a folder whose table is of something else.

    Raises:
        UsageError: It is.
    """
    path = Files(out).json
    if not path.is_file():
        if out.exists() and any(entry.name != "runs" and not entry.name.startswith(".") for entry in out.iterdir()):
            raise UsageError("not a study's folder, and not empty", where=out, hint="Another --out")
        return
    try:
        before = read_json(path)
    except DamagedError:
        return  # it is written anew from the runs
    differs = [
        f"{what} {then} there, {now} now"
        for what, then, now in (
            ("study", before.get("study"), study.name),
            ("data", (before.get("data") or {}).get("name"), data.name),
            ("quick", before.get("quick"), options.quick),
            ("settings", before.get("assigned"), list(options.assigned)),
        )
        if then != now
    ]
    if not differs and (before.get("data") or {}).get("checksum") != data.checksum:
        differs = [f"{data.name} was prepared anew since"]
    if differs:
        hint = "Another --out, or --resume to go on with what is there"
        raise UsageError(f"the table of something else: {'; '.join(differs)}", where=out, hint=hint)


def options_of(out: Path, study: Study) -> dict[str, Any]:
    """What a study in a folder was run with, to go on with it: data, quick, seeds, assigned, weights, segmenter.

    Raises:
        UsageError: There is none, or another.
    """
    path = Files(out).json
    if not path.is_file():
        hint = f"citygan study {study.name} starts one"
        raise UsageError("no study to go on with", where=out, hint=hint)
    record = read_json(path)
    if record.get("study") != study.name:
        raise UsageError(f"that is the study {record.get('study')}", where=out, hint="--out names its folder")
    return {
        "data": record["data"]["path"],
        "quick": record["quick"],
        "seeds": record["seeds"],
        "assigned": tuple(record["assigned"]),
        "weights": dict(record.get("weights") or {}),
        "init": record["init"],
        "segmenter": record["segmenter"],
    }


def devices_for(device: str) -> list[str]:
    """The devices that runs are shared among: every CUDA device where nothing narrower is asked for.

    Raises:
        UsageError: Not a device's name.
        MachineError: It is not there.
    """
    place = pick_device(device)
    if place.type == "cuda" and ":" not in device:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [str(place)]


def check_outcome(record: Record) -> None:
    """Ends with the right code after everything was written.

    Raises:
        PartialError: Rows failed.
    """
    failed = [row["title"] for row in record["rows"] if row["status"] == "failed"]
    if failed:
        hint = "The same command tries them again"
        raise PartialError(f"{counted(len(failed), 'row')} failed: {', '.join(failed)}", hint=hint)
