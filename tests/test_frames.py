"""Pairs of neighbouring frames: which there are, and that both get the same crop, mirroring and motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.data.augment import Jitter
from citygan.data.batches import Feed
from citygan.data.colours import ColourRanges
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.ops.warping import inside, warp
from tests.test_flow import street
from tests.tiny import city_set

ARRAYS = ("photo", "label", "instance", "source", "flow", "occlusion")


def feed(data: PreparedSet, **more: object) -> Feed:
    options = {"arrays": ARRAYS, "batch": 2, "jitter": 1.25, "mirror": True, "seed": 0, "pairs": True,
               "device": torch.device("cpu"), **more}  # fmt: skip
    return Feed(data.split("train"), **options)  # type: ignore[arg-type]


def test_neighbours_alone_are_pairs(tmp_path: Path) -> None:
    data = PreparedSet.open(city_set(tmp_path / "set", train=((0, 1, 2), (4,), (0, 2, 3, 7), (8, 9))))
    split = data.split("train")
    assert [(split.items[i].stem, split.items[i + 1].stem) for i in split.pairs()] == [
        ("s0_00", "s0_01"), ("s0_01", "s0_02"), ("s2_02", "s2_03"), ("s3_08", "s3_09"),
    ]  # fmt: skip
    plain = feed(data, jitter=1.0, mirror=False)
    assert plain.count == 4
    seen = []
    for step in range(2):
        batch = plain(step)
        assert batch.following is not None
        for k, index in enumerate(plain.indices(range(2 * step, 2 * step + 2))):
            seen.append(index)
            for frame, at in ((batch, index), (batch.following, index + 1)):
                assert frame.photo is not None and frame.label is not None
                assert np.array_equal(frame.label[k].numpy(), np.asarray(split.label[at]))  # type: ignore[index]
                photo = np.asarray(split.photo[at]).astype(np.float32) / 127.5 - 1  # type: ignore[index]
                np.testing.assert_allclose(frame.photo[k].permute(1, 2, 0).numpy(), photo, atol=1e-6)
    assert sorted(seen) == split.pairs()


def test_both_frames_get_the_same_crop_mirroring_and_colours(tmp_path: Path) -> None:
    """Of a scene that stands still both frames stay equal whatever is drawn."""
    data = PreparedSet.open(city_set(tmp_path / "set", train=((0, 1),) * 6))
    for item in ("photo", "label", "instance", "source"):
        array = np.load(data.path / "train" / f"{item}.npy", mmap_mode="r+")
        array[1::2] = array[::2]
        array.flush()
    still = feed(data, batch=6, colours=ColourRanges(brightness=0.3, hue=0.2))(0)
    assert still.following is not None
    for name in ("photo", "label", "instance", "source"):
        assert torch.equal(getattr(still, name), getattr(still.following, name)), name
    again = feed(data, batch=6)(1)
    assert again.label is not None and still.label is not None and not torch.equal(again.label, still.label)


def difference(first: Tensor, second: Tensor, flow: Tensor, kept: Tensor) -> float:
    kept = (kept & inside(flow))[:, None]
    return float(((warp(second, flow) - first).abs() * kept).sum() / (kept.sum() * first.shape[1]))


def carried(batch: Batch, factor: float) -> float:
    """How far the following frame, carried back by so many times the flow, is from the frame."""
    assert batch.photo is not None and batch.following is not None and batch.flow is not None
    assert batch.following.photo is not None and batch.occlusion is not None
    return difference(batch.photo, batch.following.photo, factor * batch.flow, batch.occlusion == 0)


@pytest.mark.parametrize("jitter", [1.0, 1.25])
def test_the_flow_moves_with_the_pictures(tmp_path: Path, jitter: float) -> None:
    data = PreparedSet.open(city_set(tmp_path / "set", train=((0, 1),) * 4, size=(64, 64)))
    mirrored = set()
    for step in range(4):
        batch = feed(data, batch=1, jitter=jitter)(step)
        assert batch.flow is not None
        mirrored.add(float(batch.flow[:, 0].mean().sign()))
        right, none, wrong = (carried(batch, factor) for factor in (1, 0, -1))
        assert right < 0.35 * none < 0.35 * wrong, (right, none, wrong)
        assert float(batch.flow[:, 0].abs().max()) == pytest.approx(2 * jitter, rel=1e-3)
    assert mirrored == {-1.0, 1.0}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """A street of the demo city, in frames."""
    writer = SetWriter(tmp_path_factory.mktemp("frames") / "demo", size=(128, 128), plan={})
    for number, frame in enumerate(street(128)):
        assert frame.photo is not None
        last = frame.flow is None or frame.occlusion is None
        flow = np.zeros((128, 128, 2)) if frame.flow is None else frame.flow
        occlusion = np.ones((128, 128), np.uint8) if last else frame.occlusion
        item = Item(f"{number}", {}, (128, 128), "street", number)
        writer.split("train").append(item, photo=frame.photo, flow=flow.astype(np.float16), occlusion=occlusion)
    return PreparedSet.open(writer.finish({"source": "test", "photo_channels": 3}))


@pytest.mark.parametrize("jitter", [1.0, 286 / 256])
def test_on_the_demo_city_too_and_a_wrong_sign_is_worse_than_no_flow(demo: PreparedSet, jitter: float) -> None:
    mirrored = set()
    for position in range(6):
        given = feed(demo, arrays=("photo", "flow", "occlusion"), batch=1, jitter=jitter)
        mirrored.add(Jitter.draw((128, 128), jitter, True, 0, [position]).mirrored[0])
        right, none, wrong = (carried(given(position), factor) for factor in (1, 0, -1))
        assert right < 0.5 * none and wrong > 1.05 * none, (position, right, none, wrong)
    assert mirrored == {False, True}
