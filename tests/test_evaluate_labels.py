"""evaluate --metric miou: painted label maps of a run, label maps in folders, and data without labels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import citygan
from citygan.data.labels import CAMVID11, CITYSCAPES, ClassTable
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.errors import DataError, UsageError
from citygan.evaluation import evaluate_folders, evaluate_run
from citygan.metrics import METRICS, Setup, lookup, start_all
from citygan.metrics.labelled import painted_ids
from citygan.metrics.miou import confusion, segmentation_figure
from citygan.pictures import encode_picture, encode_png
from tests.street import Street

UInt8 = npt.NDArray[np.uint8]
SIDE = 32
SMALL = ("--set", "generator.width=2", "--set", "discriminator.width=2", "--set", "discriminator.receptive_field=16")


def street_of(seed: int, table: ClassTable = CAMVID11) -> tuple[UInt8, UInt8]:
    """A label map of blocks, and a photo of it."""
    rng = np.random.default_rng(seed)
    label = np.kron(rng.choice(np.array(table.ids, np.uint8), (4, 4)), np.ones((SIDE // 4, SIDE // 4), np.uint8))
    photo = np.clip(table.palette[label] * 0.5 + 60 + rng.normal(0, 9, (SIDE, SIDE, 3)), 0, 255)
    return label, photo.astype(np.uint8)


def photo_to_labels(path: Path, *, classes: bool, labels: bool) -> PreparedSet:
    """A set whose input is the photo, and whose pictures are painted label maps."""
    writer = SetWriter(path, size=(SIDE, SIDE), plan={})
    for split, seeds in (("train", range(3)), ("val", range(5, 8))):
        for seed in seeds:
            label, photo = street_of(seed)
            more = {"label": label} if labels else {}
            item = Item(f"{split}-{seed}", {}, (SIDE, SIDE))
            writer.split(split).append(item, photo=CAMVID11.palette[label], source=photo, **more)
    about = {"classes": CAMVID11.to_dict() if classes else None, "photo_channels": 3, "source_channels": 3}
    writer.finish(about)
    return PreparedSet.open(path)


@pytest.mark.parametrize("labels", [True, False])
def test_a_photo_to_labels_run_is_scored_as_classification(street: Street, labels: bool) -> None:
    data = photo_to_labels(street.path / "data/painted", classes=labels, labels=labels)
    array = ("--set", "input.array=source")
    street.done("train", "--data", "painted", "--name", "p", "--steps", "1", *array, *SMALL)
    classes = () if labels else ("--classes", "camvid11")
    done = street.run("evaluate", "--run", "p", "--metric", "miou", "--metric", "l1", *classes, "--json")
    assert done.code == 0, done.err
    figure = json.loads(done.out)["metrics"]["miou"]
    val = data.split("val")
    assert val.source is not None
    fakes = citygan.load("p", device="cpu").translate(np.asarray(val.source))
    matrix = sum(confusion(painted_ids(x, CAMVID11), street_of(5 + n)[0], CAMVID11) for n, x in enumerate(fakes))
    expected = segmentation_figure(np.asarray(matrix), CAMVID11)
    assert {key: figure[key] for key in expected} == expected and figure["n"] == 3
    assert figure["mean"] is not None and set(figure["pix2pix"]) == {"pixel_accuracy", "class_accuracy", "iou"}
    assert figure["iiou"] is None and "2048x1024" in figure["iiou_reason"]
    painting = figure["mean_colour"]
    if labels:  # the painting knows the truth
        assert painting["mean"] is None and "from the true label maps" in painting["reason"]
    else:  # the mean of the painted maps is one class everywhere, or two
        assert 0 <= painting["mean"] < 0.3 and painting["n"] == 3
    assert json.loads(done.out)["protocol"]["metrics"]["miou"]["classes"] == "camvid11"
    done = street.run("evaluate", "--run", "p", "--metric", "miou", *classes)
    assert "pixel_accuracy " in done.out and "miou of each class: Sky " in done.out


def test_what_has_no_labels_is_told_and_the_rest_is_scored(street: Street) -> None:
    done = street.run("evaluate", "--metric", "miou", "--metric", "l1")
    assert done.code == 3 and "the run paints photos, and miou scores label maps" in done.error
    assert done.out.splitlines()[2].startswith("l1") and done.err.count("error: ") == 1
    photo_to_labels(street.path / "data/painted", classes=False, labels=False)
    street.done("train", "--data", "painted", "--name", "p", "--steps", "1", *SMALL)
    done = street.run("evaluate", "--run", "p", "--metric", "miou", "--metric", "l1")
    assert done.code == 3 and "no labels, and no class table" in done.error and "--classes" in done.error
    done = street.run("evaluate", "--run", "p", "--metric", "miou", "--metric", "l1", "--classes", "cityscapes")
    assert done.code == 3 and "not a painted label map" in done.error and "l1" in done.out
    done = street.run("evaluate", "--run", "p", "--metric", "miou", "--classes", "camvid")
    assert done.code == 2 and "no class table 'camvid'" in done.error
    with pytest.raises(UsageError, match="by its own class table, cityscapes"):
        evaluate_run("a", metrics=["miou"], classes=CAMVID11)


# folders


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Label maps of every kind: ids, palettes, painted ones, nearly painted ones."""
    rng = np.random.default_rng(0)
    for folder in ("truth", "ids", "palette", "painted", "nearly", "photos"):
        (tmp_path / folder).mkdir()
    ids = [c.id for c in CITYSCAPES.classes if CITYSCAPES.colour_ids[c.colour] == c.id]
    for seed in range(3):
        truth = np.kron(rng.choice(np.array(ids, np.uint8), (4, 4)), np.ones((8, 8), np.uint8))
        mine = np.where(rng.random(truth.shape) < 0.8, truth, rng.choice(np.array(ids, np.uint8), truth.shape))
        colours = CITYSCAPES.palette[mine]
        noisy = np.clip(colours.astype(int) + rng.integers(-3, 4, colours.shape), 0, 255).astype(np.uint8)
        photo = rng.integers(0, 256, colours.shape, np.uint8)
        for folder, data in (
            ("truth", encode_png(truth)),
            ("ids", encode_png(mine.astype(np.uint8))),
            ("palette", encode_png(mine.astype(np.uint8), palette=CITYSCAPES.palette[:34])),
            ("painted", encode_png(colours)),
            ("nearly", encode_png(noisy)),
            ("photos", encode_png(photo)),
        ):
            (tmp_path / folder / f"m{seed}.png").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("kind", ["ids", "palette", "painted", "nearly"])
def test_folders_of_label_maps_are_scored(maps: Path, kind: str) -> None:
    figure = evaluate_folders(maps / kind, maps / "truth", ["miou"], classes=CITYSCAPES)["metrics"]["miou"]
    reference = evaluate_folders(maps / "ids", maps / "photos", ["miou"], maps / "truth", classes=CITYSCAPES)
    expected = reference["metrics"]["miou"]
    assert 0.4 < expected["mean"] < 0.9 and expected["n"] == 3
    if kind == "nearly":  # colours that are close together may be taken for each other
        assert figure["pixel_accuracy"] == pytest.approx(expected["pixel_accuracy"], abs=0.02)
    else:
        assert figure == expected | {"mean_colour": figure["mean_colour"]}


def test_folders_that_are_no_label_maps_are_told(maps: Path) -> None:
    figures = evaluate_folders(maps / "ids", maps / "photos", ["miou", "l1"], classes=CITYSCAPES)["metrics"]
    assert figures["miou"]["exit_code"] == 3 and "colours that the class table" in figures["miou"]["reason"]
    assert "photos/m0.png" in figures["miou"]["reason"] and figures["l1"]["n"] == 3
    figures = evaluate_folders(maps / "ids", maps / "truth", ["miou", "diversity", "l1"])["metrics"]
    assert "no class table" in figures["miou"]["reason"] and "--classes" in figures["miou"]["reason"]
    assert "Diversity is measured of a run" in figures["diversity"]["reason"] and figures["l1"]["n"] == 3
    (maps / "ids/m0.png").write_bytes(encode_png(np.full((SIDE, SIDE), 99, np.uint8)))
    figures = evaluate_folders(maps / "ids", maps / "truth", ["miou"], classes=CITYSCAPES)["metrics"]
    assert "99 (1024 pixels)" in figures["miou"]["reason"]
    with pytest.raises(UsageError, match="a class table of its own"):
        evaluate_folders(maps / "ids", maps / "truth", ["miou"], maps / "truth", classes=CITYSCAPES, data="x")


def test_lossy_predictions_are_read_by_the_nearest_colour(maps: Path) -> None:
    for file in (maps / "painted").iterdir():
        from citygan.pictures import read_photo

        picture = read_photo(file)
        file.unlink()
        file.with_suffix(".jpg").write_bytes(encode_picture(picture, ".jpg"))
    figure = evaluate_folders(maps / "painted", maps / "truth", ["miou"], classes=CITYSCAPES)["metrics"]["miou"]
    assert figure["pixel_accuracy"] is not None


# a metric of one's own that needs labels alone, as a segmenter's would


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch) -> str:
    def measure(fake: UInt8, real: UInt8, *, label: UInt8) -> float:
        return float((label == 7).mean())

    row = dataclasses.replace(METRICS["l1"], name="road", measure=measure, needs=("label",))
    monkeypatch.setitem(METRICS, "road", row)
    return "road"


def test_labels_are_given_to_whoever_needs_them(street: Street, maps: Path, road: str) -> None:
    figure = evaluate_run("a", metrics=[road], device="cpu")["metrics"][road]
    label = PreparedSet.open(street.path / "data/tiny").split("val").label
    assert label is not None
    assert figure["mean"] == pytest.approx((label == 7).mean()) == figure["mean_colour"]["mean"]
    more = {"labels": maps / "truth", "classes": CITYSCAPES}
    assert evaluate_folders(maps / "painted", maps / "photos", [road], **more)["metrics"][road]["n"] == 3
    figure = evaluate_folders(maps / "painted", maps / "photos", [road])["metrics"][road]
    assert figure["exit_code"] == 3 and "no label maps" in figure["reason"] and "--labels" in figure["reason"]
    writer = SetWriter(street.path / "data/bare", size=(SIDE, SIDE), plan={})
    for split in ("train", "val"):
        _, photo = street_of(0)
        writer.split(split).append(Item(split, {}, (SIDE, SIDE)), photo=photo, source=photo)
    writer.finish({"classes": None, "photo_channels": 3, "source_channels": 3})
    street.done("train", "--data", "bare", "--name", "b", "--steps", "1", *SMALL)
    done = street.run("evaluate", "--run", "b", "--metric", road, "--metric", "l1")
    assert done.code == 3 and "the set has no label maps" in done.error and "l1" in done.out


# the row


def test_instances_are_weighted_at_the_size_of_their_weights() -> None:
    (row,), failed = start_all([METRICS["miou"]], Setup(classes=CITYSCAPES))
    assert not failed
    truth = np.full((1024, 2048), 7, np.uint8)
    truth[:64, :64] = 26
    instance = np.where(truth == 26, 26001, 7).astype(np.uint16)
    ids = truth.copy()
    ids[:32, :64] = 7
    photo = np.zeros((1024, 2048, 3), np.uint8)
    gathered = row.gather()
    gathered.add(row.measure(photo, photo, ids=ids, label=truth, instance=instance))
    figure = gathered.figure()
    assert figure["iiou"] == 0.5 == figure["classes"]["car"]["iiou"] and figure["iiou_reason"] is None
    assert figure["category_iiou"] == 0.5
    gathered.add(row.measure(photo, photo, ids=ids, label=truth, instance=None))  # not of every picture
    assert gathered.figure()["iiou"] is None and gathered.figure()["iiou_reason"]


def test_arrays_come_without_labels() -> None:
    x = np.zeros((2, 9, 9, 3), np.uint8)
    figures = citygan.evaluate(x, x, ["miou", "diversity-l1", "l1"])["metrics"]
    assert [figures[name]["exit_code"] for name in ("miou", "diversity-l1")] == [3, 3] and figures["l1"]["n"] == 2
    with pytest.raises(DataError, match="more than two pictures"):
        lookup(["miou"])[0].measure(x[0], x[0])
