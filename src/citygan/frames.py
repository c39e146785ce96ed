"""Which pictures are neighbouring frames of a video, and pictures that come with the one after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from citygan.data.layouts.sequences import by_number
from citygan.data.layouts.sorting import sort_file
from citygan.data.layouts.types import Entry
from citygan.errors import CityganError, DataError
from citygan.metrics.metric import Frame, Need

_Item = TypeVar("_Item")

WIDEST_STEP = 2  # between the numbers of neighbouring frames


def frames_of(names: Sequence[str]) -> list[Frame | None]:
    """The sequence and the place in it of each picture, where its name tells that it is a frame of a video.

    The last number of a name counts: pictures of one folder and one beginning whose numbers go up by the same step, of
    1 or 2, are a sequence, and another step ends it.
    """
    bare = [name.removesuffix(sort_file(f"{name}.png").ending) for name in names]
    if len(set(bare)) < len(bare):
        bare = list(names)
    found = {entry.stem: entry for entry in by_number([Entry(name, {}) for name in bare], widest_step=WIDEST_STEP)}
    entries = [found[name] for name in bare]
    return [None if e.sequence is None or e.frame is None else (e.sequence, e.frame) for e in entries]


def with_next(items: Iterable[_Item]) -> Iterator[tuple[_Item, _Item | None]]:
    """Each of them and the one after it, None for the last; one is taken ahead, none is kept."""
    remaining = iter(items)
    for this in remaining:
        for after in remaining:
            yield this, after
            this = after
        yield this, None


def are_neighbours(frame: Frame | None, after: Frame | None) -> bool:
    """Whether the second is the next frame of the first one's sequence."""
    return frame is not None and after == (frame[0], frame[1] + 1)


def no_sequences(what: str) -> dict[Need, CityganError]:
    hint = "Score a split or a folder of video frames whose names end in consecutive numbers"
    return {"following": DataError(what, hint=hint), "frame": DataError(what, hint=hint)}
