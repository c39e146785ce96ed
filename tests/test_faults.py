"""What must happen when something is wrong: one line that says what, where and the way out; and a rerun that works."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from citygan.building import check_device
from citygan.config import Layer, resolve
from citygan.data.labels import TABLES
from citygan.data.store import Item
from citygan.data.writer import SetWriter
from citygan.errors import MachineError
from citygan.files import write_json
from citygan.models.unet import UNet
from citygan.pictures import encode_png
from citygan.progress import Progress
from citygan.train import checkpoint
from tests.street import NARROW, TRAIN, Street, command, environment, hashes, labels
from tests.tiny import prepared_set

Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        by: The command.
        code: Its exit code.
        words: What its error line must hold.
        damage: Brings the fault about in the working folder.
        mend: Mends it; `again` then works.
        again: The command that works in the end; empty: `by`.
    """

    by: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    damage: Damage = lambda path: None
    mend: Damage | None = None
    again: tuple[str, ...] = ()


SHORT = (*TRAIN, "--steps", "1")
DRY = (*SHORT, "--dry-run")  # a rerun that costs little
CONFIG = (*SHORT, "--config", "s.yaml")
TRANSLATE = ("translate", "labels", "out")


def settings(text: str | bytes) -> Damage:
    return lambda path: (path / "s.yaml").write_bytes(text.encode() if isinstance(text, str) else text)


def bad_yaml(text: str | bytes, *words: str) -> Row:
    return Row(CONFIG, 2, ("s.yaml", *words), settings(text), settings("seed: 3\n"), (*CONFIG, "--dry-run"))


def bad_set(value: str, *words: str) -> Row:
    return Row((*SHORT, "--set", value), 2, words, again=DRY)


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh"))

SETTINGS = {
    "unknown key": bad_yaml("seed: 1\ntrain:\n  bacth: 2\n", "s.yaml:3", "bacth", "did you mean train.batch"),
    "unknown section": bad_yaml("generater:\n  width: 2\n", "s.yaml:2", "did you mean generator.width"),
    "dotted key": bad_yaml("train.batch: 2\n", "s.yaml:1", "line of its own"),
    "wrong type": bad_yaml("train:\n  batch: two\n", "s.yaml:2", "train.batch", "a whole number", "'two'"),
    "no is a word": bad_yaml("augment:\n  mirror: no\n", "s.yaml:2", "true or false", "'no'"),
    "a section that is a value": bad_yaml("train: 3\n", "s.yaml:1", "train"),
    "a value that is a section": bad_yaml("seed:\n  x: 1\n", "s.yaml:1", "seed", "a whole number"),
    "duplicate key": bad_yaml("seed: 1\nmodel: pix2pix\nseed: 2\n", "s.yaml:3", "'seed'"),
    "tag": bad_yaml("seed: !!python/object/apply:os.system ['touch bomb']\n", "s.yaml:1", "tags"),
    "alias bomb": bad_yaml(BOMB, "s.yaml:1", "aliases"),
    "deep nesting": bad_yaml("[" * 100_000, "s.yaml:1", "nested"),
    "empty": bad_yaml("", "nothing"),
    "only a comment": bad_yaml("# nothing\n", "nothing"),
    "list at top": bad_yaml("- seed\n", "got list"),
    "text at top": bad_yaml("seed\n", "got str"),
    "not utf-8": bad_yaml(b"seed: 1\nmodel: \xff\xfe\n", "s.yaml:2", "not UTF-8"),
    "control character": bad_yaml("seed: 1\nmodel: a\x00\n", "s.yaml:2", "not YAML"),
    "beyond unicode": bad_yaml('model: "\\UFFFFFFFF"\n', "not YAML"),
    "not yaml": bad_yaml("seed: 1\nmodel: [pix\n", "s.yaml:3", "not YAML"),
    "tabs": bad_yaml("train:\n\tbatch: 2\n", "s.yaml:2", "not YAML"),
    "two problems": bad_yaml("sead: 1\ntrain:\n  batch: 0\n", "s.yaml:1", "sead", "s.yaml:3", "train.batch"),
    "null where none may be": bad_yaml("seed:\n", "s.yaml:1", "seed", "a whole number"),
    "huge number": bad_yaml(f"seed: {'9' * 40}\n", "seed", "a whole number"),
    "settings that are a folder": Row(
        CONFIG, 2, ("s.yaml", "a folder"), lambda p: (p / "s.yaml").mkdir(), lambda p: (p / "s.yaml").rmdir(), DRY
    ),
    "no settings": Row(CONFIG, 2, ("s.yaml", "no such file"), mend=settings("seed: 3\n")),
    "a FIFO": Row(CONFIG, 2, ("s.yaml", "not a regular file"), lambda p: os.mkfifo(p / "s.yaml"), again=DRY),
    "NaN rate": bad_set("optimizer.rate=.nan", "optimizer.rate", "finite"),
    "infinite rate": bad_set("optimizer.rate=.inf", "optimizer.rate", "finite"),
    "negative rate": bad_set("optimizer.rate=-1e-4", "optimizer.rate", "above 0"),
    "zero rate": bad_set("optimizer.rate=0", "optimizer.rate", "above 0"),
    "batch 0": bad_set("train.batch=0", "train.batch", "at least 1"),
    "half a batch": bad_set("train.batch=1.5", "train.batch", "a whole number"),
    "no losses": bad_set("losses.lambda_l1=-1", "losses.lambda_l1", "from 0"),
    "enlarged beyond reason": bad_set("augment.jitter=0.5", "augment.jitter", "from 1"),
    "unknown generator": bad_set("generator.name=unnet", "unnet", "unet"),
    "unknown recipe": bad_set("recipe=pix3pix", "pix3pix", "pix2pix"),
    "unknown choice": bad_set("train.precision=fp16", "train.precision", "float32, bf16"),
    "no equals sign": bad_set("train.batch", "KEY=VALUE", "--set"),
    "no key": bad_set("=1", "KEY=VALUE", "--set"),
    "steps twice": Row((*SHORT, "--epochs", "1"), 2, ("--steps", "--epochs"), again=DRY),
    "NaN epochs": Row((*TRAIN, "--epochs", "nan"), 2, ("train.epochs", "finite"), again=DRY),
    "negative steps": Row((*TRAIN, "--steps", "-3"), 2, ("train.steps", "at least 1"), again=DRY),
    "unknown flag": Row((*SHORT, "--stepz", "1"), 2, ("--stepz", "--help"), again=DRY),
    "half a step": Row((*TRAIN, "--steps", "5.5"), 2, ("--steps: expected a whole number, got '5.5'",), again=DRY),
    "unknown command": Row(("trian",), 2, ("Did you mean 'train'? citygan --help",), again=("models",)),
    "unknown model": Row((*SHORT, "--model", "pix2pixx"), 2, ("pix2pixx", "Did you mean pix2pix?"), again=DRY),
    "unknown set": Row(("train", "--data", "tyni"), 2, ("tyni", "There are: tiny"), again=DRY),
    "unknown run": Row((*TRANSLATE, "--run", "b"), 2, ("'b'", "There are: a"), again=TRANSLATE),
    "unknown checkpoint": Row((*TRANSLATE, "--checkpoint", "7"), 2, ("'7'", "last, best, 2, 3"), again=TRANSLATE),
    "unknown mode": Row((*TRANSLATE, "--mode", "x"), 2, ("--mode", "deterministic"), again=TRANSLATE),
    "unknown table": Row((*TRANSLATE, "--classes", "x"), 2, ("x", "camvid11"), again=TRANSLATE),
    "unknown suffix": Row((*TRANSLATE, "--suffix", ".tif"), 2, (".tif", ".png"), again=TRANSLATE),
    "unknown metric": Row(("evaluate", "--metric", "sim"), 2, ("sim", "ssim"), again=("evaluate", "--metric", "ssim")),
    "unknown split": Row(("evaluate", "--split", "x"), 2, ("'x'", "train, val"), again=("evaluate",)),
    "unknown device": Row((*TRANSLATE, "--device", "gpu"), 2, ("'gpu'", "cuda:N"), again=TRANSLATE),
    "negative seed": Row((*TRANSLATE, "--seed", "-1"), 2, ("--seed",), again=TRANSLATE),
    "only an output": Row(("translate", "out"), 2, ("an input and an output",), again=TRANSLATE),
    "a bad tile": Row((*TRANSLATE, "--tile", "5x5"), 2, ("--tile", "at least 128"), again=TRANSLATE),
    "run exists": Row((*SHORT, "--name", "a"), 2, ("exists already", "--resume a"), again=(*SHORT, "--name", "b")),
    "no name": Row((*SHORT, "--name", "../b"), 2, ("--name",), again=DRY),
    "resume and name": Row(("train", "--resume", "a", "--name", "b"), 2, ("--resume",), again=DRY),
    "no run to resume": Row(("train", "--resume", "b"), 2, ("'b'", "There are: a"), again=DRY),
    "already finished": Row(("train", "--resume", "a"), 2, ("already finished", "--steps 6"),
                            again=("train", "--resume", "a", "--steps", "4")),
    "fewer steps than done": Row(("train", "--resume", "a", "--steps", "2"), 2, ("already at step 3", "--steps 5"),
                                 again=("train", "--resume", "a", "--steps", "4")),
}  # fmt: skip


def fill_out(path: Path) -> None:
    (path / "out").mkdir()
    (path / "out" / "0.png").write_bytes(b"mine")
    (path / "out" / "notes.txt").write_bytes(b"mine too")


OUTPUTS = {
    "output inside input": Row(("translate", "labels", "labels/out"), 2, ("labels/out", "within"), again=TRANSLATE),
    "output is input": Row(("translate", "labels", "labels"), 2, ("labels", "within"), again=TRANSLATE),
    "output is input by a link": Row(
        ("translate", "labels", "l"), 2, ("within",), lambda p: (p / "l").symlink_to(p / "labels"), again=TRANSLATE
    ),
    "output is an input file": Row(
        ("translate", "labels/0.png", "labels"), 2, ("overwrite an input", "labels/0.png"), again=TRANSLATE
    ),
    "output inside a prepared set": Row(
        ("translate", "data/tiny", "data/tiny/out"), 2, ("within",), again=("translate", "data/tiny", "out")
    ),
    "output exists": Row(
        TRANSLATE, 2, ("1 output exists already, out/0.png. --force", "--missing"), fill_out,
        again=(*TRANSLATE, "--force"),
    ),
    "output is a file": Row(
        TRANSLATE, 2, ("out",), lambda p: (p / "out").write_bytes(b"x"), lambda p: (p / "out").unlink()
    ),
    "no input": Row(("translate", "lables", "out"), 3, ("lables", "no such file", "mean labels?"), again=TRANSLATE),
    "no set": Row(("translate", "tinyy", "out"), 3, ("or prepared set, tinyy. Did you mean tiny?",), again=TRANSLATE),
    "a choice among one checkpoint": Row(
        (*TRANSLATE, "--run", "runs/a/checkpoints/00000002", "--checkpoint", "best"), 2,
        ("--checkpoint cannot choose",),
        again=(*TRANSLATE, "--run", "runs/a/checkpoints/00000002"),
    ),
    "no such split": Row(
        ("translate", "tiny", "out", "--split", "tset"), 2, ("no split 'tset'", "--split train or --split val"),
        again=("translate", "tiny", "out", "--split", "train"),
    ),
    "empty input": Row(
        ("translate", "e", "out"), 3, ("e", "no pictures"), lambda p: (p / "e").mkdir(), again=TRANSLATE
    ),
    "equal stems": Row(
        TRANSLATE, 2, ("0.png", "0.bmp"), lambda p: shutil.copy(p / "labels/0.png", p / "labels/0.bmp"),
        lambda p: (p / "labels/0.bmp").unlink(),
    ),
    "a figure file that exists": Row(
        ("evaluate", "--per-image", "f.csv"), 2, ("f.csv", "--force"), lambda p: (p / "f.csv").write_text("mine"),
        again=("evaluate", "--per-image", "f.csv", "--force"),
    ),
    "a place that may not be written": Row(
        ("translate", "labels", "/sys/citygan"), 5, ("/sys/citygan",), again=TRANSLATE
    ),
    "a split of no set": Row((*TRANSLATE, "--split", "val"), 2, ("--split",), again=TRANSLATE),
}  # fmt: skip


def newest(path: Path) -> Path:
    return path / "runs/a/checkpoints/00000003"


def cut(name: str, size: int) -> Damage:
    return lambda path: os.truncate(newest(path) / name, size)


def flip(name: str, place: float = 0.7) -> Damage:
    def change(path: Path) -> None:
        file = newest(path) / name
        data = bytearray(file.read_bytes())
        data[int(len(data) * place)] ^= 1
        file.write_bytes(bytes(data))

    return change


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def rewrite(change: Callable[[dict[str, dict[str, torch.Tensor]], dict[str, Any]], object]) -> Damage:
    """A whole checkpoint with other contents: the checksums are right."""

    def write(path: Path) -> None:
        state = checkpoint.read_state(newest(path))
        parts = {name: checkpoint.read_part(newest(path), state, name) for name in state["files"]}
        change(parts, state)
        checkpoint.save(newest(path), parts, {key: v for key, v in state.items() if key not in ("files", "format")})

    return write


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("bomb"),))


def plant_pickle(path: Path) -> None:
    """A checkpoint whose record vouches for a pickle that would run code."""
    data = pickle.dumps(_Bomb())
    record = checkpoint.read_state(newest(path))
    (newest(path) / "generator.safetensors").write_bytes(data)
    record["files"]["generator"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_json(newest(path) / "state.json", {**record, "sha256": checkpoint._digest(record)})


def newer_version(path: Path) -> None:
    record = checkpoint.read_state(newest(path))
    record["format"] = 99
    write_json(newest(path) / "state.json", {**record, "sha256": checkpoint._digest(record)})


def poison(parts: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
    parts["generator"]["up.0.weight"].view(-1)[0] = float("nan")


def lose_optimizer(parts: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
    del parts["optimizer-generator"]


def other_width(parts: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
    parts["generator"] = dict(UNet(3, 3, width=6, depth=5).state_dict())


def other_architecture(parts: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
    parts["generator"] = {"layer.weight": torch.zeros(1)}


def giant(parts: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
    state["networks"]["generator"]["arguments"]["width"] = 100_000


def no_discriminator(path: Path) -> None:
    (newest(path) / "discriminator.safetensors").unlink()


EARLIER = (*TRANSLATE, "--checkpoint", "2")
GO_ON = ("train", "--resume", "a", "--steps", "4")


def damaged(damage: Damage, *words: str) -> Row:
    return Row(TRANSLATE, 6, ("runs/a", *words), damage, again=EARLIER)


CHECKPOINTS = {
    "zero bytes": damaged(cut("generator.safetensors", 0), "generator.safetensors", "0 bytes"),
    "truncated": damaged(cut("generator.safetensors", 1000), "generator.safetensors", "1000 bytes", "cut short"),
    "a flipped byte": damaged(flip("generator.safetensors"), "generator.safetensors", "checksum"),
    "record of zero bytes": damaged(cut("state.json", 0), "state.json", "JSON"),
    "truncated record": damaged(cut("state.json", 700), "state.json", "JSON"),
    "a digit flipped in the record": damaged(
        lambda p: replace(newest(p) / "state.json", "128", "129"), "state.json", "checksum"
    ),
    "a record that is no object": damaged(lambda p: (newest(p) / "state.json").write_text("[]"), "state.json"),
    "NaN in the record": damaged(lambda p: (newest(p) / "state.json").write_text('{"a": NaN}'), "state.json", "NaN"),
    "a pickle": damaged(plant_pickle, "generator.safetensors", "not a safetensors file"),
    "a newer version": damaged(newer_version, "newer citygan", "99", "pip install"),
    "NaN weights": damaged(rewrite(poison), "up.0.weight", "not finite"),
    "other width": damaged(rewrite(other_width), "down.0.weight", "(6, 3, 4, 4)", "(4, 3, 4, 4)"),
    "other architecture": damaged(rewrite(other_architecture), "down.0.weight", "layer.weight"),
    "a record that claims a giant": damaged(rewrite(giant), "down.0.weight", "(100000, 3, 4, 4)"),
    "a record without a generator": damaged(
        rewrite(lambda parts, state: state.pop("networks")), "does not describe a generator"
    ),
    "parts missing on resume": Row(GO_ON, 6, ("runs/a", "optimizer-generator"), rewrite(lose_optimizer), again=EARLIER),
    "no window on resume": Row(
        GO_ON, 6, ("runs/a", "window"), rewrite(lambda parts, state: state.pop("window")), again=EARLIER
    ),
    "another width on resume": Row(
        (*GO_ON, "--set", "generator.width=6"), 6, ("runs/a", "(4, 3, 4, 4)", "(6, 3, 4, 4)"), again=GO_ON
    ),
    "other data on resume": Row(
        (*GO_ON, "--data", "other"), 6, ("data/other", "not those of the run", "tiny"),
        lambda p: prepared_set(p / "data/other", seed=5), again=GO_ON,
    ),
    "data of another size on resume": Row(
        (*GO_ON, "--data", "other"), 6, ("data/other", "not those of the run", "tiny"),
        lambda p: prepared_set(p / "data/other", size=(60, 36)), again=GO_ON,
    ),
    "start from another width": Row(
        (*SHORT, "--init", "a", "--set", "generator.width=6", "--name", "b"), 6, ("runs/a", "(6, 3, 4, 4)"),
        again=(*SHORT, "--init", "a", "--name", "b"),
    ),
    "start from no run": Row((*SHORT, "--init", "x"), 2, ("'x'", "There are: a"), again=(*SHORT, "--init", "a")),
    "other classes": Row(
        ("translate", "data/camvid", "out"), 3, ("camvid11", "cityscapes"), lambda p: camvid_set(p / "data/camvid"),
        again=TRANSLATE,
    ),
    "evaluated on other classes": Row(
        ("evaluate", "--data", "camvid"), 3, ("camvid11", "cityscapes"), lambda p: camvid_set(p / "data/camvid"),
        again=("evaluate",),
    ),
}  # fmt: skip


def camvid_set(path: Path) -> None:
    from citygan.data.labels import CAMVID11
    from citygan.data.store import Item
    from citygan.data.writer import SetWriter

    writer = SetWriter(path, size=(32, 32), plan={})
    for split in ("train", "val"):
        label, photo = np.full((32, 32), 3, np.uint8), np.zeros((32, 32, 3), np.uint8)
        writer.split(split).append(Item("x", {}, (32, 32)), label=label, photo=photo)
    writer.finish({"source": "test", "photo_channels": 3, "classes": CAMVID11.to_dict()})


def manifest(old: str, new: str) -> Damage:
    return lambda path: replace(path / "data/tiny/dataset.yaml", old, new)


def restore(path: Path) -> None:
    shutil.rmtree(path / "data/tiny", ignore_errors=True)
    shutil.rmtree(path / "data/.tiny.partial", ignore_errors=True)
    prepared_set(path / "data/tiny")


def damaged_set(damage: Damage, *words: str) -> Row:
    return Row(SHORT, 6, ("data/tiny", *words), damage, restore)


SETS = {
    "shorter than its manifest": damaged_set(lambda p: os.truncate(p / "data/tiny/train/photo.npy", 999), "999 bytes"),
    "no manifest": damaged_set(lambda p: (p / "data/tiny/dataset.yaml").unlink(), "dataset.yaml"),
    "empty manifest": damaged_set(lambda p: os.truncate(p / "data/tiny/dataset.yaml", 0), "dataset.yaml"),
    "cut manifest": damaged_set(lambda p: os.truncate(p / "data/tiny/dataset.yaml", 800), "dataset.yaml"),
    "another version": damaged_set(manifest("version: 1", "version: 2"), "newer citygan"),
    "a split that leads out": damaged_set(manifest("  train:", "  ../x:"), "leads elsewhere"),
    "an absolute split": damaged_set(manifest("  train:", "  /etc:"), "leads elsewhere"),
    "a control character": damaged_set(manifest("  train:", '  "tr\\nain":'), "leads elsewhere"),
    "an edited table": damaged_set(manifest("[128, 64, 128]", "[128, 64, 129]"), "edited"),
    "not a set": Row(
        ("train", "--data", "labels"), 2, ("labels", "citygan prepare labels"), again=SHORT,
    ),
    "evaluated without its set": Row(
        ("evaluate",), 2, ("tiny", "--data"), lambda p: shutil.rmtree(p / "data/tiny"), restore
    ),
}  # fmt: skip

ROWS = {**SETTINGS, **OUTPUTS, **CHECKPOINTS, **SETS}


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_is_told_and_the_rerun_works(street: Street, name: str) -> None:
    row = ROWS[name]
    row.damage(street.path)
    runs = set(os.listdir("runs"))
    result = street.refused(row.code, *row.words, by=row.by)
    assert set(os.listdir("runs")) == runs, "a refused training left a run behind"
    assert row.by[0] != "train" or not result.out
    assert not (street.path / "bomb").exists()
    if row.mend is not None:
        row.mend(street.path)
    street.done(*(row.again or row.by))


def test_what_is_written_again_is_what_was_asked_for(street: Street) -> None:
    fill_out(street.path)
    street.done(*TRANSLATE, "--missing")
    assert (street.path / "out/0.png").read_bytes() == b"mine"
    assert (street.path / "out/1.png").is_file()
    result = street.done(*TRANSLATE, "--force")
    assert sorted(result.paths) == ["out/0.png", "out/1.png"]
    assert (street.path / "out/0.png").read_bytes() != b"mine"
    assert (street.path / "out/notes.txt").read_bytes() == b"mine too"  # unknown files are never deleted


# pictures in translate


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def encoded(array: np.ndarray, suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, array)[1])


PICTURES: dict[str, tuple[Damage, str]] = {
    "zero bytes": (lambda p: write(p / "labels/bad.png", b""), "labels/bad.png"),
    "truncated": (lambda p: write(p / "labels/bad.png", (p / "labels/0.png").read_bytes()[:-20]), "labels/bad.png"),
    "a flipped byte": (
        lambda p: write(p / "labels/bad.png", (p / "labels/0.png").read_bytes()[:-30] + b"x" * 30), "labels/bad.png"
    ),
    "text": (lambda p: write(p / "labels/bad.png", b"<html>not found</html>"), "labels/bad.png"),
    "an LFS pointer": (
        lambda p: write(p / "labels/bad.png", b"version https://git-lfs.github.com/spec/v1\noid"), "labels/bad.png"
    ),
    "a JPEG label": (
        lambda p: write(p / "labels/bad.png", encoded(np.full((32, 32), 7, np.uint8), ".jpg")), "Lossy compression"
    ),
    "unknown ids": (
        lambda p: write(p / "labels/bad.png", encode_png(np.array([[7, 200], [200, 99]], np.uint8))), "99"
    ),
    "unknown colours": (
        lambda p: write(p / "labels/bad.png", encode_png(np.full((4, 4, 3), (78, 79, 80), np.uint8))),
        "colours",
    ),
    "16 bits of instances": (
        lambda p: write(p / "labels/bad.png", encode_png(np.full((4, 4), 26001, np.uint16))), "26001"
    ),
    "a claim of 50,000 squared": (lambda p: write(p / "labels/bad.png", huge_header()), "50000"),
    "a FIFO": (lambda p: os.mkfifo(p / "labels/bad.png"), "not a regular file"),
    "a device": (lambda p: (p / "labels/bad.png").symlink_to("/dev/zero"), "not a regular file"),
    "a folder": (lambda p: (p / "labels/bad.png").mkdir(), "a folder"),
    "a broken link": (lambda p: (p / "labels/bad.png").symlink_to("nowhere"), "a link to nowhere"),
}  # fmt: skip


def huge_header() -> bytes:
    data = bytearray(encode_png(np.zeros((4, 4), np.uint8)))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("name", PICTURES)
def test_a_bad_picture_is_named_and_the_rest_done(street: Street, name: str) -> None:
    damage, words = PICTURES[name]
    damage(street.path)
    result = street.refused(4, "1 of 3 pictures failed", by=TRANSLATE)
    named = [line for line in result.err.splitlines() if "labels/bad.png" in line]
    assert len(named) == 1 and named[0].startswith("error: ") and words in named[0], result.err
    assert result.paths == ["out/0.png", "out/1.png"]
    assert sorted(os.listdir("out")) == ["0.png", "1.png"]
    bad = street.path / "labels/bad.png"
    bad.rmdir() if bad.is_dir() and not bad.is_symlink() else bad.unlink()
    shutil.copy("labels/0.png", bad)
    assert street.done(*TRANSLATE, "--missing").paths == ["out/bad.png"]


def test_with_nothing_but_bad_pictures_nothing_is_done(street: Street) -> None:
    for name in ("0.png", "1.png"):
        (street.path / "labels" / name).write_bytes(b"")
    street.refused(3, "none of 2 pictures", by=TRANSLATE)
    labels(street.path / "labels")
    street.done(*TRANSLATE)


def test_many_faults_of_one_cause_are_told_together(street: Street) -> None:
    for i in range(10, 22):
        write(street.path / f"labels/{i}.png", encode_png(np.array([[7, 90 + i], [7, 7]], np.uint8)))
    write(street.path / "labels/30.png", b"")
    result = street.refused(4, "13 of 15 pictures failed", "all by --json", by=TRANSLATE)
    told = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(told) == 6 and sum("labels/30.png" in line for line in told) == 1
    assert told[-2].endswith("): labels/13.png, labels/14.png, labels/15.png, labels/16.png, labels/17.png and 4 more")
    assert len(json.loads(street.run(*TRANSLATE, "--missing", "--json").out)["failed"]) == 13
    for i in range(18, 22):
        (street.path / f"labels/{i}.png").unlink()
    street.refused(4, "each named above", by=(*TRANSLATE, "--force"))
    for name in ("0.png", "1.png"):
        (street.path / "labels" / name).unlink()
    street.refused(
        3, "none of 9 pictures", "takes label maps by the class table cityscapes", by=("translate", "labels", "o")
    )


def test_ids_are_told_with_their_counts_and_first_pixel(street: Street) -> None:
    write(street.path / "labels/bad.png", encode_png(np.array([[7, 200], [200, 99]], np.uint8)))
    line = next(line for line in street.run(*TRANSLATE).err.splitlines() if "bad.png" in line)
    assert "200" in line and "2 pixels" in line and "99" in line and "1 pixel" in line and "cityscapes" in line


def test_only_tables_that_the_run_can_be_given_are_named(street: Street) -> None:
    label, table = np.kron(np.array([[0, 1], [3, 5]], np.uint8), np.ones((16, 16), np.uint8)), TABLES["camvid11"]
    writer = SetWriter(Path("data/cam"), size=(32, 32), plan={})
    writer.split("train").append(Item("x", {}, (32, 32)), photo=table.palette[label], label=label)
    writer.finish({"photo_channels": 3, "classes": table.to_dict()})
    street.done("train", "--data", "cam", *NARROW, "--steps", "1", "--name", "cam")
    told = street.run("translate", "labels", "o1", "--run", "cam").err
    assert "They fit cityscapes or camvid32, but the run was trained on other classes (camvid11)" in told
    assert "try --classes" not in told
    write(street.path / "ids.png", encode_png(np.array([[7, 26]], np.uint8)))
    told = street.run("translate", "ids.png", "o2", "--run", "a", "--classes", "cityscapes19").err
    assert "They fit cityscapes: leave --classes out" in told


NAMES = ["a b", "straße 東京", "line\nbreak", "-n", "%04d", "[a]", "quo'te\"", "tab\t", "back\\slash", "é", "x.y"]


def test_any_name_comes_out_the_same(street: Street) -> None:
    names = [os.fsencode(name) for name in NAMES] + [b"latin-\xe9"]
    picture = (street.path / "labels/0.png").read_bytes()
    for place, name in enumerate(names):
        folder = os.fsencode(street.path / "in") + (b"/deep " + name if place % 2 else b"")
        os.makedirs(folder, exist_ok=True)
        write(Path(os.fsdecode(folder + b"/" + name + b".png")), picture)
    write(Path("in/bad \x1b[31m\n.png"), b"")
    result = street.refused(4, "1 of 13", by=("translate", "in", "ou t"))
    assert "\x1b" not in result.err and "\\x1b[31m\\n.png" in result.err
    for folder, _, inside in os.walk(b"in"):
        for name in inside:
            if name.startswith(b"bad"):
                continue
            out = Path(os.fsdecode(folder.replace(b"in", b"ou t", 1) + b"/" + name))
            assert out.is_file(), out
    assert "ou t/latin-" not in result.err
    # one at a time, as files; a name with a leading dash after --
    (street.path / "-n.png").write_bytes(picture)
    assert street.done("translate", "--", "-n.png", "-out").paths == ["-out/-n.png"]
    assert street.done("translate", "in/line\nbreak.png", "o2").out == "o2/line\nbreak.png\n"


def test_a_prepared_set_is_known_by_its_name_too(street: Street) -> None:
    result = street.done("translate", "tiny", "out")
    assert result.paths == ["out/val000.png", "out/val001.png"] and "translating data/tiny, split val" in result.err
    again = street.done("translate", "tiny", "out", "--missing")
    assert again.out == "" and "all there already (2 pictures): nothing to do" in again.err
    assert "existing files are left as they are, whichever run made them" in again.err
    assert "all there already" in street.done("translate", "data/tiny", "out", "--missing").err
    other = street.done("translate", "tiny", "train", "--split", "train").err.splitlines()[-1]
    assert other == "next: citygan evaluate --metric ssim --split train"
    # a file or folder of that name goes before
    shutil.copytree("labels", "tiny")
    assert street.done("translate", "tiny", "o2").paths == ["o2/0.png", "o2/1.png"]


def test_label_maps_for_a_run_of_pictures_are_told(street: Street) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    flat = np.kron(np.array([[7, 90], [11, 40]], np.uint8), np.ones((16, 16), np.uint8))[..., None].repeat(3, 2)
    for name, source in (("noise", picture), ("flat", flat)):
        writer = SetWriter(Path("data") / name, size=(32, 32), plan={})
        writer.split("train").append(Item("x", {}, (32, 32)), photo=picture, source=source)
        writer.finish({"photo_channels": 3, "source_channels": 3, "classes": None})
        street.done("train", "--data", name, *NARROW, "--steps", "1", "--name", name)
    warned = street.done("translate", "labels", "out", "--run", "noise")
    assert warned.err.count("warning: labels/0.png looks like a label map") == 1 and "1.png looks" not in warned.err
    assert len(warned.paths) == 2
    assert "looks like" not in street.done("translate", "labels", "o2", "--run", "flat").err
    assert "looks like" not in street.done("translate", "noise", "o3", "--run", "noise", "--split", "train").err


def test_where_nothing_can_be_scored_no_command_is_proposed(street: Street) -> None:
    shutil.rmtree("data/tiny")
    assert "next: " not in street.done(*TRANSLATE).err


def test_links_are_followed_once(street: Street) -> None:
    (street.path / "labels/loop").symlink_to(street.path / "labels")
    (street.path / "labels/2.png").symlink_to(street.path / "labels/0.png")
    assert street.done(*TRANSLATE).paths == ["out/0.png", "out/1.png", "out/2.png"]


def test_paths_are_taken_from_stdin(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("list", "w") as file:
        file.write("labels/1.png\n\nnone.png\nlabels\n")
    with open("list") as file:
        monkeypatch.setattr("sys.stdin", file)
        result = street.refused(4, "2 of 3", by=("translate", "-", "out"))
    assert result.paths == ["out/1.png"]


# evaluate


@pytest.fixture
def folders(street: Street) -> Street:
    for name in ("fake", "real"):
        (street.path / name).mkdir()
        for i in range(2):
            write(street.path / name / f"{i}.png", encode_png(np.full((16, 16, 3), 50 * i + 7, np.uint8)))
    return street


def empty_fake(path: Path) -> None:
    shutil.rmtree(path / "fake")
    (path / "fake").mkdir()


FOLDERS: dict[str, tuple[Damage, tuple[str, ...], int]] = {
    "a picture less": (lambda p: (p / "fake/1.png").unlink(), ("1", "only in real"), 3),
    "a picture more": (lambda p: shutil.copy(p / "fake/1.png", p / "fake/2.png"), ("2", "only in fake"), 3),
    "another size": (
        lambda p: write(p / "fake/1.png", encode_png(np.zeros((16, 18, 3), np.uint8))),
        ("fake/1.png is 18x16", "real/1.png is 16x16"), 3,
    ),
    "a damaged one": (lambda p: os.truncate(p / "real/1.png", 40), ("real/1.png",), 3),
    "no pictures": (empty_fake, ("fake", "no pictures"), 3),
    "no folder": (lambda p: shutil.rmtree(p / "fake"), ("fake", "no such folder"), 3),
    "two of one name": (lambda p: shutil.copy(p / "real/1.png", p / "real/1.bmp"), ("1.bmp", "1.png"), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_part_is_never_scored(folders: Street, name: str) -> None:
    damage, words, code = FOLDERS[name]
    by = ("evaluate", "--fake", "fake", "--real", "real", "--per-image", "f.csv")
    shutil.copytree("fake", "whole/fake")
    shutil.copytree("real", "whole/real")
    damage(folders.path)
    result = folders.refused(code, *words, by=by)
    assert result.out == "" and not Path("f.csv").exists()
    for side in ("fake", "real"):
        shutil.rmtree(side, ignore_errors=True)
        shutil.copytree(f"whole/{side}", side)
    folders.done(*by)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (("--fake", "fake"), ("--fake and --real",)),
        (("--fake", "fake", "--real", "real", "--split", "val"), ("--split",)),
        (("--labels", "labels"), ("--labels",)),
        (("--mode", "x"), ("--mode", "running")),
    ],
)
def test_flags_of_evaluate_that_do_not_go_together(
    folders: Street, by: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folders.refused(2, *words, by=("evaluate", *by))


# checkpoints on resume


@pytest.mark.parametrize(
    "damage",
    [
        cut("generator.safetensors", 0),
        flip("optimizer-generator.safetensors"),
        flip("state.json", 0.4),
        no_discriminator,
    ],
    ids=["zero bytes", "a flipped byte", "a flipped byte in the record", "a part less"],
)
def test_a_resume_takes_the_newest_whole_checkpoint(street: Street, damage: Damage) -> None:
    damage(street.path)
    result = street.done(*GO_ON)
    assert "warning: passed over" in result.err and "resuming runs/a at step 2" in result.err
    assert checkpoint.check_whole(newest(street.path))["step"] == 3  # made anew
    street.done(*TRANSLATE)


def test_without_any_whole_checkpoint_nothing_starts_afresh(street: Street) -> None:
    for folder in (street.path / "runs/a/checkpoints").iterdir():
        os.truncate(folder / "generator.safetensors", 5)
    street.refused(6, "no whole checkpoint", "generator.safetensors", by=GO_ON)


def test_what_is_not_as_it_was_is_named_on_resume(street: Street) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        changed = ("--batch", "2", "--seed", "4", "--set", "augment.jitter=1.0", "--set", "train.precision=bf16")
        result = street.done(*GO_ON, *changed, "--set", "train.log_every_steps=2")
    finally:
        torch.set_num_threads(before)
    assert "warning: threads: 1 then, 2 now: the result will not repeat bit for bit" in result.err
    assert "warning: batch: 1 then, 2 now" in result.err
    assert "warning: seed: 0 then, 4 now: from here on it learns otherwise" in result.err
    assert "warning: augment.jitter: 1.1171875 then, 1.0 now" in result.err
    assert "warning: train.precision: float32 then, bf16 now: the result will not repeat" in result.err
    assert "log_every_steps" not in result.err and "train.steps" not in result.err
    assert "warning" not in street.done("train", "--resume", "a", "--steps", "5", "--device", "cpu").err.replace(
        "warning: threads", ""
    )


# prepared sets


def test_a_set_that_was_interrupted_is_refused(street: Street) -> None:
    (street.path / "data/tiny").rename(street.path / "data/.tiny.partial")
    result = street.run(*SHORT)
    assert result.code == 6 and "interrupted" in result.error and "same prepare again" in result.error
    restore(street.path)
    street.done(*SHORT)


def test_a_set_may_be_moved_and_read_only(street: Street) -> None:
    place = street.path / "else where" / "the sét"
    place.parent.mkdir()
    (street.path / "data/tiny").rename(place)
    for file in [place, *place.rglob("*")]:
        file.chmod(0o555 if file.is_dir() else 0o444)
    before = hashes(place)
    try:
        street.done("train", "--data", place, *NARROW, "--steps", "1", "--name", "b")
        street.done("train", "--resume", "b", "--steps", "2")  # the run knows where it lies
        street.done("evaluate", "--run", "b")
    finally:
        for file in [place, *place.rglob("*")]:
            file.chmod(0o755)
    assert hashes(place) == before


# the machine


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("by", [SHORT, TRANSLATE, ("evaluate",)])
def test_cuda_without_a_gpu_is_said_before_any_work(street: Street, by: tuple[str, ...]) -> None:
    street.refused(5, "no CUDA device", "--device", by=(*by, "--device", "cuda"))
    assert not Path("out").exists()
    assert {name for name in os.listdir("runs") if not name.startswith(".")} == {"a", "last"}


def test_what_a_device_cannot_do_is_said_before_any_work(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    street.refused(5, "no CUDA graphs", by=(*SHORT, "--set", "train.cuda_graphs=true", "--device", "cpu"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(MachineError, match="no bfloat16"):
        check_device(resolve([Layer("x", {"train": {"precision": "bf16"}})])[0], torch.device("cuda"), 1)


@contextmanager
def little_space(limit: int) -> Iterator[None]:
    """Files cannot grow beyond `limit` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_space_for_a_checkpoint(street: Street) -> None:
    whole = hashes(street.path / "runs/a/checkpoints")
    with little_space(20_000):  # enough for settings and log
        result = street.run("train", "--resume", "a", "--steps", "5")
    assert result.code == 5 and "no space" in result.error and "needed" in result.error and "free" in result.error
    assert "runs/a/checkpoints/00000004" in result.error
    street.check_clean()
    assert hashes(street.path / "runs/a/checkpoints") == whole
    street.done("train", "--resume", "a", "--steps", "5")


def test_no_space_for_an_output(street: Street) -> None:
    with little_space(300):
        result = street.run(*TRANSLATE)
    assert result.code == 5 and "no space" in result.error and "needed" in result.error and "out/0.png" in result.error
    street.check_clean()
    assert not os.listdir("out")
    street.done(*TRANSLATE)
    with little_space(30):
        result = street.run("evaluate", "--per-image", "f.csv")
    assert result.code == 5 and "no space" in result.error and not Path("f.csv").exists()
    street.check_clean()


HOLDER = "import sys, time; from pathlib import Path; from citygan.files import lock\n" \
    "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip


def test_a_second_training_in_one_folder_is_refused_at_once(street: Street) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "runs/a"], env=environment(), stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        began = time.monotonic()
        street.refused(5, f"process {first.pid}", "runs/a", by=GO_ON)
        assert time.monotonic() - began < 1
        first.send_signal(signal.SIGKILL)
    street.done(*GO_ON)


def out_of_memory_above(pictures: int) -> Callable[[UNet, torch.Tensor], torch.Tensor]:
    forward = UNet.forward

    def limited(self: UNet, x: torch.Tensor) -> torch.Tensor:
        if len(x) > pictures:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nmore lines")
        return forward(self, x)

    return limited


def test_out_of_memory_takes_a_smaller_batch_and_the_picture_stays(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy("labels/0.png", "labels/2.png")
    street.done("translate", "labels", "plain", "--batch", "3")
    monkeypatch.setattr(UNet, "forward", out_of_memory_above(1))
    result = street.done("translate", "labels", "out", "--batch", "3")
    assert "not enough memory" in result.err and "going on with 1" in result.err
    assert hashes(street.path / "plain") == hashes(street.path / "out")
    monkeypatch.setattr(UNet, "forward", out_of_memory_above(0))
    street.refused(5, "not enough memory", "32x32", "--tile", by=("translate", "labels", "out2"))
    street.refused(5, "not enough memory", "--tile", by=("evaluate",))


def test_out_of_memory_with_tiles_says_a_smaller_one(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UNet, "forward", out_of_memory_above(0))
    said = ("not enough memory for a tile of 512x128", "--tile 256x128 takes less")
    street.refused(5, *said, by=("translate", "labels", "tiled", "--tile", "512x128"))
    street.refused(5, "a tile of 128x128", "the smallest", by=("translate", "labels", "tiled", "--tile", "128"))


def test_out_of_memory_in_train_says_what_to_lower(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UNet, "forward", out_of_memory_above(1))
    result = street.refused(5, "20.00 MiB", "train.batch", "train.accumulate", by=(*SHORT, "--batch", "2"))
    assert "more lines" not in result.err
    street.done(*SHORT, "--batch", "1")


# in time


def test_a_loss_that_is_not_finite_stops_before_the_step(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    from citygan.losses import RECONSTRUCTION
    from citygan.losses.reconstruction import l1

    whole = hashes(street.path / "runs/a/checkpoints")
    calls = []

    def poisoned(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        loss = (fake - real).abs().mean()
        return loss * float("nan") if len(calls) == 2 else loss

    monkeypatch.setitem(RECONSTRUCTION, "l1", poisoned)
    result = street.run("train", "--resume", "a", "--steps", "9")
    assert result.code == 7 and "not finite at step 5" in result.error and "g_l1 nan" in result.error
    street.check_clean()
    monkeypatch.setitem(RECONSTRUCTION, "l1", l1)
    after = hashes(street.path / "runs/a/checkpoints")
    assert {name: after[name] for name in whole if name.startswith("00000003")}.items() <= whole.items()
    assert checkpoint.check_whole(street.path / "runs/a/checkpoints/00000004")["step"] == 4
    record = Path("runs/a/diverged.txt").read_text()
    assert "step 5" in record and "g_l1 nan" in record and "  train00" in record
    street.done("train", "--resume", "a", "--steps", "6")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_first(street: Street, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    update = Progress.update

    def disturbed(self: Progress, done: int, note: str = "") -> None:
        update(self, done, note)
        if done == 5:
            os.kill(os.getpid(), number)
            assert signal.getsignal(number) == signal.SIG_DFL  # a second one ends at once

    handler = signal.getsignal(number)
    monkeypatch.setattr(Progress, "update", disturbed)
    began = time.monotonic()
    result = street.run("train", "--resume", "a", "--steps", "100000", "--set", "train.checkpoint_every_steps=50000")
    assert time.monotonic() - began < 10
    assert result.code == code and "stopped after step 5" in result.err and "Traceback" not in result.err
    assert "go on with: citygan train --resume a\n" in result.err
    assert signal.getsignal(number) == handler
    monkeypatch.setattr(Progress, "update", update)
    assert checkpoint.check_whole(street.path / "runs/a/checkpoints/00000005")["step"] == 5
    street.done("train", "--resume", "a", "--steps", "6")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in the foreground: shells start what runs in the background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("source", ["labels", "tiny"])
def test_an_interrupted_translation_says_what_is_there(
    street: Street, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    update = Progress.update

    def disturbed(self: Progress, done: int, note: str = "") -> None:
        update(self, done, note)
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", disturbed)
        result = street.run("translate", source, "out")
    assert result.code == 130 and len(result.paths) == 1
    assert result.err.splitlines()[-1] == "interrupted, 1 picture written. The same with --missing goes on"
    street.check_clean()
    street.done("translate", source, "out", "--missing")
    assert len(os.listdir("out")) == 2
    monkeypatch.setattr("citygan.infer.load", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    assert street.run("evaluate").err == "interrupted\n"


def test_stale_temporaries_are_cleaned_at_the_next_start(street: Street) -> None:
    dead = 2**22 - 3  # no such process
    stale = ["runs/.tmp-{}-0-b", "runs/a/.tmp-{}-0-x.html", "runs/a/samples/.tmp-{}-0-x.png",
             "runs/a/checkpoints/.tmp-{}-0-00000004", "out/.tmp-{}-0-0.png", "out/deep/.tmp-{}-0-0.png"]  # fmt: skip
    alive = Path(f"runs/a/.tmp-{os.getpid()}-999-mine")
    alive.write_text("x")
    shutil.copytree("labels", "labels/deep")
    for name in stale:
        file = Path(name.format(dead))
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("x") if file.suffix else file.mkdir()
    street.run(*GO_ON)
    street.run(*TRANSLATE)
    assert alive.exists()
    alive.unlink()
    street.check_clean()


# around the process


# as `python -O`, but for our own modules alone: it does not compile all of torch anew
WITHOUT_ASSERTS = """
import sys, importlib.machinery as machinery, torch
get_code = machinery.SourceFileLoader.get_code
def get(self, name):
    if not name.startswith("citygan"):
        return get_code(self, name)
    file = self.get_filename(name)
    return compile(self.get_data(file), file, "exec", dont_inherit=True, optimize=1)
machinery.SourceFileLoader.get_code = get
from citygan.cli import main
main()
"""


def test_the_same_results_wherever_and_however_it_runs(street: Street, tmp_path: Path) -> None:
    """Without assertions, in another folder, with umask 077, another hash seed, the C locale."""
    street.done("train", "--data", "tiny", *NARROW, "--steps", "2", "--name", "b")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    line = [sys.executable, "-c", WITHOUT_ASSERTS, "train", "--data", str(street.path / "data/tiny"), *NARROW]
    before = os.umask(0o077)
    try:
        done = subprocess.run(
            [*line, "--steps", "2", "--name", "b"],
            cwd=elsewhere,
            env=environment(PYTHONHASHSEED="7", LC_ALL="C", CITYGAN_RUNS_HOME="rüns"),
            capture_output=True,
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "rüns/b\n" and b"\r" not in done.stderr and b"\x1b" not in done.stderr
    mine, other = (path / "b/checkpoints/00000002" for path in (street.path / "runs", elsewhere / "rüns"))
    for name in os.listdir(mine):
        if name.endswith(".safetensors"):
            assert (mine / name).read_bytes() == (other / name).read_bytes(), name
    modes = {file.stat().st_mode & 0o777 for file in [elsewhere / "rüns", *(elsewhere / "rüns").rglob("*")]}
    assert modes == {0o700, 0o600}


def test_modes_follow_the_umask(street: Street) -> None:
    before = os.umask(0o027)
    try:
        street.done(*TRANSLATE)
    finally:
        os.umask(before)
    assert Path("out").stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in Path("out").iterdir()} == {0o640}


def test_a_closed_or_full_stdout(street: Street) -> None:
    """`| head` is quiet; /dev/full is an error; a stdout that is not there is none."""

    def models(shell: str) -> subprocess.CompletedProcess[str]:
        line = f"'{sys.executable}' -m citygan models --json {shell}"
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"], env=environment(), capture_output=True, text=True
        )

    for shell in ("| true", ">&-", ">&- 2>&-", "2>/dev/full >/dev/null"):
        done = models(shell)
        assert (done.returncode, done.stderr) == (0, ""), shell
    full = models(">/dev/full")
    assert full.returncode == 5 and full.stderr == "error: No space left on device, stdout\n"


def test_the_output_of_a_long_command_may_be_cut_short(street: Street) -> None:
    for i in range(2, 12):
        shutil.copy("labels/0.png", f"labels/{i}.png")
    with subprocess.Popen(
        command(*TRANSLATE), cwd=street.path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline() == b"out/0.png\n"
        running.stdout.close()
        said = running.stderr.read()
    assert running.returncode == 0 and b"rror" not in said and b"Traceback" not in said
    street.check_clean()
    street.done(*TRANSLATE, "--missing")


def test_a_traceback_is_shown_only_when_asked_for(street: Street) -> None:
    quiet = street.run(*TRANSLATE, "--run", "b")
    assert "Traceback" not in quiet.err
    loud = street.run("--debug", *TRANSLATE, "--run", "b")
    assert "Traceback" in loud.err and loud.code == 2 and loud.error == quiet.error
