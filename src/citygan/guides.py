"""What a trained generator is shown beside its input: an edge map (S-Flow GAN), instance features (pix2pixHD)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from citygan.data.store import TARGET, WHAT, Split
from citygan.errors import DamagedError, DataError, UsageError
from citygan.models.dned import DNED, draw_fusion
from citygan.models.features import FeatureEncoder
from citygan.recipes.skeleton import Skeleton
from citygan.recipes.views import View
from citygan.sides import scaled

Beside = dict[str, npt.NDArray[Any]]
"""What belongs to the pictures of a batch: `instance` [N, H, W], `guide` [N, H, W, C]."""


class Guides:
    """The guides of one generator.

    Args:
        skeleton: The edge map that it is shown; None: none.
        dned: The edge network; None: the edges are the Laplacian's.
        encoder: The feature encoder whose clusters it is shown; None: no features.
        seed: Of the draws of both networks.
        edges_of: The pictures of a prepared set that edges are taken from: `source`, `photo`, or `auto`: source
            pictures where there are any. The edges of the very photo that is to be painted leak it.
    """

    def __init__(
        self,
        skeleton: Skeleton | None = None,
        dned: DNED | None = None,
        encoder: FeatureEncoder | None = None,
        seed: int = 0,
        edges_of: str = "auto",
    ) -> None:
        self.skeleton = skeleton
        self.dned = dned
        self.encoder = encoder
        self.seed = seed
        self.edges_of = edges_of

    @property
    def draw(self) -> bool:
        """Whether samples of a picture differ by what is drawn here."""
        return self.dned is not None or self.encoder is not None

    def edges_from(self, split: Split) -> str | None:
        """The array of a split that edges are taken from; None where no edges are shown.

        Raises:
            DataError: The split has no such pictures.
        """
        if self.skeleton is None:
            return None
        wanted = ("source", "photo") if self.edges_of == "auto" else (self.edges_of,)
        found = [name for name in wanted if name in split.arrays]
        if not found:
            raise DataError(
                f"this run is shown edges, and the split has no {' and no '.join(WHAT[name] for name in wanted)}",
                where=split.path,
                hint="citygan translate takes them from --photos DIR or --edges DIR",
            )
        return found[0]

    def edges_protocol(self, split: Split, painted: str) -> dict[str, str]:
        """Whose edges are shown of a split's pictures: `edges_of`, for the record; nothing where none are shown.

        Args:
            painted: The array that is painted: the edges of that very picture leak it.

        Raises:
            DataError: The split has no pictures to take them from.
        """
        array = self.edges_from(split)
        return {} if array is None else {"edges_of": TARGET if array == painted else WHAT[array]}

    def of_split(self, split: Split, part: int | Sequence[int]) -> dict[str, Any]:
        """What `Translator.translate` is given beside one or several pictures of a split, by keyword."""
        array = self.edges_from(split)
        return {} if array is None else {"pictures": np.asarray(getattr(split, array)[part])}

    def guide(
        self,
        pictures: npt.ArrayLike | None,
        edges: npt.ArrayLike | None,
        shape: tuple[int, ...],
        device: torch.device,
    ) -> npt.NDArray[Any] | None:
        """What the edges that are shown come from: edge maps, float32 [N, H, W, 1], or pictures, uint8 [N, H, W, 3].

        Args:
            pictures: uint8 [N,] H, W, C.
            edges: [N,] H, W: from 0 to 1, or where one of its pixels is above 1 to 255; each by itself.
            shape: [N, H, W], of the input.

        Raises:
            DataError: None, of another shape or type, edges out of their range.
            UsageError: Both; one for a generator that is shown no edges.
        """
        if self.skeleton is None:
            if pictures is not None or edges is not None:
                raise UsageError("this run is shown no edges", hint="Give neither pictures nor edge maps")
            return None
        if pictures is not None and edges is not None:
            raise UsageError("pictures to take edges from, and edge maps", hint="Give one of them")
        if edges is not None:
            if self.skeleton.needs_picture:
                raise DataError("this run's edge network looks at pictures, not at edge maps", hint="Give pictures")
            given = several(edges, 2)
            _check_shape("edge maps", given, shape)
            return np.stack([_in_one(each) for each in given])[..., None]
        if pictures is None:
            raise DataError(
                "this run is shown edges, and nothing is given to take them from",
                hint="Give pictures, such as the graphics renderings (--photos DIR), or edge maps (--edges DIR)",
            )
        given = several(pictures, 3)
        _check_shape("pictures to take edges from", given, shape)
        if given.dtype != np.uint8 or given.shape[-1] not in (1, 3):
            raise DataError(f"expected uint8 pictures with 1 or 3 channels, got {given.dtype} {given.shape}")
        if self.skeleton.needs_picture:
            return given
        # of whole pictures, whatever tiles they are translated in
        found = [self.skeleton.edges(scaled(given[i : i + 1], device)).cpu().numpy() for i in range(len(given))]
        return np.concatenate(found).transpose(0, 2, 3, 1)

    def edges(self, guide: npt.NDArray[Any], device: torch.device, sample: int = 0) -> Tensor:
        """The edges that are shown, [N, 1, H, W] in [0, 1]; of a drawn fusion in all samples but the first."""
        assert self.skeleton is not None
        if self.skeleton.needs_picture:
            given = scaled(guide, device)
        else:
            given = torch.from_numpy(np.ascontiguousarray(guide)).to(device).permute(0, 3, 1, 2)
        if self.dned is None:
            return given
        weights = None
        if sample > 0:
            weights = draw_fusion(self.dned.fusion, self.skeleton.concentration, sample_seed(self.seed, sample))
        return self.skeleton.of_logits(self.skeleton.logits(self.dned, given, given, weights))

    def features(self, instance: Tensor, label: Tensor | None, sample: int = 0) -> Tensor:
        """The features that are shown, [N, C, H, W]; of one class for all where there are no labels."""
        assert self.encoder is not None
        label = torch.zeros_like(instance) if label is None else label
        return self.encoder.draw(instance, label, sample_seed(self.seed, sample))


def sample_seed(seed: int, sample: int) -> int:
    """Of the draws of one sample."""
    return int(np.random.SeedSequence((seed, 2, sample)).generate_state(1, np.uint64)[0] >> 1)


def several(given: npt.ArrayLike, single_rank: int) -> npt.NDArray[Any]:
    """One array or several of them, as several."""
    array = np.asarray(given)
    return array[None] if array.ndim == single_rank else array


def cut(beside: Beside, part: int | slice | tuple[slice, slice]) -> Beside:
    """A part of each."""
    return {name: given[part] for name, given in beside.items()}


def shown_channels(state: dict[str, Any], inputs: View) -> int:
    """C of all that a checkpoint's generator is shown: its input, an edge map, features."""
    encoder = state["networks"].get("encoder")
    features = 0 if encoder is None else int(encoder["arguments"].get("features", 3))
    return inputs.channels + (state.get("skeleton") is not None) + features


def guides_of(folder: Path, state: dict[str, Any], seed: int, read: Any) -> Guides:
    """The guides of a checkpoint's generator.

    Args:
        state: Its record.
        read: Fills a network on the meta device with a part of the checkpoint, and returns it.

    Raises:
        DamagedError: It is not whole, or contradicts itself.
    """
    found: dict[str, Any] = {}
    try:
        record = state.get("skeleton")
        skeleton = None if record is None else Skeleton(**record)
        kinds = {"dned": DNED, "encoder": FeatureEncoder}
        # in its first phase the generator is not shown what the edge network makes
        wanted = [name for name in kinds if name in state["networks"]]
        wanted = [name for name in wanted if name != "dned" or (skeleton is not None and skeleton.network)]
        if skeleton is not None and skeleton.network and "dned" not in wanted:
            raise ValueError("an edge network is shown, and there is none")
        with torch.device("meta"):
            found = {name: kinds[name](**state["networks"][name]["arguments"]) for name in wanted}
    except Exception as problem:  # whatever there is in a record that somebody made up
        what = f"its record does not describe what its generator is shown ({problem})"
        raise DamagedError(what, where=folder) from problem
    for name, network in found.items():
        part = f"{name}-ema" if f"{name}-ema" in state["files"] else name
        found[name] = read(network, part)
    return Guides(skeleton, found.get("dned"), found.get("encoder"), seed)


def _in_one(edges: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """An edge map [H, W] of 0 to 1 or 0 to 255 as one of 0 to 1."""
    least, most = edges.min(), edges.max()
    if not (least >= 0 and most <= 255):
        raise DataError(f"an edge map of values from {least} to {most}", hint="They are 0 to 1, or 0 to 255")
    return (edges / (255.0 if most > 1 else 1.0)).astype(np.float32)


def _check_shape(what: str, given: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    if given.shape[:3] != shape:
        raise DataError(f"{what} are {given.shape}, the input is {shape}: nothing is resized")
