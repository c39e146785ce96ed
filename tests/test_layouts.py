"""Layouts are recognised by what is there; what does not fit is named."""

from __future__ import annotations

import dataclasses
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19
from citygan.data.layouts import LAYOUTS, label_files, read_layout, scan
from citygan.data.layouts.sequences import by_folder, divide, group_of, hold_out, parse_splits
from citygan.data.layouts.types import Entry, Found
from citygan.errors import DataError, UsageError
from citygan.pictures import encode_png
from tests import trees
from tests.trees import SHARED

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lie beside the checkout only")


def counts(found: Found) -> dict[str, int]:
    return {split: len(entries) for split, entries in found.splits.items()}


def test_cityscapes(tmp_path: Path) -> None:
    found = read_layout(trees.cityscapes(tmp_path))
    assert found.layout == "cityscapes" and found.table is CITYSCAPES and not found.faults
    assert counts(found) == {"train": 3, "val": 2} and found.kinds == {"photo", "label", "instance"}
    first = found.splits["train"][0]
    assert first.stem == "aachen_000000_000019" and first.sequence is None
    assert first.files["label"].endswith("_gtFine_labelIds.png")  # not _color


def test_cityscapes_with_labels_alone_photos_alone_and_colours_alone(tmp_path: Path) -> None:
    found = read_layout(trees.cityscapes(tmp_path / "labels", photos=False))
    assert found.layout == "cityscapes" and found.kinds == {"label", "instance"} and found.table is CITYSCAPES
    found = read_layout(trees.cityscapes(tmp_path / "photos", labels=False))
    assert found.layout == "cityscapes" and found.kinds == {"photo"} and found.table is None
    assert counts(read_layout(tmp_path / "photos/leftImg8bit")) == {"train": 3, "val": 2}
    root = trees.cityscapes(tmp_path / "colours")
    for file in root.rglob("*labelIds.png"):
        file.unlink()
    found = read_layout(root)
    assert all(e.files["label"].endswith("_color.png") for entries in found.splits.values() for e in entries)
    assert found.table is CITYSCAPES


def test_cityscapes_coarse_labels_serve_where_there_are_no_fine_ones(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path, train=2, val=0)
    stem = "train_extra/bonn/bonn_000000_000019"
    trees.photo_file(root / f"leftImg8bit/{stem}_leftImg8bit.png", 1)
    trees.label_file(root / f"gtCoarse/{stem}_gtCoarse_labelIds.png", 1)
    for name in ("aachen_000000_000019", "aachen_000001_000019"):
        trees.label_file(root / f"gtCoarse/train/aachen/{name}_gtCoarse_labelIds.png", 1)
    for file in root.rglob("*instanceIds.png"):
        file.unlink()
    found = read_layout(root)
    assert counts(found) == {"train": 2, "train_extra": 1} and not found.faults
    assert "gtFine" in found.splits["train"][0].files["label"]
    assert "gtCoarse" in found.splits["train_extra"][0].files["label"]


def test_cityscapes_sequences(tmp_path: Path) -> None:
    for start in (0, 40):
        for i in range(start, start + 30):
            trees.photo_file(tmp_path / f"leftImg8bit_sequence/val/ulm/ulm_000000_{i:06d}_leftImg8bit.png", i, (8, 8))
    trees.label_file(tmp_path / "gtFine/val/ulm/ulm_000000_000019_gtFine_labelIds.png", 0)
    found = read_layout(tmp_path)
    assert found.layout == "cityscapes-sequence" and "left out" in found.notes[0] and found.kinds == {"photo"}
    frames = [(e.sequence, e.frame) for e in found.splits["val"]]
    assert frames == [(f"ulm_000000_{start:06d}", i) for start in (0, 40) for i in range(30)]


def test_camvid(tmp_path: Path) -> None:
    found = read_layout(trees.camvid(tmp_path, CAMVID11))
    assert found.layout == "camvid" and found.table is CAMVID11 and counts(found) == {"train": 4, "val": 3}
    assert {e.sequence for e in found.splits["train"]} == {None}  # one a second is no video
    assert [(e.sequence, e.frame) for e in found.splits["val"]] == [("0001TP_006690", i) for i in range(3)]


def test_camvid_in_its_original_colours(tmp_path: Path) -> None:
    found = read_layout(trees.camvid32(tmp_path))
    assert found.layout == "camvid32" and found.table is CAMVID32 and counts(found) == {"": 20} and not found.faults
    assert found.splits[""][0].stem == "0006R0_00000"


def test_side_by_side_pairs(tmp_path: Path) -> None:
    found = read_layout(trees.pairs(tmp_path / "facades"))
    assert found.layout == "pairs" and counts(found) == {"train": 3, "val": 3} and found.kinds == {"pair"}
    flat = trees.pairs(tmp_path / "x") / "train"
    with pytest.raises(DataError, match="--format pairs"):
        read_layout(flat)
    assert counts(read_layout(flat, "pairs")) == {"": 3}
    assert read_layout(flat, "photos").kinds == {"photo"}


def test_pix2pixhd(tmp_path: Path) -> None:
    found = read_layout(trees.pix2pixhd(tmp_path))
    assert found.layout == "pix2pixhd" and found.table is CITYSCAPES and not found.faults
    assert counts(found) == {"train": 3, "test": 2}
    assert set(found.splits["train"][0].files) == {"photo", "label", "instance"}
    assert set(found.splits["test"][0].files) == {"label", "instance"}
    assert found.splits["train"][0].stem == "aachen_000000_000019"


@pytest.mark.parametrize(
    ("labels", "photos"),
    [
        ("labels", "photos"),
        ("masks", "images"),
        ("annotations", "JPEGImages"),
        ("seg_maps", "img"),
        ("train/labels", "train/images"),
        ("labels/train", "images/train"),
        ("train_labels", "train"),
        ("foo", "bar"),
    ],
)
def test_two_folders_matched_by_name(tmp_path: Path, labels: str, photos: str) -> None:
    root = trees.folders(tmp_path, labels=labels, photos=photos)
    found = read_layout(root, needs_table=False)
    assert found.layout == "folders" and not found.faults
    assert counts(found) == {"train" if "train" in labels else "": 4}
    for entry in next(iter(found.splits.values())):
        assert entry.files == {"label": f"{labels}/{entry.stem}.png", "photo": f"{photos}/{entry.stem}.jpg"}


def test_two_folders_of_pictures_are_picture_to_picture(tmp_path: Path) -> None:
    for i in range(3):
        trees.photo_file(tmp_path / f"A/{i}.png", i)
        trees.photo_file(tmp_path / f"B/{i}.png", i + 9)
    found = read_layout(tmp_path)
    assert found.kinds == {"source", "photo"} and found.splits[""][0].files["source"] == "A/0.png"


def test_sequences_by_folder(tmp_path: Path) -> None:
    for seq in ("seq0000", "seq0001"):
        for i in (8, 9, 10, 14):
            trees.photo_file(tmp_path / f"images/{seq}/f{i}.jpg", i)
            trees.label_file(tmp_path / f"seg_maps/{seq}/f{i}.png", i)
    found = read_layout(tmp_path)
    assert found.table is CITYSCAPES
    assert [(e.stem, e.sequence, e.frame) for e in found.splits[""]] == [
        (f"{seq}/f{i}", seq, i - 8) for seq in ("seq0000", "seq0001") for i in (8, 9, 10, 14)
    ]


def frames_of(names: tuple[str, ...]) -> list[tuple[str, int | None]]:
    entries = by_folder([Entry(name, {"photo": f"images/seq0/{name}.png"}) for name in names])
    assert {entry.sequence for entry in entries} == {"seq0"}
    return [(entry.stem, entry.frame) for entry in entries]


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (("f1", "f2", "f10"), (0, 1, 9)),
        (("f01", "f04", "f07", "f13"), (0, 1, 2, 4)),  # every third
        (("a_1000", "a_1033", "a_1067", "a_1133", "a_1166"), (0, 1, 2, 4, 5)),  # milliseconds
        (("front", "middle", "rear"), (0, 1, 2)),  # without numbers: by name
        (("a1", "b1", "b2"), (0, 1, 2)),  # several words
        (("a1_x", "a1_y"), (0, 1)),  # the number does not tell them apart
        (("a2", "a1"), (1, 0)),
    ],
)
def test_the_numbers_of_frames_tell_gaps(names: tuple[str, ...], frames: tuple[int, ...]) -> None:
    assert sorted(frames_of(names)) == sorted(zip(names, frames, strict=True))
    assert [frame for _, frame in frames_of(names)] == sorted(frames)


def test_sequences_of_one_name_in_two_places_are_two() -> None:
    entries = [Entry(f"{c}/seq0/{i}", {"photo": f"{c}/seq0/{i}.png"}) for c in ("a", "b") for i in range(2)]
    assert [(e.sequence, e.frame) for e in by_folder(entries)] == [
        ("a/seq0", 0), ("a/seq0", 1), ("b/seq0", 0), ("b/seq0", 1)
    ]  # fmt: skip


def test_labels_alone_and_photos_alone(tmp_path: Path) -> None:
    for i in range(3):
        trees.label_file(tmp_path / f"one/{i}.png", i)
        trees.painted_file(tmp_path / f"two/{i}.png", i, CAMVID32)
        trees.photo_file(tmp_path / f"three/{i}.png", i)
        label = trees.ids(i, CITYSCAPES19)
        trees.put(tmp_path / f"four/{i}.png", encode_png(label, palette=CITYSCAPES19.palette))
    found = read_layout(tmp_path / "one")
    assert found.layout == "labels" and found.table is CITYSCAPES and counts(found) == {"": 3}
    assert read_layout(tmp_path / "two").table is CAMVID32
    assert read_layout(tmp_path / "three").layout == "photos"
    assert read_layout(tmp_path / "four").table is CITYSCAPES19


def test_ids_that_fit_several_tables_are_an_error_that_names_them(tmp_path: Path) -> None:
    for i in range(3):
        trees.label_file(tmp_path / f"labels/{i}.png", i, CAMVID11)
        trees.photo_file(tmp_path / f"photos/{i}.png", i)
    with pytest.raises(
        DataError,
        match=r"tables \(cityscapes, cityscapes19, camvid11, camvid32, synthia, synthia-seqs\), .*--classes FILE.yaml",
    ):
        read_layout(tmp_path)
    assert read_layout(tmp_path, needs_table=False).count == 3
    for i in range(3):
        trees.put(tmp_path / f"labels/{i}.png", encode_png(np.full((32, 48), 77 + i, np.uint8)))
    with pytest.raises(DataError, match=r"77, 78, 79.*no built-in class table.*\. --classes FILE.yaml with a list"):
        read_layout(tmp_path)
    ids = trees.ids(0)
    ids[:4] = 40
    trees.put(tmp_path / "labels/0.png", encode_png(ids))
    for i in (1, 2):
        trees.label_file(tmp_path / f"labels/{i}.png", i)
    with pytest.raises(DataError, match="All but 40 are of cityscapes: --classes cityscapes names the files"):
        read_layout(tmp_path)


# what is told


def test_an_unknown_layout_shows_what_was_found_and_what_is_known(tmp_path: Path) -> None:
    for name in ("x/y", "z/w"):
        trees.photo_file(tmp_path / name / "images" / "1.jpg", 0)
        trees.photo_file(tmp_path / name / "other" / "2.jpg", 0)
    with pytest.raises(DataError) as caught:
        read_layout(tmp_path)
    message = str(caught.value)
    assert "1 in x/y/images/" in message and all(name in message for name in LAYOUTS) and "\n" not in message


def test_one_level_too_high_is_told(tmp_path: Path) -> None:
    trees.camvid(tmp_path / "down loads/camvid", CAMVID11)
    with pytest.raises(DataError, match=r"14 under .*/camvid: did you mean that\?"):
        read_layout(tmp_path / "down loads")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 pictures under"):
        read_layout(tmp_path / "empty")
    trees.put(tmp_path / "text/a.txt", b"x")
    with pytest.raises(DataError, match=r"0 pictures under .*1 \.txt"):
        read_layout(tmp_path / "text")
    with pytest.raises(DataError, match="no such folder"):
        read_layout(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"kitti.*cityscapes, "):
        read_layout(tmp_path, "kitti")
    with pytest.raises(DataError, match=r"14 under .*did you mean"):
        read_layout(tmp_path / "down loads", "camvid")


def test_two_levels_too_high_is_told_with_the_command(tmp_path: Path) -> None:
    trees.camvid(tmp_path / "a/b/cam vid", CAMVID11)
    trees.pairs(tmp_path / "a/facades")
    with pytest.raises(DataError) as caught:
        read_layout(tmp_path)
    told = f"14 under {tmp_path}/a/b/cam vid: did you mean that? citygan prepare '{tmp_path}/a/b/cam vid'; 6 are under "
    assert f"{tmp_path}. {told}{tmp_path}/a/facades" in str(caught.value)


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ("camvid/train", "camvid/trainannot", "photos"),
        ("camvid/valannot", "camvid/val", "label maps"),
        ("city/leftImg8bit", "city/gtFine", "photos"),
        ("city/gtFine/val/frankfurt", "city/leftImg8bit", "label maps"),
        ("hd/train_label", "hd/train_img", "label maps"),
        ("plain/photos", "plain/labels", "photos"),
        ("ab/A", "ab/B", "source pictures"),
    ],
)
def test_half_of_a_set_is_told_with_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str, theirs: str, words: str
) -> None:
    trees.camvid(tmp_path / "camvid", CAMVID11)
    trees.cityscapes(tmp_path / "city")
    trees.pix2pixhd(tmp_path / "hd")
    trees.folders(tmp_path / "plain")
    for i in range(3):
        trees.photo_file(tmp_path / f"ab/A/{i}.png", i)
        trees.photo_file(tmp_path / f"ab/B/{i}.png", i + 9)
    whole = mine.partition("/")[0]
    with pytest.raises(DataError) as caught:
        read_layout(tmp_path / mine)
    message = str(caught.value)
    assert f"{mine} holds {words} alone" in message and f"lie in {tmp_path / theirs}. " in message
    assert f"citygan prepare {tmp_path / whole} takes both" in message
    assert read_layout(tmp_path / whole).kinds - {"instance"} in ({"photo", "label"}, {"photo", "source"})
    chosen = message.partition("--format ")[2].split()[0]
    assert read_layout(tmp_path / mine, chosen, needs_table=False).count > 0  # whoever means it
    monkeypatch.chdir(tmp_path / mine)
    with pytest.raises(
        DataError, match=r"citygan prepare \.\. takes both" if mine.count("/") == 1 else "citygan prepare"
    ):
        read_layout(Path("."))


def test_folders_that_only_look_like_halves_are_whole(tmp_path: Path) -> None:
    for i in range(4):
        trees.photo_file(tmp_path / f"photos/{i}.jpg", i)
        trees.label_file(tmp_path / f"labels/x{i}.png", i)
    assert read_layout(tmp_path / "photos").layout == "photos"
    assert read_layout(tmp_path / "labels").layout == "labels"


def test_a_single_split_is_told_of_the_others(tmp_path: Path) -> None:
    for split in ("train", "val"):
        trees.folders(tmp_path / "mine", labels=f"{split}/labels", photos=f"{split}/photos")
    found = read_layout(tmp_path / "mine/train")
    assert f"other splits lie beside it (val): citygan prepare {tmp_path}/mine takes all" in found.notes
    root = trees.pairs(tmp_path / "facades")
    with pytest.raises(DataError, match=r"citygan prepare .*/facades; --format pairs takes it alone"):
        read_layout(root / "train")


def test_pictures_without_partners_are_named(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    (root / "labels/1.png").unlink()
    (root / "photos/3.jpg").unlink()
    found = read_layout(root)
    assert [(f.file, f.reason) for f in found.faults] == [
        ("photos/1.jpg", "no label of the same name"),
        ("labels/3.png", "no photo of the same name"),
    ]
    assert [e.stem for e in found.splits[""]] == ["0", "2"]


def test_names_that_stand_twice_are_both_named(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    trees.photo_file(root / "photos/1.png", 5)
    found = read_layout(root)
    assert {f.file for f in found.faults} == {"photos/1.jpg", "photos/1.png"}
    for form in ("NFC", "NFD"):
        trees.photo_file(tmp_path / "alone" / (unicodedata.normalize(form, "café") + ".png"), 1)
    found = read_layout(tmp_path / "alone", "photos")
    assert len(found.faults) == 2 and not found.count


def test_the_two_forms_of_an_accent_match(tmp_path: Path) -> None:
    trees.photo_file(tmp_path / "photos" / f"{unicodedata.normalize('NFD', 'é')}.png", 1)
    trees.label_file(tmp_path / "labels" / f"{unicodedata.normalize('NFC', 'é')}.png", 1)
    found = read_layout(tmp_path)
    assert found.count == 1 and not found.faults


def test_equal_names_in_several_folders_are_kept_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        trees.photo_file(tmp_path / f"images/{folder}/1.jpg", 0)
        trees.label_file(tmp_path / f"labels/{folder}/1.png", 0)
    assert [e.stem for e in read_layout(tmp_path).splits[""]] == ["x/1", "y/1"]


def test_what_systems_leave_about_is_ignored(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    for name in ("photos/.hidden.png", "__MACOSX/photos/._0.jpg", "photos/Thumbs.db", ".git/x.png"):
        trees.put(root / name, b"x")
    assert len(scan(root).pictures) == 8 and not read_layout(root).faults


def test_links_are_followed_once_and_loops_counted_once(tmp_path: Path) -> None:
    root = trees.folders(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/photos").symlink_to(root / "photos")
    (tmp_path / "linked/labels").symlink_to(root / "labels")
    (tmp_path / "linked/photos-again").symlink_to(root / "photos")
    (root / "labels/loop").symlink_to(root)
    assert read_layout(tmp_path / "linked").count == 4
    assert read_layout(root).count == 4
    (root / "photos/9.png").symlink_to("nowhere.png")
    assert [f.file for f in read_layout(root).faults] == ["photos/9.png"]


def test_names_of_any_kind_are_matched(tmp_path: Path) -> None:
    names = ["a b", "日本", "new\nline", "-x", "%04d", "[a]", os.fsdecode(b"\xff")]
    for name in names:
        trees.photo_file(tmp_path / "photos" / f"{name}.png", 0)
        trees.label_file(tmp_path / "labels" / f"{name}.png", 0)
    found = read_layout(tmp_path)
    assert {e.stem for e in found.splits[""]} == {name.replace("\n", "%0A") for name in names}
    assert {e.files["photo"] for e in found.splits[""]} == {f"photos/{name}.png" for name in names}


def test_label_files_of_a_layout_for_translation(tmp_path: Path) -> None:
    root = trees.cityscapes(tmp_path / "city")
    found = label_files(root)
    assert found is not None and len(found) == 5
    stem, label, instance = found[0]
    assert stem == "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds"
    assert label == root / f"{stem}.png" and instance is not None and instance.name.endswith("instanceIds.png")
    for file in root.rglob("*instanceIds.png"):
        file.unlink()
    for below in ("", "gtFine", "gtFine/val", "gtFine/val/frankfurt"):
        found = label_files(root / below)  # _labelIds and _color are the same label maps: not both
        assert found is not None and len(found) == (2 if "val" in below else 5)
        assert all(label.name.endswith("_labelIds.png") and instance is None for _, label, instance in found)
    plain = trees.folders(tmp_path / "plain") / "labels"
    assert label_files(plain) is None


# dividing


def entries(count: int, sequence: str | None = None) -> list[Entry]:
    return [Entry(f"{sequence or ''}{i}", {"photo": f"{i}.png"}, sequence, i) for i in range(count)]


def test_divisions_are_exact_disjoint_and_repeatable() -> None:
    shares = parse_splits("train=0.8, val=0.1,test=0.1")
    one = divide(entries(50), shares, 0)
    assert {k: len(v) for k, v in one.items()} == {"train": 40, "val": 5, "test": 5}
    assert sorted(e.stem for part in one.values() for e in part) == sorted(e.stem for e in entries(50))
    assert one == divide(entries(50)[::1], shares, 0) != divide(entries(50), shares, 1)
    assert {k: len(v) for k, v in divide(entries(3), shares, 0).items()} == {"train": 1, "val": 1, "test": 1}


def test_sequences_stay_whole_or_are_cut_into_blocks() -> None:
    shares = parse_splits("train=0.5,val=0.5")
    many = [e for k in range(20) for e in entries(4, f"s{k}_")]
    divided = divide(many, shares, 0)
    assert not {e.sequence for e in divided["train"]} & {e.sequence for e in divided["val"]}
    blocks = divide(entries(10, "s"), shares, 0)
    assert [e.frame for e in blocks["train"]] == list(range(5)) and [e.frame for e in blocks["val"]] == list(
        range(5, 10)
    )


@pytest.mark.parametrize(
    "text", ["", "train", "train=x", "train=0.5", "train=1,train=0", "../x=1", "train=-1,val=2", "train=nan"]
)
def test_wrong_shares_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--splits"):
        parse_splits(text)


# holding out


def streets(*cities: str, split: str = "train") -> list[Entry]:
    return [Entry(f"{city}_{i:06d}_000019", {"photo": f"{split}/{city}/{i}.png"}) for i, city in enumerate(cities)]


def stems(splits: dict[str, list[Entry]]) -> dict[str, list[str]]:
    return {name: [str(group_of(entry)) for entry in entries] for name, entries in splits.items()}


def test_a_picture_is_of_a_city_or_of_a_sequence() -> None:
    names = ("aachen_000003_000019", "aachen/aachen_000003_000019", "bad-honnef_000000_000000", "0016E5_07959", "a_1_2")
    assert [group_of(Entry(name, {})) for name in names] == ["aachen", "aachen", "bad-honnef", None, None]
    assert group_of(Entry("f1", {}, sequence="seq0001", frame=0)) == "seq0001"
    assert group_of(Entry(unicodedata.normalize("NFD", "Köln_000000_000019"), {})) == unicodedata.normalize(
        "NFC", "Köln"
    )


def test_cities_are_held_out_of_train_and_val_becomes_test() -> None:
    train = streets("ulm", "jena", "ulm", "aachen", "jena")
    splits = {"train": train, "val": streets("lindau"), "train_extra": streets("jena")}
    divided, notes = hold_out(splits, ["jena", "ulm", "jena"], secret_test=True)
    assert stems(divided) == {
        "train": ["aachen"], "val": ["jena", "jena", "ulm", "ulm"], "test": ["lindau"], "train_extra": ["jena"],
    }  # fmt: skip
    assert notes == [
        "held out of train as val: jena (2 pictures), ulm (2 pictures)",
        "the source's own val is the test",
    ]
    divided, notes = hold_out(splits | {"test": streets("bonn", "mainz")}, ["ulm"], secret_test=True)
    assert stems(divided)["test"] == ["lindau"] and stems(divided)["train"] == ["jena", "aachen", "jena"]
    assert notes[-1] == "its own test is left out, 2 pictures: its labels are secret"


def test_a_source_without_val_keeps_its_test_and_one_without_splits_has_train_and_val() -> None:
    divided, notes = hold_out({"train": streets("ulm", "jena"), "test": streets("bonn")}, ["ulm"], secret_test=False)
    assert stems(divided) == {"train": ["jena"], "val": ["ulm"], "test": ["bonn"]} and len(notes) == 1
    videos = [*entries(3, "s1_"), *(dataclasses.replace(e, sequence="other") for e in entries(2, "s2_"))]
    divided, _ = hold_out({"": videos}, ["other"], secret_test=False)
    assert stems(divided) == {"train": [str(group_of(videos[0]))] * 3, "val": ["other"] * 2}


@pytest.mark.parametrize(
    ("splits", "names", "words"),
    [
        ({"train": streets("ulm", "jena")}, ["jna"], r"no city or sequence 'jna'.*mean jena\?.*There are: jena, ulm"),
        ({"train": streets(*(f"city{i}" for i in range(30)))}, ["x"], r"There are: city0, .* and 6 more"),
        ({"train": streets("ulm", "jena")}, ["jena", "ulm"], "nothing would be left to train on"),
        ({"": [Entry("a", {}), Entry("b", {})]}, ["ulm"], "no cities or sequences to train on"),
        ({"val": streets("ulm")}, ["ulm"], "no cities or sequences to train on"),
        ({"train": streets("ulm", "jena"), "val": [], "test": []}, ["ulm"], "a val and a test of its own"),
    ],
)
def test_what_cannot_be_held_out_is_told(splits: dict[str, list[Entry]], names: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        hold_out(splits, names, secret_test=False)
    assert "--hold-out" in str(caught.value)


# real data


@needs_shared
def test_real_sets_are_recognised(tmp_path: Path) -> None:
    camvid = read_layout(SHARED / "camvid")
    assert camvid.layout == "camvid" and counts(camvid) == {"train": 367, "val": 101} and camvid.table is CAMVID11
    assert {e.sequence for e in camvid.splits["val"]} == {"0016E5_07959"} and not camvid.faults
    city = read_layout(SHARED / "cityscapes")
    assert city.layout == "cityscapes" and counts(city) == {"train": 6, "val": 8} and not city.faults
    assert set(city.splits["val"][0].files) == {"label", "instance"}
    frames = read_layout(SHARED / "cityscapes-sequence")
    assert frames.layout == "folders" and frames.table is CITYSCAPES and not frames.faults
    assert [e.frame for e in frames.splits[""]] == list(range(10))
    with pytest.raises(DataError, match=r"936 under .*/camvid: did you mean"):
        read_layout(SHARED)


@needs_shared
def test_camvid_under_another_name_needs_its_table(tmp_path: Path) -> None:
    for kind, name in (("val", "photos"), ("valannot", "labels")):
        (tmp_path / name).mkdir()
        for file in sorted((SHARED / "camvid" / kind).iterdir())[:5]:
            shutil.copy(file, tmp_path / name)
    with pytest.raises(DataError, match="several class tables"):
        read_layout(tmp_path)
