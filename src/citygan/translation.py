"""Files through a translator: which there are, what they become, in batches, whole or not at all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.labels import TABLES, ClassTable
from citygan.data.store import WHAT, PreparedSet, Split
from citygan.errors import CityganError, DataError, UsageError
from citygan.files import write_bytes
from citygan.infer import Translator
from citygan.jobs import NAMED, Job, outputs_of
from citygan.pictures import encode_picture, encode_png, read_index, read_label, read_photo, read_source
from citygan.segmenting import LabelMaker
from citygan.sheets import few_colours
from citygan.train.checkpoint import read_state

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
    read = _reader(translator, table, max_pixels)
    together = batch or translator.default_batch
    palette = palette_of(translator)
    with ThreadPoolExecutor(2, "read") as readers, ThreadPoolExecutor(2, "write") as writers:
        waiting: list[tuple[Job, Future[_Input]]] = []
        remaining = iter(jobs)
        writing: list[tuple[Job, str | None, list[Future[Path]]]] = []
        group: list[tuple[Job, _Input]] = []

        def fill() -> None:
            while len(waiting) < READ_AHEAD + together:
                job = next(remaining, None)
                if job is None:
                    return
                waiting.append((job, readers.submit(read, job)))

        def translate_group() -> None:
            arrays = np.stack([picture.array for _, picture in group])
            beside = {name: np.stack([picture.beside[name] for _, picture in group]) for name in group[0][1].beside}
            versions = [translator.translate(arrays, **beside, sample=k, tile=tile) for k in range(samples)]
            for i, (job, picture) in enumerate(group):
                files = outputs_of(job, out, suffix, samples)
                futures = [writers.submit(_write, file, versions[k][i], palette) for k, file in enumerate(files)]
                writing.append((job, picture.doubt, futures))
            group.clear()

        fill()
        while waiting:
            job, future = waiting.pop(0)
            fill()
            try:
                picture = future.result()
            except CityganError as problem:
                yield Outcome(job, [], problem)
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


@dataclass(frozen=True)
class _Input:
    array: npt.NDArray[Any]
    beside: dict[str, npt.NDArray[Any]]  # by the keywords of `Translator.translate`
    doubt: str | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of all its arrays: those of equal ones are translated together."""
        return [array.shape for array in (self.array, *self.beside.values())]


def _reader(
    translator: Translator | LabelMaker, table: ClassTable | None, max_pixels: int | None
) -> Callable[[Job], _Input]:
    limit: dict[str, Any] = {} if max_pixels is None else {"max_pixels": max_pixels}
    own = translator.classes
    doubts = own is None and not _learnt_from_few_colours(translator)
    convert = None
    if own is not None and table is not None and table != own:
        convert = _conversion(table, own)

    def read(job: Job) -> _Input:
        if own is None:
            array = read_photo(job.source, **limit)
            if translator.channels == 1:
                array = read_source(job.source, **limit)
                if array.shape[2] != 1:
                    raise DataError("a picture in colours, and this run takes grey ones", where=job.source)
            height, width = array.shape[:2]
            if translator.pairs is not None and width == 2 * height:  # a pair like those it learnt from
                array = array[:, :height] if translator.pairs == "AtoB" else array[:, height:]
            doubt = "a label map" if doubts and few_colours(array) else None
            return _Input(np.ascontiguousarray(array), edges_of(job, array), doubt)
        try:
            label = read_label(job.source, table or own, **limit)
        except DataError as problem:
            raise _as_it_is_here(problem, job.source, table or own, own, limit) from problem
        beside = edges_of(job, label)
        if convert is not None:
            label = convert[label]
        if translator.needs_instances:
            if job.instance is None:
                raise DataError("no instance map belongs to it, and this run needs one", where=job.source)
            instance = read_index(job.instance, **limit)
            if instance.shape != label.shape:
                sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (instance, label)]
                raise DataError(
                    f"an instance map of {sizes[0]} for a label map ({job.source}) of {sizes[1]}", where=job.instance
                )
            beside["instances"] = instance
        return _Input(label, beside)

    def edges_of(job: Job, array: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        file = job.picture or job.edges
        if file is None:
            return {}
        found = read_photo(file, **limit) if job.picture is not None else read_source(file, **limit)[..., 0]
        if found.shape[:2] != array.shape[:2]:
            sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (found, array)]
            what = "a picture" if job.picture is not None else "an edge map"
            raise DataError(f"{what} of {sizes[0]} for {job.source} of {sizes[1]}: nothing is resized", where=file)
        return {"pictures" if job.picture is not None else "edges": found}

    return read


def _as_it_is_here(
    problem: DataError, file: Path, read_by: ClassTable, own: ClassTable, limit: dict[str, Any]
) -> DataError:
    """The fault of a label map, its hint naming only tables that the translator's classes can be carried over from."""
    hint = problem.hint or ""
    if "--classes" not in hint:
        return problem
    for table in (own, *TABLES.values()):
        if table == read_by:
            continue
        with contextlib.suppress(CityganError):
            _conversion(table, own)
            read_label(file, table, **limit)
            way = "leave --classes out" if table == own else f"try --classes {table.name}"
            return DataError(problem.what, where=problem.where, hint=f"They fit {table.name}: {way}")
    fit, found, _ = hint.partition(": try --classes")
    other = f"the run was trained on other classes ({own.name}): another run, or label maps by its table"
    return DataError(problem.what, where=problem.where, hint=f"{fit}, but {other}" if found else other.capitalize())


def _learnt_from_few_colours(translator: Translator | LabelMaker) -> bool:
    """Whether the pictures it learnt from look like label maps too, as those of many published pairs do."""
    if translator.path is None:
        return False
    return bool((read_state(translator.path).get("data") or {}).get("few_colours", False))


def _conversion(given: ClassTable, own: ClassTable) -> npt.NDArray[np.uint8]:
    """uint8 [256]: ids of one table to those of another, by the names of the classes.

    Raises:
        UsageError: Classes that the model does not know.
    """
    by_name = {item.name.lower(): item.id for item in own.classes}
    lookup = np.full(256, 255, np.uint8)
    missing = []
    for item in given.classes:
        if item.name.lower() in by_name:
            lookup[item.id] = by_name[item.name.lower()]
        elif item.train_id != 255:
            missing.append(item.name)
    if missing:
        raise UsageError(
            f"the model's classes ({own.name}) have no {', '.join(missing)}",
            where=f"--classes {given.name}",
            hint=f"It takes label maps by the table {own.name}",
        )
    return lookup
