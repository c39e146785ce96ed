"""What an evaluation shows besides numbers: plots of distributions, and sheets of the worst and the best pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from citygan.errors import UsageError
from citygan.files import clean_temporaries, write_bytes
from citygan.metrics import Metric
from citygan.metrics.pairs import UInt8
from citygan.metrics.scoring import Scored, Scores
from citygan.pictures import encode_png
from citygan.sheets import sheet

SHOWN = 4  # worst pictures by a metric, and as many best ones


class PlotFolder:
    """The folder of ``--plots``: `METRIC.svg` and `METRIC.csv` of distributions, `METRIC.png` of pictures.

    Args:
        path: The folder.
        metrics: What is measured.
        force: Overwrite files that are there; others are never touched.

    Raises:
        UsageError: No folder, a file that exists and `force` is false, or none of the metrics has anything to show.
    """

    def __init__(self, path: str | Path, metrics: Sequence[Metric], *, force: bool = False) -> None:
        self.path = Path(path)
        self._extremes = [Extremes(metric) for metric in metrics if metric.scope == "picture"]
        names = [f"{extremes.metric.name}.png" for extremes in self._extremes]
        names += [f"{metric.name}{suffix}" for metric in metrics if metric.plots for suffix in (".svg", ".csv")]
        if not names:
            asked = ", ".join(metric.name for metric in metrics)
            raise UsageError(f"{asked} has nothing to plot", where="--plots", hint="Ask for another metric too")
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise UsageError("not a folder", where=self.path, hint="--plots names a folder")
        there = [name for name in names if os.path.lexists(self.path / name)]
        if there and not force:
            raise UsageError(f"{there[0]} exists already", where=self.path, hint="--force overwrites it")

    def add(self, scored: Scored) -> None:
        """Takes in one picture."""
        for extremes in self._extremes:
            extremes.add(scored)

    def write(self, scores: Scores, painting: str) -> list[Path]:
        """Writes the files.

        Args:
            painting: What the painting is called.

        Raises:
            MachineError: They cannot be written.
        """
        files = scores.plots(painting)
        for extremes in self._extremes:
            if extremes.metric.name not in scores.failed and extremes.seen:
                files[f"{extremes.metric.name}.png"] = encode_png(extremes.sheet(painting))
        clean_temporaries(self.path)
        for name, data in files.items():
            write_bytes(self.path / name, data)
        return [self.path / name for name in files]


class Extremes:
    """The worst and the best pictures by a metric, as far as they have been seen; all others are let go."""

    def __init__(self, metric: Metric, count: int = SHOWN) -> None:
        self.metric = metric
        self.count = count
        self.seen = 0
        self._kept: list[tuple[float, int, Scored]] = []  # the worst first; of equals the earlier

    def add(self, scored: Scored) -> None:
        """Takes in one picture."""
        value = scored.fake.get(self.metric.name)
        if value is None:
            return
        self._kept.append((value if self.metric.better == "higher" else -value, self.seen, scored))
        self._kept.sort(key=lambda kept: kept[:2])
        if len(self._kept) > 2 * self.count:
            del self._kept[self.count]
        self.seen += 1

    @property
    def stems(self) -> list[str]:
        """The names of the pictures kept, the worst first."""
        return [scored.stem for _, _, scored in self._kept]

    def sheet(self, painting: str) -> UInt8:
        """The pictures in rows, uint8 [H, W, 3]: what each was made from, the picture, the painting, the real one."""
        rows, captions = [], []
        has_input = all(scored.trio.shown is not None for _, _, scored in self._kept)
        has_painting = all(scored.trio.painting is not None for _, _, scored in self._kept)
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        for place, (_, _, scored) in enumerate(self._kept):
            trio = scored.trio
            shown = (trio.shown if has_input else None, trio.fake, trio.painting if has_painting else None, trio.real)
            rows.append([picture for picture in shown if picture is not None])
            which = "worst" if place < len(self._kept) / 2 else "best"
            captions.append(f"{which}: {self.metric.name} {scored.fake[self.metric.name]:.4f}{unit}  {trio.stem}")
        titles = ["input"] * has_input + ["generated"] + [painting] * has_painting + ["real"]
        return sheet(rows, titles, captions)
