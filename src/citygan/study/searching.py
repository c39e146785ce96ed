"""A search's trials in an Optuna storage: which point is next, which runs are hopeless, which were cut off.

Many processes, on many machines, may do this with one storage at once. What is random is counted (`searchspace`), so a
point of a grid is tried once however many they are, and a search that was stopped goes on with other points than it
began with. What users of Optuna stumble over is seen to here: trials of a killed process stay `RUNNING` in a storage
for ever, a sampler with a seed repeats its first points after each start, grids repeat points among processes.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from citygan.errors import CityganError, DamagedError, DivergedError, Interrupted, MachineError, UsageError
from citygan.files import lock
from citygan.study.searchspace import Point, Space
from citygan.study.searchstore import again, index_of, storage_errors, suggest

FRESH_SECONDS = 600  # in which a trial that has just been begun has said who does it


class Hopeless(Exception):
    """Raised in a run whose validations are so much worse than others' that it is not worth its end."""


class NoGoal(Exception):
    """The goal cannot be computed here at all: `problem` says why."""

    def __init__(self, problem: CityganError) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Surplus(Exception):
    """Another process had the last point."""


@dataclass(frozen=True)
class Attempt:
    """What an objective is given: a point, and whom to tell how it goes.

    Attributes:
        number: Of the point, in the order in which they were begun; the same when it is tried again.
        point: The values.
        report: (validation counted from 1, figure, whether the run goes on after it). Raises `Hopeless`.
        note: (key, value): kept with the trial.
    """

    number: int
    point: Point
    report: Callable[[int, float, bool], None]
    note: Callable[[str, Any], None]


Objective = Callable[[Attempt], float]
Trial = dict[str, Any]
"""A trial as plain values: `trial`, `status` (`done`, `pruned`, `diverged`, `refused`, `failed`, `stopped`,
`running`, `waiting`), `value`, `point`, `validations`, `reason`, `seconds`, `host`, and what was noted."""


# which trial is which


def _is_surplus(space: Space, trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    origin = again(trial)
    if origin is None:
        return index_of(trials, trial.number) >= space.total + _void(space, trials)
    return any(
        other.number != trial.number
        and origin in (other.number, again(other))
        and (
            other.state in (TrialState.COMPLETE, TrialState.PRUNED)
            or (other.number < trial.number and other.state != TrialState.FAIL)
        )
        for other in trials
    )


def _void(space: Space, trials: Sequence[FrozenTrial]) -> int:
    """Trials of a Bayesian search that ended before they had a point: others take their place."""
    if space.method != "bayesian":
        return 0
    return sum(1 for t in trials if t.state == TrialState.FAIL and again(t) is None and not _whole(space, t))


def _whole(space: Space, trial: FrozenTrial) -> bool:
    return set(trial.params) == set(space.dimensions)


def _later(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    """Whether the point of a trial was, or is to be, tried again."""
    origin = trial.number if again(trial) is None else again(trial)
    return any(
        other.number > trial.number and again(other) == origin and other.user_attrs.get("status") != "surplus"
        for other in trials
    )


def take_up(space: Space, study: optuna.Study, *, failed: bool) -> int:
    """Marks the trials of dead processes as failed, and puts what was interrupted in line again.

    Args:
        failed: What failed by itself, too.

    Returns:
        How many were put in line.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(trial):
            with contextlib.suppress(ValueError, RuntimeError):  # another process was first
                study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    count = 0
    for trial in trials:
        status = trial.user_attrs.get("status")
        if trial.state != TrialState.FAIL or status == "surplus" or (status == "failed" and not failed):
            continue
        if _later(trials, trial) or (space.method == "bayesian" and not _whole(space, trial)):
            continue
        origin = again(trial)
        point = trial.params if _whole(space, trial) else space.point(index_of(trials, trial.number))
        study.enqueue_trial(point, user_attrs={"again": trial.number if origin is None else origin})
        count += 1
    return count


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether the process that does a trial is gone: known of those on this machine."""
    place = trial.user_attrs.get("lock")
    if place is None:
        begun = trial.datetime_start
        return begun is not None and time.time() - begun.timestamp() > FRESH_SECONDS
    if trial.user_attrs.get("host") != platform.node() or not Path(place).parent.is_dir():
        return False
    try:
        with lock(place):
            return True
    except MachineError:
        return False


def trials_of(space: Space, study: optuna.Study) -> list[Trial]:
    """The points in the order in which they were begun; of what was tried again, the last time."""
    trials = study.get_trials(deepcopy=False)
    told = []
    for trial in trials:
        status = _status(trial)
        if status == "surplus" or _later(trials, trial):
            continue
        if trial.state == TrialState.FAIL and not _whole(space, trial):
            continue
        noted = {k: v for k, v in trial.user_attrs.items() if k not in ("again", "status", "lock", "host", "reason")}
        begun, ended = trial.datetime_start, trial.datetime_complete
        point = trial.params or trial.system_attrs.get("fixed_params", {})
        origin = again(trial)
        told.append(
            {
                "trial": index_of(trials, trial.number if origin is None else origin),
                "status": status,
                "value": trial.value if status == "done" else None,
                "point": {name: point.get(name) for name in space.dimensions},
                "validations": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
                "reason": trial.user_attrs.get("reason"),
                "seconds": None if begun is None or ended is None else round((ended - begun).total_seconds(), 3),
                "host": trial.user_attrs.get("host"),
                **noted,
            }
        )
    return sorted(told, key=lambda row: row["trial"])


def _status(trial: FrozenTrial) -> str:
    if trial.state == TrialState.COMPLETE:
        return "done"
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return trial.state.name.lower()
    kind = trial.user_attrs.get("status")
    return str(kind or ("pruned" if trial.state == TrialState.PRUNED else "stopped"))


# the work


def search(
    space: Space,
    study: optuna.Study,
    objective: Objective,
    locks: Path,
    tell: Callable[[Sequence[Trial]], object] = lambda trials: None,
) -> list[Trial]:
    """Tries points until there are enough, together with whatever other processes do so in the same storage.

    Args:
        objective: The figure of a point. `DivergedError` and `UsageError` are its end; `DamagedError` and errors of
            memory are tried again by the next start; whatever else is raised ends the search.
        locks: A folder in which a trial's process holds a lock.
        tell: Told all trials before the first and after each.

    Raises:
        MachineError, DamagedError: Of the storage.
        Interrupted: From the objective: the trial is put in line again by the next start, or by another process.
    """
    where = f"search {space.name}"
    with storage_errors(where):
        take_up(space, study, failed=True)
        found = trials_of(space, study)
    tell(found)
    end = math.inf if space.timeout_minutes is None else time.monotonic() + 60 * space.timeout_minutes
    while time.monotonic() < end:
        with storage_errors(where):
            take_up(space, study, failed=False)
            trials = study.get_trials(deepcopy=False)
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and index_of(trials, len(trials)) >= space.total + _void(space, trials):
                break
            problem = _next(space, study, objective, locks)
            found = trials_of(space, study)
        tell(found)
        if problem is not None:
            raise problem.problem if isinstance(problem, NoGoal) else problem
    return found


def _next(space: Space, study: optuna.Study, objective: Objective, locks: Path) -> BaseException | None:
    """One trial, whose end is then in the storage; what ends the search with it."""
    outcome: list[BaseException] = []

    def one(trial: optuna.Trial) -> float:
        try:
            return _try(space, study, objective, locks, trial)
        except (Interrupted, NoGoal) as problem:
            outcome.append(problem)
            raise
        except _Surplus:
            trial.set_user_attr("status", "surplus")
            raise
        except (DivergedError, UsageError) as problem:
            trial.set_user_attr("status", "diverged" if isinstance(problem, DivergedError) else "refused")
            trial.set_user_attr("reason", str(problem))
            raise optuna.TrialPruned from problem  # the sampler is to keep away from there
        except Hopeless:
            raise optuna.TrialPruned from None
        except Exception as problem:
            from citygan.memory import out_of_memory_error

            told = out_of_memory_error(problem)
            if told is None and not isinstance(problem, DamagedError):
                outcome.append(problem)
                raise
            trial.set_user_attr("status", "failed")
            trial.set_user_attr("reason", str(told or problem))
            raise

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(one, n_trials=1, catch=(Exception,))
    return outcome[0] if outcome else None


def _try(space: Space, study: optuna.Study, objective: Objective, locks: Path, trial: optuna.Trial) -> float:
    with contextlib.ExitStack() as held:
        place = locks.absolute() / f"trial-{trial.number:04d}"
        held.enter_context(lock(place))
        trial.set_user_attr("host", platform.node())
        trial.set_user_attr("lock", os.fspath(place))
        trials = study.get_trials(deepcopy=False)
        itself = next(other for other in trials if other.number == trial.number)
        if _is_surplus(space, trials, itself):
            raise _Surplus
        point = {name: suggest(trial, name, dimension) for name, dimension in space.dimensions.items()}
        origin = again(itself)

        def report(step: int, value: float, goes_on: bool) -> None:
            if math.isfinite(value):
                trial.report(value, step)
                if goes_on and trial.should_prune():
                    raise Hopeless

        number = index_of(trials, trial.number if origin is None else origin)
        return objective(Attempt(number, point, report, trial.set_user_attr))


def best_of(space: Space, trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The trial with the best figure, of equals the first; None where none has one."""
    done = [trial for trial in trials if trial["status"] == "done"]
    sign = 1 if space.goal.higher else -1
    return max(done, key=lambda trial: (sign * trial["value"], -trial["trial"]), default=None)
