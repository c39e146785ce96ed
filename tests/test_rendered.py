"""SYNTHIA and GTA5: what is published in their own forms is read bit by bit, and what is wrong with it is told."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from citygan import load
from citygan.cli import run
from citygan.data.labels import CITYSCAPES, GTA5, SYNTHIA, SYNTHIA16, SYNTHIA_SEQS, VOID
from citygan.data.layouts import label_files, read_layout
from citygan.data.layouts.sequences import divide, group_of
from citygan.data.options import Options
from citygan.data.prepare import prepare
from citygan.data.store import PreparedSet
from citygan.errors import DataError, UsageError
from citygan.models import GENERATORS
from citygan.pictures import encode_png, read_instances, read_label, read_photo
from citygan.weights import FORMATS
from citygan.weights.layouts import export_state_dict
from tests import trees
from tests.street import Street

SIZE = (48, 32)  # of the pictures in the trees: nothing is resized


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYGAN_DATA_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def prepared(root: Path, *arguments: str) -> PreparedSet:
    assert run(["prepare", str(root), "--size", "48x32", *arguments]) == 0
    return PreparedSet.open(Path("data") / root.name)


# 16-bit label maps


def test_the_first_channel_in_the_files_order_is_the_class_and_the_second_the_instance(tmp_path: Path) -> None:
    label = trees.ids(0, SYNTHIA)
    instance = trees.numbers(label, 0)
    assert instance.max() > 255
    path = trees.channels_file(tmp_path / "x.png", label, instance)
    data = path.read_bytes()
    assert data[24:26] == bytes([16, 2])  # 16 bits, colours
    scan = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(scan[..., 2], label)
    np.testing.assert_array_equal(read_label(path, SYNTHIA), label)
    np.testing.assert_array_equal(read_instances(path, within_label=True), instance)
    assert not np.array_equal(np.asarray(Image.open(path))[..., 0], label)  # Pillow keeps the upper halves


def test_wrong_values_in_16_bit_label_maps_are_told(tmp_path: Path) -> None:
    label = trees.ids(0, SYNTHIA).astype(np.uint16)
    nothing = np.zeros_like(label)
    label[3, 5] = 23
    with pytest.raises(DataError, match=r"synthia does not have: 23 \(1 pixel\); the first at x 5, y 3"):
        read_label(trees.channels_file(tmp_path / "x.png", label, nothing), SYNTHIA)
    label[3, 5] = 256 + 7
    with pytest.raises(DataError, match="16-bit colours are no label map"):
        read_label(trees.channels_file(tmp_path / "x.png", label, nothing), SYNTHIA)
    plain = trees.put(tmp_path / "y.png", encode_png(trees.ids(0, SYNTHIA)))
    with pytest.raises(DataError, match="no 16-bit channels, of which the second holds the instances"):
        read_instances(plain, within_label=True)
    np.testing.assert_array_equal(read_instances(plain, within_label=False), trees.ids(0, SYNTHIA))


# SYNTHIA's pictures


def test_synthia_is_prepared_exactly(tmp_path: Path) -> None:
    root = trees.synthia(tmp_path / "RAND_CITYSCAPES")
    synthia = prepared(root, "--splits", "train=0.5,val=0.5")
    assert synthia.manifest["layout"] == "synthia" and synthia.classes == SYNTHIA
    for name in ("train", "val"):
        split = synthia.split(name)
        assert split.photo is not None and split.label is not None and split.instance is not None
        assert len(split.items) == 2 and split.instance.dtype == np.uint16
        for place, item in enumerate(split.items):
            label = trees.ids(int(item.stem), SYNTHIA)
            np.testing.assert_array_equal(split.label[place], label)
            np.testing.assert_array_equal(split.instance[place], trees.numbers(label, int(item.stem)))
            np.testing.assert_array_equal(split.photo[place], read_photo(root / f"RGB/{item.stem}.png"))
    full = synthia.split("val").full_label(synthia.split("val").items[0])
    assert full is not None
    np.testing.assert_array_equal(read_label(full, SYNTHIA), synthia.split("val").label[0])


def test_synthia_is_all_train_unless_a_share_is_taken_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.synthia(tmp_path / "synthia", 12)
    found = read_layout(root)
    assert found.layout == "synthia" and found.table is SYNTHIA and found.ids_by is SYNTHIA and not found.faults
    assert {split: len(entries) for split, entries in found.splits.items()} == {"train": 12}
    assert found.kinds == {"photo", "label", "instance"}
    assert run(["prepare", str(root), "--dry-run"]) == 0
    assert "no split val" in capsys.readouterr().out
    plan = prepare(str(root), Options(splits="train=0.75,val=0.25"), dry_run=True).plan
    assert {name: split["items"] for name, split in plan["splits"].items()} == {"train": 9, "val": 3}


def test_the_sixteen_classes_of_synthia_can_be_asked_for(tmp_path: Path) -> None:
    root = trees.synthia(tmp_path / "synthia")
    sixteen = prepared(root, "--classes", "synthia16")
    assert sixteen.classes == SYNTHIA16 and sixteen.classes is not None and sixteen.classes.num_train == 16
    np.testing.assert_array_equal(sixteen.split("train").label[0], trees.ids(0, SYNTHIA))
    with pytest.raises(UsageError, match="the ids of synthia are those of synthia, which cityscapes reads as other"):
        prepare(str(root), Options(classes="cityscapes"), dry_run=True)


def test_folders_named_like_those_of_synthia_are_no_synthia(tmp_path: Path) -> None:
    for i in range(3):
        trees.photo_file(tmp_path / f"rgb/{i}.png", i)
        trees.put(tmp_path / f"gt/labels/{i}.png", encode_png(np.full((32, 48), i, np.uint8)))
    assert read_layout(tmp_path, needs_table=False).layout != "synthia"
    assert read_layout(tmp_path, "synthia").layout == "synthia"  # whoever says so


def test_the_colours_alone_are_read_with_a_word_of_warning(tmp_path: Path) -> None:
    root = trees.synthia(tmp_path / "synthia")
    for file in (root / "GT/LABELS").iterdir():
        file.unlink()
    found = read_layout(root)
    assert found.layout == "synthia" and found.kinds == {"photo", "label"}
    assert "lane markings as walls" in found.notes[0]
    label = prepared(root).split("train").label
    for i in range(4):
        ids = trees.ids(i, SYNTHIA)
        np.testing.assert_array_equal(label[i], np.where(ids == 22, 21, ids))
    index = Image.fromarray(trees.ids(0, SYNTHIA))  # as some copies have them
    index.putpalette(SYNTHIA.palette.tobytes())
    for file in (root / "GT/COLOR").iterdir():
        index.save(file)
    assert read_layout(root).layout == "synthia"


def test_what_is_wrong_with_synthia_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.synthia(tmp_path / "synthia", 8)
    (root / "RGB/0000000.png").unlink()
    (root / "GT/LABELS/0000001.png").unlink()
    trees.photo_file(root / "RGB/0000002.png", 2, (40, 32))
    whole = (root / "GT/LABELS/0000003.png").read_bytes()
    trees.put(root / "GT/LABELS/0000003.png", whole[: len(whole) // 2])
    trees.put(root / "RGB/0000004.png", encode_png(np.zeros((32, 48, 3), np.uint8)))
    trees.put(root / "GT/LABELS/0000005.png", encode_png(trees.ids(5, SYNTHIA)))
    assert run(["prepare", str(root), "--size", "48x32"]) == 3
    told = capsys.readouterr().err
    for line in (
        "GT/LABELS/0000000.png: no photo of the same name",
        "RGB/0000001.png: no label of the same name",
        "GT/LABELS/0000002.png: the label is 48x32, its photo RGB/0000002.png is 40x32",
        "GT/LABELS/0000003.png: truncated PNG",
        "RGB/0000004.png: a frame that was not rendered: all its pixels are alike",
        "GT/LABELS/0000005.png: no 16-bit channels, of which the second holds the instances",
    ):
        assert line in told
    synthia = prepared(root, "--skip-bad")
    assert [item.stem for item in synthia.split("train").items] == ["0000006", "0000007"]
    assert len(synthia.manifest["skipped"]) == 6


def test_a_photo_of_one_colour_is_no_fault_of_other_sets(tmp_path: Path) -> None:
    root = trees.folders(tmp_path / "mine", suffix=".png")
    trees.put(root / "photos/0.png", encode_png(np.zeros((32, 48, 3), np.uint8)))
    assert len(prepared(root).split("train").items) == 4


def test_half_of_synthia_and_a_folder_above_it_are_told(tmp_path: Path) -> None:
    root = trees.synthia(tmp_path / "SYNTHIA/RAND_CITYSCAPES")
    with pytest.raises(DataError, match=r"holds label maps alone.*lie in .*/RAND_CITYSCAPES/RGB"):
        read_layout(root / "GT/LABELS")
    with pytest.raises(DataError, match=r"16 under .*/RAND_CITYSCAPES: did you mean that\?"):
        read_layout(root.parent)
    trees.synthia_seqs(tmp_path / "all/video")
    trees.folders(tmp_path / "all/other", 99)
    with pytest.raises(DataError, match=r"96 under .*/video: did you mean that\?"):
        read_layout(tmp_path / "all", "synthia-seqs")


def test_the_label_maps_of_synthia_are_found_for_translation(tmp_path: Path) -> None:
    root = trees.synthia(tmp_path / "synthia")
    found = label_files(root)
    assert found is not None and len(found) == 4
    stem, label, instance = found[0]
    assert stem == "GT/LABELS/0000000" and label == instance == root / "GT/LABELS/0000000.png"


def test_a_run_that_needs_instances_takes_them_from_the_label_maps_of_synthia(street: Street) -> None:
    there = {"in_channels": len(SYNTHIA.classes) + 1, "width": 4, "depth": 5}
    row = next(row for row in FORMATS if str(row) == "pytorch-CycleGAN-and-pix2pix U-Net")
    torch.save(export_state_dict(row, row.saved(there), GENERATORS["unet"](**row.saved(there)).state_dict()), "H.pth")
    said = ("--classes", "synthia", "--encoding", "onehot", "--edges", "--mode", "deterministic", "--name", "h")
    street.done("weights", "import", "H.pth", *said)
    root = trees.synthia(street.path / "RAND_CITYSCAPES", 2)
    street.done("translate", root, "out", "--run", "h")
    for i in range(2):
        label = trees.ids(i, SYNTHIA)
        expected = load("h").translate(label, instances=trees.numbers(label, i))
        assert np.array_equal(read_photo(street.path / f"out/GT/LABELS/{i:07d}.png"), expected)
    assert not np.array_equal(expected, load("h").translate(label, instances=np.zeros_like(label, np.uint16)))


# SYNTHIA's video sequences


def test_each_camera_of_each_drive_is_a_sequence(tmp_path: Path) -> None:
    root = trees.synthia_seqs(tmp_path / "video")
    found = read_layout(root)
    assert found.layout == "synthia-seqs" and found.table is SYNTHIA_SEQS and not found.faults
    frames: dict[str | None, list[int | None]] = {}
    for entry in found.splits["train"]:
        frames.setdefault(entry.sequence, []).append(entry.frame)
    names = [f"{drive}/{camera}" for drive in trees.SEQS for camera in trees.CAMERAS]
    assert frames == {name: [0, 1, 2, 3] for name in names}
    video = prepared(root)
    split = video.split("train")
    assert video.classes == SYNTHIA_SEQS and list(split.sequences()) == names
    place, item = next(
        (i, item) for i, item in enumerate(split.items) if item.stem.endswith("04-SUMMER/Stereo_Right/Omni_F/000002")
    )
    assert (item.sequence, item.frame) == ("SYNTHIA-SEQS-04-SUMMER/Stereo_Right/Omni_F", 2)
    label = trees.ids(122, SYNTHIA_SEQS)
    np.testing.assert_array_equal(split.label[place], label)
    np.testing.assert_array_equal(split.instance[place], trees.numbers(label, 122))


def test_a_gap_in_the_numbers_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.synthia_seqs(tmp_path / "video", drives=("SYNTHIA-SEQS-01-DAWN",), frames=(1, 2, 3, 7, 8))
    frames = {(entry.sequence, entry.stem[-6:]): entry.frame for entry in read_layout(root).splits["train"]}
    for camera in trees.CAMERAS:
        places = [frames[f"SYNTHIA-SEQS-01-DAWN/{camera}", f"{number:06d}"] for number in (1, 2, 3, 7, 8)]
        assert places == [0, 1, 2, 6, 7]
    assert run(["prepare", str(root), "--size", "48x32", "--flow"]) == 0
    assert "3 gaps" in capsys.readouterr().err
    split = PreparedSet.open(Path("data/video")).split("train")
    assert [split.following(place) for place in range(5)] == [1, 2, None, 4, None]


def test_one_drive_alone_and_frames_without_labels(tmp_path: Path) -> None:
    root = trees.synthia_seqs(tmp_path / "SYNTHIA-SEQS-05-DAWN", drives=("",))
    found = read_layout(root)
    assert found.layout == "synthia-seqs" and found.count == 12
    assert {entry.drive for entry in found.splits["train"]} == {"SYNTHIA-SEQS-05-DAWN"}
    assert found.splits["train"][0].stem == "Stereo_Left/Omni_B/000000"
    (root / "GT/LABELS/Stereo_Left/Omni_F/000001.png").unlink()
    assert [(f.file, f.reason) for f in read_layout(root).faults] == [
        ("RGB/Stereo_Left/Omni_F/000001.png", "no label of the same name")
    ]
    for file in (root / "GT").rglob("*.png"):
        file.unlink()
    alone = read_layout(root)
    assert alone.layout == "synthia-seqs" and alone.kinds == {"photo"} and alone.count == 12


def test_the_cameras_of_a_drive_are_never_divided_between_splits(tmp_path: Path) -> None:
    drives = tuple(f"SYNTHIA-SEQS-{n:02d}-FALL" for n in range(8))
    entries = read_layout(trees.synthia_seqs(tmp_path / "many", drives, frames=(0, 1))).splits["train"]
    assert {group_of(entry) for entry in entries} == set(drives)
    divided = divide(entries, {"train": 0.75, "val": 0.25}, 0)
    assert {name: len({e.drive for e in part}) for name, part in divided.items()} == {"train": 6, "val": 2}
    assert not {e.drive for e in divided["train"]} & {e.drive for e in divided["val"]}
    few = read_layout(trees.synthia_seqs(tmp_path / "few")).splits["train"]
    cut = divide(few, {"train": 0.75, "val": 0.25}, 0)  # two drives: both are cut, at the same time in all cameras
    assert {e.stem[-6:] for e in cut["train"]} == {"000000", "000001", "000002"}
    assert [e.stem for e in cut["val"]] == [f"{d}/{c}/000003" for d in trees.SEQS for c in trees.CAMERAS]
    held = prepared(tmp_path / "few", "--hold-out", "SYNTHIA-SEQS-04-SUMMER")
    assert {item.stem[:22] for item in held.split("val").items} == {"SYNTHIA-SEQS-04-SUMMER"}
    assert len(held.split("train").items) == len(held.split("val").items) == 12


# GTA5


@pytest.mark.parametrize("painted", [False, True])
def test_gta5_is_prepared_exactly(tmp_path: Path, painted: bool) -> None:
    root = trees.gta5(tmp_path / "gta", painted=painted)
    found = read_layout(root)
    assert found.layout == "gta5" and found.table is GTA5 and list(found.splits) == ["train"] and not found.faults
    gta = prepared(root)
    split = gta.split("train")
    assert gta.classes == GTA5 and [item.stem for item in split.items] == ["00001", "00002", "00003", "00004"]
    seen = set()
    for i in range(4):
        ids = trees.ids(i + 1, GTA5)
        seen |= set(ids.flat)
        of_colours = np.array([GTA5.colour_ids[tuple(GTA5.palette[k].tolist())] for k in GTA5.ids])
        np.testing.assert_array_equal(split.label[i], of_colours[ids] if painted else ids)
    assert {18, 34} <= seen  # the polegroup and the licence plate share colours with classes that are trained


def test_every_id_of_gta5_is_read_as_itself_and_34_and_above_are_void(tmp_path: Path) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, palette in (("older", GTA5.palette), ("newer", CITYSCAPES.palette)):
        path = trees.put(tmp_path / f"{name}.png", encode_png(every, palette=palette))
        label = read_label(path, GTA5)
        np.testing.assert_array_equal(label.flat[:35], np.arange(35), err_msg=name)
        assert (label.flat[35:] == VOID).all() and (GTA5.train_ids[label.flat[34:]] == VOID).all()
    assert (read_label(trees.put(tmp_path / "grey.png", encode_png(every)), GTA5).flat[35:] == VOID).all()
    with pytest.raises(DataError, match="cityscapes does not have"):
        read_label(tmp_path / "grey.png", CITYSCAPES)


def test_ids_above_those_of_gta5_are_void_in_the_set_and_its_full_labels(tmp_path: Path) -> None:
    root = trees.gta5(tmp_path / "gta", 2)
    for i in (1, 2):
        label = trees.ids(i, GTA5)
        label[:4, :7] = 40
        trees.put(root / f"labels/{i:05d}.png", encode_png(label, palette=GTA5.palette))
    gta = prepared(root, "--format", "gta5", "--splits", "train=0.5,val=0.5")
    assert (np.asarray(gta.split("train").label)[0, :4, :7] == VOID).all()
    full = gta.split("val").full_label(gta.split("val").items[0])
    assert full is not None and gta.classes == GTA5
    np.testing.assert_array_equal(read_label(full, gta.classes), gta.split("val").label[0])


def test_the_last_pictures_of_gta5_are_taken_for_validation(tmp_path: Path) -> None:
    root = trees.gta5(tmp_path / "gta", 20)
    trees.put(root / "split.mat", b"MATLAB 5.0 MAT-file")
    report = prepare(str(root), Options(size=SIZE, splits="train=0.9,val=0.1"))
    assert any("divided as the pictures follow each other" in note for note in report.plan["notes"])
    assert any(".mat file is not read" in note for note in report.plan["notes"])
    gta = PreparedSet.open(report.paths[0])
    assert [item.stem for item in gta.split("train").items] == [f"{i:05d}" for i in range(1, 19)]
    assert [item.stem for item in gta.split("val").items] == ["00019", "00020"]


def test_gta5_divided_into_folders_keeps_its_division(tmp_path: Path) -> None:
    for part in ("train", "val"):
        trees.gta5(tmp_path / part, 2)
        for kind in ("images", "labels"):
            (tmp_path / "gta" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / part / kind).rename(tmp_path / "gta" / kind / part)
    found = read_layout(tmp_path / "gta")
    assert found.layout == "gta5" and {s: len(e) for s, e in found.splits.items()} == {"train": 2, "val": 2}


def test_what_is_wrong_with_gta5_is_listed_and_other_sizes_are_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.gta5(tmp_path / "gta", 5)
    trees.photo_file(root / "images/00002.png", 2, (46, 32))  # as 20801 to 20860
    trees.put(root / "images/00003.png", encode_png(np.full((32, 48, 3), 255, np.uint8)))  # as 15188 and 17705
    (root / "labels/00004.png").unlink()
    label = trees.ids(5, GTA5, (64, 24))
    trees.photo_file(root / "images/00005.png", 5, (64, 24))
    trees.put(root / "labels/00005.png", encode_png(label, palette=GTA5.palette))
    assert run(["prepare", str(root), "--size", "48x32"]) == 3
    told = capsys.readouterr().err
    assert "labels/00002.png: the label is 48x32, its photo images/00002.png is 46x32" in told
    assert "images/00003.png: a frame that was not rendered" in told
    assert "images/00004.png: no label of the same name" in told
    gta = prepared(root, "--skip-bad", "--fit", "pad")
    assert [item.original_size for item in gta.split("train").items] == [(48, 32), (64, 24)]
    padded = np.asarray(gta.split("train").label)[1]
    assert (padded[:7] == VOID).all() and (padded[-7:] == VOID).all()
    np.testing.assert_array_equal(padded[7:25], cv2.resize(label, (48, 18), interpolation=cv2.INTER_NEAREST_EXACT))


def test_numbered_pictures_with_other_label_maps_are_no_gta5(tmp_path: Path) -> None:
    for i in range(1, 4):
        trees.photo_file(tmp_path / f"images/{i:05d}.png", i)
        trees.put(tmp_path / f"labels/{i:05d}.png", encode_png(trees.ids(i, SYNTHIA), palette=SYNTHIA.palette))
    assert read_layout(tmp_path, needs_table=False).layout == "folders"
    for i in range(1, 4):
        trees.label_file(tmp_path / f"labels/{i:05d}.png", i)
    found = read_layout(tmp_path)  # ids without a palette may be anyone's: the table is found by the ids
    assert found.layout == "folders" and found.table is CITYSCAPES
    for i in range(1, 4):
        trees.put(tmp_path / f"labels/{i:05d}.jpg", lossy(GTA5.palette[trees.ids(i, GTA5)]))
        (tmp_path / f"labels/{i:05d}.png").unlink()
    assert read_layout(tmp_path, needs_table=False).layout == "folders"


def lossy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG")
    return file.getvalue()


def test_a_class_table_that_reads_gta5_as_it_is_may_be_named(tmp_path: Path) -> None:
    root = trees.gta5(tmp_path / "gta")
    assert prepare(str(root), Options(classes="cityscapes"), dry_run=True).plan["classes"] == "cityscapes"
    with pytest.raises(UsageError, match="the ids of gta5 are those of gta5, which camvid11 reads as other classes"):
        prepare(str(root), Options(classes="camvid11"), dry_run=True)


# beside the tables that were there before


def test_plain_folders_are_still_of_cityscapes(tmp_path: Path) -> None:
    for i in range(3):
        trees.photo_file(tmp_path / f"photos/{i}.png", i)
        trees.label_file(tmp_path / f"labels/{i}.png", i)
    assert read_layout(tmp_path).table is CITYSCAPES
    trained = np.array([c.id for c in CITYSCAPES.classes if c.train_id != VOID and c.id != 13], np.uint8)
    for i in range(3):  # colours that SYNTHIA has as well, but for its fence
        label = trained[trees.ids(i) % len(trained)]
        trees.put(tmp_path / f"labels/{i}.png", encode_png(CITYSCAPES.palette[label]))
    assert read_layout(tmp_path).table is CITYSCAPES
    for i in range(3):
        label = trees.ids(i)
        label[:5] = 34
        trees.put(tmp_path / f"labels/{i}.png", encode_png(label))
    assert read_layout(tmp_path).table is GTA5


def test_the_layouts_are_named_where_none_is_recognised(tmp_path: Path) -> None:
    for name in ("x/y", "z/w"):
        trees.photo_file(tmp_path / name / "images/1.jpg", 0)
        trees.photo_file(tmp_path / name / "other/2.jpg", 0)
    with pytest.raises(DataError, match=r"synthia: RGB/.*synthia-seqs: SYNTHIA-SEQS-.*gta5: images/00001.png"):
        read_layout(tmp_path)
    with pytest.raises(UsageError, match=r"Did you mean synthia\?"):
        read_layout(tmp_path, "sinthia")
