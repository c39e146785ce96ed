"""What a run shows and scores while it trains, by what it trains: a generator, or a segmenter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from citygan.baseline import fit_painter
from citygan.building import Built
from citygan.config import Settings
from citygan.data.labels import ClassTable
from citygan.data.store import PreparedSet, Split
from citygan.guides import Guides
from citygan.infer import Translator
from citygan.metrics.labelled import painted_ids
from citygan.metrics.miou import confusion, segmentation_figure
from citygan.metrics.pairs import UInt8
from citygan.metrics.pictures import psnr, ssim
from citygan.models.dned import DNED
from citygan.models.enhancer import LocalEnhancer
from citygan.models.features import FeatureEncoder
from citygan.recipes.skeleton import Skeleton
from citygan.runs import GENERATOR, SEGMENTER
from citygan.segmenting import Segmenter
from citygan.sheets import few_colours, label_colours
from citygan.train.engine import Engine


class Trial(Protocol):
    """Uses the network as it stands.

    Attributes:
        kind: What a checkpoint says it is.
        titles: Of the columns of a sample sheet.
        score: The figure that decides which checkpoint is the best.
        beside: What stands beside the figures.
        edges_of: The pictures that the edges come from which a generator is shown; None: it is shown none.
    """

    kind: str
    titles: tuple[str, ...]
    score: str
    beside: str | None
    edges_of: str | None

    def row(self, index: int) -> list[UInt8]:
        """A picture of the validation split, for the sample sheet."""

    def figures(self, indices: Sequence[int]) -> dict[str, float]:
        """Over these pictures of the validation split."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint must say of it."""

    def few_colours(self) -> bool:
        """Whether the pictures it learns from look like label maps."""


def trial_of(settings: Settings, data: PreparedSet, built: Built, engine: Engine, split: Split) -> Trial:
    """The trial of what a run trains."""
    if built.outputs is None:
        return SegmenterTrial(settings, data, built, engine, split)
    if built.outputs.is_label:
        return PaintedLabelsTrial(settings, data, built, engine, split)
    return GeneratorTrial(settings, data, built, engine, split)


class GeneratorTrial:
    """A generator's pictures beside the real ones, and beside the painting in mean colours."""

    kind = GENERATOR
    titles: tuple[str, ...] = ("input", "generated", "real")
    score = "ssim"

    def __init__(self, settings: Settings, data: PreparedSet, built: Built, engine: Engine, split: Split) -> None:
        assert built.inputs is not None and built.outputs is not None
        self.settings, self.data, self.built, self.engine, self.split = settings, data, built, engine, split
        self.inputs, self.outputs = built.inputs, built.outputs
        self.painting: dict[str, float] | None = None
        self.beside: str | None = None
        self.edges_of: str | None = None
        if built.skeleton is not None:
            self.titles = ("input", "edges", "generated", "real")
            self.edges_of = self.translator().edges_protocol(split)["edges_of"]

    def translator(self) -> Translator:
        """The network, used exactly as `citygan translate` would."""
        mode: Any = self.settings.inference_mode
        used = {**self.engine.networks, **self.engine.averages}
        generator, encoder, dned = used["generator"], used.get("encoder"), used.get("dned")
        if isinstance(generator, LocalEnhancer):
            generator.coarse_only = "global" in self.engine.phase.split()
        assert isinstance(encoder, FeatureEncoder | None) and isinstance(dned, DNED | None)
        shown = dned if self.skeleton is not None and self.skeleton.network else None
        return Translator(
            generator,
            self.inputs,
            self.outputs,
            mode=mode,
            device=self.engine.device,
            seed=self.settings.seed,
            guides=Guides(self.skeleton, shown, encoder, self.settings.seed),
        )

    @property
    def skeleton(self) -> Skeleton | None:
        """The edge map that the generator is shown in the phase that the training is in."""
        skeleton = self.built.skeleton
        if skeleton is None:
            return None
        return dataclasses.replace(skeleton, network="dned" in self.engine.phase.split())

    def row(self, index: int) -> list[UInt8]:
        translator = self.translator()
        given = translator.given(self.split, index)
        beside = translator.beside(self.split, index)
        fake, real = translator.translate(given, **beside), translator.real(self.split, index)
        edges = [] if translator.guides.skeleton is None else [translator.edge_picture(beside["pictures"])]
        return [translator.shown(given), *edges, fake, real]

    def figures(self, indices: Sequence[int]) -> dict[str, float]:
        """Mean SSIM and PSNR, beside the painting's."""
        translator = self.translator()
        fakes = translator.translate_split(self.split, indices=indices, batch=1)
        figures = self._compare(translator, indices, fakes)
        if self.painting is None:
            self.painting = self._compare(translator, indices, self._paintings(translator, indices))
        return figures | {f"mean_colour_{name}": value for name, value in self.painting.items()}

    def state(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs.to_dict(),
            "outputs": self.outputs.to_dict(),
            "inference": self.settings.inference_mode,
            "skeleton": None if self.skeleton is None else self.skeleton.to_dict(),
        }

    def few_colours(self) -> bool:
        """Whether the pictures it learns from look like label maps."""
        return not self.inputs.is_label and few_colours(self.translator().given(self.data.split("train"), 0))

    def _paintings(self, translator: Translator, indices: Sequence[int]) -> Iterator[UInt8]:
        """The painting to beat of each picture; none where there is none."""
        painter, labels = fit_painter(self.data, self.outputs.array), self.split.label
        self.beside = painter.name
        for i in indices:
            painting = painter(None if labels is None else np.asarray(labels[i]), self.outputs.picture_channels)
            if painting is not None:
                yield translator.joined(painting, translator.given(self.split, i))

    def _compare(self, translator: Translator, indices: Sequence[int], pictures: Iterable[UInt8]) -> dict[str, float]:
        scores = []
        for index, picture in zip(indices, pictures, strict=False):
            real = translator.real(self.split, index)
            scores.append((float(ssim(picture, real)[0]), float(psnr(picture, real)[0])))
        if not scores:
            return {}
        finite = [value for _, value in scores if np.isfinite(value)]
        return {
            "ssim": float(np.mean([value for value, _ in scores])),
            "psnr": float(np.mean(finite)) if finite else float("inf"),
        }


class PaintedLabelsTrial(GeneratorTrial):
    """A generator's painted label maps, read by the nearest class colour, against the true ones."""

    score = "miou"

    def _compare(self, translator: Translator, indices: Sequence[int], pictures: Iterable[UInt8]) -> dict[str, float]:
        table, labels = translator.painted_classes, self.split.label
        assert table is not None and labels is not None
        pairs = zip(indices, pictures, strict=False)
        return _segmentation(((painted_ids(picture, table), np.asarray(labels[i])) for i, picture in pairs), table)


class SegmenterTrial:
    """A segmenter's label maps against the true ones, at the prepared size."""

    kind = SEGMENTER
    titles: tuple[str, ...] = ("photo", "predicted", "true")
    score = "miou"
    beside: str | None = None
    edges_of: str | None = None

    def __init__(self, settings: Settings, data: PreparedSet, built: Built, engine: Engine, split: Split) -> None:
        assert data.classes is not None
        self.settings, self.built, self.engine, self.split = settings, built, engine, split
        self.classes = data.classes

    def segmenter(self) -> Segmenter:
        """The network, used exactly as `citygan translate` would."""
        return Segmenter(
            self.engine.averages.get("segmenter", self.engine.networks["segmenter"]),
            self.classes,
            device=self.engine.device,
            enlarged=self.settings.segmenter.enlarged,
        )

    def row(self, index: int) -> list[UInt8]:
        assert self.split.photo is not None and self.split.label is not None
        photo, segmenter = np.asarray(self.split.photo[index]), self.segmenter()
        true = label_colours(np.asarray(self.split.label[index]), self.classes)
        return [photo, segmenter.palette[segmenter.segment(photo)], true]

    def figures(self, indices: Sequence[int]) -> dict[str, float]:
        """mIoU, pixel accuracy and mean class accuracy; without those that the labels give none of."""
        assert self.split.photo is not None and self.split.label is not None
        segmenter, photos, labels = self.segmenter(), self.split.photo, self.split.label
        pairs = ((segmenter.ids(segmenter.segment(np.asarray(photos[i]))), np.asarray(labels[i])) for i in indices)
        return _segmentation(pairs, self.classes)

    def state(self) -> dict[str, Any]:
        enlarged = self.settings.segmenter.enlarged
        return {"classes": self.classes.to_dict(), "enlarged": None if enlarged is None else list(enlarged)}

    def few_colours(self) -> bool:
        """It learns from photos."""
        return False


def _segmentation(pairs: Iterable[tuple[UInt8, UInt8]], table: ClassTable) -> dict[str, float]:
    """mIoU, pixel accuracy and mean class accuracy of (predicted, true) ids; without those that there are none of."""
    matrices = [confusion(predicted, true, table) for predicted, true in pairs]
    if not matrices:
        return {}
    found = segmentation_figure(np.sum(matrices, axis=0), table)
    values = {"miou": found["mean"], **{key: found[key] for key in ("pixel_accuracy", "class_accuracy")}}
    return {name: float(value) for name, value in values.items() if value is not None}


__all__ = ["Trial", "trial_of"]
