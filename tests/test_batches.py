"""Batches: order, jitter and mirroring are the paper's, and a function of seed and step alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from citygan.data.augment import Jitter
from citygan.data.batches import Feed
from citygan.data.store import PreparedSet
from tests.tiny import prepared_set


def _feed(data: PreparedSet, **options: object) -> Feed:
    values = {"batch": 2, "jitter": 286 / 256, "mirror": True, "seed": 0, **options}
    return Feed(data.split("train"), arrays=["photo", "label"], device=torch.device("cpu"), **values)  # type: ignore[arg-type]


def test_jitter_enlarges_256_to_286_and_crops_back() -> None:
    draws = [Jitter.draw((256, 256), 286 / 256, True, 0, [p]) for p in range(300)]
    assert {d.enlarged for d in draws} == {(286, 286)}
    tops, mirrored = [d.top[0] for d in draws], [d.mirrored[0] for d in draws]
    assert (min(tops), max(tops)) == (0, 30)
    assert 110 < sum(mirrored) < 190
    assert Jitter.draw((256, 512), 286 / 256, True, 0, [0]).enlarged == (286, 572)


def test_an_enlarged_picture_is_the_one_opencv_makes() -> None:
    random = np.random.default_rng(0)
    picture = cv2.GaussianBlur(random.integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 2)
    jitter = Jitter((72, 72), (64, 64), [3], [5], [False])
    ours = jitter.picture(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    theirs = cv2.resize(picture, (72, 72), interpolation=cv2.INTER_LINEAR)[3:67, 5:69]
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_labels_and_photos_move_together_and_no_id_is_invented() -> None:
    label = torch.from_numpy(np.kron(np.arange(16).reshape(4, 4), np.ones((16, 16))).astype(np.uint8))[None]
    photo = label[:, None] * 16
    for position in range(6):
        jitter = Jitter.draw((64, 64), 286 / 256, True, 3, [position])
        a, b = jitter.index(label)[0], jitter.picture(photo)[0, 0]
        inside = b % 16 == 0  # nothing between two classes was mixed
        assert inside.float().mean() > 0.8
        assert torch.equal(a[inside], b[inside] // 16)
        assert set(a.unique().tolist()) <= set(range(16))


def test_without_jitter_pictures_come_as_they_are(tmp_path: Path) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set"))
    feed = _feed(data, jitter=1.0, mirror=False)
    batch = feed(3)
    split = data.split("train")
    assert split.photo is not None and batch.photo is not None and batch.label is not None
    for i, index in enumerate(feed.indices([6, 7])):
        assert torch.allclose((batch.photo[i] + 1) * 127.5, torch.tensor(split.photo[index]).permute(2, 0, 1).float())
        assert torch.equal(batch.label[i], torch.tensor(split.label[index]))  # type: ignore[index]
    assert batch.photo.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 2]])
def test_a_batch_depends_on_its_step_alone(tmp_path: Path, order: list[int]) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set"))
    straight = {step: _feed(data)(step) for step in range(3)}
    feed = _feed(data)
    for step in order:
        assert torch.equal(feed(step).photo, straight[step].photo)  # type: ignore[arg-type]
    assert not torch.equal(_feed(data, seed=1)(0).photo, straight[0].photo)  # type: ignore[arg-type]


@pytest.mark.cuda
def test_on_a_gpu_batches_are_those_of_the_cpu(tmp_path: Path) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set"))
    cuda = Feed(data.split("train"), arrays=["photo", "label"], device=torch.device("cuda"), batch=2, jitter=286 / 256,
                mirror=True, seed=0)  # fmt: skip
    for step in range(3):
        here, there = _feed(data)(step), cuda(step)
        assert torch.equal(here.label, there.label.cpu())  # type: ignore[arg-type, union-attr]
        assert (here.photo - there.photo.cpu()).abs().max() <= 1.01 / 127.5  # type: ignore[operator, union-attr]
