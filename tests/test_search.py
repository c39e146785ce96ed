"""citygan study search: every point once, hopeless runs ended, many processes, interrupted and gone on with."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from citygan.config import Layer, resolve
from citygan.errors import DamagedError, DivergedError, Interrupted, MachineError, UsageError
from citygan.study.searchfile import read_space
from citygan.study.searching import Attempt, best_of, search, trials_of
from citygan.study.searchspace import Choices, Goal, Prune, Range, Space
from citygan.study.searchstore import masked, open_search
from citygan.study.searchworking import check_storage, kept_flags
from citygan.train.engine import Engine
from citygan.training import run_training
from citygan.yamlfile import parse_yaml, read_yaml
from tests.street import Street, command, environment
from tests.tiny import prepared_set

ROOT = Path(__file__).resolve().parents[1]
SMALL = "settings:\n  generator: {width: 4}\n  discriminator: {width: 4}\n"
HEAD = f"data: tiny\nquick: true\nsteps: 2\n{SMALL}"
TRAINING = "citygan.study.running.run_training"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Street:
    """A folder with a tiny set, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")  # most of a tiny run's time
    for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    prepared_set(tmp_path / "data" / "tiny", test=2)
    return Street(tmp_path)


def write(desk: Street, text: str, name: str = "s.yaml") -> str:
    (desk.path / name).write_text(text, "utf-8")
    return name


def record_in(desk: Street, name: str = "s") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((desk.path / "studies" / name / "search.json").read_text("utf-8"))
    return found


# a goal that costs nothing: the objective is an argument

PLANE = {"losses.lambda_l1": Range(0.0, 1.0), "optimizer.rate": Range(0.0, 1.0)}
GRID = {"generator.width": Range(4, 12, whole=True, step=4), "generator.norm": Choices(("batch", "instance"))}


def space_of(method: Any, dimensions: dict[str, Any], **more: Any) -> Space:
    chosen: dict[str, Any] = {"goal": Goal(metric="l1"), "prune": Prune("none")}  # the less, the better
    return Space("s", "s.yaml", dimensions, method=method, **(chosen | more))


def bowl(attempt: Attempt) -> float:
    """Lowest, 0, at (0.3, 0.7)."""
    x, y = (float(value) for value in attempt.point.values() if isinstance(value, int | float))
    return (x - 0.3) ** 2 + (y - 0.7) ** 2


def run(space: Space, folder: Path, objective: Any = bowl, storage: str | None = None) -> list[dict[str, Any]]:
    study = open_search(space, storage or str(folder / "s.journal"), True, "0")
    return search(space, study, objective, folder / "locks")


def points(trials: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(trial["point"].values()) for trial in trials]


def test_a_grid_covers_every_point_once(tmp_path: Path) -> None:
    trials = run(space_of("grid", GRID), tmp_path, lambda attempt: float(attempt.number))
    assert points(trials) == [(w, n) for w in (4, 8, 12) for n in ("batch", "instance")]
    assert [trial["value"] for trial in trials] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    best = best_of(space_of("grid", GRID), trials)
    assert best is not None and best["point"] == {"generator.width": 4, "generator.norm": "batch"}
    assert run(space_of("grid", GRID), tmp_path) == trials, "nothing is tried again"


def test_steps_of_fractions_are_listed_to_their_end() -> None:
    assert Range(0.1, 0.3, step=0.1).listed == pytest.approx((0.1, 0.2, 0.3))
    assert Range(0.0, 1.0).listed is None and Range(1, 3, whole=True).listed == (1, 2, 3)


def test_random_points_are_those_of_the_seed(tmp_path: Path) -> None:
    one = run(space_of("random", PLANE, trials=5), tmp_path / "a")
    two = run(space_of("random", PLANE, trials=5), tmp_path / "b")
    other = run(space_of("random", PLANE, trials=5, seed=1), tmp_path / "c")
    assert points(one) == points(two) and not set(points(one)) & set(points(other))
    more = run(space_of("random", PLANE, trials=8), tmp_path / "a")
    assert points(more)[:5] == points(one) and len(set(points(more))) == 8, "going on brings new points"
    logs = [float(space_of("random", {"a": Range(1e-6, 1.0, log=True)}).point(i)["a"] or 0) for i in range(200)]
    assert 60 < sum(value < 1e-3 for value in logs) < 140 and min(logs) >= 1e-6 and max(logs) <= 1.0


def test_a_random_search_of_a_finite_space_repeats_nothing(tmp_path: Path) -> None:
    trials = run(space_of("random", GRID, trials=50), tmp_path, lambda attempt: 0.0)
    assert len(trials) == len(set(points(trials))) == 6


def test_bayesian_search_beats_random_on_a_bowl(tmp_path: Path) -> None:
    """The mean of the best over seeds: one alone could be luck."""
    best: dict[str, list[float]] = {"random": [], "bayesian": []}
    for method, found in best.items():
        for seed in range(4):
            trials = run(space_of(method, PLANE, trials=30, seed=seed), tmp_path / f"{method}{seed}")
            found.append(min(trial["value"] for trial in trials))
    assert sum(best["bayesian"]) < 0.5 * sum(best["random"])


def test_a_bayesian_search_that_is_gone_on_with_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(space_of("bayesian", PLANE, trials=14), tmp_path / "whole")
    for trials in (6, 9, 14):
        # the share of random points goes by the trials asked for: held still here
        parts = run(space_of("bayesian", PLANE, trials=trials), tmp_path / "parts")
    assert points(parts)[:3] == points(whole)[:3] and len(set(points(parts))) == 14
    again = run(space_of("bayesian", PLANE, trials=14), tmp_path / "again")
    assert points(again) == points(whole), "the same seed, the same points"


def test_a_bayesian_search_tries_no_point_twice(tmp_path: Path) -> None:
    trials = run(space_of("bayesian", GRID, trials=6), tmp_path, lambda a: float(a.point["generator.width"] or 0))
    assert len(set(points(trials))) == 6


def test_of_equal_trials_the_first_is_the_best() -> None:
    trials = [{"trial": i, "status": "done", "value": value} for i, value in enumerate((0.2, 0.5, 0.5, 0.1))]
    trials.append({"trial": 4, "status": "pruned", "value": None})
    space = space_of("random", PLANE, trials=5)
    best, least = (best_of(dataclasses.replace(space, goal=Goal(metric)), trials) for metric in ("ssim", "l1"))
    assert best is not None and least is not None and (best["trial"], least["trial"]) == (1, 3)


def test_hopeless_runs_are_pruned(tmp_path: Path) -> None:
    done: list[int] = []

    def slow(attempt: Attempt) -> float:
        value = bowl(attempt)
        for step in range(1, 9):
            attempt.report(step, value, step < 8)
        done.append(attempt.number)
        return value

    for method in ("median", "halving"):
        space = space_of("random", PLANE, trials=12, prune=Prune(method, startup=3))
        trials = run(space, tmp_path / method, slow)
        pruned = [trial for trial in trials if trial["status"] == "pruned"]
        assert pruned and all(trial["value"] is None and len(trial["validations"]) < 8 for trial in pruned)
        assert min(min(t["validations"].values()) for t in pruned) > min(t["value"] for t in trials if t["value"])
    assert done


def test_what_fails_is_told_and_tried_again_by_the_next_start(tmp_path: Path) -> None:
    calls: Counter[int] = Counter()

    def sick(attempt: Attempt) -> float:
        calls[attempt.number] += 1
        if attempt.number == 1:
            raise DivergedError("the loss is not finite", step=3)
        if attempt.number == 2:
            raise UsageError("these do not fit together")
        if attempt.number == 3 and calls[3] == 1:
            raise MemoryError
        return 1.0

    space = space_of("grid", GRID)
    trials = run(space, tmp_path, sick)
    assert [t["status"] for t in trials] == ["done", "diverged", "refused", "failed", "done", "done"]
    assert "not finite" in trials[1]["reason"] and "memory" in trials[3]["reason"]
    trials = run(space, tmp_path, sick)
    assert [t["status"] for t in trials] == ["done", "diverged", "refused", "done", "done", "done"]
    assert calls == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1, 5: 1} and len(set(points(trials))) == 6


@pytest.mark.parametrize("method", ["grid", "bayesian"])
def test_an_interrupted_trial_is_tried_again_under_its_number(tmp_path: Path, method: str) -> None:
    numbers: list[int] = []

    def stopped(attempt: Attempt) -> float:
        numbers.append(attempt.number)
        if numbers == [0, 1]:
            raise Interrupted("stopped", signal_number=2)
        return float(attempt.number)

    space = space_of(method, GRID, trials=6)
    with pytest.raises(Interrupted):
        run(space, tmp_path, stopped)
    trials = run(space, tmp_path, stopped)
    assert sorted(numbers) == [0, 1, 1, *numbers[3:]] and [t["status"] for t in trials] == ["done"] * 6
    assert len(set(points(trials))) == 6


def test_a_bug_ends_the_search_and_is_not_hidden(tmp_path: Path) -> None:
    def broken(attempt: Attempt) -> float:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError):
        run(space_of("grid", GRID), tmp_path, broken)


def test_time_over_starts_no_more_trials(tmp_path: Path) -> None:
    assert run(space_of("grid", GRID, timeout_minutes=0.0), tmp_path) == []


# storages

WORKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.test_search import GRID, space_of
from citygan.study.searching import search
from citygan.study.searchstore import open_search
def slow(attempt):
    time.sleep(0.15)
    if sys.argv[4] == "die" and attempt.number == 1:
        print("dying", flush=True)
        time.sleep(600)
    return float(attempt.number)
space = space_of("grid", GRID)
search(space, open_search(space, sys.argv[1], True, "0"), slow, Path(sys.argv[2]))
"""


def worker(storage: str, folder: Path, how: str = "live") -> subprocess.Popen[str]:
    line = [sys.executable, "-c", WORKER, storage, str(folder), str(ROOT), how]
    return subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_grid_and_do_each_point_once(tmp_path: Path) -> None:
    storage = str(tmp_path / "s.journal")  # with SQLite a point may be done twice, as the documentation says
    both = [worker(storage, tmp_path / "locks") for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    space = space_of("grid", GRID)
    study = open_search(space, storage, True, "0")
    trials = trials_of(space, study)
    assert points(trials) == [tuple(space.point(i).values()) for i in range(6)]
    assert [t["value"] for t in trials] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    done = [t for t in study.get_trials() if t.state.name == "COMPLETE"]
    assert len(done) == 6, "none was done twice"


def test_a_killed_process_leaves_nothing_undone(tmp_path: Path) -> None:
    storage = str(tmp_path / "s.journal")
    dying = worker(storage, tmp_path / "locks", "die")
    assert dying.stdout is not None and dying.stdout.readline() == "dying\n"
    dying.kill()
    dying.wait()
    space = space_of("grid", GRID)
    assert [t["status"] for t in trials_of(space, open_search(space, storage, True, "0"))] == ["done", "running"]
    numbers: list[int] = []

    def goal(attempt: Attempt) -> float:
        numbers.append(attempt.number)
        return 1.0

    trials = run(space, tmp_path, goal, storage)
    assert sorted(numbers) == [1, 2, 3, 4, 5] and [t["status"] for t in trials] == ["done"] * 6


def test_a_storage_holds_one_search_of_a_name(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    open_search(space_of("grid", GRID), storage, True, "0")
    open_search(space_of("grid", GRID, trials=3), storage, True, "0")
    for other in (space_of("grid", PLANE), space_of("grid", GRID, goal=Goal()), space_of("grid", GRID, steps=5)):
        with pytest.raises(UsageError, match="another space"):
            open_search(other, storage, True, "0")
    with pytest.raises(UsageError, match="data"):
        open_search(space_of("grid", GRID), storage, True, "1")


def test_a_storage_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    space = space_of("grid", GRID)
    (tmp_path / "bad.journal").write_text("no journal\nat all\n")
    with pytest.raises(DamagedError, match=r"bad\.journal"):
        open_search(space, str(tmp_path / "bad.journal"), True, "0")
    (tmp_path / "bad.db").write_text("no data base, and long enough to be looked at as one\n" * 100)
    with pytest.raises(MachineError, match="cannot be used"):
        open_search(space, f"sqlite:///{tmp_path}/bad.db", True, "0")
    with pytest.raises(MachineError, match="driver"):
        open_search(space, "mysql+nosuchdriver://a:secret@localhost/b", True, "0")


def test_a_password_is_not_kept() -> None:
    kept = kept_flags({"storage": "mysql://me:secret@host/db", "trials": 3})
    assert kept == {"storage": "mysql://me:***@host/db", "trials": 3} and masked("a/b.journal") == "a/b.journal"
    with pytest.raises(UsageError, match="once more"):
        check_storage(kept)
    check_storage({"storage": "sqlite:///s.db"})
    check_storage({})


# the file


def test_everything_wrong_in_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "trails: 3\nmethod: gird\nseeds: 0\ngoal: {metric: sim}\nprune: {by: lpips}\nspace:\n"
        "  losses.lamda_l1: [1]\n  generator.dropout: [lots]\n  optimizer.rate: {low: 1, high: 1.0e-3}\n"
        "  generator.width: {low: 4, high: 9, step: 4}\n  train.batch: {low: 1, high: 8, max: 3}\n"
        "  seed: [0, 1]\n  generator:\n    depth: [4]\n  generator.norm: [batch, group]\n  train.compile: 3\n"
        "  optimizer.beta1: {low: 0, high: 0.9, log: true}\n  train.steps: {low: 10.5, high: 20}\n"
        "  generator.skips: {low: 0, high: 1}\n  augment.mirror: []\n  augment.jitter: [1.1, 1.1]\n"
    )
    with pytest.raises(UsageError) as caught:
        read_space(file)
    told = caught.value.what
    for words in (
        "wrong.yaml:1: unknown key trails (Did you mean trials?)",
        "wrong.yaml:2: method: expected one of grid, random, bayesian, got 'gird'",
        "wrong.yaml:3: seeds: expected at least 1, got 0",
        "wrong.yaml:4: no metric named 'sim' (Did you mean ssim?)",
        "wrong.yaml:7: unknown setting losses.lamda_l1 (Did you mean losses.lambda_l1?)",
        "wrong.yaml:8: generator.dropout: expected a number, got 'lots'",
        "wrong.yaml:9: optimizer.rate: expected low below high",
        "wrong.yaml:10: generator.width: high is not low and a whole number of steps",
        "wrong.yaml:11: unknown key space.train.batch.max",
        "wrong.yaml:12: seed is not searched",
        "wrong.yaml:13: generator is a group",
        "wrong.yaml:15: generator.norm: expected one of batch, instance, none, got 'group'",
        "wrong.yaml:16: train.compile: expected a list of choices, or low and high",
        "wrong.yaml:17: optimizer.beta1: log needs low above 0",
        "wrong.yaml:18: train.steps: expected whole numbers",
        "wrong.yaml:19: generator.skips is not a number",
        "wrong.yaml:20: augment.mirror: no choices",
        "wrong.yaml:21: augment.jitter: the choice 1.1 stands there twice",
    ):
        assert words in told, f"{words!r} is not in {told}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trials: 3\n", "no space"),
        ("space: {}\ntrials: 3\n", "nothing is searched"),
        ("space:\n  generator.dropout: [0.5]\n", "no trials"),
        ("method: grid\nspace:\n  generator.dropout: {low: 0, high: 1}\n", "s.yaml:3: generator.dropout: a grid"),
        ("method: grid\nspace:\n  seed: [0]\n", "seeds at the top"),
        ("trials: 3\nspace:\n  generator.dropout: [0.5, 1.5]\n", "s.yaml:3: generator.dropout: expected from 0"),
        ("trials: 3\nspace:\n  generator.width: {low: 0, high: 8}\n", "s.yaml:3: generator.width: expected from 1"),
        ("trials: 3\nsettings:\n  generator: {wdith: 3}\nspace:\n  generator.dropout: [0.5]\n", "s.yaml:3: unknown"),
        ("trials: 3\nmodel: pix3pix\nspace:\n  generator.dropout: [0.5]\n", "s.yaml:2: no model named 'pix3pix'"),
        ("trials: 3\nspace:\n  model: [pix2pix, unet-seg]\n", "different kinds"),
        ("trials: 3\nmodel: unet-seg\nspace:\n  optimizer.rate: [0.1]\n", "its goal is miou, not ssim"),
        ("trials: 3\ngoal: fcn-score\nspace:\n  optimizer.rate: [0.1]\n", "--segmenter names the run"),
        ("trials: 3\ngoal: {metric: ssim, part: max}\nspace:\n  optimizer.rate: [0.1]\n", "no part 'max'"),
        ("trials: 3\ngoal: {metric: ssim, split: all}\nspace:\n  optimizer.rate: [0.1]\n", "goal.split"),
        ("trials: 3\nprune: {by: lpips}\nspace:\n  optimizer.rate: [0.1]\n", "no validation gives 'lpips'"),
        ("trials: 3\nprune: {warmup: -1}\nspace:\n  optimizer.rate: [0.1]\n", "prune.warmup: expected at least 0"),
        ("trials: 3\nsteps: 4\nspace:\n  train.steps: [2, 3]\n", "train.steps is searched"),
        ("trials: 3\nsteps: 4\nspace:\n  train.epochs: [2, 3]\n", "steps goes before train.epochs"),
        ("name: a/b\ntrials: 3\nspace:\n  optimizer.rate: [0.1]\n", "name: expected a plain word"),
        ("trials: 3\nspace: [optimizer.rate]\n", "space: expected 'key: value' lines"),
        ("trials: 3\nspace:\n  optimizer.rate: {low: 0.1}\n", "no high"),
        ("trials: 3\nspace:\n  optimizer.rate: {low: 0.1, high: 0.2, log: true, step: 0.1}\n", "log and step"),
        ("trials: 3\nspace:\n  train.batch: {low: 1, high: 4, int: false}\n", "int cannot be false"),
        ("method: grid\nspace:\n  train.batch: {low: 1, high: 200}\n  generator.width: {low: 1, high: 200}\n", "40000"),
    ],
)  # fmt: skip
def test_what_makes_no_search_is_refused(desk: Street, text: str, words: str) -> None:
    desk.refused(2, words, by=("study", "search", write(desk, text)))
    assert not (desk.path / "studies").exists()


def test_values_that_fit_only_together_are_not_refused(tmp_path: Path) -> None:
    """A crop goes with jitter 1 alone: neither is wrong by itself."""
    file = tmp_path / "s.yaml"
    file.write_text("trials: 2\nspace:\n  augment.jitter: [1.0, 1.1]\n  augment.crop: [16, null]\n")
    space = read_space(file)
    with pytest.raises(UsageError):
        space.settings_of({"augment.jitter": 1.1, "augment.crop": 16}, True)
    assert space.settings_of({"augment.jitter": 1.0, "augment.crop": 16}, True).augment.crop == 16


def test_kinds_of_ranges(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "trials: 2\nprune: false\nspace:\n  generator.width: {low: 4, high: 64, log: true}\n"
        "  optimizer.rate: {low: 1.0e-5, high: 1.0e-2, log: true}\n  losses.lambda_l1: {low: 1, high: 9, int: true}\n"
        "  model: [pix2pix, enhanced]\n  train.epochs: {low: 1, high: 2}\n"
    )
    space = read_space(file, {"metric": "psnr", "trials": 7})
    assert space.dimensions["generator.width"] == Range(4.0, 64.0, True, True)
    assert space.dimensions["losses.lambda_l1"] == Range(1.0, 9.0, True)
    assert not space.dimensions["optimizer.rate"].whole and space.goal.metric == "psnr" and space.total == 7  # type: ignore[union-attr]
    settings = space.settings_of({"model": "enhanced", "train.epochs": 1.5}, True)
    assert settings.generator.name == "enhanced" and settings.train.steps is None and settings.train.epochs == 1.5


# the command


def test_a_tiny_search_writes_table_plot_page_and_preset(desk: Street) -> None:
    text = f"{HEAD}trials: 4\nspace:\n  losses.lambda_l1: {{low: 10, high: 300, log: true}}\n  generator.norm: [batch, none]\n"  # noqa: E501
    result = desk.done("study", "search", write(desk, text))
    folder, record = desk.path / "studies" / "s", record_in(desk)
    assert record["counts"] == {"done": 4} and record["goal"]["better"] == "higher"
    assert result.out == (folder / "search.md").read_text("utf-8") and "quick form" in result.out
    rows = [line.strip("| ").split(" | ") for line in result.out.splitlines() if line.startswith("| ")][2:]
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)
    assert rows[0][2] == "best" and int(rows[0][0]) == record["best"]["trial"]
    lines = list(csv.DictReader(io.StringIO((folder / "search.csv").read_text("utf-8"))))
    assert [float(line["value"]) for line in lines] == [row["value"] for row in record["rows"]]
    assert [float(line["losses.lambda_l1"]) for line in lines] == [
        row["point"]["losses.lambda_l1"] for row in record["rows"]
    ]
    assert (folder / "search.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "search.html").read_text("utf-8")
    assert "data:image/png;base64," in page and "src='http" not in page and page.count("<h1>") == 1
    assert "next: citygan train --config studies/s/best.yaml --data tiny" in result.err
    # the figure of the table is that of the run, and of evaluate
    run_folder = str(folder / record["best"]["runs"][0])
    scored = json.loads(desk.done("evaluate", "--run", run_folder, "--metric", "ssim", "--json").out)
    assert scored["metrics"]["ssim"]["mean"] == record["best"]["value"]
    # the preset trains, and makes the same network
    words = result.err.strip().splitlines()[-1].partition("citygan ")[2].split()
    trained = desk.done(*words, "--device", "cpu").paths[0]
    again = json.loads(desk.done("evaluate", "--run", trained, "--metric", "ssim", "--json").out)
    assert again["metrics"]["ssim"]["mean"] == record["best"]["value"]
    settings = resolve([Layer("best", *read_yaml(folder / "best.yaml"))])[0]
    assert settings.losses.lambda_l1 == record["best"]["point"]["losses.lambda_l1"] and settings.train.steps == 2


def test_a_search_repeats_with_its_seed_and_goes_on_with_more_trials(desk: Street) -> None:
    file = write(desk, f"{HEAD}trials: 2\nmethod: random\nspace:\n  losses.lambda_l1: {{low: 10, high: 300}}\n")
    first = json.loads(desk.done("study", "search", file, "--json").out)
    assert first == record_in(desk)
    other = json.loads(desk.done("study", "search", file, "--json", "--out", "other").out)
    assert [(r["point"], r["value"]) for r in other["rows"]] == [(r["point"], r["value"]) for r in first["rows"]]
    again = desk.done("study", "search", file, "--json")
    assert json.loads(again.out)["rows"] == first["rows"] and "trial 0" not in again.err
    more = json.loads(desk.done("study", "search", "--resume", "--out", "studies/s", "--trials", "3", "--json").out)
    assert more["rows"][:2] == first["rows"] and len(more["rows"]) == 3


def test_flags_go_before_the_file(desk: Street) -> None:
    file = write(desk, f"{HEAD}trials: 2\nmethod: random\nspace:\n  losses.lambda_l1: {{low: 10, high: 300}}\n")
    words = ("--metric", "l1", "--trials", "1", "--seeds", "2", "--set", "generator.width=6")
    record = json.loads(desk.done("study", "search", file, *words, "--storage", "own.journal", "--json").out)
    assert record["goal"]["better"] == "lower" and record["trials"] == 1 and record["storage"] == "own.journal"
    (row,) = record["rows"]
    assert len(row["runs"]) == len(row["values"]) == 2 and row["value"] == pytest.approx(math.fsum(row["values"]) / 2)
    assert row["values"][0] != row["values"][1] and "generator: {width: 6}" in (
        desk.path / "studies" / "s" / "best.yaml"
    ).read_text("utf-8")
    assert "prune.by names" in " ".join(record["notes"]) and (desk.path / "own.journal").is_file()


def test_a_bad_run_is_ended_early(desk: Street) -> None:
    """A rate of 0.9 learns nothing; by the validations of real trainings that is seen before their end."""
    text = (
        f"data: tiny\nquick: true\nsteps: 16\n{SMALL}method: grid\nprune: {{startup: 1}}\n"
        "space:\n  optimizer.rate: [0.005, 0.9]\n  generator.norm: [batch]\n"
    )
    result = desk.done("study", "search", write(desk, text), "--set", "train.batch=4")
    good, bad = record_in(desk)["rows"]
    assert good["status"] == "done" and len(good["validations"]) == 8
    assert bad["status"] == "pruned" and len(bad["validations"]) == 2 and bad["value"] is None
    run_folder = desk.path / "studies" / "s" / bad["runs"][0]
    assert max(int(path.name) for path in (run_folder / "checkpoints").iterdir()) == 4, "2 of 8 validations"
    assert "pruned at step 4" in result.out


def test_segmenters_are_searched_by_miou(desk: Street) -> None:
    text = (
        "model: unet-seg\ndata: tiny\nquick: true\nsteps: 2\ntrials: 2\nmethod: grid\n"
        "settings:\n  segmenter: {width: 4, depth: 2}\n  augment: {crop: 32}\n  train: {batch: 2}\n"
        "goal: {metric: miou, part: pixel_accuracy}\nspace:\n  optimizer.rate: [1.0e-3, 1.0e-2]\n"
    )
    desk.done("study", "search", write(desk, text))
    record = record_in(desk)
    assert record["counts"] == {"done": 2} and all(0 <= row["value"] <= 1 for row in record["rows"])
    assert "Pruned (median) by pixel_accuracy" in " ".join(record["notes"])


def test_an_interrupted_search_goes_on_where_its_run_stood(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(desk, f"{HEAD}method: grid\nspace:\n  losses.lambda_l1: [10, 100, 200]\n")
    whole = json.loads(desk.done("study", "search", file, "--out", "whole", "--json").out)
    calls: list[int] = []

    def counted(settings: Any, *arguments: Any, **more: Any) -> None:
        run_training(settings, *arguments, **more)
        calls.append(1)

    step_of = Engine.train_step

    def step(self: Any, number: int, batch: Any) -> Any:
        """SIGINT in the first step of the second run; the loop hears it after that step."""
        if number == 0 and calls == [1]:
            calls.append(2)
            os.kill(os.getpid(), signal.SIGINT)
        return step_of(self, number, batch)

    monkeypatch.setattr(TRAINING, counted)
    monkeypatch.setattr(Engine, "train_step", step)
    result = desk.run("study", "search", file)
    assert result.code == 130 and "go on with: citygan study search s.yaml --resume" in result.err
    assert record_in(desk)["counts"] == {"done": 1, "stopped": 1}
    going = desk.done("study", "search", file, "--resume")
    assert "resuming" in going.err and "at step 1" in going.err
    assert [(r["point"], r["value"]) for r in record_in(desk)["rows"]] == [
        (r["point"], r["value"]) for r in whole["rows"]
    ]


def test_a_killed_search_goes_on(desk: Street) -> None:
    text = f"data: tiny\nquick: true\nsteps: 40\n{SMALL}method: grid\nspace:\n  losses.lambda_l1: [10, 100]\n"
    file = write(desk, text)
    process = subprocess.Popen(
        command("study", "search", file), env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(desk.path.glob("studies/s/runs/trial-0000*/checkpoints/0*/state.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    going = desk.done("study", "search", file)
    assert "resuming" in going.err and record_in(desk)["counts"] == {"done": 2}
    assert len(list(desk.path.glob("studies/s/runs/trial-*"))) == 2


def test_diverged_and_unfitting_runs_are_told_and_the_others_go_on(
    desk: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(settings: Any, *arguments: Any, **more: Any) -> None:
        if settings.losses.lambda_l1 == 200:
            raise DivergedError("the loss g_l1 is not finite", step=1)
        if settings.losses.lambda_l1 == 300:
            raise DamagedError("a checkpoint that is not whole")
        run_training(settings, *arguments, **more)

    monkeypatch.setattr(TRAINING, diverging)
    file = write(desk, f"{HEAD}method: grid\nspace:\n  losses.lambda_l1: [100, 200, 300]\n")
    result = desk.run("study", "search", file)
    assert result.code == 4 and "1 trial failed" in result.error and "trial 1: diverged: the loss g_l1" in result.out
    assert record_in(desk)["counts"] == {"done": 1, "diverged": 1, "failed": 1}
    monkeypatch.setattr(TRAINING, run_training)
    desk.done("study", "search", file)
    assert record_in(desk)["counts"] == {"done": 2, "diverged": 1}


def test_a_goal_that_cannot_be_computed_stops_before_the_work(desk: Street) -> None:
    tail = "trials: 2\nspace:\n  losses.lambda_l1: [10, 100]\n"
    desk.refused(5, "alexnet", by=("study", "search", write(desk, f"{HEAD}goal: lpips\n{tail}")))
    prepared_set(desk.path / "data" / "bare", val=0)
    file = write(desk, f"{HEAD.replace('data: tiny', 'data: bare')}goal: {{metric: ssim, split: test}}\n{tail}")
    desk.refused(2, "nothing to score as test", by=("study", "search", file))
    assert not (desk.path / "studies").exists()


def test_other_searches_are_not_overwritten(desk: Street) -> None:
    file = write(desk, f"{HEAD}trials: 1\nspace:\n  losses.lambda_l1: [10]\n")
    desk.done("study", "search", file)
    desk.refused(2, "another space", by=("study", "search", file, "--set", "generator.width=8"))
    desk.refused(2, "--set", by=("study", "search", file, "--resume", "--set", "generator.width=8"))
    desk.refused(2, "losses.lambda_l1 is searched", by=("study", "search", file, "--set", "losses.lambda_l1=8"))
    desk.refused(2, "no search to go on with", by=("study", "search", file, "--resume", "--out", "nowhere"))
    desk.refused(2, "not a search's folder", by=("study", "search", file, "--out", "data/tiny"))
    desk.refused(2, "no file that says", by=("study", "search"))
    desk.refused(2, "--init", by=("study", "search", file, "--init", "a"))
    desk.refused(2, "--trials", by=("study", "alpha", "--trials", "3"))
    desk.refused(2, "no such file", by=("study", "search", "none.yaml"))


def test_without_optuna_the_command_to_type_is_told(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "optuna" or name.startswith("optuna.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    file = write(desk, f"{HEAD}trials: 1\nspace:\n  losses.lambda_l1: [10]\n")
    desk.refused(5, "optuna is missing", "pip install 'citygan[search]'", by=("study", "search", file))


def test_the_example_runs(desk: Street) -> None:
    """As it stands, but tiny."""
    file = ROOT / "examples" / "search-space.yaml"
    values: dict[str, Any] = parse_yaml(file.read_text("utf-8"), str(file))[0]
    assert values["space"].keys() == read_space(file).dimensions.keys()
    words = ("--data", "tiny", "--quick", "--trials", "2", "--set", "generator.width=4")
    short = file.read_text("utf-8").replace(f"steps: {values['steps']}", "steps: 2")
    desk.done("study", "search", write(desk, short), *words, "--set", "discriminator.width=4")
    assert record_in(desk)["counts"] == {"done": 2}
