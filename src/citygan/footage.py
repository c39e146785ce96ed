"""What a video is made from: a folder of frames, a prepared sequence, another video. Frames come one at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.labels import ClassTable
from citygan.data.layouts.sequences import gaps
from citygan.data.layouts.tree import natural
from citygan.data.store import SPLIT_ORDER, PreparedSet, Split
from citygan.errors import CityganError, DataError, UsageError, counted, did_you_mean
from citygan.infer import Translator
from citygan.inputs import Input, conversion, edges_of, read_ahead, reader_of, translate_inputs
from citygan.jobs import Job, find_jobs, not_there, with_edges
from citygan.pictures import MAX_PIXELS, SUFFIXES, header
from citygan.pictures.painted import (
    MAX_DOUBTFUL,
    TOLERANCE,
    UnknownValuesError,
    nearest_colours_to_ids,
)
from citygan.segmenting import LabelMaker
from citygan.translation import READ_AHEAD, split_for
from citygan.videofile import check_one_size, frames_of, probe

UInt8 = npt.NDArray[np.uint8]
PLAY_ORDER = ("test", *(name for name in SPLIT_ORDER if name != "test"))


@dataclass(frozen=True)
class Shot:
    """One frame of a video to be.

    Attributes:
        number: Its place in `Footage.jobs`.
        given: What it was made from: ids [H, W] of the translator's table, or a picture [H, W, C].
        made: What the translator made of it; None where that was not possible.
        problem: Why not.
        doubt: What it looks like that the translator does not take.
    """

    number: int
    given: UInt8 | None = None
    made: UInt8 | None = None
    problem: CityganError | None = None
    doubt: str | None = None


class Footage:
    """The frames of a source.

    Attributes:
        name: What it is called in messages.
        jobs: A name and a place for each frame, in order.
        has_rate: Whether such a source tells how many frames a second it has.
        fps: Which; None where it does not tell, or tells what cannot be.
        lost: Frames that the source promises and that cannot be read.
    """

    has_rate = False
    fps: float | None = None
    lost = 0

    def __init__(self, name: str, jobs: Sequence[Job]) -> None:
        self.name = name
        self.jobs = jobs

    def shots(
        self, translator: Translator | LabelMaker, *, sample: int, tile: tuple[int, int] | None, batch: int
    ) -> Iterator[Shot]:
        """Every frame, translated, in order."""
        raise NotImplementedError

    def real(self, translator: Translator | LabelMaker, number: int) -> UInt8 | None:
        """What a frame should look like, uint8 [H, W, C]; None where nobody knows."""
        return None

    def edges_of(self, translator: Translator | LabelMaker) -> dict[str, str]:
        """Whose edges the translator is shown, as `Translator.edges_protocol`; nothing where files bring them."""
        return {}

    def goes_on(self, number: int) -> bool:
        """Whether a frame is the one after that before it, without others missing between them."""
        return True

    @property
    def has_motion(self) -> bool:
        """Whether the way from one real frame to the next is known."""
        return False

    def motion(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Flow [H, W, 2] in pixels (x, y) and occlusion [H, W] from a real frame to the next, where it `has_motion`."""
        raise NotImplementedError

    def remarks(self) -> Iterator[str]:
        """What is to be said of the frames that `shots` has given."""
        yield from ()

    def label_colours(self) -> dict[str, Any]:
        """How well the colours of the frames fitted their class table."""
        return {"changed_share": None, "doubtful_share": None, "reason": "not a label video"}


class PreparedSequence(Footage):
    """A sequence of a prepared set."""

    def __init__(self, split: Split, name: str, frames: range) -> None:
        stems = [split.items[i].stem for i in frames]
        where = f"{split.path.parent}, split {split.name}, sequence {name}"
        super().__init__(where, [Job(split.path / stem, stem) for stem in stems])
        self.split = split
        self.frames = frames

    def shots(
        self, translator: Translator | LabelMaker, *, sample: int, tile: tuple[int, int] | None, batch: int
    ) -> Iterator[Shot]:
        pictures = translator.translate_split(self.split, indices=self.frames, batch=batch, sample=sample, tile=tile)
        for number, (index, made) in enumerate(zip(self.frames, pictures, strict=True)):
            if isinstance(translator, LabelMaker):
                assert self.split.photo is not None
                given = np.asarray(self.split.photo[index])
            else:
                given = translator.given(self.split, index)
            yield Shot(number, given, made)

    def real(self, translator: Translator | LabelMaker, number: int) -> UInt8 | None:
        if isinstance(translator, LabelMaker) or getattr(self.split, translator.output_kind) is None:
            return None
        return translator.real(self.split, self.frames[number])

    def edges_of(self, translator: Translator | LabelMaker) -> dict[str, str]:
        return translator.edges_protocol(self.split) if isinstance(translator, Translator) else {}

    def goes_on(self, number: int) -> bool:
        return number > 0 and self.split.following(self.frames[number - 1]) == self.frames[number]

    @property
    def has_motion(self) -> bool:
        return self.split.flow is not None and self.split.occlusion is not None

    def motion(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        index = self.frames[number]
        assert self.split.flow is not None and self.split.occlusion is not None
        return np.asarray(self.split.flow[index]), np.asarray(self.split.occlusion[index])


class FrameFolder(Footage):
    """Pictures in a folder, in order of their names: 10 comes after 9."""

    def __init__(self, folder: Path, jobs: Sequence[Job], table: ClassTable | None, max_pixels: int | None) -> None:
        super().__init__(os.fspath(folder), jobs)
        self.table = table
        self.max_pixels = max_pixels
        self._check_sizes()

    def _check_sizes(self) -> None:
        first: tuple[Job, tuple[int, int]] | None = None
        for job in self.jobs:
            try:
                size = header(job.source, max_pixels=self.max_pixels or MAX_PIXELS).size
            except DataError:
                continue  # told when its turn comes
            first = first or (job, size)
            if size != first[1]:
                one, other = (f"{width}x{height}" for width, height in (first[1], size))
                raise DataError(
                    f"frames of one video must be of one size: {first[0].source} is {one}, {job.source} is {other}",
                    hint="Sort them into folders by size",
                )

    def shots(
        self, translator: Translator | LabelMaker, *, sample: int, tile: tuple[int, int] | None, batch: int
    ) -> Iterator[Shot]:
        read = reader_of(translator, self.table, self.max_pixels)
        frames = (given for _, given in read_ahead(read, self.jobs, READ_AHEAD + batch))
        yield from _translated(translator, frames, batch, sample, tile)


class VideoFile(Footage):
    """A video: label maps painted in the colours of a class table, or pictures where the translator takes those."""

    has_rate = True

    def __init__(self, path: Path, table: ClassTable | None, max_pixels: int | None) -> None:
        info = probe(path, max_pixels=max_pixels or MAX_PIXELS)
        check_one_size(path)
        super().__init__(os.fspath(path), [Job(path, f"{i:06d}") for i in range(info.frames)])
        self.path = path
        self.table = self._table = table
        self.max_pixels = max_pixels
        self.fps = info.fps
        self.lost = info.promised - info.frames
        self._changed = self._doubtful = 0.0  # shares, summed over the frames
        self._read = 0

    def shots(
        self, translator: Translator | LabelMaker, *, sample: int, tile: tuple[int, int] | None, batch: int
    ) -> Iterator[Shot]:
        self._changed, self._doubtful, self._read = 0.0, 0.0, 0
        own = translator.classes
        if own is None:
            mine = translator.own_channels if isinstance(translator, Translator) else np.asarray
            read = partial(self._input, given=mine)
        else:
            if translator.needs_instances:
                raise UsageError(
                    "this run draws on instance maps, which no video has", where=self.path, hint="Give a prepared set"
                )
            self._table = self.table or own
            convert = None if self._table == own else conversion(self._table, own)
            read = partial(self._input, given=partial(self._label, convert=convert))
        frames = (read(job, rgb) for job, rgb in zip(self.jobs, frames_of(self.path), strict=False))
        yield from _translated(translator, frames, batch, sample, tile)

    def _input(self, job: Job, rgb: UInt8, *, given: Callable[[UInt8], UInt8]) -> Input | CityganError:
        try:
            return Input(given(rgb), edges_of(job, rgb.shape[:2], self.max_pixels))
        except UnknownValuesError as problem:
            assert self._table is not None
            fault = DataError(
                f"frame {job.stem}: {problem.share:.1%} of the pixels are further than {TOLERANCE:g} levels from every "
                f"colour of the class table {self._table.name}, at most {MAX_DOUBTFUL:.0%} may be: {problem}",
                where=self.path,
                hint="Is it a label video by another table (--classes)? If compression has spoilt it, write it "
                "with less, or give the label maps as a folder of PNGs",
            )
            if job is self.jobs[0]:
                raise fault from problem  # no label video at all
            return fault
        except CityganError as problem:
            return problem

    def _label(self, rgb: UInt8, convert: npt.NDArray[np.uint8] | None) -> UInt8:
        assert self._table is not None
        ids, doubtful = nearest_colours_to_ids(rgb, self._table)
        self._read += 1
        self._doubtful += doubtful
        self._changed += float((self._table.palette[ids] != rgb).any(axis=-1).mean())
        return ids if convert is None else convert[ids]

    def remarks(self) -> Iterator[str]:
        shares = self.label_colours()
        if shares["changed_share"]:
            yield (
                f"warning: {self.name}: compression has changed the colours of {shares['changed_share']:.1%} of the "
                f"pixels ({shares['doubtful_share']:.2%} are further than {TOLERANCE:g} levels from every class "
                "colour): the nearest class was taken, which at borders may be a third one; PNGs are exact"
            )

    def label_colours(self) -> dict[str, Any]:
        if not self._read:
            return super().label_colours()
        return {
            "changed_share": self._changed / self._read,
            "doubtful_share": self._doubtful / self._read,
            "tolerance": TOLERANCE,
        }


def _translated(
    translator: Translator | LabelMaker,
    frames: Iterable[Input | CityganError],
    together: int,
    sample: int,
    tile: tuple[int, int] | None,
) -> Iterator[Shot]:
    """Frames through the translator, `together` at a time; what could not be read keeps its place."""
    group: list[tuple[int, Input]] = []

    def made() -> Iterator[Shot]:
        if group:
            pictures = translate_inputs(translator, [given for _, given in group], sample=sample, tile=tile)
            for (number, given), picture in zip(group, pictures, strict=True):
                yield Shot(number, given.array, picture, doubt=given.doubt)
        group.clear()

    for number, given in enumerate(frames):
        if isinstance(given, CityganError):
            yield from made()
            yield Shot(number, problem=given)
            continue
        if len(group) == together or (group and group[0][1].shapes != given.shapes):
            yield from made()
        group.append((number, given))
    yield from made()


def sequence_of(translator: Translator | LabelMaker, data: PreparedSet, split: str | None, name: str | None) -> Footage:
    """A sequence of a prepared set: the one named, or the longest of test, else of val or train.

    Raises:
        UsageError: No such split or sequence.
        DataError: The set has no sequences, or not what the translator takes.
    """
    names = [split] if split is not None else [known for known in PLAY_ORDER if known in data.splits]
    found: dict[str, dict[str, range]] = {}
    reason: CityganError | None = None
    for known in names:
        try:
            sequences = split_for(translator, data, known).sequences()
        except CityganError as problem:
            reason = reason or problem
            continue
        if sequences:
            found[known] = sequences
    where = data.path if split is None else f"{data.path}, split {split}"
    if not found:
        if reason is not None:
            raise reason
        others = [part.name for part in data.splits.values() if part.sequences()]
        hint = f"--split {' or --split '.join(others)} has" if others else "Give a folder of label maps, in name order"
        raise DataError("there is no sequence of frames", where=where, hint=hint)
    if name is not None:
        chosen = next((part for part, sequences in found.items() if name in sequences), None)
        if chosen is None:
            every = [other for sequences in found.values() for other in sequences]
            more = f" and {len(every) - 8} more" if len(every) > 8 else ""
            hint = f"{did_you_mean(name, every)}There {'is' if len(every) == 1 else 'are'} {', '.join(every[:8])}{more}"
            raise UsageError(f"no sequence '{name}'", where=where, hint=hint)
    else:
        chosen = next(iter(found))
        name = max(found[chosen], key=lambda known: len(found[chosen][known]))
    return PreparedSequence(data.split(chosen), name, found[chosen][name])


def footage_of(
    translator: Translator | LabelMaker,
    source: str,
    table: ClassTable | None,
    max_pixels: int | None,
    *,
    photos: Path | None = None,
    edges: Path | None = None,
) -> Footage:
    """A folder of frames, or a video file. A name is a name: no pattern, no address.

    Args:
        table: Of the label maps, where it is not the translator's own.
        photos, edges: Folders that a run which is shown edges has them from; namesakes of a video's frames are called
            000000 and so on.

    Raises:
        UsageError: An address, a pattern; no edges for a run that is shown some.
        DataError: Nothing there, no frames in it, no video, frames of different sizes.
    """
    path = Path(source)
    if path.is_dir():
        jobs = sorted(find_jobs([source], translator.classes is not None), key=lambda job: natural(job.stem))
        return FrameFolder(path, with_edges(jobs, translator, photos, edges), table, max_pixels)
    if not os.path.lexists(path):
        if "://" in source:
            raise UsageError("an address: nothing is fetched", where=source, hint="Save the video as a file first")
        if re.search(r"%\d*d|[*?]", path.name):
            raise UsageError(
                "no file is called so, and patterns of names are not followed",
                where=source,
                hint=f"Name the folder: {path.parent}",
            )
        raise not_there(source)
    if path.suffix.lower() in SUFFIXES:
        raise DataError("a single picture is not a video", where=path, hint="Name its folder, or citygan translate it")
    video = VideoFile(path, table, max_pixels)
    video.jobs = with_edges(video.jobs, translator, photos, edges)
    return video


def jumps(footage: Footage) -> str | None:
    """What is to be said where frame numbers leave gaps."""
    found = gaps([job.stem for job in footage.jobs])
    if not found:
        return None
    more = f", and {counted(len(found) - 1, 'gap')} more" if len(found) > 1 else ""
    return f"the frame numbers leave gaps: {found[0][0]} is followed by {found[0][1]}{more}; the video jumps there"
