"""The only place that writes files, and the one that reads bytes and JSON.

Whatever appears under its final name is whole: it is written to a temporary beside its place, flushed to the disk, and
renamed. A process killed at any point leaves either the old or the new; a temporary it leaves behind carries its
process id and is cleaned away by the next one (`clean_temporaries`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from citygan.errors import CityganError, DamagedError, DataError, MachineError, UsageError

_counter = itertools.count()
_TEMPORARY = re.compile(r"\.tmp-(\d+)-\d+-.*", re.DOTALL)


# reading


def open_file(path: str | os.PathLike[str], *, error: type[CityganError] = DataError) -> BinaryIO:
    """A regular file, open for reading.

    Raises:
        CityganError: Of the type `error`: missing, a broken link, a folder, a FIFO or a device (never waited for),
            or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise error(_reading_problem(problem, path), where=os.fspath(path)) from problem
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise error(f"is {kind}", where=os.fspath(path))
    return open(descriptor, "rb")


def read_bytes(path: str | os.PathLike[str], *, error: type[CityganError] = DataError) -> bytes:
    """The whole of a regular file.

    Raises:
        CityganError: Of the type `error`, as `open_file`.
    """
    with open_file(path, error=error) as file:
        try:
            return file.read()
        except OSError as problem:
            raise error(_reading_problem(problem, path), where=os.fspath(path)) from problem


def _reading_problem(problem: OSError, path: str | os.PathLike[str]) -> str:
    if problem.errno == errno.ENOENT:
        return "a link to nowhere" if os.path.islink(path) else "no such file"
    if problem.errno == errno.EACCES:
        return "may not be read (permission denied)"
    if problem.errno == errno.EISDIR:
        return "is a folder"
    return f"cannot be read ({problem.strerror})"


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A JSON object that we wrote ourselves.

    Raises:
        DamagedError: Missing, not JSON, or not an object.
    """
    data = read_bytes(path, error=DamagedError)
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise DamagedError(f"not readable as JSON ({problem})", where=os.fspath(path)) from problem
    if not isinstance(value, dict):
        raise DamagedError(f"expected a JSON object, got {type(value).__name__}", where=os.fspath(path))
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


# writing


@contextlib.contextmanager
def guard(path: str | os.PathLike[str], needed_bytes: int | None = None) -> Iterator[None]:
    """Turns the operating system's refusals into errors that say what is needed.

    Args:
        path: What is written.
        needed_bytes: Of how many bytes, where that is known.

    Raises:
        MachineError: No space (with what is free), no permission, a read-only or failing disk.
    """
    try:
        yield
    except OSError as problem:
        where = os.fspath(path)
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            needed = "" if needed_bytes is None else f"{_megabytes(needed_bytes)} needed, "
            raise MachineError(
                f"no space left to write ({needed}{_megabytes(_free_bytes(path))} free)",
                where=where,
                hint="Free some space, or choose another place",
            ) from problem
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MachineError(
                f"may not be written ({problem.strerror})", where=where, hint="Choose another place"
            ) from problem
        if problem.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG):
            raise UsageError(f"cannot be written ({problem.strerror})", where=where) from problem
        raise MachineError(f"cannot be written ({problem.strerror})", where=where) from problem


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, to be written and closed within the block.

    It becomes `path` when the block ends well, and vanishes when it does not. Folders on the way are made.

    Raises:
        MachineError: It cannot be written.
    """
    path = Path(path)
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, for a trial: whatever is there vanishes with the block.

    Raises:
        MachineError: Nothing can be written there.
    """
    path = Path(path)
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        try:
            temporary.write_bytes(b"")
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path`, which becomes `path` when the block ends well.

    Args:
        replace: Take the place of a folder that is there already, which is removed only after that.

    Raises:
        UsageError: `path` exists and `replace` is false.
        MachineError: It cannot be written.
    """
    path = Path(path)
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        temporary.mkdir()
        try:
            yield temporary
            publish_folder(temporary, path, replace=replace)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def publish_folder(temporary: Path, path: Path, *, replace: bool = False) -> None:
    """Moves a finished folder to its final name, everything in it on the disk first."""
    if path.exists() and not replace:
        raise UsageError("exists already", where=path, hint="--force replaces it")
    with guard(path):
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        if not path.exists():
            os.replace(temporary, path)
            _sync(path.parent)
            return
        aside = _temporary(path)
        os.replace(temporary, aside)  # from here on a process that is killed leaves nothing but temporaries
        if not _exchange(aside, path):
            old = _temporary(path)
            os.replace(path, old)
            os.replace(aside, path)
            aside = old
        _sync(path.parent)
        shutil.rmtree(aside, ignore_errors=True) if aside.is_dir() else aside.unlink()


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two paths in one step: at no moment is there neither. False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2  # Linux; Python has no function for it
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a whole file, atomically."""
    with new_file(path) as temporary, guard(path, len(data)):
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a whole UTF-8 file, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Writes a JSON object, atomically.

    Raises:
        ValueError: A number that is not finite: JSON has none.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def clean_temporaries(folder: Path) -> None:
    """Removes what dead processes left half-written in `folder`."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            match = _TEMPORARY.fullmatch(entry.name)
            if match and not _alive(int(match[1])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def _temporary(path: Path) -> Path:
    room = 255 - 40 - len(os.fsencode(path.suffix))  # the longest name a file system takes, less ours
    stem = os.fsdecode(os.fsencode(path.stem)[:room])
    return path.with_name(f".tmp-{os.getpid()}-{next(_counter)}-{stem}{path.suffix}")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# space and locks


def check_space(folder: str | os.PathLike[str], needed_bytes: int) -> None:
    """Checks before the work that it will fit.

    Raises:
        MachineError: It will not; needed and free space are named.
    """
    free = _free_bytes(folder)
    if needed_bytes > free:
        raise MachineError(
            f"{_megabytes(needed_bytes)} needed, {_megabytes(free)} free",
            where=os.fspath(folder),
            hint="Free some space, or choose another place",
        )


def _free_bytes(path: str | os.PathLike[str]) -> int:
    folder = Path(path).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


@contextlib.contextmanager
def lock(path: str | os.PathLike[str], waiting: Callable[[str], object] | None = None) -> Iterator[None]:
    """Holds `path` for this process, through a lock file beside it that the system frees whatever ends us.

    Args:
        waiting: Told which process holds it, which is then waited for; None: nothing is waited for.

    Raises:
        MachineError: Another process holds it (named, at once), and it is not to be waited for.
    """
    path = Path(path)
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock")
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            if waiting is None:
                raise MachineError(
                    f"in use by process {holder}", where=path, hint="Wait for it to end, or choose another name"
                ) from problem
            waiting(holder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)  # frees the lock; the empty file stays, since removing it would race with the next one


# the working folder


def data_home() -> Path:
    """Where prepared sets live: ``$CITYGAN_DATA_HOME`` or ``data`` under the current folder."""
    return Path(os.environ.get("CITYGAN_DATA_HOME") or "data")


def runs_home() -> Path:
    """Where runs live: ``$CITYGAN_RUNS_HOME`` or ``runs`` under the current folder."""
    return Path(os.environ.get("CITYGAN_RUNS_HOME") or "runs")


def write_last(home: Path, name: str) -> None:
    """Makes `name` the default of its home: the one-line file ``last``."""
    write_bytes(home / "last", os.fsencode(name) + b"\n")


def read_last(home: Path) -> str | None:
    """The name in ``last``, or None where there is none or it names nothing that exists."""
    try:
        name = os.fsdecode((home / "last").read_bytes()).removesuffix("\n")
        return name if name and (home / name).is_dir() else None
    except (OSError, ValueError):
        return None
