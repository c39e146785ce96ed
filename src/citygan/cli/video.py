"""``citygan video``."""

from __future__ import annotations

import json
import os
import signal
from fractions import Fraction
from functools import partial
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
    from citygan.errors import DataError, Interrupted
    from citygan.filming import Take, Video
    from citygan.footage import Footage, Shot
    from citygan.infer import Translator
    from citygan.progress import Progress
    from citygan.segmenting import LabelMaker
    from citygan.translation import Problems

FPS = 15.0  # of sources that have no rate of their own


def video(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of label maps in order of name, a prepared set (plays one of its sequences), or a label "
            "video in class colours.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.mp4|OUT.webm",
            help="The video: .mp4 is H.264 with imageio-ffmpeg (the extra `video`), else VP9; .webm is VP9.",
        ),
    ],
    run: RunName = None,
    checkpoint: CheckpointName = None,
    split: Annotated[
        str | None, typer.Option(help="Split of a prepared set.  (default: test, else val or train)")
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="Sequence of a prepared set.  (default: the longest)")] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help=f"Frames a second.  (default: those of a label video, else {FPS:g})"),
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every generated frame into this folder, too.")
    ] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Label | generated | photo, where there is one.")
    ] = False,
    photos: Photos = None,
    edges: Edges = None,
    samples: Annotated[int, typer.Option(min=1, help="Versions of the video: OUT-1 to OUT-K.")] = 1,
    tile: Tile = None,
    classes: Classes = None,
    write: Write = None,
    suffix: Annotated[str, typer.Option(help="Ending of the frames of --frames: .png or .jpg.")] = ".png",
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
    """Translate a sequence of label maps into a video that plays in a browser; prints its path and temporal figures."""
    check_choices(mode, precision, write)
    size = tile_of(tile)
    _check_rate(fps)
    outs = _outputs(source, out, samples, force, missing)

    from citygan.runnames import check_run

    check_run(run, checkpoint)

    from citygan.cli.proposals import scoring_command
    from citygan.filming import Take
    from citygan.footage import footage_of, sequence_of
    from citygan.jobs import check_outputs
    from citygan.progress import say
    from citygan.translation import Problems

    translator = open_translator(
        run, checkpoint, samples=samples, tile=tile, classes=classes, write=write, suffix=suffix, mode=mode, seed=seed,
        precision=precision, device=device, photos=photos, edges=edges,
    )  # fmt: skip
    table = table_for(translator, classes)
    prepared = set_named(source)
    for output in (out, frames):
        if output is not None and (prepared is not None or os.path.isdir(source)):
            check_outside(source if prepared is None else str(prepared.path), output)
    footage: Footage
    if prepared is not None:
        check_set_options(table, photos, edges)
        footage = sequence_of(translator, prepared, split, sequence)
    else:
        check_file_options(split or sequence, "citygan video demo out.mp4")
        footage = footage_of(translator, source, table, max_pixels, photos=photos, edges=edges)
    rate = _rate(footage, fps)
    if frames is not None:
        check_outputs(footage.jobs, frames, suffix, samples, force=force, missing=missing)
    takes = {
        path: Take(
            sample=sample, samples=samples, tile=size, batch=batch or translator.default_batch, beside=side_by_side,
            frames=frames, suffix=suffix, keep=missing,
        )
        for sample, path in outs.items()
    }  # fmt: skip
    failed = Problems()
    if footage.lost:
        say(f"error: {failed.add(_lost(footage))}")
    made = _film(translator, footage, takes, rate, failed, as_json)
    if as_json:
        print(json.dumps(_record(translator, footage, made, failed), allow_nan=False))
    for remark in footage.remarks():
        say(remark)
    _fail_if_any(footage, failed)
    following = scoring_command(translator, prepared, split, {"--run": run, "--checkpoint": checkpoint})
    if following is not None:
        say(f"next: {following}")


def _check_rate(fps: float | None) -> None:
    from citygan.errors import UsageError
    from citygan.videofile import FASTEST, SLOWEST

    if fps is not None and not SLOWEST <= fps <= FASTEST:
        raise UsageError(f"expected {SLOWEST:g} to {FASTEST:g} frames a second, got {fps:g}", where="--fps")


def _rate(footage: Footage, fps: float | None) -> Fraction:
    """Frames a second: as asked for, or the source's own."""
    from citygan.errors import UsageError

    if fps is None and footage.fps is None and footage.has_rate:
        raise UsageError(
            "no frame rate that could be is told by it", where=footage.name, hint=f"Say one: --fps {FPS:g}"
        )
    return Fraction(fps or footage.fps or FPS).limit_denominator(1001)  # 30000/1001 and its kin are exact


def _outputs(source: str, out: Path, samples: int, force: bool, missing: bool) -> dict[int, Path]:
    """The videos to make, by sample: OUT, or OUT-1 to OUT-K.

    Raises:
        UsageError: No name of a video, one that is there already, or the source itself.
    """
    from citygan.errors import UsageError, counted
    from citygan.progress import say
    from citygan.videofile import SUFFIXES

    if out.suffix.lower() not in SUFFIXES:
        raise UsageError("the name of a video is needed", where=out, hint=f"It ends in {' or '.join(SUFFIXES)}")
    if "://" in source or ":/" in os.fspath(out):
        address = source if "://" in source else out
        raise UsageError("an address: citygan opens no connection", where=address, hint="Name a file or folder here")
    if samples == 1:
        outs = {0: out}
    else:
        outs = {k: out.with_name(f"{out.stem}-{k + 1}{out.suffix}") for k in range(samples)}
    if os.path.realpath(source) in map(os.path.realpath, outs.values()):
        raise UsageError("the output would overwrite the input", where=source, hint="Take another name")
    there = [path for path in outs.values() if os.path.lexists(path)]
    if there and not (force or missing):
        what = "exists already" if len(there) == 1 else f"and {counted(len(there) - 1, 'other')} exist already"
        raise UsageError(what, where=there[0], hint="--force overwrites, --missing makes only what is not there")
    if missing:
        outs = {k: path for k, path in outs.items() if path not in there}
        if not outs:
            say("all there already: nothing to do")
    return outs


def _film(
    translator: Translator | LabelMaker,
    footage: Footage,
    takes: dict[Path, Take],
    rate: Fraction,
    failed: Problems,
    as_json: bool,
) -> list[Video]:
    """Makes the videos one after the other, and prints the path of each."""
    from citygan.errors import CityganError
    from citygan.files import clean_temporaries
    from citygan.filming import film
    from citygan.progress import Progress, print_path, say
    from citygan.videofile import coder_for

    made: list[Video] = []
    doubts: list[str] = []

    def fail(problem: CityganError) -> None:
        if not made and (line := failed.add(problem)):  # every take fails at the same frames
            say(f"error: {line}")

    def doubt(shot: Shot) -> None:
        if not doubts:
            doubts.append(
                f"{footage.jobs[shot.number].source} looks like {shot.doubt}, and this run learnt from pictures"
            )
            say(f"warning: {doubts[0]}")

    for path in takes:
        clean_temporaries(path.parent)
    count = len(footage.jobs)
    progress: Progress | None = None
    try:
        for path, take in takes.items():
            coder = coder_for(path)  # before any work: there may be none
            if progress is None:
                _announce(footage, translator, str(coder), rate)
                progress = Progress("filming", count * len(takes), unit="frame")
            video = film(
                translator, footage, path, take, coder=coder, fps=rate, failed=fail, doubted=doubt,
                progress=partial(_count, progress, count * len(made)),
            )  # fmt: skip
            made.append(video)
            if video.padded != video.size:
                sizes = ["x".join(map(str, size)) for size in (video.size, video.padded)]
                say(f"{path}: players want even sizes: {sizes[0]} was padded to {sizes[1]}, the border repeated")
            if not as_json:
                print_path(path)
                _tell_figures(video)
    except KeyboardInterrupt:
        raise _interrupted(made) from None
    finally:
        if progress is not None:
            progress.close()
    for line in failed.rest():
        say(f"error: {line}")
    return made


def _tell_figures(video: Video) -> None:
    """Figures go to stdout, what is not there to stderr."""
    from citygan.progress import say

    lacking: dict[str, list[str]] = {}
    for name, figure in video.figures.items():
        if figure["mean"] is None:
            lacking.setdefault(figure["reason"], []).append(name)
        else:
            real = figure.get("real")
            beside = "" if real is None or real["mean"] is None else f" (real frames {real['mean']:.4f})"
            print(f"{name} {figure['mean']:.4f}{beside}")
    for reason, names in lacking.items():
        say(f"no {', '.join(names)}: {reason}")


def _count(progress: Progress, before: int, number: int) -> None:
    progress.update(before + number)


def _announce(footage: Footage, translator: Translator | LabelMaker, coder: str, rate: Fraction) -> None:
    from citygan.data.store import TARGET
    from citygan.errors import counted
    from citygan.footage import jumps
    from citygan.progress import say
    from citygan.videofile import INSTALL, OPENCV

    count = len(footage.jobs)
    say(f"filming {footage.name}: {counted(count, 'frame')} at {float(rate):g} a second, {coder}")
    if OPENCV in coder:
        say(f"{INSTALL}, which plays everywhere; VP9 plays in Chrome, Edge and Firefox, in Safari since 14.1 as .webm")
    if count == 1:
        say("warning: a single frame: the video is a still picture")
    if gaps := jumps(footage):
        say(f"warning: {gaps}")
    if edges_of := footage.edges_of(translator).get("edges_of"):
        leak = "warning: " * (edges_of == TARGET)
        say(f"{leak}edges: {edges_of}{', which they leak: figures are too good' * bool(leak)}")


def _lost(footage: Footage) -> DataError:
    from citygan.errors import DataError

    count = len(footage.jobs)
    return DataError(
        f"{count} of {count + footage.lost} frames can be read: it is cut off or damaged", where=footage.name
    )


def _interrupted(made: list[Video]) -> Interrupted:
    from citygan.errors import Interrupted, counted

    return Interrupted(f"interrupted, {counted(len(made), 'video')} written", signal_number=signal.SIGINT)


def _record(
    translator: Translator | LabelMaker, footage: Footage, made: list[Video], failed: Problems
) -> dict[str, Any]:
    return {
        "run": str(translator.path),
        "step": translator.step,
        "source": footage.name,
        "frames": len(footage.jobs) + footage.lost,
        "videos": [
            {
                "path": os.fsdecode(video.path),
                "codec": video.codec,
                "fps": float(video.fps),
                "frames": video.frames,
                "size": list(video.size),
                "padded_size": list(video.padded),
                "pictures": [os.fsdecode(path) for path in video.pictures],
                "metrics": video.figures,
                "metrics_protocol": video.protocol,
            }
            for video in made
        ],
        "failed": failed.all,
        "label_colours": footage.label_colours(),
        "protocol": translator.protocol() | footage.edges_of(translator),
    }


def _fail_if_any(footage: Footage, failed: Problems) -> None:
    from citygan.errors import PartialError

    if failed.all:
        total = len(footage.jobs) + footage.lost
        lacking = len(failed.all) - bool(footage.lost) + footage.lost
        named = "each reason above" if failed.all_told else "the first of each kind named above, all by --json"
        raise PartialError(f"{total - lacking} of {total} frames are in the video, {named}")
