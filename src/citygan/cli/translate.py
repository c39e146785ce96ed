"""``citygan translate``."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citygan.cli.options import (
    AsJson,
    Batch,
    CheckpointName,
    Classes,
    Device,
    Edges,
    Force,
    MaxPixels,
    Missing,
    Mode,
    Photos,
    Precision,
    RunName,
    Seed,
    Tile,
    Write,
)
from citygan.cli.translators import (
    check_choices,
    check_file_options,
    check_outside,
    check_set_options,
    open_translator,
    set_named,
    table_for,
    tile_of,
)

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
    run: RunName = None,
    checkpoint: CheckpointName = None,
    split: Annotated[
        str | None, typer.Option(help="Split of a prepared set.  (default: val, else test or train)")
    ] = None,
    photos: Photos = None,
    edges: Edges = None,
    samples: Annotated[int, typer.Option(min=1, help="Versions of each picture: STEM-1 to STEM-K.")] = 1,
    tile: Tile = None,
    classes: Classes = None,
    write: Write = None,
    suffix: Annotated[str, typer.Option(help="Ending of the written files: .png or .jpg.")] = ".png",
    mode: Mode = None,
    seed: Seed = None,
    batch: Batch = None,
    precision: Precision = "float32",
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    force: Force = False,
    missing: Missing = False,
    as_json: AsJson = False,
) -> None:
    """Translate label maps (or pictures) into photos of the same size; prints the paths written.

    A segmenter's run takes photos and writes label maps; a run of photo-to-labels paints them.
    """
    from citygan.errors import UsageError

    if len(paths) < 2:
        raise UsageError("an input and an output folder are needed", hint="citygan translate labels/ out/")
    check_choices(mode, precision, write)
    *inputs, out = paths
    if Path(out).suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp") and not Path(out).is_dir():
        raise UsageError("the output must be a folder, and this looks like a file", where=out, hint="Name a folder")
    size = tile_of(tile)

    from citygan.runnames import check_run

    check_run(run, checkpoint)

    from citygan.cli.proposals import scoring_command, usual_split
    from citygan.progress import say
    from citygan.translation import Problems

    translator = open_translator(
        run, checkpoint, samples=samples, tile=tile, classes=classes, write=write, suffix=suffix, mode=mode, seed=seed,
        precision=precision, device=device, photos=photos, edges=edges,
    )  # fmt: skip
    table = table_for(translator, classes)
    prepared = set_named(inputs[0]) if len(inputs) == 1 else None
    failed = Problems()
    options: dict[str, Any] = {"samples": samples, "tile": size, "suffix": suffix, "batch": batch}
    if prepared is not None:
        check_set_options(table, photos, edges)
        split = split or usual_split(translator, prepared, scored=False)
        say(f"translating {prepared.path}, split {split}")
        done = _prepared(translator, prepared, split, Path(out), force, missing, as_json, options)
    else:
        check_file_options(split)
        options |= {"table": table, "max_pixels": max_pixels}
        done = _files(translator, inputs, Path(out), force, missing, as_json, options, failed, photos, edges)
    _finish(translator, done, failed, as_json)
    following = scoring_command(translator, prepared, split, {"--run": run, "--checkpoint": checkpoint})
    if following is not None:
        say(f"next: {following}")


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
            check_outside(given, out)
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

    check_outside(str(prepared.path), out)
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
