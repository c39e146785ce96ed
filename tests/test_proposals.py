"""What is proposed and taken by default: commands that work as they stand, and the split that is meant."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, ClassTable
from citygan.data.store import Item
from citygan.data.writer import SetWriter
from citygan.pictures import encode_png
from tests.street import NARROW, Street
from tests.tiny import prepared_set


def set_of(name: str, table: ClassTable, splits: dict[str, tuple[str, ...]]) -> None:
    """A prepared set `data/NAME` with one picture a split, of these arrays."""
    writer = SetWriter(Path("data") / name, size=(32, 32), plan={})
    label = np.kron(np.array([[0, 1], [3, 5]], np.uint8), np.ones((16, 16), np.uint8))
    arrays: dict[str, Any] = {"label": label, "photo": table.palette[label]}
    for split, kinds in splits.items():
        writer.split(split).append(Item(split, {}, (32, 32)), **{kind: arrays[kind] for kind in kinds})
    writer.finish({"photo_channels": 3, "classes": table.to_dict()})


BOTH = ("photo", "label")


@pytest.mark.parametrize("table", [CAMVID11, CAMVID32])
def test_the_label_maps_of_the_demo_city_are_not_proposed_to_other_runs(street: Street, table: ClassTable) -> None:
    set_of("cam", table, {"train": BOTH, "val": BOTH})
    street.done("train", "--data", "cam", *NARROW, "--steps", "1", "--name", "cam")
    line = ("evaluate", "--run", "cam", "--metric", "colour")
    assert street.done(*line).err.splitlines()[-1] == "next: citygan translate data/cam out/ --run cam"
    # label maps of its own are; folders that are there are not written to
    label = np.array([[0, 1], [3, 5]], np.uint8)
    for name, palette in (("0", table.palette), ("1", table.palette)):
        Path(f"labels/{name}.png").write_bytes(encode_png(label, palette=palette))
    Path("out").mkdir()
    words = shlex.split(street.done(*line).err.splitlines()[-1])
    assert words[2:] == ["translate", "labels/", "out-cam/", "--run", "cam"]
    street.done(*words[2:])
    assert "labels/ out-cam-2/ --run cam" in street.done(*line).err


def test_a_second_training_does_not_propose_the_first_ones_output(street: Street) -> None:
    manifest = prepared_set(Path("data/demo")) / "dataset.yaml"
    manifest.write_text(manifest.read_text().replace('source: "test"', 'source: "demo"'))
    train = ("train", "--data", "demo", *NARROW, "--name", "b")
    first = street.done(*train, "--steps", "1").err.splitlines()[-1]
    assert first == "next: citygan translate labels/ out/"
    street.done(*shlex.split(first)[2:])
    resumed = street.done("train", "--resume", "b", "--steps", "2").err.splitlines()[-1]
    assert resumed == "next: citygan translate labels/ out-b/"
    shutil.rmtree("labels")
    assert (
        street.done("train", "--resume", "b", "--steps", "3").err.splitlines()[-1] == "next: citygan evaluate --run b"
    )


def test_without_a_split_the_one_that_was_validated_on_is_meant(street: Street) -> None:
    set_of("noval", CITYSCAPES, {"train": BOTH, "test": BOTH})
    set_of("bare", CITYSCAPES, {"train": BOTH, "val": ("label",)})
    set_of("photos", CITYSCAPES, {"train": ("photo",)})
    scored = street.done("evaluate", "--data", "noval")
    assert "warning: data/noval: no split 'val': scoring the split test" in scored.err and "split test\n" in scored.err
    assert "no photos to compare with: scoring the training pictures" in street.done("evaluate", "--data", "bare").err
    assert "translating the split test" in street.done("translate", "noval", "o1").err
    assert "warning" not in street.done("translate", "bare", "o2").err
    street.refused(2, "no split 'val'", by=("evaluate", "--data", "noval", "--split", "val"))
    street.refused(2, "no split 'val'", by=("translate", "noval", "o3", "--split", "val"))
    street.refused(2, "no split 'val'", by=("evaluate", "--data", "photos"))
