"""A search's Optuna storage, and how its next point is chosen and its hopeless runs are told."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from citygan.errors import CityganError, DamagedError, MachineError, UsageError
from citygan.files import lock
from citygan.study.searchspace import Choices, Range, Space, Value

HIDDEN = ":***@"  # in the place of a password
HEARTBEAT_SECONDS = 60  # of trials in a database, for other machines


def again(trial: FrozenTrial) -> int | None:
    """The point's first trial, of one that is tried again."""
    found = trial.user_attrs.get("again")
    return None if found is None else int(found)


def index_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """Which point a trial is: how many others were begun before it."""
    return sum(1 for trial in trials if trial.number < number and again(trial) is None)


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
    with storage_errors(storage), warnings.catch_warnings():
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
    return re.sub(r"(://[^:/@]*):[^@]*@", rf"\1{HIDDEN}", storage)


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
        with lock(file, waiting=lambda holder: None):  # tables that two processes make at once fail in many ways
            return _database(storage, {"connect_args": {"timeout": 100}})
    for attempt in range(5):
        try:
            return _database(storage, {})
        except Exception as problem:  # likewise: one of the two finds them made
            made_beside = "already exists" in str(problem) or type(problem).__name__ == "IntegrityError"
            if attempt == 4 or not made_beside:
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("not reached")


def _database(storage: str, waits: dict[str, Any]) -> optuna.storages.BaseStorage:
    return optuna.storages.RDBStorage(
        storage, engine_kwargs={"pool_pre_ping": True, **waits}, heartbeat_interval=HEARTBEAT_SECONDS
    )


@contextlib.contextmanager
def storage_errors(storage: str) -> Iterator[None]:
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
                return found
        # what it likes best has all been tried: the next that has not
        others = (self.space.point(index + more) for more in range(self.space.size or 0))
        return next((point for point in others if point not in seen), found)

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


def suggest(trial: optuna.Trial, name: str, dimension: Choices | Range) -> Value:
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
