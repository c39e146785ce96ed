"""A working folder in which commands run as a user runs them, in this process or in one of their own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from citygan.cli import run
from citygan.data.labels import CITYSCAPES
from citygan.data.store import PreparedSet
from citygan.pictures import encode_png
from tests.tiny import prepared_set

SOURCE = Path(__file__).resolve().parents[1] / "src"
NARROW = ("--set", "generator.width=4", "--set", "discriminator.width=4")
OFTEN = (
    *("--set", "train.log_every_steps=1"),
    *("--set", "train.checkpoint_every_steps=1"),
    *("--set", "train.sample_every_steps=2"),
)
TRAIN = ("train", "--data", "tiny", *NARROW, *OFTEN)


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, and both streams."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that tells what went wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return lines[-1] if lines else ""

    @property
    def paths(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()


class Street:
    """Commands in a folder of their own: `data/tiny`, `labels/`, and the run `a` of three steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str | os.PathLike[str]) -> Result:
        """One command in this process."""
        # names that are no text go through as bytes, which pytest's own capture does not take
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape") for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([os.fspath(argument) for argument in arguments])
        return Result(code, *(_text(stream) for stream in (out, err)))

    def refused(self, code: int, *words: str, by: Sequence[str | os.PathLike[str]]) -> Result:
        """A command that must fail: with that code and one line that holds these words, everything left as it was."""
        before = hashes(self.path)
        result = self.run(*by)
        assert result.code == code, f"{result.code} instead of {code}: {result.err}"
        assert result.error and result.err.rstrip("\n").splitlines()[-1] == result.error, result.err
        assert "Traceback" not in result.err and "a bug of ours" not in result.err
        for word in words:
            assert word in result.error, f"{word!r} is not in {result.error!r}"
        after = hashes(self.path)
        changed = [name for name in before if after.get(name) != before[name]]
        assert not changed, f"changed: {changed}"
        self.check_clean()
        return result

    def done(self, *arguments: str | os.PathLike[str]) -> Result:
        """A command that must succeed."""
        result = self.run(*arguments)
        assert result.code == 0, result.err
        assert "Traceback" not in result.err
        self.check_clean()
        return result

    def check_clean(self) -> None:
        """Nothing half-written lies about."""
        left = [name for name in hashes(self.path) if ".tmp-" in name or ".partial" in name]
        assert not left, left


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return os.fsdecode(stream.buffer.getvalue())


def hashes(path: Path) -> dict[str, str]:
    """sha256 of every file below a folder, but for lock files."""
    return {
        os.path.relpath(os.path.join(folder, name), path): hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
        for folder, _, names in os.walk(path)
        for name in names
        if not name.endswith(".lock") and Path(folder, name).is_file()
    }


def build_town(path: Path) -> Path:
    """Makes the folder that streets are copies of; the current folder must be `path`."""
    prepared_set(path / "data" / "tiny")
    labels(path / "labels")
    code = run([*TRAIN, "--steps", "3", "--name", "a", "--device", "cpu"])
    assert code == 0
    return path


def labels(folder: Path, count: int = 2) -> list[Path]:
    """Label maps of the tiny set's validation split, as palette PNGs."""
    folder.mkdir(parents=True, exist_ok=True)
    split = PreparedSet.open(folder.parent / "data" / "tiny").split("val")
    assert split.label is not None
    files = []
    for i in range(count):
        files.append(folder / f"{i}.png")
        files[-1].write_bytes(encode_png(np.asarray(split.label[i]), palette=CITYSCAPES.palette))
    return files


def environment(**more: str) -> dict[str, str]:
    """For commands in a process of their own: one thread, this source."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**inherited, "PYTHONPATH": os.fspath(SOURCE), "OMP_NUM_THREADS": "1", **more}


def command(*arguments: str) -> list[str]:
    """A command line in a process of its own."""
    return [sys.executable, "-m", "citygan", *arguments]


def copy(town: Path, path: Path) -> Path:
    """A town of one's own."""
    shutil.copytree(town, path)
    return path
