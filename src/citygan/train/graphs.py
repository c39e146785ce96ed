"""A training step recorded once and replayed: at batch 1 a GPU waits for launches, not for arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from citygan.batch import Batch

WARM_UP_STEPS = 3  # real steps before the recording, in which optimizers and libraries set up their memory


class StepGraph:
    """Carries out steps as a CUDA graph; a new phase is recorded anew.

    What changes from step to step must stand in tensors that stay where they are: the batch is copied into the
    recorded one's, rates and the number of the step are filled in by the engine, and the seed of dropout is read by
    each replay.

    Args:
        carry_out: The updates of one step on a batch; returns the losses.
    """

    def __init__(self, carry_out: Callable[[Batch], dict[str, Tensor]]) -> None:
        self.carry_out = carry_out
        self._phase: str | None = None
        self._warm = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch = Batch()
        self._losses: dict[str, Tensor] = {}

    def __call__(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """One step; the losses are overwritten by the next."""
        if phase != self._phase:
            self._phase, self._warm, self._graph = phase, 0, None
        if self._warm < WARM_UP_STEPS:
            self._warm += 1
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                losses = self.carry_out(batch)
            torch.cuda.current_stream().wait_stream(aside)
            return losses
        if self._graph is None:
            self._batch = batch.clone()
            self._graph = torch.cuda.CUDAGraph()
            # records without carrying out; the thread that reads ahead may go on meanwhile
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._losses = self.carry_out(self._batch)
        else:
            recorded = self._batch.tensors()
            for name, tensor in batch.tensors().items():
                recorded[name].copy_(tensor)
        self._graph.replay()
        return {name: loss.clone() for name, loss in self._losses.items()}
