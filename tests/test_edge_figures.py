"""Figures of edge maps: cross-entropy, and precision and recall at a tolerance, by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt

from citygan.errors import DataError
from citygan.metrics.edges import LEAST, TOLERANCE, EdgeScore, best_edge_score, edge_bce, edge_counts, edge_scores

Map = npt.NDArray[np.float64]


def column(*places: int, height: int = 6, width: int = 12) -> Map:
    """A map with columns of edges."""
    edges = np.zeros((height, width))
    edges[:, places] = 1
    return edges


def score(probability: Map, target: Map, tolerance: float = 0.0, threshold: float = 0.5) -> EdgeScore:
    (found,) = edge_scores(edge_counts(probability, target, (threshold,), tolerance))
    return found


def test_cross_entropy_is_that_of_pytorch() -> None:
    random = np.random.default_rng(0)
    probability, target = random.uniform(0.01, 0.99, (9, 13)), random.integers(0, 2, (9, 13))
    expected = F.binary_cross_entropy(torch.from_numpy(probability), torch.from_numpy(target).double())
    assert edge_bce(probability, target.astype(float)) == pytest.approx(float(expected))
    assert edge_bce(np.full((4, 4), 0.5), target[:4, :4].astype(bool)) == pytest.approx(math.log(2))


def test_cross_entropy_of_certain_maps_is_finite() -> None:
    edges = column(3)
    assert edge_bce(edges, edges) == pytest.approx(-math.log(1 - LEAST))
    assert edge_bce(1 - edges, edges) == pytest.approx(-math.log(LEAST))


def test_without_tolerance_it_is_precision_and_recall_of_pixels() -> None:
    random = np.random.default_rng(1)
    probability, target = random.uniform(size=(20, 20)), random.integers(0, 2, (20, 20)).astype(float)
    counts = edge_counts(probability, target, tolerance=0)
    for one, threshold in zip(edge_scores(counts), counts.thresholds, strict=True):
        predicted = probability >= threshold
        both = float((predicted * target).sum())
        assert one.precision == pytest.approx(both / predicted.sum()) and one.recall == pytest.approx(
            both / target.sum()
        )
        assert one.f == pytest.approx(2 * both / (predicted.sum() + target.sum()))


def test_the_map_itself_is_right_and_its_opposite_wrong() -> None:
    edges = column(2, 7)
    assert score(edges, edges) == EdgeScore(1.0, 1.0, 1.0, 0.5)
    assert score(1 - edges, edges).f == 0.0


@pytest.mark.parametrize(("moved", "tolerance", "near"), [(1, 1, True), (2, 1, False), (2, 1.99, False), (2, 2, True)])
def test_an_edge_counts_within_the_tolerance(moved: int, tolerance: float, near: bool) -> None:
    found = score(column(4 + moved), column(4), tolerance)
    assert (found.precision, found.recall, found.f) == ((1, 1, 1) if near else (0, 0, 0))


def test_the_tolerance_is_a_disc() -> None:
    """Within 1.5 pixels are the eight neighbours."""
    target = np.zeros((7, 7))
    target[3, 3] = 1
    everywhere = np.ones((7, 7))
    assert edge_counts(everywhere, target, (0.5,), TOLERANCE).right.tolist() == [9]
    for tolerance in (1.0, 2.0, 2.5, 3.0):
        expected = (distance_transform_edt(target == 0) <= tolerance).sum()
        assert edge_counts(everywhere, target, (0.5,), tolerance).right.tolist() == [expected]


def test_precision_and_recall_by_hand() -> None:
    # columns 2 and 8 are true; 3 is near 2, 5 is near nothing; 8 is missed
    found = score(column(3, 5), column(2, 8), 1)
    assert (found.precision, found.recall, found.f) == (0.5, 0.5, 0.5)
    thick = score(column(2, 3), column(2, 8), 1)  # an edge may find another twice
    assert (thick.precision, thick.recall) == (1.0, 0.5) and thick.f == pytest.approx(2 / 3)


def test_nothing_predicted_and_nothing_true() -> None:
    nothing, edges = column(), column(3)
    assert score(nothing, nothing) == EdgeScore(1.0, 1.0, 1.0, 0.5)
    assert (score(nothing, edges).precision, score(nothing, edges).recall, score(nothing, edges).f) == (1.0, 0.0, 0.0)
    assert (score(edges, nothing).precision, score(edges, nothing).recall, score(edges, nothing).f) == (0.0, 1.0, 0.0)


def test_the_best_score_is_at_one_threshold_for_all_pictures() -> None:
    edges = column(4)
    sure, unsure = 0.9 * edges + 0.4 * column(8), 0.3 * edges
    each = [edge_counts(x, edges, (0.2, 0.5), 0) for x in (sure, unsure)]
    # at 0.2: of 18 predicted 12 are right, all 12 are found; at 0.5: 6 of 6, and 6 of 12
    best = best_edge_score(each)
    assert best == EdgeScore(0.8, 12 / 18, 1.0, 0.2)
    assert best_edge_score([each[0]]) == EdgeScore(1.0, 1.0, 1.0, 0.5)
    assert best_edge_score(each[::-1]) == best


def test_counts_are_not_added_at_different_thresholds() -> None:
    with pytest.raises(ValueError, match="different thresholds"):
        edge_counts(column(1), column(1), (0.5,)) + edge_counts(column(1), column(1), (0.4,))
    with pytest.raises(DataError, match="no edge maps"):
        best_edge_score([])


@pytest.mark.parametrize(
    ("probability", "target", "told"),
    [
        (np.zeros((4, 4)), np.zeros((4, 5)), r"got \[4, 4\] and \[4, 5\]"),
        (np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), r"two maps \[H, W\]"),
        (np.zeros((0, 4)), np.zeros((0, 4)), r"got \[0, 4\]"),
        (np.full((4, 4), 1.5), np.zeros((4, 4)), r"in \[0, 1\], got 1.5"),
        (np.full((4, 4), np.nan), np.zeros((4, 4)), r"in \[0, 1\], got nan"),
        (np.zeros((4, 4)), np.full((4, 4), 0.5), "an edge map of 0 and 1"),
    ],
)
def test_what_is_no_such_map_is_refused(probability: Map, target: Map, told: str) -> None:
    for measure in (edge_bce, edge_counts):
        with pytest.raises(DataError, match=told):
            measure(probability, target)


@pytest.mark.parametrize(("thresholds", "tolerance"), [((0.5,), -1.0), ((0.5,), math.nan), ((0.0,), 1.0), ((), 1.0)])
def test_settings_out_of_their_range_are_refused(thresholds: tuple[float, ...], tolerance: float) -> None:
    with pytest.raises(ValueError, match="expected a tolerance of at least 0 and thresholds"):
        edge_counts(column(1), column(1), thresholds, tolerance)
