"""Segmenters as runs: trained, resumed, translated with, scored, and refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

import citygan
from citygan.building import build
from citygan.config import Layer, resolve
from citygan.data.augment import Scaling
from citygan.data.labels import CAMVID11, CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.errors import UsageError
from citygan.evaluation import evaluate_run, evaluate_segmenter
from citygan.metrics.fcnscore import PIX2PIX, name_of_protocol, other_of
from citygan.metrics.miou import confusion, segmentation_figure
from citygan.metrics.painting import fit_mean_colours, paint
from citygan.pictures import encode_png, read_index, read_photo
from citygan.presets import PRESETS
from citygan.recipes.base import PolyDecay
from citygan.segmenting import Segmenter, load_segmenter
from citygan.starting import initialise, random_ones
from citygan.train.checkpoint import read_state
from tests.street import Street, hashes

UInt8 = npt.NDArray[np.uint8]
SMALL = ("--set", "segmenter.width=4", "--set", "segmenter.depth=2", "--set", "train.batch=2")
SEGMENTERS = [name for name, row in PRESETS.items() if row.settings.get("recipe") == "segmenter"]


def trained(street: Street, name: str = "s", *more: str, data: str = "tiny") -> Path:
    """A segmenter's run of two steps."""
    street.done("train", "--model", "unet-seg", "--data", data, "--name", name, "--steps", "2", *SMALL, *more)
    return street.path / "runs" / name


def val(street: Street, name: str = "tiny") -> tuple[UInt8, UInt8]:
    """Photos and labels of a set's validation split."""
    split = PreparedSet.open(street.path / "data" / name).split("val")
    assert split.photo is not None and split.label is not None
    return np.asarray(split.photo), np.asarray(split.label)


def by_hand(prediction: UInt8, truth: UInt8) -> tuple[float, float, float]:
    """Pixel accuracy, mean class accuracy and mean IoU of train ids, pixel by pixel."""
    kept = truth != 255
    accuracies, ious = [], []
    for k in range(19):
        mine, true = (prediction == k) & kept, truth == k
        if true.any():
            accuracies.append((mine & true).sum() / true.sum())
        if (mine | true).any():
            ious.append((mine & true).sum() / (mine | true).sum())
    return float((prediction == truth)[kept].mean()), float(np.mean(accuracies)), float(np.mean(ious))


# training


def test_a_run_says_what_it_is_and_the_best_goes_by_miou(street: Street) -> None:
    often = ("--set", "train.checkpoint_every_steps=1", "--set", "train.log_every_steps=1")
    run = trained(street, "s", *often, "--set", "train.ema=0.9")
    state = read_state(run / "checkpoints/00000002")
    assert state["kind"] == "segmenter" and state["classes"] == CITYSCAPES.to_dict() and state["use"] == "segmenter-ema"
    assert state["score"] == state["figures"]["miou"] and "pixel_accuracy" in state["figures"]
    assert sorted(state["files"]) == ["optimizer-segmenter", "segmenter", "segmenter-ema"]
    photos, labels = val(street)
    found = load_segmenter(run, device="cpu").segment(photos)
    assert state["score"] == pytest.approx(by_hand(found, CITYSCAPES.train_ids[labels])[2])
    assert "mIoU" in (run / "report.html").read_text()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("cross_entropy" in line for line in lines) and any("val_miou" in line for line in lines)
    assert read_photo(run / "samples/00000002.png").ndim == 3
    summary = json.loads(street.done("train", "--resume", "s", "--steps", "3", "--json").out)
    assert set(summary["figures"]) >= {"miou"} and "ssim" not in summary["figures"]


@pytest.mark.parametrize("how", [(), ("--set", "optimizer.name=sgd"), ("--set", "train.ema=0.9")])
def test_a_resume_is_exact(street: Street, how: tuple[str, ...]) -> None:
    more = (*how, "--set", "train.checkpoint_every_steps=2", "--set", "augment.crop=24", "--set", "augment.mirror=true")
    whole = ("train", "--model", "unet-seg", "--data", "tiny", *SMALL, *more, "--set", "optimizer.schedule=constant")
    street.done(*whole, "--name", "one", "--steps", "4")
    street.done(*whole, "--name", "two", "--steps", "2")
    street.done("train", "--resume", "two", "--steps", "4")
    one, two = (hashes(street.path / f"runs/{name}/checkpoints/00000004") for name in ("one", "two"))
    assert {k: v for k, v in one.items() if k != "state.json"} == {k: v for k, v in two.items() if k != "state.json"}


def test_bf16_and_accumulation_go_through_the_engine(street: Street) -> None:
    run = trained(street, "s", "--set", "train.precision=bf16", "--set", "train.accumulate=2")
    assert load_segmenter(run, device="cpu").segment(np.zeros((32, 32, 3), np.uint8)).shape == (32, 32)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_quick_form_of_every_preset_can_be_built_without_fetching(street: Street, name: str) -> None:
    if name == "pspnet":
        pytest.importorskip("segmentation_models_pytorch")
    row = PRESETS[name]
    data = PreparedSet.open(street.path / "data/tiny")
    settings = resolve([Layer("p", {"model": name, **row.settings}), Layer("q", {"quick": True, **row.quick})])[0]
    built = build(settings, data)
    random = random_ones(initialise(built.recipe.networks, settings, None))
    assert built.inputs is None and built.networks["segmenter"]["arguments"]["classes"] == 19
    assert bool(random) == (name != "unet-seg")


def test_the_poly_schedule_falls_to_nothing() -> None:
    poly = PolyDecay(0.9)
    assert poly(0, 10) == 1 and poly(10, 10) == 0 and poly(5, 10) == pytest.approx(0.5**0.9)


def test_scale_and_crop_move_photo_and_label_alike() -> None:
    label = np.random.default_rng(0).integers(0, 9, (40, 60)).astype(np.uint8)
    big = np.kron(label, np.ones((8, 8), np.uint8))
    x = torch.from_numpy(big)[None].repeat(4, 1, 1)
    scaling = Scaling.draw((320, 480), (64, 80), (0.5, 2.0), True, 3, [0, 1, 2, 3])
    assert len(set(scaling.scale)) == 4 and scaling == Scaling.draw(
        (320, 480), (64, 80), (0.5, 2.0), True, 3, [*range(4)]
    )
    ids, photo = scaling.index(x), scaling.picture(x[:, None].repeat(1, 3, 1, 1) * 20)
    assert ids.shape == (4, 64, 80) and photo.shape == (4, 3, 64, 80)
    same = (photo[:, 0] == ids * 20).float().mean()  # but for the edges of blocks
    assert same > 0.5
    inside = Scaling((320, 480), (320, 480), [1.0], [0.0], [0.0], [False])
    assert torch.equal(inside.index(x[:1]), x[:1]) and torch.equal(inside.picture(x[:1, None])[:, 0], x[:1])
    mirrored = Scaling((320, 480), (320, 480), [1.0], [0.0], [0.0], [True])
    assert torch.equal(mirrored.index(x[:1]), x[:1].flip(-1))
    small = Scaling((320, 480), (320, 480), [0.5], [-40.0], [-40.0], [False])
    outside = small.index(x[:1])[0]
    assert (outside[:40] == 255).all() and (outside[200:] == 255).all() and (outside[40:200, 40:280] != 255).all()
    assert (small.picture(x[:1, None])[0, 0, :39] == 128).all()


# label maps


@pytest.mark.parametrize("write", ["trainid", "rawid", "colour", "overlay"])
def test_photos_become_label_maps(street: Street, write: str) -> None:
    run = trained(street)
    photos, _ = val(street)
    (street.path / "photos").mkdir()
    (street.path / "photos/p.png").write_bytes(encode_png(photos[0][:20, :27]))
    done = street.done("translate", "photos", "out", "--run", "s", "--write", write)
    assert done.paths == ["out/p.png"] and "--metric miou" in done.err
    segmenter = load_segmenter(run, device="cpu")
    trained_ids = segmenter.segment(photos[0][:20, :27])
    colours = CITYSCAPES.palette[segmenter.ids(trained_ids)]
    picture = read_photo(street.path / "out/p.png")
    if write in ("trainid", "rawid"):
        expected = trained_ids if write == "trainid" else segmenter.ids(trained_ids)
        assert np.array_equal(read_index(street.path / "out/p.png"), expected)
        assert np.array_equal(picture, colours)  # the palette
    elif write == "colour":
        assert np.array_equal(picture, colours)
    else:
        assert np.abs(picture - (photos[0][:20, :27] * 0.5 + colours * 0.5)).max() <= 0.5
    assert street.done("translate", "tiny", "set", "--run", "s", "--write", write).paths == [
        "set/val000.png",
        "set/val001.png",
    ]


# figures


def with_full_labels(path: Path) -> PreparedSet:
    """A set whose validation labels are kept at twice the size, and differ from the prepared ones."""
    random = np.random.default_rng(1)
    writer = SetWriter(path, size=(32, 32), plan={})
    ids = np.array([7, 8, 11, 21, 0], np.uint8)  # 0 is void
    for split, count in (("train", 2), ("val", 3)):
        for i in range(count):
            big = np.kron(random.choice(ids, (8, 8)), np.ones((8, 8), np.uint8))
            photo = CITYSCAPES.palette[big[::2, ::2]]
            full = encode_png(big) if split == "val" else None
            writer.split(split).append(Item(f"{i}", {}, (64, 64)), full_label=full, photo=photo, label=big[::2, ::2])
    writer.finish({"photo_channels": 3, "classes": CITYSCAPES.to_dict()})
    return PreparedSet.open(path)


@pytest.mark.parametrize("full", [False, True])
def test_miou_is_that_of_the_same_predictions_at_the_labels_own_size(street: Street, full: bool) -> None:
    name = "big" if full else "tiny"
    if full:
        with_full_labels(street.path / "data/big")
    run = trained(street, data=name)
    result = json.loads(street.done("evaluate", "--run", "s", "--json").out)
    figure = result["metrics"]["miou"]
    data = PreparedSet.open(street.path / "data" / name)
    split, segmenter = data.split("val"), load_segmenter(run, device="cpu")
    assert split.photo is not None and split.label is not None
    matrix, predictions, truths = np.zeros((36, 36), np.int64)[:0], [], []
    for i, item in enumerate(split.items):
        path = split.full_label(item)
        truth = read_index(path) if path is not None else np.asarray(split.label[i])
        assert truth.shape == ((64, 64) if full else (32, 32))
        ids = segmenter.segment(np.asarray(split.photo[i]), truth.shape[::-1])
        one = confusion(segmenter.ids(ids), truth, CITYSCAPES)
        matrix = one if not len(matrix) else matrix + one
        predictions.append(ids)
        truths.append(CITYSCAPES.train_ids[truth])
    expected = segmentation_figure(matrix, CITYSCAPES)
    assert {key: figure[key] for key in expected} == expected
    pixel, mean, iou = by_hand(np.stack(predictions), np.stack(truths))
    assert (figure["pixel_accuracy"], figure["class_accuracy"], figure["mean"]) == pytest.approx((pixel, mean, iou))
    assert result["protocol"]["size"] == ("64x64" if full else "32x32")
    assert result["protocol"]["model"]["network"] == "unet-seg" and figure["mean_colour"]["mean"] is None
    assert (run / "figures").is_dir()  # the run's report has it


def test_logits_are_enlarged_bilinearly(street: Street) -> None:
    segmenter = load_segmenter(trained(street), device="cpu")
    photo = val(street)[0][0]
    logits = segmenter._logits(photo[None])[0].numpy()
    big = np.stack([cv2.resize(plane, (96, 64), interpolation=cv2.INTER_LINEAR) for plane in logits])
    assert (segmenter.segment(photo, (96, 64)) == big.argmax(0)).mean() > 0.999


def test_fcn_score_has_its_rows(street: Street) -> None:
    run = trained(street)
    done = street.done("evaluate", "--run", "a", "--metric", "fcn-score", "--segmenter", "s", "--json")
    result = json.loads(done.out)
    figure = result["metrics"]["fcn-score"]
    photos, labels = val(street)
    segmenter, fakes = load_segmenter(run, device="cpu"), citygan.load("a", device="cpu").translate(labels)
    truth = CITYSCAPES.train_ids[labels]
    seen = segmenter.segment(fakes)
    expected = {
        "generated": by_hand(seen, truth),
        "oracle": by_hand(segmenter.segment(photos), truth),
        "chance": by_hand(seen, truth[[1, 0]]),
    }
    train = PreparedSet.open(street.path / "data" / "tiny").split("train")
    assert train.label is not None and train.photo is not None
    palette = fit_mean_colours(zip(np.asarray(train.label), np.asarray(train.photo), strict=True))
    painting = by_hand(segmenter.segment(np.stack([paint(label, palette) for label in labels])), truth)
    beside = figure["mean_colour"]
    assert (beside["pixel_accuracy"], beside["class_accuracy"], beside["class_iou"]) == pytest.approx(painting)
    assert len({*expected.values(), painting}) == 4, "each of other pictures"
    for name, values in expected.items():
        row = figure["rows"][name]
        assert (row["pixel_accuracy"], row["class_accuracy"], row["class_iou"]) == pytest.approx(values), name
    assert figure["mean"] == figure["class_iou"] == figure["rows"]["generated"]["class_iou"]
    assert beside["mean"] == beside["class_iou"] and list(beside["rows"]) == ["generated"]
    about = result["protocol"]["metrics"]["fcn-score"]["segmenter"]
    assert about["scored_as"].startswith("pictures of 32x32 as they are through unet-seg, against labels of 32x32")
    assert about["weights_sha256"] and about["step"] == 2
    text = street.done("evaluate", "--run", "a", "--metric", "fcn-score", "--segmenter", "s").out
    assert [line.split(":")[0] for line in text.splitlines()[2:6]] == [
        f"fcn-score, {row}" for row in ("oracle", "generated", "mean-colour", "chance")
    ]


def test_the_chance_row_never_meets_its_own_labels() -> None:
    for count in (2, 3, 5, 101):
        others = [other_of(i, count) for i in range(count)]
        assert sorted(x for x in others if x is not None) == list(range(count))
        assert all(i != other for i, other in enumerate(others))
    assert other_of(0, 1) is None
    assert [other_of(i, 5) for i in range(5)] == [2, 3, 4, 0, 1], "half the set away: neighbours may be one street"
    assert [other_of(i, 6) for i in range(6)] == [3, 4, 5, 0, 1, 2]


def test_only_pix2pix_own_protocol_has_its_name() -> None:
    own = {"network": "fcn8s", "classes": "cityscapes", "num_train": 19, "enlarged": "2048x1024"}
    assert name_of_protocol(own, "256x256", {"2048x1024"}) == PIX2PIX
    for other in ({**own, "network": "unet-seg"}, {**own, "enlarged": None}, {**own, "classes": "mine"}):
        assert name_of_protocol(other, "256x256", {"2048x1024"}) != PIX2PIX
    assert name_of_protocol(own, "512x256", {"2048x1024"}) != PIX2PIX
    assert "256x256" in name_of_protocol(own, "256x256", {"256x256"})


def test_photos_can_be_enlarged_first(street: Street) -> None:
    run = trained(street, "s", "--set", "segmenter.enlarge=64x48")
    segmenter = load_segmenter(run, device="cpu")
    assert segmenter.enlarged == (64, 48)
    assert segmenter._logits(val(street)[0][:1]).shape == (1, 19, 48, 64)
    assert segmenter.segment(val(street)[0]).shape == (2, 32, 32)


# what does not fit


def other_classes(path: Path, *, labels: bool = True) -> None:
    """A set by CamVid's classes, or without labels."""
    writer = SetWriter(path, size=(32, 32), plan={})
    for split in ("train", "val"):
        for i in range(2):
            label = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4) % 12, np.ones((8, 8), np.uint8))
            photo = CAMVID11.palette[label]
            more = {"label": label} if labels else {"source": photo}
            writer.split(split).append(Item(f"{split}{i}", {}, (32, 32)), photo=photo, **more)
    about = {"classes": CAMVID11.to_dict()} if labels else {"classes": None, "source_channels": 3}
    writer.finish({"photo_channels": 3, **about})


def test_the_wrong_kind_of_run_names_those_that_fit(street: Street) -> None:
    trained(street)
    run = ("--run", "s")
    street.refused(2, "ssim is of a generator's pictures", "--run can be: a", by=("evaluate", *run, "--metric", "ssim"))
    street.refused(2, "--run can be: a", by=("translate", "tiny", "out", *run, "--write", "photo"))
    street.refused(2, "--samples belongs", by=("translate", "tiny", "out", *run, "--samples", "2"))
    street.refused(2, "JPEG", by=("translate", "tiny", "out", *run, "--suffix", ".jpg"))
    street.refused(2, "--run can be: s", by=("translate", "tiny", "out", "--run", "a", "--write", "colour"))
    street.refused(2, "--mode belongs", by=("evaluate", *run, "--mode", "paper"))
    fcn = ("evaluate", "--run", "a", "--metric", "fcn-score")
    street.refused(2, "--segmenter can be: s", by=(*fcn, "--segmenter", "a"))
    street.refused(2, "citygan train --model unet-seg", by=fcn)
    street.refused(2, "is for fcn-score", by=("evaluate", "--run", "a", "--metric", "l1", "--segmenter", "s"))
    street.refused(2, "a generator is wanted", by=("train", "--data", "tiny", "--init", "s", "--steps", "1"))
    street.refused(2, "a segmenter is wanted", by=("train", "--data", "tiny", "--model", "unet-seg", "--init", "a"))
    with pytest.raises(UsageError, match="a generator is wanted"):
        citygan.load("s")


def test_other_classes_and_no_labels_are_told(street: Street) -> None:
    trained(street)
    other_classes(street.path / "data/other")
    other_classes(street.path / "data/bare", labels=False)
    segmenter = load_segmenter("s", device="cpu")
    with pytest.raises(UsageError, match="tells cityscapes, and the set has the classes camvid11"):
        evaluate_segmenter(segmenter, data="other")
    street.refused(3, "no label maps to compare with", by=("evaluate", "--run", "s", "--data", "bare"))
    street.refused(3, "learns from label maps", by=("train", "--model", "unet-seg", "--data", "bare"))
    narrow = ("--set", "generator.width=2", "--set", "discriminator.width=2", "--steps", "1")
    street.done("train", "--data", "bare", "--name", "b", *narrow)
    done = street.run("evaluate", "--run", "b", "--metric", "fcn-score", "--segmenter", "s", "--metric", "l1")
    assert done.code == 3 and "no label maps" in done.error and "l1" in done.out
    street.done("train", "--data", "other", "--name", "o", *narrow)
    with pytest.raises(UsageError, match="a segmenter with other classes"):
        evaluate_run("o", metrics=["fcn-score"], segmenter=segmenter, device="cpu")


def test_settings_that_a_segmenter_does_not_have_are_refused(street: Street) -> None:
    train = ("train", "--model", "unet-seg", "--data", "tiny", "--steps", "1")
    street.refused(2, "unet-seg has no backbone", by=(*train, "--set", "segmenter.backbone=resnet50"))
    street.refused(2, "augment.scale_min", by=(*train, "--set", "augment.scale_min=3"))
    street.refused(2, "augment.jitter", by=(*train, "--set", "augment.jitter=1.2"))
    street.refused(2, "WIDTHxHEIGHT", by=(*train, "--set", "segmenter.enlarge=big"))
    street.refused(
        2, "of segmenters", by=("train", "--data", "tiny", "--set", "augment.crop=16", "--set", "augment.jitter=1")
    )
    street.refused(2, "no segmenter named 'unet'", by=(*train, "--set", "segmenter.name=unet"))


def test_void_is_no_class() -> None:
    segmenter = Segmenter(torch.nn.Identity(), CAMVID11, device=torch.device("cpu"))
    assert np.array_equal(CAMVID11.train_ids[segmenter.ids(np.arange(11, dtype=np.uint8))], np.arange(11))
    assert segmenter.ids(np.array([255], np.uint8))[0] == 255
