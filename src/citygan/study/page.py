"""A study's pictures and its page: one HTML file that opens without a network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from citygan.baseline import fit_painter
from citygan.data.store import PreparedSet
from citygan.errors import printable
from citygan.infer import load
from citygan.pictures import encode_png
from citygan.pictures.painted import in_colours
from citygan.sheets import sheet
from citygan.study.realfake import PRACTICE, TRIALS
from citygan.study.tables import about, heads, lines, made, reasons
from citygan.training import rows_to_show

UInt8 = npt.NDArray[np.uint8]
WIDEST = 256  # pixels of a picture on the sheet

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 1500px; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
td:first-child, th:first-child { text-align: left; } td { font-variant-numeric: tabular-nums; }
tr:last-child td { color: #666; } code { background: #f3f3f3; padding: 0 .25em; } img { max-width: none; }
.note { background: #fff6dd; padding: .5rem .8rem; }
"""


@dataclass(frozen=True)
class Shown:
    """A column of the sheet.

    Attributes:
        title: Above it.
        run: Whose translations; None: it stays white.
        edges_of: The pictures of the set that its edges are taken from; None: as by default.
    """

    title: str
    run: Path | None
    edges_of: str | None = None


def study_sheet(data: PreparedSet, split: str, runs: Sequence[Shown], device: str) -> bytes:
    """The same pictures for every row, as PNG: input, each row's translation, the painting to beat, the real ones.

    Args:
        split: Of the set, to take pictures from.
        runs: Of the rows, of which one at least is there.
    """
    part = data.splits[split]
    indices = rows_to_show(part)
    sides = load(next(shown.run for shown in runs if shown.run is not None), device=device)
    real = [_small(sides.real(part, i)) for i in indices]
    columns: list[tuple[str, list[UInt8]]] = [("input", [_small(sides.shown(sides.given(part, i))) for i in indices])]
    for shown in runs:
        columns.append((shown.title, [np.full_like(picture, 255) for picture in real] if shown.run is None else []))
        if shown.run is not None:
            translator = load(shown.run, device=device)
            translator.guides.edges_of = shown.edges_of or translator.guides.edges_of
            for i in indices:
                picture = translator.translate(translator.given(part, i), **translator.beside(part, i))
                columns[-1][1].append(_small(picture))
    painter = fit_painter(data, sides.output_kind)
    painted = [painter(None if part.label is None else np.asarray(part.label[i])) for i in indices]
    if all(picture is not None for picture in painted):
        columns.append((painter.name, [_small(picture) for picture in painted if picture is not None]))
    columns.append((sides.output_kind, real))
    rows = [[pictures[i] for _, pictures in columns] for i in range(len(indices))]
    return encode_png(sheet(rows, [title for title, _ in columns]))


def _small(picture: UInt8) -> UInt8:
    """At most `WIDEST` wide, three channels."""
    picture = in_colours(picture)
    height, width = picture.shape[:2]
    if width <= WIDEST:
        return picture
    size = (WIDEST, max(1, round(height * WIDEST / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def page(record: dict[str, Any], pictures: bytes | None) -> str:
    """The study as one HTML file."""
    parts = [f"<p>{_text(about(record))}<br>{_text(made(record))}<br><code>{_text(record['command'])}</code></p>"]
    notes, why = record["notes"], reasons(record)
    if record["quick"]:
        parts.append(f"<p class=note>{_text(notes[0])}</p>")
        notes = notes[1:]
    parts += [html_table(heads(record), lines(record)), html_list((*notes, *why))]
    if pictures is not None:
        form = f", {record['label']}" if record["quick"] else ""
        parts.append(f"<h2>The same pictures for every row{_text(form)}</h2>")
        parts.append(embedded(pictures, "translations by row"))
    commands = [f"<li><code>{_text(row['command'])}</code>" for row in record["rows"] if row["command"]]
    if commands:
        parts.append(f"<h2>Each row by itself</h2><ul>{''.join(commands)}</ul>")
    return document(record["title"], parts)


def document(title: str, parts: Sequence[str]) -> str:
    """One HTML file of a title, which is text, and parts that are HTML."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{_text(title)}</title><style>{_STYLE}</style><body><h1>{_text(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def html_table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table of texts."""
    rows = ["<tr>" + "".join(f"<th>{_text(cell)}" for cell in head) + "</tr>"]
    rows += ["<tr>" + "".join(f"<td>{_text(cell)}" for cell in cells) + "</tr>" for cells in lines]
    return f"<div class=scroll><table>{''.join(rows)}</table></div>"


def html_list(lines: Iterable[str]) -> str:
    """A list of texts."""
    return "<ul>" + "".join(f"<li>{_text(line)}" for line in lines) + "</ul>"


def embedded(png: bytes, what: str) -> str:
    """A PNG within a page."""
    data = base64.b64encode(png).decode("ascii")
    return f"<div class=scroll><img alt='{_text(what)}' src='data:image/png;base64,{data}'></div>"


def _text(value: object) -> str:
    return html.escape(printable(value))


def trials_page(payload: Mapping[str, Any]) -> str:
    """The page of `citygan.study.realfake.make` as one HTML file: script and pictures inside, no connection allowed."""
    template, script = (Path(__file__).with_name(f"realfake.{suffix}").read_text("utf-8") for suffix in ("html", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    width, height = payload["width"], payload["height"]
    values = {
        "HASH": f"sha256-{digest}",
        "WIDTH": payload["on_screen"],
        "RATIO": f"{width} / {height}",
        "COLUMNS": width,
        "ROWS": height,
        "PRACTICE": PRACTICE,
        "TRIALS": TRIALS,
        "SCRIPT": script,
        "DATA": json.dumps(payload).replace("<", "\\u003c"),
    }
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template
