"""The pictures of two folders to be scored, one pair after the other, with all that metrics need of them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from citygan.baseline import Painter
from citygan.data.labels import ClassTable
from citygan.errors import CityganError, DataError
from citygan.frames import are_neighbours, frames_of, no_sequences, with_next
from citygan.metrics.labelled import painted_ids
from citygan.metrics.metric import Frame, Need
from citygan.metrics.pairs import UInt8
from citygan.metrics.scoring import Job, Trio
from citygan.metrics.temporal import computed, following
from citygan.pictures import decode, label_of, read_bytes, read_label, read_photo
from citygan.sheets import few_colours, label_colours

Row = tuple[str, Path, Path, Path | None]
"""Name, fake, real and label file of one picture."""


class FolderTrios:
    """Pictures of one folder beside their namesakes in another; nothing is resized.

    Args:
        table: By which label maps are read.
        show: Whether label maps are to be shown too.

    Attributes:
        lacking: What metrics may need and there is not, with the reason.
        doubted: By side, `fake` or `real`, a picture that looks like a label map where photos are scored.
    """

    def __init__(self, rows: Sequence[Row], painter: Painter, *, table: ClassTable | None, show: bool = False) -> None:
        self._rows, self._painter, self._table, self._show = rows, painter, table, show
        self.doubted: dict[str, Path] = {}
        self.lacking: dict[Need, CityganError] = {
            "segmented": DataError(
                "a segmenter looks at a run's pictures, not at folders", hint="citygan evaluate --run RUN"
            ),
            "samples": DataError(
                "two folders hold one version of each picture", hint="Diversity is measured of a run: --run"
            ),
        }
        if table is None:
            self.lacking["ids"] = DataError("no class table to read label maps by", hint="--classes names one")
        self._frames = frames_of([stem for stem, *_ in rows])
        if not any(are_neighbours(*pair) for pair in itertools.pairwise(self._frames)):
            self.lacking |= no_sequences("no sequences: no two names have numbers that follow each other")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def motion(self) -> Mapping[str, Any]:
        """Where the flow between frames comes from."""
        return computed()

    def jobs(self, needs: Collection[Need]) -> Iterator[Job]:
        """One for each picture, with what is needed."""
        frames = zip(self._rows, self._frames, strict=True)
        for (row, frame), upcoming in with_next(frames):
            after = None
            if "following" in needs and upcoming is not None and are_neighbours(frame, upcoming[1]):
                after = upcoming[0]
            yield functools.partial(self._trio, row, frame, after, needs)

    def _trio(self, row: Row, frame: Frame | None, after: Row | None, needs: Collection[Need]) -> Trio:
        stem, fake, real, _ = row
        x, y = read_photo(fake), read_photo(real)
        if "ids" not in needs:
            for side, file, picture in (("fake", fake, x), ("real", real, y)):
                if side not in self.doubted and few_colours(picture):
                    self.doubted[side] = file
        if x.shape != y.shape:
            raise DataError(f"{fake} is {_size(x)}, {real} is {_size(y)}: nothing is resized to be scored")
        truth, table = self._truth(row, y), self._table
        more: dict[str, Any] = {"label": truth, "frame": frame}
        missing: dict[Need, CityganError] = {}
        if after is not None:
            try:  # what is wrong with the next picture is told of itself
                upcoming = read_photo(after[2])
                painting = self._painter(self._truth(after, upcoming))
                more["following"] = following(y, read_photo(after[1]), upcoming, None, painting)
            except DataError as problem:
                missing["following"] = problem
        if "ids" in needs and table is not None:
            try:
                more["ids"] = _predicted(fake, x, table)
                more["label"] = _true(real, table) if truth is None else truth
            except DataError as problem:
                missing["ids"] = problem
        if "label" in needs and more["label"] is None:
            missing["label"] = DataError("no label maps", hint="--labels names a folder of them")
        if self._show and truth is not None and table is not None:
            more["shown"] = label_colours(truth, table)
        return Trio(stem, x, y, self._painter(truth), missing=missing, **more)

    def _truth(self, row: Row, real: UInt8) -> UInt8 | None:
        _, _, file, label = row
        if label is None or self._table is None:
            return None
        truth = read_label(label, self._table)
        if truth.shape != real.shape[:2]:
            raise DataError(f"the label map {label} is {_size(truth)}, {file} is {_size(real)}")
        return truth


def _predicted(path: Path, picture: UInt8, table: ClassTable) -> UInt8:
    """A predicted label map: ids, or a painting whose pixels go by the nearest class colour."""
    try:
        return read_label(path, table)
    except DataError:
        if (picture == picture[..., :1]).all():  # grey: ids, and not those of the table
            raise
        return painted_ids(picture, table)


def _true(path: Path, table: ClassTable) -> UInt8:
    return label_of(decode(read_bytes(path), path), path, table, painted=True)[0]


def _size(picture: UInt8) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
