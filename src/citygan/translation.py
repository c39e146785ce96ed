"""Files through a translator: which there are, what they become, in batches, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.data.store import WHAT, PreparedSet, Split
from citygan.errors import CityganError, DataError, UsageError
from citygan.files import write_bytes
from citygan.infer import Translator
from citygan.inputs import Input, read_ahead, reader_of, translate_inputs
from citygan.jobs import NAMED, Job, outputs_of
from citygan.pictures import encode_picture, encode_png
from citygan.segmenting import LabelMaker

READ_AHEAD = 8  # pictures decoded before they are needed
TOLD = 3  # faults of one cause told in full; NAMED further files are named


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
