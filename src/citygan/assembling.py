"""What every evaluation goes through: what is asked for is checked, pictures are measured, figures become a result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citygan import __version__
from citygan.baseline import Painter
from citygan.data.store import PreparedSet, resolve_set
from citygan.errors import CityganError, UsageError
from citygan.figurefile import FigureFile
from citygan.foldertrios import FolderTrios
from citygan.metrics import STD, Metric, Setup, lookup, start_all
from citygan.metrics.scoring import Job, Scores, score
from citygan.plotfiles import PlotFolder
from citygan.trios import SegmentedTrios, SplitTrios
from citygan.weightfiles import check_names

if TYPE_CHECKING:
    from citygan.infer import Translator
    from citygan.segmenting import Segmenter

Result = dict[str, Any]
Progress = Callable[[int, int], None]
"""Told (pictures done, pictures in all)."""


class Work:
    """What is asked for, checked before anything is opened, and the way through the pictures."""

    def __init__(
        self,
        metrics: Sequence[str] | None,
        weights: Mapping[str, str] | None = None,
        per_image: str | Path | None = None,
        plots: str | Path | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.rows = lookup(metrics)
        self.weights = dict(weights or {})
        check_names(self.weights)
        self._file = None if per_image is None else FigureFile(per_image, self.rows, force=force)
        self._plots = None if plots is None else PlotFolder(plots, self.rows, force=force)
        self._progress = progress

    def score(self, trios: SplitTrios | FolderTrios | SegmentedTrios, setup: Setup, painter: Painter) -> Scores:
        """Measures all pictures, and writes the files."""
        rows, failed = start_all(self.rows, setup)
        needs = {need for row in rows if row.name not in failed for need in row.needs}
        scores = self._gather(trios.jobs(needs), rows, failed, len(trios))
        setup.finish()
        if self._plots is not None:
            self._plots.write(scores, painter.name)
        return scores

    def score_jobs(self, jobs: Iterable[Job], setup: Setup) -> Scores:
        """Measures what needs nothing but pictures."""
        rows, failed = start_all(self.rows, setup)
        return self._gather(jobs, rows, failed, None)

    def _gather(
        self, jobs: Iterable[Job], rows: Sequence[Metric], failed: dict[str, CityganError], total: int | None
    ) -> Scores:
        scores = Scores(rows, failed=failed)
        able = [row for row in rows if row.name not in failed]
        if not able:
            return scores  # no picture is made for nothing
        if self._progress is not None and total is not None:
            self._progress(0, total)
        with contextlib.ExitStack() as stack:
            write = None if self._file is None else stack.enter_context(self._file.writing())
            for scored in score(jobs, able):
                scores.add(scored)
                if write is not None:
                    write(scored)
                if self._plots is not None:
                    self._plots.add(scored)
                if self._progress is not None and total is not None:
                    self._progress(scores.images, total)
        return scores


def result_of(
    scores: Scores,
    painter: Painter,
    protocol: dict[str, Any],
    *,
    run: str | None = None,
    split: str | None = None,
    fake: str | None = None,
    real: str | None = None,
) -> Result:
    sizes = {f"{width}x{height}": count for (width, height), count in sorted(scores.sizes.items())}
    about = {
        "size": next(iter(sizes)) if len(sizes) == 1 else None,
        "sizes": sizes,
        "std": STD,
        "metrics": {metric.name: dict(metric.protocol) for metric in scores.metrics},
        "mean_colour": {"name": painter.name, **painter.protocol},
    }
    return {
        "run": run,
        "split": split,
        "fake": fake,
        "real": real,
        "images": scores.images,
        "metrics": scores.figures(painter.reason),
        "protocol": about | protocol,
    }


def set_of_settings(settings: Mapping[str, Any], data: str | Path | PreparedSet | None = None) -> PreparedSet:
    """As `set_of_run`, by a run's settings."""
    if isinstance(data, PreparedSet):
        return data
    if data is not None:
        return resolve_set(data)
    try:
        return resolve_set(settings.get("data"))
    except UsageError as problem:
        hint = f"{problem.hint}; --data names the set to use" if problem.hint else "--data names the set to use"
        raise UsageError(problem.what, where=problem.where, hint=hint) from problem


def same_data(translator: Translator | Segmenter, data: PreparedSet) -> bool | None:
    """Whether the run was trained on this very set; None where it does not say."""
    from citygan.train.checkpoint import read_state

    if translator.path is None:
        return None
    checksum = (read_state(translator.path).get("data") or {}).get("checksum")
    return None if checksum is None else bool(checksum == data.checksum)


def run_name(translator: Translator | Segmenter) -> str | None:
    from citygan.runs import run_of

    return None if translator.path is None else str(run_of(translator.path) or translator.path)


def versions(*more: str) -> dict[str, str]:
    found = {"citygan": __version__}
    for library in ("numpy", "opencv-python-headless", "opencv-python", *more):
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
