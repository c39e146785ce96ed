"""``citygan translate``."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from citygan.data.store import PreparedSet
    from citygan.errors import Interrupted
    from citygan.infer import Translator
    from citygan.segmenting import LabelMaker
    from citygan.translation import Problems

KEPT = "existing files are left as they are, whichever run made them"


def translate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT... OUT",
            help="Files, folders, a prepared set (by name or path), or - (paths on stdin); last the output folder.",
        ),
    ],
    run: Annotated[str | None, typer.Option(help="Run or checkpoint folder.  (default: the last run)")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="last|best|STEP", help="Which of the run's checkpoints.  (default: last)")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of a prepared set.  (default: val, else test or train)")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Of an edge model: take edges from these pictures (graphics renderings), by name."
        ),
    ] = None,
    edges: Annotated[Path | None, typer.Option(metavar="DIR", help="... or take these edge maps, by name.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Versions of each picture: STEM-1 to STEM-K.")] = 1,
    tile: Annotated[
        str | None, typer.Option(metavar="WxH", help="Work in tiles to save memory; changes the picture.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Class table of the label maps.  (default: the model's)")] = None,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="photo|trainid|rawid|colour|overlay",
            help="A generator writes its pictures; a run that makes label maps ids (PNGs with a palette), their "
            "colours, or these over the photo, too.  (default: photo, of a segmenter rawid)",
        ),
    ] = None,
    suffix: Annotated[str, typer.Option(help="Ending of the written files: .png or .jpg.")] = ".png",
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="paper|running|deterministic", help="How the generator runs.  (default: as the checkpoint says)"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of dropout.  (default: the run's)")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures of one size to translate together.")] = None,
    precision: Annotated[str, typer.Option(metavar="float32|bf16", help="Arithmetic.")] = "float32",
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Largest picture to read, in pixels.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite output that exists.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Make only what is not there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Translate label maps (or pictures) into photos of the same size; prints the paths written.

    A segmenter's run takes photos and writes label maps; a run of photo-to-labels paints them.
    """
    from citygan.errors import UsageError

    if len(paths) < 2:
        raise UsageError("an input and an output folder are needed", hint="citygan translate labels/ out/")
    if mode not in (None, "paper", "running", "deterministic"):
        raise UsageError(f"no mode '{mode}'", where="--mode", hint="There are: paper, running, deterministic")
    if precision not in ("float32", "bf16"):
        raise UsageError(f"no precision '{precision}'", where="--precision", hint="There are: float32, bf16")
    if write not in (None, "photo", "trainid", "rawid", "colour", "overlay"):
        hint = "There are: photo, trainid, rawid, colour, overlay"
        raise UsageError(f"no such thing to write: '{write}'", where="--write", hint=hint)
    *inputs, out = paths
    if Path(out).suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp") and not Path(out).is_dir():
        raise UsageError("the output must be a folder, and this looks like a file", where=out, hint="Name a folder")
    size = _tile(tile)

    from citygan.runnames import check_run

    check_run(run, checkpoint)

    from citygan.cli.proposals import usual_split
    from citygan.data.labels import table_named
    from citygan.infer import load
    from citygan.progress import say
    from citygan.runs import SEGMENTER, checkpoint_folder, describe, kind_of
    from citygan.translation import Problems

    folder = checkpoint_folder(run, checkpoint or "last")
    translator: Translator | LabelMaker
    if kind_of(folder) == SEGMENTER:
        of_generators: dict[str, Any] = {
            "--samples": samples > 1,
            "--mode": mode,
            "--seed": seed is not None,
            "--tile": tile,
        }
        of_generators |= {"--photos": photos, "--edges": edges}
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
    table = None if classes is None else table_named(classes)
    if table is not None and translator.classes is None:
        raise UsageError("--classes is of label maps, and this run takes pictures", hint="Leave it out")
    prepared = _set_named(inputs)
    failed = Problems()
    options: dict[str, Any] = {"samples": samples, "tile": size, "suffix": suffix, "batch": batch}
    if prepared is not None:
        if table is not None:
            raise UsageError("--classes is not for a prepared set, which knows its classes", hint="Leave it out")
        if photos is not None or edges is not None:
            flag = "--edges" if photos is None else "--photos"
            raise UsageError("a prepared set brings its own pictures", where=flag, hint="Leave it out")
        split = split or usual_split(translator, prepared, scored=False)
        say(f"translating {prepared.path}, split {split}")
        done = _prepared(translator, prepared, split, Path(out), force, missing, as_json, options)
    else:
        if split is not None:
            raise UsageError("only a prepared set has splits", where="--split", hint="citygan translate demo out/")
        options |= {"table": table, "max_pixels": max_pixels}
        done = _files(translator, inputs, Path(out), force, missing, as_json, options, failed, photos, edges)
    _finish(translator, done, failed, as_json)
    following = _next_command(translator, prepared, split, {"--run": run, "--checkpoint": checkpoint})
    if following is not None:
        say(f"next: {following}")


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


def _set_named(inputs: list[str]) -> PreparedSet | None:
    """The prepared set that the only input is: by its path, or by its name where nothing else is called so."""
    from citygan.data.store import MANIFEST, PreparedSet, resolve_set
    from citygan.files import data_home

    if len(inputs) != 1:
        return None
    (given,) = inputs
    if (Path(given) / MANIFEST).is_file():
        return PreparedSet.open(given)
    by_name = given != "-" and len(Path(given).parts) == 1 and not os.path.lexists(given)
    return resolve_set(given) if by_name and (data_home() / given).is_dir() else None


def _files(
    translator: Translator | LabelMaker,
    inputs: list[str],
    out: Path,
    force: bool,
    missing: bool,
    as_json: bool,
    options: dict[str, Any],
    failed: Problems,
    photos: Path | None,
    edges: Path | None,
) -> list[Path]:
    from citygan.files import clean_temporaries
    from citygan.jobs import check_outputs, find_jobs, outputs_of, with_edges
    from citygan.progress import Progress, say
    from citygan.translation import translate_files

    for given in inputs:
        if given != "-" and os.path.isdir(given):
            _check_outside(given, out)
    jobs = with_edges(find_jobs(inputs, translator.classes is not None), translator, photos, edges)
    left = check_outputs(jobs, out, options["suffix"], options["samples"], force=force, missing=missing)
    _say_left(len(left), len(jobs))
    for folder in {file.parent for job in left for file in outputs_of(job, out, options["suffix"], 1)}:
        clean_temporaries(folder)
    done: list[Path] = []
    doubted = False
    results = translate_files(translator, left, out, **options)
    progress = Progress("translating", len(left), unit="picture")
    try:
        for number, outcome in enumerate(results, 1):
            if outcome.problem is not None and (line := failed.add(outcome.problem)):
                say(f"error: {line}")
            if outcome.doubt is not None and not doubted:
                doubted = True
                say(f"warning: {outcome.job.source} looks like {outcome.doubt}, and this run learnt from pictures")
            _print(outcome.written, as_json)
            done += outcome.written
            progress.update(number)
    except KeyboardInterrupt:
        results.close()  # what is being written is finished
        raise _interrupted(done, force) from None
    finally:
        progress.close()
    for line in failed.rest():
        say(f"error: {line}")
    return done


def _say_left(left: int, count: int) -> None:
    from citygan.errors import counted
    from citygan.progress import say

    if not left:
        say(f"all there already ({counted(count, 'picture')}): nothing to do; {KEPT}")
    elif left < count:
        say(f"{count - left} of {count} are there already; {KEPT}")


def _check_outside(given: str, out: Path) -> None:
    from citygan.errors import UsageError

    if out.resolve().is_relative_to(Path(given).resolve()):
        raise UsageError("the output folder lies within the input", where=out, hint="Take another folder")


def _prepared(
    translator: Translator | LabelMaker,
    prepared: PreparedSet,
    split: str,
    out: Path,
    force: bool,
    missing: bool,
    as_json: bool,
    options: dict[str, Any],
) -> list[Path]:
    from citygan.files import write_bytes
    from citygan.jobs import Job, check_outputs, outputs_of
    from citygan.progress import Progress
    from citygan.translation import encoded, palette_of, split_for

    _check_outside(str(prepared.path), out)
    part = split_for(translator, prepared, split)
    suffix, samples = options["suffix"], options["samples"]
    jobs = [Job(part.path / item.stem, item.stem) for item in part.items]
    wanted = {job.stem for job in check_outputs(jobs, out, suffix, samples, force=force, missing=missing)}
    left = [(index, job) for index, job in enumerate(jobs) if job.stem in wanted]
    _say_left(len(left), len(jobs))
    done: list[Path] = []
    progress = Progress("translating", len(left) * samples, unit="picture")
    try:
        for k in range(samples):
            pictures = translator.translate_split(
                part, indices=[index for index, _ in left], batch=options["batch"], sample=k, tile=options["tile"]
            )
            for number, ((_, job), picture) in enumerate(zip(left, pictures, strict=True), 1):
                file = outputs_of(job, out, suffix, samples)[k]
                write_bytes(file, encoded(picture, suffix, palette_of(translator)))
                _print([file], as_json)
                done.append(file)
                progress.update(k * len(left) + number)
    except KeyboardInterrupt:
        raise _interrupted(done, force) from None
    finally:
        progress.close()
    return done


def _interrupted(done: list[Path], force: bool) -> Interrupted:
    """What is said after Ctrl-C: the pictures told on stdout are whole."""
    from citygan.errors import Interrupted, counted

    hint = None if force else "The same with --missing goes on"  # which would keep what was to be overwritten
    return Interrupted(f"interrupted, {counted(len(done), 'picture')} written", signal_number=signal.SIGINT, hint=hint)


def _print(files: list[Path], as_json: bool) -> None:
    from citygan.progress import print_path

    if not as_json:
        for file in files:
            print_path(file)


def _finish(translator: Translator | LabelMaker, done: list[Path], failed: Problems, as_json: bool) -> None:
    from citygan.errors import DataError, PartialError, counted

    if as_json:
        record = {
            "run": str(translator.path),
            "step": translator.step,
            "written": [os.fsdecode(file) for file in done],
            "failed": failed.all,
            "protocol": translator.protocol(),
        }
        print(json.dumps(record))
    count = len(failed.all)
    if count and not done:
        takes = "grey pictures" if translator.channels == 1 else "pictures"
        if translator.classes is not None:
            takes = f"label maps by the class table {translator.classes.name}"
        raise DataError(f"none of {counted(count, 'picture')} could be read", hint=f"The run takes {takes}")
    if count:
        named = "each named above" if failed.all_told else "the first of each kind named above, all by --json"
        raise PartialError(f"{count} of {counted(len(done) + count, 'picture')} failed, {named}")


def _next_command(
    translator: Translator | LabelMaker, prepared: PreparedSet | None, split: str | None, given: dict[str, str | None]
) -> str | None:
    """The line that scores the run, on what was translated where that has photos; None where nothing can be scored."""
    from citygan.data.store import SPLIT_ORDER
    from citygan.errors import CityganError
    from citygan.evaluation import set_of_run
    from citygan.segmenting import LabelMaker
    from citygan.translation import split_for

    own, scored_by = None, "ssim"
    if isinstance(translator, LabelMaker) or translator.painted_classes is not None:
        scored_by = "miou"
    if isinstance(translator, LabelMaker):
        from citygan.evaluation import set_of_settings

        with contextlib.suppress(CityganError):
            own = set_of_settings(translator.segmenter.settings)
    else:
        with contextlib.suppress(CityganError):
            own = set_of_run(translator)
    names = dict.fromkeys((split or SPLIT_ORDER[0], *SPLIT_ORDER))
    for data, name in ((data, name) for data in (prepared, own) if data is not None for name in names):
        with contextlib.suppress(CityganError):
            split_for(translator, data, name, scored=True)
            flags = {**given, "--split": None if name == "val" else name}
            flags["--data"] = None if own is not None and data.checksum == own.checksum else str(data.path)
            more = "".join(f" {flag} {shlex.quote(value)}" for flag, value in flags.items() if value)
            return f"citygan evaluate --metric {scored_by}{more}"
    return None


def _tile(text: str | None) -> tuple[int, int] | None:
    from citygan.errors import UsageError

    if text is None:
        return None
    from citygan.tiling import SMALLEST_TILE

    width, cross, height = text.lower().partition("x")
    sides = (width, height if cross else width)
    if not all(side.isdecimal() and int(side) >= SMALLEST_TILE for side in sides):
        raise UsageError(f"expected WIDTHxHEIGHT of at least {SMALLEST_TILE} each, got '{text}'", where="--tile")
    return int(sides[0]), int(sides[1])
