"""A search's trials in an Optuna storage: which point is next, which runs are hopeless, which were cut off.

Many processes, on many machines, may do this with one storage at once. What is random is counted (`searchspace`), so a
point of a grid is tried once however many they are, and a search that was stopped goes on with other points than it
began with. What users of Optuna stumble over is seen to here: trials of a killed process stay `RUNNING` in a storage
for ever, a sampler with a seed repeats its first points after each start, grids repeat points among processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.errors import CityganError, DamagedError, DivergedError, Interrupted, MachineError, UsageError
from citygan.files import lock
from citygan.study.searchspace import Choices, Point, Range, Space, Value

try:
    import optuna
    from optuna.trial import FrozenTrial, TrialState
except ModuleNotFoundError as missing:
    raise MachineError(
        f"the package {missing.name} is missing, which a search needs", hint="pip install 'citygan[search]' brings it"
    ) from missing

FRESH_SECONDS = 600  # in which a trial that has just been begun has said who does it
HEARTBEAT_SECONDS = 60  # of trials in a database, for other machines


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
        number: Of the point's first trial; the same when an interrupted one is tried again.
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


def open_search(space: Space, storage: str, quick: bool, checksum: str) -> optuna.Study:
    """The search in its storage: made, or joined by its name.

    Args:
        storage: An URL that Optuna knows, or a journal file.
        checksum: Of the data.

    Raises:
        MachineError: The storage cannot be reached.
        DamagedError: It cannot be read.
        UsageError: It holds another search of this name.
    """
    logging.getLogger("alembic").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with _storage_errors(storage), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            storage=_storage(storage),
            study_name=space.name,
            direction="maximize" if space.goal.higher else "minimize",
            load_if_exists=True,
            sampler=_Points(space),
            pruner=_pruner(space),
        )
        digest = space.digest(quick, checksum)
        if "citygan" not in study.user_attrs:
            if study.get_trials(deepcopy=False):
                raise UsageError(
                    f"the storage has a study '{space.name}' of another program",
                    where=masked(storage),
                    hint="Another name: in the file",
                )
            study.set_user_attr("citygan", digest)
        if study.user_attrs["citygan"] != digest:
            raise UsageError(
                f"the search '{space.name}' there has another space, goal, model, data or other settings",
                where=masked(storage),
                hint="Another name: in the file, or another storage",
            )
    return study


def masked(storage: str) -> str:
    """A storage to be shown: without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", storage)


def _storage(storage: str) -> optuna.storages.BaseStorage:
    if "://" not in storage:
        from optuna.storages.journal import JournalFileBackend

        path = Path(storage).absolute()  # its lock is a link, which is only found again by the whole path
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    if storage.startswith("redis"):
        from optuna.storages.journal import JournalRedisBackend

        return optuna.storages.JournalStorage(JournalRedisBackend(storage))
    if storage.startswith("sqlite:///") and (file := storage[len("sqlite:///") :].partition("?")[0]):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    waits: dict[str, Any] = {"connect_args": {"timeout": 100}} if storage.startswith("sqlite") else {}
    for attempt in range(5):
        try:
            return optuna.storages.RDBStorage(
                storage, engine_kwargs={"pool_pre_ping": True, **waits}, heartbeat_interval=HEARTBEAT_SECONDS
            )
        except Exception as problem:  # two processes that make the tables at once: one of them finds them made
            if attempt == 4 or "already exists" not in str(problem):
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("not reached")


@contextlib.contextmanager
def _storage_errors(storage: str) -> Iterator[None]:
    """Tells what goes wrong with a storage in one line."""
    try:
        yield
    except CityganError:
        raise
    except ImportError as problem:
        hint = f"pip install {problem.name or 'its driver'}"
        raise MachineError(f"the storage needs a driver: {problem}", where=masked(storage), hint=hint) from problem
    except (ValueError, KeyError) as problem:
        raise DamagedError(
            f"not an Optuna storage that can be read ({problem})", where=masked(storage), hint="Another --storage"
        ) from problem
    except Exception as problem:
        if not type(problem).__module__.startswith(("optuna", "sqlalchemy", "redis")) and not isinstance(
            problem, OSError
        ):
            raise
        text = masked(" ".join(str(problem).split())[:300])
        raise MachineError(
            f"the storage cannot be used: {text}", where=masked(storage), hint="Is it there, and may it be written?"
        ) from problem


class _Points(optuna.samplers.BaseSampler):
    """Points by their index; for a Bayesian search, Optuna's TPE seeded anew for each, never the same point twice."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.distributions = {name: _distribution(d) for name, d in space.dimensions.items()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        return self.distributions

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        trials = study.get_trials(deepcopy=False)
        index = index_of(trials, trial.number)
        if self.space.method != "bayesian":
            return self.space.point(index)
        wide = {name: d for name, d in self.distributions.items() if not d.single()}
        seen = [t.params for t in trials if t.number != trial.number and t.state != TrialState.FAIL]
        found: dict[str, Any] = self.space.point(index)
        for attempt in range(20 if wide else 0):
            seed = hashlib.sha256(f"{self.space.seed}/{index}/{attempt}".encode()).digest()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tpe = optuna.samplers.TPESampler(
                    seed=int.from_bytes(seed[:4], "big"),
                    multivariate=True,
                    constant_liar=True,
                    n_startup_trials=startup_of(self.space),
                )
                found = found | tpe.sample_relative(study, trial, wide)
            if found not in seen:
                break
        return found

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self.space.point(index_of(study.get_trials(deepcopy=False), trial.number))[param_name]


def startup_of(space: Space) -> int:
    """How many points of a Bayesian search are random ones: a quarter, from 3 to 10."""
    return min(10, max(3, space.total // 4))


def _distribution(dimension: Choices | Range) -> optuna.distributions.BaseDistribution:
    if not isinstance(dimension, Range):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    if dimension.whole:
        step = int(dimension.step or 1)
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), dimension.log, step)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)


def _suggest(trial: optuna.Trial, name: str, dimension: Choices | Range) -> Value:
    """The trial's value, by the same distribution as `_distribution`."""
    if isinstance(dimension, Choices):
        return trial.suggest_categorical(name, dimension.values)
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return trial.suggest_int(name, int(low), int(high), log=log, step=int(step or 1))
    return trial.suggest_float(name, low, high, log=log, step=step)


def _pruner(space: Space) -> optuna.pruners.BasePruner:
    prune = space.prune
    if prune.method == "none":
        return optuna.pruners.NopPruner()
    if prune.method == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=prune.warmup + 1, reduction_factor=2)
    startup = min(5, max(2, space.total // 4)) if prune.startup is None else prune.startup
    return optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=prune.warmup + 1)


# which trial is which


def _again(trial: FrozenTrial) -> int | None:
    """The point's first trial, of one that is tried again."""
    found = trial.user_attrs.get("again")
    return None if found is None else int(found)


def index_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """Which point a trial is: how many others were begun before it."""
    return sum(1 for trial in trials if trial.number < number and _again(trial) is None)


def _is_surplus(space: Space, trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    origin = _again(trial)
    if origin is None:
        return index_of(trials, trial.number) >= space.total + _void(space, trials)
    return any(
        other.number != trial.number
        and origin in (other.number, _again(other))
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
    return sum(1 for t in trials if t.state == TrialState.FAIL and _again(t) is None and not _whole(space, t))


def _whole(space: Space, trial: FrozenTrial) -> bool:
    return set(trial.params) == set(space.dimensions)


def _later(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    """Whether the point of a trial was, or is to be, tried again."""
    origin = trial.number if _again(trial) is None else _again(trial)
    return any(
        other.number > trial.number and _again(other) == origin and other.user_attrs.get("status") != "surplus"
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
        origin = _again(trial)
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
    if trial.user_attrs.get("host") != socket.gethostname() or not Path(place).parent.is_dir():
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
        origin = _again(trial)
        told.append(
            {
                "trial": trial.number if origin is None else origin,
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
    with _storage_errors(where):
        take_up(space, study, failed=True)
        found = trials_of(space, study)
    tell(found)
    end = math.inf if space.timeout_minutes is None else time.monotonic() + 60 * space.timeout_minutes
    while time.monotonic() < end:
        with _storage_errors(where):
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
        trial.set_user_attr("host", socket.gethostname())
        trial.set_user_attr("lock", os.fspath(place))
        trials = study.get_trials(deepcopy=False)
        itself = next(other for other in trials if other.number == trial.number)
        if _is_surplus(space, trials, itself):
            raise _Surplus
        point = {name: _suggest(trial, name, dimension) for name, dimension in space.dimensions.items()}
        origin = _again(itself)

        def report(step: int, value: float, goes_on: bool) -> None:
            if math.isfinite(value):
                trial.report(value, step)
                if goes_on and trial.should_prune():
                    raise Hopeless

        number = trial.number if origin is None else origin
        return objective(Attempt(number, point, report, trial.set_user_attr))


def best_of(space: Space, trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The trial with the best figure, of equals the first; None where none has one."""
    done = [trial for trial in trials if trial["status"] == "done"]
    sign = 1 if space.goal.higher else -1
    return max(done, key=lambda trial: (sign * trial["value"], -trial["trial"]), default=None)
