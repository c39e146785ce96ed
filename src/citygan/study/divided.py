"""What the splits of a set are in a study: what is trained on, validated on and tested on, and what has to be said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from citygan.data.store import PreparedSet


def splits_of(data: PreparedSet, wanted: Collection[str]) -> dict[str, str]:
    """Which split of the set stands for each of a table's; those that there is nothing for are left out.

    The test labels of Cityscapes are secret: where no test split can be scored, val is taken for it, and where a table
    has both, its validation is left out.
    """
    fit = [
        name
        for name, split in data.splits.items()
        if split.photo is not None
        and len(split)
        and (split.source is not None or (split.label is not None and not _is_void(data, name)))
    ]
    found = {name: name for name in wanted if name in fit}
    for name, other in (("test", "val"), ("val", "test")):
        if name in wanted and name not in fit and other in fit and not (name == "val" and "test" in wanted):
            found[name] = other
            if name == "test":
                found.pop("val", None)
    return found


def _is_void(data: PreparedSet, split: str) -> bool:
    """Whether its label maps say nothing, as those of Cityscapes' test split."""
    if data.classes is None or data.classes.num_train == 0:
        return False
    census = data.manifest.get("census")
    counted = census.get(split) if isinstance(census, Mapping) else None
    return isinstance(counted, Mapping) and counted.get("void_share") == 1


def held_out(data: PreparedSet) -> list[str]:
    """The cities or sequences that were held out of the training split to be val."""
    options: Any = data.manifest.get("options")
    names = options.get("hold_out") if isinstance(options, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def notes_on(data: PreparedSet, stands_for: Mapping[str, str]) -> list[str]:
    """What a reader of a table must know of its splits.

    Args:
        stands_for: As `splits_of` has it.
    """
    names = held_out(data)
    if names:
        own = "; test is the source's own val" if "test" in stands_for else ""
        return [f"val was held out of train: {', '.join(names)}{own}"]
    if stands_for.get("test") == "val" and data.manifest.get("layout") == "cityscapes":
        size = "x".join(map(str, data.size))
        return [
            "val is scored as the test, and there is nothing to validate on: citygan prepare FOLDER --size "
            f"{size} --hold-out CITY --hold-out CITY --out data/{data.name}-held takes cities out of train for it"
        ]
    return []
