"""The folder that was meant: one below or above the one that was named, or the one that it belongs together with."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from citygan.data.layouts.known import LAYOUTS, recognise, telling
from citygan.data.layouts.sorting import SPLITS, Sorted, sort_file, sort_folder
from citygan.data.layouts.tree import IGNORED, Tree, scan
from citygan.errors import DataError

DEEPEST = 3  # levels below the named folder that are looked at
HIGHEST = 3  # levels above it
MOST_FOLDERS = 500  # that are looked at below
MOST_WORDS = 3  # of a folder beside: a longer name has a word like "labels" in it by chance

WORDS = {"photo": "photos", "label": "label maps", "source": "source pictures"}


@dataclass(frozen=True)
class Half:
    """A folder that holds one half of a set, the photos or what they belong to.

    Attributes:
        whole: The folder that has both halves.
        other: The folder of the other half.
        mine, theirs: What the halves are: photo, label or source.
    """

    whole: Path
    other: Path
    mine: str
    theirs: str


def prepare_command(folder: Path) -> str:
    """The command that prepares a folder."""
    text = os.fspath(folder)
    return f"citygan prepare {shlex.quote(f'./{text}' if text == 'demo' or text.startswith('-') else text)}"


def folders_below(tree: Tree, name: str | None) -> str:
    """``936 under A/camvid: did you mean that? citygan prepare A/camvid``: folders below that have a layout.

    Args:
        tree: A folder that has none.
        name: The layout that is wanted; None: any that tells itself.

    Returns:
        A hint; empty where there is no such folder.
    """
    wanted = [name] if name else telling()
    found: Counter[str] = Counter()
    left = MOST_FOLDERS
    for depth in range(1, DEEPEST + 1):
        groups: dict[str, list[str]] = {}
        for file in tree.pictures:
            parts = file.split("/", depth)
            if len(parts) > depth and not any(file.startswith(f"{folder}/") for folder in found):
                groups.setdefault("/".join(parts[:depth]), []).append(parts[depth])
        for folder, names in list(groups.items())[:left]:
            inner = Tree(tree.root / folder, tuple(names), Counter())
            if recognise(inner, [sort_file(file) for file in names], wanted):
                found[folder] = len(names)
        left = max(0, left - len(groups))
    if not found:
        return ""
    (best, most), *others = ((tree.root / folder, count) for folder, count in found.most_common(3))
    more = "".join(f"; {count} are under {other}" for other, count in others)
    return f"{most} under {best}: did you mean that? {prepare_command(best)}{more}"


def splits_beside(root: Path) -> tuple[Path, list[str], str | None] | None:
    """The splits beside a folder that is named as one.

    Returns:
        The folder above, the names of its folders of other splits that hold pictures, and the layout by which it has
        them all, if any; None where there are none.
    """
    here = Path(os.path.abspath(root))
    names = [name for name in _folders(here.parent) if name.lower() in SPLITS]
    if here.name not in names:
        return None
    tree = _tree(here.parent, names)
    others = [name for name in names if name != here.name and any(f.startswith(f"{name}/") for f in tree.pictures)]
    return (_shown(here.parent, root), others, recognise(tree, _sorted(tree), telling())) if others else None


def half_of_a_set(root: Path) -> Half | None:
    """The set of which a folder holds the photos alone, or what they belong to.

    The other half is a folder beside it, or beside one that it lies in, whose name says what it holds (`trainannot`
    beside `train`, `gtFine` beside `leftImg8bit`), with pictures of the same names.
    """
    here = Path(os.path.abspath(root))
    for above in list(here.parents)[:HIGHEST]:
        inner = here.relative_to(above).as_posix()
        top = inner.split("/")[0]
        if top != inner and sort_folder(top)[0] is None and top.lower() not in SPLITS:
            continue
        beside = _beside(above, inner)
        joined = _joined(_tree(above, [top, *beside]), f"{inner}/") if beside else None
        if joined is not None:
            mine, theirs, other = joined
            whole = _shown(above, root)
            return Half(whole, whole / other, mine, theirs)
    return None


def _beside(above: Path, inner: str) -> list[str]:
    """Folders in `above` that tell another kind of picture than the path `inner` does, and no other split."""
    mine = sort_file(f"{inner}/x.png")
    found = []
    for name in _folders(above):
        if len(re.split(r"[^A-Za-z0-9]+", name)) > MOST_WORDS:
            continue
        kind, split = sort_folder(name)
        told = split == mine.split is not None and mine.kind is not None if kind is None else kind != mine.kind
        if name != inner.split("/")[0] and told and (split is None or mine.split is None or split == mine.split):
            found.append(name)
    return found


def _joined(tree: Tree, inner: str) -> tuple[str, str, str] | None:
    """What the halves within and outside of `inner` are, and the folder of the other one, where most names match."""
    files = _sorted(tree)
    name = recognise(tree, files, telling())
    if name is None:
        return None
    found = LAYOUTS[name].read(tree, files, False)
    entries = [entry.files for split in found.splits.values() for entry in split]
    alone = sum(fault.file.startswith(inner) for fault in found.faults)
    halves = Counter(_halves(entry, inner) for entry in entries if any(f.startswith(inner) for f in entry.values()))
    for halves_, count in halves.most_common(1):
        if halves_ is not None and 2 * count > halves.total() + alone:
            return halves_
    return None


def _halves(files: Mapping[str, str], inner: str) -> tuple[str, str, str] | None:
    inside = next((kind for kind in WORDS if kind in files and files[kind].startswith(inner)), None)
    outside = next((kind for kind in WORDS if kind in files and not files[kind].startswith(inner)), None)
    if inside is None or outside is None:
        return None
    return inside, outside, files[outside].split("/")[0]


def _tree(above: Path, names: Iterable[str]) -> Tree:
    """Some of the folders in a folder; what cannot be read is not there."""
    pictures: list[str] = []
    for name in names:
        try:
            pictures += [f"{name}/{file}" for file in scan(above / name).pictures]
        except DataError:
            continue
    return Tree(above, tuple(pictures), Counter())


def _sorted(tree: Tree) -> list[Sorted]:
    return [sort_file(file) for file in tree.pictures]


def _folders(above: Path) -> list[str]:
    try:
        entries = list(os.scandir(above))
    except OSError:
        return []
    seen = (e for e in entries if not e.name.startswith(".") and e.name.lower() not in IGNORED)
    return sorted(entry.name for entry in seen if entry.is_dir())


def _shown(path: Path, like: Path) -> Path:
    """A path as the user would write it: relative where theirs is."""
    return path if like.is_absolute() else Path(os.path.relpath(path))
