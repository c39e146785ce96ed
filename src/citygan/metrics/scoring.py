"""Scoring a set: pictures are measured on threads, one after the other comes in, none is kept."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.errors import CityganError, DataError
from citygan.metrics import Metric
from citygan.metrics.figures import Figure, Gathered, absent
from citygan.metrics.metric import Following, Frame, Need, Segmented
from citygan.metrics.pairs import UInt8, check_pair, digest_of, threads

NAMED = 5  # faulty pictures told in one message


@dataclass(frozen=True)
class Trio:
    """A picture to score, and what it is scored by.

    Attributes:
        stem: Its name.
        fake, real: The picture and the real one, uint8 [H, W, C].
        painting: What the painting in mean colours made of it.
        label, instance, ids, samples: What metrics may need besides (`citygan.metrics.metric.Need`).
        painting_ids: The `ids` of the painting.
        segmented: What a segmenter sees in the picture.
        painting_segmented: The same of the painting.
        frame: Its place in a video.
        following: The next frame of the video.
        shown: What it was made from, to be shown beside it.
        missing: What of these could not be had of this picture.
    """

    stem: str
    fake: UInt8
    real: UInt8
    painting: UInt8 | None = None
    label: UInt8 | None = None
    instance: npt.NDArray[np.uint16] | None = None
    ids: UInt8 | None = None
    samples: tuple[UInt8, ...] | None = None
    painting_ids: UInt8 | None = None
    segmented: Segmented | None = None
    painting_segmented: Segmented | None = None
    frame: Frame | None = None
    following: Following | None = None
    shown: UInt8 | None = None
    missing: Mapping[Need, CityganError] = field(default_factory=dict)


Job = Callable[[], Trio]
"""Fetches one; called on a thread, so that decoding is spread too."""


@dataclass(frozen=True)
class Scored:
    """What was measured on one picture.

    Attributes:
        stem: Its name.
        size: (width, height).
        fake, painting, real: By the metric's name, None where the picture has no such figure; `painting` is empty where
            there is none, `real` holds the metrics that are measured of the real picture too.
        failed: The metrics that could not be measured on it.
        digests: sha256 of the fake and the real pixels.
        trio: The pictures.
    """

    stem: str
    size: tuple[int, int]
    fake: dict[str, Any]
    painting: dict[str, Any]
    real: dict[str, Any]
    failed: dict[str, CityganError]
    digests: tuple[bytes, bytes]
    trio: Trio


@dataclass
class Scores:
    """The figures of a set, as far as it has been seen.

    Attributes:
        metrics: What is measured, started.
        images: Pictures seen.
        sizes: How many of each (width, height).
        failed: Metrics that cannot be computed, by name, with the reason: none is ever given for a part of the set.
    """

    metrics: Sequence[Metric]
    images: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    failed: dict[str, CityganError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fake: dict[str, Gathered] = {metric.name: metric.gather() for metric in self.metrics}
        self._painting: dict[str, Gathered] = {metric.name: metric.gather() for metric in self.metrics}
        self._real: dict[str, Gathered] = {metric.name: metric.gather() for metric in self.metrics if metric.of_real}
        self._digests = (hashlib.sha256(), hashlib.sha256())

    def add(self, scored: Scored) -> None:
        """Takes in one picture."""
        self.images += 1
        self.sizes[scored.size] += 1
        for whole, digest in zip(self._digests, scored.digests, strict=True):
            whole.update(scored.stem.encode("utf-8", "surrogateescape") + b"\0" + digest)
        for name, problem in scored.failed.items():
            self.failed.setdefault(name, problem)
        measurements = ((self._fake, scored.fake), (self._painting, scored.painting), (self._real, scored.real))
        for gathered, measured in measurements:
            for name, value in measured.items():
                if value is None or name in self.failed:
                    continue
                try:
                    gathered[name].add(value)
                except CityganError as problem:
                    self.failed[name] = problem

    @property
    def digests(self) -> tuple[str, str]:
        """sha256 over names and pixels of the fake and of the real pictures, in order."""
        return self._digests[0].hexdigest(), self._digests[1].hexdigest()

    def figures(self, no_painting: str | None) -> dict[str, Figure]:
        """The figure of each metric, with the painting's beside it.

        Args:
            no_painting: Why there is no painting; None where there is one.
        """
        result: dict[str, Figure] = {}
        for metric in self.metrics:
            parts = metric.parts
            problem = self.failed.get(metric.name)
            why = no_painting or metric.no_painting
            if problem is not None:
                figure = absent(str(problem)) | {"exit_code": problem.exit_code}
                painted = absent(why or str(problem))
            else:
                figure = metric.figure(self._fake[metric.name])
                painted = absent(why) if why else metric.figure(self._painting[metric.name])
                painted.pop("exit_code", None)
            about = {"unit": metric.unit, "better": metric.better, "scope": metric.scope}
            result[metric.name] = _all(figure, parts) | about | {"mean_colour": _all(painted, parts)}
            if metric.of_real:
                real = absent(str(problem)) if problem is not None else metric.figure(self._real[metric.name])
                real.pop("exit_code", None)
                result[metric.name]["real"] = _all(real, parts)
        return result

    def plots(self, painting: str) -> dict[str, bytes]:
        """The files that metrics give beside their figures, by name.

        Args:
            painting: What the painting is called.
        """
        files: dict[str, bytes] = {}
        for metric in self.metrics:
            if metric.plots is not None and metric.name not in self.failed and self.images:
                gathered = {"generated": self._fake[metric.name], painting: self._painting[metric.name]}
                files |= metric.plots(gathered)
        return files


def _all(figure: Figure, parts: Sequence[str]) -> Figure:
    """The figure with every number that its metric can have: None for those it lacks."""
    return figure | {name: None for name in parts if name not in figure}


def score(jobs: Iterable[Job], metrics: Sequence[Metric]) -> Iterator[Scored]:
    """Measures pictures on threads, in order, a few ahead of the reader.

    Args:
        metrics: Started.

    Raises:
        DataError: Pairs that cannot be compared (unreadable, of different sizes), after all have been looked at: the
            first few are named.
    """
    faults: list[CityganError] = []
    count = 0
    workers = threads()
    with ThreadPoolExecutor(workers, "metrics") as pool:
        ahead: deque[Future[Scored]] = deque()
        remaining = iter(jobs)
        try:
            while True:
                while len(ahead) < 2 * workers and (job := next(remaining, None)) is not None:
                    ahead.append(pool.submit(measure, job, metrics))
                if not ahead:
                    break
                count += 1
                try:
                    scored = ahead.popleft().result()
                except DataError as problem:
                    faults.append(problem)
                    continue
                if not faults:
                    yield scored
        finally:
            for future in ahead:
                future.cancel()
    if faults:
        raise _summary(faults, count)


def measure(job: Job, metrics: Sequence[Metric]) -> Scored:
    """Measures one picture.

    Raises:
        DataError: It cannot be compared with the real one.
    """
    trio = job()
    fake, real, painting = trio.fake, trio.real, trio.painting
    try:
        check_pair(fake, real)
    except DataError as problem:
        raise DataError(problem.what, where=problem.where or trio.stem, hint=problem.hint) from problem
    own: dict[str, Any] = {}
    painted: dict[str, Any] = {}
    of_real: dict[str, Any] = {}
    failed: dict[str, CityganError] = {}
    for metric in metrics:
        try:
            own[metric.name] = metric.measure(fake, real, **_needed(metric, trio))
            if painting is not None and metric.no_painting is None:
                painted[metric.name] = metric.measure(painting, real, **_needed(metric, _of_painting(trio)))
            if metric.of_real:
                of_real[metric.name] = metric.measure(real, real, **_needed(metric, _of_real(trio)))
        except CityganError as problem:
            problem.where = problem.where or trio.stem
            failed[metric.name] = problem
    size = (fake.shape[1], fake.shape[0])
    return Scored(trio.stem, size, own, painted, of_real, failed, (digest_of(fake), digest_of(real)), trio)


def _of_painting(trio: Trio) -> Trio:
    """What metrics need of the painting in the place of the picture."""
    following = trio.following
    if following is not None:
        following = None if following.painting is None else replace(following, fake=following.painting)
    return replace(trio, ids=trio.painting_ids, segmented=trio.painting_segmented, following=following)


def _of_real(trio: Trio) -> Trio:
    """What metrics need of the real picture in the place of the picture."""
    return (
        trio if trio.following is None else replace(trio, following=replace(trio.following, fake=trio.following.real))
    )


def _needed(metric: Metric, trio: Trio) -> dict[str, Any]:
    """What a metric is given by keyword."""
    for need in metric.needs:
        if need in trio.missing:
            raise trio.missing[need]
    return {need: getattr(trio, need) for need in metric.needs}


def _summary(faults: list[CityganError], count: int) -> CityganError:
    if len(faults) == 1:
        return faults[0]
    named = "; ".join(fault.what if fault.where is None else f"{fault.where}: {fault.what}" for fault in faults[:NAMED])
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    return DataError(f"{len(faults)} of {count} pictures cannot be compared: {named}{more}")
