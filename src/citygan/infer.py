"""A trained generator at work: label maps or pictures in, pictures of the same size out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.data.store import WHAT, Split
from citygan.devices import check_bf16, is_out_of_memory, pick_device
from citygan.errors import DamagedError, DataError, MachineError, UsageError
from citygan.models import GENERATORS, lookup
from citygan.models.layers import Statistics, test_time
from citygan.progress import say
from citygan.recipes.views import View, keeps, picture_of
from citygan.runs import GENERATOR, check_kind, checkpoint_folder
from citygan.sides import Sides, to_uint8
from citygan.train.checkpoint import load_network, read_part, read_state

UInt8 = npt.NDArray[np.uint8]
Mode = Literal["paper", "running", "deterministic"]
SMALLEST_TILE = 128
TILE_OVERLAP = 64  # pixels that neighbouring tiles share and are blended over


class Translator(Sides):
    """A generator with all it needs to be used: what its input means, and how it runs at test time.

    Args:
        generator: The network.
        inputs: What it is shown.
        outputs: What it paints.
        mode: `paper`: dropout and each picture's own statistics; `running`: dropout and running statistics;
            `deterministic`: running statistics without dropout.
        seed: Of dropout: together with the number of the sample it decides the masks, the same for every picture.
        bf16: Compute in bfloat16.
        path: Where it came from, for messages.
        step: Steps it was trained for.
        settings: The settings of the run, as nested values.
        pairs: `AtoB` or `BtoA` where it learnt from side-by-side pictures: which half is the input.
    """

    def __init__(
        self,
        generator: nn.Module,
        inputs: View,
        outputs: View,
        *,
        mode: Mode,
        device: torch.device,
        seed: int = 0,
        bf16: bool = False,
        path: Path | None = None,
        step: int = 0,
        settings: dict[str, Any] | None = None,
        pairs: str | None = None,
    ) -> None:
        self.generator = generator
        super().__init__(inputs, outputs, device)
        self.mode = mode
        self.seed = seed
        self.bf16 = bf16
        self.path = path
        self.step = step
        self.settings = settings or {}
        self.pairs = pairs
        self.multiple = int(getattr(generator, "multiple", 1))
        self.smallest = int(getattr(generator, "smallest", 1))

    def protocol(self) -> dict[str, Any]:
        """What its pictures depend on besides their input, for the record of a figure."""
        statistics, dropout = _MODES[self.mode]
        kept = keeps(self.inputs, self.outputs)
        sides = {
            "shown": None if self.inputs.encoding in ("colour", "onehot") else self.inputs.encoding,
            "painted": None if self.output_kind == "photo" else self.output_kind,
            "kept_of_the_input": kept,
        }
        return {key: value for key, value in sides.items() if value is not None} | {
            "inference": self.mode,
            "statistics": statistics,
            "dropout": dropout,
            "dropout_seed": self.seed if dropout else None,
            "draws_averaged": 1,
            "precision": "bf16" if self.bf16 else "float32",
        }

    def translate(
        self,
        inputs: npt.ArrayLike,
        *,
        instances: npt.ArrayLike | None = None,
        sample: int = 0,
        tile: tuple[int, int] | None = None,
    ) -> UInt8:
        """Translates one picture or several of one size.

        Args:
            inputs: Label maps, [H, W] or [N, H, W] ids of `classes`; or uint8 pictures, [H, W, C] or [N, H, W, C].
            instances: Instance maps of the same [N,] H, W, where `needs_instances`.
            sample: Which of the possible draws of dropout.
            tile: (width, height) of tiles to work in, to save memory; it changes the picture.

        Returns:
            uint8 [..., H, W, 3], or [..., H, W, 1] from a generator of grey pictures.

        Raises:
            DataError: Wrong shape or type, no picture, ids outside the table, no instance maps.
            UsageError: Tiles of a picture in which there is a hole.
            MachineError: Out of memory with a single picture.
        """
        array = np.asarray(inputs)
        single_rank = 2 if self.inputs.is_label else 3
        if array.ndim not in (single_rank, single_rank + 1):
            expected = "[H, W] or [N, H, W] ids" if self.inputs.is_label else "[H, W, C] or [N, H, W, C] pictures"
            raise DataError(f"expected {expected}, got an array of shape {array.shape}")
        if self.inputs.is_label and array.ndim == 3 and array.shape[-1] in (3, 4):
            raise DataError(
                f"an array of shape {array.shape} looks like a picture in colours; ids are wanted",
                hint="citygan.pictures.read_label turns a painted label map into ids",
            )
        if not array.size:
            raise DataError(f"no pictures in an array of shape {array.shape}")
        if tile is not None and self.inputs.encoding == "hole":
            raise UsageError(
                "this run fills the hole in the middle of a whole picture", where="--tile", hint="Leave it out"
            )
        single = array.ndim == single_rank
        array = array[None] if single else array
        self._check(array)
        edges = None
        if self.needs_instances:
            if instances is None:
                raise DataError("this model draws on instance maps and there is none", hint="Give instance maps too")
            edges = np.asarray(instances)
            edges = edges[None] if edges.ndim == 2 else edges
            if edges.shape != array.shape[:3]:
                raise DataError(f"instances are {edges.shape}, labels {array.shape}")
        pictures = self._translate(array, edges, sample, tile)
        return pictures[0] if single else pictures

    def translate_split(
        self,
        split: Split,
        *,
        indices: Sequence[int] | None = None,
        batch: int | None = None,
        sample: int = 0,
        tile: tuple[int, int] | None = None,
    ) -> Iterator[UInt8]:
        """The pictures of a prepared split, all or those at `indices`, in that order, uint8 [H, W, C]."""
        array = getattr(split, self.input_kind)
        if array is None:
            raise DataError(f"the set has no {WHAT[self.input_kind]}, which this model translates", where=split.name)
        chosen = list(range(len(split)) if indices is None else indices)
        together = batch or self.default_batch
        for first in range(0, len(chosen), together):
            part = chosen[first : first + together]
            instances = None
            if self.needs_instances and split.instance is not None:
                instances = np.asarray(split.instance[part])
            given = self.own_channels(np.asarray(array[part]))
            yield from self.translate(given, instances=instances, sample=sample, tile=tile)

    @property
    def default_batch(self) -> int:
        """Pictures of one size that are worth translating together."""
        return 8 if self.device.type == "cuda" else 1

    def _check(self, array: npt.NDArray[Any]) -> None:
        if not self.inputs.is_label:
            if array.dtype != np.uint8 or array.shape[-1] != self.channels:
                raise DataError(
                    f"expected uint8 pictures with {self.channels} channel(s), got {array.dtype} {array.shape}"
                )
            return
        assert self.classes is not None
        if not np.issubdtype(array.dtype, np.integer):
            raise DataError(f"expected whole-number ids, got {array.dtype}")
        if array.dtype == np.uint8:  # counting takes a tenth of the time of sorting
            counts = np.bincount(array.reshape(-1), minlength=256)
            ids = np.flatnonzero(counts)
            counts = counts[ids]
        else:
            ids, counts = np.unique(array, return_counts=True)
        known = {*self.classes.ids, 255}
        unknown = [f"{i} ({n} pixels)" for i, n in zip(ids, counts, strict=True) if int(i) not in known]
        if unknown:
            raise DataError(
                f"ids that the class table {self.classes.name} does not have: {', '.join(unknown[:8])}",
                hint="Is this label map by another table? citygan translate --classes NAME carries files over; "
                "in Python give ids of the translator's own `classes`",
            )

    @torch.inference_mode()
    def _translate(
        self, array: npt.NDArray[Any], instances: npt.NDArray[Any] | None, sample: int, tile: tuple[int, int] | None
    ) -> UInt8:
        if tile is not None:
            try:
                return np.stack(
                    [
                        self._tiled(array[i], None if instances is None else instances[i], sample, tile)
                        for i in range(len(array))
                    ]
                )
            except Exception as problem:
                if not is_out_of_memory(problem):
                    raise
                smaller = "x".join(str(max(side // 2, SMALLEST_TILE)) for side in tile)
                if max(tile) > SMALLEST_TILE:
                    hint = f"--tile {smaller} takes less"
                else:
                    hint = "--device cpu may have more" if self.device.type != "cpu" else "It is the smallest tile"
                raise MachineError(f"not enough memory for a tile of {tile[0]}x{tile[1]}", hint=hint) from None
        batch = len(array)
        done: list[UInt8] = []
        while sum(map(len, done)) < len(array):
            first = sum(map(len, done))
            part = slice(first, first + batch)
            try:
                x = self._run(array[part], None if instances is None else instances[part], sample)
            except Exception as problem:
                if not is_out_of_memory(problem):
                    raise
                if batch == 1:
                    height, width = array.shape[1:3]
                    raise MachineError(
                        f"not enough memory for a picture of {width}x{height}",
                        hint="--tile 512x512 works in pieces (which changes the picture)",
                    ) from None
                batch = (batch + 1) // 2
                say(f"not enough memory for so many pictures at once: going on with {batch}")
                continue
            done.append(to_uint8(x))
        return np.concatenate(done)

    def _tiled(
        self, array: npt.NDArray[Any], instances: npt.NDArray[Any] | None, sample: int, tile: tuple[int, int]
    ) -> UInt8:
        """Overlapping tiles, each translated by itself and blended linearly where they overlap."""
        height, width = array.shape[:2]
        total: Tensor | None = None
        weight = torch.zeros(1, height, width)
        for top, bottom in _spans(height, tile[1]):
            for left, right in _spans(width, tile[0]):
                part = (slice(top, bottom), slice(left, right))
                x = self._run(array[part][None], None if instances is None else instances[part][None], sample)[0].cpu()
                fade = _fade(bottom - top)[:, None] * _fade(right - left)[None, :]
                if total is None:
                    total = torch.zeros(x.shape[0], height, width)
                total[:, part[0], part[1]] += x * fade
                weight[:, part[0], part[1]] += fade
        assert total is not None
        return to_uint8((total / weight)[None])[0]

    def _run(self, array: npt.NDArray[Any], instances: npt.NDArray[Any] | None, sample: int) -> Tensor:
        """[N, H, W(, C)] -> [N, C, H, W] in [-1, 1], float32; padded for the network and cropped back."""
        height, width = array.shape[1:3]
        rows = _padded(max(height, self.smallest), self.multiple) - height
        columns = _padded(max(width, self.smallest), self.multiple) - width
        if self.inputs.is_label:
            around = ((0, 0), (0, rows), (0, columns))
            label = torch.from_numpy(np.pad(array.astype(np.uint8), around, mode="edge")).to(self.device)
            instance = None
            if instances is not None:
                instance = torch.from_numpy(np.pad(instances.astype(np.int32), around, mode="edge")).to(self.device)
            x = self.inputs(Batch(label=label, instance=instance))
        else:  # padded after it was encoded: a hole is in the middle of the picture as it was given
            x = F.pad(self.inputs(self.batch_of(array)), (0, columns, 0, rows), mode="replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        statistics, dropout = _MODES[self.mode]
        seed = _sample_seed(self.seed, sample) if dropout else None
        with (
            test_time(self.generator, statistics=statistics, dropout_seed=seed),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            y: Tensor = self.generator(x)
        x, y = (tensor[:, :, :height, :width].float() for tensor in (x, y))
        return picture_of(self.inputs, self.outputs, x, y)


_MODES: dict[str, tuple[Statistics, bool]] = {
    "paper": ("picture", True),
    "running": ("running", True),
    "deterministic": ("running", False),
}


def load(
    run: str | Path | None = None,
    *,
    checkpoint: str = "last",
    device: str = "auto",
    mode: Mode | None = None,
    seed: int | None = None,
    bf16: bool = False,
) -> Translator:
    """Loads a run, or a checkpoint folder by itself, for use.

    Args:
        run: A run's name or folder, or a checkpoint folder; None: the last run.
        checkpoint: `last`, `best` or a step.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        mode: How it runs at test time; None: as the checkpoint says.
        seed: Of dropout; None: the run's.
        bf16: Compute in bfloat16. The convolutions of `generator` then hold weights rounded to it: call it under
            `torch.autocast`.

    Raises:
        UsageError: No such run or checkpoint.
        DamagedError: It is not whole, or does not fit.
        MachineError: The device is not there.
    """
    folder = checkpoint_folder(run, checkpoint)
    check_kind(folder, GENERATOR, "--run")
    where = pick_device(device)
    if bf16:
        check_bf16(where, "--precision")
    state = read_state(folder)
    try:
        record = state["networks"]["generator"]
        inputs, outputs = View.from_dict(state["inputs"]), outputs_of(state)
        part, step = str(state["use"]), int(state["step"])
        inference, own_seed, settings = str(state["inference"]), int(state["seed"]), dict(state["settings"])
        pairs = state.get("data", {}).get("pairs")
        channels = (record["arguments"]["in_channels"], record["arguments"].get("out_channels", 3))
        if channels != (inputs.channels, outputs.channels) or own_seed < 0 or inference not in _MODES:
            raise ValueError("its entries contradict each other")
        with torch.device("meta"):  # shapes alone: a record may claim any size
            generator = lookup(GENERATORS, str(record["name"]), "generator")(**record["arguments"])
    except Exception as problem:  # whatever there is in a record that somebody made up
        why = f"no {problem}" if isinstance(problem, KeyError) else str(problem)
        raise DamagedError(f"its record does not describe a generator ({why})", where=folder) from problem
    generator = read_network(generator, folder, state, part, where)
    if bf16:
        round_weights(generator)
    chosen: Any = mode or inference
    return Translator(
        generator,
        inputs,
        outputs,
        mode=chosen,
        device=where,
        seed=own_seed if seed is None else seed,
        bf16=bf16,
        path=folder,
        step=step,
        settings=settings,
        pairs=pairs,
    )


def outputs_of(state: Mapping[str, Any]) -> View:
    """What a checkpoint's generator paints; those from before there was a choice paint photos."""
    if state.get("outputs") is not None:
        return View.from_dict(state["outputs"])
    return View("photo", None, int(state["networks"]["generator"]["arguments"].get("out_channels", 3)))


def read_network(network: nn.Module, folder: Path, state: dict[str, Any], part: str, device: torch.device) -> nn.Module:
    """Fills a network on the meta device with a checkpoint's tensors, on a device.

    Raises:
        DamagedError: They are not whole, or do not fit.
    """
    tensors, file = read_part(folder, state, part), folder / f"{part}.safetensors"
    load_network(network, tensors, file)  # finds what does not fit, and fills nothing yet
    network = network.to_empty(device="cpu")
    load_network(network, tensors, file)
    moved: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved.requires_grad_(False)


def round_weights(generator: nn.Module) -> None:
    """Keeps the weights of convolutions in bfloat16, to which autocast would round them for every picture."""
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(torch.bfloat16)


def _sample_seed(seed: int, sample: int) -> int:
    return int(np.random.SeedSequence((seed, 2, sample)).generate_state(1, np.uint64)[0])


def _padded(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _spans(side: int, tile: int) -> Sequence[tuple[int, int]]:
    """Overlapping stretches of `tile` that cover `side`."""
    if tile >= side:
        return [(0, side)]
    stride = max(1, tile - TILE_OVERLAP)
    starts = [*range(0, side - tile, stride), side - tile]
    return [(start, start + tile) for start in starts]


def _fade(length: int) -> Tensor:
    """Weights that rise from and fall to the ends over the overlap."""
    ramp = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0)).clamp_(max=TILE_OVERLAP) / TILE_OVERLAP


__all__ = ["Translator", "load"]
