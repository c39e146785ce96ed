"""report.html of a run: curves, samples, figures, settings in one file that opens without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from citygan.errors import DamagedError, counted, printable
from citygan.figurefile import kept_figures
from citygan.files import write_text
from citygan.runs import SEGMENTER, makes_labels, read_settings
from citygan.train.checkpoint import best_step, path_of, read_state, steps
from citygan.train.logs import read_lines
from citygan.yamlfile import as_written, flat, read_yaml

SHEETS_SHOWN = 4
_OF_PHOTOS = (("SSIM", "ssim", ".4f"), ("PSNR [dB]", "psnr", ".2f"))
_OF_LABELS = (
    ("mIoU", "miou", ".4f"),
    ("pixel accuracy", "pixel_accuracy", ".4f"),
    ("class accuracy", "class_accuracy", ".4f"),
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } code { background: #f3f3f3; padding: 0 .25em; }
img { max-width: 100%; } .note { background: #fff6dd; padding: .5rem .8rem; }
"""


def write_report(run: Path) -> Path:
    """Writes the report of a run as it stands; returns its path.

    Raises:
        MachineError: It cannot be written.
    """
    settings = read_settings(run)
    lines = read_lines(run / "metrics.jsonl")
    parts = [f"<h1>{_text(run.name)}</h1>"]
    done = lines[-1]["step"] if lines else 0
    parts.append(f"<p>Model <code>{_text(settings.model)}</code>, step {done}.</p>")
    if settings.quick:
        parts.append(
            "<p class=note>This is the model's quick form: narrow, short, with a schedule of its own. It shows that "
            "everything runs; its figures are not the paper's.</p>"
        )
    parts.append(_validation(run))
    parts.append(_figures(run))
    parts.append(_phase_note(_phases(lines)))
    curves = _curves(lines)
    if curves:
        parts.append(f"<h2>Curves</h2>{curves}")
    parts.append(_samples(run))
    parts.append(_table("Settings", flat(settings.to_dict())))
    if (run / "about.yaml").is_file():
        parts.append(_table("Made with", flat(read_yaml(run / "about.yaml")[0])))
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{_text(run.name)}</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    write_text(run / "report.html", page)
    return run / "report.html"


def _validation(run: Path) -> str:
    """The figures of the checkpoints there are."""
    folder = run / "checkpoints"
    best = best_step(folder)
    rows, painting, on, labels, segmenter = [], "", "", False, False
    for step in steps(folder):
        try:
            state = read_state(path_of(folder, step))
        except DamagedError:
            continue
        figures, about = state.get("figures") or {}, state.get("validation") or {}
        labels, segmenter = makes_labels(state), state.get("kind") == SEGMENTER
        columns = _OF_LABELS if labels else _OF_PHOTOS
        marks = " (best)" if step == best else ""
        rows.append(f"<tr><td>step {step}{marks}{_cells(figures, '', columns)}</tr>")
        if about:
            on = f" on {counted(about['pictures'], 'picture')} of the split {about['split']}"
            on += f", edges of the {about['edges_of']}" if about.get("edges_of") else ""
        if figures.get(f"mean_colour_{columns[0][1]}") is not None:
            beside = about.get("beside") or "mean-colour painting"
            painting = f"<tr><td>{_text(beside)}{_cells(figures, 'mean_colour_', columns)}</tr>"
    if not rows:
        return ""
    columns = _OF_LABELS if labels else _OF_PHOTOS
    head = f"<tr><th>checkpoint{''.join(f'<th>{title}' for title, _, _ in columns)}</tr>"
    note = (
        "SSIM and PSNR reward blur: a sharp, lively picture can score below a flat one. "
        "<code>citygan evaluate --metric colour --metric gradient</code> tells how alive the colours and edges are."
    )
    if labels:
        note = "At the prepared size; each pixel is of the class whose colour is nearest."
    if segmenter:
        note = "At the prepared size; <code>citygan evaluate --metric miou</code> scores at the labels' own."
    return f"<h2>Validation{_text(on)}</h2><table>{head}{''.join(rows)}{painting}</table><p>{note}</p>"


def _figures(run: Path) -> str:
    """What `citygan evaluate` found."""
    parts = []
    for kept in kept_figures(run):
        head, *rows = kept.table
        lines = ["<tr>" + "".join(f"<th>{_text(text)}" for text in head) + "</tr>"]
        for first, *others in rows:
            numbers = "".join(f"<td class=n>{_text(text)}" for text in others)
            lines.append(f"<tr><td>{_text(first)}{numbers}</tr>")
        parts.append(f"<h3>{_text(kept.title)}</h3><table>{''.join(lines)}</table>")
    return f"<h2>Evaluations</h2>{''.join(parts)}" if parts else ""


def _cells(figures: dict[str, Any], prefix: str, columns: Sequence[tuple[str, str, str]]) -> str:
    values = [(figures.get(f"{prefix}{name}"), form) for _, name, form in columns]
    return "".join(f"<td class=n>{'–' if value is None else format(value, form)}" for value, form in values)


def _curves(lines: list[dict[str, Any]]) -> str:
    """Losses and validation figures over the steps, as one SVG."""
    names = ("g_gan", "g_l1", "g_mse", "g_fm", "g_vgg", "dned", "g_flow", "g_warp", "d_real", "d_fake", "val_ssim",
             "val_psnr", "cross_entropy", "val_miou", "val_pixel_accuracy")  # fmt: skip
    there = [name for name in names if any(line.get(name) is not None for line in lines)]
    if not there:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    begun = _phases(lines)
    columns = min(3, len(there))
    rows = -(-len(there) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.5 * columns, 2.4 * rows), squeeze=False)
    for axis, name in zip(axes.flat, there, strict=False):
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        marker = "o" if name.startswith("val_") or len(points) == 1 else None
        axis.plot(*zip(*points, strict=True), marker=marker, markersize=3, linewidth=1)
        for step, _ in begun[1:]:
            axis.axvline(step, color="0.6", linewidth=0.8, linestyle="--")
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(there) :]:
        axis.axis("off")
    figure.tight_layout()
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _phases(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """The phases of a training that has any, each with the first logged step in it."""
    begun: list[tuple[int, str]] = []
    for line in lines:
        if isinstance(line.get("phase"), str) and (not begun or begun[-1][1] != line["phase"]):
            begun.append((line["step"], line["phase"]))
    return begun


def _phase_note(begun: list[tuple[int, str]]) -> str:
    if not begun:
        return ""
    first = _text(begun[0][1])
    if len(begun) == 1:
        return f"<p>Phase of the training: {first}.</p>"
    told = ", ".join([first, *(f"then {_text(phase)} (logged from step {step})" for step, phase in begun[1:])])
    return f"<p>Phases of the training, marked by dashed lines in the curves: {told}.</p>"


def _samples(run: Path) -> str:
    files = sorted(file for file in (run / "samples").glob("*.png") if file.stem.isdecimal())
    if not files:
        return ""
    chosen = sorted({files[round(i * (len(files) - 1) / max(1, SHEETS_SHOWN - 1))] for i in range(SHEETS_SHOWN)})
    shown = []
    for file in reversed(chosen):
        data = base64.b64encode(file.read_bytes()).decode("ascii")
        step = int(file.stem)
        shown.append(f"<h3>Step {step}</h3><img alt='samples at step {step}' src='data:image/png;base64,{data}'>")
    return f"<h2>Samples</h2>{''.join(shown)}"


def _table(title: str, rows: dict[str, Any]) -> str:
    body = "".join(
        f"<tr><td><code>{_text(key)}</code><td>{_text(as_written(value))}</tr>" for key, value in rows.items()
    )
    return f"<h2>{title}</h2><table>{body}</table>"


def _text(value: object) -> str:
    return html.escape(printable(value))
