"""Reading a search's file: every unknown key, wrong type and impossible value is told at once, with its line."""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from citygan.config import WrongType, convert, resolve, setting_types
from citygan.errors import UsageError, did_you_mean
from citygan.metrics import METRICS
from citygan.presets import PRESETS, preset
from citygan.study.searchspace import Choices, Goal, Point, Prune, Range, Space
from citygan.yamlfile import Lines, read_yaml

MOST_POINTS = 10_000  # of a grid
TRIED = 16  # other settings with which a value is tried before it is refused

_TOP: dict[str, Any] = {
    "name": str,
    "model": str,
    "data": str | None,
    "quick": bool | None,
    "settings": Mapping,
    "steps": int | None,
    "seeds": int,
    "seed": int,
    "trials": int | None,
    "timeout_minutes": float | None,
    "method": Literal["grid", "random", "bayesian"],
    "goal": Mapping,
    "prune": Mapping,
    "storage": str | None,
    "space": Mapping,
}
_GOAL: dict[str, Any] = {"metric": str, "part": str, "split": Literal["train", "val", "test"], "segmenter": str | None}
_PRUNE: dict[str, Any] = {
    "method": Literal["median", "halving", "none"],
    "by": str | None,
    "startup": int | None,
    "warmup": int,
}
_RANGE: dict[str, Any] = {"low": float, "high": float, "log": bool, "step": float, "int": bool}
# what is said elsewhere, and where
_ASIDE = {
    "data": "data stands at the top",
    "seed": "seeds at the top gives runs of each point",
    "quick": "quick stands at the top",
    "init": "a search starts from nothing",
    "recipe": "it comes with the model",
}


class _Reader:
    """Gathers problems: the file's name, the lines of its keys."""

    def __init__(self, origin: str, lines: Lines) -> None:
        self.origin = origin
        self.lines = lines
        self.problems: list[str] = []

    def tell(self, path: Sequence[str], text: str) -> None:
        """A problem of a key."""
        path = tuple(path)
        while path and path not in self.lines:
            path = path[:-1]
        where = f"{self.origin}:{self.lines[path]}" if path else self.origin
        line = f"{where}: {text}"
        if line not in self.problems:
            self.problems.append(line)

    def take(self, values: Mapping[str, Any], kinds: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
        """The known keys with values of their kinds."""
        found = {}
        for key, value in values.items():
            name = ".".join((*path, key))
            if key not in kinds:
                hint = did_you_mean(key, kinds).rstrip() or f"There are: {', '.join(kinds)}"
                self.tell((*path, key), f"unknown key {name} ({hint})")
                continue
            if kinds[key] is Mapping:
                if isinstance(value, Mapping):
                    found[key] = value
                else:
                    self.tell((*path, key), f"{name}: expected 'key: value' lines, got {value!r}")
                continue
            try:
                found[key] = convert(value, kinds[key])
            except WrongType as problem:
                self.tell((*path, key), f"{name}: {problem}")
        return found


def read_space(path: str | os.PathLike[str], flags: Mapping[str, Any] | None = None) -> Space:
    """A search from its file.

    Args:
        flags: Of the command line, over what the file says, by the names of `Space`; `metric` changes the goal.

    Raises:
        UsageError: All that is wrong, at once.
    """
    values, lines = read_yaml(path)
    origin, flags = os.fspath(path), dict(flags or {})
    reader = _Reader(origin, lines)
    values = dict(values)
    if isinstance(values.get("goal"), str):
        values["goal"] = {"metric": values["goal"]}
    if values.get("prune") in (False, "none"):
        values["prune"] = {"method": "none"}
    if values.get("prune") is True:
        values["prune"] = {}
    top = reader.take(values, _TOP)
    if "space" not in values:
        reader.tell((), "no space: which settings are searched")
    goal = reader.take(top.pop("goal", {}), _GOAL, ("goal",))
    segmenter = goal.pop("segmenter", None)
    if (metric := flags.pop("metric", None)) is not None:
        goal, segmenter = {key: value for key, value in goal.items() if key == "split"} | {"metric": metric}, None
    prune = reader.take(top.pop("prune", {}), _PRUNE, ("prune",))
    dimensions = _dimensions(top.pop("space", {}), reader)
    top = {"name": Path(path).stem, "segmenter": segmenter} | top | {k: v for k, v in flags.items() if v is not None}
    for name, least in (("steps", 1), ("seeds", 1), ("trials", 1), ("timeout_minutes", 0), ("seed", 0)):
        if top.get(name) is not None and top[name] < least:
            reader.tell((name,), f"{name}: expected at least {least}, got {top[name]}")
    for name in ("startup", "warmup"):
        if prune.get(name) is not None and prune[name] < 0:
            reader.tell(("prune", name), f"prune.{name}: expected at least 0, got {prune[name]}")
    if not re.fullmatch(r"[^\s/.][^/\0\n]*", top["name"]):
        reader.tell(("name",), f"name: expected a plain word, got {top['name']!r}")
    space = Space(origin=origin, dimensions=dimensions, goal=Goal(**goal), prune=Prune(**prune), lines=lines, **top)
    _check(space, reader)
    if not reader.problems:
        _check_points(space, reader)
    if reader.problems:
        raise UsageError("; ".join(reader.problems), hint="docs/study.md tells what a search's file holds")
    return space


def _dimensions(values: Mapping[str, Any], reader: _Reader) -> dict[str, Choices | Range]:
    found: dict[str, Choices | Range] = {}
    types = setting_types()
    for name, given in values.items():
        path = ("space", name)
        if name not in types:
            groups = {key.partition(".")[0] for key in types if "." in key}
            if name in groups:
                reader.tell(path, f"{name} is a group: write {name}.KEY in one word, each on a line of its own")
            else:
                near = [key for key in types if key.rpartition(".")[2] == name.rpartition(".")[2]]
                hint = f"Did you mean {near[0]}?" if near else did_you_mean(name, types).rstrip()
                reader.tell(path, f"unknown setting {name}{f' ({hint})' if hint else ''}")
        elif name in _ASIDE:
            reader.tell(path, f"{name} is not searched: {_ASIDE[name]}")
        elif isinstance(given, list):
            choices = _choices(given, name, types[name], path, reader)
            if choices is not None:
                found[name] = choices
        elif isinstance(given, Mapping):
            between = _range(given, name, types[name], path, reader)
            if between is not None:
                found[name] = between
        else:
            reader.tell(path, f"{name}: expected a list of choices, or low and high, got {given!r}")
    return found


def _choices(given: list[Any], name: str, kind: Any, path: tuple[str, ...], reader: _Reader) -> Choices | None:
    values: list[Any] = []
    for value in given:
        try:
            values.append(convert(value, kind))
        except WrongType as problem:
            reader.tell(path, f"{name}: {problem}")
    if not given:
        reader.tell(path, f"{name}: no choices")
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        reader.tell(path, f"{name}: the choice {twice[0]} stands there twice")
    return Choices(tuple(values)) if values else None


def _range(given: Mapping[str, Any], name: str, kind: Any, path: tuple[str, ...], reader: _Reader) -> Range | None:
    before = len(reader.problems)
    values = reader.take(given, _RANGE, path)
    whole, fraction = _takes(kind, 1), _takes(kind, 0.5)
    if not whole:
        reader.tell(path, f"{name} is not a number: write a list of choices")
    for end in ("low", "high"):
        if end not in given:
            reader.tell(path, f"{name}: no {end}")
    if len(reader.problems) > before:
        return None
    low, high, step, log = values["low"], values["high"], values.get("step"), values.get("log", False)
    if values.get("int") is False and not fraction:
        reader.tell(path, f"{name} is a whole number, so int cannot be false")
    whole = values.get("int", not fraction)
    if not low < high:
        reader.tell(path, f"{name}: expected low below high, got {low:g} and {high:g}")
    if whole and any(value != int(value) for value in (low, high, step or 1)):
        reader.tell(path, f"{name}: expected whole numbers for low, high and step")
    if log and low <= 0:
        reader.tell(path, f"{name}: log needs low above 0, got {low:g}")
    if log and step is not None:
        reader.tell(path, f"{name}: log and step do not go together")
    if step is not None and step <= 0:
        reader.tell(path, f"{name}: expected a step above 0, got {step:g}")
    elif step is not None and not math.isclose((high - low) / step, round((high - low) / step), abs_tol=1e-9):
        reader.tell(path, f"{name}: high is not low and a whole number of steps: {low:g} to {high:g} by {step:g}")
    if len(reader.problems) > before:
        return None
    return Range(low, high, whole, log, step)


def _takes(kind: Any, value: float) -> bool:
    try:
        convert(value, kind)
    except WrongType:
        return False
    return True


def _check(space: Space, reader: _Reader) -> None:
    """What does not fit together."""
    models = space.dimensions["model"].ends if "model" in space.dimensions else (space.model,)
    where = ("space", "model") if "model" in space.dimensions else ("model",)
    known = [str(model) for model in models if model in PRESETS]
    for model in models:
        if model not in PRESETS:
            hint = did_you_mean(str(model), PRESETS) or "citygan models lists them"
            reader.tell(where, f"no model named '{model}' ({hint.rstrip()})")
    recipes = {_recipe(model) for model in known}
    if len(recipes) > 1:
        reader.tell(where, "models of different kinds: segmenters and generators have no goal in common")
    _check_goal(space, reader, "segmenter" in recipes)
    names = set(space.dimensions)
    if "train.steps" in names and (space.steps is not None or "train.epochs" in names):
        reader.tell(("space", "train.steps"), "train.steps is searched, and said otherwise too")
    if "train.epochs" in names and space.steps is not None:
        reader.tell(("space", "train.epochs"), "steps goes before train.epochs: leave one of them out")
    for text in space.assigned:
        if (key := text.partition("=")[0].strip()) in names:
            reader.problems.append(f"--set: {key} is searched")
    if not space.dimensions:
        if not reader.problems:
            reader.tell(("space",), "space: nothing is searched")
        return
    if space.method == "grid":
        endless = [name for name, dimension in space.dimensions.items() if dimension.listed is None]
        for name in endless:
            reader.tell(("space", name), f"{name}: a grid needs choices, or a step")
        if not endless and (space.size or 0) > MOST_POINTS:
            reader.tell(("space",), f"a grid of {space.size} points: more than {MOST_POINTS}")
    elif space.trials is None:
        reader.tell(("method",), f"no trials: a {space.method} search needs to know how many")


def _recipe(model: str) -> str:
    return str(preset(model).settings.get("recipe", "pix2pix"))


VALIDATED = {
    False: {("ssim", "mean"): "ssim", ("psnr", "mean"): "psnr"},
    True: {
        ("miou", "mean"): "miou",
        ("miou", "pixel_accuracy"): "pixel_accuracy",
        ("miou", "class_accuracy"): "class_accuracy",
    },
}
"""The figures of a validation, for segmenters or not, by metric and part; in all of them more is better."""


def validated(space: Space) -> str | None:
    """The figure of a run's validations that tells hopeless runs; None: nothing does."""
    if space.prune.method == "none":
        return None
    if space.prune.by is not None:
        return space.prune.by
    return VALIDATED[is_segmenter(space)].get((space.goal.metric, space.goal.part))


def is_segmenter(space: Space) -> bool:
    """Whether segmenters are searched."""
    models = space.dimensions["model"].ends if "model" in space.dimensions else (space.model,)
    return _recipe(str(models[0])) == "segmenter"


def _check_goal(space: Space, reader: _Reader, segmenters: bool) -> None:
    goal = space.goal
    if goal.metric not in METRICS:
        hint = did_you_mean(goal.metric, METRICS) or f"There are: {', '.join(METRICS)}"
        reader.tell(("goal", "metric"), f"no metric named '{goal.metric}' ({hint.rstrip()})")
        return
    if segmenters and goal.metric != "miou":
        reader.tell(("goal", "metric"), f"a segmenter makes label maps: its goal is miou, not {goal.metric}")
    parts = ("mean", *METRICS[goal.metric].parts)
    if goal.part not in parts:
        reader.tell(("goal", "part"), f"{goal.metric} has no part '{goal.part}' (There are: {', '.join(parts)})")
    wants = "segmented" in METRICS[goal.metric].needs
    if wants and space.segmenter is None:
        reader.tell(("goal",), f"{goal.metric} needs a segmenter: goal.segmenter or --segmenter names the run")
    if space.segmenter is not None and not wants:
        reader.tell(("goal", "segmenter"), f"goal.segmenter is for fcn-score, not for {goal.metric}")
    known = list(VALIDATED[segmenters].values())
    if space.prune.by is not None and space.prune.by not in known:
        hint = f"There are: {', '.join(known)}"
        reader.tell(("prune", "by"), f"prune.by: no validation gives '{space.prune.by}' ({hint})")


def _check_points(space: Space, reader: _Reader) -> None:
    """Tells values that fit with nothing else: each with a few other settings, at random."""
    chance = random.Random(0)
    for quick in (False, True) if space.quick is None else (space.quick,):
        for name, dimension in space.dimensions.items():
            for value in dimension.ends:
                found = _in_all(space, name, value, quick, chance)
                reader.problems += [text for text in found if text not in reader.problems]


def _in_all(space: Space, name: str, value: Any, quick: bool, chance: random.Random) -> list[str]:
    """What is wrong with a value whatever the others are."""
    found: list[str] | None = None
    for _ in range(TRIED):
        point: Point = {other: dimension.draw(chance) for other, dimension in space.dimensions.items()}
        problems = _problems(space, point | {name: value}, quick)
        found = problems if found is None else [text for text in found if text in problems]
        if not found:
            break
    return found or []


def _problems(space: Space, point: Point, quick: bool) -> list[str]:
    try:
        resolve(space.layers(point, quick))
    except UsageError as problem:
        return problem.what.split("; ")
    return []
