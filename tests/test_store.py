"""The prepared set: what is written is read back, what was cut or changed is refused, what was interrupted goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from citygan.data.labels import CAMVID11
from citygan.data.store import Item, PreparedSet, resolve_set
from citygan.data.writer import SetWriter
from citygan.errors import CityganError, DamagedError, MachineError, UsageError
from citygan.yamlfile import parse_yaml, to_yaml

SIZE = (6, 4)


def write(path: Path, count: int = 3, *, stop_after: int | None = None, replace: bool = False) -> SetWriter:
    rng = np.random.default_rng(0)
    writer = SetWriter(path, size=SIZE, plan={"count": count})
    split = writer.split("train")
    for number in range(count):
        photo = rng.integers(0, 256, (4, 6, 3), np.uint8)
        label = rng.integers(0, 12, (4, 6), np.uint8)
        flow = rng.normal(size=(4, 6, 2)).astype(np.float16)
        if number < len(split.items):
            continue
        if number == stop_after:
            writer.close()
            return writer
        item = Item(f"é {number}", {"photo": f"a b/é {number}\n.png"}, (60, 40), "drive", number)
        split.append(item, photo=photo, label=label, flow=flow, full_label=b"png" if number else None)
    writer.finish({"classes": CAMVID11.to_dict(), "photo_channels": 3}, replace=replace)
    return writer


def tree(path: Path) -> dict[str, str]:
    return {
        str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in path.rglob("*") if p.is_file()
    }


def test_a_set_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "city")
    city = PreparedSet.open(tmp_path / "city")
    train = city.split("train")
    assert city.size == SIZE and city.name == "city" and city.classes == CAMVID11 and len(train) == 3
    assert train.photo is not None and train.photo.shape == (3, 4, 6, 3) and not train.photo.flags.writeable
    assert train.instance is None and set(train.arrays) == {"photo", "label", "flow"}
    assert train.items[1].files["photo"] == "a b/é 1\n.png" and train.items[2].original_size == (60, 40)
    assert train.sequences() == {"drive": range(3)}
    assert train.full_label(train.items[0]) is None and train.full_label(train.items[1]) is not None
    plain = np.load(tmp_path / "city/train/photo.npy", mmap_mode="r")  # what another tool would do
    np.testing.assert_array_equal(plain, train.photo)
    assert os.path.getsize(tmp_path / "city/train/photo.npy") == 128 + plain.nbytes
    digest = hashlib.sha256(plain.tobytes()).hexdigest()
    assert city.manifest["splits"]["train"]["arrays"]["photo"]["sha256"] == digest
    assert not list(tmp_path.glob(".*.p*"))


def test_an_interrupted_work_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "whole", 5)
    for stop in range(5):
        path = tmp_path / f"cut{stop}"
        write(path, 5, stop_after=stop)
        with pytest.raises(DamagedError, match="interrupted"):
            PreparedSet.open(path)
        partial = tmp_path / f".cut{stop}.partial/train"
        for name in ("photo.npy", "items.jsonl"):  # torn writes of the item that was under way
            if (partial / name).exists():
                with open(partial / name, "ab") as file:
                    file.write(b'{"stem": "torn')
        assert write(path, 5).resumed
        assert tree(path) == tree(tmp_path / "whole")


def test_power_loss_that_tore_an_array_costs_only_its_items(tmp_path: Path) -> None:
    write(tmp_path / "whole", 5)
    write(tmp_path / "cut", 5, stop_after=4)
    os.truncate(tmp_path / ".cut.partial/train/photo.npy", 128 + 72 * 2 + 5)
    assert write(tmp_path / "cut", 5).resumed
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_another_plan_starts_over(tmp_path: Path) -> None:
    write(tmp_path / "city", 5, stop_after=4)
    assert not write(tmp_path / "city", 3).resumed
    assert len(PreparedSet.open(tmp_path / "city").split("train")) == 3


def test_a_set_may_be_moved_and_read_only(tmp_path: Path) -> None:
    write(tmp_path / "city")
    shutil.move(tmp_path / "city", tmp_path / "an other")
    for file in (tmp_path / "an other").rglob("*"):
        file.chmod(0o555 if file.is_dir() else 0o444)
    assert len(PreparedSet.open(tmp_path / "an other").split("train")) == 3


def test_existing_output_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "city", 3)
    with pytest.raises(UsageError, match="--force"):
        write(tmp_path / "city", 4)
    write(tmp_path / "city", 5, replace=True)
    assert len(PreparedSet.open(tmp_path / "city").split("train")) == 5


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path / "dataset.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def edit_items(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path / "train/items.jsonl"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "shorter": (lambda p: os.truncate(p / "train/photo.npy", 200), "200 bytes where the manifest says 344"),
    "longer": (lambda p: os.truncate(p / "train/photo.npy", 400), "400 bytes"),
    "no array": (lambda p: (p / "train/photo.npy").unlink(), "cannot be read"),
    "zero manifest": (lambda p: (p / "dataset.yaml").write_text(""), "no keys"),
    "no manifest": (lambda p: (p / "dataset.yaml").unlink(), "no dataset.yaml"),
    "newer": (edit("version: 1", "version: 2"), "newer citygan"),
    "no version": (edit("version: 1", "version: x"), "not known"),
    "shape": (edit("[3, 4, 6, 3]", "[3, 4, 7, 3]"), "cannot have the shape"),
    "huge": (edit("size: [6, 4]", "size: [9999999, 9999999]"), "the size must be"),
    "parent folder": (edit("  train:", "  ../train:"), "leads elsewhere"),
    "absolute": (edit("  train:", "  /train:"), "leads elsewhere"),
    "control character": (edit("  train:", '  "tr\\eain":'), "leads elsewhere"),
    "another table": (edit("Sky", "Sea"), "it was edited"),
    "unknown array": (edit("photo:", "other:"), "not known"),
    "alias": (edit("photo_channels: 3", "photo_channels: &a 3"), "anchors"),
    "binary manifest": (lambda p: (p / "dataset.yaml").write_bytes(b"\xff\xfe\x00"), "not readable"),
    "an item less": (lambda p: os.truncate(p / "train/items.jsonl", 150), "items.jsonl"),
    "item leads out": (edit_items('\\u00e9 1"', '../../x"'), "leads elsewhere"),
    "item absolute": (edit_items('"a b/', '"/a b/'), "leads elsewhere"),
    "item control character": (edit_items('"stem": "', '"stem": "\\u001b'), "leads elsewhere"),
    "item changed": (edit_items("drive", "dreve"), "sha256"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_set_is_refused_at_open(tmp_path: Path, name: str) -> None:
    write(tmp_path / "city")
    damage, words = DAMAGE[name]
    damage(tmp_path / "city")
    with pytest.raises(DamagedError) as caught:
        PreparedSet.open(tmp_path / "city")
    assert words in str(caught.value) and "city" in str(caught.value) and "\n" not in str(caught.value)


def test_names_and_the_default_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="citygan prepare"):
        resolve_set(None)
    write(Path("data/city"))
    write(Path("data/town"))
    with pytest.raises(UsageError, match="city, town"):
        resolve_set(None)
    with pytest.raises(UsageError, match=r"set, data/village\. There are: city, town"):
        resolve_set("village")
    with pytest.raises(UsageError, match=r"Did you mean town\? There are: city, town"):
        resolve_set("twon")
    with pytest.raises(UsageError, match=r"Did you mean train\? It has "):
        resolve_set("city").split("trian")
    Path("data/last").write_text("town\n")
    assert resolve_set(None).name == "town"
    assert resolve_set("city").name == "city"
    assert resolve_set("data/city").name == "city"
    assert resolve_set(tmp_path / "data/city").name == "city"
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UsageError, match="citygan prepare pictures"):
        resolve_set("pictures")


def test_a_full_disk_is_said_and_the_rerun_finishes(tmp_path: Path) -> None:
    import resource

    write(tmp_path / "whole", 50)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(MachineError, match="no space"):
            write(tmp_path / "city", 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "city").exists()
    write(tmp_path / "city", 50)
    assert tree(tmp_path / "city") == tree(tmp_path / "whole")


def test_yaml_of_any_text_is_read_back() -> None:
    value = {"a": {"no": "1e-4", "n": [1, 2.5, None, True]}, "l": [{"x": "017", "y": 'q"\\ é: #'}], "e": [], "m": {}}
    assert parse_yaml(to_yaml(value), "x")[0] == value


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CityganError) as caught:
        PreparedSet.open(tmp_path / "a\nb")
    assert "\n" not in str(caught.value)
