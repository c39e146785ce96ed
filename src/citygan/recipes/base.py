"""What a recipe is: networks, how each group of them is optimised, and the updates of one step in their order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from citygan.batch import Batch


@dataclass(frozen=True)
class Update:
    """One backward pass, and the optimizer's step that follows it.

    Attributes:
        group: The optimizer; gradients reach its parameters alone.
        losses: Weighted float32 scalars, named as they are logged; their sum is what is minimised.
        step: False only accumulates gradients, for a later update of the same group.
        retain: True keeps the graph for a later update that shares a part of it.
    """

    group: str
    losses: dict[str, Tensor]
    step: bool = True
    retain: bool = False


@dataclass(frozen=True)
class Group:
    """Networks that one optimizer moves.

    Attributes:
        networks: Names in `Recipe.networks`.
        rate: Learning rate at the start.
        schedule: Factor of the rate at a step, given (step, steps in all).
        betas: Adam's.
    """

    networks: tuple[str, ...]
    rate: float
    schedule: Callable[[int, int], float]
    betas: tuple[float, float]

    def optimizer(self, parameters: list[Tensor], *, fused: bool, recorded: bool) -> torch.optim.Optimizer:
        """The optimizer of these networks' parameters; `recorded`: its step can become part of a CUDA graph."""
        rate = torch.tensor(self.rate, device=parameters[0].device) if recorded else self.rate
        optimizer = torch.optim.Adam(parameters, lr=rate, betas=self.betas, fused=fused, capturable=recorded)
        if recorded:  # the steps before the recording are meant
            optimizer._warned_capturable_if_run_uncaptured = True
        return optimizer


class Recipe(ABC):
    """How one family learns. Autocast, memory layout, compilation, many devices and EMA are the engine's business.

    Attributes:
        networks: By name; the generator is always called `generator`.
        groups: By name, in the order in which optimizers are made and saved.
        averaged: The networks of which the engine may keep an exponential moving average.
    """

    networks: dict[str, nn.Module]
    groups: dict[str, Group]
    averaged: tuple[str, ...] = ("generator",)

    @abstractmethod
    def updates(self, batch: Batch) -> Iterator[Update]:
        """The updates of one step.

        The engine resumes the generator after each update's step, so the next loss sees the network just stepped.
        Nothing may hold `no_grad` or `autocast` open over a `yield`.
        """

    def phase(self, step: int) -> str:
        """The stage of training that a step belongs to."""
        return "all"


def constant(step: int, steps: int) -> float:
    """The paper's schedule."""
    return 1.0


@dataclass(frozen=True)
class LinearDecay:
    """Constant, then linearly to 0 over the last share of the steps."""

    share: float

    def __call__(self, step: int, steps: int) -> float:
        decaying = max(1, round(steps * self.share))
        return min(1.0, (steps - step) / decaying)
