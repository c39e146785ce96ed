"""Recognises how a data set lies on the disk, by what is there; one reader each, one row in `LAYOUTS`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from citygan.data.layouts.content import are_pairs
from citygan.data.layouts.readers import (
    is_camvid,
    is_camvid32,
    is_cityscapes,
    is_cityscapes_sequence,
    is_folders,
    is_labels,
    is_pairs,
    is_photos,
    is_pix2pixhd,
    one_kind_of_labels,
    read_camvid,
    read_camvid32,
    read_cityscapes,
    read_cityscapes_sequence,
    read_folders,
    read_labels,
    read_pairs,
    read_photos,
    read_pix2pixhd,
)
from citygan.data.layouts.sorting import Sorted, sort_file
from citygan.data.layouts.tree import Tree, scan
from citygan.data.layouts.types import Entry, Fault, Found
from citygan.errors import DataError, UsageError, did_you_mean

__all__ = ["LAYOUTS", "Entry", "Fault", "Found", "Layout", "Tree", "label_files", "read_layout", "scan"]


@dataclass(frozen=True)
class Layout:
    """One layout: what it looks like, whether a folder is one, and its reader."""

    looks_like: str
    recognise: Callable[[Tree, list[Sorted]], bool]
    read: Callable[[Tree, list[Sorted], bool], Found]


def read_layout(root: Path, name: str | None = None, *, needs_table: bool = True) -> Found:
    """Reads the layout of a folder.

    Args:
        root: The folder.
        name: The layout; recognised where it is None.
        needs_table: Whether the class table of the labels must be known from the layout or the label maps themselves
            (False where ``--classes`` names it).

    Raises:
        UsageError: No layout of that name.
        DataError: No such folder, nothing recognised, or labels that fit no table or several.
    """
    if name is not None and name not in LAYOUTS:
        hint = f"{did_you_mean(name, LAYOUTS)}There are {', '.join(LAYOUTS)}"
        raise UsageError(f"no layout '{name}'", where="--format", hint=hint)
    tree = scan(root)
    files = [sort_file(file) for file in tree.pictures]
    chosen = name or next((key for key, layout in LAYOUTS.items() if files and layout.recognise(tree, files)), None)
    if chosen is None:
        raise _unknown(tree)
    if not LAYOUTS[chosen].recognise(tree, files) and (instead := _instead(tree, chosen)):
        raise DataError(f"0 pictures of the layout {chosen} under {root}{instead}", where=root)
    found = LAYOUTS[chosen].read(tree, files, needs_table)
    found.layout = chosen
    if not found.count and not found.faults:
        raise DataError(f"0 pictures of the layout {chosen} under {root}", where=root)
    return found


def label_files(root: Path) -> list[tuple[str, Path, Path | None]] | None:
    """The label maps of a folder in a layout that mixes them with other files, or None where it is just a folder.

    Returns:
        Of each label map: its relative path without suffix, the file, and its instance map where there is one.
    """
    tree = scan(root)
    files = [sort_file(file) for file in tree.pictures]
    chosen = next((key for key in WITH_LABELS if LAYOUTS[key].recognise(tree, files)), None)
    labels = [item for item in files if item.kind == "label"]
    mixed = any(item.kind not in (None, "label") for item in files) or len(one_kind_of_labels(labels)[0]) < len(labels)
    if chosen is None and not mixed:
        return None
    found = LAYOUTS[chosen or "folders"].read(tree, [i for i in files if i.kind in ("label", "instance")], False)
    entries = [entry for entries in found.splits.values() for entry in entries if "label" in entry.files]
    if not entries:
        return None
    return [
        (
            os.path.splitext(entry.files["label"])[0],
            tree.path(entry.files["label"]),
            tree.path(entry.files["instance"]) if "instance" in entry.files else None,
        )
        for entry in entries
    ]


LAYOUTS: dict[str, Layout] = {
    "cityscapes": Layout(
        "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_labelIds.png",
        is_cityscapes,
        read_cityscapes,
    ),
    "cityscapes-sequence": Layout(
        "leftImg8bit_sequence/SPLIT/CITY/*_leftImg8bit.png", is_cityscapes_sequence, read_cityscapes_sequence
    ),
    "camvid": Layout("train/, trainannot/, val/, valannot/, test/, testannot/", is_camvid, read_camvid),
    "camvid32": Layout("701_StillsRaw_full/*.png and LabeledApproved_full/*_L.png", is_camvid32, read_camvid32),
    "pix2pixhd": Layout("train_label/, train_inst/, train_img/ and test_*/", is_pix2pixhd, read_pix2pixhd),
    "folders": Layout("labels/ and photos/ (or the like) with the same names", is_folders, read_folders),
    "pairs": Layout("train/, val/, test/ with pictures of two sides, twice as wide as high", is_pairs, read_pairs),
    "labels": Layout("label maps alone", is_labels, read_labels),
    "photos": Layout("photos alone", is_photos, read_photos),
}

WITH_LABELS = ("cityscapes", "camvid", "camvid32", "pix2pixhd")


# what to say when nothing is recognised


def _unknown(tree: Tree) -> DataError:
    if not tree.pictures:
        others = ", ".join(f"{count} {suffix}" for suffix, count in tree.others.most_common(4))
        return DataError(f"0 pictures under {tree.root}" + (f" (there are {others})" if others else ""))
    counts = sorted(tree.counts().items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} in {folder or '.'}/" for folder, count in counts[:6])
    if len(counts) > 6:
        shown += f" and {len(counts) - 6} more folders"
    looks = "; ".join(f"{name}: {layout.looks_like}" for name, layout in LAYOUTS.items())
    hint = f"--format takes one of these: {looks}"
    if are_pairs(tree, tree.pictures):
        hint = "They are twice as wide as high: --format pairs if each is two side by side, else --format photos"
    what = f"no layout recognised among {len(tree.pictures)} pictures ({shown})"
    return DataError(what + _instead(tree, None), where=tree.root, hint=hint)


def _instead(tree: Tree, name: str | None) -> str:
    """``; 367 under A/train: did you mean that?``: a folder below, or the one above, that is a layout."""
    wanted = [name] if name else [key for key in LAYOUTS if key not in ("labels", "photos")]
    places = [tree.root / folder for folder in dict.fromkeys(f.split("/")[0] for f in tree.pictures if "/" in f)]
    best = (0, tree.root)
    for place in places:
        below = scan(place)
        files = [sort_file(file) for file in below.pictures]
        if files and any(LAYOUTS[key].recognise(below, files) for key in wanted):
            best = max(best, (len(files), place), key=lambda found: found[0])
    return f"; {best[0]} under {best[1]}: did you mean that?" if best[0] else ""
