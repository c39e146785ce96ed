"""Studies: every row of every study runs, tables say what was found, nothing is done twice."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from citygan.config import Settings, resolve
from citygan.data.store import PreparedSet
from citygan.errors import DataError, DivergedError, Interrupted, UsageError
from citygan.evaluation import evaluate_run
from citygan.metrics import METRICS
from citygan.presets import PRESETS
from citygan.study.divided import splits_of
from citygan.study.papers import paper_tables
from citygan.study.parts import PRINTED, REAL_OR_FAKE
from citygan.study.planning import Job, Options, digest_of, folder_of, plan, settings_of
from citygan.study.record import record_of
from citygan.study.rows import QUICK_JUDGE, STUDIES, study
from citygan.study.running import Outcome, Place, run_job
from citygan.study.sidebyside import run_side_by_side
from citygan.study.tables import csv_text, heads, lines, markdown, reasons, shown
from citygan.training import run_training
from citygan.yamlfile import read_yaml
from tests import trees
from tests.street import Result, Street, hashes
from tests.tiny import city_set, prepared_set

TINY = (
    *("--data", "tiny", "--quick", "--device", "cpu", "--set", "train.steps=2"),
    *("--set", "generator.width=4", "--set", "discriminator.width=4"),
)
TRAINING = "citygan.study.running.run_training"
OPTIONS = Options(data="tiny", quick=True)
each_study = pytest.mark.parametrize("name", STUDIES)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A folder with a tiny set in three splits, in which every study is run once."""
    path = tmp_path_factory.mktemp("desk")
    with contextlib.chdir(path), pytest.MonkeyPatch.context() as patch:
        patch.setattr("citygan.report._curves", lambda lines: "")  # most of a tiny run's time
        for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
            patch.delenv(name, raising=False)
        patch.setenv("TORCH_HOME", str(path / "no-weights"))
        short = dataclasses.replace(QUICK_JUDGE, overrides={"augment": {"crop": 16}, "train": {"steps": 2, "batch": 2}})
        patch.setattr("citygan.study.planning.QUICK_JUDGE", short)
        prepared_set(path / "data" / "tiny", test=2)
        prepared_set(path / "data" / "fifty", val=50)  # as many as trials of real or fake need
        city_set(path / "data" / "frames", train=((0, 1), (0, 1)), val=((0, 1),))
        yield Street(path)


RAN: dict[str, Result] = {}


def refused(desk: Street, *words: str, by: tuple[str, ...]) -> None:
    """A command that is refused in one line that holds these words, without anything made."""
    before = sorted(desk.path.iterdir())
    result = desk.run(*by)
    assert result.code == 2 and all(word in result.error for word in words), result.err
    assert sorted(desk.path.iterdir()) == before


def words_of(name: str) -> list[str]:
    """Of a tiny form of a study, on a set that has what its rows need."""
    of_set = "fifty" if STUDIES[name].has_trials else "frames" if name == "sflow" else "tiny"
    return [of_set if word == "tiny" else word for word in TINY]


def ran(desk: Street, name: str) -> tuple[Result, dict[str, Any]]:
    """The study, run once in the whole session."""
    if name not in RAN:
        RAN[name] = desk.run("study", name, *words_of(name))
    return RAN[name], json.loads((desk.path / "studies" / name / "study.json").read_text("utf-8"))


def own_segmenter(desk: Street) -> Path:
    """The one that all studies of the set `tiny` share: those of another set have their own."""
    found = (desk.path / "studies/runs").glob("segmenter-*")
    (run,) = (path for path in found if Path(read_yaml(path / "config.yaml")[0]["data"]).name == "tiny")
    return run


# every row


@each_study
def test_every_row_runs(desk: Street, name: str) -> None:
    result, record = ran(desk, name)
    assert result.code == 0, result.err
    for row, told in zip(STUDIES[name].rows, record["rows"], strict=True):
        assert told["title"].partition(", edges: ")[0] == row.title.partition(", edges: ")[0]
        if row.reference:
            assert told["status"] == "reference"
        elif row.printed is not None:
            assert told["status"] == "not run" and told["reason"] == row.printed
        elif row.from_weights:
            assert told["short"] == "not run: weights missing" and "--init" in told["reason"]
        else:
            assert told["status"] == "done", told["reason"]
            assert (desk.path / "studies" / told["runs"][0] / "config.yaml").is_file()
        for column in record["columns"]:
            cell = told["figures"][column["key"]]
            if told["status"] == "done" and column["metric"] in ("ssim", "psnr", "colour", "miou"):
                assert cell["mean"] is not None and cell["n"] == 1 and cell["std"] is None
            elif cell["mean"] is None:
                assert cell["reason"] and cell["short"]
    assert not (desk.path / "runs").exists(), "a study's runs are not those of citygan train"


@each_study
def test_the_mean_colour_painting_stands_in_every_table(desk: Street, name: str) -> None:
    result, record = ran(desk, name)
    known = [c for c in record["columns"] if c["metric"] in ("ssim", "psnr", "colour", "miou")]
    assert known and all(record["mean_colour"][c["key"]]["mean"] is not None for c in known)
    assert f"| {STUDIES[name].painting} |" in result.out


@each_study
def test_what_is_missing_is_told_never_replaced(desk: Street, name: str) -> None:
    record = ran(desk, name)[1]
    for row in record["rows"]:
        for column in record["columns"]:
            cell = row["figures"][column["key"]]
            if column["metric"] == "lpips" and row["status"] == "done":
                assert cell["short"] == "not run: weights missing" and "alexnet" in cell["reason"]


@each_study
def test_quick_is_labelled_everywhere(desk: Street, name: str) -> None:
    result, record = ran(desk, name)
    folder = desk.path / "studies" / name
    assert record["quick"] is True and record["label"] == "quick form" and "quick form" in record["title"]
    page = (folder / "study.html").read_text("utf-8")
    assert "<title>" in page and "quick form" in page.partition("</title>")[0]
    done = [row["title"] for row in record["rows"] if row["status"] == "done"]
    for title in done:
        assert f"| {title} (quick form) |" in result.out
    assert all(line.split(",")[1] == "quick form" for line in (folder / "study.csv").read_text().splitlines()[1:])


# tables


@each_study
def test_markdown_csv_json_and_page_agree(desk: Street, name: str) -> None:
    result, record = ran(desk, name)
    folder = desk.path / "studies" / name
    text = (folder / "study.md").read_text("utf-8")
    assert text == result.out == markdown(record)
    head, _, *body = [re.split(r" \| ", line[2:-2]) for line in text.splitlines() if line.startswith("|")]
    assert head == heads(record)
    others = 2 if STUDIES[name].judged else 1  # chance and painting
    assert len(body) == len(record["rows"]) + others
    for cells, row in zip(body, record["rows"], strict=False):
        for title, cell in zip(head[1:], cells[1:], strict=True):
            column = next(
                c for c in record["columns"] if title.startswith((f"{c['title']}, ours", f"{c['title']}, paper"))
            )
            if title.endswith(", ours"):
                assert cell == shown(row["figures"][column["key"]], column["metric"])
            elif row["paper"][column["key"]] is not None:
                assert float(cell.rstrip("?")) == row["paper"][column["key"]]
    rows = list(csv.DictReader(io.StringIO((folder / "study.csv").read_text("utf-8"))))
    assert len(rows) == (len(record["rows"]) + others) * len(record["columns"])
    by_row = {row["title"]: row for row in record["rows"]}
    for line in rows:
        if line["row"] in by_row and line["mean"]:
            assert float(line["mean"]) == by_row[line["row"]]["figures"][line["column"]]["mean"]
    page = (folder / "study.html").read_text("utf-8")
    assert not re.search(r"(src|href)='?http", page)
    assert "data:image/png;base64," in page and (folder / "sheet.png").is_file()


def test_a_reason_is_told_once_for_all_its_columns(desk: Street) -> None:
    result, record = ran(desk, "alpha")
    assert len([text for text in reasons(record) if "alexnet" in text]) == 1
    assert "LPIPS train, LPIPS validation, LPIPS test: not run: weights missing: no weights 'alexnet'" in result.out
    assert not any("LPIPS" in title for title in heads(record)), "a column without any figure stands below the table"
    assert str(Path.home()) not in result.out
    assert "| 0.369 |" in result.out and "| 0.301 |" in result.out


def test_no_file_that_is_passed_on_tells_a_path_of_this_machine(desk: Street) -> None:
    """A set that lies elsewhere is named as it was on the command line, and gone on with by that."""
    prepared_set(desk.path / "elsewhere" / "far", test=2)
    words = ("study", "schedule", *("elsewhere/far" if word == "tiny" else word for word in TINY), "--out", "passed-on")
    desk.done(*words)
    desk.done("study", "schedule", "--resume", "--out", "passed-on")
    for name in ("study.json", "study.md", "study.csv", "study.html"):
        text = (desk.path / "passed-on" / name).read_text("utf-8")
        assert str(desk.path) not in text and ("--data elsewhere/far" in text) == (name != "study.csv"), name


def test_a_row_can_be_repeated_by_the_command_beside_it(desk: Street) -> None:
    record = ran(desk, "pix2pix-losses")[1]
    for row in STUDIES["pix2pix-losses"].rows[:2]:
        told = next(other for other in record["rows"] if other["name"] == row.name)
        words = told["command"].split()[1:]
        shown_settings = desk.done(*words, "--dry-run", "--json")
        settings = json.loads(shown_settings.out)["settings"]
        options = Options("tiny", True, assigned=tuple(TINY[i + 1] for i, w in enumerate(TINY) if w == "--set"))
        assert settings == settings_of(STUDIES["pix2pix-losses"], row, options).to_dict()


def test_the_spread_is_that_of_the_sample_over_seeds() -> None:
    chosen = STUDIES["colour"]
    outcomes = {
        "l1": [
            {"run": f"runs/l1-{seed}", "status": "done", "random": [], "results": _results("colour", L=value)}
            for seed, value in enumerate((0.5, 0.7))
        ]
    }
    record = record_of(chosen, Options("tiny", False, seeds=2), _data(), outcomes)
    cell_key = "colour.L.val"
    cell = record["rows"][0]["figures"][cell_key]
    assert cell["mean"] == pytest.approx(0.6) and cell["std"] == pytest.approx(0.02**0.5)
    assert cell["values"] == [0.5, 0.7] and cell["n"] == 2
    assert next(lines(record))[2] == "0.600 ± 0.141"
    assert record["rows"][1]["short"] == "not run yet"
    printed = {
        line["row"]: line for line in csv.DictReader(io.StringIO(csv_text(record))) if line["column"] == cell_key
    }
    assert float(printed["L1"]["std"]) == cell["std"] and printed["L1"]["values"] == "0.5 0.7"
    assert printed["L1"]["paper"] == "0.81" and printed["L1"]["n"] == "2"
    assert "the study was stopped before" in printed["cGAN"]["reason"] and not printed["cGAN"]["mean"]


@pytest.mark.parametrize(
    ("metric", "text"), [("ssim", "20.123 ± 1.500"), ("psnr", "20.12 ± 1.50"), ("real-or-fake", "20.1 ± 1.5")]
)
def test_figures_have_the_digits_of_their_metric(metric: str, text: str) -> None:
    cell: dict[str, Any] = {"mean": 20.1234, "std": 1.5}
    assert shown(cell, metric) == text
    assert shown(cell | {"std": None}, metric) == text.partition(" ")[0]


def test_the_studys_own_segmenter_judges_rows_photos_and_painting(desk: Street) -> None:
    result, record = ran(desk, "pix2pix-losses")
    run = own_segmenter(desk)
    assert record["segmenter"] is None and record["judge"]["run"] == run.name
    scored = evaluate_run(desk.path / "studies" / record["rows"][0]["runs"][0], "val", ["fcn-score"], segmenter=run)[
        "metrics"
    ]["fcn-score"]
    keys = {c["title"]: c["key"] for c in record["columns"] if c["metric"] == "fcn-score"}
    (photos,) = (row for row in record["rows"] if row["status"] == "reference")
    for title, part in (
        ("per-pixel acc.", "pixel_accuracy"), ("per-class acc.", "class_accuracy"), ("class IoU", "class_iou"),
    ):  # fmt: skip
        key = keys[title]
        assert record["rows"][0]["figures"][key]["mean"] == scored["rows"]["generated"][part] is not None
        assert photos["figures"][key]["mean"] == scored["rows"]["oracle"][part] is not None
        assert record["mean_colour"][key]["mean"] == scored["mean_colour"][part] is not None
        runs = [desk.path / "studies" / row["runs"][0] for row in record["rows"] if row["runs"]]
        of_rows = [
            json.loads((path / "study-val.json").read_text("utf-8"))["result"]["metrics"]["fcn-score"]["rows"]["chance"]
            for path in runs
        ]
        assert record["chance"][key]["n"] == len(of_rows) == 5  # one a trained row
        assert record["chance"][key]["mean"] == pytest.approx(np.mean([row[part] for row in of_rows]))
        assert record["chance"][key]["std"] is None, "rows are not seeds"
    assert "| chance: labels of other pictures, mean of all rows |" in result.out
    assert "- FCN-score: pictures of 32x32 as they are through unet-seg, against labels of 32x32, " in result.out


def test_a_segmenter_may_be_named(desk: Street) -> None:
    ran(desk, "pix2pix-losses")
    run = own_segmenter(desk)
    named = ("--segmenter", str(run), "--out", "named")
    record = json.loads(desk.done("study", "pix2pix-receptive-fields", *TINY, *named, "--json").out)
    assert record["segmenter"] == str(run) and not list((desk.path / "named/runs").glob("segmenter-*"))
    assert all(row["figures"]["fcn-score.pixel_accuracy.val"]["mean"] is not None for row in record["rows"])


def test_without_its_weights_the_full_segmenter_judges_nothing(desk: Street) -> None:
    rest = ("--data", "tiny", "--full", *TINY[3:], "--set", "train.sample_every_steps=9")
    record = json.loads(desk.done("study", "pix2pix-losses", *rest, "--out", "unjudged", "--json").out)
    cell = record["rows"][0]["figures"]["fcn-score.pixel_accuracy.val"]
    assert cell["short"] == "not run: weights missing" and "vgg16" in cell["reason"]
    assert record["rows"][0]["status"] == "done" and record["judge"] is None


def _results(metric: str, **parts: float) -> dict[str, Any]:
    protocol: dict[str, Any] = {"size": None, "std": "", "metrics": {}, "mean_colour": {}, "versions": {}, "model": {}}
    figure = {"mean": 0.1, **parts, "mean_colour": {"mean": 0.05}}
    return {"val": {"metrics": {metric: figure}, "protocol": protocol}}


def _data() -> dict[str, Any]:
    return {"name": "tiny", "size": "32x32", "splits": {"val": 2}, "stands_for": {"val": "val"}, "path": "tiny"}


# nothing twice


def test_rows_that_are_there_are_not_run_again(desk: Street) -> None:
    ran(desk, "alpha")
    before = hashes(desk.path / "studies")
    again = desk.done("study", "alpha", *TINY)
    assert again.out == RAN["alpha"].out and again.err.count("there already") == 3
    assert hashes(desk.path / "studies") == before
    assert desk.done("study", "alpha", "--resume").out == again.out


def test_other_data_or_settings_do_not_overwrite_a_table(desk: Street) -> None:
    ran(desk, "alpha")
    refused(desk, "settings", "--out", by=("study", "alpha", *TINY, "--set", "optimizer.rate=0.001"))
    refused(desk, "--set", by=("study", "alpha", "--resume", "--set", "optimizer.rate=0.001"))
    refused(desk, "pix2pix-losses", by=("study", "pix2pix-losses", "--resume", "--out", "nowhere"))


def test_an_interrupted_row_goes_on(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []

    def stopped(settings: Any, *arguments: Any, **more: Any) -> None:
        """Stops the second run after its first step."""
        calls.append(more.get("resume", False))
        if len(calls) == 2:
            short = dataclasses.replace(settings, train=dataclasses.replace(settings.train, steps=1))
            run_training(short, *arguments, **more)
            raise Interrupted("stopped at step 1", signal_number=2)
        run_training(settings, *arguments, **more)

    monkeypatch.setattr(TRAINING, stopped)
    result = desk.run("study", "alpha", *TINY, "--out", "stopped")
    assert result.code == 130 and "go on with: citygan study alpha --resume --out stopped" in result.err
    assert "not run yet" in (desk.path / "stopped" / "study.md").read_text("utf-8")
    monkeypatch.setattr(TRAINING, run_training)
    done = desk.done("study", "alpha", "--resume", "--out", "stopped")
    assert "at step 1" in done.err and done.err.count("there already") == 1
    whole, gone_on = ran(desk, "alpha")[1], json.loads((desk.path / "stopped" / "study.json").read_text("utf-8"))
    for row in (*gone_on["rows"], *whole["rows"]):
        assert all(seconds > 0 for seconds in row.pop("seconds"))
        del row["runs"]  # those of the whole study may go by a name that another study gave them
    assert gone_on["rows"] == whole["rows"], "as if it had not been stopped"


def test_a_table_keeps_what_there_is_while_more_is_made(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """More seeds, stopped in the first run: all rows keep the figures that they had, and the page its pictures."""
    words = ("study", "alpha", *TINY, "--out", "kept")
    desk.done(*words)
    folder = desk.path / "kept"
    before = json.loads((folder / "study.json").read_text("utf-8"))
    table = (folder / "study.md").read_text("utf-8")
    seen: list[str] = []

    def stopped(*arguments: Any, **more: Any) -> None:
        seen.append((folder / "study.md").read_text("utf-8"))
        raise Interrupted("stopped", signal_number=2)

    monkeypatch.setattr(TRAINING, stopped)
    assert desk.run(*words, "--seeds", "2").code == 130
    after = json.loads((folder / "study.json").read_text("utf-8"))
    assert after["seeds"] == 2 and len(after["rows"]) == 3
    for then, now in zip(before["rows"], after["rows"], strict=True):
        assert now["status"] == "done" and now["figures"] == then["figures"] and now["runs"] == then["runs"]
    assert "not run yet" not in seen[0] and "base64" in (folder / "study.html").read_text("utf-8")
    fewer = desk.done(*words)
    assert "--seeds 2 makes it again" in fewer.err
    assert (folder / "study.md").read_text("utf-8") == table


def test_two_studies_do_not_make_one_run_at_once(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the row that they share, it is waited for; what that made is taken as it is."""
    data = PreparedSet.open(desk.path / "data" / "tiny")
    options = Options("tiny", True, assigned=tuple(TINY[i + 1] for i, word in enumerate(TINY) if word == "--set"))
    [mine] = [job for job in plan(STUDIES["alpha"], options, data.checksum) if job.row.name == "alpha-100"]
    [theirs] = [job for job in plan(STUDIES["cityscapes-ssim"], options, data.checksum) if job.row.name == "baseline"]
    place, metrics = Place(desk.path / "both", data.path, "cpu"), {"val": ["ssim"]}
    began, waited, outcomes = threading.Event(), threading.Event(), []

    def slow(*arguments: Any, **more: Any) -> None:
        began.set()
        assert waited.wait(60)
        run_training(*arguments, **more)

    monkeypatch.setattr(TRAINING, slow)
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if "waiting" in text:
            waited.set()

    monkeypatch.setattr("citygan.study.running.say", say)
    other = threading.Thread(target=lambda: outcomes.append(run_job(theirs, metrics, options, place)))
    other.start()
    assert began.wait(60)
    outcome = run_job(mine, metrics, options, place)
    other.join()
    assert mine.name != theirs.name and mine.digest == theirs.digest
    assert outcome["status"] == "done" and outcome == outcomes[0]
    assert f"alpha = 100: process {os.getpid()} is at this run: waiting for it" in told
    assert [path.name for path in place.runs.iterdir() if path.is_dir()] == [theirs.name]


def test_a_folder_that_a_killed_process_left_is_no_run(tmp_path: Path) -> None:
    [job, *_] = plan(STUDIES["alpha"], OPTIONS, "0")
    (tmp_path / f".tmp-1-0-{job.name}").mkdir()
    assert folder_of(tmp_path, job) == tmp_path / job.name
    (tmp_path / f"other-{job.digest}").mkdir()
    assert folder_of(tmp_path, job) == tmp_path / f"other-{job.digest}"


def test_a_row_that_fails_is_told_and_the_others_go_on(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(settings: Any, *arguments: Any, **more: Any) -> None:
        if settings.model == "pix2pix-alpha75":
            raise DivergedError("the loss g_l1 is not finite", step=1)
        run_training(settings, *arguments, **more)

    monkeypatch.setattr(TRAINING, failing)
    result = desk.run("study", "alpha", *TINY, "--out", "failing")
    assert result.code == 4 and "alpha = 75" in result.error
    record = json.loads((desk.path / "failing" / "study.json").read_text("utf-8"))
    assert [row["status"] for row in record["rows"]] == ["done", "failed", "done"]
    assert "g_l1" in record["rows"][1]["reason"] and "g_l1" in result.out
    monkeypatch.setattr(TRAINING, run_training)
    assert desk.run("study", "alpha", *TINY, "--out", "failing").code == 0


def test_weights_that_are_not_there_leave_a_row_out(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the quick form the trunks want their published weights."""
    chosen = STUDIES["cityscapes-ssim"]
    rows = tuple(row for row in chosen.rows if row.name == "deeplab")
    monkeypatch.setitem(STUDIES, chosen.name, dataclasses.replace(chosen, rows=rows))
    words = ("--data", "tiny", "--full", "--device", "cpu", "--set", "train.steps=2", "--out", "full")
    result = desk.done("study", chosen.name, *words)
    record = json.loads((desk.path / "full" / "study.json").read_text("utf-8"))
    row = record["rows"][0]
    assert row["short"] == "not run: weights missing" and "weights fetch" in row["reason"]
    assert "quick" not in result.out
    assert not [path for path in (desk.path / "full" / "runs").iterdir() if path.is_dir()], "locks alone"


def test_weights_that_came_later_fill_what_was_lacking(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the figure that there was not is computed, and nothing is trained."""
    ran(desk, "alpha")
    out = desk.path / "later"
    shutil.copytree(desk.path / "studies" / "alpha", out)
    shutil.copytree(desk.path / "studies" / "runs", out / "runs")
    asked: list[list[str]] = []

    def with_lpips(translator: Any, split: str, metrics: list[str], **more: Any) -> dict[str, Any]:
        asked.append(metrics)
        result = evaluate_run(translator, split, ["l1"], **more)
        return {**result, "metrics": {"lpips": result["metrics"]["l1"]}}

    monkeypatch.setattr("citygan.study.running.evaluate_run", with_lpips)
    desk.done("study", "alpha", "--resume", "--out", "later")
    record = json.loads((out / "study.json").read_text("utf-8"))
    assert asked == [["lpips"]] * 9, "three splits of three rows"
    before = ran(desk, "alpha")[1]
    for row, old in zip(record["rows"], before["rows"], strict=True):
        assert row["figures"]["lpips.mean.val"]["mean"] is not None
        assert row["figures"]["ssim.mean.val"] == old["figures"]["ssim.mean.val"]
    desk.done("study", "alpha", "--resume", "--out", "later")
    assert len(asked) == 9


def test_another_segmenter_scores_anew_and_studies_keep_each_others_figures(
    desk: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = ("--data", "tiny", "--quick", "--device", "cpu", "--set", "train.steps=1", "--set", "augment.crop=16")
    for seed in ("0", "1"):
        desk.done("train", "--model", "unet-seg", *tiny, "--seed", seed, "--name", f"s{seed}")
    # lpips has no weights here, and would be tried every time
    monkeypatch.setitem(METRICS, "lpips", dataclasses.replace(METRICS["l1"], name="lpips"))
    asked: list[tuple[str, ...]] = []

    def told(translator: Any, split: str, metrics: list[str], **more: Any) -> dict[str, Any]:
        asked.append(tuple(metrics))
        return evaluate_run(translator, split, metrics, **more)

    monkeypatch.setattr("citygan.study.running.evaluate_run", told)

    def study(name: str, *more: str) -> dict[str, Any]:
        """The study in a folder whose runs it shares with the others."""
        for file in (desk.path / "judged").glob("s*.*"):
            file.unlink()
        given = (*TINY, "--set", "augment.mirror=false", *more, "--out", "judged", "--json")
        return dict(json.loads(desk.done("study", name, *given).out))

    figures = []
    for name in ("s0", "s1", "s0"):
        shutil.rmtree(desk.path / "runs" / "judge", ignore_errors=True)
        shutil.copytree(desk.path / "runs" / name, desk.path / "runs" / "judge")  # another one by the same name
        record = study("pix2pix-losses", "--segmenter", "judge")
        figures.append([row["figures"]["fcn-score.class_iou.val"]["mean"] for row in record["rows"]])
        before = len(asked)
        study("pix2pix-losses", "--segmenter", "judge")
        study("colour")
        new = 1 if name == "s0" and len(figures) == 1 else 0  # its row with a PixelGAN
        assert len(asked) - before == new, "what other studies found of a run stays"
    assert figures[0] == figures[2] != figures[1]
    (path,) = (desk.path / "judged/runs").glob("l1-seed0-*/study-val.json")
    kept = json.loads(path.read_text("utf-8"))
    del kept["result"]["metrics"]["colour"]
    path.write_text(json.dumps(kept), "utf-8")
    study("colour")  # which has no segmenter
    assert {"colour", "fcn-score"} <= json.loads(path.read_text("utf-8"))["result"]["metrics"].keys()
    rows = len(STUDIES["pix2pix-losses"].rows) - 1
    assert asked.count(("fcn-score",)) == 2 * rows, "only what the other segmenter sees is new"
    shutil.rmtree(desk.path / "runs")


def test_weights_that_do_not_fit_leave_a_row_out(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow trial in the full form: there are no published weights of such networks, and the rest goes on."""
    chosen = STUDIES["cityscapes-ssim"]
    rows = tuple(row for row in chosen.rows if row.name in ("deeplab", "baseline"))
    monkeypatch.setitem(STUDIES, chosen.name, dataclasses.replace(chosen, rows=rows))
    words = ("--data", "tiny", "--full", *TINY[3:], "--out", "narrow")
    record = json.loads(desk.done("study", chosen.name, *words, "--json").out)
    by_name = {row["name"]: row for row in record["rows"]}
    assert by_name["baseline"]["status"] == "done" and by_name["deeplab"]["status"] == "not run"
    assert by_name["deeplab"]["short"] == "not run: no such weights" and "width" in by_name["deeplab"]["reason"]


def test_random_weights_are_told_of_any_row(desk: Street) -> None:
    trunk = ("--set", "generator.name=deeplabv3", "--set", "weights.deeplabv3_resnet50=random", "--out", "trunk")
    given = ("--data", "tiny", "--full", "--device", "cpu", "--set", "train.steps=1")
    record = json.loads(desk.done("study", "alpha", *given, *trunk, "--json").out)
    for row in record["rows"]:
        assert row["notes"] == ["deeplabv3_resnet50: random weights in the place of published ones"]


def test_rows_that_failed_say_so_in_every_cell(desk: Street) -> None:
    path = desk.path / "photos"
    for seed in range(3):
        trees.photo_file(path / f"{seed}.png", seed)
    desk.done("prepare", str(path), "--size", "32", "--out", "data/photos")
    result = desk.run("study", "alpha", "--data", "photos", *TINY[2:], "--out", "none")
    assert result.code == 4 and "3 rows failed" in result.error
    record = json.loads((desk.path / "none" / "study.json").read_text("utf-8"))
    for row in record["rows"]:
        assert {cell["short"] for cell in row["figures"].values()} == {"failed"} and "label maps" in row["reason"]


# the tables themselves


@each_study
def test_every_row_is_a_preset_with_settings(name: str) -> None:
    chosen = STUDIES[name]
    assert len({row.name for row in chosen.rows}) == len(chosen.rows)
    assert len({column.key for column in chosen.columns}) == len(chosen.columns)
    for row in chosen.rows:
        assert row.preset in PRESETS
        for quick in (False, True):
            settings_of(chosen, row, Options("tiny", quick))
    for column in chosen.columns:
        assert column.metric in METRICS or column.metric in (REAL_OR_FAKE, PRINTED)
        if column.paper is not None:
            assert column.paper in chosen.paper_of(column).columns
    for row in chosen.rows:
        for other in (row.starts_from, row.scores):
            assert other is None or chosen.row(other).runs
        if row.starts_from is not None:
            assert chosen.row(row.starts_from).preset in PRESETS[row.preset].builds_on
        for table, name_there in row.in_tables.items():
            assert name_there in paper_tables()[table].rows
        if row.elsewhere is not None:
            assert paper_tables()[row.elsewhere[0]].figure(row.paper or "", row.elsewhere[1]) is not None
        elif row.paper is not None:
            assert chosen.paper is not None and row.paper in chosen.paper.rows


def _pictures(settings: Settings) -> int:
    """That a run learns from."""
    return (settings.train.steps or 0) * settings.train.batch * (2 if settings.video.pairs else 1)


@each_study
def test_a_quick_study_is_short_however_many_rows_it_has(name: str) -> None:
    jobs = [job for job in plan(STUDIES[name], OPTIONS, "0") if job.row.scores is None]
    learnt = [(job, _pictures(job.settings)) for job in jobs]
    assert 0 < sum(pictures * job.row.cost for job, pictures in learnt) < 7_000 * STUDIES[name].minutes / 15
    counts = {pictures // job.row.length for job, pictures in learnt}
    assert len(counts) == 1, "every row of a table learns from as many pictures"


@pytest.mark.parametrize("quick", [False, True])
def test_studies_share_the_rows_that_they_have_in_common(quick: bool) -> None:
    names: dict[str, str] = {}
    for chosen in ("pix2pix-losses", "pix2pix-receptive-fields", "colour", "alpha", "schedule", "cityscapes-ssim"):
        for job in plan(STUDIES[chosen], Options("tiny", quick), "0"):
            names[f"{chosen} {job.row.name}"] = job.name.rpartition("-")[2]
    for one, *others in (
        ("pix2pix-losses l1-cgan", "pix2pix-receptive-fields field-70", "colour l1-cgan"),
        ("pix2pix-receptive-fields field-1", "colour pixelgan"),
        ("cityscapes-ssim baseline", "alpha alpha-100"),
    ):
        assert {names[other] for other in others} == {names[one]}
    assert quick != (names["schedule epochs-200"] == names["alpha alpha-100"])


@each_study
def test_rows_of_a_study_are_different_runs(name: str) -> None:
    jobs = [job for job in plan(STUDIES[name], Options("tiny", False), "0") if job.row.scores is None]
    values = [job.settings.to_dict() for job in jobs]
    assert all(values[i] != values[j] for i in range(len(values)) for j in range(i))
    assert len({job.digest for job in jobs}) == len(jobs)


def test_weights_to_start_from_are_known_wherever_they_lie(tmp_path: Path) -> None:
    for name, data in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (digest_of(Settings(init=str(tmp_path / name)), "0") for name in "abc")
    assert a == b != c and a != digest_of(Settings(), "0")


def test_a_run_is_known_by_settings_and_data() -> None:
    def names(options: Options, checksum: str = "0") -> list[str]:
        return [job.name for job in plan(STUDIES["alpha"], options, checksum)]

    assert names(OPTIONS) == names(Options(data="elsewhere/tiny", quick=True))
    assert not set(names(OPTIONS)) & set(names(OPTIONS, "1"))
    assert not set(names(OPTIONS)) & set(names(Options("tiny", True, assigned=("optimizer.rate=0.001",))))
    assert set(names(OPTIONS)) < set(names(Options("tiny", True, seeds=2)))


@pytest.mark.parametrize(
    ("table", "row", "column", "figure"),
    [
        ("pix2pix-table-1", "L1+cGAN", "pixel_accuracy", 0.66), ("pix2pix-table-1", "GAN", "class_iou", 0.01),
        ("pix2pix-table-1", "Ground truth", "class_accuracy", 0.26),
        ("pix2pix-table-2", "Encoder-decoder (L1+cGAN)", "class_iou", 0.05),
        ("pix2pix-table-2", "U-net (L1+cGAN)", "pixel_accuracy", 0.55),
        ("pix2pix-table-3", "16x16", "pixel_accuracy", 0.65), ("pix2pix-table-3", "286x286", "class_accuracy", 0.16),
        ("pix2pix-table-4", "L1+cGAN", "map_to_photo", 18.9), ("pix2pix-table-5", "Ours", "labelled_real", 22.5),
        ("pix2pix-table-6", "L1", "class_iou", 0.35), ("pix2pix-figure-7", "PixelGAN", "b", 0.78),
        ("cityscapes-table-1", "Enhanced baseline model", "test", 0.535),
        ("cityscapes-table-1", "Pre-trained from pytorch", "val", 0.535),
        ("cityscapes-table-1", "Baseline Model with MSE", "train", 0.808),
    ],
)  # fmt: skip
def test_the_papers_figures_are_those_printed(table: str, row: str, column: str, figure: float) -> None:
    assert paper_tables()[table].figure(row, column) == figure


def test_the_papers_tables_agree_with_the_papers_text(shared: Path) -> None:
    papers = {
        "pix2pix": shared / "papers" / "004_pix2pix.txt",
        "cityscapes": shared / "papers" / "001_image-to-image-translation-for-cityscapes.txt",
        "sflow": shared / "papers" / "003_s-flow-gan.txt",
    }
    texts = {name: path.read_text("utf-8").replace("\\times", "x").replace(" x ", "x") for name, path in papers.items()}
    checked = 0
    for name, table in paper_tables().items():
        if table.unit == "percent" or table.unsure or table.mixed:
            continue
        for row, figures in table.rows.items():
            digits = 3 if name.startswith("cityscapes") else 2
            line = "\t".join([row, *(f"{figure:.{digits}f}" for figure in figures)])
            assert line in texts[name.partition("-")[0]], line
            checked += 1
    assert checked == 6 + 4 + 4 + 3 + 6
    assert [name for name, table in paper_tables().items() if table.unsure] == ["pix2pix-figure-7"]


def test_sflows_tables_agree_with_the_papers_text(shared: Path) -> None:
    """They stand on their sides there, row after row of figures under the rows' names."""
    text = (shared / "papers" / "003_s-flow-gan.txt").read_text("utf-8")
    for number, beginning in ((1, "Cityscapes\tPix2pix"), (2, "Synthia\tPix2pix"), (3, "FID,FVD\tPix2pix")):
        table = paper_tables()[f"sflow-table-{number}"]
        block = text[text.index(beginning) : text.index(f"Table {number}:")]
        assert block.splitlines()[0].split("\t")[1:] == list(table.rows)
        printed = [float(figure) for figure in re.findall(r"(?<![\w.])\d*\.\d+", block)]
        there = [figures[k] for k in range(2) for figures in table.rows.values() if figures[k] is not None]
        assert printed == there, "line by line, with the missing ones left out"


# rows that go on from another's run, and rows that score one in another way


FRAMES = ("--data", "frames", *TINY[2:])


def test_a_video_row_is_known_by_the_run_that_it_goes_on_from() -> None:
    chosen = STUDIES["sflow"]

    def jobs(*assigned: str, seeds: int = 1) -> dict[tuple[str, int], Job]:
        found = plan(chosen, Options("tiny", True, seeds=seeds, assigned=assigned), "0")
        return {(job.row.name, job.settings.seed): job for job in found}

    two = jobs(seeds=2)
    for seed in (0, 1):
        start, video, longer = (two[name, seed] for name in ("sflow", "sflow-video", "sflow-longer"))
        assert video.start == start == longer.start and start.start is None
        motion = [(x.settings.losses.lambda_flow, x.settings.losses.lambda_warp) for x in (start, video, longer)]
        chosen_for_few_steps = PRESETS["sflow-video"].quick["losses"]
        assert motion == [(0, 0), tuple(chosen_for_few_steps[f"lambda_{x}"] for x in ("flow", "warp")), (0, 0)]
        assert two["sflow-of-photo", seed].name == start.name and two["sflow-video-of-photo", seed].name == video.name
        assert video.settings.init is None and video.settings.dned.from_share == 0
        assert video.settings.generator == start.settings.generator
    assert [job.waits for job in plan(chosen, OPTIONS, "0")] == [0, 0, 0, 0, 1, 1, 1, 2]
    # another beginning is another run, even where nothing of its own differs
    settings = two["sflow-video", 0].settings
    assert digest_of(settings, "0", "a") != digest_of(settings, "0", "b") != digest_of(settings, "0")
    assert jobs("generator.width=4")["sflow-video", 0].settings.generator.width == 4


def test_a_row_is_repeated_by_its_command_after_the_run_that_it_goes_on_from(desk: Street) -> None:
    record = ran(desk, "sflow")[1]
    rows = {row["name"]: row for row in record["rows"]}
    run = f"studies/{rows['sflow']['runs'][0]}"
    for name in ("sflow-video", "sflow-longer"):
        assert f"--init {run}" in rows[name]["command"]
        told = json.loads(desk.done(*rows[name]["command"].split()[1:], "--dry-run", "--json").out)["settings"]
        assigned = tuple(TINY[i + 1] for i, word in enumerate(TINY) if word == "--set")
        planned = settings_of(STUDIES["sflow"], STUDIES["sflow"].row(name), Options("frames", True, assigned=assigned))
        assert {**told, "init": None} == planned.to_dict()
    other = rows["sflow-of-photo"]
    assert other["command"] == f"citygan evaluate --run={run} --edges-of=photo"
    scored = json.loads(desk.done(*other["command"].split()[1:], "--metric", "ssim", "--json").out)
    assert scored["metrics"]["ssim"]["mean"] == other["figures"]["ssim.mean.val"]["mean"]
    assert other["runs"] == rows["sflow"]["runs"] and other["seconds"] == [None], "nothing is trained twice"
    config = (desk.path / "studies" / rows["sflow-video"]["runs"][0] / "config.yaml").read_text("utf-8")
    assert Path(rows["sflow"]["runs"][0]).name in config, "its settings tell what it went on from"


def test_every_figure_tells_where_its_edges_come_from(desk: Street) -> None:
    result, record = ran(desk, "sflow")
    rows = {row["name"]: row for row in record["rows"]}
    assert {name: row["edges_of"] for name, row in rows.items() if row["edges_of"] is not None} == {
        "sflow": "source pictures", "sflow-longer": "source pictures", "sflow-video": "source pictures",
        "sflow-of-photo": "target photo", "sflow-video-of-photo": "target photo",
    }  # fmt: skip
    assert "| S-Flow video, edges: source pictures (quick form) |" in result.out
    assert "| S-Flow video, edges: target photo (quick form) |" in result.out
    assert "'edges: target photo' are shown the edges of the very photo" in result.out
    for one, other in (("sflow", "sflow-of-photo"), ("sflow-video", "sflow-video-of-photo")):
        assert rows[one]["figures"]["ssim.mean.val"] != rows[other]["figures"]["ssim.mean.val"]
    for key in ("fid.mean.val", "fvd.mean.val"):
        assert rows["sflow"]["figures"][key]["short"] == "not run: weights missing"
    for name in ("warp-error", "sharpness"):
        cells = [row["figures"][f"{name}.mean.val"]["mean"] for row in (rows["sflow-video"], rows["photos"])]
        assert None not in cells and cells[0] != cells[1], "the oracle's is that of the real frames"
    assert rows["vid2vid"]["paper"]["fvd.mean.val"] == 0.706 and "| 0.81 |" in result.out
    assert "pixel acc. on Synthia, paper" in result.out and "on Synthia, ours" not in result.out


def test_a_video_row_that_is_first_makes_the_run_that_it_goes_on_from(desk: Street) -> None:
    """As where another process is at the row before it, or has not come to it yet."""
    data = PreparedSet.open(desk.path / "data" / "frames")
    assigned = tuple(TINY[i + 1] for i, word in enumerate(TINY) if word == "--set")
    planned = plan(STUDIES["sflow"], Options("frames", True, assigned=assigned), data.checksum)
    jobs = {job.row.name: job for job in planned}
    place = Place(desk.path / "alone", data.path, "cpu")
    outcome = run_job(jobs["sflow-video"], {"val": ["l1"]}, OPTIONS, place)
    assert outcome["status"] == "done", outcome
    names = {path.name for path in place.runs.iterdir() if path.is_dir()}
    assert names == {jobs["sflow"].name, jobs["sflow-video"].name}
    assert run_job(jobs["sflow"], {"val": ["l1"]}, OPTIONS, place)["status"] == "done"


def test_an_interrupted_study_goes_on_with_a_row_that_waits_for_another(
    desk: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the row that the video goes on from, and then in the video itself."""
    whole = STUDIES["sflow"]
    rows = tuple(whole.row(name) for name in ("sflow", "sflow-of-photo", "sflow-video"))
    columns = tuple(column for column in whole.columns if column.metric in ("l1", "warp-error"))
    monkeypatch.setitem(STUDIES, "sflow", dataclasses.replace(whole, rows=rows, columns=columns))

    def stopping_at(model: str) -> Any:
        def stopped(settings: Any, *arguments: Any, **more: Any) -> None:
            if settings.model != model:
                run_training(settings, *arguments, **more)
                return
            short = dataclasses.replace(settings, train=dataclasses.replace(settings.train, steps=1))
            run_training(short, *arguments, **more)
            raise Interrupted("stopped at step 1", signal_number=2)

        return stopped

    monkeypatch.setattr(TRAINING, stopping_at("sflow"))
    assert desk.run("study", "sflow", *FRAMES, "--out", "waiting").code == 130
    told = json.loads((desk.path / "waiting" / "study.json").read_text("utf-8"))["rows"]
    assert [row["short"] for row in told] == ["not run yet"] * 3 and told[2]["command"] is None
    monkeypatch.setattr(TRAINING, stopping_at("sflow-video"))
    assert desk.run("study", "sflow", "--resume", "--out", "waiting").code == 130
    told = json.loads((desk.path / "waiting" / "study.json").read_text("utf-8"))["rows"]
    assert [row["status"] for row in told] == ["done", "done", "not run"]
    monkeypatch.setattr(TRAINING, run_training)
    desk.done("study", "sflow", "--resume", "--out", "waiting")
    desk.done("study", "sflow", *FRAMES, "--out", "at-once")
    found = [json.loads((desk.path / out / "study.json").read_text("utf-8"))["rows"] for out in ("waiting", "at-once")]
    for row in (*found[0], *found[1]):
        del row["seconds"]
    assert found[0] == found[1], "as if it had not been stopped"


def test_rows_that_make_no_sense_on_a_set_say_so(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = STUDIES["sflow"]
    names = ("pix2pixhd", "sflow", "sflow-of-photo", "sflow-video", "sflow-video-of-photo")
    columns = tuple(column for column in whole.columns if column.metric == "l1")
    chosen = dataclasses.replace(whole, rows=tuple(map(whole.row, names)), columns=columns)
    monkeypatch.setitem(STUDIES, "sflow", chosen)
    result = desk.done("study", "sflow", *TINY, "--out", "lacking")  # neither instances, pairs nor renderings
    rows = {row["name"]: row for row in json.loads((desk.path / "lacking" / "study.json").read_text("utf-8"))["rows"]}
    assert rows["sflow"]["edges_of"] == "target photo" and "edges: target photo (quick form) |" in result.out
    assert "the set has no graphics rendering to take them from" in result.out
    words = {"pix2pixhd": "instance maps", "sflow-video": "neighbouring frames", "sflow-of-photo": "graphics rendering",
             "sflow-video-of-photo": "neighbouring frames"}  # fmt: skip
    for name, word in words.items():
        assert rows[name]["short"] == "not run: not on this set" and word in rows[name]["reason"]


def test_what_a_row_goes_on_from_and_cannot_be_run_is_told(desk: Street) -> None:
    """In the full form, without the weights of the perceptual loss."""
    data = PreparedSet.open(desk.path / "data" / "frames")
    assigned = ("train.steps=1", "generator.width=4", "discriminator.width=4", "dned.width=4", "weights.vgg16=random")
    options = Options("frames", False, assigned=assigned)
    [job] = [job for job in plan(STUDIES["sflow"], options, data.checksum) if job.row.name == "sflow-video"]
    outcome = run_job(job, {}, options, Place(desk.path / "unstarted", data.path, "cpu"))
    assert outcome["short"] == "not run: weights missing"
    assert outcome["reason"].startswith("it goes on from 'S-Flow pictures': ") and "vgg19" in outcome["reason"]


# the command


def test_without_a_name_studies_are_listed_with_their_tables(desk: Street) -> None:
    listed = desk.done("study").out
    for chosen in STUDIES.values():
        assert chosen.name in listed
    assert "table 1" in listed and "figure 7(d)" in listed and "table I" in listed
    assert json.loads(desk.done("study", "--json").out)["studies"].keys() == STUDIES.keys()


def test_an_unknown_study_names_the_nearest(desk: Street) -> None:
    refused(desk, "Did you mean pix2pix-losses?", "alpha", by=("study", "pix2pix-loses"))
    refused(desk, "--seeds", by=("study", "--seeds", "3"))
    with pytest.raises(UsageError):
        study("none")


def test_a_wrong_setting_stops_before_the_work(desk: Street) -> None:
    refused(desk, "unknown setting", by=("study", "alpha", *TINY, "--set", "train.stepz=2", "--out", "wrong"))
    assert not (desk.path / "wrong").exists()


def test_json_is_one_object(desk: Street) -> None:
    record = ran(desk, "alpha")[1]
    assert json.loads(desk.done("study", "alpha", *TINY, "--json").out) == record


def test_val_stands_for_a_test_split_that_cannot_be_scored(desk: Street) -> None:
    data = PreparedSet.open(prepared_set(desk.path / "data" / "two"))
    assert splits_of(data, ("train", "val", "test")) == {"train": "train", "test": "val"}
    assert splits_of(data, ("val",)) == {"val": "val"}
    assert resolve([])[0].data is None


def test_a_study_of_cityscapes_has_three_splits_where_cities_are_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    whole = STUDIES["cityscapes-ssim"]
    columns = tuple(column for column in whole.columns if column.metric == "ssim")
    monkeypatch.setitem(STUDIES, "cityscapes-ssim", dataclasses.replace(whole, rows=whole.rows[:1], columns=columns))
    root = trees.cityscapes(tmp_path / "city", train=6, test=2, cities=("aachen", "jena", "ulm"))
    street = Street(tmp_path)
    street.done("prepare", str(root), "--size", "32", "--out", "data/whole")
    held = ("--hold-out", "jena", "--hold-out", "ulm", "--out", "data/held")
    street.done("prepare", str(root), "--size", "32", *held)
    found = {}
    for name in ("whole", "held"):
        done = street.done("study", whole.name, *("--data", name), *TINY[2:], "--out", name)
        assert "SSIM validation, paper (protocol unknown)" in done.out and "labels are secret" in done.out
        found[name] = json.loads(Path(name, "study.json").read_text("utf-8"))
    # the labels of the real test say nothing, so that val is the test; and there is no validation
    cells = found["whole"]["rows"][0]["figures"]
    assert found["whole"]["data"]["stands_for"] == {"train": "train", "test": "val"}
    assert cells["ssim.mean.test"]["n"] == 1 and cells["ssim.mean.val"]["short"] == "not run: no such split"
    hint = "citygan prepare FOLDER --size 32x32 --hold-out CITY --hold-out CITY --out data/whole-held"
    assert any(hint in note for note in found["whole"]["notes"])
    assert found["held"]["data"]["stands_for"] == {"train": "train", "val": "val", "test": "test"}
    assert all(cell["n"] == 1 for cell in found["held"]["rows"][0]["figures"].values())
    assert "val was held out of train: jena, ulm; test is the source's own val" in found["held"]["notes"]
    assert not any("--hold-out" in note for note in found["held"]["notes"])


def test_pictures_of_a_set_whose_classes_are_all_void_are_scored_all_the_same(tmp_path: Path) -> None:
    table = tmp_path / "table.yaml"
    table.write_text("".join(f"- {{id: {i}, name: c{i}, colour: [{i}, 0, 0], train_id: 255}}\n" for i in range(34)))
    root = trees.cityscapes(tmp_path / "city")
    street = Street(tmp_path)
    street.done("prepare", str(root), "--size", "32", "--classes", str(table), "--out", str(tmp_path / "void"))
    data = PreparedSet.open(tmp_path / "void")
    assert data.manifest["census"]["val"]["void_share"] == 1
    assert splits_of(data, ("train", "val")) == {"train": "train", "val": "val"}


def test_quick_steps_go_by_the_batch_that_is_trained_with() -> None:
    row = STUDIES["pix2pix-losses"].rows[0]
    steps = [
        settings_of(STUDIES["pix2pix-losses"], row, dataclasses.replace(OPTIONS, assigned=assigned)).train.steps
        for assigned in ((), ("train.batch=2",), ("train.batch=8",), ("train.batch=2", "train.steps=7"))
    ]
    assert steps == [800, 400, 200, 7]
    table_2 = STUDIES["pix2pix-generators"]
    assert settings_of(table_2, table_2.rows[0], OPTIONS).train.steps == 200
    assert any("batch norm on the bottleneck" in note for note in table_2.notes)


def test_runs_side_by_side_are_those_one_after_the_other(desk: Street) -> None:
    """Two rows and what they score, each in a process of its own, and both in this one."""
    data = PreparedSet.open(desk.path / "data" / "tiny")
    assigned = tuple(TINY[i + 1] for i, word in enumerate(TINY) if word == "--set")
    options = Options("tiny", True, assigned=assigned)
    jobs = plan(STUDIES["alpha"], options, data.checksum)[:2]
    metrics = {"train": ["ssim"], "val": ["ssim", "psnr"]}
    beside, after = desk.path / "beside", desk.path / "after"
    outcomes = run_side_by_side(jobs, metrics, options, Place(beside, data.path, "none"), ["cpu", "cpu"])
    expected = [run_job(job, metrics, options, Place(after, data.path, "cpu")) for job in jobs]
    for outcome, one, job in zip(outcomes, expected, jobs, strict=True):
        assert outcome["run"] == one["run"] == f"runs/{job.name}"
        assert outcome["status"] == one["status"] == "done", outcome
        assert outcome["seconds"] > 0 and one["seconds"] > 0
        for split, names in metrics.items():
            ours, theirs = (found["results"][split]["metrics"] for found in (outcome, one))
            for name in names:
                assert ours[name]["mean"] == pytest.approx(theirs[name]["mean"], rel=1e-3)
        ours, theirs = (
            load_file(next(found.glob("checkpoints/00000002/generator.safetensors")))
            for found in (beside / job.name, after / job.name)
        )
        # the processes may have other numbers of threads, and so other roundings
        assert all(torch.allclose(ours[key].float(), theirs[key].float(), atol=1e-4) for key in ours | theirs)
    assert outcomes[0]["results"] != outcomes[1]["results"]


def lost(job: Job, *arguments: Any) -> Outcome:
    """A run whose process dies, and one that ends with an error; in processes of their own."""
    if job.row.name == "alpha-50":
        os._exit(3)
    raise DataError("no-data")


def test_runs_side_by_side_fail_each_by_itself(desk: Street) -> None:
    jobs = plan(STUDIES["alpha"], OPTIONS, "0")[:2]
    place = Place(desk.path / "nowhere", desk.path / "no-data", "cpu")
    outcomes = run_side_by_side(jobs, {}, OPTIONS, place, ["cpu", "cpu"], lost)
    assert [outcome["run"] for outcome in outcomes] == [f"runs/{job.name}" for job in jobs]
    assert all(outcome["status"] == outcome["short"] == "failed" for outcome in outcomes)
    assert [outcome["reason"] for outcome in outcomes] == ["its process ended with code 3", "no-data"]


# weights of the networks that metrics look with


def test_lpips_of_a_study_by_weights_that_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lpips", reason="lpips is not installed (the extra `metrics` brings it)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    whole = STUDIES["alpha"]
    columns = tuple(c for c in whole.columns if c.key in ("ssim.mean.val", "lpips.mean.val"))
    monkeypatch.setitem(STUDIES, "alpha", dataclasses.replace(whole, rows=whole.rows[:1], columns=columns))
    prepared_set(tmp_path / "data" / "tiny", test=2)
    street = Street(tmp_path)
    command = ("study", "alpha", *TINY)

    def cells() -> dict[str, dict[str, Any]]:
        record = json.loads(Path("studies/alpha/study.json").read_text("utf-8"))
        return {row["name"]: row["figures"]["lpips.mean.val"] for row in record["rows"]}

    street.refused(5, "'alexnet': no such file, gone.pth", by=(*command, "--set", "weights.alexnet=gone.pth"))
    assert not Path("studies").exists()
    street.done(*command)
    assert {cell["short"] for cell in cells().values()} == {"not run: weights missing"}
    runs = [name for name in hashes(tmp_path) if name.endswith("generator.safetensors")]
    done = street.done(*command, "--set", "weights.alexnet=random")  # the runs are not trained again
    assert [name for name in hashes(tmp_path) if name.endswith("generator.safetensors")] == runs
    assert "alexnet: random weights, as asked" in done.out
    record = json.loads(Path("studies/alpha/study.json").read_text("utf-8"))
    assert record["command"].endswith("--set weights.alexnet=random") and record["weights"] == {"alexnet": "random"}
    by_random = {name: cell["mean"] for name, cell in cells().items()}
    assert all(value is not None and value > 0 for value in by_random.values())
    street.done("study", "alpha", "--resume")
    assert {name: cell["mean"] for name, cell in cells().items()} == by_random
    street.done(*command)  # random figures are not kept where nobody asks for them
    assert {cell["short"] for cell in cells().values()} == {"not run: weights missing"}
    Path("bad.pth").write_bytes(b"PK torn")
    street.run(*command, "--set", "weights.alexnet=bad.pth")
    assert {cell["short"] for cell in cells().values()} == {"not computed"}


def test_a_segmenter_that_does_not_fit_stops_a_study_before_its_work(street: Street) -> None:
    street.done("train", "--model", "unet-seg", "--data", "tiny", "--steps", "1", "--name", "seg",
                "--set", "segmenter.width=2")  # fmt: skip
    prepared_set(Path("data/other"), table="camvid11")
    command = ("study", "pix2pix-losses", *TINY)
    other = tuple("other" if word == "tiny" else word for word in command)
    street.refused(2, "a segmenter with other classes", "--segmenter", by=(*other, "--segmenter", "seg"))
    street.refused(2, "a generator, and a segmenter is wanted", by=(*command, "--segmenter", "a"))
    street.refused(2, "no run 'none'", by=(*command, "--segmenter", "none"))
