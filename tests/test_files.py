"""The one place that writes: whole or not at all, nothing left behind, and errors that say what was needed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from citygan import files
from citygan.errors import CityganError, DamagedError, DataError, MachineError, UsageError, printable
from tests.street import environment


def left(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.txt"
    files.write_text(file, "one\n")
    with pytest.raises(RuntimeError), files.new_file(file) as temporary:
        assert temporary.parent == file.parent and temporary.suffix == ".txt"
        temporary.write_text("tw")
        assert file.read_text() == "one\n"
        raise RuntimeError
    assert file.read_text() == "one\n" and left(file.parent) == ["a.txt"]
    files.write_text(file, "two\n")
    assert file.read_text() == "two\n" and left(file.parent) == ["a.txt"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    folder = tmp_path / "a"
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    for text in ("one", "two"):
        with files.new_folder(folder, replace=True) as temporary:
            (temporary / "x").write_text(text)
        assert (folder / "x").read_text() == text and left(tmp_path) == ["a"]
    with pytest.raises(UsageError, match="exists already"), files.new_folder(folder) as temporary:
        (temporary / "x").write_text("three")
    with pytest.raises(RuntimeError), files.new_folder(folder, replace=True) as temporary:
        raise RuntimeError
    assert (folder / "x").read_text() == "two" and left(tmp_path) == ["a"]


def test_this_system_swaps_folders_in_one_step(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("renameat2 is Linux's")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("b")
    if not files._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("not on this file system")
    assert (tmp_path / "a").read_text() == "b" and (tmp_path / "b").is_dir()
    assert not files._exchange(tmp_path / "a", tmp_path / "none")


def test_json_holds_nothing_that_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    files.write_json(file, {"é": 1})
    with pytest.raises(ValueError):
        files.write_json(file, {"x": float("nan")})
    assert files.read_json(file) == {"é": 1}
    for text in (
        '{"x": NaN}',
        '{"x": Infinity}',
        "[1]",
        "",
        "{",
        "[" * 100_000,
    ):
        file.write_text(text)
        with pytest.raises(DamagedError, match=r"a\.json"):
            files.read_json(file)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, MachineError, "no space left to write"),
        (errno.EDQUOT, MachineError, "no space left to write"),
        (errno.EIO, MachineError, "cannot be written"),
        (errno.EROFS, MachineError, "Choose another place"),
        (errno.EACCES, MachineError, "may not be written"),
        (errno.ENAMETOOLONG, UsageError, "cannot be written"),
        (errno.ENOTDIR, UsageError, "cannot be written"),
    ],
)
def test_refusals_of_the_system_are_told(tmp_path: Path, number: int, kind: type[CityganError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, files.guard(tmp_path / "x", 5_000_000):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "x") in str(caught.value)
    assert ("5.0 MB needed" in str(caught.value)) == ("no space" in words)


def test_space_is_checked_before_the_work(tmp_path: Path) -> None:
    files.check_space(tmp_path / "not" / "there", 1)
    with pytest.raises(MachineError, match=r"1000000\.0 GB needed, .* free"):
        files.check_space(tmp_path / "not" / "there", 10**15)


def test_the_longest_names_have_a_temporary_too(tmp_path: Path) -> None:
    for name in ("n" * 251 + ".txt", "é" * 125 + ".png", os.fsdecode(b"\xff" * 250)):
        files.write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
    with pytest.raises(UsageError):
        files.write_text(tmp_path / ("n" * 256), "x")


def test_reading_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    began = time.monotonic()
    for name, words in {
        "fifo": "not a regular file",
        "/dev/zero": "not a regular file",
        "folder": "is a folder",
        "link": "a link to nowhere",
        "none": "no such file",
        "circle": "cannot be read",
        "n" * 300: "cannot be read",
    }.items():
        with pytest.raises(DataError, match=words):
            files.read_bytes(tmp_path / name)
    assert time.monotonic() - began < 1


def test_only_what_the_dead_left_is_cleaned_away(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    keep = [f".tmp-{os.getpid()}-0-x", ".tmp-notes", "tmp", f".tmp-{os.getppid()}-3-x.png", ".lock"]
    for name in [*keep, f".tmp-{dead.pid}-0-x", f".tmp-{dead.pid}-12-a\nb.png"]:
        (tmp_path / name).write_text("x")
    (tmp_path / f".tmp-{dead.pid}-1-folder").mkdir()
    (tmp_path / f".tmp-{dead.pid}-1-folder" / "x").write_text("x")
    files.clean_temporaries(tmp_path)
    files.clean_temporaries(tmp_path / "not there")
    assert left(tmp_path) == sorted(keep)


def test_a_lock_is_free_when_its_holder_is_dead(tmp_path: Path) -> None:
    code = (
        "import sys, time; from citygan.files import lock\nwith lock(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    place, told = tmp_path / "a set", list[str]()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place)], env=environment(), stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"1\n"
        with pytest.raises(MachineError, match=f"in use by process {holder.pid}"), files.lock(place):
            pass
        with files.lock(place, lambda process: (told.append(process), holder.kill())):
            assert told == [str(holder.pid)], "who holds it is told once, and waited for"
        holder.wait()
        with files.lock(place), pytest.raises(MachineError, match=f"process {os.getpid()}"), files.lock(place):
            pass
    with files.lock(place):
        pass


def test_homes_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYGAN_RUNS_HOME", raising=False)
    assert files.runs_home() == Path("runs") and files.read_last(files.runs_home()) is None
    files.write_last(Path("runs"), "a")
    assert files.read_last(Path("runs")) is None  # names nothing that is there
    Path("runs/a").mkdir()
    assert files.read_last(Path("runs")) == "a" and Path("runs/last").read_text() == "a\n"
    for text in (b"\xff\n", b"a\0b", b""):
        Path("runs/last").write_bytes(text)
        assert files.read_last(Path("runs")) is None
    name = os.fsdecode(b" \xe9 ")
    Path("runs", name).mkdir()
    files.write_last(Path("runs"), name)
    assert files.read_last(Path("runs")) == name
    monkeypatch.setenv("CITYGAN_RUNS_HOME", "else where")
    assert files.runs_home() == Path("else where")


def test_messages_cannot_command_a_terminal() -> None:
    assert printable("é 東京 'x'") == "é 東京 'x'"
    assert printable("\x1b[31m\n\u202e\udcff") == "\\x1b[31m\\n\\u202e\\udcff"
    error = DataError("bad\n", where="a\x1bb", hint="try\tthis")
    assert str(error) == "bad\\n, a\\x1bb. try\\tthis" and json.dumps(str(error))
