"""Batches on the device, out of a prepared set.

The set is decoded already; what is left is to pick pictures, bring their bytes to the device and jitter them there.
On a CUDA device a split that fits stays in its memory; otherwise one thread reads ahead through pinned memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from citygan.batch import Batch
from citygan.data.augment import Jitter, Picker, Scaling
from citygan.data.colours import ColourChange, ColourRanges
from citygan.data.crops import ClassCrops
from citygan.data.draws import ORDER, generator
from citygan.data.store import Split

RESIDENT_SHARE = 0.5  # of the device's free memory that a split may take


class Feed:
    """The batches of a training, each a function of its step.

    Args:
        split: Pictures to train on.
        arrays: Which of `photo`, `label`, `instance`, `source`, `flow`, `occlusion` are needed.
        batch: Pictures a step on this rank.
        jitter: Factor of enlargement before the crop; 1 is off.
        mirror: Whether half of the pictures are mirrored.
        seed: Of order, crops, mirroring and colours.
        channels: C of the photo that is wanted: 1 turns it grey.
        scales: Smallest and largest factor of a random scale, which together with `crop` goes in the place of `jitter`.
        crop: Side of the crops then; None: as large as the pictures.
        class_crops: Chooses among several crops of each picture; None: there is one.
        colours: How the photo's colours change, and those of the input.
        palette: uint8 [256, 3], the colour of each id; needed where colours of label maps change.
        pairs: Whether each picture comes with the frame after it; those without one are left out.
        rank: Which of the `ranks` processes this is, each of which takes its share of a step's pictures.

    Attributes:
        count: Pictures, or pairs of them.
    """

    def __init__(
        self,
        split: Split,
        *,
        arrays: Sequence[str],
        batch: int,
        jitter: float,
        mirror: bool,
        seed: int,
        device: torch.device,
        channels: int = 3,
        scales: tuple[float, float] = (1.0, 1.0),
        crop: int | None = None,
        class_crops: ClassCrops | None = None,
        colours: ColourRanges = ColourRanges(),
        palette: np.ndarray | None = None,
        pairs: bool = False,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.pairs = pairs
        self.starts = split.pairs() if pairs else list(range(len(split)))
        self.count = len(self.starts)
        self.batch = batch
        self.jitter = jitter
        self.mirror = mirror
        self.scales = scales
        self.crop = crop
        self.class_crops = class_crops
        self.colours = colours
        self.seed = seed
        self.device = device
        self.rank = rank
        self.ranks = ranks
        self.channels = channels
        self._arrays: dict[str, np.ndarray] = {}
        for name in arrays:
            array = getattr(split, name)
            assert array is not None, name
            self._arrays[name] = array
        self.size = next(iter(self._arrays.values())).shape[1:3]
        self._palette: Tensor | None = None
        if colours.paints and "label" in arrays:
            assert palette is not None
            self._palette = torch.from_numpy(palette.copy()).to(device)
        self._resident = self._to_device() if device.type == "cuda" else None
        self._reader = ThreadPoolExecutor(1, "feed") if device.type == "cuda" and self._resident is None else None
        self._ahead: tuple[int, Future[dict[str, Tensor]]] | None = None
        self._order: tuple[int, np.ndarray] | None = None

    def __call__(self, step: int) -> Batch:
        """The batch of a step, on the device."""
        first = (step * self.ranks + self.rank) * self.batch
        positions = list(range(first, first + self.batch))
        tensors = self._fetch(step, positions)
        picker = None if self.class_crops is None else Picker(self.class_crops, self.indices(positions))
        jitter: Jitter | Scaling
        if self.scales != (1.0, 1.0) or self.crop is not None:
            crop = self.size if self.crop is None else (self.crop, self.crop)
            jitter = Scaling.draw(self.size, crop, self.scales, self.mirror, self.seed, positions, picker)
        else:
            jitter = Jitter.draw(self.size, self.jitter, self.mirror, self.seed, positions, picker)
        change = ColourChange.draw(self.colours, self.seed, positions)
        if not self.pairs:
            return self._batch(tensors, jitter, change)
        # [2N, ...]: the frames, then those after them
        now, after = (
            self._batch({name: tensor[part] for name, tensor in tensors.items()}, jitter, change)
            for part in (slice(None, self.batch), slice(self.batch, None))
        )
        return replace(now, following=after)

    def _batch(self, tensors: dict[str, Tensor], jitter: Jitter | Scaling, change: ColourChange) -> Batch:
        photo = self._picture(tensors, "photo", jitter, change)
        label = jitter.index(tensors["label"]) if "label" in tensors else None
        painted = None
        if self._palette is not None and label is not None:
            # [N, H, W] -> [N, H, W, 3] -> [N, 3, H, W], which is channels-last in memory as it stands
            painted = change(self._palette[label.int()].permute(0, 3, 1, 2), photo=False)
        return Batch(
            photo=photo,
            label=label,
            instance=jitter.index(tensors["instance"].int()) if "instance" in tensors else None,
            source=self._picture(tensors, "source", jitter, change),
            painted=painted,
            # [N, H, W, 2] -> [N, 2, H, W]
            flow=jitter.flow(tensors["flow"].permute(0, 3, 1, 2)) if "flow" in tensors else None,
            occlusion=jitter.index(tensors["occlusion"]) if "occlusion" in tensors else None,
        )

    def indices(self, positions: Sequence[int]) -> list[int]:
        """Which pictures stand at these positions of the whole training: every epoch a permutation of all."""
        found = []
        for position in positions:
            epoch, place = divmod(position, self.count)
            if self._order is None or self._order[0] != epoch:
                self._order = (epoch, generator(self.seed, ORDER, epoch).permutation(self.count))
            found.append(self.starts[int(self._order[1][place])])
        return found

    def _frames(self, positions: Sequence[int]) -> list[int]:
        """All the pictures that a batch is made of."""
        first = self.indices(positions)
        return [*first, *(index + 1 for index in first)] if self.pairs else first

    def _fetch(self, step: int, positions: list[int]) -> dict[str, Tensor]:
        if self._resident is not None:
            # through pinned memory: the host goes on while the device is still at the step before
            index = torch.tensor(self._frames(positions)).pin_memory().to(self.device, non_blocking=True)
            return {name: array[index] for name, array in self._resident.items()}
        if self._reader is None:
            return self._read(self._frames(positions))
        if self._ahead is not None and self._ahead[0] == step:
            host = self._ahead[1].result()
        else:
            host = self._read(self._frames(positions))
        following = [position + self.batch * self.ranks for position in positions]
        self._ahead = (step + 1, self._reader.submit(self._read, self._frames(following)))
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in host.items()}

    def _read(self, indices: list[int]) -> dict[str, Tensor]:
        host = {name: torch.from_numpy(np.stack([array[i] for i in indices])) for name, array in self._arrays.items()}
        return {name: tensor.pin_memory() for name, tensor in host.items()} if self._reader else host

    def _picture(
        self, tensors: dict[str, Tensor], name: str, jitter: Jitter | Scaling, change: ColourChange
    ) -> Tensor | None:
        if name not in tensors:
            return None
        # [N, H, W, C] uint8 -> [N, C, H, W] float32 in [-1, 1], channels-last in memory
        x = jitter.picture(tensors[name].permute(0, 3, 1, 2))
        if name == "photo" and self.channels == 1:
            x = x[:, :1]  # a grey set keeps its photos with three equal channels
        return change(x, photo=name == "photo")

    def _to_device(self) -> dict[str, Tensor] | None:
        needed = sum(array.nbytes for array in self._arrays.values())
        free, _ = torch.cuda.mem_get_info(self.device)
        if needed > RESIDENT_SHARE * free:
            return None
        return {
            name: torch.from_numpy(np.asarray(array).copy()).to(self.device) for name, array in self._arrays.items()
        }
