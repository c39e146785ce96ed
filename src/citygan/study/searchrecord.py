"""What a search found: one plain object that JSON can hold, and from it alone the table, the page and the plot.

{"search", "goal": {...}, "method", "quick", "label", "data": {...}, "seeds", "seed", "trials", "settings",
 "counts": {STATUS: n}, "best": {...} | null, "rows": [trial], "notes"}
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from citygan.errors import counted
from citygan.figurefile import cell as safe
from citygan.study.page import document, embedded, html_list, html_table
from citygan.study.record import QUICK, WHY_QUICK, portable
from citygan.study.searchfile import validated
from citygan.study.searching import best_of
from citygan.study.searchspace import Range, Space, shown
from citygan.study.tables import markdown_line, plain

Record = dict[str, Any]


def record_of(
    space: Space, trials: Sequence[Mapping[str, Any]], data: Mapping[str, Any], quick: bool, split: str, storage: str
) -> Record:
    """Puts a search together.

    Args:
        data: Name, path, checksum and size of the set.
        split: That is scored.
        storage: Without its password.
    """
    trials = [{**trial, "reason": trial["reason"] and portable(trial["reason"])} for trial in trials]
    goal, best = space.goal, best_of(space, trials)
    return {
        "search": space.name,
        "goal": {
            "title": goal.title,
            "metric": goal.metric,
            "part": goal.part,
            "split": split,
            "better": "higher" if goal.higher else "lower",
        },
        "method": space.method,
        "quick": quick,
        "label": QUICK if quick else "full",
        "data": dict(data),
        "model": space.model,
        "steps": space.steps,
        "seeds": space.seeds,
        "seed": space.seed,
        "trials": space.total,
        "assigned": list(space.assigned),
        "segmenter": space.segmenter,
        "storage": storage,
        "settings": list(space.dimensions),
        "log": [name for name, d in space.dimensions.items() if isinstance(d, Range) and d.log],
        "counts": dict(Counter(trial["status"] for trial in trials)),
        "best": None if best is None else dict(best),
        "reason": None if best is not None else "no trial has come to its end",
        "rows": [dict(trial) for trial in trials],
        "notes": _notes(space, trials, quick, split),
    }


def _notes(space: Space, trials: Sequence[Mapping[str, Any]], quick: bool, split: str) -> list[str]:
    notes = [f"{QUICK}: {WHY_QUICK}"] if quick else []
    by = validated(space)
    if space.prune.method == "none":
        notes.append("No run was pruned: the file says so")
    elif by is None:
        notes.append(f"No run was pruned: a validation does not give {space.goal.title}; prune.by names what it gives")
    else:
        notes.append(f"Pruned ({space.prune.method}) by {by} of the validations during training")
    if split != space.goal.split:
        notes.append(f"The set has nothing to score as {space.goal.split}: {split} is taken for it")
    if split == "test":
        notes.append("The goal is of the test split: what was chosen by it can no more be tested on it")
    if space.seeds == 1:
        notes.append("One seed: what differs less than two runs with other seeds do is chance")
    if space.assigned:
        notes.append(f"With --set: {', '.join(space.assigned)}")
    notes += [f"trial {t['trial']}: {t['status']}: {t['reason']}" for t in trials if t["reason"]]
    away = Counter(t["host"] for t in trials if t["status"] == "running")
    notes += [f"{counted(count, 'trial')} running on {host}" for host, count in away.items()]
    return notes


def heads(record: Record) -> list[str]:
    """The titles of the columns."""
    return ["trial", f"{record['goal']['title']}, {record['goal']['split']}", "status", *record["settings"]]


def lines(record: Record) -> Iterator[list[str]]:
    """The trials as text: the best first, then those without a figure in their order."""
    sign = -1 if record["goal"]["better"] == "higher" else 1
    none = float("inf")
    for row in sorted(
        record["rows"], key=lambda r: (none if r["value"] is None else sign * r["value"], r["trial"])
    ):  # fmt: skip
        figure = "–" if row["value"] is None else f"{row['value']:.4f}"
        status = row["status"]
        if status == "pruned" and row["validations"]:
            status = f"pruned at step {row.get('steps', '?')}"
        best = record["best"] is not None and record["best"]["trial"] == row["trial"]
        yield [
            str(row["trial"]),
            figure,
            "best" if best else status,
            *(shown(row["point"][name]) for name in record["settings"]),
        ]


def about(record: Record) -> str:
    """What was searched, on what, in a line."""
    data, goal, counts = record["data"], record["goal"], record["counts"]
    form = f"{record['label']}; " if record["quick"] else ""
    ran = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"
    seeds = counted(record["seeds"], "seed")
    return (
        f"{form}{record['method']} search; goal {goal['title']} on {goal['split']}, {goal['better']} is better; "
        f"model {record['model']}; data {data['name']} ({data['size']}); {seeds}; {record['trials']} trials: {ran}"
    )


def title_of(record: Record) -> str:
    """Of the page and the table."""
    form = f" ({QUICK})" if record["quick"] else ""
    return f"Search {record['search']}{form}"


def markdown(record: Record) -> str:
    """The table with what has to be said of it."""
    head = heads(record)
    body = [f"# {plain(title_of(record))}", "", plain(about(record)), "", markdown_line(head)]
    body += [markdown_line(["---:", "---:", "---", *["---:"] * len(record["settings"])])]
    body += [markdown_line(texts) for texts in lines(record)]
    body += ["", *(f"- {plain(note)}" for note in record["notes"])]
    return "\n".join(body) + "\n"


def csv_text(record: Record) -> str:
    """A line a trial."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["search", "form", "trial", "status", "value", "values", "seconds", *record["settings"], "reason"])
    for row in record["rows"]:
        value = "" if row["value"] is None else repr(row["value"])
        values = " ".join(map(repr, row.get("values", [])))
        point = [safe(_exact(row["point"][name])) for name in record["settings"]]
        seconds = "" if row["seconds"] is None else row["seconds"]
        told = [safe(record["search"]), record["label"], row["trial"], row["status"], value, values, seconds]
        writer.writerow([*told, *point, safe(row["reason"] or "")])
    return text.getvalue()


def _exact(value: object) -> str:
    return repr(value) if isinstance(value, float) else shown(value)


def page(record: Record, plot: bytes | None) -> str:
    """The search as one HTML file."""
    parts = [html_list([about(record)]), html_table(heads(record), lines(record)), html_list(record["notes"])]
    if plot is not None:
        parts.append(embedded(plot, "trials, learning curves, settings"))
    return document(title_of(record), parts)


def plot_of(record: Record) -> bytes | None:
    """Trials in their order, learning curves, and the goal over each setting, as PNG; None before the first figure."""
    done = [row for row in record["rows"] if row["value"] is not None]
    if not done:
        return None
    from matplotlib.figure import Figure

    goal, names = record["goal"], record["settings"]
    title = f"{goal['title']}, {goal['split']} ({goal['better']} is better)"
    count = 2 + len(names)
    columns = min(3, count)
    height = -(-count // columns)
    figure = Figure(figsize=(4.6 * columns, 3.4 * height), layout="constrained")
    axes = figure.subplots(height, columns, squeeze=False).flatten()
    _history(axes[0], record, done, title)
    _curves(axes[1], record)
    for axis, name in zip(axes[2:], names, strict=False):
        _setting(axis, name, record, done, title)
    for axis in axes[count:]:
        axis.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


GREY, BLUE, RED = "#999999", "#2266aa", "#cc3311"


def _history(axis: Any, record: Record, done: Sequence[Mapping[str, Any]], title: str) -> None:
    best = max if record["goal"]["better"] == "higher" else min
    so_far: list[float] = []
    for row in done:
        so_far.append(best([row["value"], *so_far[-1:]]))
    trials = [row["trial"] for row in done]
    axis.plot(trials, [row["value"] for row in done], "o", color=BLUE, label="trial")
    axis.step(trials, so_far, where="post", color=RED, label="best so far")
    lost = [row["trial"] for row in record["rows"] if row["status"] in ("pruned", "diverged", "refused", "failed")]
    for place, trial in enumerate(lost):
        axis.axvline(trial, color=GREY, linestyle=":", linewidth=1, label="pruned or failed" if not place else None)
    axis.set(xlabel="trial", ylabel=title)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize="small")


def _curves(axis: Any, record: Record) -> None:
    best = None if record["best"] is None else record["best"]["trial"]
    sign = 1 if record["goal"]["better"] == "higher" else -1
    for row in record["rows"]:
        steps = [int(step) for step in row["validations"]]
        values = [sign * value for value in row["validations"].values()]
        pruned = row["status"] == "pruned"
        colour = RED if row["trial"] == best else GREY if pruned else BLUE
        axis.plot(steps, values, "x--" if pruned else ".-", color=colour, linewidth=1, zorder=3 if colour == RED else 2)
    axis.set(xlabel="validation", ylabel="figure of the validation", title="red: the best; dashed: pruned")
    axis.title.set_fontsize("small")
    if not any(row["validations"] for row in record["rows"]):
        axis.text(0.5, 0.5, "not looked at", ha="center", transform=axis.transAxes)


def _setting(axis: Any, name: str, record: Record, done: Sequence[Mapping[str, Any]], title: str) -> None:
    """The goal over one setting; runs without a figure stand as crosses on the axis."""
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = [row for row in record["rows"] if row["status"] not in ("running", "waiting", "stopped")]
    values = [row["point"][name] for row in rows]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    names = sorted({shown(value) for value in values})

    def places(of: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [row["point"][name] if numbers else names.index(shown(row["point"][name])) for row in of]

    lost = [row for row in rows if row["value"] is None]
    axis.plot(places(lost), [0.02] * len(lost), "x", color=GREY, transform=axis.get_xaxis_transform())
    axis.plot(places(done), [row["value"] for row in done], "o", color=BLUE)
    axis.plot(places([record["best"]]), [record["best"]["value"]], "o", color=RED)
    if not numbers:
        axis.set_xticks(range(len(names)), names)
        axis.set_xlim(-0.5, len(names) - 0.5)
    elif name in record["log"]:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.locator_params(axis="x", nbins=5)
    axis.set(xlabel=name, ylabel=title)
