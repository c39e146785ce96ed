"""``citygan weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

weights = typer.Typer(
    name="weights",
    help="Import, export and fetch the weights of networks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

FormatName = Literal["onnx", "safetensors", "pytorch-CycleGAN-and-pix2pix", "pytorch-pix2pix", "pix2pixHD"]


@weights.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="State dict of a generator: .pth or .safetensors.")],
    name: Annotated[str | None, typer.Option(help="Name of the run.  (default: imported and a number)")] = None,
    discriminator: Annotated[
        Path | None, typer.Option(help="State dict of the discriminator, for `train --init` to go on with.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class table of the label maps it takes.  (default: it takes pictures)")
    ] = None,
    encoding: Annotated[
        Literal["colour", "onehot"] | None,
        typer.Option(metavar="colour|onehot", help="How it is shown label maps.  (default: colour)"),
    ] = None,
    edges: Annotated[bool, typer.Option("--edges", help="Its last channel is that of instance edges.")] = False,
    dropout: Annotated[
        float | None, typer.Option(help="Rate of dropout, which a U-Net's file does not tell.  (default: 0.5)")
    ] = None,
    mode: Annotated[
        Literal["paper", "running", "deterministic"],
        typer.Option(metavar="paper|running|deterministic", help="How it runs at test time."),
    ] = "paper",
) -> None:
    """Turn public weights into a run; prints the run's folder."""
    from citygan.importing import Meaning, described, import_run, read_network
    from citygan.progress import print_path, say
    from citygan.runs import read_settings

    say(described(read_network(file)[0], dropout))
    run = import_run(file, Meaning(classes, encoding, edges, dropout, mode), name, discriminator)
    print_path(run)
    what = "pictures" if read_settings(run).input.array == "source" else "labels"
    say(f"next: citygan translate {what}/ out/ --run {run.name}")


@weights.command("export")
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run or checkpoint folder, or last.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .onnx, .safetensors, .pth.")],
    form: Annotated[
        FormatName | None,
        typer.Option("--format", metavar="NAME", help="Format.  (default: by the ending of OUT)"),
    ] = None,
    network: Annotated[
        Literal["generator", "discriminator"],
        typer.Option(metavar="generator|discriminator", help="Which network."),
    ] = "generator",
    checkpoint: Annotated[str, typer.Option(metavar="last|best|STEP", help="Which of the run's checkpoints.")] = "last",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write a run's network for other programs; prints the file."""
    from citygan.exporting import export as write
    from citygan.progress import print_path, say

    what = write(run, out, format=form, checkpoint=checkpoint, role=network, force=force)
    say(what)
    print_path(out)


@weights.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="What to fetch; without a name, the list.")
    ] = None,
) -> None:
    """Fetch published weights, the only command that opens a connection; prints the files."""
    from citygan.fetching import catalogue, chosen, is_there
    from citygan.fetching import fetch as bring
    from citygan.progress import print_path

    if not names:
        rows = catalogue()
        width = max(map(len, rows))
        for name, row in rows.items():
            print(f"{name:{width}}  {'there' if is_there(row) else '-':5}  {row.file}  ({row.what})")
        return
    for name, row in chosen(names).items():
        print_path(bring(name, row))
