"""What the answers of real-or-fake trials gave, in figures and words, and its place in a study's record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from citygan.errors import counted
from citygan.study.answers import Session
from citygan.study.fooled import RESAMPLES, Rate, rate, share_above
from citygan.study.papers import PaperTable, paper_tables
from citygan.study.parts import REAL_OR_FAKE
from citygan.study.realfake import PRACTICE
from citygan.study.record import Record, unanswered

TABLES = ("pix2pix-table-4", "pix2pix-table-5")


def results_of(key: Mapping[str, Any], sessions: Sequence[Session]) -> dict[str, Any]:
    """What the answers gave: `{"page", "rows": {ROW: {...} | None}, "notes"}`."""
    rates: dict[str, Rate] = {}
    rows: dict[str, Any] = {}
    titles = {row["row"]: row["title"] for row in key["about"]["rows"]}
    for number, entry in enumerate(key["sets"]):
        of = [session for session in sessions if session.set == number]
        if not of:
            rows[entry["row"]] = None
            continue
        found = rates[entry["row"]] = rate([session.fooled for session in of], seed=number)
        rows[entry["row"]] = {
            "mean": found.mean,
            "std": found.std,
            "interval": list(found.interval),
            "n": len(of),
            "values": list(found.each),
            "trials": found.trials,
            "practice_right": 100 * sum(session.practised for session in of) / (PRACTICE * len(of)),
            "hidden": sum(session.hidden for session in of),
            "long": sum(session.long for session in of),
            "median_answer_ms": float(np.median([session.median_ms for session in of])),
        }
    how = f"the standard deviation of {RESAMPLES} bootstrap samples over participants and their trials"
    notes = [f"Taken for real: +- is {how}"]
    names = list(rates)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            share = 100 * share_above(rates[other], rates[one])
            notes.append(
                f"{titles[other]} is taken for real more often than {titles[one]} in {share:.1f} % of bootstrap samples"
            )
    sha = hashlib.sha256("\n".join(session.session for session in sessions).encode("ascii")).hexdigest()
    return {"page": key["page"], "sessions": len(sessions), "sessions_sha256": sha, "rows": rows, "notes": notes}


def apply(record: Record, results: Mapping[str, Any] | None) -> None:
    """Puts answers into a record, in the place of those of before.

    Args:
        results: Of `results_of`; None: there are none.
    """
    before = record.pop("trials", {"notes": [], "rows": {}, "sessions": 0})
    more = [figures_in_words(paper_tables()[name]) for name in TABLES]
    more += [] if results is None else results["notes"]
    told: dict[str, str] = {}
    key = next(column["key"] for column in record["columns"] if column["metric"] == REAL_OR_FAKE)
    for row in record["rows"]:
        found = None if results is None else results["rows"].get(row["name"])
        row["notes"] = [note for note in row["notes"] if note != before["rows"].get(row["name"])]
        if found is not None:
            row["figures"][key] = {name: found[name] for name in ("mean", "std", "n", "values", "interval", "trials")}
            told[row["name"]] = _in_words(found)
            row["notes"].append(told[row["name"]])
        elif row["figures"][key]["mean"] is not None:
            row["figures"][key] = unanswered()
    record["notes"] = [*(note for note in record["notes"] if note not in before["notes"]), *more]
    record["trials"] = {"notes": more, "rows": told, "sessions": 0 if results is None else results["sessions"]}


def _in_words(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    text = f"taken for real: 95 % interval {low:.1f} to {high:.1f} %, {counted(found['n'], 'participant')}, "
    text += f"{found['trials']} trials; in the practice {found['practice_right']:.0f} % right; "
    text += f"answers after {found['median_answer_ms'] / 1000:.1f} s (median)"
    if found["n"] == 1:
        text += "; of one participant, so the interval is over trials alone"
    if found["hidden"]:
        text += f"; in {counted(found['hidden'], 'trial')} the page was out of sight"
    if found["long"]:
        text += (
            f"; in {counted(found['long'], 'trial')} a picture was shown too long by more than a quarter of a second"
        )
    return text


def figures_in_words(table: PaperTable) -> str:
    """A table of the paper in a line, each figure with its plus-minus."""
    rows = []
    for row, figures in table.rows.items():
        values = dict(zip(table.columns, figures, strict=True))
        shown = [
            f"{name.replace('_', ' ')} {value} +- {values[f'{name}_plus_minus']}"
            for name, value in values.items()
            if not name.endswith("plus_minus")
        ]
        rows.append(f"{row}: {', '.join(shown)}")
    return f"The paper's {table.table} [%]: {'; '.join(rows)}"
