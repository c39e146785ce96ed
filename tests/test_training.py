"""A run from its settings: what lies in its folder, and that it stands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import citygan
from citygan.building import about, build
from citygan.config import Layer, Settings, resolve
from citygan.data.labels import TABLES
from citygan.data.store import Item, PreparedSet, Split
from citygan.data.writer import SetWriter
from citygan.errors import DataError
from citygan.pictures import read_photo
from citygan.runs import new_run
from citygan.sheets import GAP, TITLE
from citygan.train.checkpoint import read_state
from citygan.train.distributed import Ranks
from citygan.training import rows_to_show, run_training
from tests.tiny import prepared_set

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "generator": {"width": 4},
    "discriminator": {"width": 4},
    "train": {"steps": 6, "checkpoint_every_steps": 3, "sample_every_steps": 3, "log_every_steps": 2},
}


def _settings(**more: Any) -> Settings:
    return resolve([Layer("tiny", TINY), Layer("more", more)])[0]


def _train(data: PreparedSet, settings: Settings, name: str) -> Path:
    path = new_run(settings, name, about(settings, data, CPU, Ranks()))
    run_training(settings, data, path, CPU, Ranks())
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedSet:
    monkeypatch.chdir(tmp_path)
    return PreparedSet.open(prepared_set(tmp_path / "data" / "tiny"))


def test_a_run_folder_is_what_the_contract_says(data: PreparedSet) -> None:
    path = _train(data, _settings(), "a")
    assert {p.name for p in path.iterdir()} == {
        "config.yaml", "about.yaml", "metrics.jsonl", "samples", "checkpoints", "report.html",
    }  # fmt: skip
    assert sorted(p.name for p in (path / "samples").iterdir()) == ["00000003.png", "00000006.png"]
    assert sorted(p.name for p in (path / "checkpoints").iterdir()) == ["00000003", "00000006"]
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4, 6, 6]
    assert {"d_fake", "d_real", "g_gan", "g_l1", "rate_generator", "pictures_per_s", "epoch"} <= lines[0].keys()
    assert {"val_ssim", "val_psnr"} <= lines[1].keys()
    state = read_state(path / "checkpoints" / "00000006")
    assert {"generator", "discriminator", "optimizer-generator", "optimizer-discriminator"} == set(state["files"])
    page = (path / "report.html").read_text()
    assert "data:image/png;base64," in page and "<svg" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)  # nothing to fetch


def test_a_training_sample_and_translate_agree(data: PreparedSet) -> None:
    path = _train(data, _settings(), "a")
    sheet = read_photo(path / "samples" / "00000006.png")
    city = citygan.load(path)
    val = data.split("val")
    assert val.label is not None
    for row in range(2):
        shown = sheet[TITLE + row * (32 + GAP) : TITLE + row * (32 + GAP) + 32, 32 + GAP : 64 + GAP]
        assert np.array_equal(shown, city.translate(val.label[row]))


def _split(*scenes: int | None) -> Split:
    """A split of scenes with so many frames; None: a picture of no scene."""
    items = []
    for number, frames in enumerate(scenes):
        names = [None] if frames is None else [f"scene {number}"] * frames
        items += [Item(f"{number}-{i}", {}, (8, 8), name, i) for i, name in enumerate(names)]
    return Split("val", Path(), items)


@pytest.mark.parametrize(
    ("scenes", "rows"),
    [
        ((None,) * 2, [0, 1]),
        ((None,) * 40, [5, 15, 25, 35]),
        ((2,) * 25, [7, 19, 31, 43]),
        ((2, 2), [1, 3]),  # and not four times nearly the same
        ((2,), [1]),
        ((30, 30), [7, 22, 37, 52]),
        ((3, None, 40, None), [1, 3, 24, 44]),
        ((50,), [6, 18, 31, 43]),
    ],
)
def test_samples_are_of_as_many_scenes_as_there_are(scenes: tuple[int | None, ...], rows: list[int]) -> None:
    assert rows_to_show(_split(*scenes)) == rows


def test_a_checkpoint_folder_alone_is_enough(data: PreparedSet, tmp_path: Path) -> None:
    path = _train(data, _settings(), "a")
    label = np.asarray(data.split("val").label)[0]  # type: ignore[index]
    expected = citygan.load("a").translate(label)
    alone = tmp_path / "elsewhere"
    (path / "checkpoints" / "00000006").rename(alone)
    assert np.array_equal(citygan.load(alone).translate(label), expected)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data: PreparedSet) -> None:
    def weights(seed: int, name: str) -> bytes:
        path = _train(data, _settings(seed=seed), name)
        return (path / "checkpoints" / "00000006" / "generator.safetensors").read_bytes()

    assert weights(3, "a") == weights(3, "b") != weights(4, "c")


def test_the_checkpoint_knows_how_it_translates(data: PreparedSet) -> None:
    label = np.asarray(data.split("val").label)[0]  # type: ignore[index]
    modes = {}
    for mode in ("paper", "running", "deterministic"):
        _train(data, _settings(inference=mode), mode)
        city = citygan.load(mode)
        modes[mode] = city.translate(label)
        assert np.array_equal(modes[mode], city.translate(label))
        other = city.translate(label, sample=1)
        assert np.array_equal(modes[mode], other) == (mode == "deterministic")
    assert not np.array_equal(modes["paper"], modes["running"])
    assert _settings(train={"batch": 2}).inference_mode == "running"
    assert _settings().inference_mode == "paper"


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (1, 1), (20, 100)])
def test_output_has_the_size_of_the_input(data: PreparedSet, shape: tuple[int, int]) -> None:
    _train(data, _settings(), "a")
    label = np.full(shape, 7, np.uint8)
    assert citygan.load("a").translate(label).shape == (*shape, 3)
    assert citygan.load("a").translate(label[None].repeat(3, 0)).shape == (3, *shape, 3)


def test_arrays_that_cannot_be_translated_are_told(data: PreparedSet) -> None:
    _train(data, _settings(), "a")
    city = citygan.load("a")
    label = np.full((2, 32, 32), 7, np.uint8)
    with pytest.raises(DataError, match=r"no pictures in an array of shape \(0, 32, 32\)"):
        city.translate(label[:0])
    with pytest.raises(DataError, match=r"200 \(2048 pixels\)\. .*citygan translate --classes NAME.*in Python"):
        city.translate(label + 193)


def test_tiles_cover_the_picture_and_blend(data: PreparedSet) -> None:
    """With a generator that keeps each pixel, tiles must give just what the whole gives."""
    _train(data, _settings(), "a")
    city = citygan.load("a", mode="deterministic")
    city.generator = torch.nn.Identity()
    city.multiple = 1
    label = np.random.default_rng(0).choice(np.array([7, 8, 11, 26], np.uint8), (200, 300))
    whole = city.translate(label)
    for tile in ((128, 128), (300, 128), (129, 200), (512, 512)):
        assert np.array_equal(city.translate(label, tile=tile), whole)


def test_ema_weights_are_the_ones_that_translate(data: PreparedSet) -> None:
    path = _train(data, _settings(train={"ema": 0.9}), "a")
    state = read_state(path / "checkpoints" / "00000006")
    assert state["use"] == "generator-ema"
    assert "generator-ema" in state["files"]
    label = np.asarray(data.split("val").label)[0]  # type: ignore[index]
    plain = _train(data, _settings(), "b")
    assert not np.array_equal(citygan.load(path).translate(label), citygan.load(plain).translate(label))


def test_one_hot_input_with_instance_edges_needs_instances(data: PreparedSet) -> None:
    with pytest.raises(DataError, match="no instance maps"):
        build(_settings(input={"encoding": "onehot", "instance_edges": True}), data)
    built = build(_settings(input={"encoding": "onehot"}), data)
    assert built.inputs.channels == len(data.classes.classes)  # type: ignore[union-attr]


def test_a_size_that_cannot_be_halved_is_refused_with_the_nearest(tmp_path: Path) -> None:
    odd = PreparedSet.open(prepared_set(tmp_path / "odd", size=(60, 36)))
    with pytest.raises(DataError, match=r"60x36 cannot be halved 4 times.*--size 64x32"):
        build(_settings(), odd)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("label", r"no photos to learn from, .*alone\. Prepare .* both sides.*; a trained run .* citygan translate "),
        ("photo", r"neither label maps nor source pictures, .*alone\. Prepare a folder with both sides"),
    ],
)
def test_a_set_of_one_side_says_what_to_do(tmp_path: Path, kind: str, words: str) -> None:
    writer = SetWriter(tmp_path / "alone", size=(32, 32), plan={})
    array = np.zeros((32, 32) if kind == "label" else (32, 32, 3), np.uint8)
    arrays: dict[str, Any] = {kind: array}
    writer.split("test" if kind == "label" else "train").append(Item("x", {}, (32, 32)), **arrays)
    writer.finish({"photo_channels": 3, "classes": TABLES["cityscapes"].to_dict() if kind == "label" else None})
    with pytest.raises(DataError, match=words):
        build(_settings(), PreparedSet.open(tmp_path / "alone"))


def test_tensorboard_gets_the_log(data: PreparedSet) -> None:
    pytest.importorskip("tensorboard")
    path = _train(data, _settings(train={"tensorboard": True}), "a")
    assert any(p.name.startswith("events") for p in (path / "tensorboard").iterdir())


def test_fine_tuning_starts_from_the_weights_of_another_run(data: PreparedSet) -> None:
    first = _train(data, _settings(), "a")
    settings = _settings(optimizer={"rate": 1e-9}, train={"steps": 1}, seed=9)
    path = new_run(settings, "b", about(settings, data, CPU, Ranks()))
    run_training(settings, data, path, CPU, Ranks(), init=first / "checkpoints" / "00000006")
    label = np.asarray(data.split("val").label)[0]  # type: ignore[index]
    a, b = (citygan.load(run, seed=0).translate(label) for run in ("a", "b"))
    assert np.abs(a.astype(int) - b).max() <= 1


def test_metrics_that_are_not_finite_become_null(tmp_path: Path) -> None:
    from citygan.train.logs import MetricsLog, read_lines

    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.append({"step": 1, "loss": float("nan")})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')  # cut short
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": None}]
    MetricsLog(tmp_path / "metrics.jsonl", 0)
    assert read_lines(tmp_path / "metrics.jsonl") == []


def test_a_run_that_never_saved_resumes_from_the_weights_it_was_to_start_from(data: PreparedSet) -> None:
    first = _train(data, _settings(), "a") / "checkpoints" / "00000006"
    settings = _settings(init=str(first.absolute()), optimizer={"rate": 1e-9}, train={"steps": 1})
    path = new_run(settings, "b", about(settings, data, CPU, Ranks()))
    run_training(settings, data, path, CPU, Ranks(), resume=True)
    label = np.asarray(data.split("val").label)[0]  # type: ignore[index]
    a, b = (citygan.load(run, seed=0).translate(label) for run in ("a", "b"))
    assert np.abs(a.astype(int) - b).max() <= 1


def test_a_damaged_older_checkpoint_does_not_end_a_training(data: PreparedSet) -> None:
    path = _train(data, _settings(), "a")
    (path / "checkpoints" / "00000003" / "state.json").write_text("{}")
    longer = _settings(train={"steps": 9})
    run_training(longer, data, path, CPU, Ranks(), resume=True)
    assert citygan.load(path).step == 9


def test_a_damaged_newer_checkpoint_is_set_aside(data: PreparedSet) -> None:
    path = _train(data, _settings(), "a")
    (path / "checkpoints" / "00000006" / "generator.safetensors").write_bytes(b"torn")
    run_training(_settings(), data, path, CPU, Ranks(), resume=True)
    names = sorted(p.name for p in (path / "checkpoints").iterdir())
    assert names == ["00000003", "00000006", "damaged-00000006"]
    assert citygan.load(path).step == 6


def test_two_trainings_leave_the_default_run_to_the_one_that_saved_last_for_the_first_time(data: PreparedSet) -> None:
    _train(data, _settings(), "a")
    _train(data, _settings(), "b")
    assert Path("runs/last").read_text() == "b\n"


def test_dropout_in_training_is_drawn_from_seed_and_step(data: PreparedSet) -> None:
    def losses(seed: int, name: str) -> list[Any]:
        path = _train(data, _settings(seed=seed, augment={"jitter": 1.0, "mirror": False}), name)
        return [line.get("g_l1") for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())]

    assert losses(1, "a") == losses(1, "b") != losses(2, "c")
