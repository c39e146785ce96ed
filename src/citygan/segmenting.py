"""A trained segmenter at work: photos in, label maps of the same or another size out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.data.labels import VOID, ClassTable
from citygan.data.store import Split
from citygan.devices import check_bf16, is_out_of_memory, pick_device
from citygan.errors import DamagedError, DataError, MachineError
from citygan.infer import Translator, read_network, round_weights
from citygan.models import SEGMENTERS, lookup
from citygan.models.layers import test_time
from citygan.pictures.painted import in_colours, nearest_colours_to_ids
from citygan.recipes.segmenter import enlarge
from citygan.runs import SEGMENTER, check_kind, checkpoint_folder
from citygan.train.checkpoint import read_state, used_sha256

UInt8 = npt.NDArray[np.uint8]
Write = Literal["trainid", "rawid", "colour", "overlay"]
WRITES: tuple[Write, ...] = ("trainid", "rawid", "colour", "overlay")
OVERLAY = 0.5  # share of the class colours in an overlay


class Segmenter:
    """A segmenter with all it needs to be used.

    Args:
        network: [N, 3, H, W] in [-1, 1] to logits of the train ids.
        labels: The class table whose train ids it tells.
        enlarged: (width, height) that photos are enlarged to first; None: as they are.
        name: Its row of `citygan.models.SEGMENTERS`.
        bf16: Compute in bfloat16.
        path: Where it came from, for messages.
        step: Steps it was trained for.
        settings: The settings of the run, as nested values.
    """

    def __init__(
        self,
        network: nn.Module,
        labels: ClassTable,
        *,
        device: torch.device,
        name: str = "",
        enlarged: tuple[int, int] | None = None,
        bf16: bool = False,
        path: Path | None = None,
        step: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.labels = labels
        self.enlarged = enlarged
        self.name = name
        self.device = device
        self.bf16 = bf16
        self.path = path
        self.step = step
        self.settings = settings or {}
        self.multiple = int(getattr(network, "multiple", 1))
        self._lock = threading.Lock()  # pictures are measured on threads, and the network is set up for each
        # void stays 255; of several classes with one train id the first is meant
        self._ids = np.full(256, VOID, np.uint8)
        for item in reversed(labels.classes):
            if item.train_id != VOID:
                self._ids[item.train_id] = item.id
        self.palette = np.zeros((256, 3), np.uint8)
        self.palette[: labels.num_train] = labels.palette[self._ids[: labels.num_train]]

    @property
    def default_batch(self) -> int:
        """Photos of one size that are worth segmenting together."""
        return 8 if self.device.type == "cuda" else 1

    def protocol(self) -> dict[str, Any]:
        """What its label maps depend on besides the photo, for the record of a figure."""
        return {
            "network": self.name,
            "classes": self.labels.name,
            "num_train": self.labels.num_train,
            "enlarged": None if self.enlarged is None else f"{self.enlarged[0]}x{self.enlarged[1]}",
            "logits": "resized bilinearly to the labels' size",
            "precision": "bf16" if self.bf16 else "float32",
        }

    def about(self) -> dict[str, Any]:
        """Which one it is, for the record of a figure."""
        found: dict[str, Any] = {"step": self.step, "weights_sha256": None, "model": self.settings.get("model")}
        if self.path is not None:
            found["weights_sha256"] = used_sha256(self.path)
        return found | {"quick": bool(self.settings.get("quick", False))} | self.protocol()

    def ids(self, trained: UInt8) -> UInt8:
        """Train ids as ids of the table."""
        return self._ids[trained]

    @torch.inference_mode()
    def segment(self, photos: npt.ArrayLike, size: tuple[int, int] | None = None) -> UInt8:
        """The class of each pixel.

        Args:
            photos: uint8 [H, W, 3] or [N, H, W, 3], RGB; one channel is taken for grey.
            size: (width, height) of the result; None: the photos'.

        Returns:
            uint8 [..., H, W], train ids.

        Raises:
            DataError: Wrong shape or type.
            MachineError: Out of memory with a single photo.
        """
        array = np.asarray(photos)
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] not in (1, 3):
            raise DataError(f"expected uint8 photos [N, H, W, 3], got {array.dtype} {array.shape}")
        several = in_colours(array if array.ndim == 4 else array[None])
        height, width = several.shape[1:3]
        wanted = size or (width, height)
        done = [self._one(photo, wanted) for photo in self._parts(several)]
        found = np.concatenate(done)
        return found if array.ndim == 4 else found[0]

    def _parts(self, array: UInt8) -> Iterator[UInt8]:
        for first in range(0, len(array), self.default_batch):
            yield array[first : first + self.default_batch]

    def _one(self, array: UInt8, size: tuple[int, int]) -> UInt8:
        try:
            with self._lock:
                logits = self._logits(array)
            if logits.shape[-2:] != (size[1], size[0]):
                logits = F.interpolate(logits, (size[1], size[0]), mode="bilinear", align_corners=False)
            return logits.argmax(1).to(torch.uint8).cpu().numpy()
        except Exception as problem:
            if not is_out_of_memory(problem):
                raise
            if len(array) > 1:
                return np.concatenate([self._one(photo[None], size) for photo in array])
            raise MachineError(
                f"not enough memory for a photo of {array.shape[2]}x{array.shape[1]}",
                hint="--device cpu may have more" if self.device.type != "cpu" else "Take smaller photos",
            ) from None

    def _logits(self, array: UInt8) -> Tensor:
        """uint8 [N, H, W, 3] -> float32 [N, K, H', W'], at the size it was enlarged to."""
        x = torch.from_numpy(np.array(array)).to(self.device).permute(0, 3, 1, 2)
        x = x.float().mul_(1 / 127.5).sub_(1)
        if self.enlarged is not None:
            x = enlarge(x, self.enlarged)
        height, width = x.shape[-2:]
        rows, columns = -height % self.multiple, -width % self.multiple
        if rows or columns:
            x = F.pad(x, (0, columns, 0, rows), mode="replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        with (
            test_time(self.network, statistics="running", dropout_seed=None),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            logits: Tensor = self.network(x)
        return logits[:, :, :height, :width].float()


class PaintedLabels(Segmenter):
    """A generator that paints label maps from photos, as a segmenter: the nearest class colour tells a pixel's class.

    Args:
        translator: One whose `painted_classes` are there and which takes photos.
    """

    def __init__(self, translator: Translator) -> None:
        assert translator.painted_classes is not None
        super().__init__(
            translator.generator,
            translator.painted_classes,
            device=translator.device,
            path=translator.path,
            step=translator.step,
            settings=translator.settings,
        )
        self._translator = translator

    def protocol(self) -> dict[str, Any]:
        """What its label maps depend on besides the photo."""
        read = {"classes": self.labels.name, "of_painted_maps": "the nearest class colour, void never"}
        return self._translator.protocol() | read

    def segment(self, photos: npt.ArrayLike, size: tuple[int, int] | None = None) -> UInt8:
        """The class of each pixel, at the photos' size: uint8 [..., H, W, 3] -> train ids [..., H, W]."""
        assert size is None
        painted = self._translator.translate(np.asarray(photos)[..., : self._translator.channels])
        several = painted if painted.ndim == 4 else painted[None]
        ids = [nearest_colours_to_ids(picture, self.labels, max_doubtful=1.0, void=False)[0] for picture in several]
        found = self.labels.train_ids[np.stack(ids)]
        return found if painted.ndim == 4 else found[0]


class LabelMaker:
    """A segmenter where a translator is expected: photos become what is written of their label maps.

    Args:
        write: `trainid`, `rawid`: ids; `colour`: their colours; `overlay`: these over the photo.

    Attributes:
        palette: The colours that written ids are shown in; None where colours are written themselves.
    """

    classes = None  # it takes photos, not label maps
    needs_instances = False
    pairs = None
    channels = 3

    def __init__(self, segmenter: Segmenter, write: Write) -> None:
        self.segmenter = segmenter
        self.write = write
        self.path = segmenter.path
        self.step = segmenter.step
        self.default_batch = segmenter.default_batch
        palettes = {"trainid": segmenter.palette, "rawid": segmenter.labels.palette}
        self.palette: UInt8 | None = palettes.get(write)

    def protocol(self) -> dict[str, Any]:
        """What is written depends on."""
        return self.segmenter.protocol() | {"write": self.write}

    def translate(
        self, inputs: npt.ArrayLike, *, instances: object = None, sample: int = 0, tile: object = None
    ) -> UInt8:
        """uint8 photos [..., H, W, 3] -> ids [..., H, W], or colours [..., H, W, 3]."""
        photos = np.asarray(inputs)
        trained = self.segmenter.segment(photos)
        if self.write == "trainid":
            return trained
        if self.write == "rawid":
            return self.segmenter.ids(trained)
        colours = self.segmenter.palette[trained]
        if self.write == "colour":
            return colours
        mixed = photos * (1 - OVERLAY) + colours * OVERLAY
        return np.rint(mixed).astype(np.uint8)

    def translate_split(
        self, split: Split, *, indices: Sequence[int] | None = None, batch: int | None = None, **unused: object
    ) -> Iterator[UInt8]:
        """Those of a prepared split, all or those at `indices`, in that order."""
        if split.photo is None:
            raise DataError("the set has no photos, which a segmenter takes", where=split.name)
        for index in range(len(split)) if indices is None else indices:
            yield self.translate(np.asarray(split.photo[index]))


def load_segmenter(
    run: str | Path | None = None,
    *,
    checkpoint: str = "last",
    device: str = "auto",
    bf16: bool = False,
    flag: str = "--run",
) -> Segmenter:
    """Loads a segmenter's run, or a checkpoint folder by itself, for use.

    Args:
        run: A run's name or folder, or a checkpoint folder; None: the last run.
        checkpoint: `last`, `best` or a step.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        bf16: Compute in bfloat16.
        flag: What named it, for messages.

    Raises:
        UsageError: No such run or checkpoint, or one of another kind.
        DamagedError: It is not whole, or does not fit.
        MachineError: The device is not there.
    """
    folder = checkpoint_folder(run, checkpoint)
    check_kind(folder, SEGMENTER, flag)
    where = pick_device(device)
    if bf16:
        check_bf16(where, "--precision")
    state = read_state(folder)
    try:
        record = state["networks"]["segmenter"]
        labels = ClassTable.from_dict(state["classes"])
        part, step, settings = str(state["use"]), int(state["step"]), dict(state["settings"])
        enlarged = None if state.get("enlarged") is None else (int(state["enlarged"][0]), int(state["enlarged"][1]))
        name = str(record["name"])
        if record["arguments"]["classes"] != labels.num_train:
            raise ValueError("its entries contradict each other")
        with torch.device("meta"):  # shapes alone: a record may claim any size
            network = lookup(SEGMENTERS, name, "segmenter")(**record["arguments"])
    except MachineError:
        raise
    except Exception as problem:  # whatever there is in a record that somebody made up
        why = f"no {problem}" if isinstance(problem, KeyError) else str(problem)
        raise DamagedError(f"its record does not describe a segmenter ({why})", where=folder) from problem
    network = read_network(network, folder, state, part, where)
    if bf16:
        round_weights(network)
    return Segmenter(
        network,
        labels,
        device=where,
        name=name,
        enlarged=enlarged,
        bf16=bf16,
        path=folder,
        step=step,
        settings=settings,
    )


__all__ = ["WRITES", "LabelMaker", "PaintedLabels", "Segmenter", "Write", "load_segmenter"]
