"""Sorts pictures by the names of their folders and files: which kind, which split, which belong together.

Photos and labels lie in folders of their own (``images/``, ``labels/``), with the split above, below or within the
folder's name (``train/images``, ``images/train``, ``train_img``); what is left of the path is the name by which they
are matched, never their position. All layouts of labels and photos are variants of that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from citygan.data.layouts.types import Entry, Fault, safe_stem, same_name

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

WORDS = {
    "instance": {"inst", "instance", "instances", "instanceids"},
    "label": {
        *("label", "labels", "labelids", "labeled", "labelled", "labeledapproved", "mask", "masks", "annot", "annots"),
        *("annotation", "annotations", "ann", "seg", "segs", "segmentation", "segmentations", "semantic", "semantics"),
        *("segmentationclass", "gt", "gtfine", "gtcoarse", "groundtruth"),
    },
    "source": {"source", "sources", "graphics", "input", "inputs"},
    "photo": {
        *("photo", "photos", "image", "images", "img", "imgs", "picture", "pictures", "rgb", "jpegimages", "frames"),
        *("leftimg8bit", "stillsraw", "target", "targets", "output", "outputs", "real"),
    },
}

SEQUENCE_FOLDER = re.compile(r"(seq|sequence|clip|video|drive)[-_ ]?\w*", re.IGNORECASE)

# what file names end in, and what it says of the file
_ENDINGS = re.compile(
    r"_(?P<city>leftImg8bit|gt(?:Fine|Coarse)_(?:labelIds|instanceIds|labelTrainIds|instanceTrainIds|color))$"
    r"|_(?P<other>labelIds|labelTrainIds|instanceIds|L|labels?|mask|seg|gt|inst|instance|color|img|image|rgb|photo)$"
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """One picture file.

    Attributes:
        file: Its relative path.
        kind, split: As the names of folders and file tell them; None where they do not.
        key: The name by which it is matched: the rest of the path, without suffix.
        ending: What the key ends in that tells the kind, such as ``_gtFine_labelIds``.
        buried: Whether folders that tell nothing stand above those that do: the source is one level too high.
    """

    file: str
    kind: str | None
    split: str | None
    key: str
    ending: str
    buried: bool


def sort_file(file: str) -> Sorted:
    """Reads kind, split and key from a relative path."""
    *folders, name = file.split("/")
    kind: str | None = None
    split: str | None = None
    rest: list[str] = []
    buried = False
    for folder in folders:
        folder_kind, folder_split = sort_folder(folder)
        tells_kind, tells_split = kind is None and folder_kind is not None, split is None and folder_split is not None
        kind = folder_kind if tells_kind else kind
        split = folder_split if tells_split else split
        if tells_kind or tells_split:
            buried = any(not SEQUENCE_FOLDER.fullmatch(above) for above in rest)
        else:
            rest.append(folder)
    stem = name[: name.rindex(".")]
    match = _ENDINGS.search(stem)
    ending = ""
    if match:
        ending = (match["city"] or match["other"]).rpartition("_")[2]
        ending_kind = _kind_of_ending(ending)
        if (match["city"] and ending != "leftImg8bit") or (kind in ("label", None) and ending_kind == "instance"):
            kind = ending_kind
        kind = kind or (ending_kind if match["city"] else None)
    return Sorted(file, kind, split, "/".join([*rest, stem]), match[0] if match else "", buried)


def _kind_of_ending(ending: str) -> str:
    if ending.lower().startswith("inst"):
        return "instance"
    return "photo" if ending in ("leftImg8bit", "img", "image", "rgb", "photo") else "label"


def sort_folder(name: str) -> tuple[str | None, str | None]:
    """Kind and split that a folder's name tells."""
    low = name.lower()
    annot = re.fullmatch(r"(train|val|test)annot", low)
    if annot:
        return "label", annot[1]
    words = [word for word in re.split(r"[^a-z0-9]+", low) if word]
    if low == "train_extra":
        return None, "train_extra"
    if low in ("a", "b"):
        return "source" if low == "a" else "photo", None
    split = next((SPLITS[word] for word in words if word in SPLITS), None)
    kind = next((kind for kind, known in WORDS.items() if any(word in known for word in words)), None)
    return kind, split


def without_ending(item: Sorted) -> str:
    """The key without what its name ends in."""
    return item.key[: len(item.key) - len(item.ending)] if item.ending else item.key


def match(files: Iterable[Sorted], kinds: dict[str, str]) -> tuple[list[Entry], list[Fault]]:
    """Puts together the files of one split that belong together, by name.

    Args:
        files: The files of the kinds that are wanted.
        kinds: What each kind is called in a fault: all of those that occur are needed for each picture.

    Returns:
        The pictures, in the files' order, and the files that lack a partner or stand twice.
    """
    files = list(files)
    exact = _by_key(files, ended=False)
    stripped = _by_key(files, ended=True)
    groups = stripped if _quality(stripped) >= _quality(exact) else exact
    present = {item.kind for item in files}
    entries: list[tuple[str, dict[str, str]]] = []
    faults: list[Fault] = []
    for key, members in groups.items():
        by_kind: dict[str, list[str]] = defaultdict(list)
        for member in members:
            by_kind[member.kind or "photo"].append(member.file)
        twice = {kind: names for kind, names in by_kind.items() if len(names) > 1}
        if twice:
            for names in twice.values():
                faults += [Fault(name, f"the same name as {names[name == names[0]]}") for name in names]
            continue
        missing = [kind for kind in kinds if kind in present and kind not in by_kind]
        if missing:
            lacks = " and ".join(f"no {kinds[kind]}" for kind in missing)
            faults += [Fault(names[0], f"{lacks} of the same name") for kind, names in by_kind.items()]
            continue
        entries.append((key, {kind: by_kind[kind][0] for kind in kinds if kind in by_kind}))
    named, clashes = name_entries(entries)
    return named, faults + clashes


def _by_key(files: list[Sorted], *, ended: bool) -> dict[str, list[Sorted]]:
    groups: dict[str, list[Sorted]] = defaultdict(list)
    for item in files:
        groups[same_name(without_ending(item) if ended else item.key)].append(item)
    return groups


def _quality(groups: dict[str, list[Sorted]]) -> tuple[int, int]:
    """How well names match: few that stand twice, then many with partners."""
    twice = sum(len(members) - len({item.kind for item in members}) for members in groups.values())
    return -twice, sum(len({item.kind for item in members}) > 1 for members in groups.values())


def name_entries(entries: list[tuple[str, dict[str, str]]]) -> tuple[list[Entry], list[Fault]]:
    """Names pictures by their file, or by folder and file where the same name lies in several folders."""
    short: dict[str, int] = defaultdict(int)
    for key, _ in entries:
        short[safe_stem(key.rpartition("/")[2])] += 1
    named: dict[str, Entry] = {}
    faults: list[Fault] = []
    for key, files in entries:
        stem = safe_stem(key.rpartition("/")[2])
        if short[stem] > 1:
            stem = safe_stem(key)
        if stem in named:
            first = next(iter(named[stem].files.values()))
            faults += [Fault(file, f"the same name as {first}") for file in files.values()]
            continue
        named[stem] = Entry(stem, files)
    return list(named.values()), faults
