"""The figure of a point: runs with its settings, trained and scored as `citygan train` and `citygan evaluate` do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from citygan.building import steps_in_all
from citygan.config import Settings
from citygan.data.store import PreparedSet
from citygan.errors import CityganError, DataError, MachineError, UsageError
from citygan.evaluation import evaluate_run
from citygan.infer import load
from citygan.metrics import METRICS, Setup, start_all
from citygan.progress import say
from citygan.segmented import evaluate_segmenter
from citygan.segmenting import load_segmenter
from citygan.study.divided import splits_of
from citygan.study.planning import digest_of
from citygan.study.running import Place, train_run
from citygan.study.searchfile import is_segmenter, validated
from citygan.study.searching import Attempt, NoGoal
from citygan.study.searchspace import Point, Space, shown
from citygan.train.distributed import Ranks
from citygan.train.logs import read_lines

VALIDATIONS = 8  # of each run, where the settings do not say when
QUICK_PICTURES = 8  # of each, in the quick form, where they do not say how many


class Training:
    """The objective of a search: `Attempt` to the mean of the goal over the seeds.

    Args:
        quick: The small, short form.
        named: The set, as a run's settings name it.
        place: Where runs lie, and the device.

    Raises:
        UsageError: The goal is of a split, or of a segmenter, that there is not.
        DataError, MachineError: It cannot be computed: no labels, no weights.
    """

    def __init__(self, space: Space, data: PreparedSet, quick: bool, named: str, place: Place) -> None:
        self.space, self.data, self.quick, self.named, self.place = space, data, quick, named, place
        self.segmenter = is_segmenter(space)
        self.by = validated(space)
        self.split = self._split()
        self._check_goal()

    def _split(self) -> str:
        wanted = self.space.goal.split
        found = splits_of(self.data, [wanted]).get(wanted)
        if found is None:
            hint = f"It has {', '.join(self.data.splits)}"
            raise UsageError(f"the set has nothing to score as {wanted}", where=self.data.path, hint=hint)
        return found

    def _check_goal(self) -> None:
        """What can be known before the first run is trained."""
        metric, split = METRICS[self.space.goal.metric], self.data.split(self.split)
        labelled = {"label", "segmented"} & set(metric.needs)
        if labelled and split.label is None:
            raise DataError(f"no labels, which {metric.name} needs", where=f"{self.data.path}, split {self.split}")
        about = None
        if self.space.segmenter is not None:
            about = load_segmenter(self.space.segmenter, device=self.place.device, flag="--segmenter").about()
        setup = Setup(device=self.place.device, classes=self.data.classes, segmenter=about)
        for problem in start_all([metric], setup)[1].values():
            raise problem

    def settings_of(self, point: Point, seed: int) -> Settings:
        """The settings of a run; validated at equal shares of it, unless they say otherwise.

        Raises:
            UsageError: They do not fit together.
        """
        settings = self.space.settings_of(point, self.quick, seed, self.named)
        steps = steps_in_all(settings, self.data, Ranks())
        said = {key for layer in self.space.layers(point, False)[1:] for key in layer.values.get("train", {})}
        every: dict[str, Any] = {}
        if "checkpoint_every_steps" not in said:
            every["checkpoint_every_steps"] = math.ceil(steps / VALIDATIONS)
        if "sample_every_steps" not in said:
            every["sample_every_steps"] = steps
        if self.quick and "validation_pictures" not in said:
            every["validation_pictures"] = QUICK_PICTURES
        return dataclasses.replace(settings, train=dataclasses.replace(settings.train, **every))

    def __call__(self, attempt: Attempt) -> float:
        told = ", ".join(f"{name}={shown(value)}" for name, value in attempt.point.items())
        say(f"trial {attempt.number}: {told}")
        values: list[float] = []
        runs: list[str] = []
        for seed in range(self.space.seeds):
            settings = self.settings_of(attempt.point, seed)
            name = f"trial-{attempt.number:04d}-seed{seed}-{digest_of(settings, self.data.checksum)}"
            runs.append(f"runs/{name}")
            attempt.note("runs", runs)
            values.append(self._run(attempt, settings, self.place.runs / name, seed))
            attempt.note("values", values)
        return math.fsum(values) / len(values)

    def _run(self, attempt: Attempt, settings: Settings, path: Path, seed: int) -> float:
        """Trains and scores one run, going on where it stands."""
        watch = self._watch(attempt, settings, seed)
        for line in read_lines(path / "metrics.jsonl"):  # what it said before it was interrupted
            watch(line["step"], {key[4:]: value for key, value in line.items() if key.startswith("val_")})
        outcome = train_run(settings, path, self.data, self.place, watch)
        if outcome.get("status", "done") != "done":
            raise NoGoal(MachineError(str(outcome["reason"])))
        return self.score(path)

    def _watch(self, attempt: Attempt, settings: Settings, seed: int) -> Callable[[int, Mapping[str, Any]], None]:
        """Reports a run's validations."""
        every = settings.train.checkpoint_every_steps
        steps = steps_in_all(settings, self.data, Ranks())
        before = seed * math.ceil(steps / every)

        def watch(step: int, figures: Mapping[str, Any]) -> None:
            figure = None if self.by is None else figures.get(self.by)
            if figure is not None:
                attempt.note("steps", seed * steps + step)
                goes_on = step < steps or seed + 1 < self.space.seeds
                # more of it is better, and so it must look to Optuna, whatever is better of the goal
                sign = 1 if self.space.goal.higher else -1
                attempt.report(before + math.ceil(step / every), sign * float(figure), goes_on)

        return watch

    def score(self, path: Path) -> float:
        """The goal of a run.

        Raises:
            NoGoal: There is none, and there will be none of other runs.
        """
        goal, device = self.space.goal, self.place.device
        try:
            if self.segmenter:
                run = load_segmenter(path, device=device)
                result = evaluate_segmenter(run, self.split, metrics=[goal.metric], data=self.data, device=device)
            else:
                more: dict[str, Any] = {}
                if self.space.segmenter is not None:
                    more["segmenter"] = self.space.segmenter
                result = evaluate_run(load(path, device=device), self.split, [goal.metric], data=self.data, **more)
        except CityganError as problem:
            raise NoGoal(problem) from problem
        figure = result["metrics"][goal.metric]
        value = figure.get(goal.part)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            why = figure.get("reason") or f"{goal.title} is no number, but {value!r}"
            kind = MachineError if figure.get("exit_code") == MachineError.exit_code else DataError
            raise NoGoal(kind(str(why), where=str(path)))
        return float(value)
