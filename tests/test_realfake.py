"""Trials of real or fake: the pictures that are chosen, the page, the answers, the figures made of them."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from citygan.data.store import PreparedSet
from citygan.errors import DamagedError, DataError, DivergedError
from citygan.study.answers import Session, check_of, read_key, read_result
from citygan.study.fooled import rate, share_above
from citygan.study.opinions import figures_in_words, results_of
from citygan.study.page import trials_page
from citygan.study.papers import paper_tables
from citygan.study.realfake import (
    PRACTICE,
    TRIALS,
    Algorithm,
    Pair,
    choose,
    make,
    session_order,
    shown_size,
    stacked,
    trial_name,
)
from tests.street import Street, hashes
from tests.tiny import prepared_set

WHOLE = PRACTICE + TRIALS
NARROW = ("--set", "train.steps=2", "--set", "generator.width=4", "--set", "discriminator.width=4")
MAKE = ("study", "amt", "--data", "fifty", "--quick", "--device", "cpu", *NARROW)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A folder with a tiny set and the study's page of it."""
    path = tmp_path_factory.mktemp("desk")
    with contextlib.chdir(path), pytest.MonkeyPatch.context() as patch:
        patch.setattr("citygan.report._curves", lambda lines: "")  # most of a tiny run's time
        for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
            patch.delenv(name, raising=False)
        patch.setenv("TORCH_HOME", str(path / "no-weights"))
        prepared_set(path / "data" / "fifty", val=WHOLE, size=(48, 32))
        street = Street(path)
        street.done(*MAKE)
        yield street


@pytest.fixture
def out(desk: Street) -> Path:
    return desk.path / "studies" / "amt"


def session(
    key: dict[str, Any], number: int = 1, seed: int = 7, fooled: Callable[[str], bool] = lambda name: False
) -> dict[str, Any]:
    """What the page saves of someone who takes the fakes of the trials `fooled` for real."""
    fakes = {trial["id"]: trial["fake"] for trial in key["sets"][number - 1]["trials"]}
    trials = []
    for name, first in session_order(seed):
        right = 1 if fakes[name] == first else 2
        answer = 3 - right if fooled(name) else right
        trials.append(
            {"id": name, "first": first, "answer": answer, "answer_ms": 900, "shown_ms": [1000, 1016], "hidden": False}
        )
    record = {
        "format": "citygan real-or-fake results", "version": 1, "page": key["page"],
        "session": hashlib.md5(f"{number} {seed}".encode()).hexdigest(), "set": number, "seed": seed, "trials": trials,
    }  # fmt: skip
    return {**record, "check": check_of(record)}


def saved(path: Path, record: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), "utf-8")
    return path


# which pictures


@pytest.mark.parametrize("count", [50, 51, 77, 99, 100, 500])
@pytest.mark.parametrize("same_input", [False, True])
def test_no_picture_comes_twice_and_none_of_the_practice_later(count: int, same_input: bool) -> None:
    pairs = choose(count, same_input=same_input, seed=3)
    fakes, reals = [pair.fake for pair in pairs], [pair.real for pair in pairs]
    assert len(pairs) == WHOLE and max(*fakes, *reals) < count
    assert len(set(fakes)) == len(set(reals)) == WHOLE
    assert all((pair.fake == pair.real) is same_input for pair in pairs)
    practised = {*fakes[:PRACTICE], *reals[:PRACTICE]}
    assert not practised & {*fakes[PRACTICE:], *reals[PRACTICE:]}
    if count >= 2 * WHOLE and not same_input:
        assert not set(fakes) & set(reals)
    assert choose(count, same_input=same_input, seed=3) == pairs != choose(count, same_input=same_input, seed=4)


def test_the_fake_is_in_either_half_equally_often() -> None:
    halves = [pair.fake_half for seed in range(200) for pair in choose(60, same_input=False, seed=seed)]
    assert scipy.stats.binomtest(sum(halves), len(halves)).pvalue > 1e-4


def test_both_pictures_go_the_same_way() -> None:
    """A picture is the same bytes as the real and as the fake one, at any size and number of channels."""
    random = np.random.default_rng(0)
    for shape in ((32, 48, 3), (32, 48, 1), (700, 1300, 3)):
        one, other = (random.integers(0, 256, shape, np.uint8) for _ in range(2))
        upper = _halves(stacked(Pair(0, 1, 0), one, other))
        lower = _halves(stacked(Pair(0, 1, 1), other, one))
        assert all(np.array_equal(x, y) for x, y in zip(upper, lower, strict=True))
        width, height = shown_size(shape[1], shape[0])
        assert upper[0].shape == (height, width, 3) and max(width, height) <= 512
        if shape[0] < 512:
            assert np.array_equal(upper[0][..., : shape[2]], one)
    grey, colours = random.integers(0, 256, (8, 8, 1), np.uint8), random.integers(0, 256, (8, 8, 3), np.uint8)
    fake, real = _halves(stacked(Pair(0, 1, 0), grey, colours))
    assert (real == real[..., :1]).all() and np.array_equal(fake[..., :1], grey)


def _halves(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    picture = np.asarray(Image.open(io.BytesIO(data)))
    return picture[: len(picture) // 2], picture[len(picture) // 2 :]


# the page


class _Page(HTMLParser):
    """Elements with their attributes, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


def test_the_page_holds_all_and_asks_for_nothing(out: Path) -> None:
    page = _Page((out / "trials.html").read_text("utf-8"))
    by_tag = [tag for tag, _ in page.elements]
    assert by_tag.count("script") == 2 and not {"link", "img", "iframe", "form", "object"} & set(by_tag)
    assert not [value for _, of in page.elements for name, value in of.items() if name in ("src", "href", "action")]
    policy = next(of["content"] for tag, of in page.elements if of.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy
    data, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy, "the page runs this script alone"
    assert "http:" not in script and "https:" not in script and "fetch(" not in script and "@" not in script
    payload = json.loads(data)
    assert (payload["show_ms"], len(payload["sets"])) == (1000, 3)
    for part in payload["sets"]:
        assert (len(part["practice"]), len(part["trials"])) == (10, 40)
        for trial in (*part["practice"], *part["trials"]):
            upper, lower = _halves(base64.b64decode(trial["png"]))
            assert upper.shape == lower.shape == (payload["height"], payload["width"], 3) == (32, 48, 3)


def test_the_page_does_not_know_the_answers(out: Path) -> None:
    """But for the practice, whose answers it tells."""
    text = (out / "trials.html").read_text("utf-8")
    key = read_key(out / "trials.json")
    payload = json.loads(_Page(text).scripts[0])
    for part in payload["sets"]:
        assert [set(trial) for trial in part["practice"]] == [{"id", "png", "fake"}] * 10
        assert [set(trial) for trial in part["trials"]] == [{"id", "png"}] * 40
    for entry in key["sets"]:
        for name in (
            entry["about"]["title"],
            entry["about"]["weights_sha256"],
            *(t["fake_stem"] for t in entry["trials"]),
        ):
            assert name not in re.sub(r'"png": "[^"]*"', "", text)
    sides = {trial["fake"] for entry in key["sets"] for trial in entry["trials"][PRACTICE:]}
    assert sides == {0, 1}


def test_nothing_but_the_picture_tells_the_fake() -> None:
    """A page whose real and generated pictures are alike: no size of bytes goes with the answers."""
    random = np.random.default_rng(1)
    pool = random.integers(0, 256, (2 * WHOLE, 16, 16, 3), np.uint8)

    def algorithm(flat: bool) -> Algorithm:
        def pictures(pairs: Any) -> Iterator[Any]:
            for pair in pairs:
                yield np.zeros_like(pool[0]) if flat else pool[pair.fake], pool[pair.real]

        pairs = choose(2 * WHOLE, same_input=False, seed=0)
        return Algorithm("row", {}, pairs, [f"s{i}" for i in range(2 * WHOLE)], pictures)

    for flat in (False, True):
        payload, key = make([algorithm(flat)], {"size": [16, 16]})
        answers = np.array([trial["fake"] for trial in key["sets"][0]["trials"][PRACTICE:]])
        sizes = np.array([len(trial["png"]) for trial in payload["sets"][0]["trials"]])
        assert scipy.stats.mannwhitneyu(sizes[answers == 0], sizes[answers == 1]).pvalue > 0.01
        for trial, told in zip(payload["sets"][0]["trials"], key["sets"][0]["trials"][PRACTICE:], strict=True):
            halves = _halves(base64.b64decode(trial["png"]))
            real = pool[int(told["real_stem"][1:])]
            assert np.array_equal(halves[1 - told["fake"]], real)
    assert payload["on_screen"] == 256, "small pictures are enlarged on the screen"
    assert trials_page(payload).count("<script") == 2


def test_the_pictures_are_those_of_the_run_and_the_set(desk: Street, out: Path) -> None:
    from citygan.infer import load

    key = read_key(out / "trials.json")
    payload = json.loads(_Page((out / "trials.html").read_text("utf-8")).scripts[0])
    part = PreparedSet.open(desk.path / "data" / "fifty").split("val")
    stems = [item.stem for item in part.items]
    assert part.photo is not None
    for entry, shown in zip(key["sets"], payload["sets"], strict=True):
        run = next((out.parent / "runs").glob(f"{entry['row']}-seed0-*"))
        translator = load(run, device="cpu")
        for trial, told in list(zip((*shown["practice"], *shown["trials"]), entry["trials"], strict=True))[::9]:
            halves = _halves(base64.b64decode(trial["png"]))
            fake, real = stems.index(told["fake_stem"]), stems.index(told["real_stem"])
            assert np.array_equal(halves[told["fake"]], translator.translate(translator.given(part, fake)))
            assert np.array_equal(halves[1 - told["fake"]], part.photo[real])


def test_a_page_is_made_once(desk: Street, out: Path) -> None:
    before = hashes(out)
    again = desk.done(*MAKE)
    assert "trials.html: there already" in again.err and hashes(out) == before
    desk.done("study", "amt", "--resume", "--device", "cpu")
    assert hashes(out) == before
    (out / "trials.html").unlink()
    desk.done(*MAKE)
    assert hashes(out) == before, "the same page from the same runs"


# the order of a session


# order and half shown first by seed, as the page's script makes them in Chromium 156 and Node 20
SCRIPT_ORDERS = {
    77: (
        "p10 p2 p4 p9 p8 p1 p6 p7 p3 p5 t29 t12 t3 t27 t33 t24 t40 "
        "t32 t15 t5 t14 t17 t39 t19 t6 t7 t21 t23 t31 t30 t16 t18 t9 t4 "
        "t20 t22 t2 t35 t8 t13 t25 t37 t10 t11 t38 t28 t36 t34 t1 t26",
        "01000110010100001111110011000000000010011110111001",
    ),
    4294967295: (
        "p8 p7 p9 p6 p4 p10 p5 p1 p3 p2 t2 t33 t28 t31 t15 t16 t3 "
        "t23 t4 t32 t14 t30 t11 t7 t36 t20 t35 t1 t24 t38 t5 t12 t18 t17 "
        "t9 t39 t19 t40 t25 t34 t27 t26 t8 t37 t10 t6 t13 t29 t21 t22",
        "01111001101010100111100101100011101000010010010001",
    ),
}


def test_the_order_is_the_scripts() -> None:
    for seed, (names, firsts) in SCRIPT_ORDERS.items():
        order = session_order(seed)
        assert [name for name, _ in order] == names.split()
        assert "".join(str(first) for _, first in order) == firsts


def test_every_order_comes_equally_often() -> None:
    place = np.zeros((PRACTICE, PRACTICE))
    sides = 0
    for seed in range(3000):
        order = session_order(seed * 7919)
        assert sorted(name for name, _ in order) == sorted(trial_name(index) for index in range(WHOLE))
        assert all(name.startswith("p") for name, _ in order[:PRACTICE])
        for index, (name, _) in enumerate(order[:PRACTICE]):
            place[index, int(name[1:]) - 1] += 1
        sides += sum(first for _, first in order)
    assert scipy.stats.chisquare(place.ravel()).pvalue > 1e-4
    assert scipy.stats.binomtest(sides, 3000 * WHOLE).pvalue > 1e-4


# the answers


def test_answers_become_the_table(desk: Street, tmp_path: Path) -> None:
    folder = tmp_path / "amt"
    shutil.copytree(desk.path / "studies" / "amt", folder)
    shutil.copytree(desk.path / "studies" / "runs", folder / "runs")
    key = read_key(folder / "trials.json")
    for seed in range(4):
        saved(tmp_path / "answers" / f"{seed}.json", session(key, 2, seed, lambda name, s=seed: int(name[1:]) <= 4 * s))
    lone = saved(tmp_path / "alone.json", session(key, 1, 99, lambda name: name == "p1"))
    result = desk.done("study", "amt", "--out", folder, "--results", tmp_path / "answers", "--results", lone, "--json")
    rows = json.loads(result.out)["rows"]
    column = "real-or-fake.mean.val"
    assert rows[0]["figures"][column]["mean"] == 0 and rows[0]["figures"][column]["n"] == 1
    cell = rows[1]["figures"][column]
    assert sorted(cell["values"]) == [0, 10, 20, 30]
    assert cell["mean"] == 15 and cell["trials"] == 160 and cell["interval"][0] < 15 < cell["interval"][1]
    table = (folder / "study.md").read_text("utf-8")
    assert f"| L1+cGAN (quick form) | 18.9 | 15.0 ± {cell['std']:.1f} |" in table
    assert "of one participant, so the interval is over trials alone" in table
    assert "in the practice 90 % right" in table
    above = re.search(r"L1\+cGAN is taken for real more often than L1 in ([\d.]+) % of bootstrap samples", table)
    assert above is not None and 99 < float(above[1]) < 100, "but for the samples that draw the one at 0 four times"
    assert "Zhang et al. 2016: labelled real 27.8 +- 2.7" in table
    assert "no vigilance trials" in table
    assert "15.0 ±" in (folder / "study.html").read_text("utf-8")
    once = hashes(folder)
    desk.done("study", "amt", "--out", folder, "--results", lone, "--results", tmp_path / "answers")
    assert hashes(folder) == once, "in whatever order they are named, and as often"
    desk.done("study", "amt", "--out", folder, "--results", lone)
    less = json.loads((folder / "study.json").read_text("utf-8"))
    assert less["rows"][1]["figures"][column].get("mean") is None
    assert "no results yet" in (folder / "study.md").read_text("utf-8")
    desk.done("study", "amt", "--out", folder, "--results", lone, "--results", tmp_path / "answers")
    assert hashes(folder) == once
    desk.done(*MAKE, "--out", folder)
    assert hashes(folder) == once, "the study itself keeps the answers in its table"


def _cut(record: dict[str, Any], path: Path) -> None:
    path.write_text(path.read_text("utf-8")[:-40], "utf-8")


def _written(record: dict[str, Any], path: Path, **more: Any) -> None:
    saved(path, {**record, **more})


def _trial(number: int, **more: Any) -> Callable[[dict[str, Any], Path], None]:
    def change(record: dict[str, Any], path: Path) -> None:
        record["trials"][number - 1] |= more
        saved(path, {**record, "check": _check(record)})

    return change


def _check(record: dict[str, Any]) -> str:
    try:
        return check_of(record)
    except (KeyError, TypeError, ValueError):
        return record["check"]


def _reseeded(record: dict[str, Any], path: Path) -> None:
    record["seed"] += 1
    saved(path, {**record, "check": check_of(record)})


FAULTS: dict[str, tuple[Callable[[dict[str, Any], Path], Any], str]] = {
    "empty": (lambda r, p: p.write_bytes(b""), "not readable as JSON"),
    "cut": (_cut, "not readable as JSON"),
    "binary": (lambda r, p: p.write_bytes(b"\xff\xfe\x00{"), "not readable as JSON"),
    "deep": (lambda r, p: p.write_text("[" * 100_000), "not readable as JSON"),
    "list": (lambda r, p: p.write_text("[]"), "expected a JSON object, got list"),
    "not finite": (lambda r, p: p.write_text('{"seed": NaN}'), "NaN is not a JSON number"),
    "twice a key": (lambda r, p: p.write_text('{"seed": 1, "seed": 2}'), "a key comes twice"),
    "huge": (lambda r, p: p.write_bytes(b" " * 1_000_001), "too large"),
    "missing": (lambda r, p: p.unlink(), "no such file"),
    "something else": (lambda r, p: _written(r, p, format="other"), "not the results"),
    "newer": (lambda r, p: _written(r, p, version=2), "version 2"),
    "another page": (lambda r, p: _written(r, p, page="0" * 64), "another page"),
    "another key": (lambda r, p: _written(r, p, note="x"), "unknown note"),
    "lacking": (lambda r, p: saved(p, {k: v for k, v in r.items() if k != "check"}), "no check"),
    "session": (lambda r, p: _written(r, p, session="../x"), "32 hexadecimal digits"),
    "set": (lambda r, p: _written(r, p, set=4), "set: '4' is not a whole number from 1 to 3"),
    "set zero": (lambda r, p: _written(r, p, set=0), "from 1 to 3"),
    "set true": (lambda r, p: _written(r, p, set=True), "set: 'True'"),
    "seed": (lambda r, p: _written(r, p, seed=-1), "seed: '-1'"),
    "half done": (lambda r, p: _written(r, p, trials=r["trials"][:31]), "31 trials, a session has 50"),
    "no trials": (lambda r, p: _written(r, p, trials=None), "0 trials"),
    "no object": (lambda r, p: _written(r, p, trials=[1] * WHOLE), "trial 1 is not a JSON object"),
    "answer": (_trial(12, answer=3), "trial 12, answer"),
    "time": (_trial(12, answer_ms=1.5), "trial 12, answer_ms"),
    "too short": (_trial(3, shown_ms=[400, 1000]), "trial 3, shown_ms: '400'"),
    "one time": (_trial(3, shown_ms=[1000]), "not two times"),
    "hidden": (_trial(3, hidden=0), "trial 3, hidden"),
    "first": (_trial(3, first=2), "trial 3, first"),
    "unknown in a trial": (_trial(3, right=True), "trial 3: unknown right"),
    "another trial": (_trial(20, id="t999"), "not the one that follows"),
    "another order": (_reseeded, "not the one that follows from the session's seed"),
    "changed": (
        lambda r, p: _written(r, p, trials=[{**t, "answer": 3 - t["answer"]} for t in r["trials"]]),
        "the checksum differs",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_not_of_this_page_or_not_whole_is_refused(
    desk: Street, out: Path, tmp_path: Path, fault: str
) -> None:
    change, words = FAULTS[fault]
    record = session(read_key(out / "trials.json"))
    path = saved(tmp_path / "answers.json", record)
    read_result(path, read_key(out / "trials.json"))
    change(copy.deepcopy(record), path)
    desk.refused(3, words, "answers.json", by=("study", "amt", "--results", path))
    assert not (out / "results.json").exists()


def test_each_of_several_bad_files_is_told(desk: Street, out: Path, tmp_path: Path) -> None:
    key = read_key(out / "trials.json")
    first = saved(tmp_path / "answers" / "a.json", session(key))
    saved(tmp_path / "answers" / "b.json", session(key, seed=8))
    copied = tmp_path / "answers" / "c.json"
    shutil.copy(first, copied)
    desk.refused(3, "c.json", "the same session as", "a.json", by=("study", "amt", "--results", tmp_path / "answers"))
    (tmp_path / "answers" / "d.json").write_text("{")
    result = desk.refused(3, "2 of 4 result files", by=("study", "amt", "--results", tmp_path / "answers"))
    assert "c.json" in result.err and "d.json" in result.err
    desk.refused(3, "0 result files", by=("study", "amt", "--results", desk.path / "data"))


def test_a_key_that_was_changed_is_refused(out: Path, tmp_path: Path) -> None:
    key = json.loads((out / "trials.json").read_text("utf-8"))
    key["sets"][0]["trials"][20]["fake"] ^= 1
    with pytest.raises(DamagedError, match="not as it was written"):
        read_key(saved(tmp_path / "key.json", key))
    with pytest.raises(DamagedError):
        read_key(saved(tmp_path / "key.json", {"format": "other"}))


# the command


def test_what_does_not_go_together_is_refused(desk: Street, out: Path, tmp_path: Path) -> None:
    answers = saved(tmp_path / "answers.json", session(read_key(out / "trials.json")))
    desk.refused(2, "this study asks nobody", "amt", by=("study", "alpha", "--results", answers))
    desk.refused(2, "--split", "amt", by=("study", "alpha", "--split", "val"))
    desk.refused(
        2,
        "--results goes without --seeds, --run",
        by=("study", "amt", "--results", answers, "--run", "x", "--seeds", "2"),
    )
    desk.refused(2, "--run goes without --quick", by=("study", "amt", "--run", "x", "--quick"))
    desk.refused(2, "no page", by=("study", "amt", "--results", answers, "--out", "nowhere"))
    desk.refused(2, "--run", by=("study", "--run", "x"))
    run = str(next((out.parent / "runs").glob("l1-seed0-*")))
    desk.refused(2, "the rows of the study", "--out", by=("study", "amt", "--run", run))
    desk.refused(2, "named twice", by=("study", "amt", "--run", run, "--run", run, "--out", "twice"))
    desk.refused(2, "no run 'x'", by=("study", "amt", "--run", "x", "--out", "none"))


def test_too_few_pictures_are_told_before_any_training(desk: Street, out: Path) -> None:
    prepared_set(desk.path / "data" / "few", val=49, test=50)
    words = ("50 pictures are needed", "there are 49", "--split test has enough")
    desk.refused(3, *words, by=("study", "amt", "--data", "few", "--quick", *NARROW, "--out", "few"))
    run = str(next((out.parent / "runs").glob("l1-seed0-*")))
    desk.refused(3, *words, by=("study", "amt", "--data", "few", "--run", run, "--out", "few"))
    desk.refused(2, "no split", by=("study", "amt", "--split", "vall", "--data", "few", "--run", run, "--out", "few"))
    assert not (desk.path / "few").exists()


def test_runs_that_are_there_are_asked_about(desk: Street, out: Path) -> None:
    runs = [str(path) for path in sorted((out.parent / "runs").glob("l1*"))]
    words = ("study", "amt", "--run", runs[0], "--run", runs[1], "--device", "cpu", "--out", "given")
    record = json.loads(desk.done(*words, "--json").out)
    given = desk.path / "given"
    assert [row["title"] for row in record["rows"]] == runs and record["quick"] is True
    assert record["rows"][0]["figures"]["ssim.mean.val"]["mean"] is not None
    key = read_key(given / "trials.json")
    assert [row["title"] for row in key["about"]["rows"]] == runs
    saved(given / "answers" / "a.json", session(key, 2, fooled=lambda name: name == "t1"))
    desk.done("study", "amt", "--out", "given", "--results", given / "answers")
    assert f"| {runs[1]} (quick form) | – | 2.5 ±" in (given / "study.md").read_text("utf-8")
    before = hashes(given)
    desk.done(*words)
    assert hashes(given) == before
    assert record["command"] == f"citygan study amt --split=val --run={runs[0]} --run={runs[1]}"
    assert record["data"]["path"] == "fifty"
    desk.refused(2, "the page there is of runs", by=("study", "amt", "--run", runs[0], "--out", "given"))
    desk.refused(2, "the page there is of runs", by=(*MAKE, "--out", "given"))


def test_a_row_of_table_5_shows_both_pictures_of_one_input(desk: Street, out: Path) -> None:
    assert "| Colourisation (quick form) | 22.5 | no results yet |" in (out / "study.md").read_text("utf-8")
    for entry in read_key(out / "trials.json")["sets"]:
        same = [trial["fake_stem"] == trial["real_stem"] for trial in entry["trials"]]
        assert all(same) if entry["row"] == "colourisation" else not any(same)
    record = json.loads((out / "study.json").read_text("utf-8"))
    notes = {row["name"]: row["notes"] for row in record["rows"]}
    assert notes["l1"] == [] and "keeps what this row keeps of its input: SSIM 0." in notes["colourisation"][0]


def test_there_is_no_page_of_half_the_rows(desk: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not be replaced when the other half is there."""

    def failing(settings: Any, *arguments: Any, **more: Any) -> None:
        raise DivergedError("the loss g_l1 is not finite", step=1)

    monkeypatch.setattr("citygan.study.running.run_training", failing)
    result = desk.run(*MAKE, "--out", "failing")
    assert result.code == 4 and "no page before every row has its run" in result.err
    assert not (desk.path / "failing" / "trials.html").exists()


def test_a_page_of_other_pictures_is_not_replaced(desk: Street, out: Path) -> None:
    prepared_set(desk.path / "data" / "more", val=WHOLE, test=WHOLE)
    run = str(next((out.parent / "runs").glob("l1-seed0-*")))
    words = ("study", "amt", "--data", "more", "--run", run, "--device", "cpu", "--out", "split")
    desk.done(*words, "--split", "test")
    key = (desk.path / "split" / "trials.json").read_bytes()
    assert desk.run(*words).code == 0, "the split of before is gone on with"
    assert (desk.path / "split" / "trials.json").read_bytes() == key
    result = desk.run(*words, "--split", "val")
    assert result.code == 2 and "a page of something else (split)" in result.error
    assert (desk.path / "split" / "trials.json").read_bytes() == key


# the figures


def test_the_bootstrap_has_the_variance_it_should() -> None:
    """Two levels: variance of the participants' rates, and of binomial draws within each."""
    random = np.random.default_rng(5)
    chances = random.uniform(0.05, 0.45, 30)
    fooled = [list(random.random(TRIALS) < chance) for chance in chances]
    found = rate(fooled, resamples=100_000)
    each = np.array([np.mean(trials) for trials in fooled])
    variance = (each.var() + np.mean(each * (1 - each)) / TRIALS) / len(each)
    assert found.mean == pytest.approx(100 * each.mean())
    assert found.std == pytest.approx(100 * variance**0.5, rel=0.02)
    assert found.resampled.mean() == pytest.approx(found.mean, abs=0.05)
    low, high = scipy.stats.norm.interval(0.95, found.mean, found.std)
    assert found.interval == (pytest.approx(low, abs=0.6), pytest.approx(high, abs=0.6))
    assert found.each == pytest.approx(100 * each) and found.trials == 30 * TRIALS


def test_over_the_trials_of_one_it_is_scipys() -> None:
    """With one participant the resampling is that of the trials alone."""
    trials = [True] * 9 + [False] * 31
    found = rate([trials], resamples=50_000)
    other = scipy.stats.bootstrap(
        (np.array(trials, float),), np.mean, n_resamples=50_000, method="percentile", random_state=1
    )
    assert found.std == pytest.approx(100 * other.standard_error, rel=0.02)
    interval = (100 * other.confidence_interval.low, 100 * other.confidence_interval.high)
    assert found.interval == pytest.approx(interval, abs=2.5 + 1e-9), "to one trial"


def test_the_interval_covers_what_is_true() -> None:
    random = np.random.default_rng(8)
    covered = 0
    for seed in range(200):
        chances = random.beta(2, 8, 40)
        found = rate([list(random.random(TRIALS) < c) for c in chances], seed=seed, resamples=500)
        covered += found.interval[0] <= 20 <= found.interval[1]
    assert 0.9 <= covered / 200 <= 1


def test_rates_are_compared_by_their_samples() -> None:
    always, never = rate([[True] * 4] * 3, seed=1), rate([[False] * 4] * 3, seed=2)
    assert (always.mean, always.std, always.interval) == (100, 0, (100, 100)) and never.mean == 0
    assert share_above(always, never) == 1 and share_above(never, always) == 0
    assert share_above(never, rate([[False]], seed=3)) == 0.5, "ties count half"
    with pytest.raises(ValueError, match="one or more participants"):
        rate([])
    with pytest.raises(ValueError, match="one or more participants"):
        rate([[True], []])


def test_what_sessions_gave_is_told_by_row() -> None:
    titles = {"l1": "L1", "l1-cgan": "L1+cGAN", "none": "nobody's"}
    key = {
        "page": "0",
        "about": {"rows": [{"row": row, "title": title} for row, title in titles.items()]},
        "sets": [{"row": row} for row in titles],
    }
    few, many = (tuple(i < taken for i in range(40)) for taken in (4, 20))
    found = results_of(
        key,
        [
            Session("a", 0, few, practised=10, hidden=0, long=1, median_ms=900.0),
            Session("b", 1, many, practised=9, hidden=1, long=0, median_ms=1000.0),
            Session("c", 1, many, practised=6, hidden=2, long=3, median_ms=1100.0),
            Session("d", 1, many, practised=9, hidden=0, long=0, median_ms=9000.0),
        ],
    )
    one, three = found["rows"]["l1"], found["rows"]["l1-cgan"]
    assert found["rows"]["none"] is None and found["sessions"] == 4
    assert (one["mean"], one["n"], one["trials"], one["median_answer_ms"]) == (10, 1, 40, 900)
    assert (three["mean"], three["n"], three["trials"], three["median_answer_ms"]) == (50, 3, 120, 1100)
    assert (three["practice_right"], three["hidden"], three["long"]) == (80, 3, 3)
    assert found["notes"][1:] == ["L1+cGAN is taken for real more often than L1 in 100.0 % of bootstrap samples"]


def test_a_random_clicker_comes_to_half() -> None:
    random = np.random.default_rng(0)
    found = rate([list(random.random(TRIALS) < 0.5) for _ in range(50)])
    assert found.interval[0] < 50 < found.interval[1] and found.std < 3


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("pix2pix-table-4", "L1: photo to map 2.8 +- 1.0, map to photo 0.8 +- 0.3; L1+cGAN: photo to map 6.1 +- 1.3"),
        ("pix2pix-table-5", "Zhang et al. 2016: labelled real 27.8 +- 2.7; Ours: labelled real 22.5 +- 1.6"),
    ],
)
def test_the_papers_figures_are_told_with_their_plus_minus(table: str, words: str) -> None:
    assert words in figures_in_words(paper_tables()[table])


def test_the_papers_percentages_are_those_of_its_text(shared: Path) -> None:
    text = (shared / "papers" / "004_pix2pix.txt").read_text("utf-8")
    for name in ("pix2pix-table-4", "pix2pix-table-5"):
        for row, figures in paper_tables()[name].rows.items():
            start = rf"{re.escape(row)}( from)?( \[62\])?\t\$"
            line = next(line for line in text.splitlines() if re.match(start, line))
            printed = [float(number) for number in re.findall(r"(\d+\.\d)\\%", line)]
            assert printed == list(figures), line


def test_pictures_are_asked_for_in_numbers() -> None:
    from citygan.study.realfake import check_enough

    check_enough(WHOLE, "here", "")
    with pytest.raises(DataError, match="there are 3"):
        check_enough(3, "here", "")
