"""Figures for people and in files: the table, the CSV file of each picture, and what is kept in a run's folder."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.data.store import TARGET
from citygan.errors import DamagedError, UsageError, counted, printable
from citygan.files import clean_temporaries, new_file, read_json, write_json
from citygan.metrics import Metric
from citygan.metrics.scoring import Scored


class FigureFile:
    """One line a picture: its name, each metric's figure, the mean-colour painting's, the real one's if it has one.

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
        rows = [metric for metric in metrics if metric.scope == "picture"]
        self.names = [metric.name for metric in rows]
        self.of_real = {metric.name for metric in rows if metric.of_real}
        if not self.names:
            raise UsageError(
                f"no figure for a single picture in {', '.join(metric.name for metric in metrics)}",
                where="--per-image",
                hint="Ask for another metric too, as --metric ssim",
            )
        if self.path.is_dir():
            raise UsageError("a folder, not a file", where=self.path, hint="--per-image names a CSV file")
        if os.path.lexists(self.path) and not force:
            raise UsageError("the file exists already", where=self.path, hint="--force overwrites it")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[Scored], None]]:
        """A function that writes one line; the file appears when the block ends well.

        Raises:
            MachineError: It cannot be written.
        """
        with new_file(self.path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["picture", *(column for name in self.names for column in self._columns(name))])

            def write(scored: Scored) -> None:
                row: list[Any] = [cell(scored.stem)]
                for name in self.names:
                    row += [_number(scored.fake.get(name)), _number(scored.painting.get(name))]
                    row += [_number(scored.real.get(name))] * (name in self.of_real)
                writer.writerow(row)

            yield write

    def _columns(self, name: str) -> list[str]:
        return [name, f"{name}_mean_colour", *([f"{name}_real"] if name in self.of_real else [])]


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula and no terminal for a command."""
    safe = printable(text)
    return f"'{safe}" if safe[:1] in ("=", "+", "-", "@") else safe


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))


# the table

_OF_ROWS = ("pixel_accuracy", "class_accuracy", "class_iou")


def table_of(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """An evaluation as rows of text, the header first: metric, generated, what stands beside it, n."""
    rows = [("metric", "generated", str(result["protocol"]["mean_colour"].get("name", "mean-colour painting")), "n")]
    for name, figure in result["metrics"].items():
        unit = f" [{figure['unit']}]" if figure["unit"] else ""
        what = f"{name}{unit}, {figure['better']} is better"
        beside = figure["mean_colour"]
        painted = _text(name, beside)
        if beside["mean"] is not None and beside["n"] != figure["n"]:  # the last column is of the generated pictures
            painted += f" (n {beside['n']})"
        rows.append((what, _text(name, figure), painted, str(figure["n"])))
    return rows


def _text(name: str, figure: dict[str, Any]) -> str:
    if figure["mean"] is None:
        return "infinite" if figure.get("infinite") else "-"
    digits = {
        "psnr": 2,
        "l1": 2,
        "diversity-l1": 2,
        "fid": 2,
        "fvd": 2,
        "warp-error": 2,
        "flicker": 2,
        "sharpness": 2,
    }.get(name, 4)
    spread = "" if figure["std"] is None else f" +- {figure['std']:.{digits}f}"
    return f"{figure['mean']:.{digits}f}{spread}"


def details_of(result: dict[str, Any]) -> list[str]:
    """Lines to be told below the table: whose edges, what was left out, and the parts of figures that have many."""
    edges_of = (result["protocol"].get("model") or {}).get("edges_of")
    lines = [] if edges_of is None else [f"edges: {edges_of}{', which they leak' * (edges_of == TARGET)}"]
    for name, figure in result["metrics"].items():
        if figure.get("infinite"):
            like = counted(figure["infinite"], "picture")
            lines.append(f"{name}: {like} equal to the real one (infinite), left out of the mean")
        if figure.get("subset_size"):
            lines.append(f"{name}: over subsets of {counted(figure['subset_size'], 'picture')}")
        if figure.get("real") and figure["real"]["mean"] is not None:
            lines.append(f"{name}: {_text(name, figure['real'])} of the real pictures")
        if figure.get("rows"):
            rows = {**figure["rows"], "mean-colour": figure["mean_colour"]}
            for title in ("oracle", "generated", "mean-colour", "chance"):
                if rows.get(title) and rows[title].get("pixel_accuracy") is not None:
                    shown = [f"{part} {_four(rows[title][part])}" for part in _OF_ROWS]
                    lines.append(f"{name}, {title}: {', '.join(shown)}")
        elif figure.get("classes"):
            parts = ("pixel_accuracy", "class_accuracy", "fw_iou", "category_iou", "iiou")
            shown = [f"{part} {_four(figure[part])}" for part in parts]
            lines.append(f"{name}: {', '.join(shown)}")
            each = [f"{printable(item)} {_four(of['iou'])}" for item, of in figure["classes"].items()]
            lines.append(f"{name} of each class: {', '.join(each)}")
    return lines


def _four(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


# in a run's folder


@dataclass(frozen=True)
class Kept:
    """Figures of a run that were kept: of which step, on what, and their table."""

    step: int
    title: str
    table: list[tuple[str, str, str, str]]


def keep_figures(run: Path, result: dict[str, Any]) -> Path:
    """Keeps an evaluation in a run's folder, with those of the same pictures by other metrics.

    A metric that could not be computed does not take the place of a figure that is there.

    Returns:
        ``figures/STEP-SPLIT-HASH.json``: the hash is of all that the pictures depend on.

    Raises:
        MachineError: It cannot be written.
    """
    protocol = result["protocol"]
    model = {key: value for key, value in protocol["model"].items() if key != "checkpoint"}
    parts = [result["split"], protocol["data"]["checksum"], model]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()
    path = run / "figures" / f"{model['step']:08d}-{result['split']}-{digest[:8]}.json"
    with contextlib.suppress(DamagedError):
        before = read_json(path)
        if isinstance(before.get("metrics"), dict) and isinstance(before.get("protocol"), dict):
            failed = {name for name, figure in result["metrics"].items() if "exit_code" in figure}
            stay = failed & before["metrics"].keys()
            metrics = {**before["metrics"], **_without(result["metrics"], stay)}
            of_metrics = {**before["protocol"].get("metrics", {}), **_without(protocol["metrics"], stay)}
            result = {**result, "metrics": metrics, "protocol": {**protocol, "metrics": of_metrics}}
    clean_temporaries(path.parent)
    write_json(path, result)
    return path


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def kept_figures(run: Path) -> list[Kept]:
    """The evaluations kept in a run's folder, the newest step first; files that are something else are passed over."""
    found = []
    for path in sorted((run / "figures").glob("*.json")):
        with contextlib.suppress(DamagedError, KeyError, TypeError, ValueError, AttributeError):
            result = read_json(path)
            model, data = result["protocol"]["model"], result["protocol"]["data"]
            of = f"split {result['split']} of {data['name']}, {counted(result['images'], 'picture')}"
            how = f"{model['inference']}, seed {model['dropout_seed']}" if model["dropout"] else model["inference"]
            how += f"; edges: {model['edges_of']}" if "edges_of" in model else ""
            found.append(Kept(int(model["step"]), f"Step {model['step']}: {of} ({how})", table_of(result)))
    return sorted(found, key=lambda kept: -kept.step)
