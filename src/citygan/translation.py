"""Files through a translator: which there are, what they become, in batches, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.data.store import WHAT, PreparedSet, Split, set_names
from citygan.errors import CityganError, DataError, UsageError, counted, did_you_mean
from citygan.files import write_bytes
from citygan.infer import Translator
from citygan.inputs import Input, Job, read_ahead, reader_of, translate_inputs
from citygan.pictures import SUFFIXES, encode_picture, encode_png
from citygan.segmenting import LabelMaker

READ_AHEAD = 8  # pictures decoded before they are needed
TOLD = 3  # faults of one cause told in full ...
NAMED = 5  # ... and further files named


@dataclass(frozen=True)
class Outcome:
    """What a job became: the files written, or what was wrong.

    Attributes:
        doubt: What it looks like that the translator does not take.
    """

    job: Job
    written: list[Path]
    problem: CityganError | None = None
    doubt: str | None = None


class Problems:
    """The faults of many files, of which the first of each cause are told in full, the others together."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._by_cause: dict[tuple[object, ...], list[CityganError]] = {}

    def add(self, problem: CityganError) -> str | None:
        """Takes one in; the line to tell now, if any."""
        self.all.append(str(problem))
        cause = (type(problem), re.sub(r"\d+", "#", _short(problem)), problem.hint)
        alike = self._by_cause.setdefault(cause, [])
        alike.append(problem)
        return str(problem) if len(alike) <= TOLD else None

    def rest(self) -> Iterator[str]:
        """A line for each cause of which not all have been told."""
        for alike in self._by_cause.values():
            names = [str(problem.where) for problem in alike[TOLD:]]
            if names:
                more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
                yield f"likewise ({_short(alike[0])}): {', '.join(names[:NAMED])}{more}"

    @property
    def all_told(self) -> bool:
        """Whether every one was told with its name."""
        return all(len(alike) <= TOLD + NAMED for alike in self._by_cause.values())


def _short(problem: CityganError) -> str:
    return problem.what.partition(":")[0]


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
    """What to say of an input that does not exist."""
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


def split_for(translator: Translator | LabelMaker, data: PreparedSet, name: str, *, scored: bool = False) -> Split:
    """The split of that name, with what the translator takes.

    Args:
        scored: It must have photos too, to compare with.

    Raises:
        UsageError: No such split.
        DataError: It lacks something, or is by other classes; the splits that would do are named.
    """
    kind = "photo" if isinstance(translator, LabelMaker) else translator.input_kind
    painted = "photo" if isinstance(translator, LabelMaker) else translator.output_kind
    needed = {kind, painted} if scored else {kind}
    fitting = [split.name for split in data.splits.values() if needed <= split.arrays.keys()]
    hint = "Take another set"
    if fitting:
        hint = f"--split {' or --split '.join(fitting)} can be {'scored' if scored else 'translated'}"
    try:
        split = data.split(name)
    except UsageError as problem:
        raise UsageError(
            problem.what, where=problem.where, hint=f"{problem.hint}; {hint[0].lower()}{hint[1:]}"
        ) from problem
    where = f"{data.path}, split {name}"
    if scored and painted not in split.arrays:
        raise DataError(f"no {WHAT[painted]} to compare with", where=where, hint=hint)
    if kind not in split.arrays:
        raise DataError(f"no {WHAT[kind]}, which this run translates", where=where, hint=hint)
    if isinstance(translator, Translator):
        translator.guides.edges_from(split)
    table = translator.classes
    if scored and not isinstance(translator, LabelMaker):
        table = table or translator.painted_classes
    if table is not None and data.classes != table:
        theirs = "no classes" if data.classes is None else f"the classes {data.classes.name}"
        raise DataError(
            f"the set has {theirs}, the run was trained on {table.name}",
            where=data.path,
            hint="Take a set that was prepared with the run's classes",
        )
    return split


def translate_files(
    translator: Translator | LabelMaker,
    jobs: Sequence[Job],
    out: Path,
    *,
    table: ClassTable | None = None,
    samples: int = 1,
    tile: tuple[int, int] | None = None,
    suffix: str = ".png",
    batch: int | None = None,
    max_pixels: int | None = None,
) -> Generator[Outcome, None, None]:
    """Translates files; those that cannot be read are told and passed over.

    Args:
        table: The table of the label maps where it is not the translator's own; ids are carried over by name.
        samples: Versions of each.
        batch: Pictures of one size to translate together.
    """
    read = reader_of(translator, table, max_pixels)
    together = batch or translator.default_batch
    palette = palette_of(translator)
    with ThreadPoolExecutor(2, "write") as writers:
        writing: list[tuple[Job, str | None, list[Future[Path]]]] = []
        group: list[tuple[Job, Input]] = []

        def translate_group() -> None:
            given = [picture for _, picture in group]
            versions = [translate_inputs(translator, given, sample=k, tile=tile) for k in range(samples)]
            for i, (job, picture) in enumerate(group):
                files = outputs_of(job, out, suffix, samples)
                futures = [writers.submit(_write, file, versions[k][i], palette) for k, file in enumerate(files)]
                writing.append((job, picture.doubt, futures))
            group.clear()

        for job, picture in read_ahead(read, jobs, READ_AHEAD + together):
            if isinstance(picture, CityganError):
                yield Outcome(job, [], picture)
                continue
            if group and (group[0][1].shapes != picture.shapes or len(group) == together):
                translate_group()
            group.append((job, picture))
            while len(writing) > together:
                yield _finished(writing.pop(0))
        if group:
            translate_group()
        while writing:
            yield _finished(writing.pop(0))


def _finished(item: tuple[Job, str | None, list[Future[Path]]]) -> Outcome:
    job, doubt, futures = item
    return Outcome(job, [future.result() for future in futures], doubt=doubt)


def palette_of(translator: Translator | LabelMaker) -> npt.NDArray[np.uint8] | None:
    """The colours in which what it makes is shown, where that are ids."""
    return translator.palette if isinstance(translator, LabelMaker) else None


def encoded(picture: npt.NDArray[np.uint8], suffix: str, palette: npt.NDArray[np.uint8] | None) -> bytes:
    """A picture's file; ids as a PNG with their palette."""
    return encode_picture(picture, suffix) if palette is None else encode_png(picture, palette=palette)


def _write(path: Path, picture: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8] | None) -> Path:
    write_bytes(path, encoded(picture, path.suffix, palette))
    return path
