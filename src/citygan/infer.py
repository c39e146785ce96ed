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
from citygan.guides import Beside, Guides, cut, guides_of, sample_seed, several, shown_channels
from citygan.models import GENERATORS, lookup
from citygan.models.layers import Statistics, test_time
from citygan.progress import say
from citygan.recipes.views import View, keeps, picture_of
from citygan.runs import GENERATOR, check_kind, checkpoint_folder
from citygan.sides import Sides, to_uint8
from citygan.tiling import SMALLEST_TILE, fade_of, spans
from citygan.train.checkpoint import load_network, read_part, read_state

UInt8 = npt.NDArray[np.uint8]
Mode = Literal["paper", "running", "deterministic"]


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
        guides: What it is shown beside that; None: nothing.
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
        guides: Guides | None = None,
    ) -> None:
        self.generator = generator
        self.guides = guides or Guides()
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

    @property
    def needs_instances(self) -> bool:
        return self.guides.encoder is not None or super().needs_instances

    @property
    def needs_more(self) -> bool:
        """Whether its input alone will not do: it is shown edges, or draws on instance maps."""
        return self.needs_instances or self.guides.skeleton is not None

    @property
    def draws(self) -> bool:
        """Whether samples of a picture differ: by dropout, by the edge network's fusion, by features."""
        return _MODES[self.mode][1] or self.guides.draw

    def beside(self, split: Split, part: int | Sequence[int]) -> dict[str, Any]:
        """What `translate` is given beside the input of one or several pictures of a split, by keyword."""
        found = self.guides.of_split(split, part)
        if self.needs_instances and split.instance is not None:
            found["instances"] = np.asarray(split.instance[part])
        return found

    def edges_protocol(self, split: Split) -> dict[str, str]:
        """As `Guides.edges_protocol`, of what it paints."""
        return self.guides.edges_protocol(split, self.output_kind)

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
            **({} if self.guides.skeleton is None else {"edges": self.guides.skeleton.to_dict()}),
            **({} if self.guides.encoder is None else {"features": "a cluster of its class for every instance"}),
        }

    def translate(
        self,
        inputs: npt.ArrayLike,
        *,
        instances: npt.ArrayLike | None = None,
        pictures: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        sample: int = 0,
        tile: tuple[int, int] | None = None,
    ) -> UInt8:
        """Translates one picture or several of one size.

        Args:
            inputs: Label maps, [H, W] or [N, H, W] ids of `classes`; or uint8 pictures, [H, W, C] or [N, H, W, C].
            instances: Instance maps of the same [N,] H, W, where `needs_instances`.
            pictures: uint8 pictures [N,] H, W, C, whose edges it is shown where it has a `skeleton`: graphics
                renderings, as a rule.
            edges: In their place edge maps [N,] H, W: 0 and 1, or up to 255.
            sample: Which of the possible draws: of dropout, and of the edge network's fusion, which in sample 0 is
                the learnt one.
            tile: (width, height) of tiles to work in, to save memory; it changes the picture.

        Returns:
            uint8 [..., H, W, 3], or [..., H, W, 1] from a generator of grey pictures.

        Raises:
            DataError: Wrong shape or type, no picture, ids outside the table, no instance maps, no edges.
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
        beside: Beside = {}
        if self.needs_instances:
            if instances is None:
                raise DataError("this model draws on instance maps and there is none", hint="Give instance maps too")
            beside["instance"] = several(instances, 2)
            if beside["instance"].shape != array.shape[:3]:
                raise DataError(f"instances are {beside['instance'].shape}, labels {array.shape}")
        with torch.inference_mode():
            guide = self.guides.guide(pictures, edges, array.shape[:3], self.device)
        if guide is not None:
            beside["guide"] = guide
        found = self._translate(array, beside, sample, tile)
        return found[0] if single else found

    def edge_picture(self, pictures: npt.ArrayLike, *, sample: int = 0) -> UInt8:
        """The edges that it is shown of one picture, as a picture.

        Args:
            pictures: uint8 [H, W, C].

        Returns:
            uint8 [H, W, 3], white where there is an edge.
        """
        given = several(pictures, 3)
        with torch.inference_mode():
            guide = self.guides.guide(given, None, given.shape[:3], self.device)
            assert guide is not None
            edges = self.guides.edges(guide, self.device, sample)
        return to_uint8(edges.expand(-1, 3, -1, -1) * 2 - 1)[0]

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
            given = self.own_channels(np.asarray(array[part]))
            yield from self.translate(given, **self.beside(split, part), sample=sample, tile=tile)

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
    def _translate(self, array: npt.NDArray[Any], beside: Beside, sample: int, tile: tuple[int, int] | None) -> UInt8:
        if tile is not None:
            try:
                return np.stack([self._tiled(array[i], cut(beside, i), sample, tile) for i in range(len(array))])
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
                x = self._run(array[part], cut(beside, part), sample)
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

    def _tiled(self, array: npt.NDArray[Any], beside: Beside, sample: int, tile: tuple[int, int]) -> UInt8:
        """Overlapping tiles, each translated by itself and blended linearly where they overlap."""
        height, width = array.shape[:2]
        total: Tensor | None = None
        weight = torch.zeros(1, height, width)
        for top, bottom in spans(height, tile[1]):
            for left, right in spans(width, tile[0]):
                part = (slice(top, bottom), slice(left, right))
                of_tile = {name: given[None] for name, given in cut(beside, part).items()}
                x = self._run(array[part][None], of_tile, sample)[0].cpu()
                fade = fade_of(bottom - top)[:, None] * fade_of(right - left)[None, :]
                if total is None:
                    total = torch.zeros(x.shape[0], height, width)
                total[:, part[0], part[1]] += x * fade
                weight[:, part[0], part[1]] += fade
        assert total is not None
        return to_uint8((total / weight)[None])[0]

    def _run(self, array: npt.NDArray[Any], beside: Beside, sample: int) -> Tensor:
        """[N, H, W(, C)] -> [N, C, H, W] in [-1, 1], float32; padded for the network and cropped back."""
        height, width = array.shape[1:3]
        rows = _padded(max(height, self.smallest), self.multiple) - height
        columns = _padded(max(width, self.smallest), self.multiple) - width
        label = instance = None
        around = ((0, 0), (0, rows), (0, columns))
        if "instance" in beside:
            instance = torch.from_numpy(np.pad(beside["instance"].astype(np.int32), around, mode="edge"))
            instance = instance.to(self.device)
        if self.inputs.is_label:
            label = torch.from_numpy(np.pad(array.astype(np.uint8), around, mode="edge")).to(self.device)
            x = self.inputs(Batch(label=label, instance=instance))
        else:  # padded after it was encoded: a hole is in the middle of the picture as it was given
            x = F.pad(self.inputs(self.batch_of(array)), (0, columns, 0, rows), mode="replicate")
        statistics, dropout = _MODES[self.mode]
        seed = sample_seed(self.seed, sample) if dropout else None
        with (
            test_time(self.generator, statistics=statistics, dropout_seed=seed),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            shown = [x]
            if "guide" in beside:
                edges = self.guides.edges(beside["guide"], self.device, sample)
                shown.append(F.pad(edges.to(x.dtype), (0, columns, 0, rows), mode="replicate"))
            if self.guides.encoder is not None:
                assert instance is not None
                shown.append(self.guides.features(instance, label, sample).to(x.dtype))
            x = torch.cat(shown, dim=1) if len(shown) > 1 else x
            y: Tensor = self.generator(x.contiguous(memory_format=torch.channels_last))
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
        if channels != (shown_channels(state, inputs), outputs.channels) or own_seed < 0 or inference not in _MODES:
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
    drawn = own_seed if seed is None else seed
    return Translator(
        generator,
        inputs,
        outputs,
        mode=chosen,
        device=where,
        seed=drawn,
        bf16=bf16,
        path=folder,
        step=step,
        settings=settings,
        pairs=pairs,
        guides=guides_of(folder, state, drawn, lambda network, name: read_network(network, folder, state, name, where)),
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


def _padded(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


__all__ = ["Translator", "load"]
