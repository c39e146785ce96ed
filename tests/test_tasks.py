"""What a generator is shown and paints: Lab, holes, labels, either direction; every task trains and is scored."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage import color

import citygan
from citygan.batch import Batch
from citygan.config import Layer, resolve
from citygan.data.labels import CITYSCAPES, VOID
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.errors import CityganError, DataError, UsageError
from citygan.infer import load, outputs_of
from citygan.metrics.labelled import painted_ids
from citygan.metrics.miou import confusion, segmentation_figure
from citygan.models.unet import UNet
from citygan.ops.holes import central_hole
from citygan.ops.lab import lab_to_rgb, rgb_to_lab
from citygan.pictures import decode, encode_png, photo_of, read_index
from citygan.presets import PRESETS
from citygan.recipes.views import View, keeps, picture_of
from citygan.sides import sides_of
from citygan.study.planning import Options, settings_of
from citygan.study.rows import STUDIES
from citygan.train.checkpoint import read_state
from citygan.weights import FORMATS
from citygan.weights.layouts import export_state_dict
from tests.street import NARROW, Street
from tests.tiny import prepared_set

UInt8 = npt.NDArray[np.uint8]
TASKS = [name for name, row in PRESETS.items() if row.source.startswith("pix2pix, section") and name != "pix2pix"]
FEW = ("--set", "train.sample_every_steps=1", "--set", "train.validation_pictures=1")


def read(path: Path) -> UInt8:
    return photo_of(decode(path.read_bytes(), path), path)


def trained(street: Street, name: str, *more: str, data: str = "tiny", steps: int = 1) -> Path:
    """A run of that model, called as it is."""
    how = ("--data", data, "--quick", "--steps", str(steps), "--name", name, *NARROW, *FEW)
    street.done("train", "--model", name, *how, *more)
    return street.path / "runs" / name


# the operators


def test_lab_is_scikit_images() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.random((2, 24, 32, 3))
    rgb[0, :4], rgb[0, 4:8], rgb[1, :8] = 0, 1, rgb[1, :8] / 20  # black, white, dark
    found = rgb_to_lab(torch.from_numpy(rgb).permute(0, 3, 1, 2))
    assert found.dtype == torch.float32
    assert np.abs(found.permute(0, 2, 3, 1).numpy() - color.rgb2lab(rgb)).max() < 1e-4
    lab = rng.random((2, 24, 32, 3)) * [100, 220, 220] - [0, 110, 110]  # much of it outside the gamut
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image tells of what it clips
        expected = color.lab2rgb(lab)
    found = lab_to_rgb(torch.from_numpy(lab).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert np.abs(found.numpy() - expected).max() < 1e-4


def test_every_colour_survives_lab_at_any_precision_around_it() -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    rgb = torch.from_numpy(np.stack(np.meshgrid(levels, levels, levels), 0).reshape(1, 3, -1, 1).copy())
    with torch.autocast("cpu", torch.bfloat16):
        lab = rgb_to_lab(rgb / 255)
        again = (lab_to_rgb(lab) * 255).round()
    assert torch.equal(again, rgb.float())
    assert lab[:, 0].min() >= 0 and lab[:, 0].max() < 100.01 and lab[:, 1:].abs().max() < 110


@pytest.mark.parametrize("size", [(8, 12), (7, 9), (1, 1), (2, 3)])
def test_the_hole_is_in_the_middle_and_half_as_wide(size: tuple[int, int]) -> None:
    hole = central_hole(*size)
    rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
    assert hole.sum() == len(rows) * len(columns) == max(1, size[0] // 2) * max(1, size[1] // 2)
    for places, side in ((rows, size[0]), (columns, size[1])):
        assert abs(int(places[0]) - (side - 1 - int(places[-1]))) <= 1


# views


def photos(seed: int = 0, count: int = 2, channels: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, 16, 24, generator=draw) * 2 - 1


def test_lightness_and_ab_make_the_photo_again() -> None:
    inputs, outputs = View("photo", encoding="lightness"), View("photo", encoding="ab", side="output")
    batch = Batch(photo=photos())
    x, y = inputs(batch), outputs(batch)
    assert (x.shape[1], y.shape[1]) == (inputs.channels, outputs.channels) == (1, 2)
    assert x.abs().max() <= 1.0001 and y.abs().max() <= 1
    assert (picture_of(inputs, outputs, x, y) - batch.photo).abs().max() < 1e-3  # type: ignore[operator]
    lab = color.rgb2lab((photos()[0].permute(1, 2, 0).numpy() + 1) / 2)
    assert np.abs(y[0].permute(1, 2, 0).numpy() * 110 - lab[..., 1:]).max() < 1e-3, "a before b"
    grey = picture_of(inputs, outputs, x, torch.zeros_like(y))
    assert (grey - grey.mean(1, keepdim=True)).abs().max() < 1e-3


def test_a_hole_shows_nothing_of_the_middle_and_keeps_what_is_around() -> None:
    inputs, outputs = View("photo", encoding="hole"), View("photo")
    first, hole = photos(), central_hole(16, 24)
    second = torch.where(hole, photos(1), first)
    x = inputs(Batch(photo=first))
    assert torch.equal(x, inputs(Batch(photo=second))) and (x[..., hole] == 1).all()
    picture = picture_of(inputs, outputs, x, photos(2))
    assert torch.equal(picture[..., ~hole], first[..., ~hole])
    assert torch.equal(picture[..., hole], photos(2)[..., hole])
    assert keeps(inputs, View("label", CITYSCAPES)) is None


def test_records_of_views_are_read_again_and_those_from_before_too() -> None:
    for view in (View("photo", encoding="hole"), View("source", None, 1), View("label", CITYSCAPES, edges=True)):
        again = View.from_dict(json.loads(json.dumps(view.to_dict())))
        assert again.to_dict() == view.to_dict() and again.channels == view.channels
    before = {"encoding": "colour", "edges": False, "source_channels": 1, "classes": None}
    assert (View.from_dict(before).array, View.from_dict(before).channels) == ("source", 1)
    before |= {"source_channels": None, "classes": CITYSCAPES.to_dict(), "encoding": "onehot"}
    assert (View.from_dict(before).array, View.from_dict(before).channels) == ("label", 34)
    old = {"networks": {"generator": {"arguments": {"in_channels": 3, "out_channels": 1}}}}
    assert (outputs_of(old).array, outputs_of(old).channels) == ("photo", 1)


@pytest.fixture(scope="module")
def town_set(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return PreparedSet.open(prepared_set(tmp_path_factory.mktemp("set") / "tiny"))


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"input": {"array": "photo"}}, UsageError, "photos would be shown as they are to be painted, input.array"),
        ({"output": {"array": "label"}}, UsageError, "label maps would be shown as they are to be painted"),
        ({"output": {"encoding": "ab"}}, UsageError, "a and b alone make no picture.*input.encoding=lightness"),
        ({"input": {"encoding": "lightness"}}, DataError, "'lightness' is of pictures, not of label maps, input.enc"),
        ({"input": {"array": "source"}}, DataError, r"no source pictures.*--set input\.array=label takes what it has"),
        ({"output": {"array": "source"}}, DataError, "no source pictures to learn from"),
        ({"input": {"array": "photo", "encoding": "onehot"}}, DataError, "one-hot input and instance edges need label"),
    ],
)
def test_sides_that_cannot_be_are_refused(
    values: dict[str, Any], error: type[CityganError], words: str, town_set: PreparedSet
) -> None:
    with pytest.raises(error, match=words):
        sides_of(resolve([Layer("test", values)])[0], town_set)


def grey_set(path: Path) -> PreparedSet:
    """Grey photos, stored as sets store them: with three equal channels."""
    writer = SetWriter(path, size=(32, 32), plan={})
    for split in ("train", "val"):
        for i in range(2):
            grey = np.random.default_rng(i).integers(0, 256, (32, 32, 1), np.uint8)
            writer.split(split).append(Item(f"{split}{i}", {}, (32, 32)), photo=np.repeat(grey, 3, axis=2))
    writer.finish({"photo_channels": 1, "source_channels": None, "classes": None})
    return PreparedSet.open(path)


def test_grey_photos_have_holes_but_no_colours(street: Street) -> None:
    grey_set(street.path / "data/grey")
    how = ("train", "--data", "grey", "--quick", "--steps", "1", *NARROW, "--model")
    street.refused(3, "'lightness' is of pictures in colour", by=(*how, "colourisation"))
    street.refused(3, "no label maps to learn from", by=(*how, "photo-to-labels"))
    trained(street, "inpainting", data="grey")
    street.done("translate", "data/grey", "out", "--run", "inpainting")
    assert len(list((street.path / "out").iterdir())) == 2


# every task


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_translates_and_is_scored(name: str, street: Street) -> None:
    run = trained(street, name)
    assert (run / "samples/00000001.png").is_file()
    state = read_state(run / "checkpoints/00000001")
    paints = name == "photo-to-labels"
    assert set(state["figures"]) >= ({"miou", "mean_colour_miou"} if paints else {"ssim", "mean_colour_ssim"})
    assert state["score"] == state["figures"]["miou" if paints else "ssim"]
    street.done("translate", "data/tiny", "out", "--run", name)
    result = json.loads(street.done("evaluate", "--run", name, "--json").out)
    figures = result["metrics"]
    assert set(figures) == ({"miou"} if paints else {"ssim", "psnr", "l1"}) and result["images"] == 2
    assert all(figure["mean"] is not None and figure["mean_colour"]["mean"] is not None for figure in figures.values())
    files = sorted((street.path / "out").iterdir())
    assert [read(file).shape for file in files] == [(32, 32, 3)] * 2


def test_the_tasks_are_those_of_section_6_2() -> None:
    rows = {name: resolve([Layer(name, PRESETS[name].settings)])[0] for name in TASKS}
    found = {
        name: (s.train.epochs, s.train.batch, s.augment.jitter == 286 / 256, s.augment.mirror)
        for name, s in rows.items()
        if s.augment.jitter in (1, 286 / 256)
    }
    assert found == {
        "photo-to-labels": (200, 1, True, True),
        "facades": (200, 1, True, True),
        "maps": (200, 1, True, True),
        "edges2shoes": (15, 4, False, False),
        "edges2handbags": (15, 4, False, False),
        "day2night": (17, 4, True, True),
        "colourisation": (6, 4, False, True),
        "thermal": (10, 4, False, False),
        "inpainting": (25, 4, False, False),
    }
    assert {name: row.direction for name, row in PRESETS.items() if row.direction} == {
        "facades": "BtoA",
        "maps": "AtoB",
        "edges2shoes": "AtoB",
        "edges2handbags": "AtoB",
    }


@pytest.mark.parametrize("losses", [{}, {"lambda_gan": 0}, {"lambda_l1": 0}])
def test_the_rows_of_table_6_are_settings(losses: dict[str, float], street: Street) -> None:
    more = [text for key, value in losses.items() for text in ("--set", f"losses.{key}={value}")]
    run = trained(street, "photo-to-labels", *more)
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert ("g_l1" in line) == ("lambda_l1" not in losses) and ("g_gan" in line) == ("lambda_gan" not in losses)


# photos to labels


def test_painted_labels_are_scored_as_classification_beside_the_most_frequent_class(street: Street) -> None:
    run = trained(street, "photo-to-labels", steps=2)
    figure = json.loads(street.done("evaluate", "--run", "photo-to-labels", "--json").out)["metrics"]["miou"]
    val, city = PreparedSet.open(street.path / "data/tiny").split("val"), citygan.load(run, device="cpu")
    assert val.photo is not None and val.label is not None
    trainable = [c for c in CITYSCAPES.classes if c.train_id != VOID]
    colours = np.array([c.colour for c in trainable], int)
    matrix = 0
    for photo, label in zip(val.photo, val.label, strict=True):
        painted = city.translate(np.asarray(photo)).astype(int)
        nearest = ((painted[:, :, None] - colours) ** 2).sum(-1).argmin(-1)
        matrix = matrix + confusion(np.array([c.id for c in trainable])[nearest], np.asarray(label), CITYSCAPES)
    expected = segmentation_figure(np.asarray(matrix), CITYSCAPES)
    assert {key: figure[key] for key in expected} == expected
    assert set(figure["pix2pix"]) == {"pixel_accuracy", "class_accuracy", "iou"}
    painting = figure["mean_colour"]
    assert painting["mean"] is not None and 0 < painting["pixel_accuracy"] < 1 and painting["n"] == 2
    done = street.done("evaluate", "--run", "photo-to-labels")
    assert (
        "most frequent class"
        in json.loads(street.done("evaluate", "--run", "photo-to-labels", "--metric", "l1", "--json").out)["protocol"][
            "mean_colour"
        ]["name"]
    )
    assert "next: citygan translate" in done.err and "pixel_accuracy" in done.out
    page = (run / "report.html").read_text("utf-8")
    assert "most frequent class of each pixel" in page and "nearest" in page and "SSIM [" not in page
    street.done("train", "--model", "unet-seg", "--data", "tiny", "--quick", "--steps", "1", "--name", "s",
                "--set", "augment.crop=null", "--set", "segmenter.width=2")  # fmt: skip
    refused = street.run("evaluate", "--run", "photo-to-labels", "--metric", "fcn-score", "--segmenter", "s")
    assert refused.code == 3 and "the run paints label maps, and a segmenter looks at photos" in refused.error


def test_painted_labels_are_written_as_ids_too(street: Street) -> None:
    trained(street, "photo-to-labels")
    city, val = load("photo-to-labels", device="cpu"), PreparedSet.open(street.path / "data/tiny").split("val")
    (street.path / "photo.png").write_bytes(encode_png(city.given(val, 0)))
    painted = city.translate(city.given(val, 0))
    ids = painted_ids(painted, CITYSCAPES)
    how = ("translate", "photo.png", "--run", "photo-to-labels", "--write")
    expected = {"rawid": ids, "trainid": CITYSCAPES.train_ids[ids]}
    for write in ("rawid", "trainid", "colour", "overlay"):
        street.done(*how[:2], write, *how[2:], write)
        file = street.path / write / "photo.png"
        if write in expected:
            assert np.array_equal(read_index(file), expected[write])
        elif write == "colour":
            assert np.array_equal(read(file), CITYSCAPES.palette[ids])
    street.done("translate", "data/tiny", "all", "--run", "photo-to-labels", "--write", "rawid")
    assert np.array_equal(read_index(street.path / "all" / "val000.png"), ids)
    street.refused(2, "--samples with --write rawid", by=(*how[:2], "o", *how[2:], "rawid", "--samples", "2"))
    street.refused(2, "would not survive in a JPEG", by=(*how[:2], "o", *how[2:], "rawid", "--suffix", ".jpg"))
    street.refused(
        2, "a generator writes photos, not 'rawid'", by=("translate", "labels", "o", "--run", "a", "--write", "rawid")
    )


def test_a_set_without_what_is_painted_is_not_scored(street: Street) -> None:
    trained(street, "photo-to-labels")
    grey_set(street.path / "data/grey")
    street.refused(3, "no label maps to compare with", by=("evaluate", "--run", "photo-to-labels", "--data", "grey"))
    street.done("translate", "data/grey", "out", "--run", "photo-to-labels")


# files of any size


def test_photos_of_any_size_are_coloured_and_keep_their_lightness(street: Street) -> None:
    trained(street, "colourisation")
    folder = street.path / "photos"
    folder.mkdir()
    photo = np.random.default_rng(0).integers(60, 200, (35, 51, 3), np.uint8)
    grey = np.repeat(photo[..., :1], 3, axis=2)
    for name, picture in (("colour", photo), ("grey", grey)):
        (folder / f"{name}.png").write_bytes(encode_png(picture))
    street.done("translate", "photos", "out", "--run", "colourisation")
    for name, picture in (("colour", photo), ("grey", grey)):
        made = read(street.path / "out" / f"{name}.png")
        assert made.shape == picture.shape
        difference = np.abs(color.rgb2lab(made)[..., 0] - color.rgb2lab(picture)[..., 0])
        assert np.median(difference) < 1, "but where the colour is outside the gamut, L is as given"
    protocol = load("colourisation", device="cpu").protocol()
    assert (protocol["shown"], protocol["kept_of_the_input"]) == ("lightness", "lightness")


def test_holes_are_filled_in_the_middle_of_pictures_of_any_size(street: Street) -> None:
    run = trained(street, "inpainting")
    city = citygan.load(run, device="cpu")
    for size in ((35, 51), (32, 32), (9, 70)):
        photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        hole = central_hole(*size).numpy()
        cut = photo.copy()
        cut[hole] = 0
        made = city.translate(photo)
        assert np.array_equal(made, city.translate(cut)), "what stands in the hole does not matter"
        assert np.array_equal(made[~hole], photo[~hole]) and (made[hole] != 255).any()
    (street.path / "photo.png").write_bytes(encode_png(photo))
    refused = street.run("translate", "photo.png", "out", "--run", "inpainting", "--tile", "128")
    assert refused.code == 2 and "the hole in the middle of a whole picture, --tile" in refused.error


def test_trained_at_one_size_and_tested_at_twice_that(street: Street) -> None:
    trained(street, "maps")
    prepared_set(street.path / "data/large", size=(64, 64))
    result = json.loads(street.done("evaluate", "--run", "maps", "--data", "large", "--json").out)
    assert result["protocol"]["size"] == "64x64" and result["metrics"]["ssim"]["mean"] is not None


# pairs


def pairs_set(path: Path, direction: str) -> Path:
    """As pairs are prepared: flat colours to noise."""
    writer = SetWriter(path, size=(32, 32), plan={})
    for split in ("train", "val"):
        for i in range(2):
            rng = np.random.default_rng(i)
            flat = np.kron(rng.integers(0, 2, (4, 4, 3)) * 255, np.ones((8, 8, 1))).astype(np.uint8)
            noise = rng.integers(0, 256, (32, 32, 3), np.uint8)
            writer.split(split).append(Item(f"{split}{i}", {}, (32, 32)), source=flat, photo=noise)
    about = {"photo_channels": 3, "source_channels": 3, "classes": None}
    return writer.finish({**about, "layout": "pairs", "options": {"direction": direction}})


def test_pairs_go_either_way(street: Street) -> None:
    pairs_set(street.path / "data/pairs", "AtoB")
    how = ("train", "--data", "pairs", "--quick", "--steps", "1", *NARROW, *FEW)
    there = street.done(*how, "--model", "maps", "--name", "there")
    assert "warning" not in there.err
    wrong = street.done(*how, "--model", "facades", "--name", "wrong")
    assert "the published pairs go BtoA" in wrong.err and "input.array=photo --set output.array=source" in wrong.err
    back = ("--set", "input.array=photo", "--set", "output.array=source")
    street.done(*how, "--model", "maps", "--name", "back", *back)
    data = PreparedSet.open(street.path / "data/pairs").split("val")
    assert data.photo is not None and data.source is not None
    ways = {"there": (data.source, data.photo), "back": (data.photo, data.source)}
    pair = np.concatenate([np.asarray(data.source[0]), np.asarray(data.photo[0])], axis=1)
    (street.path / "pair.png").write_bytes(encode_png(pair))
    for name, (given, real) in ways.items():
        city = load(name, device="cpu")
        assert np.array_equal(city.given(data, 0), given[0]) and np.array_equal(city.real(data, 0), real[0])
        result = json.loads(street.done("evaluate", "--run", name, "--metric", "l1", "--json").out)
        kind = result["protocol"]["mean_colour"]["name"]
        assert kind == ("mean training photo" if name == "there" else "mean training source")
        street.done("translate", "pair.png", f"out-{name}", "--run", name)
        made = read(street.path / f"out-{name}" / "pair.png")
        assert np.array_equal(made, city.translate(np.asarray(given[0]))), "the half that is its input is taken"


# from trained weights


def test_fine_tuning_takes_a_file_or_the_run_that_was_imported_last(street: Street) -> None:
    model = ("train", "--model", "pix2pix-finetune", "--data", "tiny", "--quick", "--steps", "1", *FEW)
    street.refused(2, "starts from trained weights, and none are given, --init. --init FILE", "import", by=model)
    street.done("weights", "export", "a", "a.safetensors")
    judge = ("--set", "discriminator.width=4")
    slow = ("--set", "optimizer.rate=1e-9", "--set", "train.ema=0")
    done = street.done(*model, *judge, *slow, "--init", "a.safetensors", "--name", "by-file")
    assert "starting from a.safetensors" in done.err
    first, after = load("a", device="cpu").generator, load("by-file", device="cpu").generator
    for key, tensor in first.state_dict().items():
        if key.endswith("weight"):
            assert torch.allclose(tensor, after.state_dict()[key], atol=1e-6), key
    street.done("weights", "import", "a.safetensors", "--name", "public")
    done = street.done(*model, *judge, "--name", "by-run")
    assert "starting from " in done.err and "public" in done.err
    settings = read_state(street.path / "runs/by-run/checkpoints/00000001")["settings"]
    assert settings["generator"]["width"] == 4 and "public" in settings["init"]
    assert settings["losses"]["adversarial"] == "least-squares-sigmoid"
    shown = street.done(*model, "--init", "a.safetensors", "--dry-run").out
    assert any(line.startswith("generator.width") and "weights " in line for line in shown.splitlines())
    (street.path / "broken.pth").write_bytes(b"no")
    street.refused(6, "broken.pth", by=(*model, "--init", "broken.pth"))


def test_a_studys_row_from_weights_has_their_networks(street: Street) -> None:
    chosen = STUDIES["cityscapes-ssim"]
    row = next(row for row in chosen.rows if row.from_weights)
    start = str(street.path / "runs/a/checkpoints/00000003")
    widths = [
        settings.generator.width
        for settings in (settings_of(chosen, row, Options("tiny", True, init=init)) for init in (None, start))
    ]
    assert widths == [64, 4]


def test_public_colourisation_is_imported_as_such(street: Street) -> None:
    """A U-Net of one channel to two in the public code's names, and our own export of such a run."""
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"in_channels": 1, "out_channels": 2, "width": 4, "depth": 5, "bias": "output"}
    public = UNet(**arguments, dropout_layers=(1, 3))
    row = next(row for row in FORMATS if row.network == "unet" and row.name.startswith("pytorch-Cycle"))
    torch.save(export_state_dict(row, arguments, dict(public.state_dict())), street.path / "c.pth")
    trained(street, "colourisation")
    street.done("weights", "export", "colourisation", "c.safetensors")
    for file in ("c.pth", "c.safetensors"):
        name = file.partition(".")[2]
        street.done("weights", "import", file, "--name", name)
        city = load(name, device="cpu")
        assert (city.inputs.encoding, city.outputs.encoding) == ("lightness", "ab")
        photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        assert city.translate(photo).shape == (32, 32, 3)
