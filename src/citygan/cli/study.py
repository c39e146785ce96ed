"""``citygan study``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from citygan.study.parts import Study


def study(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A study, or search; without it they are listed.")
    ] = None,
    space: Annotated[
        Path | None, typer.Argument(metavar="SPACE.yaml", help="With search: the file that says what is searched.")
    ] = None,
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
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting, over those of every row; or weights.alexnet=PATH|random, for LPIPS; may be repeated.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N, mps; auto and cuda share the rows among all CUDA devices.")
    ] = "auto",
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="RUN", help="amt: a run to ask about in the rows' place; may be repeated."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="amt: the split to take pictures from.  (default: val)")] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="amt: participants' results, files or folders; may be repeated."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="With search: the goal, instead of the file's.")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="With search: points in all, instead of the file's.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="With search: Optuna's storage, an URL or a file, which machines share."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Repeat a table of a paper: train and score its rows, and set the paper's figures beside ours.

    Rows that are there already are not run again, an interrupted one goes on. `citygan study search SPACE.yaml` looks
    for the best settings instead.
    """
    of_search = {"SPACE.yaml": space, "--metric": metric, "--trials": trials, "--storage": storage}
    if name == "search":
        from citygan.cli.search import search

        others = {"--init": init, "--run": runs, "--split": split, "--results": results}
        _refuse(others, "with search", "Leave it out")
        flags = {"data": data, "quick": quick, "seeds": seeds, "trials": trials, "metric": metric,
                 "segmenter": segmenter, "storage": storage, "assigned": assign}  # fmt: skip
        search(space, flags, resume=resume, out=out, device=device, as_json=as_json)
        return
    _refuse(of_search, "without search", "citygan study search SPACE.yaml")
    from citygan.study.rows import study as lookup

    if name is None:
        _refuse(
            {"--data": data, "--quick/--full": quick, "--seeds": seeds, "--out": out, "--init": init,
             "--segmenter": segmenter, "--set": assign, "--resume": resume or None, "--run": runs, "--split": split,
             "--results": results},
             "without the name of a study", "citygan study lists them",
        )  # fmt: skip
        _list(as_json)
        return
    chosen = lookup(name)
    _refuse_without_trials(chosen, {"--run": runs, "--split": split, "--results": results})
    from citygan.cli.train import _data_name, _initial, _open_data
    from citygan.errors import Interrupted, UsageError
    from citygan.progress import say
    from citygan.study.planning import Options, weights_apart
    from citygan.study.working import check_outcome, options_of, run_study

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("a study shares its rows among devices by itself", hint="Start it without torchrun")
    # studies in their usual place share what rows of several have in common
    folder, home = (Path("studies") / chosen.name, Path("studies/runs")) if out is None else (out, out / "runs")
    if results or runs:
        trained = {"--quick/--full": quick, "--seeds": seeds, "--init": init, "--segmenter": segmenter,
                   "--set": assign, "--resume": resume or None}  # fmt: skip
        if results:
            from citygan.study.amt import read_answers

            _refuse_beside("--results", trained | {"--data": data, "--run": runs, "--split": split})
            record = read_answers(chosen, results, folder)
        else:
            from citygan.study.amt import show_runs

            _refuse_beside("--run", trained)
            record = show_runs(chosen, runs or [], data, folder, device, split)
        _print(record, folder, as_json)
        say(_after_trials(chosen.name, out))
        return
    if resume:
        given = {"--data": data, "--quick/--full": quick, "--set": assign}
        if said := _said(given):
            raise UsageError(f"--resume goes on with a study as it is, without {said}", hint="Leave it out")
        before = options_of(folder, chosen)
        data, quick, assign = before["data"], before["quick"], list(before["assigned"])
        seeds = seeds if seeds is not None else before["seeds"]
        assign += [f"weights.{name}={value}" for name, value in before["weights"].items()]
        init, segmenter = init or before["init"], segmenter or before["segmenter"]
    start = _initial(init)
    prepared = _open_data(data, False)
    assert prepared is not None
    is_demo = prepared.manifest.get("source") == "demo"
    assigned, weights = weights_apart(dict.fromkeys(assign or ()))
    options = Options(
        data=_data_name(prepared),
        named_data=data,
        quick=is_demo if quick is None else quick,
        seeds=seeds or 1,
        assigned=assigned,
        weights=weights,
        init=None if start is None else str(start.absolute()),
        named_init=init,
        segmenter=segmenter,
    )
    form = ", quick form: narrow, small and short (--full for the paper's settings)" if options.quick else ""
    say(f"study {chosen.name}: {chosen.title}, on {prepared.path}{form}")
    try:
        if chosen.has_trials:
            from citygan.study.amt import run_amt

            record = run_amt(chosen, prepared, options, folder, home, device, split)
        else:
            record = run_study(chosen, prepared, options, folder, home, device)
    except (KeyboardInterrupt, Interrupted):
        say(f"go on with: {_again(chosen.name, out)}")
        raise
    _print(record, folder, as_json)
    check_outcome(record)
    say(_after_trials(chosen.name, out) if chosen.has_trials else "next: citygan study lists the others")


def _print(record: dict[str, Any], folder: Path, as_json: bool) -> None:
    """The table, or all of it as JSON, and where the files are."""
    from citygan.progress import say
    from citygan.study.working import Files

    files = Files(folder)
    if as_json:
        print(json.dumps(record, allow_nan=False))
    else:
        print(files.markdown.read_text("utf-8"), end="")
    sys.stdout.flush()
    say(f"files: {files.markdown}, {files.csv}, {files.json}, {files.html}")


def _after_trials(name: str, out: Path | None) -> str:
    import shlex

    from citygan.study.amt import PAGE

    folder = Path("studies") / name if out is None else out
    where = "" if out is None else f" --out {shlex.quote(str(out))}"
    return f"next: {folder / PAGE} is for participants; citygan study {name} --results FILE{where} reads what they save"


def _refuse_without_trials(chosen: Study, given: Mapping[str, object]) -> None:
    if not chosen.has_trials and (said := _said(given)):
        from citygan.errors import UsageError
        from citygan.study.rows import STUDIES

        have = ", ".join(study.name for study in STUDIES.values() if study.has_trials)
        raise UsageError(f"{said}: this study asks nobody", where=chosen.name, hint=f"That is for {have}")


def _refuse_beside(flag: str, given: Mapping[str, object]) -> None:
    if said := _said(given):
        from citygan.errors import UsageError

        raise UsageError(f"{flag} goes without {said}", hint="Leave it out")


def _said(given: Mapping[str, object]) -> str:
    return ", ".join(flag for flag, value in given.items() if value is not None and value != [])


def _again(name: str, out: Path | None) -> str:
    import shlex

    return f"citygan study {name} --resume" + ("" if out is None else f" --out {shlex.quote(str(out))}")


def _refuse(given: Mapping[str, object], where: str, hint: str) -> None:
    from citygan.errors import UsageError

    if said := _said(given):
        raise UsageError(f"{said} {where}", hint=hint)


def _list(as_json: bool) -> None:
    """The studies with paper and table."""
    from citygan.study.rows import STUDIES

    if as_json:
        rows = {
            name: {
                "title": s.title,
                "source": s.source,
                "tables": [paper.source for paper in s.papers],
                "rows": [row.title for row in s.rows],
                "columns": [column.title for column in s.columns],
            }
            for name, s in STUDIES.items()
        }
        print(json.dumps({"studies": rows}))
        return
    width = max(map(len, STUDIES))
    for name, s in STUDIES.items():
        print(f"{name:{width}}  {s.title}: {len(s.rows)} rows  ({s.where})")
