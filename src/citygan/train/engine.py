"""The engine under a recipe: devices, precision, memory layout, accumulation, averaging, finite checks, EMA.

It knows nothing of GANs, data sets or settings files. What the recipe yields is carried out in the order it is
yielded; the arithmetic on the CPU in float32 is the reference.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.errors import DamagedError, DivergedError
from citygan.recipes.base import Recipe, Update
from citygan.train.checkpoint import Tensors, load_network
from citygan.train.distributed import Ranks
from citygan.train.graphs import StepGraph

NEVER = 2**62


@dataclass(frozen=True)
class Plan:
    """How the engine runs; see `citygan.config.TrainSettings` for the meaning of each."""

    steps: int
    seed: int = 0
    accumulate: int = 1
    bf16: bool = False
    channels_last: bool = True
    compile: bool = False
    cuda_graphs: bool = False
    ema: float = 0.0


class Engine:
    """Carries out a recipe's updates.

    Attributes:
        networks: The recipe's, on the device.
        averages: EMA copies of those the recipe names, where the plan has a decay.
        phase: The recipe's, at the last step.
    """

    def __init__(self, recipe: Recipe, plan: Plan, device: torch.device, ranks: Ranks | None = None) -> None:
        self.recipe = recipe
        self.plan = plan
        self.device = device
        self.ranks = ranks or Ranks()
        self.networks = recipe.networks
        layout = torch.channels_last if plan.channels_last else torch.contiguous_format
        for network in self.networks.values():
            network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
            network.train()
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # every step has the same shapes
        for network in recipe.frozen.values():
            network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
            network.eval().requires_grad_(False)
        self.phase = recipe.phase(0, plan.steps)
        self.ranks.share(self.networks.values())
        self.averages: dict[str, nn.Module] = {}
        if plan.ema > 0:
            for name in recipe.averaged:
                self.averages[name] = copy.deepcopy(self.networks[name]).requires_grad_(False)
        if plan.compile:
            for network in [*self.networks.values(), *recipe.frozen.values()]:
                network.compile()
        self.parameters = {name: [p for _, p in self._named(name)] for name in recipe.groups}
        # what an optimizer moves: the same memory, contiguous, since on CPUs it copies all else
        self._moved = {name: [_flat(p.detach(), p) for p in group] for name, group in self.parameters.items()}
        self.optimizers = {name: self._optimizer(name) for name in recipe.groups}
        self._first_bad = torch.full((), NEVER, dtype=torch.int64, device=device)
        # the step and the averages' share of the new, where a recorded step can read them
        self._now = torch.zeros((), dtype=torch.int64, device=device)
        self._share = torch.zeros((), device=device)
        self._graph = StepGraph(self._carry_out) if plan.cuda_graphs else None

    def _optimizer(self, group_name: str) -> torch.optim.Optimizer:
        return self.recipe.groups[group_name].optimizer(
            self._moved[group_name], fused=self.device.type in ("cpu", "cuda"), recorded=self.plan.cuda_graphs
        )

    # one step

    def train_step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Carries out the updates of one step.

        Args:
            step: Steps done before this one; with the seed it decides all randomness.

        Returns:
            The losses by name, on the device.

        Raises:
            DivergedError: A loss or gradient is not finite (on the CPU at once, before the optimizer's step; on other
                devices such steps change nothing and `check` tells).
        """
        torch.manual_seed(_mix(self.plan.seed, step, self.ranks.rank))
        self.phase = self.recipe.phase(step, self.plan.steps)
        self._now.fill_(step)
        # an average over a tenth of the steps so far, until that is longer than the decay's: a young one would
        # still hold the noise that the network started from
        self._share.fill_(max(1 - self.plan.ema, 9 / (10 + step)))
        for name, group in self.recipe.groups.items():
            rate = group.rate * group.schedule(step, self.plan.steps)
            for item in self.optimizers[name].param_groups:
                if isinstance(item["lr"], Tensor):
                    item["lr"].fill_(rate)
                else:
                    item["lr"] = rate
        if self._graph is not None:
            return self._graph(self.phase, batch)
        return self._carry_out(batch)

    def _carry_out(self, batch: Batch) -> dict[str, Tensor]:
        """The updates of one step, in their order."""
        parts = batch.split(self.plan.accumulate) if self.plan.accumulate > 1 else [batch]
        streams = [self.recipe.updates(part, self.phase) for part in parts]
        losses: dict[str, Tensor] = {}
        begun: set[str] = set()  # groups whose gradients belong to this step
        while True:
            update = None
            # every part reaches an update before any step, each backward frees its part's graph
            for stream in streams:
                update = self._next(stream)
                if update is None:
                    return losses
                if update.group not in begun:
                    for parameter in self.parameters[update.group]:
                        parameter.grad = None
                    begun.add(update.group)
                total = sum(update.losses.values(), torch.zeros((), device=self.device)) / len(parts)
                total.backward(inputs=self.parameters[update.group], retain_graph=update.retain)
                for name, loss in update.losses.items():
                    losses[name] = losses.get(name, 0) + loss.detach() / len(parts)
            assert update is not None
            if update.step:
                self._step(update.group, losses)
                begun.discard(update.group)

    def _next(self, stream: Iterator[Update]) -> Update | None:
        # opened anew each time: a cache kept over a step would serve stale weights
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bf16, cache_enabled=False):
            return next(stream, None)

    def _step(self, group_name: str, losses: dict[str, Tensor]) -> None:
        """Averages over the ranks, checks, steps, and lets the averages follow."""
        optimizer = self.optimizers[group_name]
        for moved, parameter in zip(self._moved[group_name], self.parameters[group_name], strict=True):
            moved.grad = None if parameter.grad is None else _flat(parameter.grad, parameter)
        gradients = [moved.grad for moved in self._moved[group_name] if moved.grad is not None]
        self.ranks.average(gradients)
        # the Euclidean norm: CPUs take five times as long for the largest magnitude
        told = [*torch._foreach_norm(gradients), *losses.values()]
        bad = ~torch.isfinite(torch.stack([value.float() for value in told])).all()
        if self.device.type == "cuda":
            self._first_bad.copy_(torch.minimum(self._first_bad, torch.where(bad, self._now, NEVER)))
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        elif bool(bad):
            raise _diverged(int(self._now), losses, f"a loss or gradient of the {group_name} is not finite")
        optimizer.step()
        for moved in self._moved[group_name]:
            moved.grad = None
        for name in self.recipe.groups[group_name].networks:
            if name in self.averages:
                self._follow(name)

    @torch.no_grad()
    def _follow(self, name: str) -> None:
        average, network = self.averages[name], self.networks[name]
        for kept, new in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, self._share)
        for mine, current in zip(average.buffers(), network.buffers(), strict=True):
            mine.copy_(current)

    def check(self) -> None:
        """Tells of steps that were not finite on a device that does not say so at once.

        Raises:
            DivergedError: There was one.
        """
        first = int(self._first_bad.item())
        if first != NEVER:
            raise _diverged(first, {}, "a loss or gradient is not finite")

    # saving

    def tensors(self) -> dict[str, Tensors]:
        """All that training goes on from, by the name of its file."""
        self.ranks.average_statistics([*self.networks.values(), *self.averages.values()])
        parts = {name: dict(network.state_dict()) for name, network in self.networks.items()}
        parts |= {f"{name}-ema": dict(average.state_dict()) for name, average in self.averages.items()}
        for group_name, optimizer in self.optimizers.items():
            tensors: Tensors = {}
            for (key, parameter), moved in zip(self._named(group_name), self._moved[group_name], strict=True):
                moments = optimizer.state.get(moved)
                if moments is None:  # never moved, as in a phase in which it rests: as good as zeros
                    zeros = torch.zeros((), device=moved.device if self.device.type == "cuda" else "cpu")
                    kept = self.recipe.groups[group_name].kept
                    moments = {what: zeros if what == "step" else torch.zeros_like(moved) for what in kept}
                for what, value in moments.items():
                    if value is None:  # SGD without momentum
                        continue
                    tensors[f"{key}.{what}"] = _unflat(value, parameter)
            parts[f"optimizer-{group_name}"] = tensors
        return parts

    def load(self, parts: dict[str, Tensors], where: Any) -> None:
        """Goes on from what `tensors` gave.

        Raises:
            DamagedError: Something is missing or does not fit.
        """
        for name, network in self.networks.items():
            load_network(network, parts[name], where)
        for name, average in self.averages.items():
            load_network(average, parts[f"{name}-ema"], where)
        for group_name, optimizer in self.optimizers.items():
            tensors = parts[f"optimizer-{group_name}"]
            named = self._named(group_name)
            if {key.rpartition(".")[0] for key in tensors} - {key for key, _ in named}:
                raise DamagedError(f"the state of optimizer-{group_name} is another network's", where=where)
            for (key, parameter), moved in zip(named, self._moved[group_name], strict=True):
                moments = {}
                for what in self.recipe.groups[group_name].kept:
                    if f"{key}.{what}" not in tensors:
                        raise DamagedError(f"optimizer-{group_name} lacks {key}.{what}", where=where)
                    value = tensors[f"{key}.{what}"]
                    if what == "step":
                        moments[what] = value.to(self.device if self.device.type == "cuda" else "cpu")
                        continue
                    if value.shape != parameter.shape:
                        raise DamagedError(
                            f"{key}.{what} is {tuple(value.shape)}, not {tuple(parameter.shape)}", where=where
                        )
                    moments[what] = torch.empty_like(moved).copy_(_flat(value, parameter))
                optimizer.state[moved] = moments

    def _named(self, group_name: str) -> list[tuple[str, nn.Parameter]]:
        return [
            (f"{network}.{key}", parameter)
            for network in self.recipe.groups[group_name].networks
            for key, parameter in self.networks[network].named_parameters()
        ]


def _flat(x: Tensor, parameter: nn.Parameter) -> Tensor:
    """What belongs to a parameter, in the order of its memory: channels-last weights [A, B, h, w] -> [A, h, w, B]."""
    return x.permute(0, 2, 3, 1) if _is_channels_last(parameter) else x


def _unflat(x: Tensor, parameter: nn.Parameter) -> Tensor:
    """The way back, for what has the size of the parameter."""
    return x.permute(0, 3, 1, 2) if _is_channels_last(parameter) and x.dim() == 4 else x


def _is_channels_last(parameter: nn.Parameter) -> bool:
    return (
        parameter.dim() == 4
        and not parameter.is_contiguous()
        and parameter.is_contiguous(memory_format=torch.channels_last)
    )


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _diverged(step: int, losses: dict[str, Tensor], why: str) -> DivergedError:
    values = ", ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
    return DivergedError(
        f"{why} at step {step + 1}{f' ({values})' if values else ''}",
        step=step,
        hint="The last checkpoint is whole; a lower optimizer.rate or train.precision=float32 may help",
    )
