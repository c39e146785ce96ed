"""Maps of ids and label maps, exactly as they were meant: never through a lossy, scaled or guessed value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.pictures.decoding import Alpha, Picture, UInt8, photo_of
from citygan.pictures.headers import Header, PathLike
from citygan.pictures.painted import UnknownValuesError, colours_to_ids, nearest_colours_to_ids, unknown_values

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable


def index_of(picture: Picture, where: PathLike) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """[H, W] ids of a decoded picture.

    Raises:
        DataError: Lossy, rotated by EXIF, or in colours.
    """
    _check_exact(picture.header, where)
    samples = _without_opaque_alpha(picture, where, "refuse")
    if samples.ndim == 3:
        grey = _equal_channels(samples)
        if grey is None:
            raise DataError("in colours where a map of ids is needed", where=os.fspath(where))
        samples = grey
    return np.ascontiguousarray(samples)


def second_channel(picture: Picture, where: PathLike) -> npt.NDArray[np.uint16]:
    """uint16 [H, W]: the instances that a label map of 16-bit colours holds beside its classes, as SYNTHIA's do.

    Raises:
        DataError: It is another picture, or lossy, or rotated by EXIF.
    """
    _check_exact(picture.header, where)
    samples = picture.samples
    if samples.ndim != 3 or samples.dtype != np.uint16 or samples.shape[2] < 3:
        raise DataError(
            "no 16-bit channels, of which the second holds the instances",
            where=os.fspath(where),
            hint="A reader that knows 8 bits alone loses them: take the file as it was published",
        )
    return np.ascontiguousarray(samples[..., 1])


def label_of(
    picture: Picture, where: PathLike, table: ClassTable, *, alpha: Alpha = "refuse", painted: bool = False
) -> tuple[UInt8, str]:
    """uint8 [H, W] ids of the table, and which kind of label map it was: ``ids``, ``colours`` or ``nearest colours``.

    A palette PNG whose colours are all the table's, but stand at other indices, is taken by its colours. Of 16-bit
    colours the first channel holds the classes (SYNTHIA).

    Args:
        painted: It is the painted side of a pair: colours that are not exact go by the nearest one.

    Raises:
        DataError: As `read_label`.
    """
    if painted and picture.header.lossy:
        return _nearest(photo_of(picture, where, alpha=alpha), where, table), "nearest colours"
    _check_exact(picture.header, where)
    samples = _without_opaque_alpha(picture, where, alpha)
    if picture.palette is not None and _palette_by_colour(samples, picture.palette, table):
        samples = picture.palette[samples]
    if samples.ndim == 2:
        return _known_ids(samples, where, table), "ids"
    if samples.dtype != np.uint8:
        if int(samples[..., 0].max()) > 255:
            raise DataError("16-bit colours are no label map", where=os.fspath(where))
        return _known_ids(samples[..., 0], where, table), "ids"
    try:
        return colours_to_ids(samples, table), "colours"
    except UnknownValuesError as problem:
        grey = _equal_channels(samples)  # ids saved as RGB
        if grey is not None:
            return _known_ids(grey, where, table), "ids"
        if painted:
            return _nearest(samples, where, table), "nearest colours"
        raise _colour_error(problem, where, table) from problem


def _check_exact(head: Header, where: PathLike) -> None:
    if head.lossy:
        raise DataError(
            f"a lossy {head.format} as a label map",
            where=os.fspath(where),
            hint="Lossy compression invents ids: export the labels as PNG",
        )
    if head.orientation != 1:
        raise DataError(
            "a label map with an EXIF rotation",
            where=os.fspath(where),
            hint="Save it upright, without the EXIF block",
        )


def _without_opaque_alpha(picture: Picture, where: PathLike, alpha: Alpha) -> npt.NDArray[Any]:
    samples = picture.samples
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        if alpha == "refuse" and (samples[..., -1] != np.iinfo(samples.dtype).max).any():
            raise DataError("a transparent label map", where=os.fspath(where), hint="Save it without transparency")
        samples = samples[..., 0] if samples.shape[2] == 2 else samples[..., :3]
    return samples


def _equal_channels(samples: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The one channel of a grey picture saved as RGB, or None."""
    first = samples[..., 0]
    if all(np.array_equal(first, samples[..., c]) for c in range(1, samples.shape[2])):
        return first
    return None


def _palette_by_colour(samples: npt.NDArray[Any], palette: UInt8, table: ClassTable) -> bool:
    """Whether a palette PNG's used colours are the table's, while its indices are not the ids of those colours."""
    used = np.flatnonzero(np.bincount(samples.reshape(-1), minlength=256))
    colours = [tuple(colour) for colour in palette[used].tolist()]
    if not all(colour in table.colour_ids for colour in colours):
        return False
    return not all(table.agrees(int(i), c) for i, c in zip(used, colours, strict=True))


def _known_ids(samples: npt.NDArray[Any], where: PathLike, table: ClassTable) -> UInt8:
    low = samples if samples.dtype == np.uint8 else np.minimum(samples, 255).astype(np.uint8)
    known = np.asarray(cv2.LUT(low, table.known.astype(np.uint8)), np.bool_)  # NumPy's look-up takes ten times as long
    if samples.dtype != np.uint8:
        known &= samples <= 255
    if table.void_from is not None:
        beyond = ~known & (samples >= table.void_from)
        low = np.where(beyond, np.uint8(255), low)
        known |= beyond
    if not known.all():
        unknown = ~known
        problem = unknown_values(samples, unknown, colours=False)
        raise DataError(
            f"ids that the class table {table.name} does not have: {problem}",
            where=os.fspath(where),
            hint=table.likely_cause(int(v) for v in np.unique(samples)) or None,
        )
    return np.ascontiguousarray(low)


def _nearest(rgb: UInt8, where: PathLike, table: ClassTable) -> UInt8:
    try:
        return nearest_colours_to_ids(rgb, table)[0]
    except UnknownValuesError as problem:
        raise _colour_error(problem, where, table) from problem


def _colour_error(problem: UnknownValuesError, where: PathLike, table: ClassTable) -> DataError:
    return DataError(
        f"colours that the class table {table.name} does not have: {problem} ({problem.share:.1%} of the pixels)",
        where=os.fspath(where),
        hint=table.likely_cause_of_colours(problem.counts),
    )
