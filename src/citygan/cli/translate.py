"""``citygan translate``."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from citygan.infer import Translator


def translate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT... OUT",
            help="Files, folders, a prepared set, or - (paths on stdin); last the output folder.",
        ),
    ],
    run: Annotated[str | None, typer.Option(help="Run or checkpoint folder.  (default: the last run)")] = None,
    checkpoint: Annotated[str, typer.Option(metavar="last|best|STEP", help="Which of the run's checkpoints.")] = "last",
    split: Annotated[str | None, typer.Option(help="Split of a prepared set.  (default: val)")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Versions of each picture: STEM-1 to STEM-K.")] = 1,
    tile: Annotated[
        str | None, typer.Option(metavar="WxH", help="Work in tiles to save memory; changes the picture.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Class table of the label maps.  (default: the model's)")] = None,
    write: Annotated[str, typer.Option(metavar="photo", help="What to write; a generator writes photos.")] = "photo",
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
    """Translate label maps (or pictures) into photos of the same size; prints the paths written."""
    from citygan.errors import UsageError

    if len(paths) < 2:
        raise UsageError("an input and an output folder are needed", hint="citygan translate labels/ out/")
    if mode not in (None, "paper", "running", "deterministic"):
        raise UsageError(f"no mode '{mode}'", where="--mode", hint="There are: paper, running, deterministic")
    if precision not in ("float32", "bf16"):
        raise UsageError(f"no precision '{precision}'", where="--precision", hint="There are: float32, bf16")
    if write != "photo":
        raise UsageError(f"a generator writes photos, not '{write}'", where="--write")
    *inputs, out = paths
    if Path(out).suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp") and not Path(out).is_dir():
        raise UsageError("the output is a folder, and this looks like a file", where=out, hint="Name a folder")
    size = _tile(tile)

    from citygan.data.labels import table_named
    from citygan.infer import load
    from citygan.progress import say
    from citygan.runs import describe

    chosen: Any = mode
    translator = load(run, checkpoint=checkpoint, device=device, mode=chosen, seed=seed, bf16=precision == "bf16")
    assert translator.path is not None
    say(f"using {describe(translator.path)}")
    table = None if classes is None else table_named(classes)
    if table is not None and translator.classes is None:
        raise UsageError("this model takes pictures, not label maps", where="--classes")
    if len(inputs) == 1 and (Path(inputs[0]) / "dataset.yaml").is_file():
        if table is not None:
            raise UsageError("a prepared set knows its classes", where="--classes", hint="Leave it out")
        done, failed = _prepared(
            translator,
            inputs[0],
            split or "val",
            Path(out),
            force,
            missing,
            as_json,
            {"samples": samples, "tile": size, "suffix": suffix, "batch": batch},
        )
    else:
        if split is not None:
            raise UsageError("only a prepared set has splits", where="--split")
        done, failed = _files(
            translator,
            inputs,
            Path(out),
            force,
            missing,
            as_json,
            {
                "table": table,
                "samples": samples,
                "tile": size,
                "suffix": suffix,
                "batch": batch,
                "max_pixels": max_pixels,
            },
        )
    _finish(translator, done, failed, as_json, run)


def _files(
    translator: Translator,
    inputs: list[str],
    out: Path,
    force: bool,
    missing: bool,
    as_json: bool,
    options: dict[str, Any],
) -> tuple[list[Path], list[str]]:
    from citygan.files import clean_temporaries
    from citygan.progress import Progress, say
    from citygan.translation import check_outputs, find_jobs, outputs_of, translate_files

    for given in inputs:
        if given != "-" and os.path.isdir(given):
            _check_outside(given, out)
    jobs = find_jobs(inputs, translator.classes is not None)
    left = check_outputs(jobs, out, options["suffix"], options["samples"], force=force, missing=missing)
    if len(left) < len(jobs):
        say(f"{len(jobs) - len(left)} of {len(jobs)} are there already")
    for folder in {file.parent for job in left for file in outputs_of(job, out, options["suffix"], 1)}:
        clean_temporaries(folder)
    done: list[Path] = []
    failed: list[str] = []
    progress = Progress("translating", len(left), unit="picture")
    try:
        for number, outcome in enumerate(translate_files(translator, left, out, **options), 1):
            if outcome.problem is not None:
                failed.append(str(outcome.problem))
                say(f"error: {outcome.problem}")
            _print(outcome.written, as_json)
            done += outcome.written
            progress.update(number)
    finally:
        progress.close()
    return done, failed


def _check_outside(given: str, out: Path) -> None:
    from citygan.errors import UsageError

    if out.resolve().is_relative_to(Path(given).resolve()):
        raise UsageError("the output folder lies within the input", where=out, hint="Take another folder")


def _prepared(
    translator: Translator,
    name: str,
    split: str,
    out: Path,
    force: bool,
    missing: bool,
    as_json: bool,
    options: dict[str, Any],
) -> tuple[list[Path], list[str]]:
    from citygan.data.store import PreparedSet
    from citygan.errors import DataError
    from citygan.files import write_bytes
    from citygan.pictures import encode_picture
    from citygan.progress import Progress
    from citygan.translation import Job, check_outputs, outputs_of

    _check_outside(name, out)
    prepared = PreparedSet.open(name)
    part = prepared.split(split)
    if translator.classes is not None and part.label is not None and prepared.classes != translator.classes:
        theirs = "no classes" if prepared.classes is None else f"the classes {prepared.classes.name}"
        raise DataError(f"has {theirs}, the run was trained on {translator.classes.name}", where=name)
    suffix, samples = options["suffix"], options["samples"]
    jobs = [Job(part.path / item.stem, item.stem) for item in part.items]
    wanted = {job.stem for job in check_outputs(jobs, out, suffix, samples, force=force, missing=missing)}
    left = [(index, job) for index, job in enumerate(jobs) if job.stem in wanted]
    done: list[Path] = []
    progress = Progress("translating", len(left) * samples, unit="picture")
    try:
        for k in range(samples):
            pictures = translator.translate_split(
                part, indices=[index for index, _ in left], batch=options["batch"], sample=k, tile=options["tile"]
            )
            for number, ((_, job), picture) in enumerate(zip(left, pictures, strict=True), 1):
                file = outputs_of(job, out, suffix, samples)[k]
                write_bytes(file, encode_picture(picture, suffix))
                _print([file], as_json)
                done.append(file)
                progress.update(k * len(left) + number)
    finally:
        progress.close()
    return done, []


def _print(files: list[Path], as_json: bool) -> None:
    from citygan.progress import print_path

    if not as_json:
        for file in files:
            print_path(file)


def _finish(translator: Translator, done: list[Path], failed: list[str], as_json: bool, run: str | None) -> None:
    from citygan.errors import DataError, PartialError
    from citygan.progress import say

    if as_json:
        record = {
            "run": str(translator.path),
            "step": translator.step,
            "written": [os.fsdecode(file) for file in done],
            "failed": failed,
            "protocol": translator.protocol(),
        }
        print(json.dumps(record))
    if failed and not done:
        raise DataError(f"none of {len(failed)} pictures could be read")
    if failed:
        raise PartialError(f"{len(failed)} of {len(done) + len(failed)} pictures failed, each named above")
    from citygan.runs import run_of

    assert translator.path is not None
    of = run_of(translator.path)
    say("next: citygan evaluate --metric ssim" + ("" if run is None or of is None else f" --run {shlex.quote(run)}"))


def _tile(text: str | None) -> tuple[int, int] | None:
    from citygan.errors import UsageError

    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    sides = (width, height if cross else width)
    if not all(side.isdecimal() and int(side) >= 128 for side in sides):
        raise UsageError(f"expected WIDTHxHEIGHT of at least 128 each, got '{text}'", where="--tile")
    return int(sides[0]), int(sides[1])
