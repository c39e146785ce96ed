"""What lies in a folder: its pictures, by relative path."""

from __future__ import annotations

import heapq
import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from citygan.errors import DataError
from citygan.pictures import SUFFIXES

SOUGHT = f"Looked for {', '.join(SUFFIXES)} in it and below"
IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Tree:
    """The pictures under a folder.

    Attributes:
        root: The folder.
        pictures: Their paths relative to it, with ``/``, in order of name; whatever bears a picture's suffix, also a
            broken link or a FIFO, so that it is named when it cannot be read.
        others: How many other files there are, by suffix.
    """

    root: Path
    pictures: tuple[str, ...]
    others: Counter[str]

    def path(self, name: str) -> Path:
        """The path of a picture."""
        return self.root / name

    def counts(self) -> dict[str, int]:
        """Pictures directly in each folder ('' is the root)."""
        return dict(Counter(name.rpartition("/")[0] for name in self.pictures))


def scan(root: Path) -> Tree:
    """Looks through a folder and all below it.

    Hidden files and what systems leave about are passed over. Links are followed; a folder that is reached in several
    ways is counted once.

    Raises:
        DataError: No such folder.
    """
    if not root.is_dir():
        if root.exists():
            raise DataError("a file where a folder is needed", where=root)
        raise DataError("no such folder", where=root)
    pictures: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    folders = [(0, 0, "")]  # links on the way, depth, path: a folder is found by its plainest path first
    while folders:
        links, depth, prefix = heapq.heappop(folders)
        folder = os.path.join(root, prefix) if prefix else os.fspath(root)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as problem:
            raise DataError(f"cannot be read ({problem.strerror})", where=folder) from problem
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in IGNORED:
                continue
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            suffix = os.path.splitext(entry.name)[1].lower()
            if suffix in SUFFIXES:
                pictures.append(name)
            elif _is_folder(entry):
                heapq.heappush(folders, (links + entry.is_symlink(), depth + 1, name))
            else:
                others[suffix or "no suffix"] += 1
    return Tree(root, tuple(sorted(pictures, key=natural)), others)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError:
        return False


def natural(name: str) -> tuple[tuple[object, ...], ...]:
    """Folder by folder; numbers count as numbers, so that 10 comes after 9."""
    return tuple(_natural_part(part) for part in name.split("/"))


def _natural_part(part: str) -> tuple[object, ...]:
    pieces: list[object] = []
    digits = ""
    for character in part + "\0":
        if character.isascii() and character.isdigit():
            digits += character
            continue
        if digits:
            pieces.append((0, int(digits), digits))
            digits = ""
        pieces.append((1, 0, character))
    return tuple(pieces)
