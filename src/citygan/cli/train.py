"""``citygan train``."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from citygan.config import Layer, Settings
    from citygan.data.store import PreparedSet
    from citygan.presets import Preset


def train(
    model: Annotated[
        str | None, typer.Option(help="A named model; `citygan models` lists them.  (default: pix2pix)")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Prepared set, by name or path.  (default: the last one)")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    assign: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Times every picture is seen.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.  (default: the model and a number)")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN|last", help="Go on with a run as if it had not been stopped.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="RUN|FILE", help="Start from the weights of a run, or of a file of public weights."),
    ] = None,
    quick: Annotated[
        bool | None,
        typer.Option("--quick/--full", help="The small, short form of the model.  (default: on for the demo city)"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order, jitter, dropout.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, mps.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print all settings and where each comes from.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, at the end, instead of the run's folder.")
    ] = False,
) -> None:
    """Train a model; prints the run's folder.

    With nothing prepared it prepares the built-in demo city first.
    """
    from citygan.config import Layer, from_flag
    from citygan.errors import UsageError

    if steps is not None and epochs is not None:
        raise UsageError("--steps and --epochs say the same in two ways", hint="Give one of them")
    fixed = {"--model": model, "--name": name, "--init": init, "--config": config, "--quick/--full": quick}
    said = [flag for flag, value in fixed.items() if value is not None]
    if resume is not None and said:
        raise UsageError(f"--resume goes on with a run as it is, without {', '.join(said)}", hint="Leave it out")
    flags: dict[str, Any] = {}
    training = {"steps": steps, "epochs": epochs, "batch": batch}
    training = {key: value for key, value in training.items() if value is not None}
    if epochs is not None:
        training["steps"] = None
    if training:
        flags["train"] = training
    if seed is not None:
        flags["seed"] = seed
    layers = [Layer("--set", from_flag(text)) for text in assign or []] + [Layer("flag", flags)]
    _train(model, data, config, layers, name, resume, init, quick, device, dry_run, as_json)


def _train(
    model: str | None,
    data: str | None,
    config: Path | None,
    flags: list[Layer],
    name: str | None,
    resume: str | None,
    init: str | None,
    quick: bool | None,
    device: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    from citygan.config import Layer, resolve
    from citygan.files import lock
    from citygan.presets import preset
    from citygan.progress import say
    from citygan.yamlfile import read_yaml

    if resume is not None:
        _resume(resume, data, flags, device, dry_run, as_json)
        return
    file = Layer("", {})
    if config is not None:
        file = Layer(str(config), *read_yaml(config))
    # these four decide which other layers there are
    given = {"model": model, "data": data, "init": init, "quick": quick}
    early = _last_word([file.values, *(layer.values for layer in flags), given], given)
    chosen = str(early.get("model", "pix2pix"))
    row = preset(chosen)
    if early.get("init") is None:
        if row.from_weights:
            from citygan.starting import newest_imported

            given["init"] = newest_imported()
        elif row.builds_on:
            from citygan.starting import newest_of

            given["init"] = newest_of(row.builds_on)
    prepared = _open_data(_text(early.get("data")), dry_run)
    _say_direction(row, prepared)
    is_demo = prepared is None or prepared.manifest.get("source") == "demo"
    layers = [Layer(f"preset {chosen}", {"model": chosen, **row.settings})]
    if early.get("quick", is_demo) is True:
        layers.append(Layer("quick", {"quick": True, **row.quick}))
    if row.from_weights or row.builds_on:
        from citygan.starting import networks_of, settings_to_build_on

        start = _initial(_text(given["init"] or early["init"]))
        assert start is not None
        chosen_here = "" if early.get("init") is not None else ", the newest that fits (--init names another)"
        say(f"starting from {start}{chosen_here}")
        found = networks_of(start) if row.from_weights else settings_to_build_on(start, row.builds_on)
        layers.append(Layer(f"weights {start}", found))
    layers += [file, *flags, Layer("flag", {key: value for key, value in given.items() if value is not None})]
    settings, origins = resolve(layers)
    start = _initial(settings.init)
    if start is not None and start.is_dir():
        from citygan.runs import GENERATOR, SEGMENTER, check_kind

        check_kind(start, SEGMENTER if settings.recipe == SEGMENTER else GENERATOR, "--init")
    # as they are found from anywhere, and not as a default that may move on
    settings = dataclasses.replace(
        settings,
        init=None if start is None else str(start.absolute()),
        data=None if prepared is None else _data_name(prepared),
    )
    if dry_run:
        _print(settings, origins, as_json)
        return

    from citygan.building import about, build, check_device
    from citygan.devices import pick_device
    from citygan.runs import new_run
    from citygan.starting import initialise, random_ones
    from citygan.train.distributed import join, leave

    place = pick_device(device, _local_rank())
    check_device(settings, place, int(os.environ.get("WORLD_SIZE", "1")))
    assert prepared is not None
    ranks = join(place)
    try:
        built = build(settings, prepared)  # finds what does not fit before a folder is made
        filled = initialise(built.recipe.all_networks, settings, start)
        depends = about(settings, prepared, place, ranks, filled)
        path = ranks.tell(new_run(settings, name, depends) if ranks.first else None)
        if ranks.first:
            _say_start(settings, prepared, place)
            if random := random_ones(filled):
                say(f"{' and '.join(random)}: random weights in the place of published ones")
        from contextlib import nullcontext

        with lock(path) if ranks.first else nullcontext():
            _run(settings, prepared, path, place, ranks, as_json, built=built)
    finally:
        leave()


def _resume(resume: str, data: str | None, flags: list[Layer], device: str, dry_run: bool, as_json: bool) -> None:
    from contextlib import nullcontext

    from citygan.runnames import resolve_run

    path = resolve_run(resume)

    from citygan.building import check_device
    from citygan.config import Layer, resolve
    from citygan.data.store import resolve_set
    from citygan.devices import pick_device
    from citygan.files import lock
    from citygan.resuming import check_trained
    from citygan.train.distributed import join, leave
    from citygan.yamlfile import read_yaml

    check_trained(path, resume if resume != "last" else path.name)
    file = path / "config.yaml"
    settings, origins = resolve([Layer(str(file), *read_yaml(file)), *flags])
    if dry_run:
        _print(settings, origins, as_json)
        return
    prepared = resolve_set(data or settings.data)
    place = pick_device(device, _local_rank())
    check_device(settings, place, int(os.environ.get("WORLD_SIZE", "1")))
    ranks = join(place)
    try:
        with lock(path) if ranks.first else nullcontext():
            _run(settings, prepared, path, place, ranks, as_json, resume=True)
    finally:
        leave()


def _run(
    settings: Settings, prepared: PreparedSet, path: Path, place: Any, ranks: Any, as_json: bool, **how: Any
) -> None:
    """Trains, and tells what came of it: the run's folder at the start, or one JSON object at the end."""
    from citygan.errors import Interrupted
    from citygan.progress import print_path, say
    from citygan.runs import summary
    from citygan.training import run_training

    how["ready"] = None if as_json else lambda: print_path(path)
    try:
        run_training(settings, prepared, path, place, ranks, **how)
    except Interrupted:
        if ranks.first:
            if as_json:
                print(json.dumps(summary(path)))
            say(f"go on with: citygan train --resume {_run_name(path)}")
        raise
    if ranks.first:
        if as_json:
            print(json.dumps(summary(path)))
        say(f"report: {path / 'report.html'}")
        say(f"next: {_next_command(settings, prepared, path)}")


def _run_name(path: Path) -> str:
    """How to name a run on a command line."""
    import shlex

    from citygan.files import runs_home

    return shlex.quote(path.name if path.parent.absolute() == runs_home().absolute() else str(path))


def _next_command(settings: Settings, prepared: PreparedSet, path: Path) -> str:
    import shlex

    from citygan.cli.proposals import free_output, labels_fit
    from citygan.files import read_last, runs_home
    from citygan.runs import summary

    if settings.recipe == "segmenter":
        split = summary(path)["validation"]["split"]
        more = "" if split == "val" else f" --split {split}"
        return f"citygan evaluate --run {_run_name(path)} --metric miou{more}"
    classes = prepared.classes if settings.input.array in ("auto", "label") else None
    of_demo = prepared.manifest.get("source") == "demo"
    beside = settings.input.instance_edges or settings.edges.shown or settings.features.shown
    if of_demo and labels_fit(classes, more=beside):
        is_last = path.absolute() == (runs_home() / (read_last(runs_home()) or "")).absolute()
        return f"citygan translate labels/ {shlex.quote(free_output(path))}" + (
            "" if is_last else f" --run {_run_name(path)}"
        )
    split = summary(path)["validation"]["split"]
    return f"citygan evaluate --run {_run_name(path)}" + ("" if split == "val" else f" --split {split}")


def _say_direction(row: Preset, prepared: PreparedSet | None) -> None:
    """Warns where side-by-side pairs were prepared the other way round than the model's published ones."""
    from citygan.progress import say

    if row.direction is None or prepared is None or prepared.manifest.get("layout") != "pairs":
        return
    found = prepared.manifest.get("options", {}).get("direction", "AtoB")
    if found != row.direction:
        other = "citygan train --set input.array=photo --set output.array=source goes the other way"
        say(
            f"warning: the published pairs go {row.direction}, and {prepared.path} was prepared with --direction "
            f"{found}: {other}"
        )


def _last_word(layers: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """The values of the last layers that say anything of these keys."""
    said: dict[str, Any] = {}
    for values in layers:
        said |= {key: values[key] for key in keys if values.get(key) is not None}
    return said


def _open_data(name: str | None, dry_run: bool) -> PreparedSet | None:
    """The set to train on; the demo city is prepared where there is none at all."""
    from citygan.data.store import resolve_set
    from citygan.files import data_home, read_last
    from citygan.progress import say

    if name is None and read_last(data_home()) is None:
        if dry_run:
            return None
        if int(os.environ.get("RANK", "0")) != 0:
            from citygan.errors import UsageError

            raise UsageError("nothing is prepared", hint="citygan prepare demo, before torchrun")
        from citygan.data.prepare import prepare_demo

        say("nothing is prepared yet: preparing the demo city")
        prepare_demo()
    found: PreparedSet = resolve_set(name)
    if int(os.environ.get("RANK", "0")) == 0:
        say(f"using {found.path}")
    return found


def _initial(init: str | None) -> Path | None:
    if init is None:
        return None
    from citygan.files import runs_home
    from citygan.runnames import is_run
    from citygan.runs import checkpoint_folder

    if Path(init).is_file() and not is_run(runs_home() / init):
        return Path(init)
    return checkpoint_folder(init)


def _data_name(prepared: PreparedSet) -> str:
    """By its name where it lies among the prepared sets, else by its whole path."""
    from citygan.files import data_home

    inside = prepared.path.parent.absolute() == data_home().absolute()
    return prepared.name if inside else str(prepared.path.absolute())


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _say_start(settings: Settings, prepared: PreparedSet, place: Any) -> None:
    from citygan.errors import counted
    from citygan.progress import say

    form = ", quick form: narrow, short, its own schedule (--full for the paper's settings)" if settings.quick else ""
    width, height = prepared.size
    count = counted(len(prepared.split("train")), "picture")
    say(f"training {settings.model} on {prepared.path} ({count} of {width}x{height}) on {place}{form}")
    if settings.recipe != "segmenter" and settings.inference == "auto" and settings.inference_mode == "running":
        say("batch above 1: translation will use running statistics (--set inference=paper for each picture's own)")


def _print(settings: Settings, origins: dict[str, str], as_json: bool) -> None:
    from citygan.errors import printable
    from citygan.yamlfile import as_written, flat

    if as_json:
        print(json.dumps({"settings": settings.to_dict(), "origins": origins}))
        return
    rows = flat(settings.to_dict())
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:{width}}  {printable(as_written(value)):12}  {printable(origins[key])}")
