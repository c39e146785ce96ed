"""Gathering what was measured on each picture into one figure, without keeping the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from citygan.metrics.histograms import Counts

Figure = dict[str, Any]
"""`mean`, `std`, `n`; a number that does not exist is None, with a `reason` beside it."""

STD = "population (divided by n)"


class Gathered(Protocol):
    """Takes in measurements in the order of the pictures."""

    def add(self, measured: Any) -> None:
        """Takes in one picture's."""

    def figure(self) -> Figure:
        """The figure of all so far."""


class Mean:
    """Mean and standard deviation (of the population) of a figure a picture; infinite ones are counted apart.

    Args:
        nothing: Why there is no figure where no picture had one.
    """

    def __init__(self, nothing: str = "no picture") -> None:
        self.n = 0
        self._nothing = nothing
        self.infinite = 0
        self._mean = 0.0
        self._squares = 0.0

    def add(self, measured: float) -> None:
        """Welford's recurrence."""
        if math.isinf(measured):
            self.infinite += 1
            return
        self.n += 1
        off = measured - self._mean
        self._mean += off / self.n
        self._squares += off * (measured - self._mean)

    def figure(self) -> Figure:
        """`mean`, `std`, `n`."""
        if not self.n:
            return absent(self._nothing)
        return {"mean": self._mean, "std": math.sqrt(self._squares / self.n), "n": self.n}


class FiniteMean(Mean):
    """As `Mean`, for a figure that equal pictures do not have; says how many these were."""

    def figure(self) -> Figure:
        """`mean`, `std`, `n`, `infinite`."""
        if not self.n and self.infinite:
            return absent("every picture equals the real one: the ratio is infinite") | {"infinite": self.infinite}
        return super().figure() | {"infinite": self.infinite}


class TwoHistograms:
    """A figure of the histograms of two sets, added up picture by picture.

    Args:
        compare: (fake, real) counts to a number, or to several by name with `mean` among them.
    """

    def __init__(self, compare: Callable[[Counts, Counts], float | dict[str, float]]) -> None:
        self.n = 0
        self._compare = compare
        self._fake: Counts | int = 0
        self._real: Counts | int = 0

    def add(self, measured: tuple[Counts, Counts]) -> None:
        """Adds the counts of a fake and a real picture."""
        self._fake = self._fake + measured[0]
        self._real = self._real + measured[1]
        self.n += 1

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """The histograms of the fake and of the real pictures, summed over them."""
        return np.asarray(self._fake), np.asarray(self._real)

    def figure(self) -> Figure:
        """`mean` (the figure itself), `std` (None: there is one figure), `n` pictures."""
        if not self.n:
            return absent("no picture")
        compared = self._compare(*self.counts)
        values = compared if isinstance(compared, dict) else {"mean": compared}
        figure: Figure = {"mean": values["mean"], "std": None, "n": self.n, "reason": "one figure over the set: no std"}
        return figure | {name: value for name, value in values.items() if name != "mean"}


def absent(reason: str) -> Figure:
    """A figure that does not exist."""
    return {"mean": None, "std": None, "n": 0, "reason": reason}
