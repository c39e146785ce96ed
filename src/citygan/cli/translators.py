"""Runs as commands that translate open them, and checks that these commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable
    from citygan.data.store import PreparedSet
    from citygan.infer import Translator
    from citygan.segmenting import LabelMaker


def check_choices(mode: str | None, precision: str, write: str | None) -> None:
    """Sees that options with a few values have one of them.

    Raises:
        UsageError: One has not; the values are listed.
    """
    from citygan.errors import UsageError

    if mode not in (None, "paper", "running", "deterministic"):
        raise UsageError(f"no mode '{mode}'", where="--mode", hint="There are: paper, running, deterministic")
    if precision not in ("float32", "bf16"):
        raise UsageError(f"no precision '{precision}'", where="--precision", hint="There are: float32, bf16")
    if write not in (None, "photo", "trainid", "rawid", "colour", "overlay"):
        hint = "There are: photo, trainid, rawid, colour, overlay"
        raise UsageError(f"no such thing to write: '{write}'", where="--write", hint=hint)


def open_translator(
    run: str | None,
    checkpoint: str | None,
    *,
    samples: int,
    tile: str | None,
    classes: str | None,
    write: str | None,
    suffix: str,
    mode: str | None,
    seed: int | None,
    precision: str,
    device: str,
    photos: Path | None,
    edges: Path | None,
) -> Translator | LabelMaker:
    """The run of ``--run`` with the other options, which is said on stderr.

    Raises:
        CityganError: No such run, it is not whole, or an option that it does not have.
    """
    from citygan.infer import load
    from citygan.progress import say
    from citygan.runs import SEGMENTER, checkpoint_folder, describe, kind_of

    folder = checkpoint_folder(run, checkpoint or "last")
    translator: Translator | LabelMaker
    if kind_of(folder) == SEGMENTER:
        of_generators: dict[str, Any] = {"--samples": samples > 1, "--mode": mode, "--seed": seed is not None}
        of_generators |= {"--tile": tile, "--photos": photos, "--edges": edges}
        flags = [flag for flag, given in {**of_generators, "--classes": classes}.items() if given]
        translator = _label_maker(folder, write or "rawid", suffix, device, precision, flags)
    else:
        chosen: Any = mode
        translator = load(folder, device=device, mode=chosen, seed=seed, bf16=precision == "bf16")
        if write not in (None, "photo"):
            flags = [flag for flag, given in {"--samples": samples > 1, "--tile": tile}.items() if given]
            translator = _painted_labels(translator, write, suffix, flags)
    assert translator.path is not None
    say(f"using {describe(translator.path)}")
    return translator


def table_for(translator: Translator | LabelMaker, classes: str | None) -> ClassTable | None:
    """The class table of ``--classes``.

    Raises:
        UsageError: No such table, or a run that takes no label maps.
    """
    from citygan.data.labels import table_named
    from citygan.errors import UsageError

    table = None if classes is None else table_named(classes)
    if table is not None and translator.classes is None:
        raise UsageError("--classes is of label maps, and this run takes pictures", hint="Leave it out")
    return table


def check_set_options(table: ClassTable | None, photos: Path | None, edges: Path | None) -> None:
    """Sees that nothing is given that a prepared set knows by itself."""
    from citygan.errors import UsageError

    if table is not None:
        raise UsageError("--classes is not for a prepared set, which knows its classes", hint="Leave it out")
    if photos is not None or edges is not None:
        flag = "--edges" if photos is None else "--photos"
        raise UsageError("a prepared set brings its own pictures", where=flag, hint="Leave it out")


def check_file_options(split: str | None, command: str = "citygan translate demo out/") -> None:
    """Sees that nothing is given that only a prepared set has."""
    from citygan.errors import UsageError

    if split is not None:
        raise UsageError("only a prepared set has splits", where="--split", hint=command)


def _label_maker(folder: Path, write: str, suffix: str, device: str, precision: str, refused: list[str]) -> LabelMaker:
    """The segmenter of a checkpoint, writing what is asked for."""
    from citygan.errors import UsageError
    from citygan.runs import GENERATOR, check_kind
    from citygan.segmenting import LabelMaker, load_segmenter

    if write == "photo":
        check_kind(folder, GENERATOR, "--run")
    if refused:
        raise UsageError(
            f"{', '.join(refused)} belong{'s'[len(refused) > 1 :]} to generators, and this run is a segmenter",
            where=folder,
            hint="Leave that out",
        )
    _check_suffix(write, suffix)
    chosen: Any = write
    return LabelMaker(load_segmenter(folder, device=device, bf16=precision == "bf16"), chosen)


def _painted_labels(translator: Translator, write: Any, suffix: str, refused: list[str]) -> LabelMaker:
    """A generator that paints label maps, writing them as what is asked for."""
    from citygan.errors import UsageError
    from citygan.segmenting import LabelMaker, PaintedLabels

    if translator.painted_classes is None or translator.input_kind != "photo":
        raise _writes_photos(write)
    if refused:
        raise UsageError(
            f"{', '.join(refused)} with --write {write}", hint="Leave one of them out: these are of pictures as painted"
        )
    _check_suffix(write, suffix)
    return LabelMaker(PaintedLabels(translator), write)


def _check_suffix(write: str, suffix: str) -> None:
    from citygan.errors import UsageError

    if write in ("trainid", "rawid") and suffix.lower().endswith((".jpg", ".jpeg")):
        raise UsageError("ids would not survive in a JPEG", where="--suffix", hint="Take .png, or --write colour")


def _writes_photos(write: str | None) -> Exception:
    from citygan.errors import UsageError
    from citygan.runs import SEGMENTER, of_kind

    fitting = of_kind(SEGMENTER)
    hint = f"--run can be: {', '.join(fitting[-8:])}" if fitting else "citygan train --model unet-seg makes one"
    return UsageError(f"a generator writes photos, not '{write}': that takes a segmenter", where="--write", hint=hint)


def set_named(given: str) -> PreparedSet | None:
    """The prepared set that an input is: by its path, or by its name where nothing else is called so."""
    from citygan.data.store import MANIFEST, PreparedSet, resolve_set
    from citygan.files import data_home

    if (Path(given) / MANIFEST).is_file():
        return PreparedSet.open(given)
    by_name = given != "-" and len(Path(given).parts) == 1 and not os.path.lexists(given)
    return resolve_set(given) if by_name and (data_home() / given).is_dir() else None


def check_outside(given: str, out: Path) -> None:
    """Sees that an output does not lie within an input.

    Raises:
        UsageError: It does.
    """
    from citygan.errors import UsageError

    if out.resolve().is_relative_to(Path(given).resolve()):
        raise UsageError("the output lies within the input", where=out, hint="Take another folder")


def tile_of(text: str | None) -> tuple[int, int] | None:
    """(width, height) of ``--tile``.

    Raises:
        UsageError: No such size.
    """
    from citygan.errors import UsageError

    if text is None:
        return None
    from citygan.tiling import SMALLEST_TILE

    width, cross, height = text.lower().partition("x")
    sides = (width, height if cross else width)
    if not all(side.isdecimal() and int(side) >= SMALLEST_TILE for side in sides):
        raise UsageError(f"expected WIDTHxHEIGHT of at least {SMALLEST_TILE} each, got '{text}'", where="--tile")
    return int(sides[0]), int(sides[1])
