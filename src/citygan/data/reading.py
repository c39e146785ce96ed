"""One picture's files, decoded and made to fit: what each thread of `prepare` does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from citygan.data.fitting import OUTSIDE
from citygan.data.layouts import RENDERED, Fault
from citygan.data.outlines import ARRAY, edge_array
from citygan.data.plan import Job, Plan, fault_of
from citygan.data.store import Array, Item
from citygan.errors import DataError
from citygan.pictures import Picture, decode, encode_png, index_of, label_of, photo_of, read_bytes, second_channel

Read = tuple[Item, bytes | None, dict[str, Array]]


def read_job(plan: Plan, job: Job) -> Read | Fault:
    """Decodes the files of one picture, each once.

    Returns:
        Its item, the PNG of its label at the original size (val and test), and its arrays; or what is wrong with it.
    """
    arrays: dict[str, Array] = {}
    full: bytes | None = None
    digest: str | None = None
    file = ""
    decoded: tuple[str, Picture] | None = None
    try:
        for kind, file in job.entry.files.items():
            path = plan.root / file
            if decoded is None or decoded[0] != file:
                data = read_bytes(path)
                if kind in ("photo", "pair"):
                    digest = hashlib.sha256(data).hexdigest()
                decoded = (file, decode(data, path, max_pixels=plan.options.max_pixels))
                del data
            picture = decoded[1]
            if kind == "pair":
                sides = _sides(plan, picture, path)
                arrays["photo"] = _photo(plan, sides[1], path)
                kind, picture = ("source" if plan.table is None else "label"), sides[0]
            if kind == "label":
                arrays["label"], full = _label(plan, job, picture, path)
            elif kind == "instance":
                within_label = job.entry.files.get("label") == file
                instance = second_channel(picture, path) if within_label else index_of(picture, path)
                arrays["instance"] = plan.options.fitting.ids(instance.astype(np.uint16, copy=False), 0)
            else:
                arrays[kind] = _photo(plan, picture, path)
    except DataError as problem:
        fault = fault_of(file, problem)
        other = "BtoA" if plan.options.direction == "AtoB" else "AtoB"
        return (
            replace(fault, reason=f"{fault.reason} (or is it the other side? --direction {other})")
            if (plan.painted and "colours" in problem.what)
            else fault
        )
    if "source" in arrays and plan.source_channels == 1:
        arrays["source"] = arrays["source"][..., :1]
    if plan.options.edges and (edges := edge_array(arrays)) is not None:
        arrays[ARRAY] = edges
    entry = job.entry
    item = Item(entry.stem, dict(entry.files), job.original_size, entry.sequence, entry.frame, digest)
    return item, full, {kind: np.ascontiguousarray(array) for kind, array in arrays.items()}


def _photo(plan: Plan, picture: Picture, path: Path) -> npt.NDArray[np.uint8]:
    rgb = photo_of(picture, path, alpha=plan.options.alpha_rule)
    if plan.layout in RENDERED and not (rgb[::16, ::16] != rgb[0, 0]).any() and not (rgb != rgb[0, 0]).any():
        raise DataError("a frame that was not rendered: all its pixels are alike", where=path)
    return plan.options.fitting.photo(rgb)


def _label(plan: Plan, job: Job, picture: Picture, path: Path) -> tuple[npt.NDArray[np.uint8], bytes | None]:
    assert plan.table is not None
    label, _ = label_of(picture, path, plan.table, alpha=plan.options.alpha_rule, painted=plan.painted)
    full = encode_png(label, palette=plan.table.palette) if job.split in ("val", "test") else None
    return plan.options.fitting.ids(label, OUTSIDE), full


def _sides(plan: Plan, picture: Picture, path: Path) -> tuple[Picture, Picture]:
    """The input and the photo of a side-by-side pair, upright, as 8-bit RGB."""
    rgb = photo_of(picture, path, alpha=plan.options.alpha_rule)
    head = replace(
        picture.header, mode="RGB", bits=8, orientation=1, alpha=False, width=rgb.shape[1] // 2, height=rgb.shape[0]
    )
    left, right = (Picture(head, half) for half in np.hsplit(rgb, 2))
    return (left, right) if plan.options.direction == "AtoB" else (right, left)
