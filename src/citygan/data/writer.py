"""Puts a prepared set together, so that it can be interrupted anywhere and gone on with.

Arrays are written front to back with plain writes (a memory map on a full disk is a SIGBUS), into a hidden folder
beside the final one. items.jsonl is the journal: an item's line follows its arrays' bytes, so that an interrupted work
goes on after the last whole item. The header's N comes last, then the folder is renamed into place.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan import files
from citygan.data.store import (
    ARRAYS,
    HEADER_BYTES,
    MANIFEST,
    VERSION,
    Array,
    Item,
    is_safe_name,
    npy_header,
    partial_folder,
    set_checksum,
)
from citygan.errors import UsageError
from citygan.yamlfile import to_yaml


def _plan_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.plan")


def discard_partial(path: Path) -> None:
    """Removes what an interrupted or failed preparation of `path` left."""
    with files.guard(path):
        shutil.rmtree(partial_folder(path), ignore_errors=True)
        _plan_file(path).unlink(missing_ok=True)


def clean(path: Path) -> None:
    """Removes the plan that a process left which was killed just after it had published `path`."""
    with contextlib.suppress(OSError):
        if path.exists() and not partial_folder(path).exists():
            _plan_file(path).unlink(missing_ok=True)


def check_free(path: Path, force: bool, lacking: str = "") -> None:
    """Whether a set can be put there.

    Args:
        force: A prepared set that is there may be replaced; nothing else ever.
        lacking: What was asked for and the set that is there has not, in words.

    Raises:
        UsageError: Something is there.
    """
    clean(path)
    if not path.exists():
        return
    if not (path / MANIFEST).exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError("something else than a prepared set is there", where=path, hint="--out takes another name")
    if not force:
        what = f"exists already, without {lacking}" if lacking else "exists already"
        again = "prepares it anew, with that" if lacking else "replaces it"
        raise UsageError(what, where=path, hint=f"--force {again}, --out takes another name")


class SetWriter:
    """Writes a set, item by item, and publishes it whole.

    Args:
        path: The final folder.
        size: (width, height) of its pictures.
        plan: All that decides the bytes: options and the files with their sizes and times. What an interrupted work
            left is gone on with where its plan was the same, and thrown away otherwise.
    """

    def __init__(self, path: Path, *, size: tuple[int, int], plan: Mapping[str, Any]) -> None:
        self.path = path
        self.size = size
        self._partial = partial_folder(path)
        self._splits: dict[str, SplitWriter] = {}
        text = json.dumps({"version": VERSION, "size": size, "plan": plan}, sort_keys=True)
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        with files.guard(self._partial):
            self.resumed = self._partial.is_dir() and _read_text(_plan_file(path)) == digest
            if self.resumed:
                for torn in self._partial.glob(".tmp-*"):
                    torn.unlink()
            else:
                discard_partial(path)
                files.write_text(_plan_file(path), digest)
                self._partial.mkdir(parents=True)

    def split(self, name: str) -> SplitWriter:
        """The writer of a split, in the order in which the manifest shall list them."""
        if name not in self._splits:
            self._splits[name] = SplitWriter(self._partial / name, self.size)
        return self._splits[name]

    def finish(self, manifest: Mapping[str, Any], *, replace: bool = False, default: bool = False) -> Path:
        """Ends the arrays, writes the manifest and puts the folder in its place.

        Args:
            manifest: What dataset.yaml shall say besides version, size, splits and checksum.
            replace: Take the place of an existing set.
            default: Make it the set that commands use by default, where it lies in the data home.

        Returns:
            The final folder.

        Raises:
            UsageError: It exists and `replace` is false.
            MachineError: It cannot be written.
        """
        entries = {name: writer.finish() for name, writer in self._splits.items() if writer.items}
        whole: dict[str, Any] = {"version": VERSION, "size": list(self.size), **manifest, "splits": entries}
        whole["checksum"] = set_checksum(whole)
        files.write_text(self._partial / MANIFEST, to_yaml(whole))
        with _default(self.path) if default else contextlib.nullcontext():
            files.publish_folder(self._partial, self.path, replace=replace)
        with contextlib.suppress(OSError):
            _plan_file(self.path).unlink(missing_ok=True)
        return self.path

    def close(self) -> None:
        """Closes the files; what is written stays to be gone on with."""
        for writer in self._splits.values():
            writer.close()


@contextlib.contextmanager
def _default(path: Path) -> Iterator[None]:
    """Makes `path` the default set; first of all, since a default that is not there yet is none."""
    home = files.data_home()
    if path.parent.absolute() != home.absolute():
        yield
        return
    before = _read_text(home / "last")
    files.write_last(home, path.name)
    try:
        yield
    except BaseException:
        if before is None:
            (home / "last").unlink(missing_ok=True)
        else:
            files.write_text(home / "last", before)
        raise


class SplitWriter:
    """Appends the items of one split."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.folder = folder
        self.size = size
        self.items: list[Item] = []
        self._arrays: dict[str, _ArrayWriter] = {}
        with files.guard(folder):
            folder.mkdir(exist_ok=True)
            self._journal = open(folder / "items.jsonl", "ab+", buffering=0)  # noqa: SIM115 (held while writing)
            self._resume()

    def _resume(self) -> None:
        self._journal.seek(0)
        data = self._journal.read()
        lines = data.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        found = {kind: self.folder / f"{kind}.npy" for kind in ARRAYS if (self.folder / f"{kind}.npy").exists()}
        counts = [_ArrayWriter.whole_items(file) for file in found.values()]
        keep = min([len(lines), *counts])
        self._journal.truncate(sum(len(line) for line in lines[:keep]))
        self.items = [Item.from_json(line) for line in lines[:keep]]
        for kind, file in found.items():
            if keep:
                self._arrays[kind] = _ArrayWriter.resume(file, keep)
            else:
                file.unlink()

    def append(self, item: Item, *, full_label: bytes | None = None, **arrays: Array) -> None:
        """Writes one item: the same kinds of arrays for each item of the split.

        Args:
            item: Its line.
            full_label: A PNG of its label at the original size.
            arrays: By kind, as `ARRAYS` says: [H, W] or [H, W, C].

        Raises:
            ValueError: A kind, shape or type that does not fit: a bug of the caller.
            MachineError: It cannot be written.
        """
        if not is_safe_name(item.stem):
            raise ValueError(f"unsafe stem {item.stem!r}")
        if self.items and arrays.keys() != self._arrays.keys():
            raise ValueError(f"{sorted(arrays)} after {sorted(self._arrays)}")
        for kind, array in arrays.items():
            dtype, tails = ARRAYS[kind]
            if array.dtype != np.dtype(dtype) or array.shape[:2] != self.size[::-1] or array.shape[2:] not in tails:
                raise ValueError(f"{kind} is {array.dtype} {array.shape}")
        with files.guard(self.folder):
            if full_label is not None:
                file = self.folder / "full" / f"{item.stem}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(full_label)
            for kind, array in arrays.items():
                if kind not in self._arrays:
                    self._arrays[kind] = _ArrayWriter.create(self.folder / f"{kind}.npy", array.shape, ARRAYS[kind][0])
                self._arrays[kind].append(array)
            _write_all(self._journal, item.to_json().encode("ascii"))
        self.items.append(item)

    def value_counts(self, kind: str) -> npt.NDArray[np.int64] | None:
        """int64 [256]: pixels of each value in what is written of an array of bytes; None without that array."""
        array = self._arrays.get(kind)
        return None if array is None else array.value_counts(len(self.items))

    def finish(self) -> dict[str, Any]:
        """Ends the arrays; gives the split's entry of the manifest."""
        count = len(self.items)
        with files.guard(self.folder):
            arrays = {kind: self._arrays[kind].finish(count) for kind in ARRAYS if kind in self._arrays}
            self.close()
            digest = hashlib.sha256((self.folder / "items.jsonl").read_bytes()).hexdigest()
        return {"items": count, "items_sha256": digest, "arrays": arrays}

    def close(self) -> None:
        """Closes the files."""
        self._journal.close()
        for array in self._arrays.values():
            array.file.close()


class _ArrayWriter:
    """Appends to one .npy file and keeps the sha256 of its data (without the header)."""

    def __init__(self, file: io.FileIO, shape: tuple[int, ...], dtype: str) -> None:
        self.file = file
        self.shape = shape
        self.dtype = dtype
        self.digest = hashlib.sha256()

    @classmethod
    def create(cls, path: Path, shape: tuple[int, ...], dtype: str) -> _ArrayWriter:
        file = io.FileIO(path, "w+")
        _write_all(file, npy_header((0, *shape), dtype))
        return cls(file, shape, dtype)

    @staticmethod
    def whole_items(path: Path) -> int:
        with open(path, "rb") as file:
            try:
                shape, dtype = _parse_header(file.read(HEADER_BYTES))
            except ValueError:
                return 0
        return max(0, path.stat().st_size - HEADER_BYTES) // _item_bytes(shape, dtype)

    @classmethod
    def resume(cls, path: Path, count: int) -> _ArrayWriter:
        file = io.FileIO(path, "r+")
        shape, dtype = _parse_header(file.read(HEADER_BYTES))
        writer = cls(file, shape, dtype)
        item_bytes = _item_bytes(shape, dtype)
        for _ in range(count):
            writer.digest.update(file.read(item_bytes))
        file.truncate(HEADER_BYTES + count * item_bytes)
        file.seek(0, os.SEEK_END)
        return writer

    def append(self, array: Array) -> None:
        if array.shape != self.shape:
            raise ValueError(f"{array.shape} after {self.shape}")
        data = np.ascontiguousarray(array).data.cast("B")
        _write_all(self.file, data)
        self.digest.update(data)

    def value_counts(self, count: int) -> npt.NDArray[np.int64]:
        counts = np.zeros(256, np.int64)
        item_bytes = _item_bytes(self.shape, self.dtype)
        for place in range(count):
            data = os.pread(self.file.fileno(), item_bytes, HEADER_BYTES + place * item_bytes)
            counts += np.bincount(np.frombuffer(data, np.uint8), minlength=256)
        return counts

    def finish(self, count: int) -> dict[str, Any]:
        shape = (count, *self.shape)
        os.pwrite(self.file.fileno(), npy_header(shape, self.dtype), 0)
        return {"shape": list(shape), "dtype": np.dtype(self.dtype).name, "sha256": self.digest.hexdigest()}


def _parse_header(header: bytes) -> tuple[tuple[int, ...], str]:
    """The shape of one item and the type, from a header of ours."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0) or len(header) != HEADER_BYTES:
        raise ValueError("not a header of ours")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape[1:], dtype.str


def _item_bytes(shape: tuple[int, ...], dtype: str) -> int:
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def _write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
