"""Whether a folder has a layout, and what is in it: one pair of functions each. All but pairs go by `sorting.match`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19, ClassTable
from citygan.data.layouts.content import are_pairs, look_at, resolve_table
from citygan.data.layouts.sequences import by_folder, by_number
from citygan.data.layouts.sorting import Sorted, match, name_entries
from citygan.data.layouts.tree import Tree
from citygan.data.layouts.types import Found
from citygan.errors import counted

NAMES = {"photo": "photo", "label": "label", "instance": "instance map", "source": "source picture"}


# recognising


def share(files: list[Sorted], test: Callable[[Sorted], bool]) -> float:
    """The share of the files for which it holds."""
    return sum(map(test, files)) / max(1, len(files))


def _buried(files: list[Sorted]) -> bool:
    """Whether plain folders stand above those whose names tell something: the source is one level too high."""
    return share([f for f in files if f.kind or f.split], lambda f: f.buried) > 0.5


def _top(item: Sorted) -> str:
    return item.file.split("/")[0]


def is_cityscapes(tree: Tree, files: list[Sorted]) -> bool:
    return share(files, lambda f: _in_official_tree(f) and not _of_sequence(f)) > 0.5


def is_cityscapes_sequence(tree: Tree, files: list[Sorted]) -> bool:
    return share(files, lambda f: _in_official_tree(f) and _of_sequence(f)) > 0.5


def _in_official_tree(item: Sorted) -> bool:
    return _official(item) and item.split is not None and not item.buried and "/" in item.key


def _official(item: Sorted) -> bool:
    return item.ending == "_leftImg8bit" or item.ending.startswith(("_gtFine_", "_gtCoarse_"))


def _of_sequence(item: Sorted) -> bool:
    return "leftImg8bit_sequence" in item.file.split("/")


def is_camvid(tree: Tree, files: list[Sorted]) -> bool:
    return any(folder in ("trainannot", "valannot", "testannot") for folder in tree.counts())


def is_camvid32(tree: Tree, files: list[Sorted]) -> bool:
    labels = [f for f in files if f.kind == "label"]
    return bool(labels) and not _buried(files) and share(labels, lambda f: f.ending == "_L") > 0.5


def is_pix2pixhd(tree: Tree, files: list[Sorted]) -> bool:
    return any(_top(f) in ("train_label", "test_label", "val_label") for f in files)


def is_folders(tree: Tree, files: list[Sorted]) -> bool:
    kinds = {f.kind for f in files}
    if _buried(files):
        return False
    if {"photo", "label"} <= kinds or {"photo", "source"} <= kinds or ({"label", None} <= kinds):
        return True
    return kinds == {None} and _two_folders(files) is not None


def is_pairs(tree: Tree, files: list[Sorted]) -> bool:
    plain = [f.file for f in files if f.kind is None]
    return len(plain) == len(files) and any(f.split for f in files) and are_pairs(tree, plain)


def is_labels(tree: Tree, files: list[Sorted]) -> bool:
    if _buried(files):
        return False
    if {f.kind for f in files} <= {"label", "instance"}:
        return True
    if any(f.kind is not None for f in files):
        return False
    seen = look_at(tree, [f.file for f in files])
    return seen is not None and len(seen.ids) + len(seen.colours) > 1


def is_photos(tree: Tree, files: list[Sorted]) -> bool:
    kinds = {f.kind for f in files}
    return kinds <= {"photo", None} and not _buried(files) and not (kinds == {None} and are_pairs(tree, tree.pictures))


# reading


def assemble(layout: str, files: list[Sorted], kinds: tuple[str, ...]) -> Found:
    """Matches the files of the given kinds within each split."""
    by_split: dict[str, list[Sorted]] = defaultdict(list)
    for item in files:
        if item.kind in kinds:
            by_split[item.split or ""].append(item)
    found = Found(layout, {})
    if "" in by_split and len(by_split) > 1:
        loose = by_split.pop("")
        found.notes.append(
            f"passed over outside of the splits: {counted(len(loose), 'picture')}, such as {loose[0].file}"
        )
    for split in sorted(by_split, key=_split_order):
        entries, faults = match(by_split[split], {kind: NAMES[kind] for kind in kinds})
        found.faults += faults
        if entries:
            found.splits[split] = entries
    return found


def _split_order(name: str) -> tuple[int, str]:
    order = ("train", "train_extra", "val", "test")
    return (order.index(name) if name in order else len(order), name)


def read_cityscapes(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    files = [f for f in files if not _of_sequence(f)]
    labels, table = one_kind_of_labels(files)
    others = [f for f in files if f.kind != "label" and f.ending != "_gtFine_instanceTrainIds"]
    fine = {f.split for f in labels if "gtFine" in f.ending}
    chosen = [f for f in [*others, *labels] if "gtCoarse" not in f.ending or f.split not in fine]
    found = assemble("cityscapes", chosen, ("photo", "label", "instance"))
    found.table = table
    return found


def one_kind_of_labels(files: list[Sorted]) -> tuple[list[Sorted], ClassTable | None]:
    """Cityscapes has each label map in several forms: raw ids are taken first, then colours, then train ids."""
    for ending, table in (("_labelIds", CITYSCAPES), ("_color", CITYSCAPES), ("_labelTrainIds", CITYSCAPES19)):
        labels = [f for f in files if f.kind == "label" and f.ending.endswith(ending)]
        if labels:
            return labels, table
    return [f for f in files if f.kind == "label"], None


def read_cityscapes_sequence(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = assemble("cityscapes-sequence", [f for f in files if _of_sequence(f) and f.kind == "photo"], ("photo",))
    found.splits = {split: by_number(entries, widest_step=1) for split, entries in found.splits.items()}
    if any(f.kind == "label" for f in files):
        found.notes.append("one frame in thirty has a label: the labels are left out (--format cityscapes takes them)")
    return found


def read_camvid(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = assemble("camvid", _plain_as_photos(files), ("photo", "label"))
    found.splits = {split: by_number(entries, widest_step=2) for split, entries in found.splits.items()}
    found.table = table_of(tree, found, needs_table, CAMVID11)
    return found


def read_camvid32(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = assemble("camvid32", _plain_as_photos(files), ("photo", "label"))
    found.splits = {split: by_number(entries, widest_step=2) for split, entries in found.splits.items()}
    found.table = table_of(tree, found, needs_table, CAMVID32)
    return found


def read_pix2pixhd(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = assemble("pix2pixhd", files, ("photo", "label", "instance"))
    official = any(f.ending.endswith("_labelIds") for f in files)
    found.table = table_of(tree, found, needs_table, CITYSCAPES if official else None)
    return found


def read_folders(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    notes: list[str] = []
    if {f.kind for f in files} == {None}:
        files, notes = _kinds_by_content(tree, files)
    labels, official = one_kind_of_labels(files)
    files = _plain_as_photos([f for f in files if f.kind != "label"] + labels)
    kinds = {f.kind for f in files}
    if kinds == {"instance"}:
        files = [replace(f, kind="label") for f in files]
    wanted = ("photo", "label", "instance") if "label" in kinds else ("photo", "source")
    found = assemble(
        "folders", files, ("photo", "label", "instance", "source") if {"label", "source"} <= kinds else wanted
    )
    found.notes += notes
    found.splits = {split: by_folder(entries) for split, entries in found.splits.items()}
    if "label" in found.kinds:
        found.table = table_of(tree, found, needs_table, official)
    return found


def read_pairs(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = Found("pairs", {})
    found.notes.append("each picture is two, side by side (--format photos if it is one)")
    by_split: dict[str, list[Sorted]] = defaultdict(list)
    for item in files:
        by_split[item.split or ""].append(item)
    if "" in by_split and len(by_split) > 1:
        loose = by_split.pop("")
        found.notes.append(
            f"passed over outside of the splits: {counted(len(loose), 'picture')}, such as {loose[0].file}"
        )
    for split in sorted(by_split, key=_split_order):
        entries, faults = name_entries([(item.key, {"pair": item.file}) for item in by_split[split]])
        found.faults += faults
        found.splits[split] = entries
    return found


def read_labels(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    labels, official = one_kind_of_labels([f if f.kind == "instance" else replace(f, kind="label") for f in files])
    found = assemble("labels", labels + [f for f in files if f.kind == "instance"], ("label", "instance"))
    found.splits = {split: by_folder(entries) for split, entries in found.splits.items()}
    found.table = table_of(tree, found, needs_table, official)
    return found


def read_photos(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = assemble("photos", [replace(f, kind="photo") for f in files], ("photo",))
    found.splits = {split: by_folder(entries) for split, entries in found.splits.items()}
    return found


def table_of(tree: Tree, found: Found, needed: bool, expected: ClassTable | None) -> ClassTable | None:
    """The expected table where it fits a few label maps (or none can be read), else the only one that fits."""
    labels = [entry.files["label"] for entries in found.splits.values() for entry in entries if "label" in entry.files]
    if not labels or not (needed or expected):
        return None
    seen = look_at(tree, labels)
    if expected is not None:
        fits = seen is None or (seen.colours <= expected.colour_ids.keys() if seen.painted else expected.fits(seen.ids))
        if fits:
            found.ids_by = expected if seen is not None and not seen.painted else None
            return expected
    return resolve_table(seen, tree.root) if needed else None


def _plain_as_photos(files: list[Sorted]) -> list[Sorted]:
    """Beside label folders, folders whose names tell nothing but the split hold the photos."""
    if any(f.kind == "photo" for f in files):
        return files
    return [replace(f, kind="photo") if f.kind is None else f for f in files]


def _two_folders(files: list[Sorted]) -> tuple[str, str] | None:
    """Two top folders that hold pictures of the same names."""
    names: dict[str, set[str]] = defaultdict(set)
    for f in files:
        top, slash, rest = f.file.partition("/")
        if not slash or f.split is not None:
            return None
        names[top].add(os.path.splitext(rest)[0])
    if len(names) != 2:
        return None
    (a, in_a), (b, in_b) = sorted(names.items())
    return (a, b) if 2 * len(in_a & in_b) >= max(len(in_a), len(in_b)) else None


def _kinds_by_content(tree: Tree, files: list[Sorted]) -> tuple[list[Sorted], list[str]]:
    """Two folders whose names tell nothing: one with label maps has the labels; without, it is picture to picture."""
    tops = _two_folders(files)
    if tops is None:
        return files, []
    are_labels = [look_at(tree, [f.file for f in files if _top(f) == top]) is not None for top in tops]
    kinds = ("label", "photo") if are_labels == [True, False] else ("photo", "label")
    note = f"labels from {tops[kinds.index('label')]}/, photos from {tops[kinds.index('photo')]}/"
    if are_labels[0] == are_labels[1]:
        kinds = ("source", "photo")
        note = f"picture to picture, from {tops[0]}/ to {tops[1]}/ (name a folder labels if it holds label maps)"
    result = []
    for f in files:
        top, _, rest = f.file.partition("/")
        result.append(replace(f, kind=kinds[tops.index(top)], key=os.path.splitext(rest)[0]))
    return result, [note]
