"""Figures of a segmenter: its label maps of a split's photos against the true ones, at the labels' own size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citygan.assembling import Progress, Result, Work, result_of, run_name, same_data, set_of_settings, versions
from citygan.baseline import no_painter
from citygan.data.store import PreparedSet, Split
from citygan.errors import DataError, UsageError
from citygan.metrics import Metric, Setup
from citygan.metrics.fcnscore import name_of_protocol
from citygan.pictures import header
from citygan.runs import GENERATOR, SEGMENTER, of_kind
from citygan.trios import SegmentedTrios

if TYPE_CHECKING:
    from citygan.segmenting import Segmenter


def check_classes(segmenter: Segmenter, data: PreparedSet, flag: str) -> None:
    """Refuses a set by other classes than the segmenter tells.

    Raises:
        UsageError: It is one.
    """
    if data.classes == segmenter.labels:
        return
    theirs = "no classes" if data.classes is None else f"the classes {data.classes.name}"
    same = "" if data.classes is None or data.classes.name != segmenter.labels.name else " of another content"
    raise UsageError(
        f"a segmenter with other classes: it tells {segmenter.labels.name}{same}, and the set has {theirs}",
        where=f"{flag} {segmenter.path}" if segmenter.path else flag,
        hint=f"citygan train --model unet-seg --data {data.name} makes one that fits" if data.classes else None,
    )


def check_metrics(rows: list[Metric]) -> None:
    """Refuses metrics of pictures, where the run is a segmenter.

    Raises:
        UsageError: There are some; the runs that they are for are named.
    """
    others = [row.name for row in rows if row.name != "miou"]
    if others:
        fitting = of_kind(GENERATOR)
        hint = f"--run can be: {', '.join(fitting[-8:])}" if fitting else "citygan train --model pix2pix makes one"
        raise UsageError(
            f"a {SEGMENTER} makes label maps, and {', '.join(others)} {'are' if len(others) > 1 else 'is'} of a "
            f"{GENERATOR}'s pictures: it has miou alone",
            where="--metric",
            hint=hint,
        )


def check_split(segmenter: Segmenter, data: PreparedSet, name: str) -> Split:
    """The split of that name, with photos and labels by the segmenter's classes.

    Raises:
        UsageError: No such split, or other classes.
        DataError: It lacks photos or labels; the splits that would do are named.
    """
    part = data.split(name)
    fitting = [split.name for split in data.splits.values() if {"photo", "label"} <= split.arrays.keys()]
    hint = f"--split {' or --split '.join(fitting)} can be scored" if fitting else "Take another set, by --data"
    for kind, what in (("photo", "photos to segment"), ("label", "label maps to compare with")):
        if kind not in part.arrays:
            raise DataError(f"no {what}", where=f"{data.path}, split {name}", hint=hint)
    check_classes(segmenter, data, "--run")
    return part


def label_sizes(part: Split) -> Counter[str]:
    """How many labels there are of each WIDTHxHEIGHT, at their own size where the split keeps them so."""
    sizes: Counter[str] = Counter()
    for item in part.items:
        full = part.full_label(item)
        if full is not None:
            found = header(full)
            sizes[f"{found.width}x{found.height}"] += 1
        elif part.label is not None:
            sizes[f"{part.label.shape[2]}x{part.label.shape[1]}"] += 1
    return sizes


def protocol_on(segmenter: Segmenter, part: Split) -> str:
    """What it is called that this segmenter looks at generated pictures of this split."""
    assert part.photo is not None
    size = f"{part.photo.shape[2]}x{part.photo.shape[1]}"
    return name_of_protocol(segmenter.protocol(), size, set(label_sizes(part)))


def about(segmenter: Segmenter, checkpoint: str) -> dict[str, Any]:
    """The model, as the protocol of an evaluation holds it."""
    return {"checkpoint": checkpoint, **segmenter.about(), "device": segmenter.device.type}


def evaluate_segmenter(
    run: str | Path | Segmenter | None = None,
    split: str = "val",
    checkpoint: str = "last",
    *,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    data: str | Path | PreparedSet | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Segments the photos of a split and scores that against the labels, at their own size where the set has it.

    Args:
        run: A segmenter's run, a checkpoint folder, a loaded segmenter; None: the last run.
        metrics: `miou`, the only one.
        split, checkpoint, device, data, plots, force: As `evaluate_run`.

    Raises:
        UsageError: Another metric, a run of another kind, other classes, no such split.
        DataError: The set has no photos or no labels.
    """
    from citygan.segmenting import load_segmenter

    work = Work(metrics or ["miou"], None, None, plots, force, progress)
    check_metrics(work.rows)
    if run is None or isinstance(run, str | Path):
        run = load_segmenter(run, checkpoint=checkpoint, device=device)
    prepared = set_of_settings(run.settings, data)
    part = check_split(run, prepared, split)
    painter = no_painter("a segmenter's label maps are no pictures")
    trios = SegmentedTrios(run, part, show=plots is not None)
    scores = work.score(trios, Setup(device=device, classes=run.labels, lacking=trios.lacking), painter)
    protocol = {
        "model": about(run, checkpoint),
        "data": {
            "name": prepared.name,
            "checksum": prepared.checksum,
            "split": split,
            "trained_on": same_data(run, prepared),
        },
        "versions": versions("torch"),
    }
    return result_of(scores, painter, protocol, run=run_name(run), split=split)
