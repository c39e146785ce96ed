"""What a metric is: a row that says how a picture is measured and how measurements become one figure.

Most rows are whole as they stand in the table. Those that need a network, a class table or several draws of a picture
have `start`, which gives the row made ready for one evaluation, or says why that cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.errors import CityganError, DataError, UsageError
from citygan.metrics.figures import Figure, Gathered, absent
from citygan.metrics.pairs import UInt8

Need = Literal["label", "instance", "ids", "samples", "segmented", "frame", "following"]
"""What `measure` may want besides the two pictures, by keyword:

- `label`: the true ids, uint8 [H, W]
- `instance`: the instance map, uint16 [H, W]; None where the set has none
- `ids`: the picture's own ids, uint8 [H, W], where what is scored are label maps
- `segmented`: what a segmenter sees in it and in the real picture (`Segmented`)
- `samples`: several draws of the picture, a sequence of uint8 [H, W, C]
- `frame`: its place in a video (`Frame`); None of a single picture
- `following`: the next frame of the video and the way there (`Following`); None where there is none
"""

Frame = tuple[str, int]
"""The sequence that a picture belongs to, and its number there: the next one's is greater by one."""

Features = dict[bytes, npt.NDArray[np.float32]]
"""Features of pictures by `digest_of` their pixels."""

_Shared = TypeVar("_Shared")


@dataclass(frozen=True)
class Segmented:
    """What a segmenter sees in one picture, at the size of the true labels; all uint8 [H, W] ids of the class table.

    Attributes:
        ids: In the picture.
        truth: The true labels.
        oracle: In the real photo; None where that is not asked for.
        chance: In the picture, at the size of `other`.
        other: The true labels of another picture, for which this one was not made; None in a set of one.
    """

    ids: UInt8
    truth: UInt8
    oracle: UInt8 | None = None
    chance: UInt8 | None = None
    other: UInt8 | None = None


@dataclass(frozen=True)
class Following:
    """The next frame of a video, and where each pixel of this one is in it.

    Attributes:
        fake, real: The next picture and the next real one, uint8 [H, W, C].
        flow: float32 [H, W, 2], pixels (x, y) from this real frame to the next.
        occlusion: bool [H, W], where there is no correspondence in the next frame (hidden there, or outside).
        painting: What the painting made of the next one.
    """

    fake: UInt8
    real: UInt8
    flow: npt.NDArray[np.float32]
    occlusion: npt.NDArray[np.bool_]
    painting: UInt8 | None = None


class Memory(Protocol):
    """Keeps features of the real pictures from one evaluation to the next."""

    def read(self, protocol: Mapping[str, Any]) -> Features:
        """What was kept of features by this protocol."""

    def write(self, protocol: Mapping[str, Any], features: Features) -> None:
        """Keeps them."""


class NoMemory:
    """Keeps nothing."""

    def read(self, protocol: Mapping[str, Any]) -> Features:
        """Nothing."""
        return {}

    def write(self, protocol: Mapping[str, Any], features: Features) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class Setup:
    """What one evaluation gives its metrics.

    Attributes:
        device: Of networks: `auto`, `cpu`, `cuda`, ...
        weights: Given by name: a path, or `random`.
        classes: The table of labels and ids.
        draws: What the draws of `samples` depend on, for the protocol.
        segmenter: What the protocol says of the segmenter that looks at pictures; None without.
        painting: What the painting was made from: `label` (it knows the truth), `photo`, or nothing.
        motion: Where the flow between frames comes from, for the protocol.
        lacking: Why there is no `label`, no `ids`, no `samples`; what is not named here is there.
        memory: Keeps features of the real pictures.
    """

    device: str = "auto"
    weights: Mapping[str, str] = field(default_factory=dict)
    classes: ClassTable | None = None
    draws: Mapping[str, Any] = field(default_factory=dict)
    segmenter: Mapping[str, Any] | None = None
    painting: Literal["label", "photo"] | None = None
    motion: Mapping[str, Any] = field(default_factory=dict)
    lacking: Mapping[Need, CityganError] = field(default_factory=dict)
    memory: Memory = field(default_factory=NoMemory)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False)

    def shared(self, key: str, make: Callable[[], _Shared]) -> _Shared:
        """What several metrics of this evaluation use together, made for the first of them."""
        if key not in self._shared:
            self._shared[key] = make()
        found: _Shared = self._shared[key]
        return found

    def finish(self) -> None:
        """Lets what is shared keep what it learnt, after all pictures were measured."""
        for thing in self._shared.values():
            finish = getattr(thing, "finish", None)
            if finish is not None:
                finish()


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A row of `METRICS`.

    Attributes:
        name: As on the command line.
        unit: Of its figures; empty for a ratio.
        better: Which way is better.
        range: Of its figures, in words: from the worst to the best, and where that is.
        source: What it is equal to, or where it is defined.
        scope: `picture`: a figure for each picture, averaged; `set`: one figure of all.
        measure: Pure and safe to call from threads: (fake, real), uint8 [H, W, C], and by keyword what `needs` names,
            to what `gather` takes in; None where this picture has no such figure, which is passed over.
        gather: Makes what adds up the measurements.
        protocol: What its figures depend on.
        parts: Further entries of its figure, besides `mean`, `std`, `n`.
        needs: What `measure` is given by keyword.
        no_painting: Why the painting has no such figure; None where it has.
        of_real: Whether the real pictures have such a figure too, which stands beside it as `real`.
        start: Makes the row ready: (row, setup) to the row with what it lacks here. It raises what is to be told where
            it cannot be computed.
        plots: Files to be written beside the figures: (what was gathered of each, by what it is called) to contents by
            name.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    range: str
    source: str
    scope: Literal["picture", "set"]
    measure: Callable[..., Any]
    gather: Callable[[], Gathered]
    protocol: Mapping[str, Any]
    parts: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    no_painting: str | None = None
    of_real: bool = False
    start: Callable[[Metric, Setup], Metric] | None = None
    plots: Callable[[Mapping[str, Gathered]], Mapping[str, bytes]] | None = None

    def figure(self, gathered: Gathered) -> Figure:
        """The figure of what was gathered; absent, with the reason, where it cannot be given."""
        try:
            return gathered.figure()
        except CityganError as problem:
            return absent(str(problem)) | {"exit_code": problem.exit_code}


def start_all(metrics: Sequence[Metric], setup: Setup) -> tuple[list[Metric], dict[str, CityganError]]:
    """Makes rows ready; those that cannot be are returned as they were, with the reason by their name.

    Raises:
        UsageError: What was asked for is not there to be asked for.
    """
    started, failed = [], {}
    for metric in metrics:
        try:
            for need in metric.needs:
                if need in setup.lacking:
                    raise setup.lacking[need]
            started.append(metric if metric.start is None else metric.start(metric, setup))
        except UsageError:
            raise
        except CityganError as problem:
            started.append(metric)
            failed[metric.name] = problem
    return started, failed


def not_started(*pictures: UInt8, **more: Any) -> Any:
    """Stands in `measure` of a row that has to be started."""
    raise DataError("this metric needs more than two pictures", hint="citygan.evaluate prepares what it needs")
