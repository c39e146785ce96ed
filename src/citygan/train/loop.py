"""The loop: `train` > `Engine.train_step` > `Recipe.updates`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.errors import Interrupted
from citygan.train.engine import Engine


@dataclass
class Window:
    """Losses summed since the last line of the log; part of a checkpoint, so that a resume logs the same lines."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, loss in losses.items():
            wide = _wide(loss, loss.device)
            self.sums[name] = self.sums[name] + wide if name in self.sums else wide
        self.count += 1

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.count for name, total in self.sums.items()}

    def to_dict(self) -> dict[str, Any]:
        return {"sums": {name: float(total) for name, total in self.sums.items()}, "count": self.count}

    @staticmethod
    def from_dict(value: dict[str, Any], device: torch.device) -> Window:
        sums = {name: _wide(torch.tensor(total, dtype=torch.float64), device) for name, total in value["sums"].items()}
        return Window(sums, value["count"])


def _wide(loss: Tensor, device: torch.device) -> Tensor:
    """In double precision, where the device has it."""
    return loss.to(device, torch.float32 if device.type == "mps" else torch.float64)


@dataclass(frozen=True)
class Schedule:
    """When what happens, in steps."""

    steps: int
    log_every: int
    sample_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class Events:
    """What a run does at those moments. `step` counts the steps done.

    Attributes:
        log: (step, mean losses, seconds a step, share of the time spent waiting for data).
        sample: (step).
        checkpoint: (step, losses summed so far, whether there is time to score it).
        progress: (step): after every step.
    """

    log: Callable[[int, dict[str, float], float, float], None]
    sample: Callable[[int], None]
    checkpoint: Callable[[int, Window, bool], None]
    progress: Callable[[int], None]


def train(
    engine: Engine,
    feed: Callable[[int], Batch],
    schedule: Schedule,
    events: Events,
    *,
    start: int = 0,
    window: Window | None = None,
) -> None:
    """Trains from step `start` to the end.

    Raises:
        DivergedError: A loss or gradient is not finite; no optimizer made a step from it.
        Interrupted: SIGINT or SIGTERM came; a checkpoint was saved first.
    """
    window = window or Window()
    waited = spent = 0.0
    timed = 0
    saved = start
    with stop_signals() as stop:
        for step in range(start, schedule.steps):
            began = time.perf_counter()

            # one step
            batch = feed(step)
            waited += time.perf_counter() - began
            losses = engine.train_step(step, batch)
            window.add(losses)
            done = step + 1
            last = done == schedule.steps
            timed += 1

            # log, which is where the host waits for the device
            logging = done % schedule.log_every == 0 or last
            if logging:
                engine.check()
                means = window.means()
                spent += time.perf_counter() - began
                events.log(done, means, spent / timed, waited / spent)
                window, waited, spent, timed = Window(), 0.0, 0.0, 0
            else:
                spent += time.perf_counter() - began
            events.progress(done)

            # samples, checkpoint
            if done % schedule.sample_every == 0 or last:
                events.sample(done)
            if done % schedule.checkpoint_every == 0 or last:
                engine.check()
                events.checkpoint(done, window, True)
                saved = done

            # stop, on all ranks at the same step
            asked = stop.number
            if engine.ranks.size > 1:
                asked = engine.ranks.largest(asked) if done % engine.ranks.ask_every == 0 else 0
            if asked and not last:
                if saved != done:
                    engine.check()
                    events.checkpoint(done, window, False)
                raise Interrupted(f"stopped after step {done} of {schedule.steps}, and saved", signal_number=asked)


@dataclass
class Stop:
    """Number of the signal that asked for a stop; 0 while none has."""

    number: int = 0


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Within the block the first SIGINT or SIGTERM only leaves a note; a second one ends the process at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; whoever trains in another stops it himself
        return

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
