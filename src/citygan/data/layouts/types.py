"""What a layout's reader finds."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from citygan.data.labels import ClassTable

KINDS = ("photo", "label", "instance", "source", "pair")


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a set, before it is prepared.

    Attributes:
        stem: Its name in the set: a relative path without suffix, unique within its split.
        files: kind to path, relative to the source: photo, label, instance, source, or pair (side by side).
        sequence, frame: Where it belongs to a video.
        drive: Where several cameras filmed the same drive: its name. A drive stays whole when a source is divided.
    """

    stem: str
    files: Mapping[str, str]
    sequence: str | None = None
    frame: int | None = None
    drive: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad file, relative to the source, and what is wrong with it."""

    file: str
    reason: str


@dataclass
class Found:
    """What a source was recognised as.

    Attributes:
        layout: The layout's name.
        splits: The pictures by split; under '' where the source has no splits of its own.
        table: The class table of its labels, where the layout tells it.
        ids_by: The class table of the ids in its label maps, where the layout and a look at some agree.
        faults: What does not belong together: photos without labels, names that stand twice.
        notes: What should be said.
        in_order: Whether neighbours look alike, so that a division cuts the pictures as they follow each other.
    """

    layout: str
    splits: dict[str, list[Entry]]
    table: ClassTable | None = None
    ids_by: ClassTable | None = None
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_order: bool = False

    @property
    def kinds(self) -> set[str]:
        """The kinds of files there are."""
        return {kind for entries in self.splits.values() for entry in entries for kind in entry.files}

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return sum(map(len, self.splits.values()))


def same_name(name: str) -> str:
    """A name in the one form of Unicode in which names are compared: é is written in two ways."""
    return unicodedata.normalize("NFC", name)


def safe_stem(name: str) -> str:
    """A stem that manifests may carry: control characters and backslashes as %0A and the like."""
    return "".join(f"%{ord(c):02X}" if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\\" else c for c in name)
