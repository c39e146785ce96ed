"""A config becomes a run: networks from settings and data, the loop with its events, checkpoints that stand alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from citygan.building import Built, build, steps_in_all
from citygan.companions import cluster_features
from citygan.config import Settings
from citygan.data.store import SPLIT_ORDER, PreparedSet, Split, evenly
from citygan.errors import DivergedError, printable
from citygan.feeding import count_of, feed_of
from citygan.files import clean_temporaries, runs_home, write_bytes, write_last, write_text
from citygan.models.features import FeatureEncoder
from citygan.pictures import encode_png
from citygan.progress import Progress, say
from citygan.report import write_report
from citygan.resuming import find
from citygan.runs import versions
from citygan.sheets import sheet
from citygan.starting import initialise
from citygan.train import checkpoint
from citygan.train.distributed import Ranks
from citygan.train.engine import Engine, Plan
from citygan.train.logs import MetricsLog
from citygan.train.loop import Events, Schedule, Window, train
from citygan.validating import trial_of
from citygan.yamlfile import to_yaml

SHEET_ROWS = 4
FRAMES_APART = 10  # frames of one scene that are nearer look much the same


def run_training(
    settings: Settings,
    data: PreparedSet,
    path: Path,
    device: torch.device,
    ranks: Ranks,
    *,
    resume: bool = False,
    init: Path | None = None,
    built: Built | None = None,
    ready: Callable[[], None] | None = None,
    validated: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Trains in the run folder `path` to the end of the settings' steps.

    Args:
        resume: Go on from the newest whole checkpoint there.
        init: A checkpoint folder whose weights to start from.
        built: What to train, where it is built already, its networks as they are to start.
        ready: Told on the first rank once nothing is left that could refuse the start.
        validated: Told (step, figures) after every validation, its checkpoint saved; what it raises ends the run.
            For one rank: others would wait for ever.

    Raises:
        DamagedError: The checkpoint does not fit, or the data are others than before.
        UsageError: The run has done its steps.
        DivergedError, Interrupted: As `citygan.train.loop.train`.
    """
    if ranks.first:
        for folder in (path.parent, path, path / "checkpoints", path / "samples"):
            clean_temporaries(folder)
    found = find(path, settings, data, ranks) if resume else None
    if resume and found is None and settings.init is not None:
        init = Path(settings.init)
    if built is None:
        built = build(settings, data)
        networks = built.recipe.frozen if found is not None else built.recipe.all_networks
        initialise(networks, settings, init)
    split = data.split("train")
    steps = steps_in_all(settings, data, ranks)
    options = settings.train
    plan = Plan(
        steps=steps,
        seed=settings.seed,
        accumulate=options.accumulate,
        bf16=options.precision == "bf16",
        channels_last=options.channels_last,
        compile=options.compile,
        cuda_graphs=options.cuda_graphs,
        ema=options.ema,
    )
    engine = Engine(built.recipe, plan, device, ranks)
    start, window = 0, Window()
    if found is not None:
        start, window = found.step, found.load(engine, ranks)
    if resume and ranks.first:  # only now that they are known to fit: flags of this resume become the run's
        write_text(path / "config.yaml", to_yaml(settings.to_dict()))
    feed = feed_of(
        settings, data, arrays=built.arrays, channels=built.channels, device=device, rank=ranks.rank, ranks=ranks.size
    )
    validation = validation_split(data, built.arrays)
    run = _Run(settings, data, path, device, ranks, built, engine, validation, steps, start, validated)
    if ranks.first:
        _say_validation(data, validation)
        if ready is not None:
            ready()
    try:
        train(
            engine,
            feed,
            Schedule(steps, options.log_every_steps, options.sample_every_steps, options.checkpoint_every_steps),
            run.events(),
            start=start,
            window=window,
        )
    except DivergedError as problem:
        if ranks.first:
            count = options.batch * ranks.size
            items = feed.indices(range(problem.step * count, (problem.step + 1) * count))
            names = "".join(f"  {printable(split.items[i].stem)}\n" for i in items)
            write_text(path / "diverged.txt", f"{problem}\npictures of that step:\n{names}")
        raise
    finally:
        run.close()


class _Run:
    """What happens beside the loop: log, samples, validation, checkpoints, report."""

    def __init__(
        self,
        settings: Settings,
        data: PreparedSet,
        path: Path,
        device: torch.device,
        ranks: Ranks,
        built: Built,
        engine: Engine,
        validation: Split,
        steps: int,
        start: int,
        validated: Callable[[int, dict[str, float]], None] | None = None,
    ) -> None:
        self.settings = settings
        self.validated = validated
        self.data = data
        self.path = path
        self.device = device
        self.ranks = ranks
        self.built = built
        self.engine = engine
        self.steps = steps
        self.count = count_of(settings, data)
        self.log = MetricsLog(path / "metrics.jsonl", start) if ranks.first else None
        self.progress = Progress(f"training {path.name}", steps, start) if ranks.first else None
        self.board = _board(path, start) if ranks.first and settings.train.tensorboard else None
        self.trial = trial_of(settings, data, built, engine, validation)
        self.shown = ""
        self.gathered: int | None = None  # the step whose features are in the clusters
        self.named = False  # whether runs/last names this run since it started or went on
        self.validation = validation

    def events(self) -> Events:
        return Events(log=self._log, sample=self._sample, checkpoint=self._checkpoint, progress=self._progress)

    def close(self) -> None:
        if self.progress is not None:
            self.progress.close()
        if self.board is not None:
            self.board.close()

    def _progress(self, step: int) -> None:
        if self.progress is not None:
            self.progress.update(step, self.shown)

    def _log(self, step: int, losses: dict[str, float], seconds: float, waiting: float) -> None:
        if not self.ranks.first:
            return
        pictures = self.settings.train.batch * self.ranks.size
        self.shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        rates = {
            f"rate_{name}": group.rate * group.schedule(step - 1, self.steps)
            for name, group in self.engine.recipe.groups.items()
        }
        self._write(
            step,
            {
                "epoch": round(step * pictures / self.count, 4),
                **({} if self.engine.phase == "all" else {"phase": self.engine.phase}),
                **losses,
                **rates,
                "pictures_per_s": round(pictures / seconds, 3),
                "waiting_share": round(waiting, 4),
            },
        )

    def _write(self, step: int, values: Mapping[str, float | str]) -> None:
        assert self.log is not None
        self.log.append({"step": step, **values})
        if self.board is not None:
            for name, value in values.items():
                if not isinstance(value, str):
                    self.board.add_scalar(name, value, step)
            self.board.flush()

    def _sample(self, step: int) -> None:
        if not self.ranks.first:
            return
        self._gather_features(step)
        rows = [self.trial.row(i) for i in rows_to_show(self.validation)]
        write_bytes(self.path / "samples" / f"{step:08d}.png", encode_png(sheet(rows, self.trial.titles)))

    def _checkpoint(self, step: int, window: Window, score: bool) -> None:
        self._gather_features(step)
        # every rank: averaging the norms' statistics is a message to all
        tensors = self.engine.tensors()
        if self.ranks.first:
            figures = self._validate() if score else {}
            if figures:
                self._write(step, {f"val_{name}": value for name, value in figures.items()})
            folder = self.path / "checkpoints"
            checkpoint.save(checkpoint.path_of(folder, step), tensors, self._state(step, figures, window))
            checkpoint.prune(folder)
            if not self.named and self.path.parent.absolute() == runs_home().absolute():
                write_last(runs_home(), self.path.name)
                self.named = True
            write_report(self.path)
            if figures and self.validated is not None:
                self.validated(step, figures)
        self.ranks.wait()

    def _gather_features(self, step: int) -> None:
        """Gives the feature encoder as it is after a step the clusters that pictures are translated with."""
        encoder = self.engine.networks.get("encoder")
        if isinstance(encoder, FeatureEncoder) and self.gathered != step:
            self.gathered = step
            used = self.engine.averages.get("encoder", encoder)
            assert isinstance(used, FeatureEncoder)
            cluster_features(used, self.data.split("train"), self.settings, self.device)
            encoder.clusters.copy_(used.clusters)
            encoder.counts.copy_(used.counts)

    def _validate(self) -> dict[str, float]:
        """Figures of validation pictures chosen evenly, always the same."""
        return self.trial.figures(evenly(len(self.validation), self.settings.train.validation_pictures))

    def _state(self, step: int, figures: dict[str, float], window: Window) -> dict[str, Any]:
        kind = self.trial.kind
        return {
            "step": step,
            "steps": self.steps,
            "model": self.settings.model,
            "kind": kind,
            "use": f"{kind}-ema" if kind in self.engine.averages else kind,
            "networks": self._networks(),
            "phase": self.engine.phase,
            **self.trial.state(),
            "size": list(self.data.size),
            "seed": self.settings.seed,
            "score": figures.get(self.trial.score),
            "figures": {key: value if np.isfinite(value) else None for key, value in figures.items()},
            "validation": {
                "split": self.validation.name,
                "pictures": min(len(self.validation), self.settings.train.validation_pictures),
                "beside": self.trial.beside,
                **({} if self.trial.edges_of is None else {"edges_of": self.trial.edges_of}),
            },
            "data": {
                "name": self.data.name,
                "checksum": self.data.checksum,
                "pairs": _pairs(self.data, self.settings),
                "few_colours": self.trial.few_colours(),
            },
            "threads": torch.get_num_threads(),
            "ranks": self.ranks.size,
            "window": window.to_dict(),
            "settings": self.settings.to_dict(),
            "versions": versions(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def _networks(self) -> dict[str, dict[str, Any]]:
        """Name and arguments of each network, by which it is built again."""
        networks = dict(self.built.networks)
        if "global" in self.engine.phase.split():
            generator = networks["generator"]
            networks["generator"] = {**generator, "arguments": {**generator["arguments"], "coarse_only": True}}
        return networks


def _board(path: Path, done: int) -> Any:
    """TensorBoard's writer; what lies beyond `done` is hidden by it."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(path / "tensorboard"), purge_step=done + 1)


def _pairs(data: PreparedSet, settings: Settings) -> str | None:
    """The direction of a set that came from side-by-side pictures and was not read as labels; else None."""
    if data.manifest.get("layout") != "pairs" or data.classes is not None:
        return None
    direction = str(data.manifest.get("options", {}).get("direction", "AtoB"))
    if settings.input.array == "photo":  # the other half is what is shown
        return "BtoA" if direction == "AtoB" else "AtoB"
    return direction


def validation_split(data: PreparedSet, arrays: Iterable[str]) -> Split:
    """The first of val, test and train that has these arrays (Cityscapes' test labels come without photos)."""
    names = [name for name in SPLIT_ORDER if name in data.splits]
    return next(data.splits[name] for name in names if set(arrays) <= data.splits[name].arrays.keys())


def _say_validation(data: PreparedSet, split: Split) -> None:
    if split.name == "val":
        return
    why = "has no split val" if "val" not in data.splits else "has a split val without all that a validation needs"
    what = "the training pictures themselves" if split.name == "train" else f"the split {split.name}"
    say(f"{data.name} {why}: validating on {what}")


def rows_to_show(split: Split, wanted: int = SHEET_ROWS) -> list[int]:
    """Pictures for a sheet, always the same: of as many scenes as there are, evenly chosen; frames of one far apart."""
    sequences = list(split.sequences().values())
    inside = {index for sequence in sequences for index in sequence}
    scenes = sorted([*sequences, *(range(i, i + 1) for i in range(len(split)) if i not in inside)], key=lambda s: s[0])
    scenes = [scenes[i] for i in evenly(len(scenes), wanted)]
    most = [1 + (len(scene) - 1) // FRAMES_APART for scene in scenes]
    counts = [1] * len(scenes)
    while sum(counts) < wanted and counts != most:
        fewest = min((i for i in range(len(scenes)) if counts[i] < most[i]), key=lambda i: counts[i])
        counts[fewest] += 1
    return [scene[i] for scene, count in zip(scenes, counts, strict=True) for i in evenly(len(scene), count)]
