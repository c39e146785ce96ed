"""Which pictures follow each other as frames of a video, and how sources are divided: at random, or by name."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from statistics import median_low
from typing import TypeVar

from citygan.data.layouts.sorting import SEQUENCE_FOLDER
from citygan.data.layouts.types import Entry, same_name
from citygan.errors import UsageError, counted, did_you_mean

_Item = TypeVar("_Item")
_CITY = re.compile(r"(.+)_\d{6}_\d{6}", re.DOTALL)  # as Cityscapes names its pictures: aachen_000000_000019
_NUMBER = re.compile(r"(.*?)(\d+)\D*", re.DOTALL)


def by_number(entries: list[Entry], *, widest_step: int) -> list[Entry]:
    """Frames by the last number in their names: a run whose numbers go up by the same small step is a sequence.

    CamVid's consecutive frames are numbered in steps of two, its pictures of one a second in steps of thirty.

    Args:
        widest_step: The largest step that still is a video.
    """
    groups: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
    for entry in entries:
        match = _NUMBER.fullmatch(entry.stem)
        groups[match[1] if match else entry.stem].append((int(match[2]) if match else 0, entry))
    result: list[Entry] = []
    for members in groups.values():
        members.sort(key=lambda member: member[0])
        runs = [[members[0]]]
        step: int | None = None
        for before, after in pairwise(members):
            gap = after[0] - before[0]
            if 0 < gap <= widest_step and step in (None, gap):
                runs[-1].append(after)
                step = gap
            else:
                runs.append([after])
                step = None
        for run in runs:
            if len(run) == 1:
                result.append(run[0][1])
            else:
                name = run[0][1].stem
                result += [replace(entry, sequence=name, frame=place) for place, (_, entry) in enumerate(run)]
    return result


def gaps(stems: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours in a row of frames whose numbers lie further apart than most: what the video jumps over.

    Args:
        stems: Names of frames, in order; of each the last number counts, as in `by_number`.
    """
    matches = [_NUMBER.fullmatch(stem) for stem in stems]
    steps = {
        place: int(after[2]) - int(before[2])
        for place, (before, after) in enumerate(pairwise(matches))
        if before and after and before[1] == after[1]
    }
    usual = Counter(steps.values()).most_common(1)
    return [(stems[i], stems[i + 1]) for i, step in steps.items() if step > usual[0][0] > 0]


def by_folder(entries: list[Entry]) -> list[Entry]:
    """Frames by the folder that holds them, where it is named as a sequence (``seq0000``).

    Where the names of all frames of a folder are one word and a number, the numbers tell which frames are missing: most
    steps between them are those of consecutive frames. Otherwise all follow each other in order of name.
    """
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[_sequence_path(entry)].append(entry)
    names = Counter(path.rpartition("/")[2] for path in groups if path)
    result: list[Entry] = []
    for path, members in groups.items():
        if not path or len(members) == 1:
            result += members
            continue
        name = path.rpartition("/")[2]
        name = name if names[name] == 1 else path
        result += [replace(entry, sequence=name, frame=frame) for frame, entry in numbered(members)]
    return result


def _sequence_path(entry: Entry) -> str:
    """The path of the folder that is named as a sequence; '' where there is none."""
    folders = next(iter(entry.files.values())).split("/")[:-1]
    while folders and not SEQUENCE_FOLDER.fullmatch(folders[-1]):
        folders.pop()
    return "/".join(folders)


def numbered(members: list[Entry]) -> list[tuple[int, Entry]]:
    """Frames with their numbers, from 0 and one apart where they follow each other, in order."""
    matches = [_NUMBER.fullmatch(entry.stem.rpartition("/")[2]) for entry in members]
    numbers = [int(match[2]) for match in matches if match is not None]
    words = {match[1] for match in matches if match is not None}
    if len(words) != 1 or len(set(numbers)) < len(members):
        return list(enumerate(members))
    ordered = sorted(zip(numbers, members, strict=True), key=lambda pair: pair[0])
    steps = [after - before for (before, _), (after, _) in pairwise(ordered)]
    usual = median_low(steps)
    # numbers may be times, whose steps vary a little
    frames = accumulate((max(1, round(step / usual)) for step in steps), initial=0)
    return [(frame, entry) for frame, (_, entry) in zip(frames, ordered, strict=True)]


# dividing

DEFAULT_SPLITS = "train=0.8,val=0.1,test=0.1"


def parse_splits(text: str) -> dict[str, float]:
    """``train=0.8,val=0.1,test=0.1``: the share of each split.

    Raises:
        UsageError: It is not that.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in shares or not 0 < value <= 1:
            raise UsageError(f"expected shares such as {DEFAULT_SPLITS}, got '{text}'", where="--splits")
        shares[name] = value
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(f"the shares add up to {sum(shares.values()):g}, not to 1", where="--splits")
    return shares


def divide(
    entries: list[Entry], shares: dict[str, float], seed: int, *, in_order: bool = False
) -> dict[str, list[Entry]]:
    """Divides pictures by a hash of their names; sequences stay whole, or are cut into blocks where there are few.

    The cameras of one drive stay together, and are cut at the same time. The same names and seed give the same
    division.

    Args:
        in_order: Cut the pictures as they follow each other: the first share is the first ones.
    """
    if in_order:
        parts = zip(shares, _cut(entries, shares), strict=True)
        return {name: part for name, part in parts if part}
    units: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        whole = entry.drive or entry.sequence
        units[entry.stem if whole is None else f"sequence {whole}"].append(entry)
    if len(units) < 3 * len(shares) and any(entry.sequence is not None for entry in entries):
        divided: dict[str, list[Entry]] = {name: [] for name in shares}
        for members in units.values():
            for name, part in zip(shares, _cut_in_time(members, shares), strict=True):
                divided[name] += part
    else:
        keys = sorted(
            units, key=lambda key: hashlib.sha256(f"{seed}:{same_name(key)}".encode("utf-8", "surrogatepass")).digest()
        )
        divided = {}
        for name, chosen_keys in zip(shares, _cut(keys, shares), strict=True):
            chosen = set(chosen_keys)
            divided[name] = [entry for key, members in units.items() if key in chosen for entry in members]
    return {name: members for name, members in divided.items() if members}


def _cut_in_time(members: list[Entry], shares: dict[str, float]) -> list[list[Entry]]:
    """One sequence, or the cameras of one drive, as `_cut` does; frames of the same number stay together."""
    if all(entry.drive is None for entry in members):
        return _cut(members, shares)
    places: dict[int, list[Entry]] = defaultdict(list)
    for entry in members:
        match = _NUMBER.fullmatch(entry.stem)
        places[int(match[2]) if match else 0].append(entry)
    part_of = {n: part for part, numbers in enumerate(_cut(sorted(places), shares)) for n in numbers}
    parts: list[list[Entry]] = [[] for _ in shares]
    for number, entries in places.items():
        parts[part_of[number]] += entries
    order = {id(entry): place for place, entry in enumerate(members)}
    return [sorted(part, key=lambda entry: order[id(entry)]) for part in parts]


def _cut(items: list[_Item], shares: dict[str, float]) -> list[list[_Item]]:
    """Consecutive parts in the given shares; none is empty where there are items enough."""
    counts = [round(len(items) * share) for share in shares.values()]
    if len(items) >= len(counts):
        counts = [max(1, count) for count in counts]
    while sum(counts) != len(items):
        largest = counts.index(max(counts))
        counts[largest] += 1 if sum(counts) < len(items) else -1
    parts, start = [], 0
    for count in counts:
        parts.append(items[start : start + count])
        start += count
    return parts


# holding out

_LISTED = 24  # names of cities or sequences in an error


def group_of(entry: Entry) -> str | None:
    """The city of a picture that is named as those of Cityscapes are, else the drive or sequence that it belongs to."""
    city = _CITY.fullmatch(entry.stem.rpartition("/")[2])
    name = entry.drive or entry.sequence if city is None else city[1]
    return None if name is None else same_name(name)


def hold_out(
    splits: Mapping[str, list[Entry]], names: Sequence[str], *, secret_test: bool
) -> tuple[dict[str, list[Entry]], list[str]]:
    """Takes cities or sequences out of train, to validate on: they become val, and what was val becomes test.

    Args:
        splits: The pictures by split; under '' where the source has no splits of its own, and what is left is train.
        names: Cities or sequences.
        secret_test: Whether the labels of the source's own test are secret, so that its val takes that place.

    Returns:
        The pictures by split, and what should be said.

    Raises:
        UsageError: No such city or sequence, nothing left to train on, or a val and a test of the source's own.
    """
    where = "--hold-out"
    left = "train" if "train" in splits else ""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in splits.get(left, []):
        groups[group_of(entry) or ""].append(entry)
    known = sorted(groups.keys() - {""})
    if not known:
        raise UsageError("there are no cities or sequences to train on", where=where, hint="Leave it out")
    chosen = list(dict.fromkeys(same_name(name) for name in names))
    for name in chosen:
        if name not in known:
            more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
            hint = f"{did_you_mean(name, known)}There are: {', '.join(known[:_LISTED])}{more}"
            raise UsageError(f"no city or sequence '{name}' to train on", where=where, hint=hint)
    if groups.keys() == set(chosen):
        raise UsageError("nothing would be left to train on", where=where, hint="Hold out fewer")
    if "val" in splits and "test" in splits and not secret_test:
        raise UsageError("the source has a val and a test of its own", where=where, hint="Leave it out")
    told = ", ".join(f"{name} ({counted(len(groups[name]), 'picture')})" for name in chosen)
    notes = [f"held out of train as val: {told}"]
    held = [entry for name in chosen for entry in groups[name]]
    divided = {"train": [e for e in splits[left] if group_of(e) not in chosen], "val": held}
    divided |= {name: entries for name, entries in splits.items() if name not in (left, "val")}
    if "val" in splits:
        notes.append("the source's own val is the test")
        if "test" in divided:
            notes.append(f"its own test is left out, {counted(len(divided['test']), 'picture')}: its labels are secret")
        divided["test"] = splits["val"]
    return divided, notes
