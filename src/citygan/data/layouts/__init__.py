"""Recognises how a data set lies on the disk, by what is there; one reader each, one row in `LAYOUTS`."""

from __future__ import annotations

import os
from pathlib import Path

from citygan.data.layouts.content import are_pairs
from citygan.data.layouts.known import ALONE, LAYOUTS, RENDERED, SECRET_TEST, WITH_LABELS, Layout, recognise
from citygan.data.layouts.nearby import (
    WORDS,
    folders_below,
    half_of_a_set,
    prepare_command,
    splits_beside,
)
from citygan.data.layouts.readers import one_kind_of_labels
from citygan.data.layouts.sorting import Sorted, sort_file
from citygan.data.layouts.tree import SOUGHT, Tree, scan
from citygan.data.layouts.types import Entry, Fault, Found
from citygan.errors import DataError, UsageError, counted, did_you_mean

__all__ = [
    "LAYOUTS",
    "RENDERED",
    "SECRET_TEST",
    "Entry",
    "Fault",
    "Found",
    "Layout",
    "Tree",
    "label_files",
    "prepare_command",
    "read_layout",
    "scan",
]


def check_layout(name: str) -> None:
    """Whether there is a layout of that name.

    Raises:
        UsageError: There is none; the nearest is named.
    """
    if name not in LAYOUTS:
        hint = f"{did_you_mean(name, LAYOUTS)}There are {', '.join(LAYOUTS)}"
        raise UsageError(f"no layout '{name}'", where="--format", hint=hint)


def read_layout(root: Path, name: str | None = None, *, needs_table: bool = True) -> Found:
    """Reads the layout of a folder.

    Args:
        root: The folder.
        name: The layout; recognised where it is None.
        needs_table: Whether the class table of the labels must be known from the layout or the label maps themselves
            (False where ``--classes`` names it).

    Raises:
        UsageError: No layout of that name.
        DataError: No such folder, nothing recognised, half of a set alone, or labels that fit no table or several.
    """
    if name is not None:
        check_layout(name)
    tree = scan(root)
    files = [sort_file(file) for file in tree.pictures]
    if not files:
        raise _no_pictures(tree)
    chosen = recognise(tree, files, None if name is None else (name,))
    if chosen is None and name is not None and (hint := folders_below(tree, name)):
        raise DataError(f"0 pictures of the layout {name}", where=root, hint=hint)
    if name is None or (chosen is None and name not in (*ALONE, "pairs")):
        _refuse_half(root, files, chosen)
    if chosen is None and name is None:
        raise _unknown(tree)
    layout = name or str(chosen)
    found = LAYOUTS[layout].read(tree, files, needs_table)
    found.layout = layout
    if not found.count and not found.faults:
        raise DataError(f"0 pictures of the layout {layout}", where=root, hint=f"It is {LAYOUTS[layout].looks_like}")
    if name is None and (beside := splits_beside(root)):
        above, others, _ = beside
        found.notes.append(f"other splits lie beside it ({', '.join(others)}): {prepare_command(above)} takes all")
    return found


def _refuse_half(root: Path, files: list[Sorted], chosen: str | None) -> None:
    """Tells whoever named the photos or the label maps of a set where its other half lies.

    Raises:
        DataError: It is half of a set.
    """
    kinds = {f.kind for f in files}
    if chosen not in (None, *ALONE) and kinds & {"photo", None} and kinds & {"label", "source"}:
        return
    half = half_of_a_set(root)
    if half is not None:
        layout = chosen or ("labels" if half.mine == "label" else "photos")
        raise DataError(
            f"{root} holds {WORDS[half.mine]} alone: the {WORDS[half.theirs]} that belong to them lie in {half.other}",
            hint=f"{prepare_command(half.whole)} takes both, --format {layout} these alone",
        )


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


# what to say when nothing is recognised


def _no_pictures(tree: Tree) -> DataError:
    others = ", ".join(f"{count} {suffix}" for suffix, count in tree.others.most_common(4))
    return DataError(
        f"0 pictures under {tree.root}" + (f" (there are {others})" if others else ""),
        hint=f"{SOUGHT}; citygan prepare demo makes a city to try",
    )


def _unknown(tree: Tree) -> DataError:
    counts = sorted(tree.counts().items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} in {folder or '.'}/" for folder, count in counts[:4])
    if len(counts) > 4:
        shown += f" and {counted(len(counts) - 4, 'more folder')}"
    looks = "; ".join(f"{name}: {layout.looks_like}" for name, layout in LAYOUTS.items())
    hint = folders_below(tree, None)
    beside = splits_beside(tree.root)
    if not hint and beside is not None and beside[2] is not None:
        above, _, layout = beside
        hint = (
            f"Did you mean {above}, of which it is a split? {prepare_command(above)}; --format {layout} takes it alone"
        )
    if not hint and are_pairs(tree, tree.pictures):
        hint = "They are twice as wide as high: --format pairs if each is two side by side, else --format photos"
    pictures = counted(len(tree.pictures), "picture")
    return DataError(
        f"no layout recognised among {pictures} ({shown})",
        where=tree.root,
        hint=hint or f"--format takes one of these: {looks}",
    )
