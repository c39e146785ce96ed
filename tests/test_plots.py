"""evaluate --plots: distributions as curves and as numbers, sheets of the worst and the best pictures."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from citygan.metrics import METRICS, lookup
from citygan.metrics.figures import TwoHistograms
from citygan.metrics.histograms import GRADIENT_EDGES, colour_counts, colour_intersection, gradient_counts
from citygan.metrics.plots import colour_plots, gradient_plots, plot_colours
from citygan.metrics.scoring import Scored, Trio
from citygan.pictures import read_photo
from citygan.plotfiles import SHOWN, Extremes
from citygan.sheets import GAP, TITLE, sheet
from tests.street import Street

UInt8 = npt.NDArray[np.uint8]


def picture(seed: int, size: tuple[int, int] = (24, 32)) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def test_curves_and_numbers_of_the_colours() -> None:
    gathered = TwoHistograms(colour_intersection)
    for seed in range(3):
        gathered.add((colour_counts(picture(seed)), colour_counts(picture(seed + 9))))
    files = colour_plots({"generated": gathered, "mean-colour painting": TwoHistograms(colour_intersection)})
    assert set(files) == {"colour.svg", "colour.csv"} and files == colour_plots({"generated": gathered})
    text = files["colour.svg"].decode()
    assert ElementTree.fromstring(text).tag.endswith("svg") and "generated" in text and "real" in text
    rows = list(csv.DictReader(files["colour.csv"].decode().splitlines()))
    assert len(rows) == 3 * 256 and list(rows[0]) == ["channel", "value", "generated", "real"]
    counts = np.array([[int(row["generated"]), int(row["real"])] for row in rows]).reshape(3, 256, 2)
    assert np.array_equal(counts[..., 0], gathered.counts[0]) and np.array_equal(counts[..., 1], gathered.counts[1])
    # the numbers give the figure back
    assert colour_intersection(counts[..., 0], counts[..., 1])["mean"] == gathered.figure()["mean"]
    values = {(row["channel"], row["value"]) for row in rows}
    assert {("L", "0"), ("L", "100"), ("a", "-128"), ("b", "127")} <= values


def test_curves_and_numbers_of_the_gradients() -> None:
    gathered = METRICS["gradient"].gather()
    gathered.add((gradient_counts(picture(0)), gradient_counts(picture(1))))
    files = gradient_plots({"generated": gathered})
    rows = list(csv.DictReader(files["gradient.csv"].decode().splitlines()))
    assert len(rows) == len(GRADIENT_EDGES) - 1 and rows[3]["from"] == "1.5" and rows[3]["to"] == "2"
    assert sum(int(row["real"]) for row in rows) == 22 * 30
    assert ElementTree.fromstring(files["gradient.svg"]).tag.endswith("svg")


def test_a_plot_of_one_colour_alone() -> None:
    grey = colour_counts(np.full((4, 4, 3), 128, np.uint8))
    assert b"<svg" in plot_colours({"grey": grey, "real": grey})


def scored(stem: str, value: float | None) -> Scored:
    trio = Trio(stem, picture(1), picture(2), picture(3))
    fake: dict[str, Any] = {} if value is None else {"ssim": value, "l1": value, "psnr": value}
    return Scored(stem, (32, 24), fake, {}, {}, {}, (b"", b""), trio)


def test_the_worst_and_the_best_are_kept() -> None:
    values = [0.5, 0.1, 0.9, 0.3, math.inf, 0.2, 0.8, 0.4, 0.1, 0.6]
    for name, order in (("ssim", sorted(values)), ("l1", sorted(values, reverse=True))):
        extremes = Extremes(METRICS[name], 2)
        for number, value in enumerate(values):
            extremes.add(scored(f"{number}", value))
        extremes.add(scored("none", None))
        kept = [values[int(stem)] for stem in extremes.stems]
        assert kept == order[:2] + order[-2:] and extremes.seen == len(values)
    few = Extremes(METRICS["ssim"], 2)
    for number in (2, 0, 1):
        few.add(scored(str(number), float(number)))
    assert few.stems == ["0", "1", "2"]


def test_a_sheet_has_captions_and_takes_pictures_of_several_sizes() -> None:
    page = sheet([[picture(0), picture(1)], [picture(2, (8, 9))]], ["one", "two"], ["first", "é"])
    assert page.shape == (TITLE + 2 * (TITLE + 24 + GAP) - GAP, 2 * (32 + GAP) - GAP, 3)
    first = TITLE + TITLE
    assert np.array_equal(page[first : first + 24, :32], picture(0))
    second = first + 24 + GAP + TITLE
    assert np.array_equal(page[second : second + 8, :9], picture(2, (8, 9))) and (page[second, 9:] == 255).all()
    assert (page[TITLE : TITLE + TITLE, :60] != 255).any()
    plain = sheet([[picture(0)]])
    assert np.array_equal(plain, picture(0))


def test_a_long_title_stays_over_its_own_column() -> None:
    rows = [[np.full((64, 128, 3), 200, np.uint8)] * 2]
    long, none = sheet(rows, ["a title that is far too long for it", "b"]), sheet(rows, ["", "b"])
    assert np.array_equal(long[:TITLE, 128 + GAP :], none[:TITLE, 128 + GAP :])
    assert not np.array_equal(long[:TITLE, :128], none[:TITLE, :128])


def test_files_of_an_evaluation(street: Street) -> None:
    asked = [word for name in ("colour", "gradient", "ssim", "psnr") for word in ("--metric", name)]
    done = street.done("evaluate", *asked, "--plots", "plots")
    names = sorted(path.name for path in Path("plots").iterdir())
    assert names == ["colour.csv", "colour.svg", "gradient.csv", "gradient.svg", "psnr.png", "ssim.png"]
    assert "plots and pictures: plots" in done.err
    page = read_photo("plots/ssim.png")
    # two pictures: input, generated, painting, real
    assert page.shape == (TITLE + 2 * (TITLE + 32 + GAP) - GAP, 4 * (32 + GAP) - GAP, 3)
    header = Path("plots/colour.csv").read_text().splitlines()[0]
    assert header == "channel,value,generated,mean-colour painting,real"
    before = Path("plots/ssim.png").read_bytes()
    Path("plots/mine.txt").write_text("mine")
    done = street.run("evaluate", *asked, "--plots", "plots")
    assert done.code == 2 and "exists already" in done.error and "--force" in done.error and not done.out
    street.done("evaluate", "--metric", "ssim", "--plots", "plots", "--force")
    assert Path("plots/ssim.png").read_bytes() == before and Path("plots/mine.txt").read_text() == "mine"
    done = street.run("evaluate", "--metric", "miou", "--plots", "other")
    assert done.code == 2 and "nothing to plot" in done.error and not Path("other").exists()
    done = street.run("evaluate", "--plots", "plots/mine.txt")
    assert done.code == 2 and "not a folder" in done.error


def test_files_of_two_folders(street: Street) -> None:
    street.done("translate", "labels", "out")
    street.done("translate", "labels", "again", "--seed", "5")
    both = ("--fake", "out", "--real", "again", "--metric", "l1", "--metric", "colour")
    street.done("evaluate", *both, "--plots", "one")
    assert read_photo("one/l1.png").shape[1] == 2 * (32 + GAP) - GAP
    street.done("evaluate", *both, "--labels", "labels", "--data", "tiny", "--plots", "two")
    assert read_photo("two/l1.png").shape[1] == 4 * (32 + GAP) - GAP
    assert "mean-colour painting" in Path("two/colour.svg").read_text()


def test_a_metric_that_fails_has_no_files(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(street.path / "nothing"))
    done = street.run("evaluate", "--metric", "lpips", "--metric", "l1", "--plots", "plots")
    assert done.code == 5 and [path.name for path in Path("plots").iterdir()] == ["l1.png"]


def test_enough_are_shown() -> None:
    assert SHOWN == 4 and [row.name for row in lookup(None) if row.scope == "picture"] == ["ssim", "psnr", "l1"]
