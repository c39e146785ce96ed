"""Rows of metrics that see with trained networks: `lpips`, `diversity`, `fid`, `kid`.

torch and the networks are imported when a row is started: the table itself waits for neither.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.metrics.figures import Figure, absent
from citygan.metrics.metric import Metric, Setup
from citygan.metrics.pairs import UInt8, check_pair
from citygan.metrics.pixels import picture_l1

Float32 = npt.NDArray[np.float32]

FID_PICTURES = 2048  # below as many as the features have numbers, their covariance is singular
KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
KID_SEED = 2020


# lpips


def start_lpips(net: str) -> Callable[[Metric, Setup], Metric]:
    """Starts a row of the lpips package's distance by the network `net`."""

    def start(row: Metric, setup: Setup) -> Metric:
        from citygan.metrics.networks import distance

        measured = distance(net, setup)

        def measure(fake: UInt8, real: UInt8) -> float:
            check_pair(fake, real)
            return measured(fake, real)

        return replace(row, measure=measure, protocol={**row.protocol, **measured.protocol})

    return start


# diversity


def start_diversity(net: str | None) -> Callable[[Metric, Setup], Metric]:
    """Starts a row of the mean distance between draws: by lpips with the network `net`, or without one by L1."""

    def start(row: Metric, setup: Setup) -> Metric:
        distance: Callable[[UInt8, UInt8], float] = picture_l1
        about: dict[str, Any] = {}
        if net is not None:
            from citygan.metrics.networks import distance as distance_of

            network = distance_of(net, setup)
            distance, about = network, network.protocol

        def measure(fake: UInt8, real: UInt8, *, samples: Sequence[UInt8]) -> float:
            return mean_pairwise(samples, distance)

        return replace(row, measure=measure, protocol={**row.protocol, **about, **setup.draws})

    return start


def mean_pairwise(samples: Sequence[UInt8], distance: Callable[[UInt8, UInt8], float]) -> float:
    """The mean distance of all pairs of pictures.

    Raises:
        DataError: Fewer than two pictures.
    """
    pairs = list(itertools.combinations(samples, 2))
    if not pairs:
        raise DataError("diversity needs at least two samples of a picture", hint="--samples 5")
    return math.fsum(distance(one, other) for one, other in pairs) / len(pairs)


# fid, kid


def start_inception(compare: Callable[[Float32, Float32], Figure]) -> Callable[[Metric, Setup], Metric]:
    """Starts a row of a figure of two sets of Inception features, [N, 2048] each."""

    def start(row: Metric, setup: Setup) -> Metric:
        from citygan.metrics.networks import inception

        features = inception(setup)

        def measure(fake: UInt8, real: UInt8) -> tuple[Float32, Float32]:
            check_pair(fake, real)
            return features(fake), features(real, real=True)

        protocol = {**row.protocol, **features.protocol}
        return replace(row, measure=measure, gather=lambda: TwoFeatureSets(compare), protocol=protocol)

    return start


class TwoFeatureSets:
    """A figure of the features of two sets, 8 KB a picture.

    Args:
        compare: (fake, real), [N, D] each, to entries of the figure.
    """

    def __init__(self, compare: Callable[[Float32, Float32], Figure]) -> None:
        self._compare = compare
        self._sets: tuple[list[Float32], list[Float32]] = ([], [])

    def add(self, measured: tuple[Float32, Float32]) -> None:
        """Takes in the features of a fake and a real picture, [D] each."""
        for features, feature in zip(self._sets, measured, strict=True):
            features.append(feature)

    def figure(self) -> Figure:
        """What `compare` makes of them, and `n` pictures.

        Raises:
            DataError: A single picture.
        """
        count = len(self._sets[0])
        if not count:
            return absent("no picture")
        if count < 2:
            hint = f"Score a larger split or folder; below {FID_PICTURES} pictures FID is biased"
            raise DataError("1 picture has no distribution: at least 2 are needed", hint=hint)
        fake, real = (np.stack(features) for features in self._sets)
        return {**self._compare(fake, real), "n": count}


def compare_fid(fake: Float32, real: Float32) -> Figure:
    """Fréchet distance of two sets of features, [N, D]; `warning` with few pictures."""
    few = f"{len(fake)} pictures are fewer than {FID_PICTURES}: FID is biased upwards, compare it at this count alone"
    warning = few if min(len(fake), len(real)) < FID_PICTURES else None
    return {
        "mean": frechet_distance(fake, real),
        "std": None,
        "reason": "one figure over the set: no std",
        "warning": warning,
    }


def frechet_distance(fake: Float32, real: Float32) -> float:
    """Fréchet distance of the normal distributions of two sets of features, [N, D], by torch-fidelity's arithmetic.

    Raises:
        DataError: It is not finite.
    """
    import torch
    from torch_fidelity import metric_fid

    one, other = (metric_fid.fid_features_to_statistics(torch.from_numpy(features)) for features in (fake, real))
    value = float(metric_fid.fid_statistics_to_metric(one, other, False)[metric_fid.KEY_METRIC_FID])
    if not math.isfinite(value):
        raise DataError("the Fréchet distance of these features is not finite")
    return value


def compare_kid(fake: Float32, real: Float32) -> Figure:
    """Kernel distance (polynomial, unbiased) of two sets of features, [N, D], by torch-fidelity's arithmetic.

    `mean` and `std` are over the subsets; it may be a little below 0 for sets that are alike.
    """
    import torch
    from torch_fidelity import metric_kid

    size = min(KID_SUBSET_SIZE, len(fake), len(real))
    found = metric_kid.kid_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        kid_subsets=KID_SUBSETS,
        kid_subset_size=size,
        rng_seed=KID_SEED,
        verbose=False,
    )
    mean, std = (float(found[key]) for key in (metric_kid.KEY_METRIC_KID_MEAN, metric_kid.KEY_METRIC_KID_STD))
    if not math.isfinite(mean):
        raise DataError("the kernel distance of these features is not finite")
    return {"mean": mean, "std": std, "subset_size": size}
