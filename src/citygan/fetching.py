"""Published weights brought to where torch keeps them. The only place that opens a connection."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path

from citygan.errors import DamagedError, MachineError, UsageError, did_you_mean, printable
from citygan.files import check_space, new_file, read_bytes
from citygan.progress import say
from citygan.weightfiles import WEIGHTS, WeightFile, folder

TIMEOUT = 60  # seconds without a byte
PIECE = 2**20


def catalogue() -> dict[str, WeightFile]:
    """All published weights by name."""
    return dict(sorted(WEIGHTS.items()))


def chosen(names: list[str]) -> dict[str, WeightFile]:
    """The rows of those names.

    Raises:
        UsageError: A name that there is not; all are listed.
    """
    rows = catalogue()
    for name in names:
        if name not in rows:
            hint = f"{did_you_mean(name, rows)}There are: {', '.join(rows)}"
            raise UsageError(f"no weights named '{name}'", where="NAME", hint=hint)
    return {name: rows[name] for name in names}


def is_there(row: WeightFile) -> bool:
    """Whether the file is there, with its checksum."""
    path = folder() / row.file
    return path.is_file() and hashlib.sha256(read_bytes(path, error=DamagedError)).hexdigest().startswith(row.digest)


def fetch(name: str, row: WeightFile) -> Path:
    """Brings a file, unless it is there; what is half or something else never stands under its name.

    Raises:
        MachineError: The network or the disk refuses, or what comes is something else.
    """
    path = folder() / row.file
    if is_there(row):
        say(f"{name}: there already")
        return path
    say(f"{name}: fetching {row.url}")
    hint = f"Put {row.file} there by hand, or try again later"
    digest, done = hashlib.sha256(), 0
    with new_file(path) as temporary, temporary.open("wb") as file:
        try:
            answer = urllib.request.urlopen(row.url, timeout=TIMEOUT)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            raise MachineError(f"{row.url} cannot be reached ({_why(problem)})", where=path.parent, hint=hint) from None
        with answer:
            length = str(answer.headers.get("Content-Length", ""))
            if length.isdecimal():
                check_space(path.parent, int(length))
            while True:
                try:
                    piece = answer.read(PIECE)
                except (OSError, http.client.HTTPException) as problem:
                    what = f"{row.url} broke off after {done} bytes ({_why(problem)})"
                    raise MachineError(what, where=path.parent, hint=hint) from None
                if not piece:
                    break
                digest.update(piece)
                done += len(piece)
                file.write(piece)
        if length.isdecimal() and done != int(length):
            raise MachineError(f"{row.url} broke off after {done} of {length} bytes", where=path.parent, hint=hint)
        if not digest.hexdigest().startswith(row.digest):
            raise MachineError(
                f"{row.url} gave something else: its sha256 begins with {digest.hexdigest()[:8]}, not {row.digest}",
                where=path.parent,
                hint=hint,
            )
    return path


def _why(problem: BaseException) -> str:
    """An error of the network in a few words."""
    reason = getattr(problem, "reason", None)
    status = getattr(problem, "code", None)
    text = str(reason or problem or type(problem).__name__)
    return printable(" ".join(f"{status} {text}".split() if status else text.split()))[:200]
