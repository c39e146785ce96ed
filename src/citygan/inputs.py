"""What a translator is given: pictures to make, read and checked in threads, and translated together."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.labels import TABLES, ClassTable
from citygan.errors import CityganError, DataError, UsageError
from citygan.infer import Translator
from citygan.jobs import Job
from citygan.pictures import read_instances, read_label, read_photo, read_source
from citygan.segmenting import LabelMaker
from citygan.sheets import few_colours
from citygan.train.checkpoint import read_state


@dataclass(frozen=True)
class Input:
    """What a translator is given of one picture.

    Attributes:
        array: Ids [H, W] of its table, or a picture [H, W, C].
        beside: What else it is shown, by the keywords of `Translator.translate`.
        doubt: What it looks like that the translator does not take.
    """

    array: npt.NDArray[Any]
    beside: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    doubt: str | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of all its arrays: those of equal ones are translated together."""
        return [array.shape for array in (self.array, *self.beside.values())]


def reader_of(
    translator: Translator | LabelMaker, table: ClassTable | None, max_pixels: int | None
) -> Callable[[Job], Input]:
    """How a job's files are read for a translator; it raises a `CityganError` where they cannot be."""
    limit: dict[str, Any] = {} if max_pixels is None else {"max_pixels": max_pixels}
    own = translator.classes
    doubts = own is None and not _learnt_from_few_colours(translator)
    convert = None
    if own is not None and table is not None and table != own:
        convert = conversion(table, own)

    def read(job: Job) -> Input:
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
            return Input(np.ascontiguousarray(array), edges_of(job, array.shape[:2], max_pixels), doubt)
        try:
            label = read_label(job.source, table or own, **limit)
        except DataError as problem:
            raise _as_it_is_here(problem, job.source, table or own, own, limit) from problem
        beside = edges_of(job, label.shape, max_pixels)
        if convert is not None:
            label = convert[label]
        if translator.needs_instances:
            if job.instance is None:
                hint = "Give the folder above: labels/ and instances/ with the same names; or a prepared set"
                raise DataError("no instance map belongs to it, and this run needs one", where=job.source, hint=hint)
            instance = read_instances(job.instance, within_label=job.instance == job.source, **limit)
            if instance.shape != label.shape:
                sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (instance, label)]
                raise DataError(
                    f"an instance map of {sizes[0]} for a label map ({job.source}) of {sizes[1]}", where=job.instance
                )
            beside["instances"] = instance
        return Input(label, beside)

    return read


def edges_of(job: Job, shape: tuple[int, ...], max_pixels: int | None) -> dict[str, npt.NDArray[Any]]:
    """What a job brings its edges by, as the keyword of `Translator.translate`; empty where it brings none.

    Args:
        shape: (H, W) that it must have.

    Raises:
        DataError: It cannot be read, is of another size, or no edge map.
    """
    file = job.picture or job.edges
    if file is None:
        return {}
    limit: dict[str, Any] = {} if max_pixels is None else {"max_pixels": max_pixels}
    found = read_photo(file, **limit) if job.picture is not None else _edge_map(file, limit)
    if found.shape[:2] != shape:
        sizes = [f"{width}x{height}" for height, width in (found.shape[:2], shape)]
        what = "a picture" if job.picture is not None else "an edge map"
        raise DataError(f"{what} of {sizes[0]} for {job.source} of {sizes[1]}: nothing is resized", where=file)
    return {"pictures" if job.picture is not None else "edges": found}


def _edge_map(file: Path, limit: dict[str, Any]) -> npt.NDArray[np.uint8]:
    found = read_source(file, **limit)
    if (found != found[..., :1]).any():
        raise DataError(
            "a picture in colours, and an edge map is grey", where=file, hint="--photos DIR takes the edges of pictures"
        )
    return found[..., 0]


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
            conversion(table, own)
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


def conversion(given: ClassTable, own: ClassTable) -> npt.NDArray[np.uint8]:
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


def read_ahead(
    read: Callable[[Job], Input], jobs: Iterable[Job], ahead: int
) -> Generator[tuple[Job, Input | CityganError], None, None]:
    """Reads what jobs need in threads, never more than `ahead` of them early; in their order, faults in their place."""
    with ThreadPoolExecutor(2, "read") as readers:
        remaining = iter(jobs)
        waiting = deque((job, readers.submit(read, job)) for job in itertools.islice(remaining, ahead))
        while waiting:
            job, future = waiting.popleft()
            waiting.extend((job, readers.submit(read, job)) for job in itertools.islice(remaining, 1))
            try:
                picture: Input | CityganError = future.result()
            except CityganError as problem:
                picture = problem
            yield job, picture


def translate_inputs(
    translator: Translator | LabelMaker,
    inputs: Sequence[Input],
    *,
    sample: int = 0,
    tile: tuple[int, int] | None = None,
) -> npt.NDArray[np.uint8]:
    """What a translator makes of inputs of equal `shapes`, uint8 [N, H, W(, C)]."""
    arrays = np.stack([picture.array for picture in inputs])
    beside = {name: np.stack([picture.beside[name] for picture in inputs]) for name in inputs[0].beside}
    return translator.translate(arrays, **beside, sample=sample, tile=tile)
