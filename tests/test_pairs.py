"""Pairs without a class table: picture to picture, 1 to 3 channels, by the same commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from citygan.cli import run

TINY = ["--set", "generator.width=4", "--set", "discriminator.width=4", "--steps", "3"]


def _pairs(folder: Path, *, grey: bool, count: int = 3) -> None:
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        for i in range(count):
            shape = (32, 64) if grey else (32, 64, 3)
            Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / split / f"{i}.png")


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_go_all_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], grey: bool, direction: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _pairs(tmp_path / "edges", grey=grey)
    assert run(["prepare", "edges", "--size", "32x32", "--direction", direction]) == 0, capsys.readouterr().err
    assert run(["train", "--data", "edges", *TINY]) == 0, capsys.readouterr().err
    # the input side of the pairs, as files of their own size
    (tmp_path / "in").mkdir()
    with Image.open("edges/val/0.png") as pair:
        half = pair.crop((0, 0, 32, 32) if direction == "AtoB" else (32, 0, 64, 32))
        half.resize((40, 24)).save("in/a.png")
    assert run(["translate", "in", "out"]) == 0, capsys.readouterr().err
    with Image.open("out/a.png") as made:
        assert made.size == (40, 24)
        assert made.mode == ("L" if grey else "RGB")
    capsys.readouterr()
    assert run(["evaluate", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == 3
    assert 0 < result["metrics"]["l1"]["mean"] < 255
    assert result["metrics"]["ssim"]["mean_colour"]["mean"] is not None  # of the mean training photo


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_of_a_pair_the_input_side_is_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], direction: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _pairs(tmp_path / "edges", grey=False)
    assert run(["prepare", "edges", "--size", "32x32", "--direction", direction]) == 0
    assert run(["train", *TINY]) == 0
    assert run(["translate", "edges/val", "whole"]) == 0, capsys.readouterr().err
    with Image.open("edges/val/0.png") as pair:
        pair.crop((0, 0, 32, 32) if direction == "AtoB" else (32, 0, 64, 32)).save("0.png")
    assert run(["translate", "0.png", "half"]) == 0
    assert Path("whole/0.png").read_bytes() == Path("half/0.png").read_bytes()
    assert run(["translate", "data/edges", "prepared"]) == 0
    assert Path("prepared/0.png").read_bytes() == Path("half/0.png").read_bytes()
    Path("prepared/1.png").unlink()
    capsys.readouterr()
    assert run(["translate", "data/edges", "prepared", "--missing"]) == 0
    assert capsys.readouterr().out == "prepared/1.png\n"


def test_the_other_direction_learns_the_other_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _pairs(tmp_path / "edges", grey=False)
    assert run(["prepare", "edges", "--size", "32x32", "--out", "data/ab"]) == 0
    assert run(["prepare", "edges", "--size", "32x32", "--out", "data/ba", "--direction", "BtoA"]) == 0
    ab, ba = (np.load(f"data/{name}/train/source.npy") for name in ("ab", "ba"))
    assert np.array_equal(ab, np.load("data/ba/train/photo.npy"))
    assert np.array_equal(ba, np.load("data/ab/train/photo.npy"))
    with Image.open("edges/train/0.png") as pair:
        assert np.array_equal(ab[0], np.asarray(pair)[:, :32])


def test_a_model_of_grey_pictures_refuses_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _pairs(tmp_path / "edges", grey=True)
    assert run(["prepare", "edges", "--size", "32x32"]) == 0
    assert run(["train", *TINY]) == 0
    Image.new("RGB", (32, 32), (255, 0, 0)).save("red.png")
    assert run(["translate", "red.png", "out"]) == 3
    assert "takes grey pictures" in capsys.readouterr().err
