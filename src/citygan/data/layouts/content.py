"""What pictures show, where names do not tell: label maps or photos, side-by-side pairs, and by which class table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from citygan.data.labels import TABLES, VOID, ClassTable, Colour, plainest
from citygan.data.layouts.tree import Tree
from citygan.errors import DataError
from citygan.pictures import MAX_PIXELS, Picture, decode, header, read_bytes
from citygan.pictures.headers import Header
from citygan.pictures.painted import pack_colours

SAMPLE = 12
YOUR_OWN = "--classes FILE.yaml with a list of {id, name, colour, train_id}"
MOST_CLASSES = 64  # a picture with more different values is no label map


def spread(items: Sequence[str], count: int = SAMPLE) -> list[str]:
    """A few of many, evenly spread."""
    return [items[i] for i in sorted({k * len(items) // count for k in range(count)})] if items else []


def headers_of(tree: Tree, files: Sequence[str], max_pixels: int = MAX_PIXELS) -> list[Header]:
    """The headers of a few of the files; those that cannot be read are passed over (they are told later)."""
    found = []
    for file in spread(files):
        try:
            found.append(header(tree.path(file), max_pixels=max_pixels))
        except DataError:
            continue
    return found


def are_pairs(tree: Tree, files: Sequence[str]) -> bool:
    """Whether all are exactly twice as wide as high, as side-by-side pairs of squares are."""
    found = headers_of(tree, files)
    return bool(found) and all(head.width == 2 * head.height for head in found)


@dataclass
class Seen:
    """What a few label maps hold."""

    ids: set[int] = field(default_factory=set)
    colours: set[Colour] = field(default_factory=set)
    palettes: set[tuple[int, Colour]] = field(default_factory=set)  # (index, colour) pairs that are used

    @property
    def painted(self) -> bool:
        """Whether they are in colours."""
        return bool(self.colours)

    @property
    def shown(self) -> set[Colour]:
        """The colours that are seen, by palettes as well; empty where they are grey."""
        return self.colours | {colour for _, colour in self.palettes}


def look_at(tree: Tree, files: Sequence[str], max_pixels: int = MAX_PIXELS) -> Seen | None:
    """Looks at a few files as label maps; None when they are none (or none can be read)."""
    seen = Seen()
    readable = 0
    for file in spread(files):
        try:
            path = tree.path(file)
            picture = decode(read_bytes(path), path, max_pixels=max_pixels)
        except DataError:
            continue
        readable += 1
        if not _add(seen, picture):
            return None
    return seen if readable else None


def _add(seen: Seen, picture: Picture) -> bool:
    samples = picture.samples
    if picture.header.lossy or picture.header.orientation != 1:
        return False
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        samples = samples[..., 0] if samples.shape[2] == 2 else samples[..., :3]
    if samples.ndim == 3 and samples.dtype != np.uint8:
        samples = samples[..., 0]  # SYNTHIA's classes
    if samples.ndim == 3 and all(np.array_equal(samples[..., 0], samples[..., c]) for c in (1, 2)):
        samples = samples[..., 0]
    if samples.ndim == 2:
        values = [int(v) for v in np.unique(samples)]
        seen.ids.update(values)
        if picture.palette is not None:
            for v in values:
                r, g, b = picture.palette[v].tolist()
                seen.palettes.add((v, (r, g, b)))
        return len(values) <= MOST_CLASSES
    packed = np.unique(pack_colours(samples))
    if len(packed) > MOST_CLASSES:
        return False
    seen.colours.update((int(v) >> 16, int(v) >> 8 & 255, int(v) & 255) for v in packed)
    return True


def tables_for(seen: Seen) -> list[ClassTable]:
    """The built-in tables by which these label maps could be read: by colours where they have any, else by ids."""
    if seen.painted:
        different: dict[tuple[str | None, ...], ClassTable] = {}
        for table in plainest(t for t in TABLES.values() if seen.colours <= t.colour_ids.keys()):
            different.setdefault(_trained_as(table, seen.colours), table)
        return list(different.values())
    fitting = plainest(table for table in TABLES.values() if table.fits(seen.ids))
    if len(fitting) > 1 and seen.palettes:
        agreeing = [
            table
            for table in fitting
            if all(tuple(table.palette[index].tolist()) == colour for index, colour in seen.palettes)
        ]
        if len(seen.palettes) > 2 and len(agreeing) == 1:
            return agreeing
    return fitting


def _trained_as(table: ClassTable, colours: set[Colour]) -> tuple[str | None, ...]:
    """What each colour is trained as, None for void: what two tables tell the same of fits the first of them."""
    trained = (int(table.train_ids[table.colour_ids[colour]]) for colour in sorted(colours))
    return tuple(None if number == VOID else table.train_names[number] for number in trained)


def resolve_table(seen: Seen | None, where: object) -> ClassTable:
    """The one table that fits.

    Raises:
        DataError: None does, or several do: they are named, for ``--classes``.
    """
    if seen is None:
        raise DataError(
            "the label folder holds no label maps (too many values, or lossy)",
            where=str(where),
            hint="Label maps are PNGs of ids, or of the colours of a class table",
        )
    if not seen.painted and seen.ids <= {0, 255}:
        raise DataError(
            "the label maps hold nothing but 0 and 255 (masks, not classes)",
            where=str(where),
            hint=f"If they are meant, describe the two: {YOUR_OWN}",
        )
    fitting = tables_for(seen)
    if len(fitting) == 1:
        return fitting[0]
    values: list[Any] = sorted(seen.colours) if seen.painted else sorted(seen.ids)
    shown = ", ".join(str(v) for v in values[:12]) + (" …" if len(values) > 12 else "")
    what = "colours" if seen.painted else "ids"
    if fitting:
        raise DataError(
            f"the {what} of the label maps ({shown}) fit several class tables"
            f" ({', '.join(table.name for table in fitting)})",
            where=str(where),
            hint=f"--classes takes the name of theirs; or, for classes of your own, {YOUR_OWN}",
        )
    raise DataError(
        f"the {what} of the label maps ({shown}) fit no built-in class table",
        where=str(where),
        hint=f"{_nearest_table(values, seen)}{YOUR_OWN}",
    )


def _nearest_table(values: list[Any], seen: Seen) -> str:
    """Of label maps that fit a table but for a few stray values: which."""
    for table in TABLES.values():
        stray = [v for v in values if v not in (table.colour_ids if seen.painted else table.ids)]
        if len(values) > 4 * len(stray):
            return (
                f"All but {', '.join(map(str, stray))} are of {table.name}: --classes {table.name} names the files; or "
            )
    return ""
