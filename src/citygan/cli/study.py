"""``citygan study``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def study(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A study; without it they are listed.")] = None,
    data: Annotated[str | None, typer.Option(help="Prepared set, by name or path.  (default: the last one)")] = None,
    quick: Annotated[
        bool | None,
        typer.Option("--quick/--full", help="The small, short form of every row.  (default: on for the demo city)"),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each row, for the spread.  (default: 1)")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in --out, with the options it was started with.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Its folder.  (default: studies/NAME)")] = None,
    init: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run or checkpoint for rows that start from published weights.")
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(metavar="RUN", help="The run that judges the streets, for the FCN-score.")
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, over those of every row; may be repeated."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N, mps; auto and cuda share the rows among all CUDA devices.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Repeat a table of a paper: train and score its rows, and set the paper's figures beside ours.

    Rows that are there already are not run again, an interrupted one goes on.
    """
    from citygan.study.rows import study as lookup

    if name is None:
        _refuse_without_name(
            {"--data": data, "--quick/--full": quick, "--seeds": seeds, "--out": out, "--init": init,
             "--segmenter": segmenter, "--set": assign, "--resume": resume or None}
        )  # fmt: skip
        _list(as_json)
        return
    chosen = lookup(name)
    from citygan.cli.train import _data_name, _initial, _open_data
    from citygan.errors import Interrupted, UsageError
    from citygan.progress import say
    from citygan.study.planning import Options
    from citygan.study.working import Files, check_outcome, options_of, run_study

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("a study shares its rows among devices by itself", hint="Start it without torchrun")
    # studies in their usual place share what rows of several have in common
    folder, runs = (Path("studies") / chosen.name, Path("studies/runs")) if out is None else (out, out / "runs")
    if resume:
        given = {"--data": data, "--quick/--full": quick, "--set": assign}
        said = [flag for flag, value in given.items() if value is not None]
        if said:
            raise UsageError(f"--resume goes on with a study as it is, without {', '.join(said)}", hint="Leave it out")
        before = options_of(folder, chosen)
        data, quick, assign = before["data"], before["quick"], list(before["assigned"])
        seeds = seeds if seeds is not None else before["seeds"]
        init, segmenter = init or before["init"], segmenter or before["segmenter"]
    start = _initial(init)
    prepared = _open_data(data, False)
    assert prepared is not None
    is_demo = prepared.manifest.get("source") == "demo"
    options = Options(
        data=_data_name(prepared),
        quick=is_demo if quick is None else quick,
        seeds=seeds or 1,
        assigned=tuple(assign or ()),
        init=None if start is None else str(start.absolute()),
        segmenter=segmenter,
    )
    form = ", quick form: narrow, small and short (--full for the paper's settings)" if options.quick else ""
    say(f"study {chosen.name}: {chosen.title}, on {prepared.path}{form}")
    try:
        record = run_study(chosen, prepared, options, folder, runs, device)
    except (KeyboardInterrupt, Interrupted):
        say(f"go on with: {_again(chosen.name, out)}")
        raise
    files = Files(folder)
    if as_json:
        print(json.dumps(record, allow_nan=False))
    else:
        print(files.markdown.read_text("utf-8"), end="")
    sys.stdout.flush()
    say(f"files: {files.markdown}, {files.csv}, {files.json}, {files.html}")
    check_outcome(record)
    say("next: citygan study lists the others")


def _again(name: str, out: Path | None) -> str:
    import shlex

    return f"citygan study {name} --resume" + ("" if out is None else f" --out {shlex.quote(str(out))}")


def _refuse_without_name(given: dict[str, object]) -> None:
    from citygan.errors import UsageError

    said = [flag for flag, value in given.items() if value is not None]
    if said:
        raise UsageError(f"{', '.join(said)} without the name of a study", hint="citygan study lists them")


def _list(as_json: bool) -> None:
    """The studies with paper and table."""
    from citygan.study.rows import STUDIES

    if as_json:
        rows = {
            name: {
                "title": s.title,
                "source": s.source,
                "table": None if s.paper is None else s.paper.source,
                "rows": [row.title for row in s.rows],
                "columns": [column.title for column in s.columns],
            }
            for name, s in STUDIES.items()
        }
        print(json.dumps({"studies": rows}))
        return
    width = max(map(len, STUDIES))
    for name, s in STUDIES.items():
        where = s.source if s.paper is None else f"{s.source}; {s.paper.table}"
        print(f"{name:{width}}  {s.title}: {len(s.rows)} rows  ({where})")
