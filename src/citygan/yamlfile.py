"""Reading YAML that people wrote: one dialect without traps, and errors that name file and line.

YAML 1.2's core scalars: ``1e-4`` is a float, ``017`` is seventeen, ``no`` is a word. Duplicate keys, tags, anchors,
aliases and deep nesting are refused, since each means something else than it seems to or serves only to attack.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from citygan.errors import UsageError
from citygan.files import read_bytes

MAX_DEPTH = 16
MAX_BYTES = 1_000_000

_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Lines = dict[tuple[str, ...], int]


def read_yaml(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Lines]:
    """A YAML mapping, and the line on which each key stands.

    Raises:
        UsageError: Not there, not UTF-8, not YAML, or anything of the list at the head of this file.
    """
    value, lines = _read(path)
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise UsageError(f"expected 'key: value' lines, got {kind}", where=os.fspath(path))
    return value, lines


def read_yaml_list(path: str | os.PathLike[str]) -> list[Any]:
    """A YAML list.

    Raises:
        UsageError: As `read_yaml`.
    """
    value, _ = _read(path)
    if not isinstance(value, list):
        kind = "nothing" if value is None else type(value).__name__
        raise UsageError(f"expected a list of '- ...' lines, got {kind}", where=os.fspath(path))
    return value


def scalar(text: str) -> Any:
    """One plain scalar, as it would be read from a file: ``--set`` uses this too."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 30 else float(text)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        return float(
            text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan")
        )
    return text


def parse_yaml(text: str, where: str) -> tuple[Any, Lines]:
    """Parses text; `where` names it in errors."""
    lines: Lines = {}
    try:
        _check_events(text, where)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return (None, lines) if node is None else (_construct(node, where, lines, ()), lines)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise UsageError(f"not YAML: {problem.problem}", where=f"{where}:{line}") from problem
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise UsageError(f"not YAML: the character {problem.character!r}", where=f"{where}:{line}") from problem
    except (ValueError, OverflowError) as problem:  # PyYAML on an escape beyond Unicode
        raise UsageError(f"not YAML: {problem}", where=where) from problem
    except yaml.YAMLError as problem:
        raise UsageError(f"not YAML: {' '.join(str(problem).split())}", where=where) from problem


def _read(path: str | os.PathLike[str]) -> tuple[Any, Lines]:
    data = read_bytes(path, error=UsageError)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{len(data)} bytes are too many for settings", where=os.fspath(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise UsageError("not UTF-8", where=f"{os.fspath(path)}:{line}") from problem
    return parse_yaml(text, os.fspath(path))


def _check_events(text: str, where: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UsageError("anchors and aliases are not taken", where=f"{where}:{line}", hint="Write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UsageError(f"tags are not taken, got {tag}", where=f"{where}:{line}", hint="Remove it")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UsageError(f"nested deeper than {MAX_DEPTH} levels", where=f"{where}:{line}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _construct(node: yaml.Node, where: str, lines: Lines, path: tuple[str, ...]) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return scalar(node.value) if node.style is None else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_construct(child, where, lines, (*path, str(i))) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not key_node.value or key_node.value == "<<":
            raise UsageError("keys are plain words", where=f"{where}:{line}")
        key = key_node.value
        if key in result:
            raise UsageError(
                f"the key '{key}' stands here again", where=f"{where}:{line}", hint="Remove one of the two"
            )
        lines[(*path, key)] = line
        result[key] = _construct(value_node, where, lines, (*path, key))
    return result


def to_yaml(value: Mapping[str, Any]) -> str:
    """YAML of plain values, readable by people and by this file: nested keys in lines, the innermost lists in one."""
    return "".join(line + "\n" for line in _yaml_lines(value, ""))


def _yaml_lines(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, child in value.items():
        if isinstance(child, Mapping) and child and not all(_is_scalar(v) for v in child.values()):
            yield f"{indent}{key}:"
            yield from _yaml_lines(child, indent + "  ")
        elif isinstance(child, list) and child and isinstance(child[0], Mapping):
            yield f"{indent}{key}:"
            yield from (f"{indent}- {_yaml_flow(entry)}" for entry in child)
        else:
            yield f"{indent}{key}: {_yaml_flow(child)}"


def _is_scalar(value: object) -> bool:
    return not isinstance(value, Mapping | list | tuple)


def _quoted(text: str) -> str:
    """A double-quoted scalar that is read back as it was, whatever it holds: paths may be no text at all."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _yaml_flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml_flow(child) for child in value) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value, allow_nan=False)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def as_written(value: object) -> object:
    """A value as it is written in YAML, and on a command line."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else value
