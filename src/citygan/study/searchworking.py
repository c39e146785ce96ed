"""A whole search: its trials, those of other machines included, and the files that tell what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.data.store import PreparedSet
from citygan.errors import DamagedError, PartialError, UsageError, counted, printable
from citygan.files import clean_temporaries, read_json, write_bytes, write_json, write_text
from citygan.progress import say
from citygan.study.running import Place
from citygan.study.searching import search, trials_of
from citygan.study.searchrecord import Record, csv_text, markdown, page, plot_of, record_of
from citygan.study.searchspace import Point, Space
from citygan.study.searchstore import HIDDEN, masked, open_search
from citygan.study.searchtraining import Training
from citygan.yamlfile import to_yaml


@dataclass(frozen=True)
class SearchFiles:
    """What a search writes into its folder, beside `runs/`."""

    out: Path

    @property
    def json(self) -> Path:
        """The record."""
        return self.out / "search.json"

    @property
    def markdown(self) -> Path:
        """The table."""
        return self.out / "search.md"

    @property
    def csv(self) -> Path:
        """A line a trial."""
        return self.out / "search.csv"

    @property
    def html(self) -> Path:
        """The page."""
        return self.out / "search.html"

    @property
    def plot(self) -> Path:
        """The plot."""
        return self.out / "search.png"

    @property
    def best(self) -> Path:
        """The best settings, for `citygan train --config`."""
        return self.out / "best.yaml"

    @property
    def space(self) -> Path:
        """The file that was searched by."""
        return self.out / "space.yaml"

    @property
    def journal(self) -> Path:
        """The storage, where no other is named."""
        return self.out / "search.journal"


@dataclass(frozen=True)
class Chosen:
    """What a search is run with besides its space.

    Attributes:
        named: The set, as a run's settings name it.
        shown: As it was named, in the file or on the command line.
        quick: The small, short form.
        device: As on the command line.
        flags: Of the command line, to go on with.
    """

    named: str
    shown: str
    quick: bool
    device: str
    flags: Mapping[str, Any]


def run_search(space: Space, text: str, data: PreparedSet, chosen: Chosen, out: Path) -> Record:
    """Does the trials that are lacking, and writes table, plot, page and the best settings.

    Args:
        text: Of the search's file.

    Raises:
        UsageError: `out` holds something else; the storage holds another search of this name.
        MachineError, DamagedError: Of the storage.
        Interrupted: After the run on the way was saved; the table of what there is has been written.
    """
    files = SearchFiles(out)
    digest = space.digest(chosen.quick, data.checksum)
    _check_same(files, space, digest)
    objective = Training(space, data, chosen.quick, chosen.named, Place(out / "runs", data.path, chosen.device))
    storage = space.storage or str(files.journal)
    study = open_search(space, storage, chosen.quick, data.checksum)
    clean_temporaries(out)
    write_text(files.space, text)
    width, height = data.size
    about = {"name": data.name, "path": chosen.shown, "checksum": data.checksum, "size": f"{width}x{height}"}

    def write(trials: Sequence[Mapping[str, Any]]) -> Record:
        record = record_of(space, trials, about, chosen.quick, objective.split, masked(storage))
        record |= {"digest": digest, "flags": kept_flags(chosen.flags)}
        _write(files, space, record, chosen)
        if trials and (reason := trials[-1]["reason"]):
            say(f"trial {trials[-1]['trial']}: {trials[-1]['status']}: {reason}")
        return record

    search(space, study, objective, out / "runs", write)
    return write(trials_of(space, study))


def _write(files: SearchFiles, space: Space, record: Record, chosen: Chosen) -> None:
    """All files, whole at any time: other processes may write the same."""
    plot = plot_of(record)
    if plot is not None:
        write_bytes(files.plot, plot)
    if record["best"] is not None:
        write_text(files.best, best_text(space, record, chosen.quick))
    write_text(files.markdown, markdown(record))
    write_text(files.csv, csv_text(record))
    write_text(files.html, page(record, plot))
    write_json(files.json, record)


def best_text(space: Space, record: Record, quick: bool) -> str:
    """The preset file of the best point: `citygan train --config` takes it as it is."""
    best, goal = record["best"], record["goal"]
    point: Point = best["point"]
    lines = [
        f"the best of {counted(len(record['rows']), 'trial')} of the search {record['search']}, trial {best['trial']}:",
        f"{goal['title']} {best['value']:.6g} on {goal['split']} of {record['data']['name']}, "
        f"{counted(record['seeds'], 'seed')}",
        f"citygan train --config best.yaml --data {record['data']['path']}",
    ]
    return "".join(f"# {printable(line)}\n" for line in lines) + to_yaml(space.best(point, quick))


def _check_same(files: SearchFiles, space: Space, digest: str) -> None:
    """Refuses a folder that holds something else.

    Raises:
        UsageError: It does.
    """
    if not files.json.is_file():
        known = {"runs", files.journal.name, files.space.name}
        if files.out.exists() and any(
            entry.name not in known and not entry.name.startswith((".", f"{files.journal.name}."))
            for entry in files.out.iterdir()
        ):
            raise UsageError("not a search's folder, and not empty", where=files.out, hint="Another --out")
        return
    try:
        before = read_json(files.json)
    except DamagedError:
        return  # it is written anew from the storage
    if before.get("search") != space.name or before.get("digest") != digest:
        raise UsageError(
            f"holds the search {before.get('search')} of another space, goal, model, data or other settings",
            where=files.out,
            hint="Another name: in the file or another --out, or --resume to go on with what is there",
        )


def kept_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags as they are written down: without a password."""
    return {key: masked(value) if key == "storage" else value for key, value in flags.items()}


def flags_of(out: Path) -> dict[str, Any]:
    """The flags that a search in a folder was started with, to go on with it.

    Raises:
        UsageError: There is none.
    """
    files = SearchFiles(out)
    if not files.json.is_file() or not files.space.is_file():
        hint = "citygan study search SPACE.yaml starts one"
        raise UsageError("no search to go on with", where=out, hint=hint)
    return dict(read_json(files.json)["flags"])


def check_storage(flags: Mapping[str, Any]) -> None:
    """Refuses a storage whose password was not kept.

    Raises:
        UsageError: It is one.
    """
    if HIDDEN in str(flags.get("storage")):
        raise UsageError("the storage's password is not kept", where="--resume", hint="Give --storage URL once more")


def check_outcome(record: Record) -> None:
    """Ends with the right code after everything was written.

    Raises:
        PartialError: Trials failed, or none has a figure.
    """
    failed = record["counts"].get("failed", 0)
    if failed:
        raise PartialError(f"{counted(failed, 'trial')} failed", hint="The same command tries them again")
    if record["best"] is None:
        raise PartialError("no trial has come to its end", hint="The table says why")
