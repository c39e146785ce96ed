"""evaluate: folders, arrays, a run; figures with their painting and protocol; nothing scored in part."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import citygan
from citygan.cli import run as command
from citygan.config import Layer, resolve
from citygan.data.labels import CAMVID11
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.errors import CityganError, DataError, MachineError, UsageError
from citygan.evaluation import evaluate_folders, evaluate_run
from citygan.figurefile import cell
from citygan.files import write_last
from citygan.metrics import METRICS
from citygan.metrics.painting import fit_mean_colours, paint
from citygan.metrics.pictures import l1, psnr, ssim
from citygan.pictures import encode_png

UInt8 = npt.NDArray[np.uint8]
SIDE = 32
NAMES = ["a", "b c", "é", "=1+1", "sub/d"]


def scene(seed: int) -> tuple[UInt8, UInt8]:
    """A label map of bands and a photo of it: each class its colour, with noise."""
    rng = np.random.default_rng(seed)
    label = np.sort(rng.integers(0, 11, (SIDE, 1)), axis=0).repeat(SIDE, axis=1).astype(np.uint8)
    photo = CAMVID11.palette[label] * 0.6 + 40 + rng.normal(0, 12, (SIDE, SIDE, 3))
    return label, np.clip(np.rint(photo), 0, 255).astype(np.uint8)


def save(folder: Path, name: str, picture: UInt8) -> Path:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))
    return path


def blurred(photo: UInt8) -> UInt8:
    return np.asarray(cv2.GaussianBlur(photo, (5, 5), 0), np.uint8)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    path = tmp_path_factory.mktemp("home") / "data" / "bands"
    writer = SetWriter(path, size=(SIDE, SIDE), plan={})
    for split, seeds in (("train", range(6)), ("val", range(10, 14))):
        for seed in seeds:
            label, photo = scene(seed)
            item = Item(f"{split}-{seed}", {"photo": f"{seed}.png"}, (SIDE, SIDE))
            writer.split(split).append(item, photo=photo, label=label, source=blurred(photo))
    writer.finish({"classes": CAMVID11.to_dict(), "photo_channels": 3, "source_channels": 3})
    return PreparedSet.open(path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        label, photo = scene(20 + seed)
        save(tmp_path / "real", name, photo)
        save(tmp_path / "fake", name, blurred(photo))
        save(tmp_path / "labels", name, label)
    return tmp_path


def told(result: dict[str, Any]) -> dict[str, Any]:
    """Through JSON and back, which has no NaN and no infinity."""
    return dict(json.loads(json.dumps(result, allow_nan=False)))


# arrays


def test_arrays_are_scored() -> None:
    real = np.stack([scene(seed)[1] for seed in range(4)])
    fake = np.stack([blurred(photo) for photo in real])
    result = citygan.evaluate(fake, real, metrics=["ssim"])
    assert result["images"] == 4 and list(result["metrics"]) == ["ssim"]
    figure = result["metrics"]["ssim"]
    assert figure["mean"] == pytest.approx(ssim(fake, real).mean()) and figure["n"] == 4
    assert figure["std"] == pytest.approx(ssim(fake, real).std())
    assert result["protocol"]["size"] == f"{SIDE}x{SIDE}" and result["protocol"]["metrics"]["ssim"]["window"] == 7
    assert told(result) == result
    assert list(citygan.evaluate(fake[0], real[0])["metrics"]) == ["ssim", "psnr", "l1"]


def test_iterables_are_scored_as_they_come() -> None:
    photos = [scene(seed)[1][: 20 + seed] for seed in range(3)]

    def fakes() -> Iterator[UInt8]:
        yield from (blurred(photo) for photo in photos)

    result = citygan.evaluate(fakes(), iter(photos), metrics=["l1"])
    assert result["metrics"]["l1"]["mean"] == pytest.approx(np.mean([l1(blurred(p), p)[0] for p in photos]))
    assert result["protocol"]["size"] is None and result["protocol"]["sizes"] == {"32x20": 1, "32x21": 1, "32x22": 1}
    with pytest.raises(DataError, match="fewer real"):
        citygan.evaluate(photos, photos[:2])
    with pytest.raises(DataError, match="no pictures"):
        citygan.evaluate([], [])


def test_equal_pictures_have_no_psnr() -> None:
    real = np.stack([scene(seed)[1] for seed in range(3)])
    fake = real.copy()
    figure = told(citygan.evaluate(fake, real))["metrics"]["psnr"]
    assert figure["mean"] is None and figure["infinite"] == 3 and "equals" in figure["reason"]
    fake[1] = blurred(real[1])
    figure = told(citygan.evaluate(fake, real))["metrics"]["psnr"]
    assert figure["n"] == 1 and figure["infinite"] == 2 and figure["mean"] == psnr(fake[1], real[1])[0]


# folders


def test_folders_are_matched_by_name_and_compared_with_the_painting(folders: Path, prepared: PreparedSet) -> None:
    result = evaluate_folders(
        folders / "fake",
        folders / "real",
        list(METRICS),
        folders / "labels",
        data=prepared,
        per_image=folders / "f.csv",
    )
    train = prepared.split("train")
    assert train.photo is not None and train.label is not None
    palette = fit_mean_colours(zip(train.label, train.photo, strict=True))
    scenes = [scene(20 + seed) for seed in range(len(NAMES))]
    real = np.stack([photo for _, photo in scenes])
    fake = np.stack([blurred(photo) for photo in real])
    painting = np.stack([paint(label, palette) for label, _ in scenes])
    assert result["images"] == len(NAMES) and told(result) == result
    for name, function in (("ssim", ssim), ("psnr", psnr), ("l1", l1)):
        figure = result["metrics"][name]
        assert figure["mean"] == pytest.approx(function(fake, real).mean(), abs=1e-9)
        assert figure["mean_colour"]["mean"] == pytest.approx(function(painting, real).mean(), abs=1e-9)
    assert result["metrics"]["gradient"]["mean_colour"]["mean"] > 0.3  # bands of one colour have no gradients
    about = result["protocol"]["mean_colour"]
    assert about["checksum"] == prepared.checksum and about["pictures"] == 6 and "class" in about["kind"]
    rows = list(csv.DictReader((folders / "f.csv").open(encoding="utf-8", newline="")))
    assert [row["picture"] for row in rows] == ["'=1+1", "a", "b c", "sub/d", "é"]
    assert float(rows[1]["ssim"]) == ssim(fake[0], real[0])[0]
    assert float(rows[1]["ssim_mean_colour"]) == ssim(painting[0], real[0])[0]


def test_the_same_pictures_in_other_formats_are_the_same(folders: Path) -> None:
    first = evaluate_folders(folders / "fake", folders / "real")
    (folders / "fake" / "a.png").rename(folders / "fake" / "a.PNG")
    (folders / "fake" / "Thumbs.db").write_bytes(b"x")
    (folders / "fake" / ".hidden.png").write_bytes(b"x")
    (folders / "fake" / "loop").symlink_to(folders / "fake")
    again = evaluate_folders(folders / "fake", folders / "real")
    assert again == first


def test_names_may_tell_photos_from_label_maps_as_in_cityscapes(tmp_path: Path, prepared: PreparedSet) -> None:
    for seed in range(3):
        label, photo = scene(seed)
        place = f"frankfurt/frankfurt_{seed:06d}_000019"
        save(tmp_path / "leftImg8bit/val", f"{place}_leftImg8bit", photo)
        save(tmp_path / "gtFine/val", f"{place}_gtFine_labelIds", label)
        save(tmp_path / "gtFine/val", f"{place}_gtFine_color", CAMVID11.palette[label])
        save(tmp_path / "gtFine/val", f"{place}_gtFine_instanceIds", label)
        save(tmp_path / "out", f"{place}_gtFine_labelIds", blurred(photo))  # what `translate` names its pictures
    result = evaluate_folders(
        tmp_path / "out", tmp_path / "leftImg8bit/val", labels=tmp_path / "gtFine/val", data=prepared
    )
    assert result["images"] == 3 and result["metrics"]["ssim"]["mean_colour"]["n"] == 3
    by_labels_name = evaluate_folders(tmp_path / "out", tmp_path / "out", labels=tmp_path / "gtFine/val", data=prepared)
    assert by_labels_name["metrics"]["l1"]["mean"] == 0 and by_labels_name["metrics"]["l1"]["mean_colour"]["n"] == 3


def _spoil(folders: Path, how: str) -> None:
    fake, real, labels = folders / "fake", folders / "real", folders / "labels"
    photo = scene(20)[1]
    if how == "missing":
        (fake / "a.png").unlink()
    elif how == "extra":
        save(fake, "z", photo)
    elif how == "size":
        save(fake, "a", photo[:-1])
    elif how == "truncated":
        (fake / "a.png").write_bytes((fake / "a.png").read_bytes()[:-40])
    elif how == "two":
        (real / "a.png").rename(real / "a.jpg")
        save(real, "a", photo)
        (real / "a.jpg").write_bytes(b"x")
    elif how == "others":
        real.rename(folders / "old")
        save(real, "x", photo)
    elif how == "empty":
        fake.rename(folders / "old")
        fake.mkdir()
    elif how == "absent":
        fake.rename(folders / "old")
    elif how == "no label":
        (labels / "a.png").unlink()
    elif how == "label size":
        save(labels, "a", scene(20)[0][:-2])
    elif how == "label ids":
        save(labels, "a", np.full((SIDE, SIDE), 77, np.uint8))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", r"without a partner: a only in .*real"),
        ("extra", r"without a partner: z only in .*fake"),
        ("size", r"fake/a.png is 32x31, .*real/a.png is 32x32"),
        ("truncated", r"truncated PNG, .*fake/a.png"),
        ("two", r"two pictures of one name: a.jpg and a.png"),
        ("others", r"no name in common: .* x in"),
        ("empty", r"no pictures in it, .*fake"),
        ("absent", r"no such folder, .*fake"),
        ("no label", r"labels has no label map for a$"),
        ("label size", r"label map .*labels/a.png is 32x30, .*real/a.png is 32x32"),
        ("label ids", r"77 .*labels/a.png"),
    ],
)
def test_a_part_of_the_pictures_is_never_scored(
    folders: Path, prepared: PreparedSet, how: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _spoil(folders, how)
    with pytest.raises(DataError, match=words):
        evaluate_folders(
            folders / "fake", folders / "real", labels=folders / "labels", data=prepared, per_image=folders / "f.csv"
        )
    assert not (folders / "f.csv").exists()
    arguments = ["--fake", folders / "fake", "--real", folders / "real", "--labels", folders / "labels"]
    code, out, err = call(capsys, *arguments, "--data", prepared.path)
    assert code == 3 and not out and err.count("error: ") == 1 and "Traceback" not in err


def test_pictures_smaller_than_the_window_still_have_the_other_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("fake", "real"):
        save(tmp_path / folder, "tiny", np.full((5, 6, 3), len(folder) * ord(folder[0]) % 250, np.uint8))
    code, out, err = call(capsys, "--fake", tmp_path / "fake", "--real", tmp_path / "real", "--json")
    figures = json.loads(out)["metrics"]
    assert code == 3 and figures["ssim"]["mean"] is None and "7x7" in figures["ssim"]["reason"]
    assert figures["l1"]["n"] == 1 and figures["psnr"]["n"] == 1
    assert "error: not computed: ssim: a picture of 6x5 is smaller" in err


# the command


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = command(["evaluate", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_folders_by_command(folders: Path, prepared: PreparedSet, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--fake", folders / "fake", "--real", folders / "real")
    code, out, err = call(capsys, *both, "--labels", folders / "labels", "--data", prepared.path)
    assert code == 0
    header, *rows = [line.split("  ") for line in out.splitlines()]
    assert header[0].startswith("metric") and out.splitlines()[0].split() == [
        "metric", "generated", "mean-colour", "painting", "n",
    ]  # fmt: skip
    assert [row[0].split(" ")[0].rstrip(",") for row in rows] == ["ssim", "psnr", "l1"]
    assert len({len(line) for line in out.splitlines()}) == 1  # aligned
    assert f"using {prepared.path}" in err and err.splitlines()[-1].startswith("next: citygan ")

    code, out, err = call(capsys, *both, "--json", "--metric", "colour", "--metric", "gradient")
    result = json.loads(out)
    assert code == 0 and list(result["metrics"]) == ["colour", "gradient"] and out.count("\n") == 1
    assert list(result) == ["run", "split", "fake", "real", "images", "metrics", "protocol"]
    assert result["metrics"]["colour"]["mean_colour"]["mean"] is None
    assert "--labels" in result["metrics"]["colour"]["mean_colour"]["reason"]
    assert set(result["metrics"]["colour"]) >= {"mean", "std", "n", "L", "a", "b"}


def test_equal_pictures_are_shown_beside_the_painting_of_others(
    folders: Path, prepared: PreparedSet, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("--fake", folders / "real", "--real", folders / "real", "--labels", folders / "labels")
    code, out, _ = call(capsys, *both, "--data", prepared.path, "--metric", "psnr")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("psnr")).split("  ")
    cells = [cell.strip() for cell in row if cell]
    assert cells[1] == "infinite" and cells[2].endswith(f"(n {len(NAMES)})") and cells[3] == "0"


def test_label_maps_scored_as_photos_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = CAMVID11.palette[np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((24, 24), np.uint8))]
    photo = np.random.default_rng(0).integers(0, 256, label.shape).astype(np.uint8)
    for folder, picture in (("out", photo), ("labels", label)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(encode_png(picture))
    code, _, err = call(capsys, "--fake", tmp_path / "out", "--real", tmp_path / "labels")
    assert code == 0 and "warning: --real: " in err and "labels/x.png looks like a label map" in err
    assert "--fake: " not in err
    assert "warning" not in call(capsys, "--fake", tmp_path / "out", "--real", tmp_path / "out")[2]


def test_the_file_of_each_picture_is_not_overwritten(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folders / "figures.csv"
    file.write_text("mine")
    both = ("--fake", folders / "fake", "--real", folders / "real", "--per-image", file)
    code, out, err = call(capsys, *both)
    assert (code, out, file.read_text()) == (2, "", "mine") and "--force" in err
    code, out, err = call(capsys, *both, "--force")
    assert code == 0 and len(file.read_text(encoding="utf-8").splitlines()) == 1 + len(NAMES)
    code, _, err = call(capsys, *both, "--force", "--metric", "colour")
    assert code == 2 and "no figure for a single picture" in err
    assert not [name for name in os.listdir(folders) if name.startswith(".tmp")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "ssimm"], "Did you mean ssim? There are: ssim"),
        (["--metric", "LPIPS"], "no metric named 'LPIPS'"),
        (["--fake", "x"], "--fake and --real go together"),
        (["--fake", "x", "--real", "y", "--run", "r"], "--run belongs to a run"),
        (["--fake", "x", "--real", "y", "--data", "d"], "no --labels"),
        (["--labels", "x"], "belongs to --fake and --real"),
        (["--mode", "wild"], "There are: paper"),
        (["--run", "nothing"], "no run 'nothing'"),
        ([], "no run yet: there is none in runs/. citygan train"),
    ],
)
def test_wrong_usage_is_told_before_the_work(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert code == 2 and not out and words in err and err.startswith("error: ") and err.count("\n") == 1


def test_a_metric_that_needs_the_machine_ends_with_5(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    def no_weights(fake: UInt8, real: UInt8) -> float:
        raise MachineError("the weights are missing", hint="citygan weights fetch it")

    monkeypatch.setitem(METRICS, "l1", dataclasses.replace(METRICS["l1"], measure=no_weights))
    code, out, err = call(
        capsys, "--fake", folders / "fake", "--real", folders / "real", "--metric", "l1", "--metric", "ssim"
    )
    assert code == 5 and "citygan weights fetch" in err
    assert [line.split()[0].rstrip(",") for line in out.splitlines()[1:3]] == ["l1", "ssim"]


def test_names_are_harmless_in_a_table_of_figures() -> None:
    assert [cell(text) for text in ("=1+1", "+1", "-x", "@y", "a=b", "\tz", "\x1b[2J", "é")] == [
        "'=1+1", "'+1", "'-x", "'@y", "a=b", "\\tz", "\\x1b[2J", "é",
    ]  # fmt: skip


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; import citygan.cli.evaluate; sys.exit(bool({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_evaluate_stays_callable_after_its_module_is_loaded() -> None:
    code = "import citygan.evaluation, citygan.cli.evaluate, citygan; assert callable(citygan.evaluate)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# a run


@pytest.fixture(scope="session")
def trained(prepared: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a set and a run of one step."""
    import torch

    from citygan.runs import new_run
    from citygan.train.distributed import Ranks
    from citygan.training import run_training

    home = prepared.path.parents[1]
    patch = pytest.MonkeyPatch()
    patch.setenv("CITYGAN_RUNS_HOME", str(home / "runs"))
    patch.setenv("CITYGAN_DATA_HOME", str(home / "data"))
    try:
        tiny = {
            "data": str(prepared.path),
            "generator": {"width": 2, "depth": 4},
            "discriminator": {"width": 2, "receptive_field": 16},
            "augment": {"jitter": 1.0},
            "train": {"steps": 1, "checkpoint_every_steps": 1, "validation_pictures": 1},
        }
        settings = resolve([Layer("test", tiny)])[0]
        path = new_run(settings, "tiny", {"seed": 0})
        run_training(settings, prepared, path, torch.device("cpu"), Ranks())
        write_last(home / "runs", "tiny")
    finally:
        patch.undo()
    return home


@pytest.fixture
def home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CITYGAN_RUNS_HOME", str(trained / "runs"))
    monkeypatch.setenv("CITYGAN_DATA_HOME", str(trained / "data"))
    return trained


def test_a_run_is_scored_on_its_validation_split(home: Path, prepared: PreparedSet) -> None:
    alone = [name for name, row in METRICS.items() if row.start is None]  # they need no network beside the run
    result = evaluate_run(device="cpu", metrics=alone)
    val, train = prepared.split("val"), prepared.split("train")
    assert val.photo is not None and val.label is not None and train.photo is not None and train.label is not None
    fake = citygan.load("tiny", device="cpu").translate(np.asarray(val.label))
    assert result["run"] == str(home / "runs/tiny") and result["split"] == "val" and result["images"] == 4
    for name, function in (("ssim", ssim), ("psnr", psnr), ("l1", l1)):
        figure = result["metrics"][name]
        assert figure["mean"] == pytest.approx(function(fake, val.photo).mean(), abs=1e-9)
        assert figure["std"] == pytest.approx(function(fake, val.photo).std(), abs=1e-9)
        palette = fit_mean_colours(zip(train.label, train.photo, strict=True))
        painting = paint(np.asarray(val.label), palette)
        assert figure["mean_colour"]["mean"] == pytest.approx(function(painting, val.photo).mean(), abs=1e-9)
    protocol = result["protocol"]
    assert protocol["size"] == "32x32" and protocol["data"]["checksum"] == prepared.checksum
    assert protocol["data"]["trained_on"] is True
    model = protocol["model"]
    assert model["step"] == 1 and model["checkpoint"] == "last" and model["draws_averaged"] == 1
    assert model["dropout"] is True and model["dropout_seed"] == 0 and len(model["weights_sha256"]) == 64
    assert told(result) == result
    assert evaluate_run(device="cpu", metrics=alone, batch=3) == result


def test_a_run_by_command(
    home: Path, prepared: PreparedSet, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = call(capsys, "--metric", "ssim", "--device", "cpu", "--per-image", tmp_path / "f.csv")
    assert code == 0 and out.splitlines()[1].startswith("ssim, higher is better")
    assert f"using {home / 'runs/tiny'}, step 1" in err and "gradient" in err.splitlines()[-1]
    rows = list(csv.DictReader((tmp_path / "f.csv").open(encoding="utf-8", newline="")))
    assert [row["picture"] for row in rows] == [item.stem for item in prepared.split("val").items]
    code, out, err = call(capsys, "--run", "tiny", "--split", "train", "--json", "--seed", "5", "--device", "cpu")
    result = json.loads(out)
    assert code == 0 and result["images"] == 6 and result["protocol"]["model"]["dropout_seed"] == 5
    code, out, err = call(capsys, "--split", "none", "--device", "cpu")
    assert code == 2 and "It has train, val" in err
    code, out, err = call(capsys, "--checkpoint", "7", "--device", "cpu")
    assert code == 2 and "There are: last, best, 1" in err


def test_a_set_that_does_not_fit_the_run_is_refused(home: Path, tmp_path: Path, prepared: PreparedSet) -> None:
    label, photo = scene(0)
    for name, arrays, classes in (
        ("bare", {"label": label}, CAMVID11),
        ("photos", {"photo": photo}, None),
        ("again", {"label": label, "photo": photo}, CAMVID11),
    ):
        writer = SetWriter(tmp_path / name, size=(SIDE, SIDE), plan={})
        writer.split("val").append(Item("x", {}, (SIDE, SIDE)), **arrays)
        writer.finish({"classes": classes.to_dict() if classes else None, "photo_channels": 3})
    with pytest.raises(DataError, match="no photos to compare with"):
        evaluate_run("tiny", device="cpu", data=tmp_path / "bare")
    with pytest.raises(DataError, match="no label maps, which this run translates"):
        evaluate_run("tiny", device="cpu", data=tmp_path / "photos")
    result = evaluate_run("tiny", device="cpu", data=tmp_path / "again")
    figure = result["metrics"]["ssim"]["mean_colour"]
    assert figure["mean"] is None and "no training photos" in figure["reason"]
    assert result["protocol"]["data"]["trained_on"] is False
    with pytest.raises(UsageError, match="no such prepared set"):
        evaluate_run("tiny", device="cpu", data=tmp_path / "nowhere")


def test_what_cannot_be_scored_names_the_splits_that_can(home: Path, tmp_path: Path) -> None:
    label, photo = scene(0)
    for name, splits in (
        ("noval", {"train": ("photo", "label"), "test": ("photo", "label")}),
        ("bare", {"val": ("label",), "train": ("photo", "label")}),
        ("unlabelled", {"val": ("photo",), "train": ("photo", "label")}),
        ("none", {"val": ("label",)}),
    ):
        writer = SetWriter(tmp_path / name, size=(SIDE, SIDE), plan={})
        for split, kinds in splits.items():
            arrays = {kind: array for kind, array in (("photo", photo), ("label", label)) if kind in kinds}
            writer.split(split).append(Item("x", {}, (SIDE, SIDE)), **arrays)
        writer.finish({"classes": CAMVID11.to_dict(), "photo_channels": 3})
    for name, words in (
        ("noval", r"no split 'val', .*noval\. It has train, test; --split train or --split test can be scored"),
        ("bare", r"no photos to compare with, .*split val\. --split train can be scored"),
        ("unlabelled", r"no label maps, which this run translates, .*split val\. --split train can be scored"),
        ("none", r"no photos to compare with, .*split val\. Take another set"),
    ):
        with pytest.raises(CityganError) as caught:
            evaluate_run("tiny", device="cpu", data=tmp_path / name)
        assert re.search(words, str(caught.value)), str(caught.value)
    assert evaluate_run("tiny", "train", device="cpu", data=tmp_path / "bare")["images"] == 1


def test_a_checkpoint_by_itself_leaves_no_choice(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "runs/tiny/checkpoints/00000001"
    for choice in ("best", "last", "1"):
        code, out, err = call(capsys, "--run", folder, "--checkpoint", choice, "--device", "cpu")
        assert (code, out) == (2, "") and "--checkpoint cannot choose" in err
    assert call(capsys, "--run", folder, "--metric", "l1", "--device", "cpu")[0] == 0


def test_figures_stand_in_the_report_of_their_run(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = home / "runs/tiny"
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    shutil.rmtree(run / "figures", ignore_errors=True)
    for metric in ("ssim", "gradient"):
        code, out, err = call(capsys, "--metric", metric, "--device", "cpu")
        assert code == 0 and f"report: {run / 'report.html'}" in err
    (kept,) = (run / "figures").iterdir()  # the same pictures: one file
    result = json.loads(kept.read_text())
    assert list(result["metrics"]) == list(result["protocol"]["metrics"]) == ["ssim", "gradient"]
    page = (run / "report.html").read_text()
    assert "Step 1: split val of bands, 4 pictures (paper, seed 0)" in page
    assert "gradient, lower is better" in page and f"{result['metrics']['ssim']['mean']:.4f}" in page
    assert "None" not in page and ">True<" not in page and ">true<" in page and ">null<" in page
    call(capsys, "--metric", "l1", "--device", "cpu", "--seed", "7")
    assert len(list((run / "figures").iterdir())) == 2
    # whatever else lies there, and a report that cannot be written, stop nothing
    (run / "figures/x.json").write_text('{"protocol": {"model": []}}')
    (run / "figures/y.json").write_text("[")
    assert call(capsys, "--metric", "l1", "--device", "cpu")[0] == 0
    shutil.rmtree(run / "figures")
    (run / "figures").write_text("in the way")
    code, out, err = call(capsys, "--metric", "l1", "--device", "cpu")
    assert code == 0 and out and "report stays as it was" in err and err.splitlines()[-1].startswith("next: ")
    (run / "figures").unlink()


def test_versions_of_one_picture_are_told_from_other_pictures(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        for number in (1, 2):
            shutil.copy(folders / "fake" / f"{name}.png", folders / "fake" / f"{name}-{number}.png")
        (folders / "fake" / f"{name}.png").unlink()
    code, _, err = call(capsys, "--fake", folders / "fake", "--real", folders / "real")
    assert code == 3 and "several versions of each picture" in err and "without --samples" in err


def test_without_labels_the_mean_photo_is_the_picture_to_beat(tmp_path: Path) -> None:
    from citygan.baseline import fit_painter

    writer = SetWriter(tmp_path / "pairs", size=(SIDE, SIDE), plan={})
    photos = [scene(seed)[1] for seed in range(3)]
    for number, photo in enumerate(photos):
        writer.split("train").append(Item(str(number), {}, (SIDE, SIDE)), photo=photo, source=blurred(photo))
    writer.finish({"classes": None, "photo_channels": 3, "source_channels": 3})
    painter = fit_painter(PreparedSet.open(tmp_path / "pairs"))
    painting = painter(None)
    assert painting is not None and painting.tolist() == np.rint(np.mean(photos, axis=0)).tolist()
    assert "mean training photo" in painter.protocol["kind"] and painter.name == "mean training photo"
    grey = painter(None, 1)
    assert grey is not None and grey.shape == (SIDE, SIDE, 1)


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(CityganError):
        evaluate_folders(tmp_path / "x", tmp_path / "y")
