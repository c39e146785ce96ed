"""Runs of a study on several CUDA devices at once: one process a device, each taking the next run when it is free."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

from citygan.errors import CityganError, Interrupted
from citygan.study.planning import Job, Options
from citygan.study.running import Outcome, Place, run_job

Work = Callable[[Job, Mapping[str, Sequence[str]], Options, Place], Outcome]


def run_side_by_side(
    jobs: Sequence[Job],
    metrics: Mapping[str, Sequence[str]],
    options: Options,
    place: Place,
    devices: Sequence[str],
    work: Work = run_job,
) -> list[Outcome]:
    """Does all jobs, in the order of the jobs; a process that dies is the failure of its run alone.

    Args:
        devices: One process works on each at a time.
        work: What to do with one; a function of a module.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the runs on the way have saved.
    """
    context = multiprocessing.get_context("spawn")
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(jobs)):
        waiting.put(index)
    outcomes: dict[int, Outcome] = {}
    alive: dict[str, Any] = {}
    stopped: list[int] = []

    def on(device: str) -> None:
        while not stopped:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            receiver, sender = context.Pipe(duplex=False)
            arguments = (sender, work, jobs[index], metrics, options, replace(place, device=device))
            process = context.Process(target=_alone, args=arguments)
            process.start()
            alive[device] = process
            if stopped:
                process.terminate()
            sender.close()
            try:
                outcome = receiver.recv()
            except EOFError:
                process.join()
                outcome = {"status": "failed", "reason": f"its process ended with code {process.exitcode}"}
            process.join()
            outcomes[index] = {
                "run": f"runs/{jobs[index].name}", "short": "failed", "random": [], "results": {}, **outcome,
            }  # fmt: skip

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        for process in alive.values():
            if process.is_alive():
                process.terminate()  # it saves first

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        threads = [threading.Thread(target=on, args=(device,)) for device in devices[: len(jobs)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)  # so that signals are heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        raise Interrupted("stopped, every run saved", signal_number=stopped[0])
    return [outcomes[index] for index in range(len(jobs))]


def _alone(sender: Any, work: Work, *arguments: Any) -> None:
    """In the process of one device: the outcome goes back as plain values."""
    try:
        outcome = work(*arguments)
    except CityganError as problem:
        outcome = {"status": "failed", "reason": str(problem)}
    sender.send(outcome)
    sender.close()
