"""Augmentation: all arrays move together, colours as torchvision has them, draws a function of seed and step alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from citygan.batch import Batch
from citygan.config import Layer, resolve
from citygan.data.augment import Jitter, Picker, Scaling
from citygan.data.colours import ColourChange, ColourRanges
from citygan.data.crops import ClassCrops
from citygan.data.labels import CAMVID32, CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.feeding import feed_of
from citygan.ops.edges import instance_edges
from citygan.recipes.views import View
from citygan.study.rows import STUDIES
from tests.street import NARROW, Street, hashes
from tests.tiny import prepared_set

ROWS = {row.name: row.overrides.get("augment", {}) for row in STUDIES["augmentation"].rows}
PLAIN = {"jitter": 1.0, "mirror": False}
SCALES = {**PLAIN, "scale_max": 2.0}
CPU = torch.device("cpu")
each_row = pytest.mark.parametrize("name", ROWS)


def feed(data: PreparedSet, augment: Mapping[str, Any], batch: int = 2, seed: int = 0, **options: Any) -> Any:
    values = {"augment": augment, "seed": seed, "train": {"batch": batch}}
    chosen = {"arrays": ["photo", "label"], "channels": 3, "device": CPU, **options}
    return feed_of(resolve([Layer("test", values)])[0], data, **chosen)


def painted_set(path: Path, count: int = 4, ids: tuple[int, ...] = (7, 8, 11, 21, 23, 26)) -> PreparedSet:
    """A set in which all arrays say the same: photo and source are the labels' colours, each instance is a class."""
    random = np.random.default_rng(3)
    writer = SetWriter(path, size=(64, 32), plan={})
    for i in range(count):
        label = np.kron(random.choice(np.array(ids, np.uint8), (2, 4)), np.ones((16, 16), np.uint8))
        photo = CITYSCAPES.palette[label]
        writer.split("train").append(
            Item(f"{i:03d}", {}, (64, 32)), label=label, photo=photo, source=255 - photo,
            instance=label.astype(np.uint16) * 1000,
        )  # fmt: skip
    return PreparedSet.open(
        writer.finish({"source": "test", "photo_channels": 3, "source_channels": 3, "classes": CITYSCAPES.to_dict()})
    )


# what was there before stays as it was, bit for bit


LABELS = {
    "default": ({}, "e80f31e7b78ee7c1", "b1a9fee68b7d8bbb"),
    "none": (PLAIN, "4138b2dfe7985dc6", "eebad0408888432a"),
    "mirror": ({**PLAIN, "mirror": True}, "5ae0ff88d21b73a6", "5c601c00ee667b8a"),
    "twice": ({"jitter": 2.0}, "62f96980e7789a7f", "a7f5cd93922d671f"),
    "segmenters": ({"jitter": 1.0, "scale_min": 0.5, "scale_max": 2.0}, "8f95b8de3922120a", "faba362043d9a4a3"),
    "crop": ({"jitter": 1.0, "scale_min": 0.5, "crop": 24}, "c8a76d31e8e12142", "e0218312c3dca0b4"),
}  # of label maps, before there were colours and class-aware crops
PHOTOS = {"none": "076014b8b4341a94", "mirror": "7499ac61ff8e41a4"}


@pytest.mark.parametrize("name", LABELS)
def test_batches_are_those_of_the_first_version(tmp_path: Path, name: str) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set"))
    augment, *digests = LABELS[name]
    for seed, digest in zip((0, 7), digests, strict=True):
        batches = [feed(data, augment, 3, seed)(step) for step in (0, 1, 5, 1000)]
        assert digest_of(batches, "label") == digest
    if name in PHOTOS:
        assert digest_of([feed(data, augment, 3)(step) for step in (0, 1, 5, 1000)], "photo") == PHOTOS[name]


def digest_of(batches: list[Batch], name: str) -> str:
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(getattr(batch, name).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def test_a_default_photo_is_enlarged_cropped_and_mirrored_and_nothing_else(tmp_path: Path) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set"))
    split = data.split("train")
    ours = feed(data, {})
    for step in range(3):
        positions = [2 * step, 2 * step + 1]
        draws = Jitter.draw((32, 32), 286 / 256, True, 0, positions)
        batch = ours(step)
        for i, index in enumerate(ours.indices(positions)):
            x = torch.tensor(split.photo[index]).permute(2, 0, 1)[None]  # type: ignore[index]
            x = F.interpolate(x, (36, 36), mode="bilinear", align_corners=False)
            x = x[0, :, draws.top[i] : draws.top[i] + 32, draws.left[i] : draws.left[i] + 32]
            x = x.flip(-1) if draws.mirrored[i] else x
            assert torch.equal(batch.photo[i], x.float() * (1 / 127.5) - 1)
        assert batch.painted is None


# alignment


def misaligned(batch: Batch, label: Tensor) -> tuple[float, float]:
    """Largest spread of a picture's colours within one class, away from its edges; the share of such pixels."""
    pictures = [x for x in (batch.photo, batch.source, batch.painted) if x is not None]
    worst, inside = 0.0, []
    for i, one in enumerate(label):
        around = F.unfold(F.pad(one[None, None].float(), (1, 1, 1, 1), value=-1), 3)[0]  # [9, H * W]
        inner = (around == around[4]).all(0).reshape(one.shape)
        inside.append(float(inner.float().mean()))
        for value in one[inner].unique():
            at = inner & (one == value)
            for picture in pictures:
                worst = max(worst, float((picture[i][:, at].amax(1) - picture[i][:, at].amin(1)).max()))
    return worst, min(inside)


@each_row
def test_photo_label_instance_source_and_edges_stay_together(tmp_path: Path, name: str) -> None:
    data = painted_set(tmp_path / "set")
    ours = feed(data, ROWS[name], 4, arrays=["photo", "label", "instance", "source"])
    for step in range(6):
        batch = ours(step)
        worst, inside = misaligned(batch, batch.label)
        assert worst < 1e-5 and inside > 0.5, "a class has one colour in each picture"
        assert torch.equal(batch.instance, batch.label.int() * 1000)
        assert torch.equal(instance_edges(batch.instance), instance_edges(batch.label))
        assert set(batch.label.unique().tolist()) <= {7, 8, 11, 21, 23, 26}, "no id is invented, nothing left empty"
    assert misaligned(batch, batch.label.roll(3, -1))[0] > 0.1, "the check sees a shift"


@pytest.mark.parametrize("augment", [{}, {"jitter": 1.0, "scale_max": 2.0, "class_crops": 4}])
def test_an_input_without_labels_moves_with_its_photo(tmp_path: Path, augment: dict[str, Any]) -> None:
    data = painted_set(tmp_path / "set")
    batch = feed(data, augment, 4, arrays=["photo", "source"])(0)
    assert batch.label is None and (batch.photo + batch.source).abs().max() <= 1.01 / 127.5


# scales


def test_a_generators_pictures_are_filled_at_every_scale() -> None:
    drawn = Scaling.draw((32, 64), (32, 64), (1.0, 1.5), True, 0, [*range(400)])
    scale = np.array(drawn.scale)
    assert 1.0 <= scale.min() < 1.01 and 1.49 < scale.max() <= 1.5
    assert np.log(scale).mean() == pytest.approx(np.log(1.5) / 2, abs=0.01)
    for first, side in ((drawn.top, 32), (drawn.left, 64)):
        room = side * scale - side
        assert (np.array(first) >= 0).all() and (np.array(first) <= room).all()
        assert 0.4 < (np.array(first)[room > 1] / room[room > 1]).mean() < 0.6
    full = torch.full((400, 32, 64), 7, dtype=torch.uint8)
    assert (drawn.index(full) == 7).all() and (drawn.picture(full[:, None]) == 7).all()


# colours


def pictures(count: int = 5) -> Tensor:
    """[N, 3, 16, 24] in [0, 1], with greys, blacks and full colours among them."""
    x = torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    x[:, :, 0], x[:, :, 1], x[:, :, 2] = 0.0, 1.0, 0.5
    x[:, 0, 3], x[:, 1:, 3] = 1.0, 0.0
    return x


def drawn(ranges: ColourRanges, values: npt.ArrayLike) -> ColourChange:
    """The same draw of all seven for each of some pictures."""
    return ColourChange(ranges, np.tile(np.asarray(values, np.float32), (7, 1)))


AMOUNTS = (-1.0, -0.4, 0.0, 0.7, 1.0)


@pytest.mark.parametrize(("kind", "most"), [("brightness", 0.9), ("contrast", 0.8), ("saturation", 1.0), ("hue", 0.5)])
def test_colour_jitter_is_torchvisions(kind: str, most: float) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    change = getattr(functional, f"adjust_{kind}")
    ours = drawn(ColourRanges(**{kind: most}), AMOUNTS).jitter(pictures())
    for i, amount in enumerate(AMOUNTS):
        theirs = change(pictures()[i], amount * most if kind == "hue" else 1 + amount * most)
        assert (ours[i] - theirs).abs().max() < 2e-6
    assert (ours[0] - pictures()[0]).abs().max() > 0.1 and (ours[2] - pictures()[2]).abs().max() < 1e-6


def test_colour_jitter_has_one_order() -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    ranges = ColourRanges(brightness=0.2, contrast=0.3, saturation=0.4, hue=0.1)
    x = pictures()
    for kind, amount in (("brightness", 1.2), ("contrast", 1.3), ("saturation", 1.4), ("hue", 0.1)):
        x = torch.stack([getattr(functional, f"adjust_{kind}")(one, amount) for one in x])
    assert (drawn(ranges, [1.0] * 5).jitter(pictures()) - x).abs().max() < 5e-6


def test_light_is_gain_times_a_power_plus_bias() -> None:
    ranges = ColourRanges(gain=0.5, bias=0.1, gamma=1.0)
    ours = drawn(ranges, AMOUNTS).light(pictures()).numpy()
    for i, amount in enumerate(AMOUNTS):
        x = pictures()[i].numpy().astype(np.float64)
        np.testing.assert_allclose(ours[i], np.clip(1.5**amount * x ** (2**amount) + 0.1 * amount, 0, 1), atol=1e-6)
    np.testing.assert_allclose(ours[2], pictures()[2].numpy(), atol=1e-6)


def test_a_grey_picture_has_neither_saturation_nor_hue() -> None:
    x = pictures()[:, :1]
    assert torch.equal(drawn(ColourRanges(saturation=1.0, hue=0.5), AMOUNTS).jitter(x), x)
    changed = drawn(ColourRanges(brightness=0.5, contrast=0.5), AMOUNTS).jitter(x)
    assert changed.shape == x.shape and (changed - x).abs().max() > 0.1


def test_draws_of_colours_reach_their_whole_range_and_none_depends_on_another() -> None:
    many = ColourChange.draw(ColourRanges(hue=0.1, gain=0.1), 0, [*range(500)]).drawn
    assert many.shape == (7, 500) and many.dtype == np.float32
    assert (many.min(1) < -0.98).all() and (many.max(1) > 0.98).all() and np.abs(many).max() <= 1
    assert np.abs(np.corrcoef(many) - np.eye(7)).max() < 0.2
    assert np.array_equal(many[:, 20:23], ColourChange.draw(ColourRanges(bias=1.0), 0, [20, 21, 22]).drawn)
    assert not np.array_equal(many[:, :3], ColourChange.draw(ColourRanges(hue=0.1), 1, [0, 1, 2]).drawn)


def test_colours_off_change_no_bit_and_colours_on_move_no_crop(tmp_path: Path) -> None:
    data = painted_set(tmp_path / "set")
    arrays = ["photo", "label", "source"]
    plain, lit = (feed(data, augment, arrays=arrays)(3) for augment in ({}, {"gain": 0.5, "bias": 0.1, "gamma": 0.5}))
    assert torch.equal(plain.label, lit.label) and torch.equal(plain.source, lit.source) and lit.painted is None
    assert (plain.photo - lit.photo).abs().max() > 0.05 and lit.photo.abs().max() <= 1
    off = feed(data, {"colour_of": "both"}, arrays=arrays)(3)
    assert torch.equal(off.photo, plain.photo) and off.painted is None
    assert lit.photo.is_contiguous(memory_format=torch.channels_last)


STRONG = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.3}


def test_both_pictures_change_by_the_same_factors(tmp_path: Path) -> None:
    data = painted_set(tmp_path / "set")
    encoder = View("label", CITYSCAPES)
    plain = feed(data, PLAIN, 4)(1)
    alone = feed(data, {**PLAIN, **STRONG}, 4)(1)
    both = feed(data, {**PLAIN, **STRONG, "colour_of": "both"}, 4)(1)
    assert torch.equal(encoder(plain), encoder(alone)) and torch.equal(alone.photo, both.photo)
    assert (plain.photo - both.photo).abs().amax((1, 2, 3)).min() > 0.1
    # where photo and input are the same picture they stay the same
    assert torch.equal(encoder(both), both.photo) and torch.equal(encoder(both), both.painted)
    lit = feed(data, {**PLAIN, **STRONG, "colour_of": "both", "gain": 0.5}, 4)(1)
    assert torch.equal(encoder(lit), encoder(both)) and not torch.equal(lit.photo, both.photo)


def test_an_input_that_is_a_picture_changes_with_its_photo(tmp_path: Path) -> None:
    data = painted_set(tmp_path / "set")
    alone, both = (
        feed(data, {**PLAIN, **STRONG, "colour_of": what}, arrays=["photo", "source"])(0) for what in ("photo", "both")
    )
    source = feed(data, PLAIN, arrays=["photo", "source"])(0).source
    assert torch.equal(alone.source, source) and (both.source - source).abs().max() > 0.1
    assert torch.equal(alone.photo, both.photo) and both.painted is None


# class-aware crops


def corner_set(path: Path, count: int = 12) -> PreparedSet:
    """Roads, each with a small rider in a corner, a bus in every third, and a band of void."""
    writer = SetWriter(path, size=(64, 32), plan={})
    for i in range(count):
        label = np.full((32, 64), 7, np.uint8)
        label[:6, slice(0, 6) if i % 2 else slice(58, 64)] = 25
        if i % 3 == 0:
            label[24:30, 20:40] = 28
        label[14:18] = 0
        photo = CITYSCAPES.palette[label]
        writer.split("train").append(Item(f"{i:03d}", {}, (64, 32)), label=label, photo=photo)
    return PreparedSet.open(writer.finish({"source": "t", "photo_channels": 3, "classes": CITYSCAPES.to_dict()}))


@pytest.mark.parametrize("augment", [SCALES, {**PLAIN, "jitter": 2.0}, {**PLAIN, "crop": 16}])
def test_rare_classes_are_seen_more_often(tmp_path: Path, augment: dict[str, Any]) -> None:
    data = corner_set(tmp_path / "set")
    shares = []
    for many in (1, 8):
        ours = feed(data, {**augment, "class_crops": many}, 8)
        ids = torch.cat([ours(step).label.flatten() for step in range(30)])
        shares.append({value: float((ids == value).float().mean()) for value in (7, 25, 28)})
    assert shares[1][25] > 1.5 * shares[0][25] and shares[1][28] > 1.1 * shares[0][28]
    assert shares[1][7] < shares[0][7] * 1.05


def test_rarity_is_counted_over_the_split_and_void_is_no_class(tmp_path: Path) -> None:
    split = corner_set(tmp_path / "set").split("train")
    crops = ClassCrops(split.label, CITYSCAPES, 3)
    whole = np.bincount(CITYSCAPES.train_ids[np.asarray(split.label)].reshape(-1), minlength=256)[:19]
    assert crops.counts.shape == (12, 19) and (crops.counts.sum(0) == whole).all()
    occurring = whole > 0
    np.testing.assert_allclose(crops.rarity[occurring], whole.sum() / whole[occurring])
    assert occurring.sum() == 3 and (crops.rarity[~occurring] == 0).all()


def test_a_class_is_drawn_by_its_rarity_and_the_crop_that_shows_most_of_it_is_taken() -> None:
    label = np.full((2, 4, 8), 7, np.uint8)  # road: 30 of 32 pixels of both; rider: 1; void: 1
    label[:, 0, 0], label[:, 0, 1] = 25, 0
    label[1] = 0
    crops = ClassCrops(label, CITYSCAPES, 2)
    road, rider = 31 / 30, 31.0  # each over its share of what is no void
    boxes = [(0.0, 0.0, 2.0, 2.0), (0.0, 4.0, 4.0, 4.0), (0.0, 0.0, 1.0, 1.0)]
    edge = road / (road + rider)
    # train ids: road is 0, rider 12, so shares below the edge draw the road
    assert crops.choose(0, boxes, edge - 0.01) == 1 and crops.choose(0, boxes, edge + 0.01) == 2
    assert crops.choose(0, boxes[:2], 0.99) == 0, "a quarter of the first is road's rival"
    assert crops.choose(0, boxes[1:2] * 2, 0.99) == 0, "none shows it: the first"
    assert crops.choose(1, boxes, 0.99) == 0, "nothing but void: the first"
    outside = [(-4.0, -8.0, 12.0, 24.0), (0.0, 0.0, 4.0, 8.0), (9.0, 9.0, 2.0, 2.0)]
    assert crops.choose(0, outside, 0.99) == 1, "what lies outside counts for nothing"


def test_one_class_of_several_ids_is_counted_as_one() -> None:
    label = np.array([[[7, 8], [4, 17]]], np.uint8)  # road, sidewalk, void, pole
    both = ClassCrops(label, CITYSCAPES, 2)
    assert both.counts.sum() == 3
    cars = np.array([[[5, 22], [27, 17]]], np.uint8)  # Car, SUVPickupTruck, Truck_Bus: one class; Road
    assert ClassCrops(cars, CAMVID32, 2).counts[0, [8, 3]].tolist() == [3, 1]


def test_class_aware_crops_change_no_mirroring_and_are_among_those_drawn(tmp_path: Path) -> None:
    data = corner_set(tmp_path / "set")
    one, many = (feed(data, {**SCALES, "mirror": True, "class_crops": n}, 6) for n in (1, 8))
    moved = 0
    for step in range(4):
        positions = [*range(6 * step, 6 * step + 6)]
        picker = Picker(many.class_crops, many.indices(positions))
        a = Scaling.draw((32, 64), (32, 64), (1.0, 2.0), True, 0, positions)
        b = Scaling.draw((32, 64), (32, 64), (1.0, 2.0), True, 0, positions, picker)
        assert a.mirrored == b.mirrored
        moved += sum(x != y for x, y in zip(a.scale, b.scale, strict=True))
        assert one.indices(positions) == many.indices(positions)
    assert 10 < moved < 24, "the first crop is taken now and then"


# seed and step alone


@each_row
def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path, name: str) -> None:
    data = painted_set(tmp_path / "set")
    straight = {step: feed(data, ROWS[name])(step) for step in range(4)}
    ours = feed(data, ROWS[name])
    for step in (3, 0, 2, 2, 1):
        same(ours(step), straight[step])
    # on two ranks, and with another batch, the same pictures at the same places
    whole = feed(data, ROWS[name], 4)(1)
    for rank in (0, 1):
        part = feed(data, ROWS[name], rank=rank, ranks=2)(1)
        same(part, whole.split(2)[rank])
    if ROWS[name] != PLAIN:
        assert not all(
            torch.equal(feed(data, ROWS[name], seed=1)(step).photo.sort().values, straight[step].photo.sort().values)
            for step in range(4)
        )


def same(x: Batch, y: Batch) -> None:
    for kind in ("photo", "label", "painted"):
        a, b = getattr(x, kind), getattr(y, kind)
        assert (a is None) == (b is None) and (a is None or torch.allclose(a, b, atol=1e-6, rtol=0)), kind


@pytest.mark.cuda
@each_row
def test_on_a_gpu_batches_are_those_of_the_cpu(tmp_path: Path, name: str) -> None:
    data = painted_set(tmp_path / "set")
    for step in range(3):
        here, there = (feed(data, ROWS[name], 4, device=torch.device(kind))(step) for kind in ("cpu", "cuda"))
        assert (here.label != there.label.cpu()).float().mean() < 0.01
        at = here.label == there.label.cpu()
        for kind in ("photo", "painted"):
            a, b = getattr(here, kind), getattr(there, kind)
            if a is not None:
                assert ((a - b.cpu()).abs().amax(1)[at] < 2.01 / 127.5).float().mean() > 0.99


# the commands

EVERYTHING = (
    *("--set", "augment.jitter=1", "--set", "augment.scale_max=1.5", "--set", "augment.class_crops=3"),
    *("--set", "augment.brightness=0.2", "--set", "augment.contrast=0.2", "--set", "augment.saturation=0.2"),
    *(
        "--set",
        "augment.hue=0.1",
        "--set",
        "augment.gain=0.1",
        "--set",
        "augment.bias=0.1",
        "--set",
        "augment.gamma=0.1",
    ),
)
BOTH = ("--set", "augment.colour_of=both")
TO_LABELS = (*NARROW, "--set", "input.array=photo", "--set", "output.array=label")
SEGMENTER = ("--model", "unet-seg", "--set", "segmenter.width=4", "--quick", "--set", "augment.crop=16")
RECIPES = {"pix2pix": (*NARROW, *BOTH), "segmenter": (*SEGMENTER, "--set", "augment.scale_min=0.5")}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resume_is_exact_under_all_of_it(street: Street, recipe: str) -> None:
    train = ("train", "--data", "tiny", *RECIPES[recipe], *EVERYTHING, "--batch", "2", "--set", "train.accumulate=2",
             "--set", "optimizer.schedule=constant", "--set", "train.checkpoint_every_steps=2")  # fmt: skip
    street.done(*train, "--steps", "4", "--name", "one")
    street.done(*train, "--steps", "2", "--name", "two")
    street.done("train", "--resume", "two", "--steps", "4")
    one, two = (hashes(street.path / f"runs/{name}/checkpoints/00000004") for name in ("one", "two"))
    assert len(one) > 2
    assert {k: v for k, v in one.items() if k != "state.json"} == {k: v for k, v in two.items() if k != "state.json"}


REFUSED = {
    "a crop of a generator": (NARROW, 2, "augment.crop", "of segmenters", ["crop=16", "jitter=1"]),
    "a small scale of a generator": (NARROW, 2, "augment.scale_min", "of segmenters", ["scale_min=0.5", "jitter=1"]),
    "jitter and scales": (NARROW, 2, "augment.jitter", "1 with a random scale", ["scale_max=2"]),
    "scales and jitter": (SEGMENTER, 2, "augment.jitter", "1 with a random scale", ["jitter=1.2"]),
    "nothing cropped": (NARROW, 2, "augment.class_crops", "nothing is cropped", ["jitter=1", "class_crops=2"]),
    "a segmenter's input": (SEGMENTER, 2, "augment.colour_of", "input is the photo", ["colour_of=both", "hue=0.1"]),
    "one-hot colours": (
        (*NARROW, "--set", "input.encoding=onehot"), 2, "augment.colour_of", "no colours", ["colour_of=both"],
    ),
    "the input is the photo": (
        (*NARROW, "--set", "input.array=photo", "--set", "input.encoding=hole"),
        2, "augment.colour_of", "made of the photo", ["colour_of=both"],
    ),
    "no photo is painted": (TO_LABELS, 2, "augment.colour_of", "no photo is painted", ["colour_of=both", "hue=0.1"]),
    "no such choice": (NARROW, 2, "augment.colour_of", "photo, both", ["colour_of=label"]),
    "too much": (NARROW, 2, "augment.hue", "to 0.5", ["hue=0.6"]),
    "misspelt": (NARROW, 2, "augment.brightnes", "did you mean augment.brightness", ["brightnes=0.1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_belongs_elsewhere_is_refused(street: Street, case: str) -> None:
    before, code, where, words, values = REFUSED[case]
    settings = [part for value in values for part in ("--set", f"augment.{value}")]
    street.refused(code, where, words, by=("train", "--data", "tiny", *before, *settings, "--steps", "1"))


def test_class_aware_crops_need_label_maps(street: Street) -> None:
    writer = SetWriter(street.path / "data" / "pairs", size=(32, 32), plan={})
    picture = np.zeros((32, 32, 3), np.uint8)
    writer.split("train").append(Item("a", {}, (32, 32)), photo=picture, source=picture)
    writer.finish({"source": "test", "photo_channels": 3, "source_channels": 3})
    train = ("train", "--data", "pairs", *NARROW, "--steps", "1", "--set", "augment.class_crops=2")
    street.refused(3, "label maps", "augment.class_crops=1", by=train)
    street.done(*train[:-1], "augment.colour_of=both", "--set", "augment.hue=0.1", "--name", "coloured")


def test_colours_are_of_photos(street: Street) -> None:
    painted_set(street.path / "data" / "painted")
    train = (
        "train",
        "--data",
        "painted",
        *NARROW,
        "--steps",
        "1",
        "--set",
        "output.array=label",
        "--set",
        "input.array=source",
    )
    for value in ("augment.gain=0.1", "augment.hue=0.1"):
        street.refused(2, "augment", "nothing is learnt from photos", by=(*train, "--set", value))
    street.done(*train, "--set", "augment.mirror=true")
    # of photos that are shown the light changes, of the label maps that are painted nothing
    street.done("train", "--data", "painted", *TO_LABELS, "--steps", "1", "--set", "augment.gain=0.1")
