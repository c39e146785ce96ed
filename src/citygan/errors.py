"""The errors a user sees: what is wrong, where, and how to mend it.

Every one carries the exit code of the command line; anything else that reaches the top is a bug of ours (exit 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

LONGEST = 2000  # characters of what is wrong that are told: values in it may be of any length


class CityganError(Exception):
    """An error to be told in one line, ``WHAT, WHERE. HINT``.

    Args:
        what: What is wrong, with the value and the rule, without a full stop.
        where: The file, folder, flag or setting it is wrong in.
        hint: How to mend it: a sentence, or a command to type.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        what = self.what if len(self.what) <= LONGEST else f"{self.what[: LONGEST - 300]} … {self.what[-280:]}"
        line = printable(what)
        if self.where is not None:
            line += f", {printable(self.where)}"
        if self.hint:
            line += f"{'' if line.endswith('?') else '.'} {printable(self.hint)}"
        return line


class UsageError(CityganError):
    """Usage or settings: a flag, a key, no such run, output that exists (exit 2)."""

    exit_code = 2


class DataError(CityganError):
    """Bad data: a picture, a label, a pair, an unknown layout (exit 3)."""

    exit_code = 3


class PartialError(CityganError):
    """Done, but some items failed, each named before (exit 4)."""

    exit_code = 4


class MachineError(CityganError):
    """The environment: space, permission, device, missing weights, a lock (exit 5)."""

    exit_code = 5


class DamagedError(CityganError):
    """A damaged or unfitting checkpoint or prepared set (exit 6)."""

    exit_code = 6


class DivergedError(CityganError):
    """A loss or gradient that is not finite (exit 7), in the step that follows `step` others."""

    exit_code = 7

    def __init__(self, what: str, *, step: int, where: str | Path | None = None, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.step = step


class Interrupted(CityganError):
    """SIGINT or SIGTERM, after everything was saved (exit 130 or 143)."""

    def __init__(self, what: str, *, signal_number: int, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.exit_code = 128 + signal_number


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``Did you mean camvid11? ``, to begin a hint with, where a known name is spelt much like this one; else ''."""
    import difflib

    names = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f"Did you mean {names[near[0]]}? " if near else ""


def counted(count: int, what: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{count} {what}{'s'[: count != 1]}"


def printable(text: object) -> str:
    """Text for a terminal: control characters, undecodable bytes and line breaks are escaped, all else is kept."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in str(text)
    )
