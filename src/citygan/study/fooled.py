"""How often generated pictures were taken for real, and how sure that is.

The bootstrap is that of the authors' public tool (phillipi/AMT_Real_vs_Fake, `process_csv.py`): participants are drawn
with replacement, and of each of them trials with replacement. The plus-minus is the standard deviation of the resampled
rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
RESAMPLES = 10_000
COVERED = 0.95


@dataclass(frozen=True)
class Rate:
    """A share of trials, in percent.

    Attributes:
        mean: Over all trials.
        std: Of the resampled rates.
        interval: That holds 95 % of them.
        each: Of every participant.
        trials: How many there are.
        resampled: The rates, [RESAMPLES].
    """

    mean: float
    std: float
    interval: tuple[float, float]
    each: tuple[float, ...]
    trials: int
    resampled: Float64


def rate(fooled: Sequence[Sequence[bool]], *, seed: int = 0, resamples: int = RESAMPLES) -> Rate:
    """The share of trials in which the fake was taken for real.

    Args:
        fooled: Of each participant the trials, one or more.

    Raises:
        ValueError: No participant, or one without trials.
    """
    if not fooled or not all(len(trials) for trials in fooled):
        raise ValueError("expected one or more participants, each with trials")
    taken = np.array([sum(trials) for trials in fooled])
    counts = np.array([len(trials) for trials in fooled])
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(counts), (resamples, len(counts)))
    # trials of one participant, each drawn with replacement from his: as many are taken as a binomial draw says
    again = random.binomial(counts[drawn], (taken / counts)[drawn])
    resampled = 100 * again.sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(resampled, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return Rate(
        mean=float(100 * taken.sum() / counts.sum()),
        std=float(resampled.std()),
        interval=(float(low), float(high)),
        each=tuple(float(100 * value) for value in taken / counts),
        trials=int(counts.sum()),
        resampled=resampled,
    )


def share_above(one: Rate, other: Rate) -> float:
    """The share of bootstrap samples in which `one` is above `other`, ties counted half: .5 tells nothing."""
    return float(np.mean(one.resampled > other.resampled) + 0.5 * np.mean(one.resampled == other.resampled))
