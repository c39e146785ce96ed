"""The sets of rendered streets that adaptation starts from: SYNTHIA (pictures, video sequences) and GTA5."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from citygan.data.labels import GTA5, SYNTHIA, SYNTHIA_SEQS, VOID, ClassTable
from citygan.data.layouts.content import headers_of, look_at
from citygan.data.layouts.readers import assemble, share, table_of
from citygan.data.layouts.sequences import numbered
from citygan.data.layouts.sorting import SPLITS, Sorted
from citygan.data.layouts.tree import Tree
from citygan.data.layouts.types import Entry, Found, safe_stem

_CAMERA = re.compile(r"Stereo_(Left|Right)/Omni_[FBLR]", re.IGNORECASE)
_NUMBERED = re.compile(r"\d{5}")  # as GTA5 names its pictures


# SYNTHIA


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file of SYNTHIA lies.

    Attributes:
        kind: photo, label (GT/LABELS) or colours (GT/COLOR).
        split: As a folder of that name tells.
        above: The folder above RGB and GT, which is the drive; '' where they lie at the top.
        camera: ``Stereo_Left/Omni_F`` and the like; '' in the pictures, which are of one camera.
        name: The file's name without suffix.
    """

    kind: str
    split: str | None
    above: str
    camera: str
    name: str

    @property
    def key(self) -> str:
        """The name by which files belong together."""
        return "/".join(part for part in (self.above, self.camera, self.name) if part)


def _place(file: str) -> _Place | None:
    """Reads the path of a file; None where it lies in no folder of SYNTHIA's photos or label maps."""
    *folders, name = file.split("/")
    low = [folder.lower() for folder in folders]
    if "rgb" in low:
        start = low.index("rgb")
        kind, end = "photo", start + 1
    elif "gt" in low and low[low.index("gt") + 1 : low.index("gt") + 2] in (["labels"], ["color"]):
        start = low.index("gt")
        kind, end = ("label" if low[start + 1] == "labels" else "colours"), start + 2
    else:
        return None
    above = [f for f in folders[:start] if f.lower() not in SPLITS]
    below = [f for f in folders[end:] if f.lower() not in SPLITS]
    split = next((SPLITS[f] for f in low[:start] + low[end:] if f in SPLITS), None)
    camera = "/".join(below)
    if len(above) > 1 or not (camera == "" or _CAMERA.fullmatch(camera)) or (above and not camera):
        return None
    return _Place(kind, split, "".join(above), camera, name[: name.rindex(".")])


def _placed(files: Sequence[Sorted], *, video: bool) -> list[tuple[Sorted, _Place]]:
    """The files of the pictures, or of the video sequences."""
    places = ((item, _place(item.file)) for item in files)
    return [(item, place) for item, place in places if place is not None and (place.camera != "") == video]


def is_synthia(tree: Tree, files: list[Sorted]) -> bool:
    """RGB/ and GT/, with the label maps as SYNTHIA has them: the names of the folders alone are anyone's."""
    placed = _placed(files, video=False)
    if not _mostly(placed, files):
        return False
    labels = [item.file for item, place in placed if place.kind == "label"]
    if labels:
        return _hold_instances(tree, labels)
    seen = look_at(tree, [item.file for item, place in placed if place.kind == "colours"])
    return seen is not None and bool(seen.shown) and seen.shown <= SYNTHIA.colour_ids.keys()


def is_synthia_seqs(tree: Tree, files: list[Sorted]) -> bool:
    return _mostly(_placed(files, video=True), files)


def _mostly(placed: Sequence[object], files: Sequence[Sorted]) -> bool:
    """Whether a folder is SYNTHIA's, where depths and other maps lie beside, and not one that has it among others."""
    return 3 * len(placed) > len(files)


def read_synthia(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    return _all_in_train(_read(tree, _placed(files, video=False), "synthia", SYNTHIA, needs_table))


def read_synthia_seqs(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    placed = _placed(files, video=True)
    found = _read(tree, placed, "synthia-seqs", SYNTHIA_SEQS, needs_table)
    places = {item.file: place for item, place in placed}
    for split, entries in found.splits.items():
        cameras: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            place = places[next(iter(entry.files.values()))]
            drive = place.above or tree.root.resolve().name or "drive"
            camera = "/".join(part for part in (place.above, place.camera) if part)
            cameras[camera].append(replace(entry, stem=safe_stem(place.key), drive=safe_stem(drive)))
        found.splits[split] = [
            replace(entry, sequence=safe_stem(camera), frame=frame)
            for camera, members in cameras.items()
            for frame, entry in numbered(members)
        ]
    return _all_in_train(found)


def _read(tree: Tree, placed: list[tuple[Sorted, _Place]], layout: str, table: ClassTable, needs_table: bool) -> Found:
    labels = "label" if any(place.kind == "label" for _, place in placed) else "colours"
    items = [
        replace(item, kind="label" if place.kind == labels else "photo", split=place.split, key=place.key, ending="")
        for item, place in placed
        if place.kind in ("photo", labels)
    ]
    found = assemble(layout, items, ("photo", "label"))
    if "label" not in found.kinds:
        return found
    if labels == "colours":
        found.table = table
        if table is SYNTHIA:
            found.notes.append(
                "GT/COLOR paints lane markings as walls, and as walls they are read: GT/LABELS tells them apart"
            )
        return found
    found.table = table_of(tree, found, needs_table, table)
    if _hold_instances(tree, [item.file for item in items if item.kind == "label"]):
        found.splits = {name: [_with_its_instances(e) for e in entries] for name, entries in found.splits.items()}
    return found


def _hold_instances(tree: Tree, labels: Sequence[str]) -> bool:
    """Whether label maps are 16-bit colours, most of them: the classes, the instances, and a channel of nothing."""
    heads = headers_of(tree, labels)
    return 2 * sum(head.bits == 16 and head.mode in ("RGB", "RGBA") for head in heads) > len(heads)


def _with_its_instances(entry: Entry) -> Entry:
    return replace(entry, files={**entry.files, "instance": entry.files["label"]})


# GTA5


def is_gta5(tree: Tree, files: list[Sorted]) -> bool:
    """Numbered pictures in images/ and labels/, the label maps in Cityscapes' colours: the names alone are anyone's."""
    if share(files, _named_as_gta5) <= 0.9 or {f.kind for f in files} != {"photo", "label"}:
        return False
    seen = look_at(tree, [f.file for f in files if f.kind == "label"])
    if seen is None:
        return False
    if seen.painted:
        return seen.colours <= GTA5.colour_ids.keys()
    told = [index for index, _ in seen.palettes if GTA5.train_ids[index] != VOID]
    return bool(told) and all(GTA5.agrees(index, colour) for index, colour in seen.palettes)


def _named_as_gta5(item: Sorted) -> bool:
    folders = {folder.lower() for folder in item.file.split("/")[:-1]} - SPLITS.keys()
    return folders in ({"images"}, {"labels"}) and bool(_NUMBERED.fullmatch(item.key))


def read_gta5(tree: Tree, files: list[Sorted], needs_table: bool) -> Found:
    found = _all_in_train(assemble("gta5", files, ("photo", "label")))
    found.in_order = True
    if "label" in found.kinds:
        found.table = GTA5
        seen = look_at(tree, [f.file for f in files if f.kind == "label"])
        found.ids_by = GTA5 if seen is not None and not seen.painted else None
    if tree.others[".mat"]:
        found.notes.append("its .mat file is not read: the official division is not taken")
    return found


def _all_in_train(found: Found) -> Found:
    """Where it has no splits: adaptation trains on all of a rendered set. ``--splits`` takes a share out of it."""
    if "" in found.splits:
        found.splits = {"train": found.splits[""]}
    return found
