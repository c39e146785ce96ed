"""Plots of what a metric of the set has gathered: histograms as curves, and the same numbers as a table."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from citygan.metrics.figures import Gathered, TwoHistograms
from citygan.metrics.histograms import GRADIENT_EDGES, Counts

REAL = "real"
CHANNELS = {"L": np.arange(256) / 2.55, "a": np.arange(256) - 128.0, "b": np.arange(256) - 128.0}


def colour_plots(gathered: Mapping[str, Gathered]) -> dict[str, bytes]:
    """`colour.svg`, as pix2pix's figure 7, and its numbers, `colour.csv`.

    Args:
        gathered: What was gathered of each set, by what it is called.
    """
    sets = histograms_of(gathered)
    rows = [(name, f"{value:.6g}") for name, values in CHANNELS.items() for value in values]
    columns = {name: counts.reshape(-1) for name, counts in sets.items()}
    return {"colour.svg": plot_colours(sets), "colour.csv": _table(("channel", "value"), rows, columns)}


def gradient_plots(gathered: Mapping[str, Gathered]) -> dict[str, bytes]:
    """`gradient.svg`, the share of pixels by the gradient's magnitude, and its numbers, `gradient.csv`."""
    sets = histograms_of(gathered)
    rows = [(f"{low:g}", f"{high:g}") for low, high in itertools.pairwise(GRADIENT_EDGES)]
    return {"gradient.svg": plot_gradients(sets), "gradient.csv": _table(("from", "to"), rows, sets)}


def plot_colours(sets: Mapping[str, Counts]) -> bytes:
    """The distributions of L, a and b on a logarithmic axis, an SVG file (pix2pix, figure 7).

    Args:
        sets: int64 [3, 256] counts (`histograms.colour_counts`) by name; `real` is dotted.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2))
    for place, (name, values) in enumerate(CHANNELS.items()):
        axis = figure.add_subplot(1, 3, place + 1)
        there = np.zeros(256, bool)
        for label, counts in sets.items():
            share = counts[place] / max(1, counts[place].sum())
            there |= share > 0
            with np.errstate(divide="ignore"):
                curve = np.where(share > 0, np.log10(share), np.nan)
            style: dict[str, Any] = {"linestyle": ":", "color": "black"} if label == REAL else {}
            axis.plot(values, curve, linewidth=1.2, marker=".", markersize=2, label=label, **style)
        shown = np.flatnonzero(there)
        if len(shown):
            axis.set_xlim(values[shown[0]] - 2, values[shown[-1]] + 2)
        axis.set_xlabel(name)
        axis.set_ylabel(f"log10 P({name})")
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    return _svg(figure)


def plot_gradients(sets: Mapping[str, Counts]) -> bytes:
    """The share of pixels in each bin of the gradient's magnitude, an SVG file.

    Args:
        sets: int64 [17] counts (`histograms.gradient_counts`) by name; `real` is dotted.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6))
    axis = figure.add_subplot()
    for label, counts in sets.items():
        style: dict[str, Any] = {"linestyle": ":", "color": "black"} if label == REAL else {}
        axis.stairs(counts / max(1, counts.sum()), range(len(counts) + 1), label=label, linewidth=1.4, **style)
    axis.set_xticks(range(len(GRADIENT_EDGES)), [f"{edge:g}" for edge in GRADIENT_EDGES], fontsize=7)
    axis.set_xlabel("gradient, grey levels a pixel")
    axis.set_ylabel("share of the pixels")
    axis.set_yscale("log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return _svg(figure)


def histograms_of(gathered: Mapping[str, Gathered]) -> dict[str, Counts]:
    """The histograms of the sets by name, `real` last."""
    sets: dict[str, Counts] = {}
    real: Counts | None = None
    for name, each in gathered.items():
        if isinstance(each, TwoHistograms) and each.n:
            sets[name], real = each.counts
    return sets if real is None else {**sets, REAL: real}


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]], columns: Mapping[str, Counts]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *columns])
    for place, row in enumerate(rows):
        writer.writerow([*row, *(int(counts[place]) for counts in columns.values())])
    return text.getvalue().encode("utf-8")


def _svg(figure: object) -> bytes:
    """The same bytes for the same figure."""
    import matplotlib
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    figure.tight_layout()
    data = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "citygan"}):
        figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()
