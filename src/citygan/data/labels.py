"""Class tables as data: what an id or a colour in a label map means.

A set keeps the ids of its own table (Cityscapes: the raw ids 0-33). `train_id` maps them to the classes that are scored
and counted in papers, 255 for void. Two classes may share a colour (Cityscapes' pole and polegroup); reading colours
then takes the first of those that are trained on, or else the first. The rows, and where they come from, stand in
`classrows`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from citygan.data.classrows import ROWS
from citygan.errors import CityganError, UsageError, did_you_mean
from citygan.yamlfile import read_yaml_list

VOID = 255
MANY = 16  # values beyond a user's own table: more are no forgotten classes

Colour = tuple[int, int, int]
UInt8 = npt.NDArray[np.uint8]
_Any = TypeVar("_Any", bound=np.generic)


@dataclass(frozen=True)
class LabelClass:
    """One class: its id in label maps, its colour in painted ones, and the class it is trained and scored as."""

    id: int
    name: str
    colour: Colour
    train_id: int = VOID
    category: str = ""


@dataclass(frozen=True)
class ClassTable:
    """The classes of a set, by id.

    Attributes:
        void_from: Ids from here on that no class has are void, and read as 255; None: they are an error.
        file: The YAML file that the classes were read from, for errors.
    """

    name: str
    classes: tuple[LabelClass, ...]
    void_from: int | None = None
    file: str | None = field(default=None, compare=False)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The ids, in the table's order."""
        return tuple(c.id for c in self.classes)

    @cached_property
    def palette(self) -> UInt8:
        """uint8 [256, 3]: the colour of each id; black where there is no class."""
        palette = np.zeros((256, 3), np.uint8)
        for c in self.classes:
            palette[c.id] = c.colour
        return _read_only(palette)

    @cached_property
    def train_ids(self) -> UInt8:
        """uint8 [256]: id to train id; 255 (void) where there is no class."""
        lookup = np.full(256, VOID, np.uint8)
        for c in self.classes:
            lookup[c.id] = c.train_id
        return _read_only(lookup)

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool [256]: whether an id is in the table."""
        lookup = np.zeros(256, np.bool_)
        lookup[list(self.ids)] = True
        return _read_only(lookup)

    @cached_property
    def num_train(self) -> int:
        """How many classes are trained and scored: the highest train id, void aside, plus one."""
        return 1 + max((c.train_id for c in self.classes if c.train_id != VOID), default=-1)

    @cached_property
    def train_names(self) -> tuple[str, ...]:
        """The name of each train id: its class's, or the common category where several classes are trained as one."""
        names: list[str] = []
        for train_id in range(self.num_train):
            members = [c for c in self.classes if c.train_id == train_id]
            categories = {c.category for c in members}
            shared = len(members) > 1 and len(categories) == 1 and "" not in categories
            names.append(members[0].category if shared else members[0].name if members else f"class {train_id}")
        return tuple(names)

    @cached_property
    def colour_ids(self) -> dict[Colour, int]:
        """Colour to id: of the classes that share one, the first that is trained on, or else the first."""
        result: dict[Colour, int] = {}
        for c in sorted(self.classes, key=lambda c: c.train_id == VOID):  # stable: the table's order within each half
            result.setdefault(c.colour, c.id)
        return result

    def fits(self, ids: Iterable[int]) -> bool:
        """Whether all ids are in the table."""
        return all(0 <= i <= 255 and bool(self.known[i]) for i in ids)

    def extends(self, other: ClassTable) -> bool:
        """Whether it has all classes of another table, at the same ids: GTA5's has those of Cityscapes."""
        return {(c.id, c.name) for c in other.classes} <= {(c.id, c.name) for c in self.classes}

    def agrees(self, index: int, colour: Colour) -> bool:
        """Whether a palette's index is the id that its colour stands for, or one that is trained as the same."""
        shown = self.train_ids[self.colour_ids[colour]] if colour in self.colour_ids else None
        if not self.known[index]:
            return self.void_from is not None and index >= self.void_from and shown == VOID
        return tuple(self.palette[index].tolist()) == colour or shown == self.train_ids[index]

    def likely_cause(self, ids: Iterable[int]) -> str:
        """Why a label map might hold these ids (all of them, known and unknown): a hint for an error, or ''."""
        ids = set(ids)
        if max(ids, default=0) > 255:
            return "Is this an instance map?"
        if not self.built_in:
            unknown = sorted(i for i in ids if not self.known[i])
            if len(unknown) > MANY:
                return "So many ids come from an interpolated (anti-aliased) or lossy label map, or from a photo"
            mask = "A mask of 0 and 255, not a label map? " if ids <= {0, 255} else ""
            return mask + self._how_to_add(f"id {unknown[0]}" if len(unknown) == 1 else f"ids {_list(unknown)}")
        if ids <= {0, 255}:
            return "This is a mask of 0 and 255, not a label map"
        others = [t.name for t in plainest(t for t in TABLES.values() if t.name != self.name and t.fits(ids))]
        if others:
            return f"They fit {_either(others)}: try --classes {others[0]}"
        if len(ids) > len(self.classes):
            return "So many ids come from an interpolated (anti-aliased) or lossy label map, or from a photo"
        return "A YAML file of your own with all the classes is --classes FILE.yaml"

    def likely_cause_of_colours(self, colours: Iterable[Colour]) -> str:
        """Why a painted label map might hold these colours that the table does not have: a hint for an error."""
        colours = set(colours)
        others = [t.name for t in TABLES.values() if t != self and colours <= t.colour_ids.keys()]
        if others and self.built_in:
            return f"They are colours of {_either(others)}: try --classes {others[0]}"
        if len(colours) > (len(self.classes) if self.built_in else MANY):
            return "So many colours come from anti-aliasing or lossy compression, or from a photo"
        if self.built_in:
            return "Is it the right class table? A YAML list of your own is --classes FILE.yaml"
        return self._how_to_add("class" if len(colours) == 1 else "classes")

    def _how_to_add(self, what: str) -> str:
        if self.file is None:
            return f"The table has the ids {_list(self.ids)}; --classes names another"
        return f"If this is meant, add the {what} to {self.file} ({{id, name, colour, train_id}}; train_id 255 is void)"

    @property
    def built_in(self) -> bool:
        """Whether it is one of `TABLES`."""
        return TABLES.get(self.name) == self

    def to_dict(self) -> dict[str, Any]:
        """The form that dataset.yaml and checkpoints carry."""
        classes = [
            {"id": c.id, "name": c.name, "colour": list(c.colour), "train_id": c.train_id, "category": c.category}
            for c in self.classes
        ]
        return {"name": self.name, "classes": classes} | (
            {} if self.void_from is None else {"void_from": self.void_from}
        )

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], *, error: type[CityganError] = UsageError, where: str = ""
    ) -> ClassTable:
        """The table that `to_dict` gave.

        Raises:
            CityganError: Of the type `error`: not such a table.
        """
        name, classes, void_from = data.get("name"), data.get("classes"), data.get("void_from")
        if not isinstance(name, str) or not isinstance(classes, list):
            raise error("a class table has a name and a list of classes", where=where or None)
        if void_from is not None and (type(void_from) is not int or not 0 <= void_from <= 255):
            raise error(f"void_from must be a whole number from 0 to 255, got {void_from!r}", where=where or None)
        return replace(cls.from_yaml(classes, name=name, error=error, where=where), void_from=void_from)

    @classmethod
    def from_yaml(
        cls,
        entries: Sequence[Any],
        *,
        name: str = "custom",
        error: type[CityganError] = UsageError,
        where: str = "",
    ) -> ClassTable:
        """A user's table: a list of ``{id, name, colour, train_id, category}``; the last two may be left out.

        All that is wrong with it is told at once. `colour` is ``[r, g, b]`` or ``"#rrggbb"``; `train_id` is the id
        itself where it is left out, 255 or -1 for void.

        Raises:
            CityganError: Of the type `error`.
        """
        problems: list[str] = []
        classes: list[LabelClass] = []
        if not entries:
            problems.append("no classes")
        for number, entry in enumerate(entries, 1):
            found = _parse_class(entry)
            if isinstance(found, LabelClass):
                classes.append(found)
            else:
                problems += [f"class {number}: {text}" for text in found]
        for what, counts in (("id", Counter(str(c.id) for c in classes)), ("name", Counter(c.name for c in classes))):
            problems += [f"the {what} {value} stands there twice" for value, count in counts.items() if count > 1]
        trained = {c.train_id for c in classes} - {VOID}
        gaps = sorted(set(range(max(trained, default=-1) + 1)) - trained)
        if gaps and not problems:
            problems.append(f"the train ids must be 0, 1, 2, … without gaps (255 for void): {_list(gaps)} missing")
        if problems:
            raise error("not a class table: " + "; ".join(problems), where=where or None)
        return cls(name, tuple(classes))


def _parse_class(entry: Any) -> LabelClass | list[str]:
    if not isinstance(entry, Mapping):
        return ["expected {id, name, colour, train_id}"]
    problems = [
        f"unknown key '{key}'" for key in entry if key not in ("id", "name", "colour", "color", "train_id", "category")
    ]
    number, name = entry.get("id"), entry.get("name")
    if type(number) is not int or not 0 <= number <= 255:
        problems.append(f"the id must be a whole number from 0 to 255, got {number!r}")
    if not isinstance(name, str) or not name.strip():
        problems.append(f"the name must be a word, got {name!r}")
    colour = _parse_colour(entry.get("colour", entry.get("color")))
    if colour is None:
        problems.append("the colour must be [r, g, b], each from 0 to 255, or '#rrggbb'")
    train_id = entry.get("train_id", number)
    if train_id == -1:
        train_id = VOID
    if type(train_id) is not int or not 0 <= train_id <= 255:
        problems.append(f"the train_id must be a whole number from 0 to 254, or 255 for void, got {train_id!r}")
    category = entry.get("category", "")
    if not isinstance(category, str):
        problems.append(f"the category must be a word, got {category!r}")
    if problems or colour is None or not isinstance(number, int) or not isinstance(name, str):
        return problems
    return LabelClass(number, name, colour, train_id, category)


def _parse_colour(value: Any) -> Colour | None:
    if isinstance(value, str) and len(value) == 7 and value[0] == "#":
        try:
            value = list(bytes.fromhex(value[1:]))
        except ValueError:
            return None
    if isinstance(value, Sequence) and len(value) == 3 and all(type(v) is int and 0 <= v <= 255 for v in value):
        return (value[0], value[1], value[2])
    return None


def table_named(name: str) -> ClassTable:
    """The table of `--classes`: a built-in name, or the path of a YAML list of ``{id, name, colour, train_id}``.

    Raises:
        UsageError: Neither; the names are listed.
    """
    if name in TABLES:
        return TABLES[name]
    if os.path.lexists(name) or name.endswith((".yaml", ".yml")):
        stem = os.path.splitext(os.path.basename(name))[0]
        return replace(ClassTable.from_yaml(read_yaml_list(name), name=stem, where=name), file=name)
    beside = (f"{name}{suffix}" for suffix in (".yaml", ".yml") if os.path.isfile(f"{name}{suffix}"))
    raise UsageError(
        f"no class table '{name}'",
        where="--classes",
        hint=f"{did_you_mean(name, [*TABLES, *beside])}There are {_list(TABLES)}, or a YAML file of your own",
    )


def plainest(tables: Iterable[ClassTable]) -> list[ClassTable]:
    """The tables without those that extend an earlier one: what fits Cityscapes' ids fits GTA5's as well."""
    result: list[ClassTable] = []
    for table in tables:
        if not any(table.extends(earlier) for earlier in result):
            result.append(table)
    return result


def _list(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _read_only(array: npt.NDArray[_Any]) -> npt.NDArray[_Any]:
    array.flags.writeable = False
    return array


# the tables


def _built_in(name: str) -> ClassTable:
    classes = []
    for line in ROWS[name].strip().splitlines():
        number, class_name, category, train_id, r, g, b = line.split()
        classes.append(
            LabelClass(int(number), class_name.replace("~", " "), (int(r), int(g), int(b)), int(train_id), category)
        )
    return ClassTable(name, tuple(classes))


def _train_ids_of(name: str, original: ClassTable) -> ClassTable:
    """The table of label maps that hold train ids: the trained classes alone, and 255 for void."""
    trained = sorted((c for c in original.classes if c.train_id != VOID), key=lambda c: c.train_id)
    classes = [LabelClass(c.train_id, c.name, c.colour, c.train_id, c.category) for c in trained]
    return ClassTable(name, (*classes, LabelClass(VOID, "void", (0, 0, 0), VOID, "void")))


def _trained_on(name: str, original: ClassTable, names: Sequence[str]) -> ClassTable:
    """The table with those classes alone trained and scored, numbered anew; the others are void."""
    numbers = {class_name: number for number, class_name in enumerate(names)}
    return ClassTable(name, tuple(replace(c, train_id=numbers.get(c.name, VOID)) for c in original.classes))


def _extended(name: str, original: ClassTable, *, void_from: int) -> ClassTable:
    """The table with the rows of that name added; those of ids that it has already take their place."""
    classes = {c.id: c for c in (*original.classes, *_built_in(name).classes)}
    return ClassTable(name, tuple(classes[number] for number in sorted(classes)), void_from)


CITYSCAPES = _built_in("cityscapes")
CITYSCAPES19 = _train_ids_of("cityscapes19", CITYSCAPES)
CAMVID11 = _built_in("camvid11")
CAMVID32 = _built_in("camvid32")
GTA5 = _extended("gta5", CITYSCAPES, void_from=34)
SYNTHIA = _built_in("synthia")
SYNTHIA_SEQS = _built_in("synthia-seqs")

# The classes that figures on SYNTHIA are given for, of the 19 of Cityscapes, in their order: without those that do not
# occur (16), and without those that are hard besides (13).
SYNTHIA_CLASSES: dict[int, tuple[str, ...]] = {
    16: tuple(n for n in CITYSCAPES.train_names if n not in ("terrain", "truck", "train")),
    13: tuple(n for n in CITYSCAPES.train_names if n not in ("terrain", "truck", "train", "wall", "fence", "pole")),
}
SYNTHIA16 = _trained_on("synthia16", SYNTHIA, SYNTHIA_CLASSES[16])

TABLES: dict[str, ClassTable] = {
    t.name: t for t in (CITYSCAPES, CITYSCAPES19, CAMVID11, CAMVID32, GTA5, SYNTHIA, SYNTHIA16, SYNTHIA_SEQS)
}
