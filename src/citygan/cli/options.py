"""Options that several commands have, told in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunName = Annotated[str | None, typer.Option(help="Run or checkpoint folder.  (default: the last run)")]
CheckpointName = Annotated[
    str | None, typer.Option(metavar="last|best|STEP", help="Which of the run's checkpoints.  (default: last)")
]
Photos = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Of an edge model: take edges from these pictures (graphics renderings), by name."
    ),
]
Edges = Annotated[Path | None, typer.Option(metavar="DIR", help="... or take these edge maps, by name.")]
Tile = Annotated[str | None, typer.Option(metavar="WxH", help="Work in tiles to save memory; changes the picture.")]
Classes = Annotated[str | None, typer.Option(help="Class table of the label maps.  (default: the model's)")]
Write = Annotated[
    str | None,
    typer.Option(
        metavar="photo|trainid|rawid|colour|overlay",
        help="A generator writes its pictures; a run that makes label maps ids (PNGs with a palette), their "
        "colours, or these over the photo, too.  (default: photo, of a segmenter rawid)",
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        metavar="paper|running|deterministic", help="How the generator runs.  (default: as the checkpoint says)"
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Of dropout.  (default: the run's)")]
Batch = Annotated[int | None, typer.Option(min=1, help="Pictures of one size to translate together.")]
Precision = Annotated[str, typer.Option(metavar="float32|bf16", help="Arithmetic.")]
MaxPixels = Annotated[int | None, typer.Option(min=1, help="Largest picture to read, in pixels.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, mps.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite output that exists.")]
Missing = Annotated[bool, typer.Option("--missing", help="Make only what is not there.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
