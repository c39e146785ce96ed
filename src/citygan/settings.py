"""Settings as dataclasses: their names, defaults, meanings and ranges. `citygan.config` resolves them."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from citygan.companionsettings import DnedSettings, EdgeSettings, FeatureSettings, VideoSettings
from citygan.ranges import check


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """What the generator, and with it the discriminator, is shown."""

    array: Literal["auto", "label", "source", "photo"] = "auto"
    """Label maps, the set's source pictures, or its photos; `auto`: label maps where there are any, or else source."""
    encoding: Literal["colour", "onehot", "lightness", "hole"] = "colour"
    """`colour`: pictures as they are, label maps in their class colours, as in pix2pix; `onehot`: one channel a class;
    `lightness`: L of Lab alone; `hole`: pictures without their centre."""
    instance_edges: bool = False
    """Adds a channel with the boundaries between instances (the set must have instance maps)."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What the generator paints."""

    array: Literal["photo", "label", "source"] = "photo"
    """Photos, label maps, or the set's source pictures."""
    encoding: Literal["colour", "ab"] = "colour"
    """`colour`: pictures, label maps in their class colours; `ab`: a and b of Lab, beside the L of the input."""


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Random changes of the training pictures (pix2pix, section 6.2; the Cityscapes study, sections II.C.4 and V)."""

    jitter: float = 286 / 256
    """Pictures are enlarged by this factor and cropped back at random; 1 is off."""
    mirror: bool = True
    """Pictures are mirrored left to right half of the time."""
    scale_min: float = 1.0
    """Smallest factor of the random scale of each picture, before its crop; with segmenters it may be below 1: void
    fills what is missing."""
    scale_max: float = 1.0
    """Its largest factor."""
    crop: int | None = None
    """Segmenters: side of the random crops; null: as large as the pictures are."""
    class_crops: int = 1
    """Crops drawn of each picture, with a scale each; that one is taken which shows most of one of its classes, drawn
    by rarity. 1 is off."""
    brightness: float = 0.0
    """Colour jitter, as torchvision's: colours times a factor that differs from 1 by at most this; 0 is off."""
    contrast: float = 0.0
    """Likewise the distance of colours from the picture's mean grey."""
    saturation: float = 0.0
    """Likewise their distance from their own grey."""
    hue: float = 0.0
    """Colour jitter: hues are turned by at most this share of the colour circle; 0 is off."""
    colour_of: Literal["photo", "both"] = "photo"
    """What colour jitter changes: the photo alone, or the generator's input with it, by the same factors."""
    gain: float = 0.0
    """The photo's light: colours times a factor from 1/(1 + this) to 1 + this; 0 is off."""
    bias: float = 0.0
    """The photo's light: at most this share of white is added or taken away; 0 is off."""
    gamma: float = 0.0
    """The photo's light: colours to a power from 1/(1 + this) to 1 + this; 0 is off."""

    def __post_init__(self) -> None:
        ordered = 0.1 <= self.scale_min <= self.scale_max <= 8.0
        factors = ("brightness", "contrast", "saturation", "gain", "bias", "gamma")
        room = self.jitter > 1.0 or self.scale_max > 1.0 or self.crop is not None
        check(
            (1.0 <= self.jitter <= 4.0, "augment.jitter", self.jitter, "from 1 (off) to 4"),
            (ordered, "augment.scale_min", self.scale_min, "from 0.1 to augment.scale_max, and that to 8"),
            (self.jitter == 1.0 or not self.scales, "augment.jitter", self.jitter, "1 with a random scale or crop"),
            (self.crop is None or self.crop >= 8, "augment.crop", self.crop, "at least 8, or null"),
            (1 <= self.class_crops <= 64, "augment.class_crops", self.class_crops, "from 1 (off) to 64"),
            (
                room or self.class_crops == 1,
                "augment.class_crops",
                self.class_crops,
                "1 where nothing is cropped (augment.jitter and augment.scale_max are 1)",
            ),
            *((0 <= (v := getattr(self, key)) <= 1, f"augment.{key}", v, "from 0 (off) to 1") for key in factors),
            (0 <= self.hue <= 0.5, "augment.hue", self.hue, "from 0 (off) to 0.5"),
        )

    @property
    def scales(self) -> bool:
        """Whether pictures are scaled at random, or cropped smaller than they are."""
        return (self.scale_min, self.scale_max, self.crop) != (1.0, 1.0, None)


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
    dropout_place: Literal["innermost", "behind"] = "innermost"
    """U-Net: the three innermost decoder layers (pix2pix, section 6.1.1), or those behind the innermost that are as
    wide as it, as in the public PyTorch code."""
    skips: bool = True
    """U-Net: whether the decoder sees the encoder's maps; false is the encoder-decoder (pix2pix, section 4.3)."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """U-Net, ResNet and local enhancer: the norm behind most convolutions."""
    upsample: Literal["transposed", "nearest", "bilinear"] = "transposed"
    """U-Nets: transposed convolutions as in the paper, or a resize of that kind and a 3x3 convolution."""
    blocks: int = 9
    """ResNet and local enhancer: residual blocks; the published ones have 6 or 9."""
    halvings: int | None = None
    """ResNet and local enhancer: times the picture is halved before these blocks; null: 2 and 4, as published."""
    enhancers: int = 1
    """Local enhancer: those behind the global generator, each of which doubles the size."""
    local_blocks: int = 3
    """Local enhancer: residual blocks of each."""
    global_share: float = 0.0
    """Local enhancer: share of the steps in which the global generator learns alone, from smaller pictures."""
    local_share: float = 0.0
    """Local enhancer: share of the steps behind these in which the enhancers learn and the global generator rests."""
    backbone: Literal["resnet50", "resnet101"] = "resnet50"
    """DeepLabV3: the trunk."""

    def __post_init__(self) -> None:
        check(
            (1 <= self.width <= 1024, "generator.width", self.width, "from 1 to 1024"),
            (self.depth is None or 4 <= self.depth <= 12, "generator.depth", self.depth, "from 4 to 12, or null"),
            (0.0 <= self.dropout < 1.0, "generator.dropout", self.dropout, "from 0 to below 1"),
            (1 <= self.blocks <= 64, "generator.blocks", self.blocks, "from 1 to 64"),
            (
                self.halvings is None or 1 <= self.halvings <= 8,
                "generator.halvings",
                self.halvings,
                "from 1 to 8, or null",
            ),
            (1 <= self.enhancers <= 4, "generator.enhancers", self.enhancers, "from 1 to 4"),
            (1 <= self.local_blocks <= 64, "generator.local_blocks", self.local_blocks, "from 1 to 64"),
            (0.0 <= self.global_share < 1.0, "generator.global_share", self.global_share, "from 0 to below 1"),
            (
                0.0 <= self.local_share < 1.0 - self.global_share,
                "generator.local_share",
                self.local_share,
                f"from 0 to below {1.0 - self.global_share:g}, what generator.global_share leaves",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """The network that judges."""

    name: str = "patchgan"
    """A row of `citygan.models.DISCRIMINATORS`."""
    width: int = 64
    """Filters of the first layer."""
    receptive_field: int = 70
    """PatchGANs: side in pixels of the patch that one output sees: 16, 70 or 286 (pix2pix, section 6.1.2), or
    34, 142, 574."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """All but ResNet-18: the norm behind all convolutions but the first and the last."""
    scales: int = 3
    """Multi-scale: levels of the picture pyramid, each with a PatchGAN of its own."""
    conditional: bool = True
    """Whether it sees the generator's input beside the photo (pix2pix, equations 1 and 2)."""
    shared_pass: bool = False
    """pix2pix: judge the fake once for both updates, the generator's first: a little faster, but not the paper's order.
    The recipe of pix2pixHD and S-Flow GAN always does, as pix2pixHD's code."""

    def __post_init__(self) -> None:
        field = self.receptive_field
        check(
            (1 <= self.width <= 1024, "discriminator.width", self.width, "from 1 to 1024"),
            (
                field in (16, 34, 70, 142, 286, 574),
                "discriminator.receptive_field",
                field,
                "one of 16, 34, 70, 142, 286, 574 (1x1 is discriminator.name=pixelgan)",
            ),
            (1 <= self.scales <= 8, "discriminator.scales", self.scales, "from 1 to 8"),
        )


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """The network that tells classes, of the recipe `segmenter`; null is the network's own default."""

    name: str = "unet-seg"
    """A row of `citygan.models.SEGMENTERS`."""
    width: int | None = None
    """U-Net and FCN-8s: filters of the first stage."""
    depth: int | None = None
    """U-Net: times the photo is halved."""
    backbone: Literal["resnet18", "resnet50", "resnet101"] | None = None
    """DeepLabV3 and PSPNet: the trunk."""
    enlarge: str | None = None
    """WIDTHxHEIGHT that photos are enlarged to before the network, as pix2pix's FCN-score does (2048x1024)."""

    def __post_init__(self) -> None:
        size = self.enlarge is None or re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", self.enlarge) is not None
        check(
            (self.width is None or 1 <= self.width <= 1024, "segmenter.width", self.width, "from 1 to 1024, or null"),
            (self.depth is None or 1 <= self.depth <= 12, "segmenter.depth", self.depth, "from 1 to 12, or null"),
            (size, "segmenter.enlarge", self.enlarge, "WIDTHxHEIGHT, or null"),
        )

    @property
    def enlarged(self) -> tuple[int, int] | None:
        """(width, height) of `enlarge`."""
        if self.enlarge is None:
            return None
        width, height = self.enlarge.split("x")
        return int(width), int(height)


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The terms of the generator's objective and their weights (pix2pix, equation 4)."""

    lambda_gan: float = 1.0
    """Weight of the adversarial term; 0 leaves the discriminator out."""
    lambda_l1: float = 100.0
    """Weight of the difference to the real picture, whichever `reconstruction` names."""
    adversarial: str = "cross-entropy"
    """A row of `citygan.losses.ADVERSARIAL`: how the discriminator judges and the generator fools it."""
    reconstruction: Literal["l1", "mse", "none"] = "l1"
    """The difference to the real picture: mean absolute (pix2pix, equation 3), mean squared, or none."""
    lambda_fm: float = 0.0
    """S-Flow GAN, pix2pixHD: weight of feature matching (S-Flow GAN, equation 5)."""
    fm_weights: Literal["published", "equation"] = "published"
    """Of its layers: as in pix2pixHD's code, the mean over scales, or all added as in equations 5 and 7."""
    lambda_vgg: float = 0.0
    """S-Flow GAN, pix2pixHD: weight of the perceptual loss (equation 6), which looks with VGG-19; 0 leaves it out."""
    vgg_weights: Literal["published", "equation"] = "published"
    """Of its slices: 1/32 to 1 as in pix2pixHD's code, or all alike as in equation 6."""
    lambda_dned: float = 1.0
    """S-Flow GAN: weight of the edge network's own loss (equation 4)."""
    lambda_flow: float = 0.0
    """Pairs of frames: weight of the difference in pixels of the flow of the fake pair to that of the real (equation
    8)."""
    lambda_warp: float = 0.0
    """Pairs of frames: weight of the difference of a fake frame to the next one, warped to it by the real flow."""

    def __post_init__(self) -> None:
        weights = (self.lambda_gan, self.lambda_l1, self.lambda_vgg)
        alone = self.reconstruction == "none" and self.lambda_gan == 0 and self.lambda_vgg == 0 and self.lambda_l1 > 0
        names = ("gan", "l1", "fm", "vgg", "dned", "flow", "warp")
        check(
            *(
                (
                    0.0 <= (v := getattr(self, f"lambda_{name}")) < math.inf,
                    f"losses.lambda_{name}",
                    v,
                    "a finite number from 0",
                )
                for name in names
            ),
            (weights != (0, 0, 0), "losses", "all weights 0", "one of lambda_gan, lambda_l1 and lambda_vgg above 0"),
            (
                self.lambda_fm == 0 or self.lambda_gan > 0,
                "losses.lambda_fm",
                self.lambda_fm,
                "0 with lambda_gan 0: what would be matched is the discriminator's",
            ),
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
    vgg19: str | None = None
    """Of VGG-19, which the perceptual loss looks with; likewise."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam, for both networks (pix2pix, section 3.3); segmenters may take SGD."""

    name: Literal["adam", "sgd"] = "adam"
    """Adam, or stochastic gradient descent with momentum."""
    rate: float = 2e-4
    """Learning rate."""
    beta1: float = 0.5
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    momentum: float = 0.9
    """SGD: the share of the last steps' direction that is kept."""
    weight_decay: float = 0.0
    """Of SGD, and added to the gradient by Adam too."""
    schedule: Literal["constant", "linear", "poly"] = "constant"
    """`constant` as in the paper; `linear`: constant, then down to 0 over the last `decay_share` of the steps; `poly`:
    (1 - step/steps)^`power`."""
    power: float = 0.9
    """Of the schedule `poly`."""
    decay_share: float = 0.5
    """Share of the steps over which `linear` falls."""

    def __post_init__(self) -> None:
        check(
            (0.0 < self.rate < 1.0, "optimizer.rate", self.rate, "above 0 and below 1"),
            (0.0 <= self.beta1 < 1.0, "optimizer.beta1", self.beta1, "from 0 to below 1"),
            (0.0 <= self.beta2 < 1.0, "optimizer.beta2", self.beta2, "from 0 to below 1"),
            (0.0 <= self.momentum < 1.0, "optimizer.momentum", self.momentum, "from 0 to below 1"),
            (0.0 <= self.weight_decay < 1.0, "optimizer.weight_decay", self.weight_decay, "from 0 to below 1"),
            (0.0 < self.power <= 10.0, "optimizer.power", self.power, "above 0 to 10"),
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
        check(
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
    """A run or checkpoint whose weights to start from."""
    seed: int = 0
    """Decides the weights at the start, the order of the pictures, jitter and dropout."""
    quick: bool = False
    """Whether the preset's small, short form is used."""
    inference: Literal["auto", "paper", "running", "deterministic"] = "auto"
    """At test time: `paper`: dropout and each picture's own statistics (pix2pix, section 3.3); `running`: dropout and
    the running statistics; `deterministic`: these without dropout; `auto`: `paper` at batch 1, else `running`."""
    input: InputSettings = field(default_factory=InputSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    edges: EdgeSettings = field(default_factory=EdgeSettings)
    dned: DnedSettings = field(default_factory=DnedSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    discriminator: DiscriminatorSettings = field(default_factory=DiscriminatorSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        check((0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1"))

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @property
    def inference_mode(self) -> str:
        """`inference` with `auto` decided."""
        return self.inference if self.inference != "auto" else "paper" if self.train.batch == 1 else "running"
