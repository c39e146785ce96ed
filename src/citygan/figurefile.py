"""The CSV file with the figures of each picture."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from citygan.errors import UsageError, printable
from citygan.files import new_file
from citygan.metrics import Metric
from citygan.metrics.scoring import Scored


class FigureFile:
    """One line a picture: its name, and each metric's figure beside the mean-colour painting's.

    A metric that could not be measured leaves its cell empty; an infinite one is `inf`.

    Args:
        path: The file.
        metrics: Its columns; those that have no figure for a single picture are left out.
        force: Overwrite it.

    Raises:
        UsageError: It exists and `force` is false.
    """

    def __init__(self, path: str | Path, metrics: Sequence[Metric], *, force: bool = False) -> None:
        self.path = Path(path)
        self.names = [metric.name for metric in metrics if metric.scope == "picture"]
        if not self.names:
            raise UsageError(
                f"{', '.join(metric.name for metric in metrics)} has no figure for a single picture",
                where="--per-image",
                hint="Ask for another metric too, as --metric ssim",
            )
        if self.path.is_dir():
            raise UsageError("is a folder", where=self.path, hint="--per-image names a CSV file")
        if os.path.lexists(self.path) and not force:
            raise UsageError("exists already", where=self.path, hint="--force overwrites it")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[Scored], None]]:
        """A function that writes one line; the file appears when the block ends well.

        Raises:
            MachineError: It cannot be written.
        """
        with new_file(self.path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            columns = [column for name in self.names for column in (name, f"{name}_mean_colour")]
            writer.writerow(["picture", *columns])

            def write(scored: Scored) -> None:
                row: list[Any] = [cell(scored.stem)]
                for name in self.names:
                    row += [_number(scored.fake.get(name)), _number(scored.painting.get(name))]
                writer.writerow(row)

            yield write


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula and no terminal for a command."""
    safe = printable(text)
    return f"'{safe}" if safe[:1] in ("=", "+", "-", "@") else safe


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))
