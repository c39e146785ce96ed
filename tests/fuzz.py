"""Broken files, thousands of them: each is read as something valid, or refused with an error of ours. Never a crash,
a hang, another exception or a traceback.

    python tests/fuzz.py --pictures 5000 --yaml 500 --checkpoints 500 --seed 0
    python tests/fuzz.py --kills 10 --crashes

Each file is a function of the seed and its number, so a failure can be repeated: `--only NUMBER`. The work is done in a
child process, whose death is a failure that is told with the number of the file at fault. A small share runs with the
tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(root), str(root / "src")]

import numpy as np

from citygan.config import Layer, resolve
from citygan.data.labels import CAMVID11, CITYSCAPES, table_named
from citygan.data.store import PreparedSet
from citygan.errors import CityganError, DataError
from citygan.pictures import header, read_index, read_label, read_photo, read_source
from citygan.yamlfile import read_yaml, to_yaml
from tests.fuzz_pictures import fuzz_seeds, mutate
from tests.tiny import prepared_set

LIMIT_SECONDS = 5.0


class Hang(Exception):
    """A file took too long."""


@contextmanager
def time_limit() -> Iterator[None]:
    """Ends what takes longer than `LIMIT_SECONDS`."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(work: Callable[[], object], refusal: type[CityganError] = CityganError) -> bool:
    """Whether the work was done; False where it was refused in the right way.

    Raises:
        AssertionError: The refusal is no single line that can be shown.
    """
    try:
        with time_limit():
            work()
    except refusal as problem:
        assert str(problem).isprintable() and len(str(problem)) < 5000, f"not one line: {problem!s:.300}"
        return False
    return True


# pictures


def try_picture(folder: Path, rng: random.Random, number: int) -> bool:
    """One broken picture through every reader."""
    seeds = fuzz_seeds()
    data = seeds[number % len(seeds)]
    if rng.random() < 0.1:  # the head of one kind, the tail of another
        other = rng.choice(seeds)
        data = data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]
    suffix = rng.choice((".png", ".jpg", ".webp", ".bmp", ""))
    file = folder / f"x{suffix}"
    file.write_bytes(mutate(data, rng) if len(data) > 9 else data)
    size: list[tuple[int, int]] = []

    def look() -> None:
        head = header(file, max_pixels=1_000_000)
        size.append((head.height, head.width))
        assert 0 < head.width * head.height <= 1_000_000

    def photo() -> None:
        picture = read_photo(file, max_pixels=1_000_000, alpha="drop")
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        assert size and picture.shape[:2] in (size[0], size[0][::-1])  # turned as EXIF says

    def source() -> None:
        picture = read_source(file, max_pixels=1_000_000)
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] in (1, 3)

    def index() -> None:
        ids = read_index(file, max_pixels=1_000_000)
        assert ids.dtype in (np.uint8, np.uint16) and ids.shape == size[0]

    def label() -> None:
        ids = read_label(file, CAMVID11, max_pixels=1_000_000)
        assert ids.dtype == np.uint8 and ids.shape == size[0] and set(np.unique(ids)) <= set(CAMVID11.ids)

    results = [attempt(work, DataError) for work in (look, photo, source, index, label)]
    return any(results[1:])


# YAML


NASTY = (
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\t",
        b"\n",
        b"\r",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b": ",
        b"- ",
        b"? ",
        b"#",
    ),
    *(b"&a ", b"*a", b"!!python/object:x ", b"!!binary ", b"<<: ", b"{", b"}", b"[", b"]", b'"', b"'", b"|\n", b">\n"),
    *(
        b"%YAML 9.9\n",
        b"---\n",
        b"...\n",
        b".nan",
        b"-.inf",
        b"1e999",
        b"0x",
        b"-0",
        b"null",
        b"yes",
        b"~",
        b"9" * 5000,
    ),
    *(
        b'"\\U00110000"',
        b'"\\ud800"',
        b'"\\x00"',
        b"[" * 50,
        b"{a: " * 50,
        b"../..",
        b"/etc",
        b"a" * 10_000,
        b"?" * 100,
    ),
)


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """A few changed, lost, doubled or nasty bytes, lines or numbers."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(max(1, len(changed)))
        action = rng.randrange(8)
        if action == 0 and changed:
            changed[at % len(changed)] = rng.randrange(256)
        elif action == 1:
            del changed[at : at + rng.choice((1, 3, 30))]
        elif action == 2:
            changed[at:at] = rng.choice(NASTY)
        elif action == 3:
            del changed[at:]
        elif action == 4:
            lines = bytes(changed).split(b"\n")
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            changed[:] = b"\n".join(lines)
        elif action == 5:
            lines = bytes(changed).split(b"\n")
            del lines[rng.randrange(len(lines))]
            changed[:] = b"\n".join(lines)
        else:
            numbers = list(re.finditer(rb"\d+", changed))
            if numbers:
                found = rng.choice(numbers)
                new = rng.choice((b"0", b"-1", b"2147483648", b"9" * 30, b"1e5", b"1.5", b"null", b'"x"', b"[]", b"{}"))
                changed[found.start() : found.end()] = new
    return bytes(changed)


def yaml_seeds(folder: Path) -> dict[str, bytes]:
    """Settings, a class table, a manifest and its list of items; and `set`, to which these belong."""
    if not (folder / "seed-set").exists():
        prepared_set(folder / "seed-set", train=2, val=1)
    shutil.rmtree(folder / "set", ignore_errors=True)
    shutil.copytree(folder / "seed-set", folder / "set")
    table = [
        {"id": c.id, "name": c.name, "colour": list(c.colour), "train_id": c.train_id, "category": c.category}
        for c in CITYSCAPES.classes[:12]
    ]
    lines = "".join(f"- {json.dumps(row)}\n" for row in table)
    return {
        "settings.yaml": to_yaml(resolve([])[0].to_dict()).encode(),
        "table.yaml": lines.encode(),
        "set/dataset.yaml": (folder / "set/dataset.yaml").read_bytes(),
        "set/train/items.jsonl": (folder / "set/train/items.jsonl").read_bytes(),
    }


def try_yaml(folder: Path, rng: random.Random, number: int) -> bool:
    """One broken text file, read as what it was."""
    seeds = yaml_seeds(folder)
    name = list(seeds)[number % len(seeds)]
    file = folder / name
    file.write_bytes(mutate_text(seeds[name], rng))
    if name == "settings.yaml":

        def work() -> None:
            settings, _ = resolve([Layer(str(file), *read_yaml(file))])
            again = folder / "again.yaml"
            again.write_text(to_yaml(settings.to_dict()))
            assert resolve([Layer("again", *read_yaml(again))])[0] == settings

    elif name == "table.yaml":

        def work() -> None:
            table = table_named(str(file))
            assert len(table.palette) == 256 and all(0 <= i <= 255 for i in table.ids) and str(table.train_names)

    else:
        if name == "set/dataset.yaml" and rng.random() < 0.7:
            vouch_for_manifest(file)

        def work() -> None:
            opened = PreparedSet.open(folder / "set")
            for split in opened.splits.values():
                assert all(array[-1].max() >= 0 for array in split.arrays.values())  # a map that is too long is a crash

    return attempt(work)


def vouch_for_manifest(file: Path) -> None:
    """Puts the right checksum into a broken manifest, so that what lies behind the check is reached."""
    from citygan.data.store import set_checksum
    from citygan.yamlfile import parse_yaml

    try:
        manifest, _ = parse_yaml(file.read_text(), "x")
        right = set_checksum(manifest)
    except Exception:  # too broken for a checksum
        return
    file.write_text(re.sub(r"checksum: .*", f'checksum: "{right}"', file.read_text()))


# checkpoints


def make_run(folder: Path) -> Path:
    """A tiny checkpoint, made once."""
    from citygan.recipes.views import View
    from citygan.train import checkpoint

    place = folder / "seed"
    if not place.exists():
        import torch

        from citygan.models.unet import UNet

        torch.manual_seed(0)
        arguments = {"in_channels": 3, "out_channels": 3, "width": 2, "depth": 4, "dropout": 0.5}
        network = UNet(**arguments)  # type: ignore[arg-type]
        state = {
            "step": 3, "model": "pix2pix", "use": "generator", "seed": 0, "score": 0.5, "inference": "paper",
            "networks": {"generator": {"name": "unet", "arguments": arguments}},
            "inputs": View("label", CITYSCAPES).to_dict(),
            "size": [32, 32], "settings": {"data": "x"}, "data": {"name": "x", "checksum": "0"},
        }  # fmt: skip
        checkpoint.save(place, {"generator": dict(network.state_dict())}, state)
    return place


def try_checkpoint(folder: Path, rng: random.Random, number: int) -> bool:
    """One broken checkpoint, loaded and used; half of them with checksums that vouch for what is broken."""
    import citygan
    from citygan.train import checkpoint

    seed, place = make_run(folder), folder / "checkpoint"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(seed, place)
    name = ("state.json", "generator.safetensors")[number % 2]
    file = place / name
    data = file.read_bytes()
    if name == "state.json" or rng.random() < 0.5:
        # of the tensors: the header, which is JSON
        length = len(data) if name == "state.json" else 8 + int.from_bytes(data[:8], "little")
        start = 0 if name == "state.json" else rng.choice((0, 8))
        data = data[:start] + mutate_text(data[start:length], rng) + data[length:]
    else:
        data = mutate(data, rng)
    file.write_bytes(data)
    if rng.random() < 0.6:
        try:
            record: dict[str, Any] = json.loads((place / "state.json").read_bytes())
            record.pop("sha256", None)
            tensors = (place / "generator.safetensors").read_bytes()
            if name != "state.json":
                record["files"]["generator"] = {"bytes": len(tensors), "sha256": hashlib.sha256(tensors).hexdigest()}
            record["sha256"] = checkpoint._digest(record)
            (place / "state.json").write_text(json.dumps(record))
        except Exception:  # too broken to vouch for
            pass
    label = np.full((16, 16), 7, np.uint8)

    def work() -> None:
        picture = citygan.load(place, device="cpu").translate(label)
        assert picture.dtype == np.uint8 and picture.shape[:2] == (16, 16)

    return attempt(work)


KINDS: dict[str, Callable[[Path, random.Random, int], bool]] = {
    "pictures": try_picture,
    "yaml": try_yaml,
    "checkpoints": try_checkpoint,
}


def fuzz(
    kind: str, numbers: range, seed: int, folder: Path, begun: Callable[[int], object] = lambda number: None
) -> int:
    """Tries the files of these numbers; returns how many were read as something valid.

    Raises:
        AssertionError: One led to anything but a valid result or an error of ours; its number is told.
    """
    valid = 0
    for number in numbers:
        begun(number)
        rng = random.Random(f"{kind} {seed} {number}")
        try:
            valid += KINDS[kind](folder, rng, number)
        except BaseException as problem:
            raise AssertionError(
                f"{kind} {number} of seed {seed}: {type(problem).__name__}: {problem!s:.500}"
            ) from problem
    return valid


def _child(kind: str, numbers: range, seed: int, folder: str, current: Any) -> None:
    import torch

    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libpng and libjpeg tell there what they think of each file

    def begun(number: int) -> None:
        current.value = number

    began = time.monotonic()
    try:
        valid = fuzz(kind, numbers, seed, Path(folder), begun)
    except AssertionError as problem:
        traceback.print_exc(file=sys.stdout)
        raise SystemExit(1) from problem
    seconds = time.monotonic() - began
    print(f"{len(numbers)} broken {kind}: {valid} could be read, the others were refused, no crash ({seconds:.0f} s)")


def in_a_child(kind: str, numbers: range, seed: int) -> bool:
    """The same in a process of its own, so that a crash is seen."""
    context = multiprocessing.get_context("spawn")
    current = context.Value("q", -1)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_child, args=(kind, numbers, seed, folder, current))
        process.start()
        process.join()
    if process.exitcode != 0:
        print(f"{kind}: exit {process.exitcode} at number {current.value}: --only {current.value} repeats it")
    return process.exitcode == 0


def main() -> int:
    """Runs as many as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="N", help=f"broken {kind}")
    parser.add_argument(
        "--kills", type=int, default=0, metavar="N", help="kills of a training, each followed by a resume"
    )
    parser.add_argument(
        "--crashes", action="store_true", help="kill the saving of a checkpoint at every change of the disk"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="that file alone, of the kinds asked for")
    given = parser.parse_args()
    fine = True
    for kind in KINDS:
        count = getattr(given, kind)
        if count:
            numbers = range(count) if given.only is None else range(given.only, given.only + 1)
            fine &= in_a_child(kind, numbers, given.seed)
    if given.kills or given.crashes:
        from tests.killing import can_trace, crash_save, kill_training

        with tempfile.TemporaryDirectory() as folder:
            if given.kills:
                kill_training(Path(folder, "kills"), given.kills, given.seed, print)
                print(f"{given.kills} kills, each resumed: the same weights, bit for bit")
            if given.crashes:
                reason = can_trace()
                print(
                    reason or f"{crash_save(Path(folder, 'crashes'), None, print)} crash points: the old or the new one"
                )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
