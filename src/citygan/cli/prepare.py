"""``citygan prepare``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def prepare(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A folder of pictures whose layout is recognised, or demo: the built-in city.  (default: demo)"
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="The layout, where it is not recognised: cityscapes, camvid, gta5, synthia, synthia-seqs, pairs, …",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The prepared set.  (default: data/ and the source's name)")] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Class table of the labels: a built-in name, or a YAML list of your own."),
    ] = None,
    direction: Annotated[
        str, typer.Option(metavar="AtoB|BtoA", help="Side-by-side pairs: which side is the input; A is the left one.")
    ] = "AtoB",
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Of the prepared pictures.")] = "256x256",
    fit: Annotated[
        str, typer.Option(metavar="stretch|crop|pad", help="How pictures of another aspect are made to fit.")
    ] = "stretch",
    splits: Annotated[
        str | None,
        typer.Option(metavar="train=0.8,val=0.1,…", help="How a source without splits of its own is divided."),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out",
            metavar="CITY",
            help="City or sequence to take out of train, to validate on: they become val, and what was val becomes "
            "test; may be repeated.",
        ),
    ] = None,
    edges: Annotated[
        bool,
        typer.Option("--edges", help="Keep the edges of the source pictures, or of the photos where there are none."),
    ] = False,
    flow: Annotated[
        bool,
        typer.Option("--flow", help="Compute the optical flow between the frames of sequences, and what it occludes."),
    ] = False,
    flow_method: Annotated[
        str | None, typer.Option(metavar="farneback|dis", help="How, by OpenCV.  (default: farneback)")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="At most N pictures a split (demo: N scenes).")] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Threads; they change no byte.  (default: cores)")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out bad files and list them, instead of failing.")
    ] = False,
    alpha: Annotated[str, typer.Option(metavar="refuse|drop", help="What to do with transparent pictures.")] = "refuse",
    max_pixels: Annotated[int, typer.Option(help="Largest picture to read, in pixels.")] = 64_000_000,
    seed: Annotated[int, typer.Option(help="Of the demo city, and of --splits.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a set that exists.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, and print the plan.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Prepare a set of pictures for training; prints its folder."""
    from citygan.data.prepare import Options, parse_size, prepare, run_demo
    from citygan.progress import say

    options = Options(
        layout=layout,
        out=out,
        classes=classes,
        direction=direction,
        size=parse_size(size),
        fit=fit,
        splits=splits,
        hold_out=tuple(hold_out or ()),
        limit=limit,
        workers=workers,
        skip_bad=skip_bad,
        alpha=alpha,
        max_pixels=max_pixels,
        seed=seed,
        force=force,
        edges=edges,
        flow=flow,
        flow_method=flow_method,
    )
    if source is None:
        say("no SOURCE: rendering the built-in demo city (citygan prepare FOLDER takes pictures of your own)")
    if source in (None, "demo"):
        report = run_demo(options, dry_run=dry_run)
    else:
        report = prepare(source, options, dry_run=dry_run, tell_faults=say)
    if as_json:
        print(json.dumps(report.to_json(), allow_nan=False))
    elif dry_run:
        print("\n".join(report.lines()))
    else:
        for path in report.paths:
            # as bytes: a name that is no text in this locale still goes out as it is
            sys.stdout.flush()
            sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.buffer.flush()
    if report.problem is not None:
        raise report.problem
    if dry_run:
        say("next: the same without --dry-run")
    else:
        say(f"next: {report.next_command}")
