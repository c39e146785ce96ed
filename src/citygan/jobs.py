"""The files to translate: which there are, what belongs to each, and what each becomes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from citygan.data.store import set_names
from citygan.errors import DataError, UsageError, counted, did_you_mean
from citygan.infer import Translator
from citygan.pictures import SUFFIXES
from citygan.segmenting import LabelMaker

NAMED = 5  # files named of many that are at fault


@dataclass(frozen=True)
class Job:
    """One picture to make.

    Attributes:
        source: The file to translate.
        stem: Path of the result under the output folder, without suffix.
        instance: The instance map that belongs to it.
        picture: The picture that its edges are taken from.
        edges: Its edge map.
    """

    source: Path
    stem: str
    instance: Path | None = None
    picture: Path | None = None
    edges: Path | None = None


def find_jobs(inputs: Iterable[str], takes_labels: bool) -> list[Job]:
    """The pictures among files and folders; folders with all below them, a recognised layout by its reader.

    Args:
        inputs: Paths; ``-`` reads more of them from stdin, one a line.
        takes_labels: Whether label maps are wanted; otherwise pictures.

    Raises:
        DataError: A path that is not there, a folder without pictures.
        UsageError: Two pictures that would get one name.
    """
    jobs: list[Job] = []
    for text in inputs:
        if text == "-":
            lines = sys.stdin.buffer.read().split(b"\n")
            jobs += [Job(Path(os.fsdecode(line)), Path(os.fsdecode(line)).stem) for line in lines if line]
            continue
        path = Path(text)
        if path.is_dir():
            jobs += _folder_jobs(path, takes_labels)
        elif not os.path.lexists(path):
            raise not_there(text)
        else:
            jobs.append(Job(path, path.stem))
    seen: dict[str, Path] = {}
    for job in jobs:
        if job.stem in seen and seen[job.stem] != job.source:
            raise UsageError(
                f"{seen[job.stem]} and {job.source} would both become {job.stem}",
                hint="Translate them into two folders",
            )
        seen[job.stem] = job.source
    if not jobs:
        raise DataError("nothing to translate", hint="- takes paths from stdin, one a line")
    return jobs


def not_there(text: str) -> DataError:
    folder = os.path.dirname(text.rstrip("/"))
    known = set_names()
    with contextlib.suppress(OSError):
        known += [os.path.join(folder, name) for name in os.listdir(folder or ".")]
    near = did_you_mean(text.rstrip("/"), known).rstrip()
    return DataError("no such file, folder or prepared set", where=text, hint=near or None)


def _folder_jobs(folder: Path, takes_labels: bool) -> list[Job]:
    from citygan.data.layouts import label_files, scan

    if takes_labels:
        known = label_files(folder)
        if known is not None:
            return [Job(label, stem, instance) for stem, label, instance in known]
    tree = scan(folder)
    if not tree.pictures:
        raise DataError("no pictures in it", where=folder, hint=f"Looked for {', '.join(SUFFIXES)}")
    return [Job(tree.path(name), os.path.splitext(name)[0]) for name in tree.pictures]


def with_edges(
    jobs: Sequence[Job], translator: Translator | LabelMaker, photos: Path | None, edges: Path | None
) -> list[Job]:
    """The jobs of a run that is shown edges, each with its namesake, suffixes aside, from a folder.

    Args:
        photos: Pictures to take edges from.
        edges: In their place edge maps.

    Raises:
        UsageError: None is given, or both; or one for a run that is shown none.
        DataError: Jobs without a namesake.
    """
    shown = isinstance(translator, Translator) and translator.guides.skeleton is not None
    given = {"--photos": photos, "--edges": edges}
    flags = [flag for flag, folder in given.items() if folder is not None]
    if not shown:
        if flags:
            raise UsageError("this run is shown no edges", where=flags[0], hint="Leave it out")
        return list(jobs)
    if len(flags) != 1:
        what = "gives none to take them from" if not flags else "gives two sources of them"
        raise UsageError(
            f"this run is shown edges, and the command {what}",
            where=" and ".join(flags) or None,
            hint="--photos DIR takes them from pictures of the labels' names, such as the graphics renderings; "
            "--edges DIR from edge maps; a prepared set brings its own",
        )
    folder = photos or edges
    assert folder is not None
    if not folder.is_dir():
        raise DataError("no such folder", where=f"{flags[0]} {folder}")
    from citygan.data.layouts import scan

    tree = scan(folder)
    there = {os.path.splitext(name)[0]: tree.path(name) for name in tree.pictures}
    named = [(job, there.get(job.stem) or there.get(os.path.splitext(job.source.name)[0])) for job in jobs]
    missing = [job.stem for job, file in named if file is None]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"no namesake of {', '.join(missing[:NAMED])}{more}",
            where=f"{flags[0]} {folder}",
            hint="Every label map needs a picture of its name there, suffixes aside",
        )
    key = "picture" if photos is not None else "edges"
    return [replace(job, **{key: file}) for job, file in named]  # type: ignore[arg-type]


def outputs_of(job: Job, out: Path, suffix: str, samples: int) -> list[Path]:
    """The files a job becomes: STEM, or STEM-1 to STEM-K."""
    if samples == 1:
        return [out / f"{job.stem}{suffix}"]
    return [out / f"{job.stem}-{k}{suffix}" for k in range(1, samples + 1)]


def check_outputs(
    jobs: Sequence[Job], out: Path, suffix: str, samples: int, *, force: bool, missing: bool
) -> list[Job]:
    """The jobs that are left to do.

    Raises:
        UsageError: Output that exists without `force` or `missing`, output that is an input, an unknown suffix.
    """
    if not suffix.lower().endswith((".png", ".jpg", ".jpeg")):
        raise UsageError(f"'{suffix}' ends in no kind of picture", where="--suffix", hint="Take .png or .jpg")
    if "/" in suffix:
        raise UsageError(f"'{suffix}' names a folder", where="--suffix", hint="Take .png or .jpg")
    sources = {os.path.realpath(job.source) for job in jobs}
    left, existing = [], []
    for job in jobs:
        files = outputs_of(job, out, suffix, samples)
        for file in files:
            if os.path.realpath(file) in sources:
                raise UsageError("the output would overwrite an input", where=file, hint="Take another folder")
        there = [file for file in files if os.path.lexists(file)]
        existing += there
        if not missing or len(there) < len(files):
            left.append(job)
    if existing and not (force or missing):
        many = len(existing) > 1
        raise UsageError(
            f"{counted(len(existing), 'output')} exist{'s'[many:]} already",
            where=f"{existing[0]} and others" if many else existing[0],
            hint="--force overwrites, --missing makes only what is not there",
        )
    return left
