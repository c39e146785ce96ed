"""What a prepared set is good for: notes before the work, and the next command after it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping

from citygan import files
from citygan.data.store import PreparedSet

MULTIPLE = 16  # of both sides: the shallowest generator halves its pictures four times

Arrays = Mapping[str, Collection[str]]  # the kinds of arrays of each split


def trainable_size(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) nearest to `size` that the models can be trained at; `size` itself where they can."""
    width, height = (max(1, round(side / MULTIPLE)) * MULTIPLE for side in size)
    return width, height


def notes(arrays: Arrays, size: tuple[int, int]) -> list[str]:
    """What should be known of a set before the work."""
    paired = _paired(arrays)
    if not paired:
        photos_alone = any("photo" in kinds for kinds in arrays.values()) and not _inputs(arrays)
        what = (
            "photos alone: colourisation and inpainting learn from them; the other models from photos with label maps"
        )
        what += " or source pictures of the same names, or from pairs side by side (--format pairs)"
        return [what] if photos_alone else []
    if "train" not in paired:
        return ["no split train with photos: nothing to train on"]
    found = []
    nearest = trainable_size(size)
    if nearest != size:
        found.append(
            f"{size[0]}x{size[1]} is no size to train at: sides must be multiples of {MULTIPLE}"
            f" (--size {nearest[0]}x{nearest[1]} is near)"
        )
    if "val" not in paired:
        split = "test" if "test" in paired else "train"
        lacks = "no photos in the split val" if "val" in arrays else "no split val"
        other = "" if "val" in arrays else "; --splits train=0.9,val=0.1 takes one out of train"
        found.append(f"{lacks}: citygan evaluate takes the split {split}{other}")
    return found


def next_command(done: PreparedSet) -> str:
    """What to type next: a command that works on the set."""
    arrays = {name: split.arrays.keys() for name, split in done.splits.items()}
    paired, inputs = _paired(arrays), _inputs(arrays)
    home = files.data_home()
    name = done.name if done.path.parent.absolute() == home.absolute() else os.fspath(done.path)
    alone = not inputs and "photo" in arrays.get("train", ())
    if "train" in paired or alone:
        width, height = trainable_size(done.size)
        if (width, height) != done.size:
            return f"the same with --size {width}x{height} --force, to train on it"
        model = f" --model {'inpainting' if done.photo_channels == 1 else 'colourisation'}" if alone else ""
        return f"citygan train{model}" + ("" if name == files.read_last(home) else f" --data {shlex.quote(name)}")
    if paired:
        return f"citygan evaluate --data {shlex.quote(name)} --split {paired[0]}"
    if inputs:
        return f"citygan translate {shlex.quote(os.fspath(done.path))} out/ --split {inputs[0]}"
    return "citygan prepare FOLDER, one with label maps or source pictures beside the photos"


def needs_a_model(done: PreparedSet) -> bool:
    """Whether the next command takes a trained model, and there is none."""
    paired = _paired({name: split.arrays.keys() for name, split in done.splits.items()})
    takes_one = "train" not in paired and any("label" in s.arrays or "source" in s.arrays for s in done.splits.values())
    return takes_one and files.read_last(files.runs_home()) is None


def _inputs(arrays: Arrays) -> list[str]:
    """The splits with what a model is shown."""
    return [split for split, kinds in arrays.items() if "label" in kinds or "source" in kinds]


def _paired(arrays: Arrays) -> list[str]:
    """The splits with that and photos."""
    return [split for split in _inputs(arrays) if "photo" in arrays[split]]
