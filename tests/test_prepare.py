"""prepare: exact, the same bytes whatever happens, and every fault named."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from citygan import files
from citygan.cli import run
from citygan.data import prepare as prepare_module
from citygan.data import prospects
from citygan.data.fitting import Fit, nearest
from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES
from citygan.data.options import Options, parse_size
from citygan.data.prepare import prepare, prepare_demo
from citygan.data.store import PreparedSet, resolve_set
from citygan.errors import Interrupted, MachineError, UsageError
from citygan.models.unet import unet_depth
from citygan.pictures import encode_png, read_label, read_photo
from tests import trees
from tests.street import SOURCE
from tests.trees import SHARED, tree_hashes

# for other processes; the folder of installed packages would hide modules of Python's own there
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lie beside the checkout only")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYGAN_DATA_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def prepared(*arguments: str) -> PreparedSet:
    assert run(["prepare", *arguments]) == 0
    return resolve_set(None)


# what comes out


def test_cityscapes_is_prepared_exactly(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path / "city scapes")
    city = prepared(str(root), "--size", "24x16")
    assert city.path == Path("data/city scapes") and city.size == (24, 16) and city.classes == CITYSCAPES
    train, val = city.split("train"), city.split("val")
    assert train.photo is not None and train.label is not None and train.instance is not None
    for place, item in enumerate(train.items):
        photo = read_photo(root / item.files["photo"])
        label = read_label(root / item.files["label"], CITYSCAPES)
        np.testing.assert_array_equal(train.photo[place], cv2.resize(photo, (24, 16), interpolation=cv2.INTER_AREA))
        np.testing.assert_array_equal(train.label[place], label[1::2, 1::2])
        things = label[1::2, 1::2] >= 24
        np.testing.assert_array_equal(train.instance[place] >= 1000, things)
        assert item.original_size == (48, 32) and item.stem == f"aachen_{place:06d}_000019"
        assert train.full_label(item) is None
    full = val.full_label(val.items[0])
    assert full is not None
    np.testing.assert_array_equal(read_label(full, CITYSCAPES), trees.ids(0))
    assert city.photo_channels == 3 and city.source_channels is None


def test_cities_that_are_held_out_are_never_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city", train=8, test=2, cities=("aachen", "jena", "ulm", "zurich"))
    command = [str(root), "--size", "24x16", "--hold-out", "jena", "--hold-out", "ulm"]
    assert run(["prepare", *command, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "note: held out of train as val: jena (2 pictures), ulm (2 pictures)" in told
    assert "note: the source's own val is the test" in told and "own test is left out, 2 pictures" in told
    city = prepared(*command)
    found = {name: [item.files["photo"].split("/")[1:3] for item in split.items] for name, split in city.splits.items()}
    assert found == {
        "train": [["train", "aachen"]] * 2 + [["train", "zurich"]] * 2,
        "val": [["train", "jena"]] * 2 + [["train", "ulm"]] * 2,
        "test": [["val", "frankfurt"]] * 2,
    }
    assert city.manifest["options"]["hold_out"] == ["jena", "ulm"]
    assert all(city.split("val").full_label(item) is not None for item in city.split("val").items)
    whole = prepared(str(root), "--size", "24x16", "--out", "data/whole")
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 8, "val": 2, "test": 2}
    assert whole.manifest["options"]["hold_out"] == [] and whole.checksum != city.checksum
    capsys.readouterr()
    assert run(["prepare", str(root), "--hold-out", "Ulm", "--out", "data/other"]) == 2
    assert "Did you mean ulm? There are: aachen, jena, ulm, zurich" in capsys.readouterr().err
    assert run(["prepare", *command, "--splits", "train=1", "--out", "data/other"]) == 2
    assert "--splits divides at random, --hold-out by name" in capsys.readouterr().err
    assert run(["prepare", str(trees.folders(tmp_path / "two")), "--hold-out", "ulm"]) == 2
    assert "no cities or sequences" in capsys.readouterr().err
    assert run(["prepare", "demo", "--hold-out", "ulm"]) == 2
    assert "the demo city has nothing to choose there, --hold-out" in capsys.readouterr().err
    assert sorted(path.name for path in Path("data").iterdir() if path.is_dir()) == ["city", "whole"]


def test_pairs_are_picture_to_picture_or_labels(tmp_path: Path) -> None:
    root = trees.pairs(tmp_path / "facades", kind=".png")
    city = prepared(str(root), "--size", "64")
    train = city.split("train")
    assert city.classes is None and city.source_channels == 3 and set(train.arrays) == {"photo", "source"}
    left, right = CITYSCAPES.palette[trees.ids(0, size=(64, 64))], trees.photo(0, (64, 64))
    np.testing.assert_array_equal(train.source[0], left)
    np.testing.assert_array_equal(train.photo[0], right)
    assert train.items[0].original_size == (64, 64) and train.items[0].stem == "1"
    city = prepared(str(root), "--size", "64", "--direction", "BtoA", "--out", "data/other")
    np.testing.assert_array_equal(city.split("train").source[0], right)
    np.testing.assert_array_equal(city.split("train").photo[0], left)
    for kind in (".png", ".jpg"):
        root = trees.pairs(tmp_path / f"painted{kind}", kind=kind)
        city = prepared(str(root), "--size", "64", "--classes", "cityscapes")
        train = city.split("train")
        assert set(train.arrays) == {"photo", "label"} and city.classes == CITYSCAPES
        shown = CITYSCAPES.palette[train.label[0]]
        assert (shown == left).all(-1).mean() > (0.9999 if kind == ".png" else 0.99)


def test_grey_pairs_keep_one_channel(tmp_path: Path) -> None:
    city = prepared(str(trees.pairs(tmp_path / "grey", kind=".png", grey=True)), "--size", "32")
    train = city.split("train")
    assert city.source_channels == 1 and city.photo_channels == 1
    assert train.source.shape == (3, 32, 32, 1) and train.photo.shape == (3, 32, 32, 3)


def test_two_folders_picture_to_picture_in_either_direction(tmp_path: Path) -> None:
    for i in range(3):
        trees.photo_file(tmp_path / f"ab/A/{i}.png", i)
        trees.photo_file(tmp_path / f"ab/B/{i}.png", i + 9)
    city = prepared(str(tmp_path / "ab"), "--size", "48x32", "--splits", "train=1")
    np.testing.assert_array_equal(city.split("train").source[0], trees.photo(0))
    city = prepared(str(tmp_path / "ab"), "--size", "48x32", "--out", "data/ba", "--direction", "BtoA")
    np.testing.assert_array_equal(city.split("train").source[0], trees.photo(9))


def test_camvid_both_ways_gives_the_same_classes(tmp_path: Path) -> None:
    prepared(str(trees.camvid32(tmp_path / "original")), "--size", "48x32")
    city = resolve_set("original")
    assert city.classes == CAMVID32 and {k: len(v) for k, v in city.splits.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    city = prepared(str(trees.camvid(tmp_path / "segnet", CAMVID11)), "--size", "48x32")
    assert city.classes == CAMVID11 and city.split("val").sequences() == {"0001TP_006690": range(3)}


@needs_shared
def test_real_camvid_and_cityscapes(tmp_path: Path) -> None:
    city = prepared(str(SHARED / "camvid"), "--size", "128x96", "--limit", "12")
    assert len(city.split("train")) == 12 and city.split("val").sequences() == {"0016E5_07959": range(12)}
    item = city.split("train").items[3]
    label = read_label(SHARED / "camvid" / item.files["label"], CAMVID11)
    np.testing.assert_array_equal(city.split("train").label[3], nearest(label, (128, 96)))
    city = prepared(str(SHARED / "cityscapes"), "--size", "512x256", "--limit", "2")
    assert {k: sorted(v.arrays) for k, v in city.splits.items()} == {
        "train": ["instance", "label", "photo"],
        "val": ["instance", "label"],
    }
    assert city.split("train").instance[0].max() > 24_000
    frames = prepared(str(SHARED / "cityscapes-sequence"), "--size", "256x128", "--limit", "3")
    assert frames.split("train").sequences() == {"seq0000": range(3)}


# resizing


@pytest.mark.parametrize("old", [(7, 5), (48, 32), (3, 9)])
@pytest.mark.parametrize("new", [(4, 4), (48, 32), (5, 11), (1, 1)])
def test_ids_take_the_pixel_under_the_new_centre(old: tuple[int, int], new: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 34, old[::-1], np.uint8)
    expected = [
        [ids[int((y + 0.5) * old[1] / new[1] + 1e-9), int((x + 0.5) * old[0] / new[0] + 1e-9)] for x in range(new[0])]
        for y in range(new[1])
    ]
    np.testing.assert_array_equal(nearest(ids, new), expected)
    if min(new) > 1:
        np.testing.assert_array_equal(nearest(ids, new), cv2.resize(ids, new, interpolation=cv2.INTER_NEAREST_EXACT))


def test_photos_are_antialiased_on_each_axis_that_shrinks() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for size in ((16, 16), (16, 128)):
        shrunk = Fit(size).photo(stripes)
        assert shrunk.shape == (size[1], size[0], 3) and np.abs(shrunk.astype(int) - 127.5).max() <= 1
    assert Fit((128, 128)).photo(stripes[..., :1]).shape == (128, 128, 1)


def test_crop_and_pad_keep_the_aspect() -> None:
    photo, ids = trees.photo(0, (40, 20)), trees.ids(0, size=(40, 24))[:20]
    np.testing.assert_array_equal(Fit((20, 20), "crop").photo(photo), photo[:, 10:30])
    np.testing.assert_array_equal(Fit((20, 20), "crop").ids(ids, 255), ids[:, 10:30])
    padded = Fit((40, 40), "pad").ids(ids, 255)
    np.testing.assert_array_equal(padded[10:30], ids)
    assert (padded[:10] == 255).all() and (padded[30:] == 255).all()
    black = Fit((40, 40), "pad").photo(photo)
    np.testing.assert_array_equal(black[10:30], photo)
    assert not black[:10].any() and not black[30:].any()
    assert Fit((20, 20)).aspect_change((40, 20)) == 1 and Fit((20, 20), "pad").aspect_change((40, 20)) == 0


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("512x256", (512, 256)), ("512X256", (512, 256))])
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size
    for wrong in ("", "x", "1x2x3", "-5", "a", "5x", "٣"):
        with pytest.raises(UsageError, match="--size"):
            parse_size(wrong)


# the command


def test_the_plan_is_told_before_and_the_next_command_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city")
    assert run(["prepare", str(root), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    for words in ("layout cityscapes", "train: 3 pictures (photo, label, instance) of 48x32", "needed", "50%: --fit"):
        assert words in out
    assert not os.listdir() and "next:" in err
    assert run(["prepare", str(root), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["splits"]["val"] == {"items": 2, "arrays": ["photo", "label", "instance"], "sizes": {"48x32": 2}}
    assert run(["prepare", str(root), "--json"]) == 0
    out, err = capsys.readouterr()
    done = json.loads(out)
    assert done["paths"] == ["data/city"] and done["faults"] == [] and done["checksum"] == resolve_set("city").checksum
    assert 0 < done["census"]["train"]["void_share"] < 1 and "sidewalk" in done["census"]["val"]["classes"]
    assert err.rstrip().endswith("next: citygan train")
    assert run(["prepare", str(root), "--out", "data/again"]) == 0
    assert capsys.readouterr().out == "data/again\n"
    assert files.read_last(Path("data")) == "again"


def test_existing_output_stops_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city")
    before = tree_hashes(root)
    assert run(["prepare", str(root), "--size", "16"]) == 0
    assert run(["prepare", str(root), "--size", "32"]) == 2
    assert "--force" in capsys.readouterr().err
    assert resolve_set("city").size == (16, 16)
    assert run(["prepare", str(root), "--size", "32", "--force"]) == 0
    assert resolve_set("city").size == (32, 32)
    assert run(["prepare", "data/city"]) == 2
    assert tree_hashes(root) == before


def test_places_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "here/data/city")
    for out in (str(root), str(root / "prepared"), "data"):
        assert run(["prepare", str(root), "--out", out, "--force"]) == 2
        assert "lies within" in capsys.readouterr().err
    assert run(["prepare", str(tmp_path / "missing")]) == 3
    assert run(["prepare", str(root), "--classes", "kitti", "--out", "x"]) == 2
    assert run(["prepare", str(root), "--fit", "squeeze", "--out", "x"]) == 2
    assert run(["prepare", str(root), "--limit", "0", "--out", "x"]) == 2
    assert run(["prepare", str(root), "--direction", "BtoA", "--out", "x"]) == 2
    assert run(["prepare", str(root), "--splits", "train=1", "--out", "x"]) == 2
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--splits", "train=0.5,val=0.5"), "the source is divided already (train, val), --splits. Leave it out"),
        (("--direction", "BtoA"), "only pairs of pictures have a direction, --direction. Leave it out"),
        (("--limit", "0"), "expected 1 or more, got 0, --limit"),
        (("--size", "0"), "expected sides from 1 to 16384, got 0x0, --size"),
    ],
)
def test_errors_read_as_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert run(["prepare", str(trees.cityscapes(tmp_path / "city")), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


def test_an_empty_folder_is_told_what_was_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["prepare", str(tmp_path / "empty")]) == 3
    looked = "Looked for .png, .jpg, .jpeg, .webp, .bmp in it and below; citygan prepare demo makes a city to try"
    assert capsys.readouterr().err == f"error: 0 pictures under {tmp_path}/empty. {looked}\n"


def test_one_is_counted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city", train=2, val=1)
    _cut(root / PHOTO)
    assert run(["prepare", str(root), "--size", "16"]) == 3
    err = capsys.readouterr().err
    assert "  val: 1 picture (" in err and f"nothing was kept: 1 bad file under {root}. All are" in err
    assert run(["prepare", str(root), "--size", "16", "--skip-bad"]) == 0
    err = capsys.readouterr().err
    assert "train: 1 picture, " in err and "\n1 bad file left out" in err and "1 picture of other splits is in" in err


@pytest.mark.parametrize(
    ("flag", "value", "nearest"),
    [
        ("--classes", "camvid1", "camvid11"),
        ("--classes", "mine", "mine.yaml"),
        ("--format", "citiscapes", "cityscapes"),
        ("--fit", "streched", "stretch"),
        ("--direction", "atob", "AtoB"),
        ("--alpha", "dropp", "drop"),
    ],
)
def test_a_word_spelt_wrongly_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str, nearest: str
) -> None:
    root = trees.cityscapes(tmp_path / "city")
    Path("mine.yaml").write_text("- {id: 0, name: road, colour: [1, 2, 3]}\n")
    assert run(["prepare", str(root), flag, value]) == 2
    assert f"{flag}. Did you mean {nearest}?" in capsys.readouterr().err
    assert run(["prepare", str(root), flag, "xyzzy"]) == 2
    assert "mean" not in capsys.readouterr().err


def test_a_second_prepare_to_the_same_set_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.cityscapes(tmp_path / "city")
    with files.lock(Path("data/city")):
        began = time.monotonic()
        command = [sys.executable, "-m", "citygan", "prepare", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        assert done.returncode == 5 and f"process {os.getpid()}" in done.stderr and time.monotonic() - began < 20
    assert run(["prepare", str(root)]) == 0


def test_no_space_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.cityscapes(tmp_path / "city")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert run(["prepare", str(root)]) == 5
    assert "needed" in capsys.readouterr().err and not Path("data/city").exists()


def test_the_same_picture_in_two_splits_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city")  # its photos are numbered alike in train and val
    assert run(["prepare", str(root), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["repeated"] == 2 and "2 pictures of other splits are in train too" in err


# what to do with it


def _next_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What a prepare told, and the command that it named in the end."""
    assert run(["prepare", *arguments]) == 0
    *told, last = capsys.readouterr().err.splitlines()
    assert last.startswith("next: ")
    return "\n".join(told), last.removeprefix("next: ")


@pytest.mark.parametrize("size", [(480, 360), (256, 256), (250, 130), (16, 16), (512, 256), (8, 8), (100, 9)])
def test_sizes_that_training_refuses_are_known_before(size: tuple[int, int]) -> None:
    nearest = prospects.trainable_size(size)
    assert (nearest == size) == (unet_depth(*size) >= 4)
    assert unet_depth(*nearest) >= 4 and all(abs(a - b) <= 8 for a, b in zip(nearest, size, strict=True))


def test_a_size_that_training_refuses_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.cityscapes(tmp_path / "city")
    told, command = _next_of(capsys, str(root), "--size", "48x36")
    assert "note: 48x36 is no size to train at" in told and "(--size 48x32 is near)" in told
    assert command == "the same with --size 48x32 --force, to train on it"
    assert _next_of(capsys, str(root), "--size", "48x32", "--force")[1] == "citygan train"
    assert "no size" not in _next_of(capsys, str(trees.cityscapes(tmp_path / "x", photos=False)), "--size", "9")[0]
    told, command = _next_of(capsys, "demo", "--limit", "1", "--size", "40")
    assert "note: 40x40 is no size" in told and command.startswith("the same with --size 32x32 --force")


def test_the_next_command_works_on_the_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "my city")
    size = ("--size", "32")
    _, command = _next_of(capsys, str(root), *size, "--out", str(tmp_path / "a b"))
    assert command == f"citygan train --data '{tmp_path}/a b'"
    told, command = _next_of(capsys, str(root / "gtFine"), "--format", "cityscapes", *size)
    assert "no model is trained yet" in told and command == "citygan translate data/gtFine out/ --split train"
    files.write_last(Path("runs"), "some")
    Path("runs/some").mkdir()
    told, _ = _next_of(capsys, str(root / "gtFine"), "--format", "cityscapes", *size, "--force")
    assert "no model is trained yet" not in told
    told, command = _next_of(capsys, str(root / "leftImg8bit"), "--format", "cityscapes", *size)
    assert "note: photos alone: colourisation and inpainting" in told
    assert command == "citygan train --model colourisation"
    told, command = _next_of(capsys, str(root / "leftImg8bit/val"), "--format", "photos", "--splits", "val=1", *size)
    assert command.startswith("citygan prepare FOLDER, one with label maps")
    pairs = trees.folders(tmp_path / "pairs", labels="test/labels", photos="test/photos")
    told, command = _next_of(capsys, str(pairs), *size)
    assert "no split train with photos" in told and command == "citygan evaluate --data pairs --split test"


def test_a_set_without_validation_is_told_how_it_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, command = _next_of(capsys, str(trees.folders(tmp_path / "few")), "--size", "32")
    assert "no split val: citygan evaluate takes the split train; --splits train=0.9,val=0.1 takes one" in told
    assert command == "citygan train"
    assert "no split val" not in _next_of(capsys, str(trees.folders(tmp_path / "many", 20)), "--size", "32")[0]
    root = trees.cityscapes(tmp_path / "city")
    shutil.rmtree(root / "leftImg8bit/val")
    shutil.rmtree(root / "gtFine/val")
    assert "no split val: citygan evaluate takes the split train" in _next_of(capsys, str(root), "--size", "32")[0]


# faults


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _transparent(path: Path) -> None:
    rgba = np.dstack([trees.photo(0), np.full((32, 48), 7, np.uint8)])
    path.write_bytes(cv2.imencode(".png", rgba)[1].tobytes())


def _ids(value: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        ids = trees.ids(0)
        ids[5, 6:9] = value
        path.write_bytes(encode_png(ids))

    return change


PHOTO, LABEL = (
    "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png",
    ("gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"),
)
INSTANCE = LABEL.replace("label", "instance")

FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cut photo": (PHOTO, _cut, "truncated"),
    "cut label": (LABEL, _cut, "truncated"),
    "cut instance map": (INSTANCE, _cut, "truncated"),
    "flipped bit": (PHOTO, _flip, "PNG"),
    "empty": (PHOTO, lambda p: p.write_bytes(b""), "zero bytes"),
    "text": (LABEL, lambda p: p.write_text("no picture"), "text"),
    "web page": (PHOTO, lambda p: p.write_text("<html>404</html>"), "web page"),
    "lfs": (PHOTO, lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "fifo": (PHOTO, _fifo, "not a regular file"),
    "folder": (LABEL, _folder, "is a folder"),
    "link to nowhere": (PHOTO, _nowhere, "link to nowhere"),
    "transparent": (PHOTO, _transparent, "--alpha drop"),
    "other size": (LABEL, lambda p: trees.label_file(p, 0, size=(40, 32)), "40x32, its photo .* is 48x32"),
    "no label": (LABEL, Path.unlink, "no label of the same name"),
    "no photo": (PHOTO, Path.unlink, "no photo of the same name"),
    "no instance map": (INSTANCE, Path.unlink, "no instance map of the same name"),
    "unknown id": (LABEL, _ids(77), r"77 \(3 pixels\); the first at x 6, y 5"),
    "train ids": (LABEL, lambda p: p.write_bytes(encode_png(np.full((32, 48), 255, np.uint8))), r"255 \(1536 pixels\)"),
    "lossy label": (LABEL, lambda p: p.write_bytes(cv2.imencode(".jpg", trees.ids(0))[1].tobytes()), "lossy JPEG"),
    "instances in colours": (INSTANCE, lambda p: trees.photo_file(p, 0), "in colours"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_and_nothing_is_kept(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.cityscapes(tmp_path / "city")
    file, damage, words = FAULTS[name]
    damage(root / file)
    assert run(["prepare", str(root), "--size", "16", "--json"]) == 3
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["paths"] == [] and len(report["faults"]) >= 1 and "Traceback" not in err
    stem = "aachen_000001_000019"
    assert all(stem in fault["file"] for fault in report["faults"])
    import re

    assert any(re.search(words, fault["reason"]) for fault in report["faults"]), report["faults"]
    assert "error: " in err.splitlines()[-1] and "--skip-bad" in err.splitlines()[-1]
    assert [p.name for p in Path("data").iterdir() if not p.name.endswith(".lock")] == ["city.faults.json"]
    assert json.loads(Path("data/city.faults.json").read_text())["faults"] == report["faults"]

    assert run(["prepare", str(root), "--size", "16", "--skip-bad"]) == 0
    city = resolve_set("city")
    assert [item.stem for item in city.split("train").items] == ["aachen_000000_000019", "aachen_000002_000019"]
    assert city.manifest["skipped_count"] == len(report["faults"]) and not Path("data/city.faults.json").exists()
    assert stem in city.manifest["skipped"][0]["file"]


def test_twenty_faults_are_shown_and_all_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11, train=30, val=2)
    for file in (root / "trainannot").iterdir():
        _cut(file)
    assert run(["prepare", str(root), "--size", "16"]) == 3
    err = capsys.readouterr().err
    assert err.count("truncated PNG") == 20 and "and 10 more" in err and "30 bad files" in err
    assert len(json.loads(Path("data/camvid.faults.json").read_text())["faults"]) == 30
    for file in (root / "valannot").iterdir():
        _cut(file)
    assert run(["prepare", str(root), "--size", "16", "--skip-bad"]) == 3
    assert not Path("data/camvid").exists()


def test_alpha_may_be_dropped(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path / "city")
    _transparent(root / PHOTO)
    assert len(prepared(str(root), "--alpha", "drop", "--size", "16").split("train")) == 3


def test_names_of_any_kind_are_prepared(tmp_path: Path) -> None:
    names = ["a b", "日本", "new\nline", "-x", "%04d", "[a]", os.fsdecode(b"\xff")]
    for name in names:
        trees.photo_file(tmp_path / "odd\nname/photos" / f"{name}.png", 0)
        trees.label_file(tmp_path / "odd\nname/labels" / f"{name}.png", 0)
    root = tmp_path / "odd\nname"
    city = prepared(str(root), "--size", "16", "--out", "data/odd", "--splits", "train=0.5,val=0.5")
    stems = [item.stem for split in city.splits.values() for item in split.items]
    assert sorted(stems) == sorted(name.replace("\n", "%0A") for name in names)
    assert all(city.split("val").full_label(item) for item in city.split("val").items)


# the same bytes whatever happens


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path / "city", train=9)
    for workers in (1, 2, 7):
        prepare(str(root), Options(workers=workers, out=tmp_path / f"w{workers}", size=(32, 32)))
    assert tree_hashes(tmp_path / "w1") == tree_hashes(tmp_path / "w2") == tree_hashes(tmp_path / "w7")


def test_ctrl_c_says_how_to_go_on_and_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.cityscapes(tmp_path / "city", train=9)
    read = prepare_module.read_job

    def interrupted(plan: object, job: object) -> object:
        if "000006" in job.entry.stem:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return read(plan, job)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare_module, "read_job", interrupted)
    with pytest.raises(Interrupted) as caught:
        prepare(str(root), Options(workers=2))
    assert caught.value.exit_code == 130 and "goes on" in str(caught.value)
    monkeypatch.setattr(prepare_module, "read_job", read)
    prepare(str(root), Options(workers=2))
    assert "going on with data/city: 6 of 11" in capsys.readouterr().err
    prepare(str(root), Options(out=Path("data/whole")))
    assert tree_hashes(Path("data/city")) == tree_hashes(Path("data/whole"))


def test_a_changed_source_starts_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test_ctrl_c = prepare_module.read_job
    root = trees.cityscapes(tmp_path / "city", train=5)
    monkeypatch.setattr(
        prepare_module,
        "read_job",
        lambda plan, job: (
            (_ for _ in ()).throw(KeyboardInterrupt) if "000003" in job.entry.stem else test_ctrl_c(plan, job)
        ),
    )
    with pytest.raises(Interrupted):
        prepare(str(root), Options(workers=1))
    monkeypatch.setattr(prepare_module, "read_job", test_ctrl_c)
    trees.photo_file(root / PHOTO.replace("000001", "000000"), 77)
    prepare(str(root), Options())
    prepare(str(root), Options(out=Path("data/whole")))
    assert tree_hashes(Path("data/city")) == tree_hashes(Path("data/whole"))


KILLED = """
import os, random, signal, sys
import citygan.data.writer as writer
from citygan.cli import run

left = int(sys.argv[1])

def strike():
    global left
    left -= 1
    return left == 0

def killed_after(function):
    def call(*args, **kwargs):
        if strike():
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

write_all = writer._write_all

def torn(file, data):
    if strike():
        write_all(file, bytes(data)[: random.Random(left).randrange(len(data))])
        os.kill(os.getpid(), signal.SIGKILL)
    write_all(file, data)

writer._write_all = torn
for name in ("replace", "fsync", "pwrite", "unlink", "mkdir"):
    setattr(os, name, killed_after(getattr(os, name)))
sys.exit(run(sys.argv[2:]))
"""


def killed_and_finished(arguments: list[str], moments: list[int]) -> list[int]:
    """Kills a prepare at the given file operations, one after the other, then lets it finish; gives the exit codes."""
    codes = []
    for moment in [*moments, 10**9]:
        command = [sys.executable, "-c", KILLED, str(moment), "prepare", *arguments]
        codes.append(subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT).returncode)
    return codes


def test_sigkill_at_any_file_operation_and_the_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path / "city", train=6)
    prepare(str(root), Options(out=tmp_path / "whole", size=(16, 16)))
    rng = random.Random(3)
    for round_number in range(2):
        out = tmp_path / f"killed{round_number}"
        codes = killed_and_finished(
            [str(root), "--out", str(out), "--size", "16"], [rng.randint(1, 60) for _ in range(4)]
        )
        assert -9 in codes and codes[-1] in (0, 2), codes  # 2: the last kill came after all was done
        assert tree_hashes(out) == tree_hashes(tmp_path / "whole")
        assert not list(tmp_path.glob(".tmp-*"))


# the demo city


def test_the_demo_city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "demo", "--limit", "3", "--size", "64x48"]) == 0
    out, err = capsys.readouterr()
    assert out == "data/demo\ndata/demo-graphics\n" and err.rstrip().endswith("next: citygan train")
    city = resolve_set(None)
    assert city.path == Path("data/demo") and city.size == (64, 48) and city.manifest["source"] == "demo"
    assert {k: len(v) for k, v in city.splits.items()} == {"train": 6, "val": 2, "test": 6}
    for split in city.splits.values():
        assert set(split.arrays) == {"photo", "label", "instance", "source", "flow", "occlusion"}
        for frames in split.sequences().values():
            last = frames[-1]
            assert split.occlusion[last].all() and not split.flow[last].any()
            assert not split.occlusion[frames[0]].all() and np.abs(split.flow[frames[0]]).max() > 0.1
    for item in city.split("test").items:
        assert city.split("test").full_label(item) is not None
    maps = sorted(Path("labels").iterdir())
    assert len(maps) == 6
    np.testing.assert_array_equal(read_label(maps[2], CITYSCAPES), city.split("test").label[2])
    graphics = resolve_set("demo-graphics")
    assert {k: (len(v), sorted(v.arrays)) for k, v in graphics.splits.items()} == {
        "train": (3, ["instance", "label", "photo"]),
        "val": (1, ["instance", "label", "photo"]),
    }
    assert not any((graphics.split("train").label[0] == label).all() for label in city.split("train").label)
    assert run(["prepare", "--limit", "3", "--size", "64x48"]) == 2

    before = tree_hashes(Path("data/demo"))
    graphics_before = tree_hashes(Path("data/demo-graphics"))
    shutil.rmtree("data/demo-graphics")  # what is missing is made, what is there is kept
    assert run(["prepare", "demo", "--limit", "3", "--size", "64x48"]) == 0
    assert tree_hashes(Path("data/demo-graphics")) == graphics_before
    assert run(["prepare", "demo", "--limit", "4", "--size", "64x48"]) == 2
    shutil.rmtree("labels")
    Path("labels").write_text("mine")
    prepare_demo(limit=3, size=(64, 48), workers=1, force=True)
    assert tree_hashes(Path("data/demo")) == before and Path("labels").read_text() == "mine"


def test_the_demo_city_says_beforehand_what_it_makes_and_how_long_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["prepare", "--limit", "1", "--size", "32", "--workers", "1"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("no SOURCE: rendering the built-in demo city (citygan prepare FOLDER takes")
    assert told[1].startswith("the demo city, 32x32: 2 train, 2 val, 2 test pictures of streets")
    assert "to data/demo and data/demo-graphics" in told[2] and "less than a minute on 1 thread" in told[2]
    assert run(["prepare", "demo", "--dry-run", "--workers", "2"]) == 0
    out, err = capsys.readouterr()
    assert "about 1 minute on 2 threads (--limit N makes less of it)" in out and "SOURCE" not in err


def test_the_demo_city_survives_sigkill(tmp_path: Path) -> None:
    prepare_demo(out=tmp_path / "whole", limit=2, size=(32, 32), labels=None)
    rng = random.Random(5)
    arguments = ["demo", "--limit", "2", "--size", "32", "--out", str(tmp_path / "killed")]
    codes = killed_and_finished(arguments, [rng.randint(1, 120) for _ in range(4)])
    assert -9 in codes and codes[-1] in (0, 2)
    for suffix in ("", "-graphics"):
        assert tree_hashes(tmp_path / f"killed{suffix}") == tree_hashes(tmp_path / f"whole{suffix}")


def test_the_demo_city_says_what_it_does_not_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "demo", "--classes", "camvid11"]) == 2
    assert run(["prepare", "demo", "--limit", "0"]) == 2
    assert run(["prepare", "demo", "--size", "5"]) == 2
    assert run(["prepare", "demo", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["splits"] == {"train": {"items": 400}, "val": {"items": 50}, "test": {"items": 120}}
    assert not Path("data/demo").exists()


def test_a_read_only_place_is_said(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(MachineError):
        prepare_demo(out=tmp_path / "locked/demo", limit=1, size=(32, 32))


# what --force may replace, and words that do not fit


def test_force_replaces_prepared_sets_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.folders(tmp_path / "streets")
    precious, table = tmp_path / "precious", tmp_path / "table.yaml"
    precious.mkdir()
    (precious / "thesis.txt").write_text("a thesis", encoding="utf-8")
    table.write_text("[]", encoding="utf-8")
    for out in (precious, table):
        for command in (["prepare", str(root)], ["prepare", "demo", "--limit", "1"]):
            for force in ([], ["--force"]):
                assert run([*command, "--size", "32", "--out", str(out), *force]) == 2
                error = capsys.readouterr().err.splitlines()[-1]
                assert "something else than a prepared set" in error and "--force" not in error
    assert (precious / "thesis.txt").read_text(encoding="utf-8") == "a thesis" and table.read_text(
        encoding="utf-8"
    ) == "[]"
    assert run(["prepare", str(root), "--size", "32", "--out", str(tmp_path / "set")]) == 0
    assert run(["prepare", str(root), "--size", "48", "--out", str(tmp_path / "set"), "--force"]) == 0
    assert PreparedSet.open(tmp_path / "set").size == (48, 48)


def test_another_built_in_table_for_ids_of_a_known_layout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11)
    assert run(["prepare", str(root), "--size", "32", "--classes", "cityscapes"]) == 2
    assert "ids of camvid are those of camvid11" in capsys.readouterr().err
    assert run(["prepare", str(root), "--size", "32", "--classes", "camvid11"]) == 0


def test_a_layout_that_does_not_fit_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11)
    assert run(["prepare", str(root), "--size", "32", "--format", "cityscapes"]) == 3
    assert "does not look like cityscapes" in capsys.readouterr().err.splitlines()[-1]
    assert [p.name for p in Path("data").glob("*") if not p.name.endswith(".lock")] == []


def test_a_dry_run_and_misspelt_words_come_before_what_exists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.folders(tmp_path / "streets")
    assert run(["prepare", str(root), "--size", "32"]) == 0
    capsys.readouterr()
    assert run(["prepare", str(root), "--size", "32", "--dry-run"]) == 0
    assert "exists already: --force" in "".join(capsys.readouterr())
    for flag, word in (("--classes", "camvid12"), ("--format", "camvd")):
        assert run(["prepare", str(root), "--size", "32", flag, word]) == 2
        assert "Did you mean camvid" in capsys.readouterr().err
