"""Two folders of pictures, matched by name: never by position, and never a part of them.

Names are paths without suffix. Where they differ only in what tells a photo from a label map (`x_leftImg8bit`,
`x_gtFine_labelIds`, `val/images/x`), they are matched by the rest, as `prepare` does.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from citygan.data.layouts import label_files
from citygan.data.layouts.sorting import sort_file, without_ending
from citygan.data.layouts.tree import SOUGHT, scan
from citygan.errors import DataError

NAMED = 5  # names told in one message

Pictures = dict[str, Path]


def pair_folders(fake: Path, real: Path, labels: Path | None = None) -> list[tuple[str, Path, Path, Path | None]]:
    """Every picture of `fake` with its namesake in `real`, and its label map: (name, fake, real, label).

    They come by name, numbers in names by their value: p2 before p10.

    Raises:
        DataError: No such folder, no picture in it, two of one name, or names that are in one folder only.
    """
    fakes, reals = pictures_in(fake), pictures_in(real)
    bare = _bare(fakes), _bare(reals)
    if _in_common(*bare) > _in_common(fakes, reals):
        fakes, reals = bare
    _check_same(fakes, reals, fake, real)
    maps: Pictures = {}
    if labels is not None:
        maps = _label_maps(labels)
        if _in_common(_bare(maps), _bare(reals)) > _in_common(maps, reals):
            by_bare = _bare(maps)
            maps = {name: by_bare[key] for name, key in zip(reals, _bare(reals), strict=True) if key in by_bare}
        without = [name for name in reals if name not in maps]
        if without:
            raise DataError(f"{labels} has no label map for {_some(without)}")
    return [(name, fakes[name], reals[name], maps.get(name)) for name in sorted(fakes, key=_in_order)]


def _in_order(name: str) -> tuple[list[tuple[str, int]], str]:
    pieces = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or -1)) for text, number in pieces], name


def pictures_in(folder: Path) -> Pictures:
    """The pictures in a folder and all below it, by name.

    Raises:
        DataError: No such folder, no picture in it, or two of one name.
    """
    tree = scan(folder)
    found: Pictures = {}
    for file in tree.pictures:
        name = os.path.splitext(file)[0]
        if name in found:
            raise DataError(f"two pictures of one name: {found[name].name} and {Path(file).name}", where=folder)
        found[name] = tree.path(file)
    if not found:
        raise DataError("no pictures in it", where=folder, hint=SOUGHT)
    return found


def _label_maps(folder: Path) -> Pictures:
    known = label_files(folder)
    if known is None:
        return pictures_in(folder)
    return {name: file for name, file, _ in known}


def _bare(pictures: Pictures) -> Pictures:
    """By the names without what tells the kind; the names as they are where that leaves two of one name."""
    bare = {without_ending(sort_file(f"{name}.png")): file for name, file in pictures.items()}
    return bare if len(bare) == len(pictures) else pictures


def _in_common(one: Pictures, other: Pictures) -> int:
    return len(one.keys() & other.keys())


def _check_same(fakes: Pictures, reals: Pictures, fake: Path, real: Path) -> None:
    missing = [name for name in reals if name not in fakes]
    extra = [name for name in fakes if name not in reals]
    if not missing and not extra:
        return
    hint = "The folders must hold the same names; a part is not scored"
    if len(missing) == len(reals):
        raise DataError(f"no name in common: {_some(extra[:1])} in {fake}, {_some(missing[:1])} in {real}", hint=hint)
    parts = []
    if missing:
        parts.append(f"{_some(missing)} only in {real}")
    if extra:
        parts.append(f"{_some(extra)} only in {fake}")
    raise DataError(f"pictures without a partner: {'; '.join(parts)}", hint=hint)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
