"""Settings: frozen, typed, checked, and resolved in one place from defaults, preset, file and flags.

`resolve` merges layers of nested mappings in order, tells every unknown key, wrong type and value out of range at
once, and remembers where each value came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from citygan.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """What the generator, and with it the discriminator, is shown of a label map."""

    array: Literal["auto", "label", "source"] = "auto"
    """Label maps or the set's source pictures; `auto`: label maps where there are any."""
    encoding: Literal["colour", "onehot"] = "colour"
    """`colour`: the class colours as a picture, as in pix2pix; `onehot`: one channel a class."""
    instance_edges: bool = False
    """Adds a channel with the boundaries between instances (the set must have instance maps)."""


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Random changes of the training pictures (pix2pix, section 6.2)."""

    jitter: float = 286 / 256
    """Pictures are enlarged by this factor and cropped back at random; 1 is off."""
    mirror: bool = True
    """Pictures are mirrored left to right half of the time."""

    def __post_init__(self) -> None:
        _check((1.0 <= self.jitter <= 4.0, "augment.jitter", self.jitter, "from 1 (off) to 4"))


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """The network that paints."""

    name: str = "unet"
    """A row of `citygan.models.GENERATORS`."""
    width: int = 64
    """Filters of the first layer."""
    depth: int | None = None
    """Times the picture is halved; null: as often as its sides allow, at most 8 (pix2pix, section 6.1.1)."""
    dropout: float = 0.5
    """Rate in the three innermost decoder layers, in ResNets in each block; 0 is off."""
    skips: bool = True
    """U-Net: whether the decoder sees the encoder's maps; false is the encoder-decoder (pix2pix, section 4.3)."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """U-Net and ResNet: the norm behind most convolutions."""
    upsample: Literal["transposed", "nearest", "bilinear"] = "transposed"
    """U-Nets: transposed convolutions as in the paper, or a resize of that kind and a 3x3 convolution."""
    blocks: int = 9
    """ResNet: residual blocks; the published ones have 6 or 9."""
    backbone: Literal["resnet50", "resnet101"] = "resnet50"
    """DeepLabV3: the trunk."""

    def __post_init__(self) -> None:
        _check(
            (1 <= self.width <= 1024, "generator.width", self.width, "from 1 to 1024"),
            (self.depth is None or 4 <= self.depth <= 12, "generator.depth", self.depth, "from 4 to 12, or null"),
            (0.0 <= self.dropout < 1.0, "generator.dropout", self.dropout, "from 0 to below 1"),
            (1 <= self.blocks <= 64, "generator.blocks", self.blocks, "from 1 to 64"),
        )


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """The network that judges."""

    name: str = "patchgan"
    """A row of `citygan.models.DISCRIMINATORS`."""
    width: int = 64
    """Filters of the first layer."""
    receptive_field: int = 70
    """PatchGAN: side in pixels of the patch that one output sees: 16, 70 or 286 (pix2pix, section 6.1.2), or
    34, 142, 574."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """PatchGAN and PixelGAN: the norm behind all convolutions but the first and the last."""
    conditional: bool = True
    """Whether it sees the generator's input beside the photo (pix2pix, equations 1 and 2)."""
    shared_pass: bool = False
    """Judge the fake once for both updates, the generator's first: a little faster, but not the paper's order."""

    def __post_init__(self) -> None:
        field = self.receptive_field
        _check(
            (1 <= self.width <= 1024, "discriminator.width", self.width, "from 1 to 1024"),
            (
                field in (16, 34, 70, 142, 286, 574),
                "discriminator.receptive_field",
                field,
                "one of 16, 34, 70, 142, 286, 574 (1x1 is discriminator.name=pixelgan)",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The terms of the generator's objective and their weights (pix2pix, equation 4)."""

    lambda_gan: float = 1.0
    """Weight of the adversarial term; 0 leaves the discriminator out."""
    lambda_l1: float = 100.0
    """Weight of the difference to the real photo, whichever `reconstruction` names."""
    adversarial: str = "cross-entropy"
    """A row of `citygan.losses.ADVERSARIAL`: how the discriminator judges and the generator fools it."""
    reconstruction: Literal["l1", "mse", "none"] = "l1"
    """The difference to the real photo: mean absolute (pix2pix, equation 3), mean squared, or none."""

    def __post_init__(self) -> None:
        weights = (self.lambda_gan, self.lambda_l1)
        alone = self.reconstruction == "none" and self.lambda_gan == 0 and self.lambda_l1 > 0
        _check(
            (0.0 <= self.lambda_gan < math.inf, "losses.lambda_gan", self.lambda_gan, "a finite number from 0"),
            (0.0 <= self.lambda_l1 < math.inf, "losses.lambda_l1", self.lambda_l1, "a finite number from 0"),
            (weights != (0, 0), "losses", "all weights 0", "at least one of lambda_gan and lambda_l1 above 0"),
            (not alone, "losses.reconstruction", "none", "l1 or mse with lambda_gan 0"),
        )


@dataclass(frozen=True, kw_only=True)
class WeightsSettings:
    """Published weights for the trunks of those networks that have one.

    Each is null (torchvision's file, in `TORCH_HOME`), a path, or the word `random`.
    """

    resnet18: str | None = None
    """Of ResNet-18: null is torchvision's file, in `TORCH_HOME`; or a path; or `random`."""
    resnet50: str | None = None
    """Of ResNet-50; likewise."""
    resnet101: str | None = None
    """Of ResNet-101; likewise."""
    deeplabv3_resnet50: str | None = None
    """Of DeepLabV3 on ResNet-50; likewise."""
    deeplabv3_resnet101: str | None = None
    """Of DeepLabV3 on ResNet-101; likewise."""
    vgg16: str | None = None
    """Of VGG-16; likewise."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam, for both networks (pix2pix, section 3.3)."""

    rate: float = 2e-4
    """Learning rate."""
    beta1: float = 0.5
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    schedule: Literal["constant", "linear"] = "constant"
    """`constant` as in the paper; `linear`: constant, then down to 0 over the last `decay_share` of the steps."""
    decay_share: float = 0.5
    """Share of the steps over which `linear` falls."""

    def __post_init__(self) -> None:
        _check(
            (0.0 < self.rate < 1.0, "optimizer.rate", self.rate, "above 0 and below 1"),
            (0.0 <= self.beta1 < 1.0, "optimizer.beta1", self.beta1, "from 0 to below 1"),
            (0.0 <= self.beta2 < 1.0, "optimizer.beta2", self.beta2, "from 0 to below 1"),
            (0.0 < self.decay_share <= 1.0, "optimizer.decay_share", self.decay_share, "above 0 to 1"),
        )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long and how the engine trains."""

    epochs: float = 200.0
    """Times every picture is seen; used where `steps` is null."""
    steps: int | None = None
    """Steps in all; goes before `epochs`."""
    batch: int = 1
    """Pictures a step on each device."""
    accumulate: int = 1
    """Parts into which a step's batch is cut to save memory; gradients are averaged, batch norm sees each by itself."""
    precision: Literal["float32", "bf16"] = "float32"
    """Arithmetic of the networks; weights and losses stay float32."""
    channels_last: bool = True
    """Memory layout; faster nearly everywhere, same arithmetic."""
    compile: bool = False
    """Compile the networks (`torch.compile`): slow to start, then faster for narrow ones."""
    cuda_graphs: bool = False
    """Record a step once and replay it, which saves its launches (CUDA, no accumulation, one device)."""
    ema: float = 0.0
    """Decay of the exponential moving average of the generator, which then translates; early on it is
    (1 + step) / (10 + step); 0 is off."""
    log_every_steps: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every_steps: int = 1000
    """Steps between sample sheets."""
    checkpoint_every_steps: int = 1000
    """Steps between checkpoints, each validated."""
    tensorboard: bool = False
    """Write the log for TensorBoard too, into the run's folder (needs the extra `tensorboard`)."""
    validation_pictures: int = 50
    """Pictures of the validation split that give a checkpoint its score, evenly chosen."""

    def __post_init__(self) -> None:
        divides = self.accumulate < 1 or self.batch % self.accumulate == 0
        whole = self.accumulate <= 1 or not self.cuda_graphs
        every = ("log_every_steps", "sample_every_steps", "checkpoint_every_steps", "validation_pictures")
        _check(
            (0 < self.epochs < math.inf, "train.epochs", self.epochs, "above 0"),
            (self.steps is None or self.steps >= 1, "train.steps", self.steps, "at least 1, or null"),
            (self.batch >= 1, "train.batch", self.batch, "at least 1"),
            (self.accumulate >= 1, "train.accumulate", self.accumulate, "at least 1"),
            (divides, "train.accumulate", self.accumulate, f"a divisor of train.batch ({self.batch})"),
            (whole, "train.cuda_graphs", True, "false with train.accumulate"),
            (0.0 <= self.ema < 1.0, "train.ema", self.ema, "from 0 to below 1"),
            *((getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "at least 1") for name in every),
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides what a run learns. Saved as `config.yaml`; `train --config` on it repeats the run."""

    model: str = "pix2pix"
    """The named model this started from (`citygan models`)."""
    recipe: str = "pix2pix"
    """A row of `citygan.recipes.RECIPES`: which networks learn from which losses, in which order."""
    data: str | None = None
    """The prepared set; null: the last one."""
    init: str | None = None
    """A run, checkpoint or file of public weights to start from."""
    seed: int = 0
    """Decides the weights at the start, the order of the pictures, jitter and dropout."""
    quick: bool = False
    """Whether the preset's small, short form is used."""
    inference: Literal["auto", "paper", "running", "deterministic"] = "auto"
    """At test time: `paper`: dropout and each picture's own statistics (pix2pix, section 3.3); `running`: dropout and
    the running statistics; `deterministic`: these without dropout; `auto`: `paper` at batch 1, else `running`."""
    input: InputSettings = field(default_factory=InputSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    discriminator: DiscriminatorSettings = field(default_factory=DiscriminatorSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        _check((0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1"))

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @property
    def inference_mode(self) -> str:
        """`inference` with `auto` decided."""
        return self.inference if self.inference != "auto" else "paper" if self.train.batch == 1 else "running"


class _Problem(ValueError):
    """A value of the wrong type."""


class _OutOfRange(ValueError):
    """Values outside their ranges: (key, what is wrong) of each."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))
        self.problems = problems


def _check(*rows: tuple[bool, str, object, str]) -> None:
    """Refuses all that does not hold at once: (whether it holds, key, value, what is expected)."""
    problems = [(key, f"expected {expected}, got {value}") for holds, key, value, expected in rows if not holds]
    if problems:
        raise _OutOfRange(problems)


@dataclass(frozen=True)
class Layer:
    """Nested settings from one place. `lines` gives the line of each key where the place is a file."""

    origin: str
    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def where(self, path: tuple[str, ...]) -> str:
        return f"{self.origin}:{self.lines[path]}" if path in self.lines else self.origin


def resolve(layers: Sequence[Layer]) -> tuple[Settings, dict[str, str]]:
    """Merges layers, later ones over earlier ones.

    Returns:
        The settings, and for every dotted key the origin of its value (`default` where no layer names it).

    Raises:
        UsageError: Unknown keys (with the nearest known), wrong types, values out of range: all of them at once.
    """
    problems: list[str] = []
    chosen: dict[tuple[str, ...], Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    known = dict(_fields(Settings))
    for layer in layers:
        for path, value in _flatten(layer.values, known):
            if path not in known:
                near = _nearest(path, known)
                hint = f" (did you mean {near[0]}?)" if near else ""
                if any("." in part for part in path):
                    hint = " (write the part after the dot on a line of its own, indented below the part before it)"
                problems.append(f"{layer.where(path)}: unknown setting {'.'.join(path)}{hint}")
                continue
            try:
                chosen[path] = _convert(value, known[path])
                origins[path] = layer.where(path)
            except _Problem as problem:
                problems.append(f"{layer.where(path)}: {'.'.join(path)}: {problem}")
    settings = _build(Settings, (), chosen, origins, problems)
    if problems:
        more = "; ".join(problems)
        raise UsageError(more, hint="citygan train --dry-run shows every setting and where it comes from")
    assert isinstance(settings, Settings)
    return settings, {".".join(path): origins.get(path, "default") for path in known}


def _nearest(path: tuple[str, ...], known: Iterable[tuple[str, ...]]) -> list[str]:
    """The known key most like an unknown one: its own last word in another group, or else the nearest spelling."""
    names = {".".join(p): p for p in known}
    same = [name for name, p in names.items() if p[-1] == path[-1]]
    return same or difflib.get_close_matches(".".join(path), names, n=1, cutoff=0.5)


def from_flag(text: str) -> dict[str, Any]:
    """The nested form of one ``--set KEY=VALUE``.

    Raises:
        UsageError: No ``=``, or nothing before it.
    """
    from citygan.yamlfile import scalar

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"expected KEY=VALUE, got '{text}'", where="--set", hint="For example --set train.batch=4")
    nested: Any = scalar(value.strip())
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    result: dict[str, Any] = nested
    return result


def _fields(kind: type, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    hints = typing.get_type_hints(kind)
    result: list[tuple[tuple[str, ...], Any]] = []
    for item in dataclasses.fields(kind):
        inner = hints[item.name]
        if dataclasses.is_dataclass(inner):
            assert isinstance(inner, type)
            result += _fields(inner, (*path, item.name))
        else:
            result.append(((*path, item.name), inner))
    return result


def _flatten(
    values: Mapping[str, Any], known: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    result: list[tuple[tuple[str, ...], Any]] = []
    for key, value in values.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and here not in known:
            result += _flatten(value, known, here)
        else:
            result.append((here, value))
    return result


def _convert(value: Any, kind: Any) -> Any:
    """Checks and converts one value; whole numbers are taken for fractions, nothing else is bent."""
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    for option in options:
        if typing.get_origin(option) is Literal and isinstance(value, str) and value in typing.get_args(option):
            return value
        if option is type(None) and value is None:
            return None
        if option is bool and isinstance(value, bool):
            return value
        if option is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise _Problem(f"expected a finite number, got {value}")
            return float(value)
        if option is str and isinstance(value, str):
            return value
    raise _Problem(f"expected {_describe(kind)}, got {value!r}")


def _describe(kind: Any) -> str:
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", type(None): "null"}
    parts = [
        "one of " + ", ".join(typing.get_args(option))
        if typing.get_origin(option) is Literal
        else words.get(option, str(option))
        for option in options
    ]
    return " or ".join(parts)


def _build(
    kind: type,
    path: tuple[str, ...],
    chosen: Mapping[tuple[str, ...], Any],
    origins: Mapping[tuple[str, ...], str],
    problems: list[str],
) -> Any:
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        here = (*path, item.name)
        if dataclasses.is_dataclass(hints[item.name]):
            inner = hints[item.name]
            assert isinstance(inner, type)
            arguments[item.name] = _build(inner, here, chosen, origins, problems)
        elif here in chosen:
            arguments[item.name] = chosen[here]
    try:
        return kind(**arguments)
    except _OutOfRange as out:
        for key, problem in out.problems:
            problems.append(f"{_origin(key, origins)}: {key}: {problem}")
        return kind()


def _origin(key: str, origins: Mapping[tuple[str, ...], str]) -> str:
    """Where a key's value comes from; of a group, where the first of its values does that is not a default."""
    path = tuple(key.split("."))
    return next((origin for known, origin in origins.items() if known[: len(path)] == path), "settings")
