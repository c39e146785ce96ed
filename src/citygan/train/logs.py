"""metrics.jsonl: one line a logging step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from citygan.files import guard, write_text


class MetricsLog:
    """The log of one run.

    Args:
        path: metrics.jsonl.
        done: Steps done so far: lines beyond, left by a run that was cut off after its checkpoint, are dropped.
    """

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        kept = [line for line in read_lines(path) if line["step"] <= done]
        write_text(path, "".join(_line(value) for value in kept))

    def append(self, value: dict[str, Any]) -> None:
        """Adds a line; numbers that are not finite become null."""
        with guard(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(_line(value))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a last one cut short is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            found.append(value)
    return found


def _line(value: dict[str, Any]) -> str:
    return json.dumps({key: _finite(item) for key, item in value.items()}, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
