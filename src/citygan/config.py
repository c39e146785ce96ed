"""Settings: frozen, typed, checked, and resolved in one place from defaults, preset, file and flags.

`resolve` merges layers of nested mappings in order, tells every unknown key, wrong type and value out of range at
once, and remembers where each value came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from citygan.companionsettings import DnedSettings, EdgeSettings, FeatureSettings, VideoSettings
from citygan.errors import UsageError
from citygan.ranges import OutOfRange
from citygan.settings import (
    AugmentSettings,
    DiscriminatorSettings,
    GeneratorSettings,
    InputSettings,
    LossSettings,
    OptimizerSettings,
    OutputSettings,
    SegmenterSettings,
    Settings,
    TrainSettings,
    WeightsSettings,
)

__all__ = [
    "AugmentSettings",
    "DiscriminatorSettings",
    "DnedSettings",
    "EdgeSettings",
    "FeatureSettings",
    "GeneratorSettings",
    "InputSettings",
    "Layer",
    "LossSettings",
    "OptimizerSettings",
    "OutputSettings",
    "SegmenterSettings",
    "Settings",
    "TrainSettings",
    "VideoSettings",
    "WeightsSettings",
    "WrongType",
    "convert",
    "from_flag",
    "resolve",
    "setting_types",
]


class WrongType(ValueError):
    """A value of the wrong type."""


@dataclass(frozen=True)
class Layer:
    """Nested settings from one place. `lines` gives the line of each key where the place is a file."""

    origin: str
    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def where(self, path: tuple[str, ...]) -> str:
        return f"{self.origin}:{self.lines[path]}" if path in self.lines else self.origin


def resolve(layers: Sequence[Layer]) -> tuple[Settings, dict[str, str]]:
    """Merges layers, later ones over earlier ones.

    Returns:
        The settings, and for every dotted key the origin of its value (`default` where no layer names it).

    Raises:
        UsageError: Unknown keys (with the nearest known), wrong types, values out of range: all of them at once.
    """
    problems: list[str] = []
    chosen: dict[tuple[str, ...], Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    known = dict(_fields(Settings))
    for layer in layers:
        for path, value in _flatten(layer.values, known):
            if path not in known:
                near = _nearest(path, known)
                hint = f" (did you mean {near[0]}?)" if near else ""
                if any("." in part for part in path):
                    hint = " (write the part after the dot on a line of its own, indented below the part before it)"
                problems.append(f"{layer.where(path)}: unknown setting {'.'.join(path)}{hint}")
                continue
            try:
                chosen[path] = convert(value, known[path])
                origins[path] = layer.where(path)
            except WrongType as problem:
                problems.append(f"{layer.where(path)}: {'.'.join(path)}: {problem}")
    settings = _build(Settings, (), chosen, origins, problems)
    if problems:
        more = "; ".join(problems)
        raise UsageError(more, hint="citygan train --dry-run shows every setting and where it comes from")
    assert isinstance(settings, Settings)
    return settings, {".".join(path): origins.get(path, "default") for path in known}


def _nearest(path: tuple[str, ...], known: Iterable[tuple[str, ...]]) -> list[str]:
    """The known key most like an unknown one: its own last word in another group, or else the nearest spelling."""
    names = {".".join(p): p for p in known}
    same = [name for name, p in names.items() if p[-1] == path[-1]]
    return difflib.get_close_matches(".".join(path), same or names, n=1, cutoff=0.0 if same else 0.5)


def from_flag(text: str) -> dict[str, Any]:
    """The nested form of one ``--set KEY=VALUE``.

    Raises:
        UsageError: No ``=``, or nothing before it.
    """
    from citygan.yamlfile import scalar

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"expected KEY=VALUE, got '{text}'", where="--set", hint="For example --set train.batch=4")
    nested: Any = scalar(value.strip())
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    result: dict[str, Any] = nested
    return result


def _fields(kind: type, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    hints = typing.get_type_hints(kind)
    result: list[tuple[tuple[str, ...], Any]] = []
    for item in dataclasses.fields(kind):
        inner = hints[item.name]
        if dataclasses.is_dataclass(inner):
            assert isinstance(inner, type)
            result += _fields(inner, (*path, item.name))
        else:
            result.append(((*path, item.name), inner))
    return result


def _flatten(
    values: Mapping[str, Any], known: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    result: list[tuple[tuple[str, ...], Any]] = []
    for key, value in values.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and here not in known:
            result += _flatten(value, known, here)
        else:
            result.append((here, value))
    return result


def setting_types() -> dict[str, Any]:
    """The type of every setting, by its dotted name."""
    return {".".join(path): kind for path, kind in _fields(Settings)}


def convert(value: Any, kind: Any) -> Any:
    """Checks and converts one value; whole numbers are taken for fractions, nothing else is bent.

    Raises:
        WrongType: It is of another type.
    """
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    for option in options:
        if typing.get_origin(option) is Literal and isinstance(value, str) and value in typing.get_args(option):
            return value
        if option is type(None) and value is None:
            return None
        if option is bool and isinstance(value, bool):
            return value
        if option is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise WrongType(f"expected a finite number, got {value}")
            return float(value)
        if option is str and isinstance(value, str):
            return value
    raise WrongType(f"expected {_describe(kind)}, got {value!r}")


def _describe(kind: Any) -> str:
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", type(None): "null"}
    parts = [
        "one of " + ", ".join(typing.get_args(option))
        if typing.get_origin(option) is Literal
        else words.get(option, str(option))
        for option in options
    ]
    return " or ".join(parts)


def _build(
    kind: type,
    path: tuple[str, ...],
    chosen: Mapping[tuple[str, ...], Any],
    origins: Mapping[tuple[str, ...], str],
    problems: list[str],
) -> Any:
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        here = (*path, item.name)
        if dataclasses.is_dataclass(hints[item.name]):
            inner = hints[item.name]
            assert isinstance(inner, type)
            arguments[item.name] = _build(inner, here, chosen, origins, problems)
        elif here in chosen:
            arguments[item.name] = chosen[here]
    try:
        return kind(**arguments)
    except OutOfRange as out:
        for key, problem in out.problems:
            problems.append(f"{_origin(key, origins)}: {key}: {problem}")
        return kind()


def _origin(key: str, origins: Mapping[tuple[str, ...], str]) -> str:
    """Where a key's value comes from; of a group, where the first of its values does that is not a default."""
    path = tuple(key.split("."))
    return next((origin for known, origin in origins.items() if known[: len(path)] == path), "settings")
