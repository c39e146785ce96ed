"""Losses: pure functions of tensors, one term each. Those that a setting chooses among stand in tables by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from citygan.losses.adversarial import (
    Adversarial,
    as_real,
    cross_entropy,
    hinge,
    hinge_fooling,
    least_squares,
    least_squares_of_sigmoid,
)
from citygan.losses.reconstruction import l1, mse

ADVERSARIAL: dict[str, Adversarial] = {
    "cross-entropy": as_real(cross_entropy),
    "least-squares": as_real(least_squares),
    "least-squares-sigmoid": as_real(least_squares_of_sigmoid),
    "hinge": Adversarial(hinge, hinge_fooling),
}
RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "mse": mse}
