"""``citygan evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# the names of citygan.metrics.METRICS, which --help does not wait for
HELP = (
    "Higher is better: ssim, psnr, colour, sharpness, miou, fcn-score, diversity, diversity-l1; lower: l1, gradient, "
    "lpips, lpips-vgg, fid, kid, warp-error, flicker, fvd.  May be repeated.  (default: ssim, psnr, l1; of a run that "
    "makes label maps miou)"
)


def evaluate(
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help=HELP,
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Run or checkpoint folder.  (default: the last run)")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="last|best|STEP", help="Which of the run's checkpoints.  (default: last)")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to score.  (default: val, else test or train)")] = None,
    data: Annotated[
        str | None, typer.Option(help="Prepared set, by name or path.  (default: the one the run was trained on)")
    ] = None,
    fake: Annotated[Path | None, typer.Option(metavar="DIR", help="Score the pictures in this folder ...")] = None,
    real: Annotated[Path | None, typer.Option(metavar="DIR", help="... against their namesakes in this one.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Their label maps: for the mean-colour painting, and the truth for miou."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Class table of label maps, built-in or YAML.  (default: the set's)"),
    ] = None,
    per_image: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Each picture's figures too.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Plots of colours and gradients, sheets of the worst and best pictures."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="K", min=2, help="Draws of each picture, for diversity.  (default: 5)")
    ] = None,
    edges_of: Annotated[
        str | None,
        typer.Option(
            metavar="source|photo",
            help="Pictures of the set that an edge model takes edges from; the photos' own edges leak the answer.  "
            "(default: source where there are any)",
        ),
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run of the segmenter that looks at the pictures, for fcn-score.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="weights.NAME=PATH|random", help="Weights of a metric's network; repeatable."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures to translate together.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(metavar="paper|running|deterministic", help="How the generator runs.  (default: as trained)"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of dropout.  (default: the run's)")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the CSV file and the plots if they exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Score a run on a split, or two folders of pictures against each other.

    Beside every figure stands what painting each class in its mean training colour scores.
    """
    from citygan.errors import UsageError
    from citygan.metrics import lookup
    from citygan.progress import say
    from citygan.runnames import check_run

    rows = lookup(metric or None)  # an unknown name stops the command before the work
    names = metric or None
    weights = _weights(weight or [])
    if samples is not None and not any("samples" in row.needs for row in rows):
        raise UsageError("--samples is for diversity", hint="citygan evaluate --metric diversity --samples 5")
    if mode not in (None, "paper", "running", "deterministic"):
        raise UsageError(f"no mode '{mode}'", where="--mode", hint="There are: paper, running, deterministic")
    if edges_of not in (None, "source", "photo"):
        raise UsageError(f"no pictures '{edges_of}'", where="--edges-of", hint="There are: source, photo")
    folders = fake is not None or real is not None
    to_translate = ""
    counter = _Counter()
    table = None
    if classes is not None:
        from citygan.data.labels import table_named

        table = table_named(classes)
    options: dict[str, Any] = {"classes": table, "weights": weights, "per_image": per_image, "plots": plots}
    options |= {"force": force, "progress": counter}
    try:
        if folders:
            of_runs = {
                "--run": run,
                "--checkpoint": checkpoint,
                "--split": split,
                "--batch": batch,
                "--mode": mode,
                "--seed": seed,
                "--samples": samples,
                "--edges-of": edges_of,
                "--segmenter": segmenter,
            }
            _check_folders(fake, real, labels, data, [flag for flag, value in of_runs.items() if value is not None])
            assert fake is not None and real is not None
            result = _folders(fake, real, names, labels, data, {**options, "device": device})
        else:
            if labels is not None:
                raise UsageError("--labels belongs to --fake and --real", hint="The set of a run has its labels")
            check_run(run, checkpoint)
            from citygan.runs import SEGMENTER, checkpoint_folder, kind_of

            if kind_of(checkpoint_folder(run, checkpoint or "last")) == SEGMENTER:
                others: dict[str, Any] = {
                    "--batch": batch,
                    "--mode": mode,
                    "--seed": seed,
                    "--samples": samples,
                    "--edges-of": edges_of,
                    "--set": weight,
                }
                others |= {"--segmenter": segmenter, "--classes": classes, "--per-image": per_image}
                _check_none(others)
                load_by = (run, checkpoint or "last", device)
                result, to_translate = _segmenter(load_by, split or "val", data, metric or None, plots, force, counter)
            else:
                translator = (run, checkpoint or "last", mode, seed, device)
                options |= {"segmenter": segmenter, "edges_of": edges_of}
                result, to_translate = _run(translator, split, data, names, batch, samples, options)
    finally:
        counter.close()
    if as_json:
        print(json.dumps(result, allow_nan=False))
    else:
        print_table(result)
    sys.stdout.flush()
    if per_image is not None and result["images"]:
        say(f"figures of each picture: {per_image}")
    if plots is not None and result["images"]:
        say(f"plots and pictures: {plots}")
    if not folders and result["images"]:
        _report(result)
    if drawn := [name for name, value in weights.items() if value == "random"]:
        say(f"warning: random weights ({', '.join(drawn)}), as asked: their figures compare with no others")
    for name, figure in result["metrics"].items():
        if figure.get("warning"):
            say(f"warning: {name}: {figure['warning']}")
    _fail_if_any(result)
    given = {"--fake": fake, "--real": real, "--labels": labels, "--run": run, "--checkpoint": checkpoint}
    given |= {"--split": split, "--data": data, "--classes": classes}
    say(f"next: {_next_command(result, {flag: str(value) for flag, value in given.items() if value}, to_translate)}")


def _report(result: dict[str, Any]) -> None:
    """Puts the figures into the report of the run, where it is a run and may be written."""
    from citygan.errors import CityganError
    from citygan.figurefile import keep_figures
    from citygan.progress import say
    from citygan.report import write_report
    from citygan.runnames import is_run

    run = Path(result["run"])
    if not is_run(run):
        return
    try:
        keep_figures(run, result)
        say(f"report: {write_report(run)}")
    except CityganError as problem:
        say(f"the run's report stays as it was: {problem}")


def _check_folders(
    fake: Path | None, real: Path | None, labels: Path | None, data: str | None, of_runs: list[str]
) -> None:
    from citygan.errors import UsageError

    if fake is None or real is None:
        raise UsageError("--fake and --real go together", hint="citygan evaluate --fake out/ --real photos/")
    if of_runs:
        belong = f"belong{'s'[len(of_runs) > 1 :]} to a run, not to folders"
        raise UsageError(f"{', '.join(of_runs)} {belong}", hint="Leave that out, or --fake and --real")
    if data is not None and labels is None:
        raise UsageError(
            "--data gives the mean colours of classes, and there are no --labels", hint="Give both or none"
        )


def _weights(assignments: list[str]) -> dict[str, str]:
    """Of ``--set weights.NAME=PATH``, by name."""
    from citygan.errors import UsageError
    from citygan.weightfiles import check_names

    found: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        group, dot, name = key.strip().partition(".")
        if group != "weights" or not dot or not equals or not value:
            raise UsageError(
                f"expected weights.NAME=PATH or weights.NAME=random, got '{text}'",
                where="--set",
                hint="A run's other settings are decided when it is trained",
            )
        found[name] = value
    check_names(found)
    return found


def _folders(
    fake: Path, real: Path, names: list[str] | None, labels: Path | None, data: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    from citygan.data.store import resolve_set
    from citygan.evaluation import evaluate_folders
    from citygan.progress import say

    prepared = None
    if labels is not None and (data is not None or options["classes"] is None):
        prepared = resolve_set(data)
        say(f"using {prepared.path} for the classes and their mean colours")
    return evaluate_folders(fake, real, names, labels, data=prepared, **options)


def _run(
    load_by: tuple[str | None, str, Any, int | None, str],
    split: str | None,
    data: str | None,
    names: list[str] | None,
    batch: int | None,
    samples: int | None,
    options: dict[str, Any],
) -> tuple[dict[str, Any], str]:
    """The result, and what could be translated next.

    Args:
        load_by: Run, checkpoint, mode, seed and device.
        options: Of `evaluate_run`.
    """
    import shlex

    from citygan.cli.proposals import free_output, labels_fit, usual_split
    from citygan.evaluation import evaluate_run, set_of_run
    from citygan.infer import load
    from citygan.progress import say
    from citygan.runs import describe, run_of

    run, checkpoint, mode, seed, device = load_by
    translator = load(run, checkpoint=checkpoint, device=device, mode=mode, seed=seed)
    assert translator.path is not None
    prepared = set_of_run(translator, data)
    split = split or usual_split(translator, prepared, scored=True)
    say(f"using {describe(translator.path)}, on {prepared.path}, split {split}")
    if samples is not None:
        options = {**options, "samples": samples}
    result = evaluate_run(translator, split, names, checkpoint, data=prepared, batch=batch, **options)
    if data is None and result["protocol"]["data"]["trained_on"] is False:
        say(f"warning: {prepared.path} was prepared anew since the run was trained on it")
    out = shlex.quote(free_output(run_of(translator.path) or translator.path))
    if labels_fit(translator.classes, more=translator.needs_more):
        return result, f"labels/ {out}"
    return result, f"{shlex.quote(str(prepared.path))} {out}" + ("" if split == "val" else f" --split {split}")


def _check_none(flags: dict[str, Any]) -> None:
    from citygan.errors import UsageError

    given = [flag for flag, value in flags.items() if value is not None and value != []]
    if given:
        belong = f"belong{'s'[len(given) > 1 :]} to generators, and this run is a segmenter"
        raise UsageError(f"{', '.join(given)} {belong}", hint="Leave that out")


def _segmenter(
    load_by: tuple[str | None, str, str],
    split: str,
    data: str | None,
    metrics: list[str] | None,
    plots: Path | None,
    force: bool,
    progress: Any,
) -> tuple[dict[str, Any], str]:
    """As `_run`, of a segmenter's run; `load_by` is run, checkpoint and device."""
    import shlex

    from citygan.cli.proposals import free_output
    from citygan.evaluation import evaluate_segmenter, set_of_settings
    from citygan.metrics import lookup
    from citygan.progress import say
    from citygan.runs import describe, run_of
    from citygan.segmented import check_metrics
    from citygan.segmenting import load_segmenter

    run, checkpoint, device = load_by
    check_metrics(lookup(metrics or ["miou"]))
    segmenter = load_segmenter(run, checkpoint=checkpoint, device=device)
    assert segmenter.path is not None
    prepared = set_of_settings(segmenter.settings, data)
    say(f"using {describe(segmenter.path)}, on {prepared.path}, split {split}")
    result = evaluate_segmenter(
        segmenter, split, checkpoint, metrics=metrics, data=prepared, plots=plots, force=force, progress=progress
    )
    out = shlex.quote(free_output(run_of(segmenter.path) or segmenter.path))
    return result, f"{shlex.quote(str(prepared.path))} {out}" + ("" if split == "val" else f" --split {split}")


def print_table(result: dict[str, Any]) -> None:
    """The figures as a table on stdout: ruled on a terminal, plain aligned columns in a pipe."""
    from citygan.errors import printable
    from citygan.figurefile import details_of, table_of

    header, *rows = table_of(result)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table()
        for number, title in enumerate(header):
            table.add_column(title, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    else:
        lines = [header, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
        for line in lines:
            first, *others = line
            cells = [first.ljust(widths[0])] + [
                text.rjust(width) for text, width in zip(others, widths[1:], strict=True)
            ]
            print("  ".join(cells))
    for text in details_of(result):
        print(text)
    reason = result["protocol"]["mean_colour"].get("reason")
    if reason:
        print(f"no mean-colour painting: {printable(reason)}")


def _fail_if_any(result: dict[str, Any]) -> None:
    """Ends with the right exit code where a metric asked for could not be computed; the others have been printed."""
    from citygan.errors import DamagedError, DataError, MachineError

    failed = {name: figure for name, figure in result["metrics"].items() if "exit_code" in figure}
    if failed:
        by_reason: dict[str, list[str]] = {}
        for name, figure in failed.items():
            by_reason.setdefault(figure["reason"], []).append(name)
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
        code = max(figure["exit_code"] for figure in failed.values())
        kinds = {kind.exit_code: kind for kind in (MachineError, DamagedError)}
        raise kinds.get(code, DataError)(f"not computed: {reasons}")


def _next_command(result: dict[str, Any], given: dict[str, str], to_translate: str) -> str:
    import shlex

    def flags(*names: str) -> str:
        return "".join(f" {name} {shlex.quote(given[name])}" for name in names or given if name in given)

    model = result["protocol"]["model"] or {}
    makes_labels = "network" in model or model.get("painted") == "label"
    only_miou = makes_labels and list(result["metrics"]) == ["miou"]
    if not only_miou and not {"colour", "gradient"} & set(result["metrics"]):
        # SSIM, PSNR and L1 reward blur: these two see it
        return f"citygan evaluate{flags()} --metric colour --metric gradient"
    if to_translate:
        return f"citygan translate {to_translate}{flags('--run', '--checkpoint')}"
    return "citygan evaluate --help" if "ssim" in result["metrics"] else f"citygan evaluate{flags()}"


class _Counter:
    """Shows progress once the work has begun."""

    def __init__(self) -> None:
        self._progress: Any = None

    def __call__(self, done: int, total: int) -> None:
        from citygan.progress import Progress

        if self._progress is None:
            self._progress = Progress("evaluating", total, unit="picture")
        self._progress.update(done)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()
