"""Segmentation figures: equal to cityscapesScripts' own evaluation; void, absent classes, instances, any table."""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19, VOID, ClassTable, LabelClass
from citygan.errors import DataError
from citygan.metrics import miou, tensors
from citygan.metrics.labelled import painted_ids, true_painted_ids
from citygan.metrics.miou import InstanceSums, confusion, instance_hits, segmentation_figure
from citygan.metrics.painting import most_frequent

UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
THINGS = [c.id for c in CITYSCAPES.classes if c.name in {*miou.AVERAGE_SIZES, "caravan", "trailer"}]


def street(seed: int, size: tuple[int, int] = (64, 96), ids: list[int] | None = None) -> tuple[UInt8, UInt8, UInt16]:
    """Prediction, truth and instance map: blocks of ids, the prediction right in most places."""
    rng = np.random.default_rng(seed)
    known = np.array(CITYSCAPES.ids if ids is None else ids, np.uint8)
    truth = np.kron(rng.choice(known, (size[0] // 8, size[1] // 8)), np.ones((8, 8), np.uint8))
    prediction = np.where(rng.random(size) < 0.7, truth, rng.choice(known, size)).astype(np.uint8)
    number = np.kron(rng.integers(0, 4, (size[0] // 8, size[1] // 8)), np.ones((8, 8), np.int64))
    crowd = rng.random(size) < 0.1  # of a thing, but of no instance
    instance = np.where(np.isin(truth, THINGS) & ~crowd, 1000 * truth.astype(np.int64) + number, truth)
    return prediction, truth, instance.astype(np.uint16)


# cityscapesScripts


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The reference's module, quiet and without a file."""
    reason = "cityscapesscripts is not installed (the extra `test` brings it)"
    module: Any = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling", reason=reason)
    if not hasattr(np, "in1d"):  # it was written for NumPy 1
        monkeypatch.setattr(module.np, "in1d", np.isin, raising=False)
    for name, value in (("quiet", True), ("JSONOutput", False), ("evalInstLevelScore", True)):
        monkeypatch.setattr(module.args, name, value)
    return module


def their_figures(module: Any, folder: Path, pictures: list[tuple[UInt8, UInt8, UInt16]]) -> dict[str, Any]:
    predictions, truths = [], []
    for number, (prediction, truth, instance) in enumerate(pictures):
        stem = f"town_{number:06d}_000019"
        for array, name in (
            (prediction, f"{stem}_pred.png"),
            (truth, f"{stem}_gtFine_labelIds.png"),
            (instance, f"{stem}_gtFine_instanceIds.png"),
        ):
            Image.fromarray(array).save(folder / name)
        predictions.append(str(folder / f"{stem}_pred.png"))
        truths.append(str(folder / f"{stem}_gtFine_labelIds.png"))
    with contextlib.redirect_stdout(io.StringIO()):
        result: dict[str, Any] = module.evaluateImgLists(predictions, truths, module.args)
    return result


def ours(pictures: list[tuple[UInt8, UInt8, UInt16]], table: ClassTable = CITYSCAPES) -> dict[str, Any]:
    matrix, sums = 0, InstanceSums()
    for prediction, truth, instance in pictures:
        matrix = matrix + confusion(prediction, truth, table)
        sums.add(instance_hits(prediction, instance, table), table)
    return segmentation_figure(np.asarray(matrix), table, sums)


def same(mine: float | None, other: float) -> bool:
    """Equal to the last bit; None is what the reference calls NaN."""
    return math.isnan(other) if mine is None else mine == other


PICTURES = {
    "all ids": [street(seed) for seed in range(5)],
    "few classes": [street(seed, ids=[0, 4, 7, 11, 23, 24, 26, 29]) for seed in range(3)],
    "no things": [street(seed, ids=[7, 8, 11, 23]) for seed in range(2)],
    "one class": [street(0, ids=[26])],
    "void alone": [street(0, ids=[0, 1, 3])],
    "one picture": [street(9, (8, 8))],
}


@pytest.mark.parametrize("name", list(PICTURES))
def test_every_figure_equals_cityscapesscripts(theirs: Any, tmp_path: Path, name: str) -> None:
    pictures = PICTURES[name]
    reference, figure = their_figures(theirs, tmp_path, pictures), ours(pictures)
    for item in CITYSCAPES.classes:
        if item.train_id != 255:
            assert same(figure["classes"][item.name]["iou"], reference["classScores"][item.name]), item.name
            assert same(figure["classes"][item.name]["iiou"], reference["classInstScores"][item.name]), item.name
        else:
            assert math.isnan(reference["classScores"][item.name])
    for category, scores in figure["categories"].items():
        assert same(scores["iou"], reference["categoryScores"][category]), category
        assert same(scores["iiou"], reference["categoryInstScores"][category]), category
    for mine, other in (
        ("mean", "averageScoreClasses"),
        ("iiou", "averageScoreInstClasses"),
        ("category_iou", "averageScoreCategories"),
        ("category_iiou", "averageScoreInstCategories"),
    ):
        assert same(figure[mine], reference[other]), mine
    matrix = sum(confusion(prediction, truth, CITYSCAPES) for prediction, truth, _ in pictures)
    assert np.asarray(matrix)[:-1, :-1].tolist() == reference["confMatrix"]


def test_weights_of_instances_are_the_references(theirs: Any) -> None:
    known = {name: theirs.args.avgClassSize[name] for name in miou.AVERAGE_SIZES}
    assert known == miou.AVERAGE_SIZES


def test_a_right_prediction_scores_one() -> None:
    _, truth, instance = street(3)
    figure = ours([(truth, truth, instance)])
    for name in ("mean", "pixel_accuracy", "class_accuracy", "fw_iou", "category_iou", "iiou", "category_iiou"):
        assert figure[name] == 1.0
    assert figure["pixels"] == int((CITYSCAPES.train_ids[truth] != 255).sum())


# by hand


def small(prediction: list[int], truth: list[int], table: ClassTable = CITYSCAPES) -> dict[str, Any]:
    return segmentation_figure(confusion(np.array([prediction]), np.array([truth]), table), table)


def test_void_is_skipped_in_the_truth_and_wrong_in_the_prediction() -> None:
    figure = small([7, 0, 255, 8, 8], [7, 7, 7, 8, 4])  # 8 on void 4 costs nothing
    assert figure["classes"]["road"]["iou"] == 1 / 3 and figure["classes"]["sidewalk"]["iou"] == 1.0
    assert figure["pixel_accuracy"] == 0.5 and figure["pixels"] == 4
    assert figure["class_accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert figure["fw_iou"] == pytest.approx((3 * (1 / 3) + 1 * 1) / 4)


def test_a_class_that_is_nowhere_leaves_the_mean_and_counts_0_in_pix2pix() -> None:
    figure = small([7, 7, 8], [7, 7, 7])
    assert figure["classes"]["car"]["iou"] is None and figure["classes"]["sidewalk"]["iou"] == 0.0
    assert figure["mean"] == pytest.approx((2 / 3 + 0) / 2)
    assert figure["pix2pix"] == {
        "pixel_accuracy": pytest.approx(2 / 3),
        "class_accuracy": pytest.approx(2 / 3 / 19),
        "iou": pytest.approx(2 / 3 / 19),
    }


def test_pix2pix_figures_are_those_of_its_script() -> None:
    prediction, truth, _ = street(4)
    a, b = CITYSCAPES.train_ids[truth].astype(int), CITYSCAPES.train_ids[prediction].astype(int)
    valid = (a < 19) & (b < 19)  # its predictions hold no void
    histogram = np.bincount(19 * a[valid] + b[valid], minlength=361).reshape(19, 19)
    accuracy = np.diag(histogram).sum() / (histogram.sum() + 1e-12)
    by_class = np.nanmean(np.diag(histogram) / (histogram.sum(1) + 1e-12))
    union = histogram.sum(1) + histogram.sum(0) - np.diag(histogram)
    iou = np.nanmean(np.diag(histogram) / (union + 1e-12))
    matrix = np.zeros((20, 20), np.int64)
    matrix[:19, :19] = histogram
    found = miou.pix2pix_scores(matrix)
    assert found == pytest.approx({"pixel_accuracy": accuracy, "class_accuracy": by_class, "iou": iou}, abs=1e-9)


def test_nothing_to_score_has_no_figure() -> None:
    figure = small([0, 7], [0, 255])
    for name in ("mean", "pixel_accuracy", "class_accuracy", "fw_iou", "category_iou", "iiou"):
        assert figure[name] is None
    assert figure["pixels"] == 0


def test_ids_of_one_trained_class_count_as_one() -> None:
    building, bridge = (next(c.id for c in CAMVID32.classes if c.name == name) for name in ("Building", "Bridge"))
    figure = small([bridge, bridge], [building, bridge], CAMVID32)
    assert figure["classes"]["Building"]["iou"] == 1.0 and figure["pixel_accuracy"] == 1.0
    assert list(figure["classes"]) == list(CAMVID32.train_names) and len(figure["classes"]) == 11


@pytest.mark.parametrize("table", [CAMVID11, CITYSCAPES19], ids=lambda table: table.name)
def test_any_table_is_scored(table: ClassTable) -> None:
    rng = np.random.default_rng(0)
    ids = np.array(table.ids, np.uint8)
    truth, prediction = rng.choice(ids, (2, 30, 40))
    figure = segmentation_figure(confusion(prediction, truth, table), table)
    a, b = table.train_ids[truth], table.train_ids[prediction]
    for train_id, name in enumerate(table.train_names):
        inside = (a != 255) & ((a == train_id) | (b == train_id))
        expected = ((a == train_id) & (b == train_id)).sum() / inside.sum()
        assert figure["classes"][name]["iou"] == expected
    assert figure["iiou"] is None
    own = ClassTable.from_yaml([{"id": 3, "name": "x", "colour": [1, 2, 3], "train_id": 255}])
    assert segmentation_figure(confusion(truth, truth, own), own)["mean"] is None


def test_parts_add_up_to_the_whole() -> None:
    pictures = PICTURES["all ids"]
    whole = confusion(
        np.concatenate([p for p, _, _ in pictures]), np.concatenate([t for _, t, _ in pictures]), CITYSCAPES
    )
    assert np.array_equal(whole, sum(confusion(p, t, CITYSCAPES) for p, t, _ in pictures)) and whole.dtype == np.int64


def test_maps_of_other_sizes_are_refused() -> None:
    prediction, truth, instance = street(0)
    with pytest.raises(DataError, match="differ in size: 96x63 and 96x64"):
        confusion(prediction[1:], truth, CITYSCAPES)
    with pytest.raises(DataError, match="instance map differ in size"):
        instance_hits(prediction[1:], instance, CITYSCAPES)


def test_tensors_are_counted_as_arrays() -> None:
    prediction, truth, _ = street(1)
    a, b = (torch.from_numpy(CITYSCAPES.train_ids[x]) for x in (prediction, truth))
    counts = tensors.confusion(a, b, 19)
    expected = miou.by_train_id(confusion(prediction, truth, CITYSCAPES), CITYSCAPES)
    assert counts.dtype == torch.int64 and np.array_equal(counts.numpy(), expected)
    with pytest.raises(DataError, match="one shape"):
        tensors.confusion(a[1:], b, 19)


# painted label maps


def test_painted_maps_are_read_by_the_nearest_colour() -> None:
    _, truth, _ = street(2, ids=[c.id for c in CITYSCAPES.classes if c.name != "polegroup"])
    colours, scored = CITYSCAPES.palette[truth], CITYSCAPES.train_ids[truth] != VOID
    once = CITYSCAPES.colour_ids  # two void classes are black
    expected = np.vectorize(lambda i: once[CITYSCAPES.classes[i].colour])(truth)
    assert np.array_equal(true_painted_ids(colours, CITYSCAPES), expected)
    assert np.array_equal(painted_ids(colours, CITYSCAPES)[scored], expected[scored])
    rng = np.random.default_rng(0)
    noisy = np.clip(colours.astype(int) + rng.integers(-4, 5, colours.shape), 0, 255).astype(np.uint8)
    assert (painted_ids(noisy, CITYSCAPES) == expected)[scored].mean() > 0.98
    assert painted_ids(rng.integers(0, 256, (8, 9, 1), np.uint8), CITYSCAPES).shape == (8, 9)


def test_void_is_never_what_a_generated_map_means() -> None:
    every = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(every, every, every), axis=-1).reshape(52, -1, 3)
    for table in (CITYSCAPES, CAMVID11):
        found = painted_ids(colours, table)
        assert (table.train_ids[found] != VOID).all()
        classes = [c for c in table.classes if c.train_id != VOID]
        distance = [((colours.astype(int) - c.colour) ** 2).sum(-1) for c in classes]
        assert np.array_equal(found, np.array([c.id for c in classes])[np.argmin(distance, axis=0)])
    nothing = ClassTable("void", (LabelClass(0, "void", (0, 0, 0)), LabelClass(1, "dark", (9, 9, 9))))
    assert painted_ids(np.full((2, 2, 3), 9, np.uint8), nothing).tolist() == [[1, 1], [1, 1]]


def test_the_most_frequent_class_of_each_pixel_is_void_only_where_nothing_else_is() -> None:
    road, sky, void = 7, 23, 0
    maps = [np.array([[road, void, void, void, 255]], np.uint8), np.array([[road, void, void, sky, 255]], np.uint8)]
    maps.append(np.array([[sky, road, void, sky, 255]], np.uint8))
    assert most_frequent(maps, CITYSCAPES).tolist() == [[road, road, void, sky, 255]]
    with pytest.raises(DataError, match="no training label map"):
        most_frequent([], CITYSCAPES)


def test_a_photo_is_no_true_painted_map() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    with pytest.raises(DataError, match="far from all colours of the class table cityscapes: not a painted label map"):
        true_painted_ids(photo, CITYSCAPES)
