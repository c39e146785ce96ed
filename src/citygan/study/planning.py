"""From a study to its runs: the settings of every row and seed, and the name by which a finished run is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from citygan.config import Layer, Settings, from_flag, resolve
from citygan.data.store import PreparedSet
from citygan.files import read_bytes
from citygan.metrics.fcnscore import FULL_SIZE
from citygan.presets import preset
from citygan.settings import WeightsSettings
from citygan.starting import networks_of, settings_going_on
from citygan.study.parts import Row, Study
from citygan.study.rows import JUDGE, QUICK_JUDGE
from citygan.train.checkpoint import read_state
from citygan.weightfiles import OF_METRICS
from citygan.yamlfile import as_written, flat

# that a row of a quick study learns from, the same in all studies, so that they share runs
QUICK_PICTURES = 800
FEWEST_QUICK_STEPS = 200  # in large batches, too
# why a figure is not there, in short
MISSING, NO_SEGMENTER = "not run: weights missing", "not run: no segmenter"
# what says where a run lies or what it writes, not what it learns
_ASIDE = ("data", "init")


@dataclass(frozen=True)
class Options:
    """What a study is run with.

    Attributes:
        data: The prepared set, as a run's settings name it.
        named_data: As it was named on the command line; None: by default.
        quick: The small, short form.
        seeds: Runs of each row.
        assigned: Settings given on the command line, over all rows.
        init: The checkpoint folder that rows from published weights start from.
        named_init: As it was named on the command line.
        segmenter: The run named to judge the streets, for `fcn-score`; None: the study trains its own.
        judge: The run that judges them: that one, or the study's own once it is trained.
        unjudged: Why there is none, in short and whole.
        weights: Of the networks that metrics look with, by name: a path, or `random`.
    """

    data: str
    quick: bool
    seeds: int = 1
    assigned: tuple[str, ...] = ()
    named_data: str | None = None
    init: str | None = None
    named_init: str | None = None
    segmenter: str | None = None
    judge: str | None = None
    unjudged: tuple[str, str] = (NO_SEGMENTER, "the study's segmenter is not trained yet")
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown_data(self) -> str:
        """The set, as files name it that are passed on: not by a path of this machine, where none was given."""
        return self.data if self.named_data is None else self.named_data


@dataclass(frozen=True)
class Job:
    """One run: a row with a seed.

    Attributes:
        row: Its row.
        settings: All resolved; `init` is still open where it goes on from `start`.
        name: Of its folder: row, seed, and a digest of settings and data.
        start: The run that it goes on from; None: it begins by itself.
    """

    row: Row
    settings: Settings
    name: str
    start: Job | None = None

    @property
    def waits(self) -> int:
        """How many others must have been done before it."""
        return (self.row.scores is not None) + (0 if self.start is None else 1 + self.start.waits)

    @property
    def digest(self) -> str:
        """That digest."""
        return self.name.rpartition("-")[2]


def plan(study: Study, options: Options, checksum: str) -> list[Job]:
    """The runs of a study, row by row, each with all its seeds; those that others wait for come first.

    Args:
        checksum: Of the data.

    Raises:
        UsageError: Settings that are not.
    """
    jobs = []
    for row in study.rows:
        if row.runs and not (row.from_weights and options.init is None):
            for seed in range(options.seeds):
                jobs.append(_planned(study, row, options, seed, checksum))
    return sorted(jobs, key=lambda job: job.waits)


def _planned(study: Study, row: Row, options: Options, seed: int, checksum: str) -> Job:
    """A row's run: another row's where it only scores that, with the one that it goes on from."""
    if row.scores is not None:
        return dataclasses.replace(_planned(study, study.row(row.scores), options, seed, checksum), row=row)
    start = None
    if row.starts_from is not None:
        start = _planned(study, study.row(row.starts_from), options, seed, checksum)
    return _job(row, settings_of(study, row, options, seed), checksum, start)


def judge_of(study: Study, options: Options, data: PreparedSet) -> Job | None:
    """The run of the study's own segmenter; None where it needs none, or one is named.

    It learns by its own preset whatever the rows do: of the command line's settings it takes those of segmenters and of
    their published weights.
    """
    if not study.judged or options.segmenter is not None:
        return None
    row = QUICK_JUDGE if options.quick else JUDGE
    assigned = [text for text in options.assigned if text.startswith(("segmenter.", "weights."))]
    layers = _form(row, options)
    if not options.quick and data.classes is not None and data.classes.name.startswith("cityscapes"):
        # pix2pix's protocol: its segmenter saw photos of 256x256 enlarged to the labels' own size (facts of its code)
        layers.append(Layer("protocol", {"segmenter": {"enlarge": FULL_SIZE}} if data.size == (256, 256) else {}))
    layers += [*_layers(assigned), Layer("study", {"data": options.data})]
    return _job(row, resolve(layers)[0], data.checksum)


def _job(row: Row, settings: Settings, checksum: str, start: Job | None = None) -> Job:
    digest = digest_of(settings, checksum, None if start is None else start.digest)
    return Job(row, settings, f"{row.name}-seed{settings.seed}-{digest}", start)


def settings_of(study: Study, row: Row, options: Options, seed: int = 0) -> Settings:
    """The settings of a row: defaults, preset, quick form, the row's own, those of the command line.

    A row that goes on from another's run has its networks, between preset and the row's own.

    Raises:
        UsageError: They are not settings.
    """
    if row.scores is not None:
        return settings_of(study, study.row(row.scores), options, seed)
    layers = _form(row, options, _going_on(study, row, options))
    if options.quick:
        settings = resolve([*layers, *_layers(options.assigned)])[0]
        layers.append(Layer("quick study", {"train": _quick_train(row, settings)}))
    layers += _layers(options.assigned)
    found = {"seed": seed, "data": options.data, "init": options.init if row.from_weights else None}
    settings = resolve([*layers, Layer("study", found)])[0]
    if settings.train.steps is not None and row.length != 1:
        train = dataclasses.replace(settings.train, steps=settings.train.steps * row.length)
        settings = dataclasses.replace(settings, train=train)
    return settings


def _going_on(study: Study, row: Row, options: Options) -> list[Layer]:
    """What a row takes over from the run that it goes on from, which need not be there yet."""
    if row.starts_from is None:
        return []
    start = settings_of(study, study.row(row.starts_from), options)
    # a whole run ends in its last stage
    shown = start.dned.from_share is not None and start.dned.from_share < 1
    return [Layer(f"row {row.starts_from}", settings_going_on(start.to_dict(), shown))]


def _form(row: Row, options: Options, going_on: Iterable[Layer] = ()) -> list[Layer]:
    """Preset, quick form, what is gone on from, and the row's own settings."""
    layers = [*_preset_layers(row, options), *going_on]
    if preset(row.preset).from_weights and options.init is not None:
        layers.append(Layer("weights", networks_of(Path(options.init))))
    return [*layers, Layer(f"row {row.name}", row.overrides)]


def _preset_layers(row: Row, options: Options) -> list[Layer]:
    chosen = preset(row.preset)
    layers = [Layer(f"preset {row.preset}", {"model": row.preset, **chosen.settings})]
    if options.quick:
        layers.append(Layer("quick", {"quick": True, **chosen.quick}))
    return layers


def weights_apart(assigned: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Of ``--set KEY=VALUE``, what is of the rows, and the weights of the networks that metrics look with, by name.

    Weights that a trunk of a row may have too stay among the rows' settings.
    """
    of_rows, weights = [], {}
    for text in assigned:
        key, equals, value = text.partition("=")
        group, _, name = key.strip().partition(".")
        looks = group == "weights" and name in OF_METRICS and bool(equals and value)
        if looks:
            weights[name] = value
        if not looks or name in {item.name for item in fields(WeightsSettings)}:
            of_rows.append(text)
    return tuple(of_rows), weights


def _layers(assigned: Iterable[str]) -> list[Layer]:
    return [Layer("--set", from_flag(text)) for text in assigned]


def _quick_train(row: Row, settings: Settings) -> dict[str, Any]:
    """So few steps that every study ends within its minutes on two cores."""
    steps = max(FEWEST_QUICK_STEPS, QUICK_PICTURES // (settings.train.batch * (2 if settings.video.pairs else 1)))
    rare = steps * row.length
    return {"steps": steps, "checkpoint_every_steps": rare, "sample_every_steps": rare, "validation_pictures": 8}


def digest_of(settings: Settings, checksum: str, start: str | None = None) -> str:
    """Eight characters by which a run with these settings on these data is known again.

    They tell what differs from the defaults, so that a later version with more settings still knows it.

    Args:
        checksum: Of the data.
        start: The digest of the run that it goes on from; None: `init` of the settings says what it starts from.
    """
    usual = flat(Settings().to_dict())
    values = {
        key: value for key, value in flat(settings.to_dict()).items() if value != usual[key] and key not in _ASIDE
    }
    if start is None and settings.init is not None:
        start = _checksum_of(Path(settings.init))
    text = json.dumps([values, start, checksum], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def _checksum_of(weights: Path) -> str:
    """By what a file of weights, or a checkpoint, is known wherever it lies."""
    if weights.is_file():
        return hashlib.sha256(read_bytes(weights)).hexdigest()
    files = read_state(weights)["files"]
    return json.dumps({part: about["sha256"] for part, about in files.items()}, sort_keys=True)


def command_of(study: Study, row: Row, options: Options, run: str | None = None) -> str:
    """The command line that trains a row by itself, or scores it.

    Args:
        run: The run that it goes on from, or that it scores.
    """
    if row.scores is not None:
        return shlex.join(["citygan", "evaluate", f"--run={run}", f"--edges-of={row.edges_of}"])
    settings = settings_of(study, row, options)
    parts = ["citygan", "train", "--model", row.preset, "--data", options.shown_data]
    parts.append("--quick" if options.quick else "--full")
    init = run if row.starts_from is not None else settings.init and (options.named_init or settings.init)
    parts += ["--init", init] if init else []
    layers = [*_preset_layers(row, options), *_going_on(study, row, options)]
    base = flat(resolve(layers)[0].to_dict())
    for key, value in flat(settings.to_dict()).items():
        if key not in (*_ASIDE, "seed") and base[key] != value:
            parts += ["--set", f"{key}={as_written(value)}"]
    return shlex.join(parts)


def study_command(study: Study, options: Options) -> str:
    """The command line of the whole study."""
    parts = ["citygan", "study", study.name, "--data", options.shown_data, "--quick" if options.quick else "--full"]
    parts += ["--seeds", str(options.seeds)]
    for flag, value in (("--init", options.named_init), ("--segmenter", options.segmenter)):
        parts += [flag, value] if value is not None else []
    assigned = [*options.assigned, *(f"weights.{name}={value}" for name, value in options.weights.items())]
    return shlex.join([*parts, *(part for text in dict.fromkeys(assigned) for part in ("--set", text))])


def folder_of(runs: Path, job: Job) -> Path:
    """Where a run lies: there already, by whichever name a row of another study gave it, or where it is to be made."""
    # names with a point are of folders that are being made, or were when their process was killed
    there = (path for path in sorted(runs.glob(f"*-{job.digest}")) if not path.name.startswith("."))
    return next(there, runs / job.name)
