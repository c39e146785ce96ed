"""The pictures of a run to be scored, one after the other, with all that its metrics need."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from citygan.baseline import Painter
from citygan.data.labels import ClassTable
from citygan.data.store import Split
from citygan.errors import CityganError, DataError
from citygan.frames import no_sequences, with_next
from citygan.metrics.fcnscore import other_of
from citygan.metrics.labelled import painted_ids, true_painted_ids
from citygan.metrics.metric import Frame, Need, Segmented
from citygan.metrics.pairs import UInt8
from citygan.metrics.scoring import Job, Trio
from citygan.metrics.temporal import OF_THE_SET, computed, following
from citygan.pictures import read_label
from citygan.sheets import label_colours

if TYPE_CHECKING:
    from citygan.infer import Translator
    from citygan.segmenting import Segmenter

SAMPLES = 5  # draws of each picture, where nothing else is asked for


class SplitTrios:
    """A split translated by a run, beside its photos.

    Args:
        table: By which painted label maps are read.
        samples: Draws of each picture.
        show: Whether the input is to be shown too.
        segmenter: What looks at the pictures, for `fcn-score`.

    Attributes:
        lacking: What metrics may need and there is not, with the reason.
    """

    def __init__(
        self,
        translator: Translator,
        part: Split,
        painter: Painter,
        *,
        table: ClassTable | None,
        samples: int = SAMPLES,
        batch: int | None = None,
        show: bool = False,
        segmenter: Segmenter | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._translator, self._part, self._painter, self._table = translator, part, painter, table
        self._batch, self._show = batch, show
        self._samples = samples
        self._painting_ids: UInt8 | None = None
        self.lacking: dict[Need, CityganError] = {}
        if translator.painted_classes is not None:
            self.lacking["segmented"] = DataError(
                "the run paints label maps, and a segmenter looks at photos", hint="--metric miou scores label maps"
            )
        elif translator.output_kind == "photo" and translator.input_kind != "source":
            self.lacking["ids"] = DataError(
                "the run paints photos, and miou scores label maps",
                hint="--metric fcn-score --segmenter RUN scores what a segmenter sees in photos",
            )
        elif table is None:
            self.lacking["ids"] = DataError(
                "the set has no labels, and no class table to read painted ones by", hint="--classes names one"
            )
        if part.label is None and "ids" in self.lacking:
            self.lacking["label"] = DataError("the set has no label maps", where=part.path)
        if part.label is None and "segmented" not in self.lacking:
            self.lacking["segmented"] = DataError(
                "the set has no label maps, which what a segmenter sees is compared with",
                where=part.path,
                hint="--data names another set",
            )
        if all(part.following(index) is None for index in range(len(part))):
            self.lacking |= no_sequences(
                "no sequences: no picture of the split is followed by the next frame of a video"
            )
        if not translator.draws:
            self.lacking["samples"] = DataError(
                f"the run draws nothing at random in the mode {translator.mode}: all samples of a picture are one",
                hint="--mode paper",
            )

    def __len__(self) -> int:
        return len(self._part)

    @property
    def motion(self) -> Mapping[str, Any]:
        """Where the flow between frames comes from."""
        if self._part.flow is None or self._part.occlusion is None:
            return computed()
        return OF_THE_SET

    @property
    def draws(self) -> dict[str, Any]:
        """What the samples depend on."""
        about = self._translator.protocol()
        return {
            "samples": self._samples,
            "draws": list(range(self._samples)),
            "dropout_seed": about["dropout_seed"],
            "inference": about["inference"],
        }

    def jobs(self, needs: Collection[Need]) -> Iterator[Job]:
        """One for each picture, with what is needed."""
        draws = range(self._samples if "samples" in needs else 1)
        streams = [self._translator.translate_split(self._part, batch=self._batch, sample=draw) for draw in draws]
        for index, (samples, upcoming) in enumerate(with_next(zip(*streams, strict=True))):
            after = upcoming[0] if upcoming is not None and "following" in needs else None
            yield functools.partial(self._trio, index, samples, after, needs)

    def _trio(self, index: int, samples: tuple[UInt8, ...], after: UInt8 | None, needs: Collection[Need]) -> Trio:
        part, fake = self._part, samples[0]
        real, given = self._translator.real(part, index), self._translator.given(part, index)
        label = None if part.label is None else np.asarray(part.label[index])
        painting = self._painting(index, real)
        more: dict[str, Any] = {"label": label, "frame": _frame_of(part, index)}
        place = None if after is None else part.following(index)
        if after is not None and place is not None:
            upcoming, motion = self._translator.real(part, place), None
            if part.flow is not None and part.occlusion is not None:
                motion = np.asarray(part.flow[index]), np.asarray(part.occlusion[index])
            more["following"] = following(real, after, upcoming, motion, self._painting(place, upcoming))
        if "instance" in needs and part.instance is not None:
            more["instance"] = np.asarray(part.instance[index])
        if "ids" in needs and self._table is not None:
            try:
                known = self._translator.painted_classes is not None
                truth = label if known else true_painted_ids(real, self._table)
                more["ids"], more["label"] = painted_ids(fake, self._table), truth if label is None else label
                more["painting_ids"] = self._of_painting(painting)
            except DataError as problem:
                more["missing"] = {"ids": problem, **({"label": problem} if label is None else {})}
        if "segmented" in needs and label is not None:
            more |= self._segmented(index, fake, real, painting)
        if "samples" in needs:
            more["samples"] = samples
        if self._show:
            more["shown"] = self._translator.shown(given)
        return Trio(part.items[index].stem, fake, real, painting, **more)

    def _painting(self, index: int, real: UInt8) -> UInt8 | None:
        label = None if self._part.label is None else np.asarray(self._part.label[index])
        painting = self._painter(label, real.shape[-1])
        return (
            None if painting is None else self._translator.joined(painting, self._translator.given(self._part, index))
        )

    def _segmented(self, index: int, fake: UInt8, real: UInt8, painting: UInt8 | None) -> dict[str, Segmented]:
        truth, place = true_label(self._part, index, self._table), other_of(index, len(self._part))
        other = None if place is None else true_label(self._part, place, self._table)
        ids = self._seen(fake, truth)
        chance = None
        if other is not None:
            chance = ids if other.shape == truth.shape else self._seen(fake, other)
        found = {"segmented": Segmented(ids, truth, self._seen(real, truth), chance, other)}
        if painting is not None:
            found["painting_segmented"] = Segmented(self._seen(painting, truth), truth)
        return found

    def _seen(self, picture: UInt8, truth: UInt8) -> UInt8:
        """What the segmenter sees in it, at the size of the labels."""
        assert self._segmenter is not None
        return self._segmenter.ids(self._segmenter.segment(picture, (truth.shape[1], truth.shape[0])))

    def _of_painting(self, painting: UInt8 | None) -> UInt8 | None:
        """The ids of a mean photo, the same for every picture; one painted from the labels would know the truth."""
        if painting is None or self._table is None or self._painter.photo is None:
            return None
        if self._painting_ids is None:
            self._painting_ids = painted_ids(painting, self._table)
        return self._painting_ids


def true_label(part: Split, index: int, table: ClassTable | None) -> UInt8:
    """The true labels of a picture at their own size where the set keeps them so, else at the prepared size.

    Raises:
        DataError: There are none.
    """
    full = part.full_label(part.items[index])
    if full is not None and table is not None:
        return read_label(full, table)
    if part.label is None:
        raise DataError("the set has no label maps", where=part.path)
    return np.asarray(part.label[index])


class SegmentedTrios:
    """The photos of a split as a segmenter sees them, beside the true labels at their own size.

    Args:
        show: Whether the photo is to be shown too.

    Attributes:
        lacking: What metrics may need and there is not, with the reason.
    """

    def __init__(self, segmenter: Segmenter, part: Split, *, show: bool = False) -> None:
        self._segmenter, self._part, self._show = segmenter, part, show
        self.lacking: dict[Need, CityganError] = {}

    def __len__(self) -> int:
        return len(self._part)

    def jobs(self, needs: Collection[Need]) -> Iterator[Job]:
        """One for each picture, with what is needed."""
        for index in range(len(self._part)):
            yield functools.partial(self._trio, index)

    def _trio(self, index: int) -> Trio:
        part, table = self._part, self._segmenter.labels
        assert part.photo is not None
        photo, truth = np.asarray(part.photo[index]), true_label(part, index, table)
        ids = self._segmenter.ids(self._segmenter.segment(photo, (truth.shape[1], truth.shape[0])))
        instance = None
        if part.instance is not None and part.instance[index].shape == truth.shape:
            instance = np.asarray(part.instance[index])
        shown = photo if self._show else None
        fake, real = label_colours(ids, table), label_colours(truth, table)
        return Trio(part.items[index].stem, fake, real, ids=ids, label=truth, instance=instance, shown=shown)


def _frame_of(part: Split, index: int) -> Frame | None:
    item = part.items[index]
    return None if item.sequence is None or item.frame is None else (item.sequence, item.frame)
