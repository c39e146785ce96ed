"""Figures of a run, of two folders of pictures, or of two arrays.

Every figure comes with what painting each class in its mean training colour scores, and with the protocol: all that it
depends on. The result is one plain object that JSON can hold; a figure that does not exist is None, with a reason:

    {"run", "split", "fake", "real", "images",
     "metrics": {NAME: {"mean", "std", "n", "unit", "better", "scope", "mean_colour": {"mean", "std", "n"}}},
     "protocol": {"size", "std", "metrics", "mean_colour", "model", "data", "versions"}}

A metric that cannot be computed (no weights, no labels) is None with the reason and the exit code; the others are
given all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from citygan.assembling import Progress, Result, Work, result_of, run_name, same_data, set_of_settings, versions
from citygan.baseline import fit_painter, no_painter
from citygan.data.labels import ClassTable
from citygan.data.store import PreparedSet, resolve_set
from citygan.errors import CityganError, DataError, UsageError
from citygan.featurefile import FeatureFile
from citygan.foldertrios import FolderTrios
from citygan.metrics import Metric, Setup
from citygan.metrics.pairs import UInt8
from citygan.metrics.pictures import stacks
from citygan.metrics.scoring import Trio
from citygan.pairing import pair_folders, pictures_in
from citygan.progress import say
from citygan.segmented import check_classes, evaluate_segmenter, protocol_on
from citygan.trios import SAMPLES, SplitTrios

if TYPE_CHECKING:
    from citygan.infer import Translator
    from citygan.segmenting import Segmenter


def evaluate_run(
    run: str | Path | Translator | None = None,
    split: str = "val",
    metrics: Sequence[str] | None = None,
    checkpoint: str = "last",
    *,
    device: str = "auto",
    data: str | Path | PreparedSet | None = None,
    batch: int | None = None,
    samples: int = SAMPLES,
    edges_of: str | None = None,
    segmenter: str | Path | Segmenter | None = None,
    classes: ClassTable | None = None,
    weights: Mapping[str, str] | None = None,
    per_image: str | Path | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Translates a split and scores it against its photos.

    Args:
        run: A run, a checkpoint folder, a loaded translator; None: the last run.
        split: Of the set.
        metrics: Names (`citygan.metrics.METRICS`); None: `ssim`, `psnr`, `l1`, of a run that paints label maps `miou`.
        checkpoint: `last`, `best` or a step.
        data: Another prepared set than the one the run was trained on.
        batch: Pictures to translate together.
        samples: Draws of each picture, for `diversity`.
        edges_of: What a run that is shown edges takes them from: `source`, `photo`; None: source pictures where the set
            has any. The edges of the very photos that are painted leak the answer.
        segmenter: The run of a segmenter, for `fcn-score`.
        classes: By which painted label maps are read, for `miou`; None: the set's.
        weights: Of the networks that metrics look with, by name (`citygan.weightfiles.OF_METRICS`): a path or `random`.
        per_image: A CSV file to write with the figures of each picture.
        plots: A folder to write plots to, and sheets of the worst and best pictures.
        force: Overwrite these files.

    Raises:
        UsageError: An unknown metric, run, checkpoint, set, split or weights; a file that exists.
        DataError: The set has no photos, or is by another class table.
        DamagedError: The run or the set is.
    """
    work = Work(metrics, weights, per_image, plots, force, progress)
    if run is None or isinstance(run, str | Path):
        from citygan.infer import load

        translator = load(run, checkpoint=checkpoint, device=device)
    else:
        translator = run
    if edges_of is not None:
        if translator.guides.skeleton is None:
            raise UsageError("this run is shown no edges", where="--edges-of", hint="Leave it out")
        translator.guides.edges_of = edges_of
    if metrics is None and translator.painted_classes is not None:
        work = Work(["miou"], weights, per_image, plots, force, progress)
    from citygan.translation import split_for

    prepared = set_of_run(translator, data)
    part = split_for(translator, prepared, split, scored=True)
    if classes is not None and prepared.classes not in (None, classes):
        raise UsageError(
            f"the set's labels are by its own class table, {prepared.classes.name}",
            where="--classes",
            hint="Leave it out",
        )
    looks = _looks(work.rows, segmenter, prepared, device)
    painter = fit_painter(prepared, translator.output_kind)
    table = classes or prepared.classes
    trios = SplitTrios(
        translator,
        part,
        painter,
        table=table,
        samples=samples,
        batch=batch,
        show=plots is not None,
        segmenter=looks,
    )
    setup = Setup(
        device=str(translator.device),
        weights=work.weights,
        classes=table,
        draws=trios.draws,
        segmenter=None if looks is None else looks.about() | {"scored_as": protocol_on(looks, part)},
        painting=painter.kind,
        motion=trios.motion,
        lacking=trios.lacking,
        memory=FeatureFile(prepared.path, split),
    )
    scores = work.score(trios, setup, painter)
    protocol = {
        "model": _model_protocol(translator, checkpoint) | translator.edges_protocol(part),
        "data": {
            "name": prepared.name,
            "checksum": prepared.checksum,
            "split": split,
            "trained_on": same_data(translator, prepared),
        },
        "versions": versions("torch"),
    }
    return result_of(scores, painter, protocol, run=run_name(translator), split=split)


def _looks(
    rows: Sequence[Metric], segmenter: str | Path | Segmenter | None, data: PreparedSet, device: str
) -> Segmenter | None:
    """The segmenter that metrics ask for."""
    wanted = any("segmented" in row.needs for row in rows)
    if segmenter is None:
        return None
    if not wanted:
        raise UsageError("--segmenter is for fcn-score", hint="citygan evaluate --metric fcn-score --segmenter RUN")
    from citygan.segmenting import load_segmenter

    if isinstance(segmenter, str | Path):
        segmenter = load_segmenter(segmenter, device=device, flag="--segmenter")
    if data.classes is not None:
        check_classes(segmenter, data, "--segmenter")
    return segmenter


def evaluate_folders(
    fake: str | Path,
    real: str | Path,
    metrics: Sequence[str] | None = None,
    labels: str | Path | None = None,
    *,
    data: str | Path | PreparedSet | None = None,
    classes: ClassTable | None = None,
    weights: Mapping[str, str] | None = None,
    device: str = "auto",
    per_image: str | Path | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Scores the pictures of one folder against those of the same name, suffixes aside, in another.

    Args:
        labels: A folder of label maps, to paint in the mean training colours of `data` (None: the last set), and to
            score label maps against.
        classes: By which label maps are read; with them, and without `data`, nothing is painted. None: the set's.
        weights, device: Of the networks that metrics look with.
        per_image, plots, force: As `evaluate_run`.

    Raises:
        UsageError: An unknown metric, set, device or weights; a file that exists.
        DataError: Pictures without a partner, of different sizes, unreadable, of one name: nothing is scored then.
    """
    work = Work(metrics, weights, per_image, plots, force, progress)
    pairs = _pair(Path(fake), Path(real), None if labels is None else Path(labels))
    painter = no_painter("no label maps: --labels names a folder of them")
    table = classes
    if labels is not None and classes is not None:
        if data is not None:
            raise UsageError("--data has a class table of its own", where="--classes", hint="Leave one of them out")
        painter = no_painter("--classes gives no mean colours: --data, a set with training photos, does")
    elif labels is not None:
        prepared = data if isinstance(data, PreparedSet) else resolve_set(data)
        table = prepared.classes
        if table is None:
            raise UsageError(
                "the set has no class table to read the labels by", where=prepared.path, hint="--data names another"
            )
        painter = fit_painter(prepared)
    trios = FolderTrios(pairs, painter, table=table, show=plots is not None)
    setup = Setup(
        device=device,
        weights=work.weights,
        classes=table,
        painting=painter.kind,
        motion=trios.motion,
        lacking=trios.lacking,
    )
    scores = work.score(trios, setup, painter)
    for side, picture in sorted(trios.doubted.items()):
        say(f"warning: --{side}: {picture} looks like a label map, and its colours were scored as a photo's")
    digests = scores.digests
    protocol = {
        "model": None,
        "data": {
            "fake_sha256": digests[0],
            "real_sha256": digests[1],
            "sha256_of": "stems and RGB pixels, in the order of the stems, their numbers by value",
        },
        "versions": versions(),
    }
    return result_of(scores, painter, protocol, fake=str(fake), real=str(real))


def evaluate(
    fake: Any,
    real: Any,
    metrics: Sequence[str] | None = None,
    *,
    weights: Mapping[str, str] | None = None,
    device: str = "auto",
) -> Result:
    """Scores pictures in memory.

    Args:
        fake, real: uint8 arrays [N, H, W, 3], [H, W, 3], [N, H, W] or [H, W]; or two iterables of single pictures
            [H, W, 3] or [H, W], which may be of any length and are not kept.
        metrics: Names (`citygan.metrics.METRICS`); None: `ssim`, `psnr`, `l1`.
        weights, device: Of the networks that metrics look with.

    Raises:
        UsageError: An unknown metric, device or weights.
        DataError: Not such pictures, not as many, or of different sizes.
    """
    work = Work(metrics, weights)
    jobs = (functools.partial(Trio, f"picture {index}", x, y) for index, (x, y) in enumerate(_pairs(fake, real)))
    setup = Setup(device=device, weights=work.weights, lacking=_lacking_in_arrays())
    scores = work.score_jobs(jobs, setup)
    if not scores.images and len(scores.failed) < len(scores.metrics):
        raise DataError("no pictures to compare")
    digests = scores.digests
    data = {"fake_sha256": digests[0], "real_sha256": digests[1], "sha256_of": "pixels, in order"}
    protocol = {"model": None, "data": data, "versions": versions()}
    return result_of(scores, no_painter("arrays come without training pictures"), protocol)


def set_of_run(translator: Translator, data: str | Path | PreparedSet | None = None) -> PreparedSet:
    """The set to score a run on: the one given, or the one it was trained on.

    Raises:
        UsageError: It is not there.
        DamagedError: It is not whole.
    """
    return set_of_settings(translator.settings, data)


# putting it together


def _lacking_in_arrays() -> dict[Any, CityganError]:
    hint = "citygan.evaluation.evaluate_run and evaluate_folders have them"
    video = DataError(
        "two arrays of pictures are no sequence",
        hint="citygan.metrics.streaming.VideoFigures takes the frames of a video",
    )
    return {
        "following": video,
        "frame": video,
        "ids": DataError("two arrays of pictures come without class table", hint=hint),
        "samples": DataError("two arrays of pictures hold one version of each", hint=hint),
    }


def _pair(fake: Path, real: Path, labels: Path | None) -> list[tuple[str, Path, Path, Path | None]]:
    """`pair_folders`, which tells apart versions of one picture as `translate --samples` names them."""
    try:
        return pair_folders(fake, real, labels)
    except DataError as problem:
        for folder, other in ((fake, real), (real, fake)):
            if folder.is_dir() and other.is_dir() and _are_samples(pictures_in(folder), pictures_in(other)):
                hint = f"{folder} holds several versions of each picture (STEM-1, STEM-2, ...): translate once more "
                raise DataError(
                    problem.what, where=problem.where, hint=f"{hint}without --samples, into another folder"
                ) from problem
        raise


def _are_samples(names: Iterable[str], stems: Container[str]) -> bool:
    parts = [name.rpartition("-") for name in names]
    return all(dash and number.isdecimal() and stem in stems for stem, dash, number in parts)


def _pairs(fake: Any, real: Any) -> Iterator[tuple[UInt8, UInt8]]:
    if hasattr(fake, "__array__") and hasattr(real, "__array__"):
        yield from stacks(fake, real)
        return
    missing = object()
    x, y = iter(fake), iter(real)
    while True:
        one, other = next(x, missing), next(y, missing)
        if one is missing and other is missing:
            return
        if one is missing or other is missing:
            raise DataError(f"fewer {'fake' if one is missing else 'real'} pictures than of the other side")
        yield np.asarray(one), np.asarray(other)


def _model_protocol(translator: Translator, checkpoint: str) -> dict[str, Any]:
    from citygan.train.checkpoint import read_state, used_sha256

    about: dict[str, Any] = {"checkpoint": checkpoint, "step": translator.step, "weights_sha256": None}
    if translator.path is not None:
        about["weights_sha256"] = used_sha256(translator.path)
        about["model"] = read_state(translator.path).get("model")
    about["quick"] = bool(translator.settings.get("quick", False))
    return about | translator.protocol() | {"device": translator.device.type}


__all__ = ["evaluate", "evaluate_folders", "evaluate_run", "evaluate_segmenter", "set_of_run", "set_of_settings"]
