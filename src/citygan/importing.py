"""A file of public weights becomes a run: with settings, a checkpoint, and what its input means."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citygan.config import Layer, Settings, resolve
from citygan.data.labels import table_named
from citygan.errors import DamagedError, DataError, UsageError
from citygan.files import read_bytes, runs_home, write_last
from citygan.recipes.views import View
from citygan.runs import new_run, versions
from citygan.starting import settings_of_network
from citygan.train import checkpoint
from citygan.weights import Imported, import_state_dict, read_weights

NAME = "imported"  # of the runs, with a number


@dataclass(frozen=True)
class Meaning:
    """What cannot be read off the shapes.

    Attributes:
        classes: The class table of the label maps that the input is made of; None: the input is a picture.
        encoding: `colour` or `onehot`.
        edges: Whether the last channel is that of instance edges.
        dropout: Rate of dropout; None: the format's.
        mode: How it runs at test time.
    """

    classes: str | None = None
    encoding: str | None = None
    edges: bool = False
    dropout: float | None = None
    mode: str = "paper"


def read_network(path: str | Path) -> tuple[Imported, dict[str, Any] | None]:
    """The network of a file, and its record where the file is one of ours.

    Raises:
        DamagedError: As `read_weights` and `import_state_dict`.
    """
    tensors, record = read_weights(path)
    return import_state_dict(tensors, path, record), record


def import_run(path: Path, meaning: Meaning, name: str | None = None, discriminator: Path | None = None) -> Path:
    """Makes a run of a generator's weights.

    Args:
        path: State dict of the generator.
        name: The run's; None: `imported` and a number.
        discriminator: State dict of one, for `train --init` to go on with.

    Returns:
        The run's folder.

    Raises:
        DamagedError: A file is not whole, of no known format, or does not fit the other.
        UsageError: It is no generator; what its input means does not go with its channels; the run exists.
    """
    generator, record = read_network(path)
    if generator.role != "generator":
        raise UsageError(
            f"a {generator.role} ({generator})",
            where=path,
            hint=f"A run needs a generator: citygan weights import G.pth --discriminator {path.name}",
        )
    arguments = _with_dropout(generator, meaning.dropout)
    inputs, outputs = _sides(meaning, arguments["in_channels"], arguments.get("out_channels", 3), record, path)
    parts = {"generator": generator.tensors}
    networks = {"generator": {"name": generator.name, "arguments": arguments}}
    if discriminator is not None:
        judge = _judge(discriminator, arguments)
        parts["discriminator"] = judge.tensors
        networks["discriminator"] = {"name": judge.name, "arguments": judge.arguments}
    settings = _settings(meaning, inputs, outputs, networks, arguments)
    state = {
        "step": 0,
        "steps": 0,
        "model": settings.model,
        "use": "generator",
        "networks": networks,
        "inputs": inputs.to_dict(),
        "outputs": outputs.to_dict(),
        "inference": meaning.mode,
        "seed": settings.seed,
        "score": None,
        "figures": {},
        "settings": settings.to_dict(),
        "versions": versions(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    origin = {
        "imported": {
            "file": str(path.absolute()),
            "sha256": hashlib.sha256(read_bytes(path, error=DamagedError)).hexdigest(),
            "format": generator.format,
        },
        "versions": versions(),
    }

    def fill(folder: Path) -> None:
        checkpoint.save(checkpoint.path_of(folder / "checkpoints", 0), parts, {**state, **origin})

    run = new_run(settings, name, origin, fill=fill, stem=NAME)
    write_last(runs_home(), run.name)
    return run


def _with_dropout(generator: Imported, given: float | None) -> dict[str, Any]:
    """The constructor's arguments, with the rate of dropout that was given."""
    arguments = dict(generator.arguments)
    if given is None:
        return arguments
    if not 0 <= given < 1:
        raise UsageError(f"expected from 0 to below 1, got {given}", where="--dropout")
    if "dropout" in arguments and given != arguments["dropout"] and generator.name == "resnet":
        told = f"the names in the file tell a dropout of {arguments['dropout']}"
        raise UsageError(told, where="--dropout", hint="Leave it out")
    if generator.default("dropout") is not None:
        arguments["dropout"] = given
    elif given > 0:
        raise UsageError(f"{generator.format}, which has no dropout", where="--dropout", hint="Leave it out")
    return arguments


def described(generator: Imported, dropout: float | None) -> str:
    """A generator in words, with the rate of dropout that it gets where its file does not tell."""
    rate = generator.default("dropout")
    if "dropout" in generator.arguments or rate is None or dropout is not None:
        return str(dataclasses.replace(generator, arguments=_with_dropout(generator, dropout)))
    return f"{generator}, dropout {rate} assumed (--dropout)"


def _sides(
    meaning: Meaning, channels: int, painted: int, record: Mapping[str, Any] | None, path: Path
) -> tuple[View, View]:
    """What the generator is shown, and what it paints."""
    told = meaning.classes is not None or meaning.encoding is not None or meaning.edges
    if not told and record is not None and record.get("inputs") is not None:
        try:
            inputs = View.from_dict(record["inputs"])
            outputs = View.from_dict(record["outputs"]) if record.get("outputs") else View("photo", None, painted)
        except (KeyError, TypeError, ValueError, DataError, UsageError) as problem:
            raise DamagedError("its record does not describe an input", where=path) from problem
        if record.get("beside"):
            raise UsageError(
                "a generator that is shown edges or features, and the file has no network to make them",
                where=path,
                hint="The run that it was exported from, or a checkpoint's folder, is whole: --run FOLDER",
            )
        if (inputs.channels, outputs.channels) == (channels, painted):
            return inputs, outputs
    if (channels, painted) == (1, 2) and not told:  # the public colourisation: L to a and b, scaled as here
        return View("photo", encoding="lightness"), View("photo", encoding="ab", side="output")
    if painted not in (1, 3):
        raise DamagedError(f"it paints {painted} channels, not 1 or 3", where=path)
    return _inputs(meaning, channels, path), View("photo", None, painted)


def _inputs(meaning: Meaning, channels: int, path: Path) -> View:
    """What turns label maps or pictures into the generator's input."""
    if meaning.classes is None:
        if meaning.encoding is not None or meaning.edges:
            raise UsageError(
                "one-hot labels and instance edges are made of label maps",
                where="--encoding" if meaning.encoding else "--edges",
                hint="--classes NAME says by which class table",
            )
        if channels not in (1, 3):
            raise UsageError(
                f"it takes {channels} channels, so no picture: what are they?",
                where=path,
                hint="--classes NAME --encoding onehot [--edges] says that they are classes",
            )
        return View("source", None, channels)
    table = table_named(meaning.classes)
    inputs = View("label", table, encoding=meaning.encoding or "colour", edges=meaning.edges)
    if inputs.channels != channels:
        more = " and edges" if meaning.edges else ""
        many = len(table.classes)
        gives = f"{inputs.encoding} of {table.name}{more} gives {inputs.channels}"
        raise UsageError(
            f"it takes {channels} channels, and {gives}",
            where="--classes",
            hint=f"--encoding colour gives 3, onehot {many}, --edges one more; a YAML table of your own any number",
        )
    return inputs


def _judge(path: Path, generator: Mapping[str, Any]) -> Imported:
    judge, _ = read_network(path)
    if judge.role != "discriminator":
        raise UsageError(f"a generator ({judge})", where="--discriminator", hint="Give the discriminator's file")
    painted, shown = generator.get("out_channels", 3), generator["in_channels"]
    if judge.arguments["in_channels"] not in (painted, painted + shown):
        raise DamagedError(
            f"it sees {judge.arguments['in_channels']} channels; beside this generator it would be {painted + shown}, "
            f"or {painted} unconditionally",
            where=path,
        )
    return judge


def _settings(
    meaning: Meaning,
    inputs: View,
    outputs: View,
    networks: Mapping[str, Any],
    generator: Mapping[str, Any],
) -> Settings:
    """Settings with which `train` would build the same networks, but for their biases."""
    values: dict[str, Any] = {
        "inference": meaning.mode,
        "input": {
            "array": inputs.array,
            "encoding": inputs.encoding,
            "instance_edges": inputs.edges,
        },
        "output": {"array": outputs.array, "encoding": outputs.encoding},
    }
    for role, record in networks.items():
        values[role] = settings_of_network(record["name"], record["arguments"])
    judge = networks.get("discriminator")
    if judge is not None:
        values["discriminator"]["conditional"] = judge["arguments"]["in_channels"] > generator.get("out_channels", 3)
    try:
        return resolve([Layer(NAME, values)])[0]
    except UsageError:  # wider or deeper than settings can say: the checkpoint's own record still can
        return resolve([Layer(NAME, {key: values[key] for key in ("inference", "input", "output")})])[0]
