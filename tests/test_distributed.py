"""Two processes train as one with the doubled batch, every picture once an epoch, only the first writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from citygan.data.batches import Feed
from citygan.data.store import PreparedSet
from citygan.train.engine import Engine, Plan
from tests.test_engine import _batch, _Plain
from tests.tiny import prepared_set

ROOT = Path(__file__).resolve().parents[1]

WORKER = """
import sys, torch
sys.path.insert(0, {root!r})
from citygan.batch import Batch
from citygan.train.distributed import join, leave
from citygan.train.engine import Engine, Plan
from tests.test_engine import _Plain, _batch
torch.set_num_threads(1)
ranks = join(torch.device("cpu"))
recipe = _Plain()
if ranks.rank == 1:  # whatever the others start from, the first one's weights count
    with torch.no_grad():
        for network in recipe.networks.values():
            for p in network.parameters():
                p.zero_()
engine = Engine(recipe, Plan(steps=5), torch.device("cpu"), ranks)
for step in range(5):
    whole = _batch(step, 4, 16)
    part = whole.split(2)[ranks.rank]
    engine.train_step(step, part)
if ranks.first:
    torch.save({{k: n.state_dict() for k, n in engine.networks.items()}}, {out!r})
assert ranks.largest(ranks.rank * 7) == 7
leave()
"""


def _torchrun(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_ranks_learn_as_one_process_with_the_doubled_batch(tmp_path: Path) -> None:
    out = tmp_path / "two.pt"
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(root=str(ROOT), out=str(out)))
    process = _torchrun(str(script), cwd=tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    two = torch.load(out, weights_only=True)
    one = Engine(_Plain(), Plan(steps=5), torch.device("cpu"))
    for step in range(5):
        one.train_step(step, _batch(step, 4, 16))
    for name, network in one.networks.items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(two[name][key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_picture_is_seen_once_an_epoch(tmp_path: Path, size: int) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set", train=12))
    feeds = [
        Feed(data.split("train"), arrays=["label"], batch=2, jitter=1.0, mirror=False, seed=5,
             device=torch.device("cpu"), rank=rank, ranks=size)
        for rank in range(size)
    ]  # fmt: skip
    steps = 12 // (2 * size)
    for epoch in range(2):
        seen = [
            label.numpy().tobytes()
            for step in range(epoch * steps, (epoch + 1) * steps)
            for feed in feeds
            for label in feed(step).label  # type: ignore[union-attr]
        ]
        assert sorted(seen) == sorted(label.tobytes() for label in data.split("train").label)  # type: ignore[union-attr]


def test_crops_and_order_do_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    data = PreparedSet.open(prepared_set(tmp_path / "set", train=8))

    def feed(batch: int, rank: int, ranks: int) -> Feed:
        return Feed(data.split("train"), arrays=["photo", "label"], batch=batch, jitter=1.5, mirror=True, seed=1,
                    device=torch.device("cpu"), rank=rank, ranks=ranks)  # fmt: skip

    for step in range(4):
        whole = feed(4, 0, 1)(step)
        parts = [feed(2, rank, 2)(step) for rank in range(2)]
        assert torch.equal(whole.photo, torch.cat([p.photo for p in parts]))  # type: ignore[arg-type, misc]
        assert torch.equal(whole.label, torch.cat([p.label for p in parts]))  # type: ignore[arg-type, misc]


TINY = ["--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "train.checkpoint_every_steps=2"]


def test_torchrun_trains_one_run_that_the_first_rank_alone_writes(tmp_path: Path) -> None:
    data = prepared_set(tmp_path / "set", train=8)
    command = ["-m", "citygan", "train", "--data", str(data), "--steps", "4", *TINY]
    process = _torchrun(*command, cwd=tmp_path)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert output == "runs/pix2pix-1\n"
    assert sorted(os.listdir(tmp_path / "runs")) == [".pix2pix-1.lock", "last", "pix2pix-1"]
    assert (tmp_path / "runs/pix2pix-1/checkpoints/00000004/state.json").is_file()
    lines = (tmp_path / "runs/pix2pix-1/metrics.jsonl").read_text().splitlines()
    assert sum('"val_ssim"' in line for line in lines) == 2


def test_a_dead_rank_ends_all_and_the_checkpoint_is_whole(tmp_path: Path) -> None:
    from citygan.train.checkpoint import check_whole

    data = prepared_set(tmp_path / "set", train=8)
    command = ["-m", "citygan", "train", "--data", str(data), "--steps", "100000", *TINY]
    process = _torchrun(*command, cwd=tmp_path)
    folder = tmp_path / "runs/pix2pix-1/checkpoints"
    ends = time.monotonic() + 120
    while not (folder.is_dir() and any(name.isdecimal() for name in os.listdir(folder))):
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.2)
    ranks = _children(process.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not any(_alive(rank) for rank in ranks)
    newest = max(name for name in os.listdir(folder) if name.isdecimal())
    check_whole(folder / newest)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return sorted(found)


def _alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_stop_reaches_all_ranks_and_is_saved_at_once(tmp_path: Path) -> None:
    data = prepared_set(tmp_path / "set", train=8)
    rare = ["--set", "train.log_every_steps=1000000", "--set", "train.checkpoint_every_steps=1000000", *TINY[:4]]
    process = _torchrun("-m", "citygan", "train", "--data", str(data), "--steps", "1000000", *rare, cwd=tmp_path)
    ends = time.monotonic() + 60
    while not (tmp_path / "runs/pix2pix-1/metrics.jsonl").exists():
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.1)
    time.sleep(1.0)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert time.monotonic() - asked < 15
    saved = [name for name in os.listdir(tmp_path / "runs/pix2pix-1/checkpoints") if name.isdecimal()]
    assert len(saved) == 1 and int(saved[0]) > 0
