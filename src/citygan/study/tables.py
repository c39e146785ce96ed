"""A study's record as a table: Markdown, CSV, text cells. Nothing here knows of runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from citygan.errors import counted, printable
from citygan.figurefile import cell as safe
from citygan.metrics.fcnscore import PIX2PIX
from citygan.study.parts import PRINTED

Record = Mapping[str, Any]
# behind the point, of figures that are no shares of 1
DIGITS = {"psnr": 2, "real-or-fake": 1, "fid": 2, "l1": 2, "warp-error": 2, "flicker": 2, "sharpness": 2}


def columns(record: Record) -> list[Record]:
    """The columns with a figure in any row, or the paper's; why the others have none is told below the table."""
    cells = [*(row["figures"] for row in record["rows"]), *(cells for _, cells in beside(record))]
    return [
        column
        for column in record["columns"]
        if column["paper"] or any(of[column["key"]]["mean"] is not None for of in cells)
    ]


def heads(record: Record) -> list[str]:
    """The titles of the columns."""
    titles = ["row"]
    unknown = " (protocol unknown)" if record["paper"] and record["paper"]["protocol"].startswith("unknown") else ""
    for column in columns(record):
        titles += [f"{column['title']}, paper{unknown}"] * column["paper"]
        titles += [f"{column['title']}, ours"] * (column["metric"] != PRINTED)
    return titles


def lines(record: Record) -> Iterator[list[str]]:
    """The rows as text, what stands beside them last."""
    unsure = "?" if record["paper"] and record["paper"]["unsure"] else ""
    form = f" ({record['label']})" if record["quick"] else ""
    mixed = {column["key"] for column in record["columns"] if column.get("mixed")}
    figures = [figure for row in record["rows"] for key, figure in row["paper"].items() if key not in mixed]
    most = max((_digits(figure) for figure in figures if figure is not None), default=0)
    for row in record["rows"]:
        texts = [row["title"] + (form if row["status"] == "done" else "")]
        for column in columns(record):
            figure = row["paper"][column["key"]]
            digits = most if figure is None or column["key"] not in mixed else _digits(figure)
            texts += [("–" if figure is None else f"{figure:.{digits}f}{unsure}")] * column["paper"]
            texts += _ours(row["figures"], column)
        yield texts
    for title, cells in beside(record):
        texts = [title]
        for column in columns(record):
            texts += ["–"] * column["paper"] + _ours(cells, column)
        yield texts


def _digits(figure: float) -> int:
    """Behind the point, as it is written."""
    return len(repr(figure).partition(".")[2])


def _ours(cells: Mapping[str, Any], column: Record) -> list[str]:
    """The cell of a column; none where it has the paper's figures alone."""
    return [] if column["metric"] == PRINTED else [shown(cells[column["key"]], column["metric"])]


def beside(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines that stand beside the rows: what chance gives, where a segmenter judges, and the painting."""
    if record["chance"] is not None:
        yield "chance: labels of other pictures, mean of all rows", record["chance"]
    yield record["painting"], record["mean_colour"]


def shown(cell: Record, metric: str) -> str:
    """A figure over the seeds, or in short why there is none."""
    if cell["mean"] is None:
        return str(cell["short"])
    digits = DIGITS.get(metric, 3)
    spread = "" if cell["std"] is None else f" ± {cell['std']:.{digits}f}"
    return f"{cell['mean']:.{digits}f}{spread}"


def reasons(record: Record) -> list[str]:
    """Why figures or rows are not there, each reason once, and what else is to be said of rows."""
    told: dict[str, None] = {}
    for row in record["rows"]:
        if row["reason"]:
            told[f"{row['title']}: {row['short']}: {row['reason']}"] = None
        for note in row["notes"]:
            told[f"{row['title']}: {note}"] = None
    by_reason: dict[str, dict[str, None]] = {}
    for row in record["rows"]:
        for column in record["columns"]:
            if column["metric"] == PRINTED:
                continue
            cell = row["figures"][column["key"]]
            reason = cell.get("reason")
            if reason and reason != row["reason"]:
                short = f"{cell['short']}: " if len(cell.get("short", "")) > 1 else ""
                by_reason.setdefault(short + reason, {})[column["title"]] = None
    if protocol := (record["judge"] or {}).get("scored_as"):
        told[f"FCN-score: {protocol}" if protocol != PIX2PIX else "FCN-score: pix2pix's own protocol"] = None
    return [*told, *(f"{', '.join(titles)}: {reason}" for reason, titles in by_reason.items())]


def about(record: Record) -> str:
    """What was run, on what, in a line."""
    data = record["data"]
    counts = ", ".join(f"{count} {name}" for name, count in data["splits"].items())
    seeds = f"{record['seeds']} seed{'s'[: record['seeds'] != 1]}"
    form = f"{record['label']}; " if record["quick"] else ""
    return f"{form}{record['source']}; data {data['name']} ({data['size']}; {counts}); {seeds}"


def made(record: Record) -> str:
    """When, on what and with what, and how long all runs were trained, those of other studies included."""
    told = record["measured"]
    threads = f", {counted(told['threads'], 'thread')}" if told["device"] == "cpu" else ""
    seconds = [each for row in record["rows"] for each in row["seconds"]]
    known = sum(each for each in seconds if each is not None)
    trained = f"{known / 60:.1f} minutes of training" if known < 7200 else f"{known / 3600:.1f} hours of training"
    return f"{told['date']}, {told['device']}{threads}, torch {told['versions']['torch']}; {trained}"


def markdown(record: Record) -> str:
    """The table with what has to be said of it."""
    return f"# {plain(record['title'])}\n\n{section(record)}"


def section(record: Record) -> str:
    """The same without its title, to stand in another page."""
    head = heads(record)
    body = [plain(about(record)), "", plain(made(record)), "", f"    {record['command']}", ""]
    body += [markdown_line(head), markdown_line(["---", *["---:"] * (len(head) - 1)])]
    body += [markdown_line(texts) for texts in lines(record)]
    body += ["", *(f"- {plain(text)}" for text in (*record["notes"], *reasons(record)))]
    commands = [f"    {row['command']}" for row in record["rows"] if row["command"]]
    if commands:
        body += ["", "Each row by itself:", "", *commands]
    return "\n".join(body) + "\n"


def csv_text(record: Record) -> str:
    """A line a row and column: the paper's figure, ours, its spread, the values of the seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["study", "form", "row", "status", "column", "split", "paper", "mean", "std", "n", "values", "reason"]
    )
    rows = [(row["title"], row["status"], row["paper"], row["figures"]) for row in record["rows"]]
    rows += [(title, "reference", {}, cells) for title, cells in beside(record)]
    for title, status, paper, figures in rows:
        for column in record["columns"]:
            cell, figure = figures[column["key"]], paper.get(column["key"])
            numbers = ["" if value is None else repr(value) for value in (figure, cell["mean"], cell["std"])]
            values = " ".join(map(repr, cell["values"]))
            place = [safe(title), status, column["key"], column["split"]]
            why = safe(cell.get("reason") or "")
            writer.writerow([record["study"], record["label"], *place, *numbers, cell["n"], values, why])
    return text.getvalue()


def markdown_line(texts: list[str]) -> str:
    return "| " + " | ".join(plain(text).replace("|", "\\|") for text in texts) + " |"


def plain(text: object) -> str:
    return printable(text).replace("<", "&lt;")
