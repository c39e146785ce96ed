"""The commands as the contract has them: three lines in an empty folder, paths on stdout, one JSON object."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import citygan
from citygan.cli import app
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Item
from citygan.data.writer import SetWriter
from citygan.pictures import encode_png
from citygan.presets import PRESETS
from tests.street import NARROW, Street, environment, hashes

COMMANDS = ("prepare", "train", "translate", "video", "weights", "evaluate", "study", "models")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """An empty folder in which the three lines were typed, on a demo city of two scenes."""
    path = tmp_path_factory.mktemp("an empty folder")
    with contextlib.chdir(path), pytest.MonkeyPatch.context() as patch:
        for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
            patch.delenv(name, raising=False)
        patch.setattr("citygan.report._curves", lambda lines: "")
        street = Street(path)
        prepared = street.done("prepare", "demo", "--limit", "2", "--size", "64")
        assert prepared.paths == ["data/demo", "data/demo-graphics"]
        assert prepared.err.splitlines()[-1] == "next: citygan train"
        yield street


@pytest.fixture
def here(city: Street, monkeypatch: pytest.MonkeyPatch) -> Street:
    monkeypatch.chdir(city.path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    return city


def test_the_three_lines(here: Street) -> None:
    trained = here.done("train", "--model", "pix2pix", *NARROW, "--steps", "2")
    assert trained.out == "runs/pix2pix-1\n"
    assert "using data/demo" in trained.err and "quick form" in trained.err
    assert trained.err.splitlines()[-1] == "next: citygan translate labels/ out/"
    assert Path("runs/last").read_text() == "pix2pix-1\n" and Path("data/last").read_text() == "demo\n"

    translated = here.done("translate", "labels/", "out/")
    labels = sorted(os.listdir("labels"))
    assert sorted(translated.paths) == [f"out/{name}" for name in labels] and labels
    assert "using runs/pix2pix-1, step 2" in translated.err
    assert translated.err.splitlines()[-1] == "next: citygan evaluate --metric ssim"
    for name in labels:
        label, photo = (cv2.imdecode(np.fromfile(f"{folder}/{name}", np.uint8), -1) for folder in ("labels", "out"))
        assert label is not None and photo is not None
        assert photo.shape == (*label.shape[:2], 3) and photo.dtype == np.uint8

    scored = here.done("evaluate", "--metric", "ssim")
    head, row = scored.paths[:2]
    assert head.split()[0] == "metric" and "mean-colour painting" in head and row.startswith("ssim")
    assert "using runs/pix2pix-1, step 2, on data/demo, split val" in scored.err

    figures = here.done("evaluate", "--metric", "ssim", "--json")
    result = json.loads(figures.out)
    assert figures.out.count("\n") == 1
    assert {"run", "split", "images", "metrics", "protocol"} <= result.keys()
    assert {"mean", "std", "n", "mean_colour"} <= result["metrics"]["ssim"].keys()
    assert result["run"] == "runs/pix2pix-1" and result["split"] == "val" and result["images"] > 0

    record = json.loads(here.done("translate", "labels/", "out/", "--force", "--json").out)
    assert sorted(record["written"]) == sorted(translated.paths) and record["failed"] == [] and record["step"] == 2

    # the second run, named by number; translations chain
    assert here.done("train", *NARROW, "--steps", "1").out == "runs/pix2pix-2\n"
    split = here.done("translate", "data/demo", "val", "--run", "pix2pix-1", "--samples", "2", "--suffix", ".jpg")
    assert len(split.paths) == 2 * result["images"] and all(path.endswith(("-1.jpg", "-2.jpg")) for path in split.paths)
    chained = here.done("evaluate", "--fake", "out", "--real", "out", "--json")
    psnr = json.loads(chained.out)["metrics"]["psnr"]
    assert psnr["mean"] is None and psnr["infinite"] == len(labels) and psnr["reason"]


def test_train_as_one_object(here: Street) -> None:
    done = here.done("train", *NARROW, "--steps", "2", "--name", "j", "--json")
    record = json.loads(done.out)
    assert done.out.count("\n") == 1 and done.err.splitlines()[-1].startswith("next: ")
    assert (record["run"], record["step"], record["steps"], record["quick"]) == ("runs/j", 2, 2, True)
    assert record["score"] == record["figures"]["ssim"] == record["best"]["score"] and record["best"]["step"] == 2
    assert Path(record["report"]).is_file() and Path(record["checkpoint"], "state.json").is_file()
    assert record["data"]["name"] == "demo" and record["validation"]["split"] == "val"
    plan = json.loads(here.done("train", *NARROW, "--name", "k", "--dry-run", "--json").out)
    assert plan["settings"]["generator"]["width"] == 4 and plan["origins"]["generator.width"] == "--set"
    # refused, as in any command: nothing on stdout
    assert here.refused(2, "already finished", by=("train", "--resume", "j", "--json")).out == ""


def test_with_nothing_prepared_train_prepares_the_demo_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from citygan.data import city, prepare

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    small = lambda: city.prepare_demo(limit=1, size=(64, 64))  # noqa: E731
    monkeypatch.setattr(prepare, "prepare_demo", small)
    result = Street(tmp_path).done("train", *NARROW, "--steps", "1")
    assert "nothing is prepared yet: preparing the demo city" in result.err
    assert result.out == "runs/pix2pix-1\n" and Path("labels").is_dir()


def test_a_labels_folder_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels").mkdir()
    Path("labels/mine.png").write_bytes(b"mine")
    Street(tmp_path).done("prepare", "demo", "--limit", "1", "--size", "64")
    assert os.listdir("labels") == ["mine.png"]


def test_prepare_goes_to_stdout_as_paths_or_one_object(here: Street) -> None:
    before = hashes(here.path)
    plan = json.loads(
        here.done("prepare", "demo", "--limit", "2", "--size", "64", "--out", "d2", "--dry-run", "--json").out
    )
    assert plan["size"] == [64, 64] and hashes(here.path) == before
    again = here.refused(
        2, "exists already", "data/demo", "--force", by=("prepare", "demo", "--limit", "2", "--size", "64")
    )
    assert again.out == ""


KINDS = {
    "no val": ({"train": ("photo", "label")}, "train"),
    "val without photos": ({"train": ("photo", "label"), "val": ("label",)}, "train"),
    "test with photos": ({"train": ("photo", "label"), "val": ("label",), "test": ("photo", "label")}, "test"),
    "pairs": ({"train": ("photo", "source"), "val": ("photo", "source")}, "val"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_line_works_whatever_the_set(street: Street, kind: str) -> None:
    splits, validation = KINDS[kind]
    is_pairs = kind == "pairs"
    writer = SetWriter(Path("data/s et"), size=(32, 32), plan={})
    picture = CITYSCAPES.palette[np.kron([[7, 11], [21, 26]], np.ones((16, 16), int))]
    arrays = {"photo": picture, "source": picture[:, ::-1], "label": np.full((32, 32), 7, np.uint8)}
    for split, kinds in splits.items():
        for i in range(2):
            writer.split(split).append(Item(f"{split}{i}", {}, (32, 32)), **{kind: arrays[kind] for kind in kinds})
    table = None if is_pairs else CITYSCAPES.to_dict()
    writer.finish({"photo_channels": 3, "source_channels": 3 if is_pairs else None, "classes": table})
    done = street.done("train", "--data", "s et", *NARROW, "--steps", "1", "--name", "r un")
    assert ("validating on" in done.err) == (validation != "val")
    for _ in range(3):
        words = shlex.split(done.err.splitlines()[-1])
        assert words[:2] == ["next:", "citygan"], done.err
        done = street.done(*words[2:])
    assert words[2] == "translate" and len(os.listdir("out")) == 2


def test_models(here: Street) -> None:
    text = here.done("models")
    assert all(name in text.out for name in PRESETS) and text.err == ""
    rows = json.loads(here.done("models", "--json").out)["models"]
    assert list(rows) == list(PRESETS) and rows["pix2pix"]["source"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(here: Street, command: str) -> None:
    for flag in ("--help", "-h"):
        shown = here.done(command, flag)
        assert shown.err == "" and f"citygan {command}" in shown.out
    assert command in here.done("--help").out


def test_every_flag_is_explained() -> None:
    import typer

    group = typer.main.get_command(app)
    assert sorted(group.commands) == sorted(COMMANDS)  # type: ignore[attr-defined]
    inner = group.commands["weights"].commands  # type: ignore[attr-defined]
    assert sorted(inner) == ["export", "fetch", "import"]
    for name, command in [*group.commands.items(), *inner.items()]:  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
            assert not any(option.startswith("--no-") for option in parameter.opts + parameter.secondary_opts)


def test_version_and_no_command(here: Street) -> None:
    assert here.done("--version").out == f"citygan {citygan.__version__}\n"
    nothing = here.run()
    assert nothing.code == 2 and "Usage" in nothing.out + nothing.err and "error:" not in nothing.err


def test_debug_may_stand_anywhere(here: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("--debug", "train", "--data", "no"), ("train", "--data", "no", "--debug")):
        assert "Traceback" in here.run(*arguments).err
    assert "Traceback" not in here.run("train", "--data", "no").err
    monkeypatch.setenv("CITYGAN_DEBUG", "1")
    assert "Traceback" in here.run("train", "--data", "no").err


def test_a_bug_of_ours_is_exit_1_in_one_line(here: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str | None) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("citygan.data.store.resolve_set", broken)
    result = here.run("train", "--data", "demo")
    assert result.code == 1 and result.err == (
        "error: a bug of ours: ZeroDivisionError: two lines. CITYGAN_DEBUG=1 shows where; please report it\n"
    )


def test_a_library_that_is_missing_is_said(here: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "citygan.data.prepare", None)
    result = here.run("prepare", "demo")
    assert result.code == 5 and "citygan.data.prepare is missing" in result.error


def test_homes_from_the_environment(here: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYGAN_RUNS_HOME", str(tmp_path / "ru ns"))
    assert here.done("train", *NARROW, "--steps", "1").out == f"{tmp_path}/ru ns/pix2pix-1\n"
    assert (tmp_path / "ru ns/last").read_text() == "pix2pix-1\n"
    monkeypatch.setenv("CITYGAN_DATA_HOME", str(here.path / "data"))
    monkeypatch.chdir(tmp_path)
    here.done("evaluate", "--metric", "l1")


@pytest.mark.parametrize("how", [["-m", "citygan"], ["-c", "import citygan.cli; citygan.cli.main()"]])
def test_it_runs_as_a_module_and_as_a_script(how: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *how, "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"citygan {citygan.__version__}\n" and done.stderr == ""


def test_python_has_the_same_two_functions(here: Street) -> None:
    assert citygan.__all__ == ["__version__", "evaluate", "load"]
    assert callable(citygan.load) and callable(citygan.evaluate)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = citygan.lode


def test_a_table_of_ones_own_is_another_where_its_classes_are(street: Street) -> None:
    tables = {"a": ("road", "sky"), "b": ("sky", "road")}
    for folder, names in tables.items():
        classes = [{"id": i, "name": name, "colour": [9 * i, 0, 0], "train_id": i} for i, name in enumerate(names)]
        (street.path / folder).mkdir()
        (street.path / folder / "classes.yaml").write_text(json.dumps(classes), encoding="utf-8")
    random = np.random.default_rng(0)
    ids = np.kron(random.integers(0, 2, (2, 2)), np.ones((16, 16))).astype(np.uint8)
    for name, picture in (("labels", ids), ("photos", random.integers(0, 255, (32, 32, 3), np.uint8))):
        (street.path / "own" / name).mkdir(parents=True)
        (street.path / "own" / name / "0.png").write_bytes(encode_png(picture))
    (street.path / "swapped").mkdir()
    (street.path / "swapped" / "0.png").write_bytes(encode_png(1 - ids))
    street.done("prepare", "own", "--classes", "a/classes.yaml", "--size", "32")
    street.done("train", "--data", "own", *NARROW, "--steps", "1", "--name", "own")
    street.done("translate", "own/labels", "one")
    street.done("translate", "swapped", "two", "--classes", "b/classes.yaml")
    assert hashes(street.path / "one") == hashes(street.path / "two")
    street.done("translate", "swapped", "three")
    assert hashes(street.path / "one") != hashes(street.path / "three")


def test_pictures_of_others_among_the_samples_do_no_harm(street: Street) -> None:
    (street.path / "runs" / "a" / "samples" / "mine.png").write_bytes(encode_png(np.zeros((4, 4), np.uint8)))
    street.done("train", "--resume", "a", "--steps", "4")
    assert "mine" not in (street.path / "runs" / "a" / "report.html").read_text(encoding="utf-8")


def test_that_there_is_no_run_is_said_before_anything_slow_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from citygan.cli import run\n"
        "lines = (['evaluate'], ['translate', 'x', 'out'], ['train', '--resume', 'last'], ['evaluate', '--run', 'x'])\n"
        "assert [run(line) for line in lines] == [2] * 4 and 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr.count("error: no run yet: there is none in runs/. citygan train --model pix2pix") == 3
