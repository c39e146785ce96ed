"""Killing commands at any moment, for the tests and for `tests/fuzz.py`.

The commands run in processes forked from one that has imported everything: a real process each, without the seconds
that imports take.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from citygan.files import clean_temporaries
from citygan.train import checkpoint
from tests.street import NARROW, SOURCE, hashes
from tests.tiny import prepared_set

TRAIN = (
    *("train", "--data", "tiny", *NARROW, "--steps", "36", "--set", "train.ema=0.9", "--set", "augment.jitter=1.2"),
    *("--set", "train.log_every_steps=4", "--set", "train.checkpoint_every_steps=9"),
    *("--set", "train.sample_every_steps=9"),
)
TIMING = ("pictures_per_s", "waiting_share")
# what changes something on the disk: the moments at which a kill may matter
SYSTEM_CALLS = ("openat", "write", "fsync", "rename", "renameat2", "mkdir", "unlink", "unlinkat", "rmdir")


def _context() -> ForkServerContext:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = os.pathsep.join([os.fspath(SOURCE), os.fspath(SOURCE.parent)])
    # what a training imports in time, of which the optimizers' part takes longest
    context.set_forkserver_preload(["tests.killing", "citygan.training", "citygan.cli.train", "torch._dynamo"])
    return context


def _run(folder: str, arguments: tuple[str, ...]) -> None:
    import citygan.report
    from citygan.cli import run

    citygan.report._curves = lambda lines, *more: ""  # most of a tiny run's time
    torch.set_num_threads(1)
    os.chdir(folder)
    with open("output.txt", "a") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os._exit(run(arguments))


def _start(context: ForkServerContext, folder: Path, *arguments: str) -> ForkServerProcess:
    process = context.Process(target=_run, args=(os.fspath(folder), arguments))
    process.start()
    return process


def _finish(process: ForkServerProcess, folder: Path) -> None:
    process.join(120)
    assert process.exitcode == 0, f"{process.exitcode}: {(folder / 'output.txt').read_text()[-2000:]}"


def _next(folder: Path) -> tuple[str, ...]:
    """What a user types after a kill: on with the run, where there is one."""
    return ("train", "--resume", "k") if (folder / "runs/k").is_dir() else (*TRAIN, "--name", "k")


def outcome(folder: Path) -> dict[str, object]:
    """All that a training leaves, but for times."""
    run = folder / "runs/k"
    left: dict[str, object] = {
        name: digest for name, digest in hashes(run / "checkpoints").items() if "state" not in name
    }
    left |= hashes(run / "samples")
    left["config"] = (run / "config.yaml").read_text()
    left["log"] = [
        {key: value for key, value in json.loads(line).items() if key not in TIMING}
        for line in (run / "metrics.jsonl").read_text().splitlines()
    ]
    return left


def kill_training(place: Path, kills: int, seed: int, say: Callable[[str], object] = lambda text: None) -> None:
    """Trains undisturbed, then with kills at random moments, each followed by a resume, and compares what is left."""
    context = _context()
    folders = [place / "undisturbed", place / "disturbed"]
    for folder in folders:
        prepared_set(folder / "data/tiny")
    calm, other = folders
    warm = _start(context, calm, "models")
    _finish(warm, calm)
    began = time.monotonic()
    _finish(_start(context, calm, *TRAIN, "--name", "k"), calm)
    lasted = time.monotonic() - began
    expected = outcome(calm)
    chance = random.Random(seed)
    done = 0
    while done < kills:
        process = _start(context, other, *_next(other))
        process.join(chance.uniform(0, lasted))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:  # it was done before
            assert outcome(other) == expected
            shutil.rmtree(other / "runs")
            continue
        done += 1
        whole = checkpoint.steps(other / "runs/k/checkpoints")
        for step in whole:
            checkpoint.check_whole(checkpoint.path_of(other / "runs/k/checkpoints", step))
        say(f"kill {done} of {kills} in {lasted:.1f} s: checkpoints {whole}")
    if (other / "runs/k/checkpoints/00000036").is_dir():
        # killed after its last checkpoint: what comes after it is clearing up, and a resume has nothing to do
        left = outcome(other)
        assert {name: left[name] for name in expected} == expected
        return
    _finish(_start(context, other, *_next(other)), other)
    assert outcome(other) == expected
    stale = [name for name in hashes(other) if ".tmp-" in name]
    assert not stale, stale


# crash points


def _save(folder: str, gate: str, waiting: str, value: float) -> None:
    torch.set_num_threads(1)
    opened = os.open(gate, os.O_RDONLY)
    Path(waiting).touch()
    os.read(opened, 2)  # until the tracer is there
    save(Path(folder), value)
    os._exit(0)


def save(folder: Path, value: float) -> None:
    """A small checkpoint all of whose tensors hold `value`."""
    parts = {name: {"x": torch.full((1000,), value)} for name in ("generator", "discriminator", "optimizer-generator")}
    checkpoint.save(folder, parts, {"step": 1, "value": value})


def can_trace() -> str | None:
    """Why crash points cannot be tried here, or None."""
    if shutil.which("strace") is None:
        return "strace is not here"
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True)
    return None if done.returncode == 0 else "strace may not trace here"


def crash_save(
    place: Path, points: list[tuple[str, int]] | None, say: Callable[[str], object] = lambda text: None
) -> int:
    """Kills the saving of a checkpoint at the n-th of a kind of change of the disk; returns how often.

    The checkpoint there is read afterwards: it must be the old or the new one, whole; and the next save works.

    Args:
        points: (system call, n); None: all there are.
    """
    context = _context()
    if points is not None:
        return sum(_crash(context, place, call, number, say) for call, number in points)
    killed = 0
    for call in SYSTEM_CALLS:
        number = 1
        while _crash(context, place, call, number, say):
            number += 1
        killed += number - 1
    return killed


def _crash(context: ForkServerContext, place: Path, call: str, number: int, say: Callable[[str], object]) -> bool:
    folder = place / f"{call}-{number}" / "00000001"
    folder.parent.mkdir(parents=True)
    save(folder, 1.0)
    killed = _traced_save(context, folder, place / f"gate-{call}-{number}", call, number)
    value = _value(folder)
    assert value in (1.0, 2.0) if killed else value == 2.0, f"at {call} {number}: {value}"
    save(folder, 3.0)
    assert _value(folder) == 3.0
    clean_temporaries(folder.parent)
    assert os.listdir(folder.parent) == ["00000001"], os.listdir(folder.parent)
    say(f"{call} {number}: {'' if killed else 'not reached, '}{'the new one' if value == 2 else 'the old one'}")
    return killed


def _value(folder: Path) -> float:
    """What the checkpoint holds. One that is torn raises."""
    state = checkpoint.check_whole(folder)
    for name in state["files"]:
        assert bool((checkpoint.read_part(folder, state, name)["x"] == state["value"]).all())
    value: Any = state["value"]
    return float(value)


def _traced_save(context: ForkServerContext, folder: Path, gate: Path, call: str, number: int) -> bool:
    os.mkfifo(gate)
    waiting = gate.with_name(f"{gate.name}-waiting")
    process = context.Process(target=_save, args=(os.fspath(folder), os.fspath(gate), os.fspath(waiting), 2.0))
    opened = os.open(gate, os.O_RDWR)  # which does not wait for a reader
    process.start()
    while not waiting.exists():
        assert process.is_alive()
        time.sleep(0.001)
    with subprocess.Popen(
        ["strace", "-f", "-p", str(process.pid), "-o", os.devnull, "-e", f"trace={call}",
         "-e", f"inject={call}:signal=SIGKILL:when={number}"],
        stderr=subprocess.PIPE, text=True,
    ) as tracer:  # fmt: skip
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        assert "attached" in said, said
        os.write(opened, b"go")
        process.join(60)
    os.close(opened)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0
