"""Edges of pictures as `prepare --edges` keeps them: those of `ops.edges`, which needs torch, in bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.data.store import Array

ARRAY = "edge"
SEEN_IN = {"photo", "pair", "source"}  # the files that have edges


def picture_with_edges(kinds: Collection[str]) -> str | None:
    """Whose edges a picture gets, of the arrays it has: the graphics picture's, else the photo's; None without both.

    A photo's own edges give away what is to be painted; a graphics picture is what there is at test time.
    """
    return next((kind for kind in ("source", "photo") if kind in kinds), None)


def settings_of(arrays: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """All that the edges depend on beside the pictures, for the record.

    Args:
        arrays: The kinds of arrays of each split.

    Returns:
        The settings of `ops.edges.edge_map`, and ``of``: by split whose edges they are, ``source`` or ``photo``.
    """
    from citygan.ops.edges import KSIZE, SMOOTHING, THRESHOLD

    of = {split: kind for split, kinds in arrays.items() if (kind := picture_with_edges(kinds))}
    return {"smoothing": SMOOTHING, "threshold": THRESHOLD, "ksize": KSIZE, "of": of}


def in_words(settings: Mapping[str, Any]) -> str:
    """Whose edges there are going to be."""
    whose = {"source": "the source pictures", "photo": "the photos themselves"}
    by_kind = {kind: [split for split, of in settings["of"].items() if of == kind] for kind in whose}
    told = [f"{whose[kind]} in {', '.join(splits)}" for kind, splits in by_kind.items() if splits]
    return f"edges of {'; of '.join(told)}"


def edge_array(arrays: Mapping[str, Array]) -> npt.NDArray[np.uint8] | None:
    """The edges of one picture.

    Args:
        arrays: Its arrays by kind; of the pictures, uint8 [H, W, 1 or 3].

    Returns:
        uint8 [H, W]: 1 at edges, else 0. None where it has neither graphics picture nor photo.
    """
    import torch

    from citygan.ops.edges import edge_map

    kind = picture_with_edges(arrays)
    if kind is None:
        return None
    x = torch.from_numpy(np.array(arrays[kind])).permute(2, 0, 1)[None]
    return edge_map(x)[0, 0].to(torch.uint8).numpy()


@contextmanager
def _torch_in_one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_one_thread(edges: bool) -> AbstractContextManager[None]:
    """Keeps torch from starting threads of its own within each of ours; torch is loaded only where there are edges."""
    return _torch_in_one_thread() if edges else nullcontext()
