"""The papers' figures: one data file, `papers.yaml`, with table, row, unit and known slips."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.yamlfile import read_yaml

FILE = Path(__file__).with_name("papers.yaml")


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Attributes:
        name: Its name here.
        paper: Authors and title.
        table: What the paper calls it.
        caption: What it shows.
        unit: `fraction`, `percent`, `ratio` or `distance`.
        protocol: How the figures were found, as far as the paper says.
        columns: Names of the figures of a row.
        rows: By the paper's name of the row: its figures, None where there is none.
        slips: What is wrong, or easily misread.
        unsure: Whether the figures were not checked against the printed page.
        mixed: Whether they have now more, now fewer digits there: they are shown with as many as each has.
    """

    name: str
    paper: str
    table: str
    caption: str
    unit: str
    protocol: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    slips: tuple[str, ...]
    unsure: bool = False
    mixed: bool = False

    def figure(self, row: str, column: str) -> float | None:
        """One figure; None where the table has none."""
        if row not in self.rows or column not in self.columns:
            return None
        return self.rows[row][self.columns.index(column)]

    @property
    def source(self) -> str:
        """Where it stands, in words."""
        return f"{self.paper}, {self.table}"


@functools.cache
def paper_tables() -> Mapping[str, PaperTable]:
    """All tables, by name.

    Raises:
        ValueError: A row has not as many figures as its table has columns.
    """
    tables = {}
    for name, entry in read_yaml(FILE)[0].items():
        table = _table(name, entry)
        wrong = [row for row, figures in table.rows.items() if len(figures) != len(table.columns)]
        if wrong:
            raise ValueError(f"{name}: not a figure for each column: {', '.join(wrong)}")
        tables[name] = table
    return tables


def _table(name: str, entry: Mapping[str, Any]) -> PaperTable:
    rows = {row: tuple(figures) for row, figures in entry["rows"].items()}
    lists = {"columns": tuple(entry["columns"]), "slips": tuple(entry["slips"])}
    return PaperTable(**{**entry, "name": name, "rows": rows, **lists})
