"""What a study is made of: a table, its rows presets with overrides, its columns metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from citygan.study.papers import PaperTable, paper_tables

REAL_OR_FAKE = "real-or-fake"  # what people answer: no metric, and found by `citygan.study.amt`
PRINTED = "printed"  # no metric: the paper's figures alone, of other pictures than ours can be
Need = Literal["instance", "pairs"]


@dataclass(frozen=True)
class Column:
    """One figure of every row.

    Attributes:
        title: Above it.
        metric: Row of `citygan.metrics.METRICS`; or `REAL_OR_FAKE`, `PRINTED`.
        part: Which of the metric's figures: the first of these names that it has.
        split: Of the set.
        paper: Column of the paper's table; None: the paper has no such figure.
        table: That table of `papers.yaml`; None: the study's.
    """

    title: str
    metric: str
    part: tuple[str, ...] = ("mean",)
    split: Literal["train", "val", "test"] = "val"
    paper: str | None = None
    table: str | None = None

    @property
    def key(self) -> str:
        """Its name in the results."""
        if self.metric == PRINTED:
            return f"{self.metric}.{self.table}.{self.paper}"
        return f"{self.metric}.{self.part[0]}.{self.split}"

    @property
    def computed(self) -> bool:
        """Whether a metric gives it."""
        return self.metric not in (REAL_OR_FAKE, PRINTED)


@dataclass(frozen=True)
class Row:
    """A run, with each seed.

    Attributes:
        name: Of the run's folder.
        title: In the table; where the paper's table has such a row, its name there unless `paper` gives another.
        preset: The named model.
        overrides: What differs from it.
        paper: Row of the paper's table.
        elsewhere: Where its figure stands in another table of `papers.yaml` than the study's: the table, its column.
        in_tables: Its name in other tables of the study's columns, where that is not `paper`.
        from_weights: Whether it starts from the weights that ``--init`` names.
        starts_from: The row of the study whose run of the same seed it goes on from.
        scores: The row of the study whose runs it scores in another way: nothing is trained.
        edges_of: The pictures that edges are taken from where it is scored; None: the graphics rendering, where the set
            has one.
        needs: What the set must have for it: instance maps, pairs of neighbouring frames.
        reference: `photos`: the real photos themselves, nothing is trained.
        printed: Why there is nothing but the paper's figures; None where it can be run.
        same_input: In trials of real or fake, whether both pictures are of one input, as of colourisation.
        length: Times the other rows' steps, where steps are given.
        cost: What a picture costs a CPU in the quick form, in those of the quick `pix2pix`.
    """

    name: str
    title: str
    preset: str = "pix2pix"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    paper: str | None = None
    elsewhere: tuple[str, str] | None = None
    in_tables: Mapping[str, str] = field(default_factory=dict)
    from_weights: bool = False
    starts_from: str | None = None
    scores: str | None = None
    edges_of: Literal["photo"] | None = None
    needs: tuple[Need, ...] = ()
    reference: bool = False
    printed: str | None = None
    same_input: bool = False
    length: int = 1
    cost: float = 1.0

    @property
    def runs(self) -> bool:
        """Whether there is a run to score."""
        return not self.reference and self.printed is None


@dataclass(frozen=True)
class Study:
    """A table.

    Attributes:
        name: On the command line.
        title: What is compared.
        source: Paper and section.
        table: Of `papers.yaml`; None: the paper gives no figures.
        rows, columns: Of the table.
        notes: What a reader must know.
        painting: What the painting to beat is called.
        minutes: That its quick form takes on two CPU cores at the most.
    """

    name: str
    title: str
    source: str
    table: str | None
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    painting: str = "mean-colour painting"
    minutes: int = 15

    def row(self, name: str) -> Row:
        """The row of that name, which is there."""
        return next(row for row in self.rows if row.name == name)

    @property
    def paper(self) -> PaperTable | None:
        """The paper's table."""
        return None if self.table is None else paper_tables()[self.table]

    @property
    def papers(self) -> list[PaperTable]:
        """All tables that its columns have figures of, its own first."""
        names = dict.fromkeys((self.table, *(column.table for column in self.columns)))
        return [paper_tables()[name] for name in names if name is not None]

    @property
    def where(self) -> str:
        """Paper, section and tables, in words."""
        return "; ".join([self.source, *([", ".join(paper.table for paper in self.papers)] if self.papers else [])])

    @property
    def judged(self) -> bool:
        """Whether a segmenter judges its streets."""
        return any(column.metric == "fcn-score" for column in self.columns)

    @property
    def metrics(self) -> dict[str, list[str]]:
        """The metrics to compute, by split."""
        found: dict[str, list[str]] = {}
        for column in (column for column in self.columns if column.computed):
            names = found.setdefault(column.split, [])
            if column.metric not in names:
                names.append(column.metric)
        return found

    @property
    def has_trials(self) -> bool:
        """Whether people are asked which picture is the fake."""
        return any(column.metric == REAL_OR_FAKE for column in self.columns)

    def paper_of(self, column: Column) -> PaperTable:
        """The table that a column's figures of a paper stand in; it has some."""
        return paper_tables()[column.table or self.table or ""]

    def paper_figure(self, row: Row, column: Column) -> float | None:
        """The paper's figure for a row; None where it gives none."""
        if column.paper is None:
            return None
        if row.elsewhere is not None:
            name, figure = row.elsewhere
            return paper_tables()[name].figure(row.paper or "", figure)
        table = self.paper_of(column)
        return table.figure(row.in_tables.get(table.name, row.paper or ""), column.paper)
