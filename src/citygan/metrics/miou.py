"""Segmentations scored exactly as cityscapesScripts scores them (`evalPixelLevelSemanticLabeling`).

Counts are whole numbers over the ids of a class table, so any order and any division of the work gives the same
figures. Ground truth that is not scored (train id 255, or outside the table) is skipped; a prediction of such an id on
a scored pixel is a false negative of the true class; a class that neither truth nor prediction holds has no figure and
leaves the mean.

Letters: H rows, W columns, n classes of the table, K trained classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.labels import VOID, ClassTable
from citygan.errors import DataError

Counts = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# mean pixels of an instance in Cityscapes' training set, at 2048x1024 (cityscapesScripts)
AVERAGE_SIZES = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
INSTANCE_SIZE = (2048, 1024)  # (width, height) that these sizes are of
_COUNTABLE = {*AVERAGE_SIZES, "caravan", "trailer"}  # classes with instances, those that are not scored too


def count_pairs(prediction: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], size: int) -> Counts:
    """How often each value of the prediction falls on each value of the truth.

    Args:
        prediction, truth: Integers in 0 to size - 1, of one shape.

    Returns:
        int64 [size, size]: rows truth, columns prediction.
    """
    together = truth.reshape(-1).astype(np.intp)
    together *= size
    together += prediction.reshape(-1)
    return np.bincount(together, minlength=size * size).reshape(size, size)


def confusion(prediction: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], table: ClassTable) -> Counts:
    """The confusion matrix of one picture, over the table's classes in its order; what is outside them comes last.

    Args:
        prediction, truth: Ids of the table, [H, W].

    Returns:
        int64 [n + 1, n + 1]: rows truth, columns prediction.

    Raises:
        DataError: Of different sizes.
    """
    if prediction.shape != truth.shape:
        raise _different_sizes("truth", prediction, truth)
    places = _places(table)
    return count_pairs(places[prediction], places[truth], len(table.classes) + 1)


def by_train_id(matrix: Counts, table: ClassTable) -> Counts:
    """Of `confusion`'s matrix that of the trained classes, int64 [K + 1, K + 1]; void, and what is outside, last."""
    trained = _trained(table)
    rows = np.zeros((table.num_train + 1, len(matrix)), np.int64)
    np.add.at(rows, trained, matrix)
    both = np.zeros((table.num_train + 1, table.num_train + 1), np.int64)
    np.add.at(both.T, trained, rows.T)
    return both


def _different_sizes(what: str, *maps: npt.NDArray[np.integer]) -> DataError:
    sizes = " and ".join(f"{array.shape[1]}x{array.shape[0]}" for array in maps)
    return DataError(f"prediction and {what} differ in size: {sizes}")


# figures of a matrix over trained classes


def class_iou(matrix: Counts) -> Float64:
    """TP / (TP + FP + FN) of each class, float64 [K], NaN without union; of `by_train_id`'s matrix [K + 1, K + 1]."""
    scored = matrix[:-1]  # no row of void
    hits = np.diagonal(scored)
    return _ratio(hits, scored.sum(axis=1) + scored[:, :-1].sum(axis=0) - hits)


def class_accuracy(matrix: Counts) -> Float64:
    """Share of each class's pixels that are predicted rightly, float64 [K], NaN where the truth has none."""
    return _ratio(np.diagonal(matrix[:-1]), matrix[:-1].sum(axis=1))


def pixel_accuracy(matrix: Counts) -> float:
    """Share of the scored pixels that are predicted rightly; NaN without any."""
    return float(_ratio(np.trace(matrix[:-1, :-1]), matrix[:-1].sum()))


def frequency_weighted_iou(matrix: Counts) -> float:
    """Mean of the classes' IoU, weighted by how many pixels of each there are; NaN without any."""
    pixels = matrix[:-1].sum(axis=1)
    there = pixels > 0
    return float((pixels[there] * class_iou(matrix)[there]).sum() / pixels.sum()) if there.any() else math.nan


def category_iou(matrix: Counts, table: ClassTable) -> dict[str, float]:
    """IoU of each category of trained classes; classes of one category are not told apart.

    Args:
        matrix: `confusion`'s, [n + 1, n + 1].

    Returns:
        By category, in the table's order, NaN without union; without those that hold no trained class.
    """
    scored, result = _scored(table), {}
    for name, members in _categories(table).items():
        own = members & scored
        if name and own.any():
            hits = int(matrix[np.ix_(own, own)].sum())
            missed = int(matrix[own].sum()) - hits
            false = int(matrix[np.ix_(scored & ~members, own)].sum())
            result[name] = _divide(hits, hits + missed + false)
    return result


def pix2pix_scores(matrix: Counts) -> dict[str, float]:
    """The three figures of pix2pix's tables 1, 2, 3 and 6, as its script has them: absent classes count 0.

    Args:
        matrix: `by_train_id`'s, [K + 1, K + 1].

    Returns:
        `pixel_accuracy`, `class_accuracy`, `iou`; the latter two are means over all K classes.
    """
    each = {"class_accuracy": class_accuracy(matrix), "iou": class_iou(matrix)}
    means = {name: float(np.nan_to_num(values).mean()) if len(values) else math.nan for name, values in each.items()}
    return {"pixel_accuracy": pixel_accuracy(matrix), **means}


# instances


@dataclass(frozen=True)
class InstanceHits:
    """What was predicted on the instances of one picture, in the order of their ids.

    Attributes:
        names: The class of each.
        sizes, hits, category_hits: Pixels of each, those of its class, those of its category.
    """

    names: list[str]
    sizes: list[int]
    hits: list[int]
    category_hits: list[int]


def instance_hits(
    prediction: npt.NDArray[np.integer], instance: npt.NDArray[np.integer], table: ClassTable
) -> InstanceHits:
    """Counts the hits on each instance of the eight classes that have a weight.

    Args:
        prediction: Ids of the table, [H, W].
        instance: Cityscapes' instance map, [H, W]: 1000 id + number for instances, the id for everything else.

    Raises:
        DataError: Of different sizes.
    """
    if prediction.shape != instance.shape:
        raise _different_sizes("instance map", prediction, instance)
    there = instance > 1000
    found, number = np.unique(instance[there], return_inverse=True)
    predicted = prediction[there]
    places = _places(table)
    owners = np.minimum(found // 1000, VOID)  # ids
    right = np.bincount(number[predicted == owners[number]], minlength=len(found))
    category = np.zeros(len(found), np.int64)
    of_category = _instance_categories(table)
    for name, members in of_category.items():
        inside = np.append(members, False)[places[predicted]]
        mine = np.array([_category_of(table, int(owner)) == name for owner in owners], bool)
        category += np.bincount(number[inside], minlength=len(found)) * mine
    sizes = np.bincount(number, minlength=len(found))
    names = {c.id: c.name for c in table.classes if c.train_id != VOID and c.name in AVERAGE_SIZES}
    kept = [place for place, owner in enumerate(owners) if int(owner) in names]
    return InstanceHits(
        [names[int(owners[place])] for place in kept],
        *([int(values[place]) for place in kept] for values in (sizes, right, category)),
    )


class InstanceSums:
    """Weighted hits and misses over a set, added up in the order of the pictures, as the reference does."""

    def __init__(self) -> None:
        self.pictures = 0
        self.classes: dict[str, tuple[float, float]] = {}
        self.categories: dict[str, tuple[float, float]] = {}

    def add(self, found: InstanceHits, table: ClassTable) -> None:
        """Takes in one picture."""
        self.pictures += 1
        category_of = {c.name: c.category for c in table.classes}
        rows = zip(found.names, found.sizes, found.hits, found.category_hits, strict=True)
        for name, size, hits, category_hits in rows:
            weight = AVERAGE_SIZES[name] / float(size)
            for sums, key, count in (
                (self.classes, name, hits),
                (self.categories, category_of[name], category_hits),
            ):
                right, wrong = sums.get(key, (0.0, 0.0))
                sums[key] = (right + float(count) * weight, wrong + float(size - count) * weight)


def class_instance_iou(matrix: Counts, sums: InstanceSums, table: ClassTable) -> dict[str, float]:
    """iIoU of the classes that have a weight: weighted TP / (weighted TP + FP + weighted FN); `confusion`'s matrix."""
    scored, result = _scored(table), {}
    for place, item in enumerate(table.classes):
        if item.name in AVERAGE_SIZES and item.train_id != VOID:
            others = scored.copy()
            others[place] = False
            right, wrong = sums.classes.get(item.name, (0.0, 0.0))
            result[item.name] = _divide(right, right + int(matrix[others, place].sum()) + wrong)
    return result


def category_instance_iou(matrix: Counts, sums: InstanceSums, table: ClassTable) -> dict[str, float]:
    """iIoU of the categories all of whose classes have instances (Cityscapes: human, vehicle); `confusion`'s matrix."""
    scored, result = _scored(table), {}
    for name, members in _instance_categories(table).items():
        own = np.append(members, False)
        right, wrong = sums.categories.get(name, (0.0, 0.0))
        false = int(matrix[np.ix_(scored & ~own, own)].sum())
        result[name] = _divide(right, right + false + wrong)
    return result


# all of it


def segmentation_figure(matrix: Counts, table: ClassTable, sums: InstanceSums | None = None) -> dict[str, Any]:
    """All figures of a set, ready for JSON: None where there is none.

    Args:
        matrix: `confusion`'s, summed over the set.
        sums: The instances, where the set has such maps at 2048x1024.

    Returns:
        `mean` (of the classes' IoU), `pixel_accuracy`, `class_accuracy` (mean), `fw_iou`, `category_iou` (mean),
        `iiou`, `category_iiou` (means), `pixels` that are scored, `pix2pix` (`pix2pix_scores`), and `classes` and
        `categories`: `iou`, `accuracy`, `iiou` and `pixels` of each by name.
    """
    trained = by_train_id(matrix, table)
    iou, accuracy, pixels = class_iou(trained), class_accuracy(trained), trained[:-1].sum(axis=1)
    of_category = category_iou(matrix, table)
    instances = {} if sums is None else class_instance_iou(matrix, sums, table)
    of_categories = {} if sums is None else category_instance_iou(matrix, sums, table)
    classes = {
        name: {
            "iou": _number(iou[train_id]),
            "accuracy": _number(accuracy[train_id]),
            "iiou": _number(instances.get(name, math.nan)),
            "pixels": int(pixels[train_id]),
        }
        for train_id, name in enumerate(table.train_names)
    }
    categories = {
        name: {"iou": _number(value), "iiou": _number(of_categories.get(name, math.nan))}
        for name, value in of_category.items()
    }
    return {
        "mean": mean_of(iou),
        "pixel_accuracy": _number(pixel_accuracy(trained)),
        "class_accuracy": mean_of(accuracy),
        "fw_iou": _number(frequency_weighted_iou(trained)),
        "category_iou": mean_of(list(of_category.values())),
        "iiou": mean_of(list(instances.values())),
        "category_iiou": mean_of(list(of_categories.values())),
        "pixels": int(pixels.sum()),
        "pix2pix": {name: _number(value) for name, value in pix2pix_scores(trained).items()},
        "classes": classes,
        "categories": categories,
    }


def mean_of(values: npt.ArrayLike) -> float | None:
    """The mean of those that are there; None without any. Added up one by one, as the reference does."""
    there = [float(value) for value in np.asarray(values, np.float64).reshape(-1) if not math.isnan(value)]
    return sum(there) / len(there) if there else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _divide(part: float, whole: float) -> float:
    return float(part) / whole if whole else math.nan


def _ratio(part: Any, whole: Any) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(part, whole)


# tables


def _places(table: ClassTable) -> npt.NDArray[np.intp]:
    """[256]: an id's place in the table; n for what is outside."""
    places = np.full(256, len(table.classes), np.intp)
    places[list(table.ids)] = np.arange(len(table.classes))
    return places


def _trained(table: ClassTable) -> npt.NDArray[np.intp]:
    """[n + 1]: the train id of each place, K for void."""
    trained = [table.num_train if c.train_id == VOID else c.train_id for c in table.classes]
    return np.array([*trained, table.num_train], np.intp)


def _scored(table: ClassTable) -> npt.NDArray[np.bool_]:
    """[n + 1]: whether the class at a place is scored."""
    return np.array([*(c.train_id != VOID for c in table.classes), False])


def _categories(table: ClassTable) -> dict[str, npt.NDArray[np.bool_]]:
    """The places of each category's classes, [n + 1]."""
    names = dict.fromkeys(c.category for c in table.classes)
    return {name: np.array([*(c.category == name for c in table.classes), False]) for name in names}


def _instance_categories(table: ClassTable) -> dict[str, npt.NDArray[np.bool_]]:
    """The places, [n], of the categories all of whose classes have instances; classes that are not scored count in."""
    result = {}
    for name, members in _categories(table).items():
        classes = [c for c in table.classes if c.category == name]
        if all(c.name in _COUNTABLE for c in classes) and any(c.train_id != VOID for c in classes):
            result[name] = members[:-1]
    return result


def _category_of(table: ClassTable, number: int) -> str | None:
    return next((c.category for c in table.classes if c.id == number), None)
