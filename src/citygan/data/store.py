"""The prepared set: plain memory-mapped arrays that any tool can read, and the manifest that vouches for them.

    dataset.yaml          version, size, class table, options, files skipped; splits, their arrays' shapes and sha256
    SPLIT/photo.npy …     one array a kind, see `ARRAYS`; a 128-byte header, then the items one after the other
    SPLIT/full/STEM.png   labels at their original size (val, test)
    SPLIT/items.jsonl     one line a picture

All is checked against the manifest when a set is opened, sizes by `fstat`: a memory map of a file that is too short
kills the process. `writer` makes sets.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from citygan import files
from citygan.data.labels import ClassTable
from citygan.errors import CityganError, DamagedError, UsageError, counted, did_you_mean, printable
from citygan.yamlfile import parse_yaml

VERSION = 1
MANIFEST = "dataset.yaml"
SPLIT_ORDER = ("val", "test", "train")  # of which the first that will do is scored where none is named
HEADER_BYTES = 128

Array = npt.NDArray[Any]

# kind: (dtype, trailing shapes allowed after [N, H, W])
ARRAYS: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "photo": ("|u1", ((3,),)),  # RGB
    "label": ("|u1", ((),)),  # ids of the set's own table, 255 = outside
    "instance": ("<u2", ((),)),
    "source": ("|u1", ((1,), (3,))),  # the input where it is a picture
    "flow": ("<f2", ((2,),)),  # pixels from this frame to the next: x, y
    "occlusion": ("|u1", ((),)),  # 1 = no correspondence in the next frame
    "edge": ("|u1", ((),)),  # 1 = an edge of the source picture, or of the photo where there is none
}

WHAT = {"label": "label maps", "source": "source pictures", "photo": "photos"}  # the sides of a translation, in words
TARGET = "target photo"  # as records call the pictures whose edges leak them: those that are to be painted


@dataclass(frozen=True)
class Item:
    """One picture of a split.

    Attributes:
        stem: Its name, a relative path without suffix; unique within the split.
        files: The files it came from by kind, relative to the source.
        original_size: (width, height) in the source.
        sequence: The sequence it is a frame of.
        frame: Its number there.
        sha256: Of the file of its photo (or pair), by which the same picture in two splits is found.
    """

    stem: str
    files: Mapping[str, str]
    original_size: tuple[int, int]
    sequence: str | None = None
    frame: int | None = None
    sha256: str | None = None

    def to_json(self) -> str:
        """One line of items.jsonl, ASCII whatever the names."""
        value = {
            "stem": self.stem,
            "files": dict(self.files),
            "original_size": list(self.original_size),
            "sequence": self.sequence,
            "frame": self.frame,
            "sha256": self.sha256,
        }
        return json.dumps(value) + "\n"

    @classmethod
    def from_json(cls, line: bytes) -> Item:
        """Reads one line back, checking all of it.

        Raises:
            ValueError: It is not such a line, or holds a name that leads out of the set.
        """
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("not an object")
        stem, names, size = value.get("stem"), value.get("files"), value.get("original_size")
        sequence, frame = value.get("sequence"), value.get("frame")
        if not isinstance(stem, str) or not is_safe_name(stem):
            raise ValueError(f"the stem {printable(repr(stem))} leads elsewhere")
        if not isinstance(names, dict) or not all(isinstance(v, str) for v in names.values()):
            raise ValueError("no files")
        for name in names.values():
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"the file {printable(name)} leads elsewhere")
        if not isinstance(size, list) or len(size) != 2 or not all(type(v) is int and v > 0 for v in size):
            raise ValueError("no original size")
        if not isinstance(sequence, str | None) or not (frame is None or type(frame) is int):
            raise ValueError("no sequence and frame")
        digest = value.get("sha256")
        return cls(stem, names, (size[0], size[1]), sequence, frame, digest if isinstance(digest, str) else None)


class Framed(Protocol):
    """What may be a frame: an entry of a source, an item of a set."""

    @property
    def sequence(self) -> str | None: ...

    @property
    def frame(self) -> int | None: ...


def follows(before: Framed, after: Framed) -> bool:
    """Whether `after` is the frame next to `before`: of the same sequence, and one number on."""
    return (
        before.sequence is not None
        and before.sequence == after.sequence
        and before.frame is not None
        and after.frame == before.frame + 1
    )


def is_safe_name(name: str) -> bool:
    """Whether a name from a manifest is a plain relative path: no ``..``, not absolute, no control characters."""
    parts = name.split("/")
    return (
        bool(name)
        and not any(part in ("", ".", "..") for part in parts)
        and not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in name)
        and "\\" not in name
    )


@dataclass(frozen=True)
class Split:
    """One split: its items and their arrays, memory-mapped, read-only; an array that the set lacks is None."""

    name: str
    path: Path
    items: list[Item] = field(repr=False)
    photo: np.memmap[Any, Any] | None = field(default=None, repr=False)
    label: np.memmap[Any, Any] | None = field(default=None, repr=False)
    instance: np.memmap[Any, Any] | None = field(default=None, repr=False)
    source: np.memmap[Any, Any] | None = field(default=None, repr=False)
    flow: np.memmap[Any, Any] | None = field(default=None, repr=False)
    occlusion: np.memmap[Any, Any] | None = field(default=None, repr=False)
    edge: np.memmap[Any, Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def arrays(self) -> dict[str, np.memmap[Any, Any]]:
        """The arrays that are there, by kind."""
        return {kind: array for kind in ARRAYS if (array := getattr(self, kind)) is not None}

    def full_label(self, item: Item) -> Path | None:
        """The PNG with an item's label at its original size, or None where the split keeps none."""
        path = self.path / "full" / f"{item.stem}.png"
        return path if path.is_file() else None

    def following(self, index: int) -> int | None:
        """The place of the next frame of its sequence; None at its end, before a gap, of a single picture."""
        after = index + 1
        return after if after < len(self.items) and follows(self.items[index], self.items[after]) else None

    def pairs(self) -> list[int]:
        """The items that have a next frame."""
        return [index for index in range(len(self.items)) if self.following(index) is not None]

    def sequences(self) -> dict[str, range]:
        """The items of each sequence: sequences lie together, their frames in order."""
        found: dict[str, range] = {}
        for index, item in enumerate(self.items):
            if item.sequence is not None:
                start = found[item.sequence].start if item.sequence in found else index
                found[item.sequence] = range(start, index + 1)
        return found


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set, checked when it was opened.

    Attributes:
        path: Its folder.
        size: (width, height) of all its pictures.
        classes: The table of its labels, None without labels.
        photo_channels: 1 where all photos were grey in the source (they are stored as RGB all the same), else 3.
        source_channels: Likewise for the input pictures; None without them.
        splits: By name.
        checksum: Over the data: what a checkpoint compares on resume.
        manifest: dataset.yaml.
    """

    path: Path
    size: tuple[int, int]
    classes: ClassTable | None
    photo_channels: int | None
    source_channels: int | None
    splits: dict[str, Split]
    checksum: str
    manifest: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name or self.path.absolute().name

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> PreparedSet:
        """Opens a set: a folder with a dataset.yaml. Nothing but the manifest and the lists of items is read.

        Raises:
            UsageError: No such folder, or not a prepared set.
            DamagedError: Interrupted, shorter than its manifest, from another version, or a manifest that cannot be.
        """
        path = Path(path)
        if not (path / MANIFEST).exists():
            raise _not_a_set(path)
        try:
            return _open(path)
        except _ManifestError as problem:
            raise DamagedError(str(problem), where=path / MANIFEST, hint="Prepare the set again") from problem

    def split(self, name: str) -> Split:
        """A split by name.

        Raises:
            UsageError: There is none; the names are listed.
        """
        if name not in self.splits:
            hint = f"{did_you_mean(name, self.splits)}It has {', '.join(self.splits)}"
            raise UsageError(f"no split '{name}'", where=self.path, hint=hint)
        return self.splits[name]


class _ManifestError(Exception):
    """What is wrong with a manifest, before the file is named."""


def _open(path: Path) -> PreparedSet:
    manifest = _read_manifest(path / MANIFEST)
    size = manifest.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(v) is int and 0 < v < 1 << 20 for v in size):
        raise _ManifestError(f"the size must be [width, height], got {size!r}")
    table = manifest.get("classes")
    classes = None
    if table is not None:
        if not isinstance(table, dict):
            raise _ManifestError("the class table is none")
        classes = ClassTable.from_dict(table, error=DamagedError, where=os.fspath(path / MANIFEST))
    entries = manifest.get("splits")
    if not isinstance(entries, dict) or not entries:
        raise _ManifestError("no splits")
    splits = {name: _open_split(path, name, entry, (size[0], size[1])) for name, entry in entries.items()}
    if manifest.get("checksum") != set_checksum(manifest):
        raise _ManifestError("its checksum does not fit its entries: it was edited")
    for key in ("photo_channels", "source_channels"):
        if manifest.get(key) not in (None, 1, 3):
            raise _ManifestError(f"{key} must be 1 or 3")
    return PreparedSet(
        path=path,
        size=(size[0], size[1]),
        classes=classes,
        photo_channels=manifest.get("photo_channels"),
        source_channels=manifest.get("source_channels"),
        splits=splits,
        checksum=manifest["checksum"],
        manifest=manifest,
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    data = files.read_bytes(path, error=DamagedError)
    try:
        manifest, _ = parse_yaml(data.decode("utf-8"), os.fspath(path))
    except (UnicodeDecodeError, UsageError, RecursionError) as problem:
        what = problem.what if isinstance(problem, CityganError) else str(problem)
        raise _ManifestError(f"not readable ({what})") from problem
    if not isinstance(manifest, dict):
        raise _ManifestError("not readable (no keys)")
    version = manifest.get("version")
    if version != VERSION:
        newer = type(version) is int and version > VERSION
        raise _ManifestError(
            f"format {version}, made by a newer citygan: this one reads format {VERSION}"
            if newer
            else f"format {version!r} is not known: this citygan reads format {VERSION}"
        )
    return manifest


def _open_split(path: Path, name: object, entry: Any, size: tuple[int, int]) -> Split:
    if not isinstance(name, str) or not is_safe_name(name) or "/" in name:
        raise _ManifestError(f"the split's name {printable(repr(name))} leads elsewhere")
    arrays = entry.get("arrays") if isinstance(entry, dict) else None
    if not isinstance(arrays, dict):
        raise _ManifestError(f"the split {name} has no arrays")
    count = entry.get("items")
    if type(count) is not int or count < 1:
        raise _ManifestError(f"the split {name} has no count of items")
    folder = path / name
    maps = {kind: _open_array(folder, str(kind), array, count, size) for kind, array in arrays.items()}
    return Split(name, folder, _open_items(folder / "items.jsonl", count, entry.get("items_sha256")), **maps)


def _open_array(folder: Path, kind: str, entry: Any, count: int, size: tuple[int, int]) -> np.memmap[Any, Any]:
    file = folder / f"{kind}.npy"
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if kind not in ARRAYS or not isinstance(shape, list):
        raise _ManifestError(f"the array {printable(kind)} is not known")
    dtype, tails = ARRAYS[kind]
    if shape[:3] != [count, size[1], size[0]] or tuple(shape[3:]) not in tails:
        raise _ManifestError(f"{file.name} of {folder.name} cannot have the shape {shape}")
    header = npy_header(tuple(shape), dtype)
    expected = HEADER_BYTES + math.prod(shape) * np.dtype(dtype).itemsize
    hint = "Prepare the set again"
    try:
        with open(file, "rb") as opened:
            actual = os.fstat(opened.fileno()).st_size
            if actual != expected:
                raise DamagedError(f"{actual} bytes where the manifest says {expected}", where=file, hint=hint)
            if opened.read(HEADER_BYTES) != header:
                raise DamagedError("its header is not the manifest's", where=file, hint=hint)
            return np.memmap(opened, np.dtype(dtype), "r", HEADER_BYTES, tuple(shape))
    except OSError as problem:
        raise DamagedError(f"cannot be read ({problem.strerror})", where=file, hint=hint) from problem


def _open_items(file: Path, count: int, digest: object) -> list[Item]:
    data = files.read_bytes(file, error=DamagedError)
    hint = "Prepare the set again"
    items: list[Item] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            items.append(Item.from_json(line))
        except (ValueError, RecursionError) as problem:
            raise DamagedError(f"no item ({problem})", where=f"{file}:{number}", hint=hint) from problem
    if len(items) != count:
        raise DamagedError(f"{counted(len(items), 'item')} where the manifest says {count}", where=file, hint=hint)
    if hashlib.sha256(data).hexdigest() != digest:
        raise DamagedError("other bytes than were written (sha256 differs)", where=file, hint=hint)
    return items


def evenly(count: int, wanted: int) -> list[int]:
    """Numbers of so many of `count` pictures, at most all, in even distances."""
    wanted = min(count, wanted)
    return [int((i + 0.5) * count / wanted) for i in range(wanted)]


def partial_folder(path: Path) -> Path:
    """Where a set is put together: hidden, beside its final place."""
    return path.with_name(f".{path.name}.partial")


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The .npy header (format 1.0), always 128 bytes long."""
    text = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode("ascii")
    length = HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def set_checksum(manifest: Mapping[str, Any]) -> str:
    """sha256 over what the data are: arrays, items, class table, size; not over where they came from."""
    parts = {
        "size": manifest["size"],
        "classes": manifest.get("classes"),
        "splits": {
            name: {
                "items": entry.get("items_sha256"),
                "arrays": {k: a.get("sha256") for k, a in entry["arrays"].items()},
            }
            for name, entry in manifest["splits"].items()
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def _not_a_set(path: Path) -> CityganError:
    if partial_folder(path).exists():
        return DamagedError(
            "its preparation was interrupted", where=path, hint="Run the same prepare again: it goes on"
        )
    if not path.exists():
        return UsageError("no such prepared set", where=path, hint=_what_exists(path.name))
    if any(path.glob("*/*.npy")):
        return DamagedError(f"no {MANIFEST} in it", where=path, hint="Prepare the set again")
    return UsageError(
        "not a prepared set", where=path, hint=f"Prepare it first: citygan prepare {shlex.quote(str(path))}"
    )


def set_names() -> list[str]:
    """The prepared sets in the data home."""
    found = files.data_home().glob(f"*/{MANIFEST}")
    return sorted(p.parent.name for p in found if not p.parent.name.startswith("."))


def _what_exists(name: str = "") -> str:
    names = set_names()
    if not names:
        return "Nothing is prepared yet: citygan prepare"
    return f"{did_you_mean(name, names)}There are: {', '.join(names)}"


def resolve_set(name: str | os.PathLike[str] | None = None) -> PreparedSet:
    """The set of `--data`: a name under the data home, a path, or by default the one prepared last.

    Raises:
        UsageError: None such; those that exist are named.
        DamagedError: As `PreparedSet.open`.
    """
    home = files.data_home()
    if name is None:
        last = files.read_last(home)
        if last is None:
            raise UsageError("no prepared set chosen", where="--data", hint=_what_exists())
        return PreparedSet.open(home / last)
    path = Path(name)
    if (path / MANIFEST).exists() or path.is_absolute() or len(path.parts) != 1:
        return PreparedSet.open(path)
    if (home / path).exists() or partial_folder(home / path).exists() or not path.exists():
        return PreparedSet.open(home / path)
    return PreparedSet.open(path)
