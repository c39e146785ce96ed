"""What a recipe is: networks, how each group of them is optimised, and the updates of one step in their order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.config import OptimizerSettings


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
        kind: `adam` or `sgd`.
        momentum: SGD's.
        weight_decay: Added to the gradient, times the weight.
    """

    networks: tuple[str, ...]
    rate: float
    schedule: Callable[[int, int], float]
    betas: tuple[float, float]
    kind: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0

    @property
    def kept(self) -> tuple[str, ...]:
        """What the optimizer keeps of each parameter from step to step."""
        if self.kind == "sgd":
            return ("momentum_buffer",) if self.momentum else ()
        return ("step", "exp_avg", "exp_avg_sq")

    def optimizer(self, parameters: list[Tensor], *, fused: bool, recorded: bool) -> torch.optim.Optimizer:
        """The optimizer of these networks' parameters; `recorded`: its step can become part of a CUDA graph."""
        rate = torch.tensor(self.rate, device=parameters[0].device) if recorded else self.rate
        optimizer: torch.optim.Optimizer
        if self.kind == "sgd":
            return torch.optim.SGD(
                parameters, lr=rate, momentum=self.momentum, weight_decay=self.weight_decay, fused=fused
            )
        optimizer = torch.optim.Adam(
            parameters, lr=rate, betas=self.betas, weight_decay=self.weight_decay, fused=fused, capturable=recorded
        )
        if recorded:  # the steps before the recording are meant
            optimizer._warned_capturable_if_run_uncaptured = True
        return optimizer


class Recipe(ABC):
    """How one family learns. Autocast, memory layout, compilation, many devices and EMA are the engine's business.

    Attributes:
        networks: By name; a generator is always called `generator`, a segmenter `segmenter`.
        groups: By name, in the order in which optimizers are made and saved.
        averaged: The networks of which the engine may keep an exponential moving average.
        frozen: Networks that losses look with, by name: on the device, never trained, never saved.
    """

    networks: dict[str, nn.Module]
    groups: dict[str, Group]
    averaged: tuple[str, ...] = ("generator",)
    frozen: Mapping[str, nn.Module] = {}

    @property
    def all_networks(self) -> dict[str, nn.Module]:
        """Those that learn and those that do not, by name."""
        return {**self.networks, **self.frozen}

    @abstractmethod
    def updates(self, batch: Batch, phase: str = "all") -> Iterator[Update]:
        """The updates of one step.

        Args:
            phase: What `phase` says of that step.

        The engine resumes the generator after each update's step, so the next loss sees the network just stepped.
        Nothing may hold `no_grad` or `autocast` open over a `yield`.
        """

    def phase(self, step: int, steps: int) -> str:
        """The stage of training that a step belongs to, of so many steps in all."""
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


@dataclass(frozen=True)
class PolyDecay:
    """(1 - step / steps) to a power, 0 at the end."""

    power: float

    def __call__(self, step: int, steps: int) -> float:
        return float(max(0.0, 1 - step / steps) ** self.power)


def schedule_of(settings: OptimizerSettings) -> Callable[[int, int], float]:
    """The schedule that settings name."""
    if settings.schedule == "linear":
        return LinearDecay(settings.decay_share)
    return PolyDecay(settings.power) if settings.schedule == "poly" else constant


def group_of(networks: tuple[str, ...], settings: OptimizerSettings) -> Group:
    """The group of networks that are moved together, by the settings."""
    betas = (settings.beta1, settings.beta2)
    return Group(
        networks, settings.rate, schedule_of(settings), betas, settings.name, settings.momentum, settings.weight_decay
    )
