"""Class tables as data: what an id or a colour in a label map means.

A set keeps the ids of its own table (Cityscapes: the raw ids 0-33). `train_id` maps them to the classes that are scored
and counted in papers, 255 for void. Two classes may share a colour (Cityscapes' pole and polegroup); reading colours
then takes the first of those that are trained on, or else the first.

Sources: cityscapesScripts `helpers/labels.py` (ids, names, categories, colours, train ids); CamVid's
`label_colors.txt`; the CamVid tutorial of SegNet (its 11 classes and their colours).
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
    """The classes of a set, by id; `file` is the YAML file they were read from, for errors."""

    name: str
    classes: tuple[LabelClass, ...]
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
        others = [t.name for t in TABLES.values() if t.name != self.name and t.fits(ids)]
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
        return {"name": self.name, "classes": classes}

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], *, error: type[CityganError] = UsageError, where: str = ""
    ) -> ClassTable:
        """The table that `to_dict` gave.

        Raises:
            CityganError: Of the type `error`: not such a table.
        """
        name, classes = data.get("name"), data.get("classes")
        if not isinstance(name, str) or not isinstance(classes, list):
            raise error("a class table has a name and a list of classes", where=where or None)
        return cls.from_yaml(classes, name=name, error=error, where=where)

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


def _list(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _read_only(array: npt.NDArray[_Any]) -> npt.NDArray[_Any]:
    array.flags.writeable = False
    return array


# the tables: id, name (~ for a space), category, train id, red, green, blue

# The licence plate (-1) is drawn in no label map; painted ones show it in the car's colour, and read as car.
_CITYSCAPES = """
 0 unlabeled            void         255    0   0   0
 1 ego~vehicle          void         255    0   0   0
 2 rectification~border void         255    0   0   0
 3 out~of~roi           void         255    0   0   0
 4 static               void         255    0   0   0
 5 dynamic              void         255  111  74   0
 6 ground               void         255   81   0  81
 7 road                 flat           0  128  64 128
 8 sidewalk             flat           1  244  35 232
 9 parking              flat         255  250 170 160
10 rail~track           flat         255  230 150 140
11 building             construction   2   70  70  70
12 wall                 construction   3  102 102 156
13 fence                construction   4  190 153 153
14 guard~rail           construction 255  180 165 180
15 bridge               construction 255  150 100 100
16 tunnel               construction 255  150 120  90
17 pole                 object         5  153 153 153
18 polegroup            object       255  153 153 153
19 traffic~light        object         6  250 170  30
20 traffic~sign         object         7  220 220   0
21 vegetation           nature         8  107 142  35
22 terrain              nature         9  152 251 152
23 sky                  sky           10   70 130 180
24 person               human         11  220  20  60
25 rider                human         12  255   0   0
26 car                  vehicle       13    0   0 142
27 truck                vehicle       14    0   0  70
28 bus                  vehicle       15    0  60 100
29 caravan              vehicle      255    0   0  90
30 trailer              vehicle      255    0   0 110
31 train                vehicle       16    0  80 100
32 motorcycle           vehicle       17    0   0 230
33 bicycle              vehicle       18  119  11  32
"""

_CAMVID11 = """
 0 Sky         sky            0  128 128 128
 1 Building    construction   1  128   0   0
 2 Pole        object         2  192 192 128
 3 Road        flat           3  128  64 128
 4 Pavement    flat           4   60  40 222
 5 Tree        nature         5  128 128   0
 6 SignSymbol  object         6  192 128 128
 7 Fence       construction   7   64  64 128
 8 Car         vehicle        8   64   0 128
 9 Pedestrian  human          9   64  64   0
10 Bicyclist   human         10    0 128 192
11 Unlabelled  void         255    0   0   0
"""

# In the order of label_colors.txt; the category is the one of the 11 that a class is trained as.
_CAMVID32 = """
 0 Animal            Pedestrian   9   64 128  64
 1 Archway           Building     1  192   0 128
 2 Bicyclist         Bicyclist   10    0 128 192
 3 Bridge            Building     1    0 128  64
 4 Building          Building     1  128   0   0
 5 Car               Car          8   64   0 128
 6 CartLuggagePram   Pedestrian   9   64   0 192
 7 Child             Pedestrian   9  192 128  64
 8 Column_Pole       Pole         2  192 192 128
 9 Fence             Fence        7   64  64 128
10 LaneMkgsDriv      Road         3  128   0 192
11 LaneMkgsNonDriv   Road         3  192   0  64
12 Misc_Text         SignSymbol   6  128 128  64
13 MotorcycleScooter Bicyclist   10  192   0 192
14 OtherMoving       Car          8  128  64  64
15 ParkingBlock      Pavement     4   64 192 128
16 Pedestrian        Pedestrian   9   64  64   0
17 Road              Road         3  128  64 128
18 RoadShoulder      Pavement     4  128 128 192
19 Sidewalk          Pavement     4    0   0 192
20 SignSymbol        SignSymbol   6  192 128 128
21 Sky               Sky          0  128 128 128
22 SUVPickupTruck    Car          8   64 128 192
23 TrafficCone       Pole         2    0   0  64
24 TrafficLight      SignSymbol   6    0  64  64
25 Train             Car          8  192  64 128
26 Tree              Tree         5  128 128   0
27 Truck_Bus         Car          8  192 128 192
28 Tunnel            Building     1   64   0  64
29 VegetationMisc    Tree         5  192 192   0
30 Void              void       255    0   0   0
31 Wall              Building     1   64 192   0
"""


def _built_in(name: str, text: str) -> ClassTable:
    classes = []
    for line in text.strip().splitlines():
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


CITYSCAPES = _built_in("cityscapes", _CITYSCAPES)
CITYSCAPES19 = _train_ids_of("cityscapes19", CITYSCAPES)
CAMVID11 = _built_in("camvid11", _CAMVID11)
CAMVID32 = _built_in("camvid32", _CAMVID32)

TABLES: dict[str, ClassTable] = {t.name: t for t in (CITYSCAPES, CITYSCAPES19, CAMVID11, CAMVID32)}
