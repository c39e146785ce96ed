"""Which pictures follow each other as frames of a video, and how a source without splits is divided."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from citygan.data.layouts.sorting import SEQUENCE_FOLDER
from citygan.data.layouts.types import Entry, same_name
from citygan.errors import UsageError

_Item = TypeVar("_Item")
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


def by_folder(entries: list[Entry]) -> list[Entry]:
    """Frames by the folder that holds them, where it is named as a sequence (``seq0000``)."""
    groups: dict[str | None, list[Entry]] = defaultdict(list)
    for entry in entries:
        folders = next(iter(entry.files.values())).split("/")[:-1]
        groups[next((folder for folder in reversed(folders) if SEQUENCE_FOLDER.fullmatch(folder)), None)].append(entry)
    result: list[Entry] = []
    for name, members in groups.items():
        framed = name is not None and len(members) > 1
        result += [replace(e, sequence=name, frame=i) if framed else e for i, e in enumerate(members)]
    return result


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


def divide(entries: list[Entry], shares: dict[str, float], seed: int) -> dict[str, list[Entry]]:
    """Divides pictures by a hash of their names; sequences stay whole, or are cut into blocks where there are few.

    The same names and seed give the same division.
    """
    units: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        units[entry.stem if entry.sequence is None else f"sequence {entry.sequence}"].append(entry)
    if len(units) < 3 * len(shares) and any(entry.sequence is not None for entry in entries):
        divided: dict[str, list[Entry]] = {name: [] for name in shares}
        for members in units.values():
            for name, part in zip(shares, _cut(members, shares), strict=True):
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
