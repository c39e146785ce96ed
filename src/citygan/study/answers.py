"""The result files of real-or-fake trials: read strictly, each against the key of its page.

A file holds the answers of one session and nothing of the participant. The order of its trials follows from its seed,
so it is computed once more and compared; a checksum finds what was cut or changed by accident. Who wants to forge a
file can: it is as good as the hand that it came from.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.errors import CityganError, DamagedError, DataError, counted
from citygan.files import read_bytes, read_json
from citygan.progress import say
from citygan.study.realfake import (
    KEY_FORMAT,
    PRACTICE,
    RESULT_FORMAT,
    SHOW_MS,
    TRIALS,
    VERSION,
    digest_of,
    session_order,
)

LARGEST_BYTES = 1_000_000  # a file is of some 10 kB
LONGEST_MS = 86_400_000
TOO_SHORT_MS, TOO_LONG_MS = SHOW_MS - 50, SHOW_MS + 250
MOST_TOLD = 20
_KEYS = ("format", "version", "page", "session", "set", "seed", "trials", "check")
_TRIAL_KEYS = ("id", "first", "answer", "answer_ms", "shown_ms", "hidden")


@dataclass(frozen=True)
class Session:
    """What one participant answered.

    Attributes:
        session: Its name, drawn at random by the page.
        set: Which algorithm of the page, from 0.
        fooled: Of each trial that counts: whether the fake was taken for the real picture.
        practised: Right answers of the practice.
        hidden: Trials that count, during which the page was out of sight.
        long: Trials that count, one of whose pictures was shown for more than a quarter of a second too long.
        median_ms: Time to answer.
    """

    session: str
    set: int
    fooled: tuple[bool, ...]
    practised: int
    hidden: int
    long: int
    median_ms: float


def read_key(path: Path) -> dict[str, Any]:
    """The key of a page.

    Raises:
        DamagedError: It is not one, or not whole.
    """
    key = read_json(path)
    digest = digest_of({name: value for name, value in key.items() if name != "sha256"})
    if key.get("format") != KEY_FORMAT or key.get("sha256") != digest:
        raise DamagedError("not the key of a real-or-fake page, or not as it was written", where=path)
    if key["version"] != VERSION:
        raise DamagedError(f"a key of version {key['version']}, this is for version {VERSION}", where=path)
    return key


def result_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and the JSON files in folders named.

    Raises:
        DataError: A folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix == ".json" and not file.name.startswith("."))
        if not inside:
            raise DataError("0 result files (.json)", where=path, hint="The page saves one at the end of each session")
        found += inside
    return found


def read_results(paths: Sequence[Path], key: Mapping[str, Any]) -> list[Session]:
    """The sessions of all files, in the order of their names.

    Raises:
        DataError: A file is not a whole session of this page, or a session comes twice; of several, each is told.
    """
    sessions: dict[str, tuple[Path, Session]] = {}
    problems: list[CityganError] = []
    for path in paths:
        try:
            session = read_result(path, key)
            if session.session in sessions:
                other = sessions[session.session][0]
                raise DataError(f"the same session as {other}", where=path, hint="Each counts once: leave one out")
        except CityganError as problem:
            problems.append(problem)
            continue
        sessions[session.session] = (path, session)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        for told in problems[:MOST_TOLD]:
            say(f"not used: {told}")
        if len(problems) > MOST_TOLD:
            say(f"not used: {len(problems) - MOST_TOLD} more")
        hint = "Leave these out, or mend them; no figure was written"
        raise DataError(f"{len(problems)} of {counted(len(paths), 'result file')} cannot be used", hint=hint)
    return [sessions[name][1] for name in sorted(sessions)]


def read_result(path: Path, key: Mapping[str, Any]) -> Session:
    """One session.

    Raises:
        DataError: The file is not one of this page, not whole, or not as the page wrote it.
    """
    record = _object(path)
    if record.get("format") != RESULT_FORMAT:
        raise DataError("not the results of real-or-fake trials", where=path)
    if record.get("version") != VERSION:
        raise DataError(f"results of version {record.get('version')!r}, this is for version {VERSION}", where=path)
    if record.get("page") != key["page"]:
        hint = "--out names the folder of the study whose page it was"
        raise DataError("the results of another page", where=path, hint=hint)
    _fields(record, _KEYS, "the file", path)
    if not isinstance(record["session"], str) or not re.fullmatch("[0-9a-f]{32}", record["session"]):
        raise DataError(f"session {record['session']!r} is not 32 hexadecimal digits", where=path)
    number = _whole(record["set"], "set", 1, len(key["sets"]), path)
    seed = _whole(record["seed"], "seed", 0, 2**32 - 1, path)
    trials = _trials(record["trials"], session_order(seed), path)
    if record["check"] != check_of(record):
        raise DataError("changed since the page wrote it (the checksum differs)", where=path, hint="Ask for it again")
    halves = {trial["id"]: trial["fake"] for trial in key["sets"][number - 1]["trials"]}
    wrong = [_taken(trial) != halves[trial["id"]] for trial in trials]
    counted_ones = trials[PRACTICE:]
    times = sorted(trial["answer_ms"] for trial in counted_ones)
    return Session(
        session=record["session"],
        set=number - 1,
        fooled=tuple(wrong[PRACTICE:]),
        practised=wrong[:PRACTICE].count(False),
        hidden=sum(trial["hidden"] for trial in counted_ones),
        long=sum(max(trial["shown_ms"]) > TOO_LONG_MS for trial in counted_ones),
        median_ms=(times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2,
    )


def _taken(trial: Mapping[str, Any]) -> int:
    """The half that was taken for the fake."""
    return int(trial["first"] if trial["answer"] == 1 else 1 - trial["first"])


def check_of(record: Mapping[str, Any]) -> str:
    """The checksum of a session, CRC-32, as the page computes it."""
    lines = [str(record[name]) for name in ("page", "session", "set", "seed")]
    for trial in record["trials"]:
        values = [trial["id"], trial["first"], trial["answer"], trial["answer_ms"], *trial["shown_ms"]]
        lines.append(":".join(map(str, [*values, int(trial["hidden"])])))
    return f"{zlib.crc32(chr(10).join(lines).encode('utf-8')):08x}"


def _object(path: Path) -> dict[str, Any]:
    if path.is_file() and os.stat(path).st_size > LARGEST_BYTES:
        raise DataError("too large for the results of a session", where=path)
    data = read_bytes(path)
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        hint = "Is it whole? The page saves it at the end of a session"
        raise DataError(f"not readable as JSON ({problem})", where=path, hint=hint) from problem
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, got {type(value).__name__}", where=path)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _fields(record: Mapping[str, Any], wanted: Sequence[str], what: str, path: Path) -> None:
    lacking = [name for name in wanted if name not in record]
    unknown = [name for name in record if name not in wanted]
    if lacking or unknown:
        told = [f"no {', '.join(lacking)}"] * bool(lacking) + [f"unknown {', '.join(unknown)}"] * bool(unknown)
        raise DataError(f"{what}: {'; '.join(told)}", where=path)


def _whole(value: object, what: str, low: int, high: int, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{what}: {str(value)[:40]!r} is not a whole number from {low} to {high}", where=path)
    return value


def _trials(value: object, order: Sequence[tuple[str, int]], path: Path) -> list[dict[str, Any]]:
    """The trials, each of which must be the one that the session's seed put there."""
    if not isinstance(value, list) or len(value) != PRACTICE + TRIALS:
        count = len(value) if isinstance(value, list) else 0
        raise DataError(f"{counted(count, 'trial')}, a session has {PRACTICE + TRIALS}", where=path)
    for number, (trial, (name, first)) in enumerate(zip(value, order, strict=True), 1):
        what = f"trial {number}"
        if not isinstance(trial, dict):
            raise DataError(f"{what} is not a JSON object", where=path)
        _fields(trial, _TRIAL_KEYS, what, path)
        _whole(trial["first"], f"{what}, first", 0, 1, path)
        if trial["id"] != name or trial["first"] != first:
            raise DataError(f"{what} is not the one that follows from the session's seed", where=path)
        _whole(trial["answer"], f"{what}, answer", 1, 2, path)
        _whole(trial["answer_ms"], f"{what}, answer_ms", 0, LONGEST_MS, path)
        if not isinstance(trial["hidden"], bool):
            raise DataError(f"{what}, hidden: neither true nor false", where=path)
        times = trial["shown_ms"]
        if not isinstance(times, list) or len(times) != 2:
            raise DataError(f"{what}, shown_ms: not two times", where=path)
        for time in times:
            _whole(time, f"{what}, shown_ms", 0 if trial["hidden"] else TOO_SHORT_MS, LONGEST_MS, path)
    return value
