"""What a search goes through: settings with their choices and ranges, points of them, and the settings of a run.

Randomness is counted, not carried: point `i` of a grid or of a random search is a function of (seed, i), on any number
of machines.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from citygan.config import Layer, Settings, from_flag, resolve
from citygan.metrics import METRICS
from citygan.presets import preset

Value = bool | int | float | str | None
Point = dict[str, Value]
"""A value for each searched setting, by its dotted name."""

MOST_LISTED = 100_000  # points of a finite space that a random search goes through without repeating one


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Value, ...]

    @property
    def listed(self) -> tuple[Value, ...] | None:
        """All values."""
        return self.values

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values to check before the work."""
        return self.values

    def draw(self, chance: random.Random) -> Value:
        """One at random."""
        return chance.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number between two, both included.

    Attributes:
        whole: Whole numbers only.
        log: As many below as above the geometric mean.
        step: Between the numbers, counted from `low`; None: any number, or every whole one.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None

    @property
    def listed(self) -> tuple[Value, ...] | None:
        """All values; None: there is no end of them."""
        if self.whole:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            return None
        return tuple(self.low + i * self.step for i in range(1 + round((self.high - self.low) / self.step)))

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values to check before the work."""
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    def draw(self, chance: random.Random) -> Value:
        """One at random."""
        if self.log:
            wider = 0.5 if self.whole else 0.0  # so that the ends are as likely as their neighbours
            value = math.exp(chance.uniform(math.log(self.low - wider), math.log(self.high + wider)))
            value = min(max(value, self.low), self.high)
            return round(value) if self.whole else value
        listed = self.listed
        return chance.uniform(self.low, self.high) if listed is None else chance.choice(listed)


@dataclass(frozen=True)
class Goal:
    """The figure that decides.

    Attributes:
        metric: A row of `citygan.metrics.METRICS`.
        part: Which of its figures.
        split: Of the set.
    """

    metric: str = "ssim"
    part: str = "mean"
    split: str = "val"

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return METRICS[self.metric].better == "higher"

    @property
    def title(self) -> str:
        """In tables: ``ssim``, ``miou pixel_accuracy``."""
        return self.metric if self.part == "mean" else f"{self.metric} {self.part}"


@dataclass(frozen=True)
class Prune:
    """When a run is hopeless.

    Attributes:
        method: `median`: worse than half of the others were at that validation; `halving`: not in the better half of
            them at the 1st, 2nd, 4th, 8th validation; `none`.
        by: The validation's figure that is looked at; None: the goal's own, or none.
        startup: Runs that come to their end first; None: a quarter of all, from 2 to 5.
        warmup: Validations of each run before the first look.
    """

    method: Literal["median", "halving", "none"] = "median"
    by: str | None = None
    startup: int | None = None
    warmup: int = 1


@dataclass(frozen=True)
class Space:
    """A search, as its file and the command line say.

    Attributes:
        name: By which machines that share a storage find it.
        origin: The file.
        model: The named model.
        data: The prepared set; None: the last one.
        quick: The small, short form; None: for the demo city.
        settings: Over those of the model, nested.
        steps: Of each run; None: the model's.
        seeds: Runs of each point; the goal is their mean.
        seed: Decides the points.
        trials: How many points in all; None: all of a grid.
        timeout_minutes: After which no run is started any more.
        method: How points are chosen.
        storage: Optuna's, an URL or a journal file; None: a file in the search's folder.
        dimensions: What is searched, by dotted name.
        lines: Of the file, by key.
    """

    name: str
    origin: str
    dimensions: Mapping[str, Choices | Range]
    model: str = "pix2pix"
    data: str | None = None
    quick: bool | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    seeds: int = 1
    seed: int = 0
    trials: int | None = None
    timeout_minutes: float | None = None
    method: Literal["grid", "random", "bayesian"] = "bayesian"
    goal: Goal = Goal()
    prune: Prune = Prune()
    segmenter: str | None = None
    storage: str | None = None
    assigned: tuple[str, ...] = ()
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """How many points there are; None: no end of them."""
        counts = [None if d.listed is None else len(d.listed) for d in self.dimensions.values()]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    @property
    def total(self) -> int:
        """How many points are to be tried."""
        return min(count for count in (self.trials, self.size) if count is not None)

    def point(self, index: int) -> Point:
        """Point `index` of a grid or of a random search."""
        size = self.size
        if self.method == "grid" or (size is not None and size <= MOST_LISTED):
            assert size is not None
            order = _order(size, self.seed) if self.method != "grid" else range(size)
            return self._listed(order[index % size])
        chance = random.Random(f"{self.seed}/{index}")
        return {name: dimension.draw(chance) for name, dimension in self.dimensions.items()}

    def _listed(self, place: int) -> Point:
        """A point of a finite space by its place; the last setting changes fastest."""
        found: Point = {}
        for name, dimension in reversed(list(self.dimensions.items())):
            values = dimension.listed
            assert values is not None
            place, digit = divmod(place, len(values))
            found[name] = values[digit]
        return {name: found[name] for name in self.dimensions}

    def layers(self, point: Point, quick: bool) -> list[Layer]:
        """The layers of a run's settings: preset, quick form, the file's own, the point, those of the command line."""
        model = str(point.get("model", self.model))
        chosen = preset(model)
        layers = [Layer(f"preset {model}", {"model": model, **chosen.settings})]
        if quick:
            layers.append(Layer("quick", {"quick": True, **chosen.quick}))
        layers.append(Layer(self.origin, self.settings, self._lines("settings")))
        if self.steps is not None:
            layers.append(Layer(self.origin, {"train": {"steps": self.steps}}, {("train", "steps"): self._at("steps")}))
        layers.append(self._layer(point))
        return layers + [Layer("--set", from_flag(text)) for text in self.assigned]

    def _layer(self, point: Point) -> Layer:
        values: dict[str, Any] = {"train": {"steps": None}} if "train.epochs" in point else {}
        lines = {}
        for name, value in point.items():
            *groups, last = name.split(".")
            inner = values
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[last] = value
            lines[(*groups, last)] = self._at("space", name)
        return Layer(self.origin, values, lines)

    def _lines(self, group: str) -> dict[tuple[str, ...], int]:
        return {path[1:]: line for path, line in self.lines.items() if path[0] == group and len(path) > 1}

    def _at(self, *path: str) -> int:
        return self.lines.get(path, 1)

    def settings_of(self, point: Point, quick: bool, seed: int = 0, data: str | None = None) -> Settings:
        """The settings of a point's run.

        Raises:
            UsageError: They do not fit together.
        """
        return resolve([*self.layers(point, quick), Layer("search", {"seed": seed, "data": data})])[0]

    def best(self, point: Point, quick: bool) -> dict[str, Any]:
        """What a preset file of a point holds: the model, and all that was said or found over it, nested."""
        model = str(point.get("model", self.model))
        merged: dict[str, Any] = {"model": model, "quick": quick}
        for layer in self.layers(point, quick)[2 if quick else 1 :]:
            merged = _merged(merged, layer.values)
        return merged

    def digest(self, quick: bool, checksum: str) -> str:
        """Of all that two machines must agree on."""
        values = {
            "model": self.model,
            "quick": quick,
            "settings": self.settings,
            "steps": self.steps,
            "assigned": self.assigned,
            "seeds": self.seeds,
            "seed": self.seed,
            "method": self.method,
            "goal": vars(self.goal),
            "prune": vars(self.prune),
            "space": {name: [type(dimension).__name__, vars(dimension)] for name, dimension in self.dimensions.items()},
            "data": checksum,
        }
        return hashlib.sha256(json.dumps(values).encode("utf-8")).hexdigest()[:16]


def _order(size: int, seed: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}").shuffle(order)
    return order


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        inner = found.get(key)
        found[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return found


def shown(value: object) -> str:
    """A value of a setting, as on the command line, numbers with four digits."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
