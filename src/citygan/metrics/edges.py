"""How well a map of edge probabilities agrees with an edge map: cross-entropy, and precision and recall at a tolerance.

Precision and recall follow Martin, Fowlkes and Malik ("Learning to detect natural image boundaries"): an edge counts as
found where the other map has one within so many pixels. Theirs pairs edges one to one after thinning both maps; here
maps are neither thinned nor paired, since a map that a generator is shown is to be as thick as the edges themselves, so
an edge can find several. The best F-score over one threshold for a whole set is what Xie and Tu
("Holistically-Nested Edge Detection") call ODS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import DataError

Map = npt.NDArray[np.floating] | npt.NDArray[np.bool_]
THRESHOLDS = tuple(i / 20 for i in range(1, 20))
TOLERANCE = 1.5  # pixels: the eight neighbours
LEAST = 1 / 510  # half a level of 255: no probability is taken for surer than a map of bytes can say


def edge_bce(probability: Map, target: Map) -> float:
    """Binary cross-entropy of probabilities of edges with an edge map, averaged over the pixels, in nats.

    Args:
        probability: [H, W] in [0, 1]; what is nearer to 0 or 1 than 1/510 is taken for that.
        target: [H, W], 1 or True at edges.

    Returns:
        From 0.002 for the edge map itself to 6.23 for its opposite; a half everywhere has 0.69.

    Raises:
        DataError: Maps of different or other shapes, or values out of their range.
    """
    p, edges = _checked(probability, target)
    p = p.clip(LEAST, 1 - LEAST)
    return float(-np.log(np.where(edges, p, 1 - p)).mean())


@dataclass(frozen=True)
class EdgeCounts:
    """How many edges were found, at each of some thresholds; those of several pictures are added.

    Attributes:
        thresholds: A pixel is an edge where its probability is at least this; [T].
        predicted, right: Predicted edges, and those of them near a true one; int64 [T].
        found: True edges near a predicted one; int64 [T].
        true: All true edges.
    """

    thresholds: tuple[float, ...]
    predicted: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    true: int

    def __add__(self, other: EdgeCounts) -> EdgeCounts:
        if self.thresholds != other.thresholds:
            raise ValueError("counts at different thresholds cannot be added")
        return EdgeCounts(
            self.thresholds,
            self.predicted + other.predicted,
            self.right + other.right,
            self.found + other.found,
            self.true + other.true,
        )


@dataclass(frozen=True)
class EdgeScore:
    """Precision, recall and their harmonic mean, F, each from 0 to 1, at the threshold they belong to."""

    f: float
    precision: float
    recall: float
    threshold: float


def edge_counts(
    probability: Map, target: Map, thresholds: Sequence[float] = THRESHOLDS, tolerance: float = TOLERANCE
) -> EdgeCounts:
    """Counts of one picture.

    Args:
        probability: [H, W] in [0, 1].
        target: [H, W], 1 or True at edges.
        thresholds: Of the probability, above 0.
        tolerance: Largest distance in pixels, between centres, of an edge to one that it counts for; 0: the same pixel.

    Raises:
        DataError: Maps of different or other shapes, or values out of their range.
        ValueError: A tolerance below 0, or a threshold that is not above 0 and at most 1.
    """
    if not tolerance >= 0 or not thresholds or not all(0 < t <= 1 for t in thresholds):
        raise ValueError(f"expected a tolerance of at least 0 and thresholds in (0, 1], got {tolerance}, {thresholds}")
    p, edges = _checked(probability, target)
    near = _near(edges, tolerance)
    predictions = [p >= threshold for threshold in thresholds]
    return EdgeCounts(
        tuple(thresholds),
        np.array([np.count_nonzero(x) for x in predictions], np.int64),
        np.array([np.count_nonzero(x & near) for x in predictions], np.int64),
        np.array([np.count_nonzero(edges & _near(x, tolerance)) for x in predictions], np.int64),
        int(np.count_nonzero(edges)),
    )


def edge_scores(counts: EdgeCounts) -> list[EdgeScore]:
    """The score at each threshold.

    A precision without predicted edges, and a recall without true ones, are 1: nothing was wrong, nothing was missed.
    """
    scores = []
    for i, threshold in enumerate(counts.thresholds):
        precision = _share(counts.right[i], counts.predicted[i])
        recall = _share(counts.found[i], counts.true)
        both = precision + recall
        scores.append(EdgeScore(2 * precision * recall / both if both else 0.0, precision, recall, threshold))
    return scores


def best_edge_score(pictures: Iterable[EdgeCounts]) -> EdgeScore:
    """The best F-score of a set of pictures at one threshold for all (ODS); of equal ones that of the lowest threshold.

    Raises:
        DataError: No pictures.
    """
    each = list(pictures)
    if not each:
        raise DataError("no edge maps to be scored")
    return max(edge_scores(sum(each[1:], each[0])), key=lambda score: score.f)


def _share(count: np.int64, total: np.int64 | int) -> float:
    return float(count) / float(total) if total else 1.0


def _near(edges: npt.NDArray[np.bool_], tolerance: float) -> npt.NDArray[np.bool_]:
    """Where an edge is within the tolerance."""
    if tolerance == 0 or not edges.any():
        return edges
    distances = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distances <= tolerance * (1 + 1e-6))


def _checked(probability: Map, target: Map) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    if probability.ndim != 2 or probability.shape != target.shape or probability.size == 0:
        raise DataError(f"expected two maps [H, W] of one size, got {[*probability.shape]} and {[*target.shape]}")
    p = probability.astype(np.float64)
    if not (p.min() >= 0 and p.max() <= 1):
        raise DataError(f"expected probabilities in [0, 1], got {p.min():g} to {p.max():g}")
    if not ((target == 0) | (target == 1)).all():
        raise DataError("expected an edge map of 0 and 1")
    return p, target.astype(bool)
