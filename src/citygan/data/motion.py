"""Which pictures follow each other, and the flow between them: what `prepare --flow` adds to a set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from citygan.data.layouts import Fault
from citygan.data.store import Array, Framed, Item, follows
from citygan.data.workers import in_order
from citygan.errors import UsageError, counted
from citygan.ops.flow import dense_flow, occluded

if TYPE_CHECKING:
    from citygan.data.plan import Job

ARRAYS = ("flow", "occlusion")
SEEN_IN = {"photo", "pair", "source"}  # the files in which motion is seen

Read = tuple[Item, bytes | None, dict[str, Array]]
Task = tuple[int, "Job"]  # a job and its place in the plan


@dataclass(frozen=True, slots=True)
class Pairs:
    """How many pairs of frames follow each other, and how many are neighbours with others missing between them."""

    pairs: int
    gaps: int

    @classmethod
    def of(cls, frames: Sequence[Framed]) -> Pairs:
        """Of the pictures of one split, in order."""
        pairs = sum(follows(before, after) for before, after in pairwise(frames))
        same = sum(a.sequence is not None and a.sequence == b.sequence for a, b in pairwise(frames))
        return cls(pairs, same - pairs)


def uneven(jobs: Sequence[Job]) -> dict[int, Fault]:
    """Frames of another size than most of their sequence: by place in `jobs`, what is wrong with each.

    Stretched to one size, they would seem to move where they do not.
    """
    sizes: dict[tuple[str, str], Counter[tuple[int, int]]] = defaultdict(Counter)
    for job in jobs:
        if job.entry.sequence is not None:
            sizes[job.split, job.entry.sequence][job.original_size] += 1
    faults: dict[int, Fault] = {}
    for place, job in enumerate(jobs):
        if job.entry.sequence is None:
            continue
        (width, height), count = sizes[job.split, job.entry.sequence].most_common(1)[0]
        if job.original_size != (width, height):
            (w, h), others = job.original_size, "the other frame" if count == 1 else f"{count} other frames"
            is_ = "is" if count == 1 else "are"
            reason = f"{w}x{h}, where {others} of the sequence {job.entry.sequence} {is_} {width}x{height}: no flow"
            faults[place] = Fault(next(iter(job.entry.files.values())), reason)
    return faults


def in_words(flowing: Mapping[str, Pairs], splits: Iterable[str], method: str) -> str:
    """Where there is going to be flow, and where not.

    Args:
        flowing: The pairs of the splits that get flow.
        splits: All splits.
        method: A name of `ops.flow.METHODS`.
    """
    pairs = [f"{counted(found.pairs, 'pair')} of frames in {split}" for split, found in flowing.items()]
    missing = [
        f"{counted(found.gaps, 'gap')} in the frame numbers of {split}"
        for split, found in flowing.items()
        if found.gaps
    ]
    none = [split for split in splits if split not in flowing]
    told = [f"flow by {method} between {', '.join(pairs) or '0 pairs of frames'}"]
    told += [f"{', '.join(missing)}: none across"] if missing else []
    told += [f"none in {', '.join(none)}, where no pictures follow each other"] if none else []
    return "; ".join(told)


def nothing_flows(jobs: Sequence[Job]) -> UsageError:
    """The error where no two of all pictures follow each other."""
    if not any(SEEN_IN & job.entry.files.keys() for job in jobs):
        what, hint = "there are no pictures to see a flow in, label maps alone", "Leave it out"
    elif any(job.entry.sequence is not None for job in jobs):
        what, hint = "no two of the frames follow each other: their numbers have gaps, or each is alone", "Leave it out"
    else:
        what = "no pictures follow each other as frames"
        hint = "The frames of a sequence lie in a folder named seq0000 or the like, with numbers; or leave it out"
    return UsageError(what, where="--flow", hint=hint)


def with_flow(
    results: Iterable[tuple[Task, Read | Fault]], splits: Collection[str], method: str, workers: int
) -> Iterator[tuple[Task, Read | Fault]]:
    """Adds flow and occlusion to pictures as they are read, on threads, in order.

    Args:
        results: What was read, in the order of the plan.
        splits: Those whose pictures get flow.
        method: A name of `ops.flow.METHODS`.
        workers: Threads; they change no byte.
    """

    def add(found: tuple[Task, Read | Fault, Array | None]) -> tuple[Task, Read | Fault]:
        task, result, following = found
        if isinstance(result, Fault) or task[1].split not in splits:
            return task, result
        item, full, arrays = result
        return task, (item, full, arrays | flow_arrays(picture_of(arrays), following, method))

    yield from in_order(add, _with_following(results), workers)


def _with_following(
    results: Iterable[tuple[Task, Read | Fault]],
) -> Iterator[tuple[Task, Read | Fault, Array | None]]:
    """Each result with the picture of the frame that follows it, where one does."""
    held: tuple[Task, Read] | None = None
    for task, result in results:
        if held is not None:
            following = None
            if not isinstance(result, Fault) and held[0][1].split == task[1].split and follows(held[1][0], result[0]):
                following = picture_of(result[2])
            yield *held, following
        held = None
        if isinstance(result, Fault):
            yield task, result, None
        else:
            held = task, result
    if held is not None:
        yield *held, None


def picture_of(arrays: dict[str, Array]) -> Array:
    """What the flow of a picture is seen in: its photo, or its source where it has none."""
    return arrays["photo"] if "photo" in arrays else arrays["source"]


def flow_arrays(picture: Array, following: Array | None, method: str) -> dict[str, Array]:
    """Flow and occlusion from a picture to the next: none of it where there is no next one.

    Args:
        picture, following: uint8 [H, W, 1 or 3].
        method: A name of `ops.flow.METHODS`.

    Returns:
        ``flow`` float16 [H, W, 2] in pixels, and ``occlusion`` uint8 [H, W], 1 without a correspondence.
    """
    height, width = picture.shape[:2]
    if following is None:
        return {"flow": np.zeros((height, width, 2), np.float16), "occlusion": np.ones((height, width), np.uint8)}
    flow = dense_flow(picture, following, method).astype(np.float16)
    return {"flow": flow, "occlusion": occluded(flow, dense_flow(following, picture, method))}
