"""What a study found, as one plain object that JSON can hold; tables and pages are made from it alone.

    {"study", "title", "quick", "label", "source", "paper": {...} | null, "seeds", "data", "columns", "rows",
     "mean_colour", "chance", "notes", "protocol", "judge", "command", "measured"}

A row: {"name", "title", "edges_of", "status", "short", "reason", "paper": {COLUMN: figure}, "figures": {COLUMN: cell},
"runs", "seconds", "command", "notes"}. A cell: {"mean", "std", "n", "values"}, and where there is none {"short",
"reason"} too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from citygan.data.store import TARGET
from citygan.errors import MachineError
from citygan.metrics import METRICS
from citygan.study.parts import PRINTED, REAL_OR_FAKE, Column, Row, Study
from citygan.study.planning import MISSING, Options, command_of, study_command
from citygan.weightfiles import RANDOM

Record = dict[str, Any]
QUICK = "quick form"
WHY_QUICK = "narrow, small and short: it shows that every row runs, and its figures are not the paper's"
NO_RESULTS = "no results yet"


def record_of(
    study: Study, options: Options, data: Mapping[str, Any], outcomes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Record:
    """Puts a study together.

    Args:
        data: Name, checksum, size and splits of the set, and which split stands for which (`stands_for`).
        outcomes: Of each row by its name, those of its seeds.
    """
    results = [outcome["results"] for found in outcomes.values() for outcome in found if outcome["status"] == "done"]
    rows = [
        _beside_row(study, row, "reference", None, _beside(study, options, data, results, "oracle"))
        if row.reference
        else _beside_row(study, row, "not run", row.printed, _cells_of(study, "not run", row.printed))
        if row.printed is not None
        else _row(study, row, options, data, outcomes)
        for row in study.rows
    ]
    painting = _beside(study, options, data, results, "mean_colour")
    for row in rows:
        done = [outcome["results"] for outcome in outcomes.get(row["name"], []) if outcome["status"] == "done"]
        row["notes"] += _own_painting(study, _beside(study, options, data, done, "mean_colour"), painting)
    paper = study.paper
    title = f"{study.title} ({QUICK})" if options.quick else study.title
    return {
        "study": study.name,
        "title": title,
        "quick": options.quick,
        "label": QUICK if options.quick else "full",
        "source": study.source,
        "paper": None
        if paper is None
        else {
            "source": paper.source,
            "caption": paper.caption,
            "unit": paper.unit,
            "protocol": paper.protocol,
            "unsure": paper.unsure,
            "slips": list(paper.slips),
        },
        "seeds": options.seeds,
        "data": dict(data),
        "columns": [
            {"key": c.key, "title": c.title, "metric": c.metric, "split": c.split, "paper": c.paper is not None}
            | ({"mixed": True} if c.paper is not None and study.paper_of(c).mixed else {})
            for c in study.columns
        ],
        "rows": rows,
        "mean_colour": painting,
        "painting": study.painting,
        "chance": _chance(study, options, data, results) if study.judged else None,
        "notes": [*_notes(study, options), *_notes_on_edges(rows), *data.get("notes", [])],
        "protocol": _protocol(results),
        "assigned": list(options.assigned),
        "weights": dict(options.weights),
        "init": options.named_init,
        "segmenter": options.segmenter,
        "judge": _judge(options, results),
        "command": study_command(study, options),
    }


def _own_painting(study: Study, own: Mapping[str, Record], shown: Mapping[str, Record]) -> list[str]:
    """What a row's own painting scores, where it is another than the table's, as that which keeps the lightness."""
    differs = [
        f"{column.title} {own[column.key]['mean']:.3f}"
        for column in study.columns
        if own[column.key]["mean"] is not None and own[column.key]["mean"] != shown[column.key]["mean"]
    ]
    if not differs:
        return []
    return [f"the painting to beat here keeps what this row keeps of its input: {', '.join(differs)}"]


def _notes(study: Study, options: Options) -> list[str]:
    notes = [f"{QUICK}: {WHY_QUICK}"] if options.quick else []
    notes += study.notes
    for paper in study.papers:
        unsure = " (unsure)" if paper.unsure else ""
        notes.append(f"The paper's figures{unsure}: {paper.source}; protocol: {paper.protocol}")
        notes += paper.slips
    if options.assigned:
        notes.append(f"With other settings than the rows': {', '.join(options.assigned)}")
    random = [name for name, value in options.weights.items() if value == RANDOM]
    notes += [f"{name}: random weights, as asked: figures by that network compare with no others" for name in random]
    notes.append(
        "Ours: the mean over seeds +- the standard deviation of the sample"
        if options.seeds > 1
        else "Ours: one seed, so no spread is known"
    )
    return notes


def _notes_on_edges(rows: Sequence[Record]) -> list[str]:
    """What is to be said of the pictures that edges come from."""
    of = {row["edges_of"] for row in rows} - {None}
    if TARGET not in of:
        return []
    told = f"Rows marked 'edges: {TARGET}' are shown the edges of the very photo that they are scored by: these leak it"
    others = sorted(of - {TARGET})
    return [
        f"{told}. Those marked 'edges: {', '.join(others)}' are not"
        if others
        else f"{told}, and the set has no graphics rendering to take them from"
    ]


def _row(
    study: Study,
    row: Row,
    options: Options,
    data: Mapping[str, Any],
    by_row: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Record:
    outcomes = by_row.get(row.name, [])
    status, short, reason = _status(row, options, outcomes)
    done = [outcome for outcome in outcomes if outcome["status"] == "done"]
    figures = {
        column.key: _cell(column, options, data, [o["results"] for o in done], short, reason)
        for column in study.columns
    }
    random = sorted({name for outcome in done for name in outcome["random"]})
    edges = _edges_of(done)
    other = row.starts_from or row.scores
    before = [] if other is None else by_row.get(other, [])
    run = f"studies/{before[0]['run']}" if before else None
    able = row.runs and status != "not run" and (other is None or run is not None)
    return {
        "name": row.name,
        "title": row.title if edges is None or row.edges_of is not None else f"{row.title}, edges: {edges}",
        "edges_of": edges,
        "status": status,
        "short": short,
        "reason": reason,
        "paper": {c.key: study.paper_figure(row, c) for c in study.columns},
        "figures": figures,
        "runs": [outcome["run"] for outcome in outcomes],
        "seconds": [outcome.get("seconds") for outcome in outcomes],
        "command": command_of(study, row, options, run) if able else None,
        "notes": [f"{name}: random weights in the place of published ones" for name in random],
    }


def _status(row: Row, options: Options, outcomes: Sequence[Mapping[str, Any]]) -> tuple[str, str | None, str | None]:
    """`done`, `reference`, `not run` or `failed`; in short, and with the reason."""
    if row.from_weights and options.init is None:
        hint = "--init names a run or checkpoint with them; no public weights of this network are made for Cityscapes"
        return "not run", MISSING, f"{row.title} starts from published weights: {hint}"
    for status in ("failed", "not run"):
        for outcome in outcomes:
            if outcome["status"] == status:
                return status, outcome["short"], portable(outcome["reason"])
    if not outcomes:
        return "not run", "not run yet", "the study was stopped before"
    return "done", None, None


def _cell(
    column: Column,
    options: Options,
    data: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    short: str | None,
    reason: str | None,
    beside: str | None = None,
) -> Record:
    """A figure over the seeds; or why there is none.

    Args:
        beside: Of the painting (`mean_colour`) or of the photos (`oracle`), instead of what was generated.
    """
    if column.metric == PRINTED:
        return _absent("–", "the paper's figures alone")
    if column.metric == REAL_OR_FAKE:
        if beside is not None:
            return _absent("–", "not among the pictures that people are asked about")
        return _absent(
            short or NO_RESULTS, reason or "citygan study amt --results FILE reads those of the participants"
        )
    if column.metric == "fcn-score" and options.judge is None:
        short, reason = options.unjudged
        return _absent(short, f"{reason} (--segmenter names a run that judges the streets)")
    if not results and short is not None:
        return _absent(short, reason or short)
    if column.split not in data["stands_for"]:
        return _absent("not run: no such split", f"the set has nothing to score as {column.split}")
    if beside == "oracle" and column.metric != "fcn-score" and not METRICS[column.metric].of_real:
        return _absent("–", "the photos themselves: nothing to compare them with")
    if not results:
        return _absent("not run", "no row was scored")
    values, why = [], None
    for result in results:
        figure = result.get(column.split, {}).get("metrics", {}).get(column.metric)
        if figure is None:
            why = _absent(f"not run: no {column.metric}", f"this version cannot compute {column.metric}")
            continue
        shown = figure if beside is None else _beside_figure(figure, beside)
        value = next((shown[part] for part in column.part if shown.get(part) is not None), None)
        if value is None or not math.isfinite(value):
            told = str(shown.get("reason") or figure.get("reason") or f"no such figure of {column.metric}")
            missing = figure.get("exit_code") == MachineError.exit_code and "weights" in told
            why = _absent(MISSING if missing else "not computed", told)
        else:
            values.append(float(value))
    if short is not None and values:
        return _spread(values) | {"reason": f"not all seeds: {reason}"}
    return _spread(values) if values else why or _absent("not computed", "no figure")


def _beside_figure(figure: Mapping[str, Any], beside: str) -> Mapping[str, Any]:
    """What stands in a figure beside that of the run."""
    found = figure.get(beside) or figure.get("rows", {}).get(beside)
    if found is None and beside == "oracle":
        found = figure.get("real")
    return found or {}


def _spread(values: Sequence[float]) -> Record:
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else None
    return {"mean": mean, "std": std, "n": len(values), "values": list(values)}


def _absent(short: str, reason: str) -> Record:
    return {"mean": None, "std": None, "n": 0, "values": [], "short": short, "reason": portable(reason)}


def unanswered() -> Record:
    """The cell of a row that nobody was asked about yet."""
    return _absent(NO_RESULTS, "citygan study amt --results FILE reads those of the participants")


def portable(text: str) -> str:
    """Without the folders of this machine: tables are passed on."""
    places = {str(Path.cwd()): ".", str(Path.home()): "~"}
    if torch_home := os.environ.get("TORCH_HOME"):
        places = {str(Path(torch_home).expanduser()): "$TORCH_HOME"} | places
    for folder, name in places.items():
        if len(folder) > 1:
            text = re.sub(re.escape(folder) + r"(?![\w.-])", name, text)
    return text


def _beside_row(study: Study, row: Row, status: str, reason: str | None, cells: Mapping[str, Record]) -> Record:
    """A row of no run: the real photos in the place of what was generated, or the paper's figures alone."""
    return {
        "name": row.name,
        "title": row.title,
        "edges_of": None,
        "status": status,
        "short": None if reason is None else status,
        "reason": reason,
        "paper": {c.key: study.paper_figure(row, c) for c in study.columns},
        "figures": dict(cells),
        "runs": [],
        "seconds": [],
        "command": None,
        "notes": [],
    }


def _cells_of(study: Study, short: str, reason: str) -> dict[str, Record]:
    """No figure, for one reason."""
    return {column.key: _absent(short, reason) for column in study.columns}


def _edges_of(outcomes: Sequence[Mapping[str, Any]]) -> str | None:
    """The pictures that runs were shown the edges of; None of runs without."""
    scored = [each for outcome in outcomes for each in outcome["results"].values()]
    found = dict.fromkeys(each["protocol"]["model"].get("edges_of") for each in scored)
    return " and ".join(of for of in found if of is not None) or None


def _beside(
    study: Study, options: Options, data: Mapping[str, Any], results: Sequence[Mapping[str, Any]], beside: str
) -> dict[str, Record]:
    """What stands beside every row and is the same there: the figures of the first row that has them."""
    cells = {}
    for column in study.columns:
        each = [_cell(column, options, data, [one], None, None, beside) for one in results]
        each = each or [_cell(column, options, data, [], None, None, beside)]
        cells[column.key] = next((cell for cell in each if cell["mean"] is not None), each[0])
    return cells


def _chance(
    study: Study, options: Options, data: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> dict[str, Record]:
    """What a segmenter tells of translations against the labels of other pictures, the mean over all runs."""
    cells = {}
    for column in study.columns:
        if column.metric != "fcn-score":
            cells[column.key] = _absent("–", "of segmented pictures alone")
            continue
        cell = _cell(column, options, data, results, None, None, "chance")
        cells[column.key] = cell | {"std": None}
    return cells


def _judge(options: Options, results: Sequence[Mapping[str, Any]]) -> Record | None:
    """The segmenter, as the figures' protocol tells of it."""
    if options.judge is None:
        return None
    for result in results:
        for scored in result.values():
            if about := scored["protocol"]["metrics"].get("fcn-score", {}).get("segmenter"):
                return {"run": Path(options.judge).name, **about}
    return {"run": Path(options.judge).name}


def _protocol(results: Sequence[Mapping[str, Any]]) -> Record:
    """What the figures depend on, of the first scored run."""
    for result in results:
        for scored in result.values():
            about: Record = {
                key: scored["protocol"][key] for key in ("size", "std", "metrics", "mean_colour", "versions")
            }
            return about | {"inference": scored["protocol"]["model"].get("inference")}
    return {}
