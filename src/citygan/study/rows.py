"""The studies: each a table of a paper, its rows presets with overrides, its columns metrics.

A new study is an entry of `STUDIES`, a new row of one a `Row`: a preset and what differs from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from citygan.errors import UsageError, did_you_mean
from citygan.presets import PLAIN
from citygan.study.parts import REAL_OR_FAKE, Column, Row, Study
from citygan.study.sflow import SFLOW

FCN = (
    Column("per-pixel acc.", "fcn-score", ("pixel_accuracy",), paper="pixel_accuracy"),
    Column("per-class acc.", "fcn-score", ("class_accuracy",), paper="class_accuracy"),
    Column("class IoU", "fcn-score", ("class_iou", "mean"), paper="class_iou"),
)
LIKENESS = (Column("SSIM", "ssim"), Column("PSNR [dB]", "psnr"), Column("LPIPS", "lpips"))
COLOUR = (Column("colour", "colour"),)
SPLITS: tuple[tuple[Literal["train", "val", "test"], str], ...] = (
    ("train", "train"), ("val", "validation"), ("test", "test"),
)  # fmt: skip
THREE_SPLITS = (
    *(Column(f"SSIM {title}", "ssim", split=split, paper=split) for split, title in SPLITS),
    *(Column(f"PSNR {title} [dB]", "psnr", split=split) for split, title in SPLITS),
    *(Column(f"LPIPS {title}", "lpips", split=split) for split, title in SPLITS),
)

L1_ALONE: Mapping[str, Any] = {"losses": {"lambda_gan": 0.0}}
GAN_ALONE: Mapping[str, Any] = {"losses": {"lambda_l1": 0.0}}
BLIND: Mapping[str, Any] = {"discriminator": {"conditional": False}}
MIRROR: Mapping[str, Any] = {"jitter": 1.0, "mirror": True}
# the paper tells no values: what albumentations' ColorJitter, popular with pix2pix, long had by default
STUDY_COLOURS: Mapping[str, Any] = {
    "augment": {**MIRROR, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.2, "colour_of": "both"}
}
LIGHT: Mapping[str, Any] = {"gain": 0.1, "bias": 0.05, "gamma": 0.1}
SCALES: Mapping[str, Any] = {**MIRROR, "scale_max": 1.5}
BATCH: Mapping[str, Any] = {"train": {"batch": 10}}
PIXEL: Mapping[str, Any] = {"discriminator": {"name": "pixelgan"}}
ENCODER_DECODER: Mapping[str, Any] = {"generator": {"skips": False}}
BASELINE = "Baseline Model"
PAINTER = "photo-to-labels"
BLUR = "SSIM and PSNR reward blur: painting each class in its mean colour is a row of its own"
CITYSCAPES_STUDY = "Ortega Pinto and Romero Romero"

# the segmenter that judges where none is named: pix2pix's own, and in the quick form one that needs nothing fetched
JUDGE = Row("segmenter", "Segmenter", "fcn8s")
QUICK_JUDGE = Row("segmenter", "Segmenter", "unet-seg")


def field_of(size: int) -> Mapping[str, Any]:
    """A PatchGAN of that receptive field."""
    return {"discriminator": {"receptive_field": size}}


_ALL = (
    Study(
        name="pix2pix-losses",
        title="The losses of pix2pix",
        source="pix2pix, section 4.2",
        table="pix2pix-table-1",
        rows=(
            Row("l1", "L1", overrides=L1_ALONE, paper="L1", cost=0.6),
            Row("gan", "GAN", overrides={**GAN_ALONE, **BLIND}, paper="GAN"),
            Row("cgan", "cGAN", overrides=GAN_ALONE, paper="cGAN"),
            Row("l1-gan", "L1+GAN", overrides=BLIND, paper="L1+GAN"),
            Row("l1-cgan", "L1+cGAN", paper="L1+cGAN"),
            Row("photos", "Ground truth", paper="Ground truth", reference=True),
        ),
        columns=(*FCN, *LIKENESS, *COLOUR),
        notes=(BLUR,),
    ),
    Study(
        name="pix2pix-generators",
        title="The generators of pix2pix, batch 10",
        source="pix2pix, section 4.3",
        table="pix2pix-table-2",
        rows=(
            Row("encoder-decoder-l1", "Encoder-decoder (L1)", overrides={**ENCODER_DECODER, **L1_ALONE, **BATCH},
                paper="Encoder-decoder (L1)", cost=0.6),
            Row("encoder-decoder-l1-cgan", "Encoder-decoder (L1+cGAN)", overrides={**ENCODER_DECODER, **BATCH},
                paper="Encoder-decoder (L1+cGAN)"),
            Row("unet-l1", "U-net (L1)", overrides={**L1_ALONE, **BATCH}, paper="U-net (L1)", cost=0.6),
            Row("unet-l1-cgan", "U-net (L1+cGAN)", overrides=BATCH, paper="U-net (L1+cGAN)"),
        ),
        columns=(*FCN, *LIKENESS, *COLOUR),
        notes=(
            BLUR,
            "Trained with batch 10, so translated with running statistics",
            "The paper's networks have a batch norm on the bottleneck too, which has ten values a channel to go by at "
            "batch 10 (its errata are about batch 1). The public code leaves that one out, and so do these",
        ),
    ),
    Study(
        name="pix2pix-receptive-fields",
        title="The receptive fields of pix2pix's discriminator",
        source="pix2pix, section 4.4",
        table="pix2pix-table-3",
        rows=(
            Row("field-1", "1x1", overrides=PIXEL, paper="1x1"),
            Row("field-16", "16x16", overrides=field_of(16), paper="16x16"),
            Row("field-70", "70x70", overrides=field_of(70), paper="70x70"),
            Row("field-286", "286x286", overrides=field_of(286), paper="286x286"),
        ),
        columns=(*FCN, *LIKENESS, *COLOUR),
        notes=(BLUR,),
    ),
    Study(
        name="photo-to-labels",
        title="Photo to labels, by pix2pix",
        source="pix2pix, section 4.6",
        table="pix2pix-table-6",
        rows=(
            Row("l1", "L1", PAINTER, overrides=L1_ALONE, paper="L1", cost=0.6),
            Row("cgan", "cGAN", PAINTER, overrides=GAN_ALONE, paper="cGAN"),
            Row("l1-cgan", "L1+cGAN", PAINTER, paper="L1+cGAN"),
        ),
        columns=(
            Column("per-pixel acc.", "miou", ("pixel_accuracy",), paper="pixel_accuracy"),
            Column("per-class acc.", "miou", ("class_accuracy",), paper="class_accuracy"),
            Column("class IoU", "miou", paper="class_iou"),
        ),
        notes=(
            "Each pixel is of the class whose colour is nearest, never void; true void is not scored",
            "A class that is nowhere leaves the means; pix2pix's own figures count it 0",
        ),
        painting="most frequent class of each pixel",
    ),
    Study(
        name="colour",
        title="Colours of pix2pix",
        source="pix2pix, section 4.2",
        table="pix2pix-figure-7",
        rows=(
            Row("l1", "L1", overrides=L1_ALONE, paper="L1", cost=0.6),
            Row("cgan", "cGAN", overrides=GAN_ALONE, paper="cGAN"),
            Row("l1-cgan", "L1+cGAN", paper="L1+cGAN"),
            Row("pixelgan", "PixelGAN", overrides=PIXEL, paper="PixelGAN"),
        ),
        columns=(
            *(Column(f"intersection {part}", "colour", (part,), paper=part) for part in ("L", "a", "b")),
            *COLOUR,
        ),
        notes=("The last column is the mean of L, a and b",),
    ),
    Study(
        name="cityscapes-ssim",
        title="The models of the Cityscapes study",
        source=f"{CITYSCAPES_STUDY}, section III",
        table="cityscapes-table-1",
        rows=(
            Row("baseline", BASELINE, overrides=PLAIN, paper=BASELINE),
            Row("baseline-mse", "Baseline Model with MSE", "pix2pix-mse", paper="Baseline Model with MSE"),
            Row("deeplab", "Pre-trained from pytorch", "pix2pix-deeplab", paper="Pre-trained from pytorch", cost=2.1),
            Row("literature", "Pre-trained from literature", "pix2pix-finetune", paper="Pre-trained from literature",
                from_weights=True),
            Row("enhanced", "Enhanced baseline model", "enhanced", paper="Enhanced baseline model"),
            Row("enhanced-mse", "Enhanced baseline model with MSE", "enhanced-mse",
                paper="Enhanced baseline model with MSE"),
        ),
        columns=THREE_SPLITS,
        notes=(
            BLUR,
            "Cityscapes' own test labels are secret: where a set has no labelled split test, val is taken for it",
        ),
    ),
    Study(
        name="alpha",
        title="The weight of L1",
        source=f"{CITYSCAPES_STUDY}, section II.C.1",
        table="cityscapes-table-1",
        rows=(
            Row("alpha-50", "alpha = 50", "pix2pix-alpha50"),
            Row("alpha-75", "alpha = 75", "pix2pix-alpha75"),
            Row("alpha-100", "alpha = 100", overrides=PLAIN, paper=BASELINE),
        ),
        columns=THREE_SPLITS,
        notes=(BLUR, "The study tried 50 and 75 and gives no figures for them; 100 is its baseline"),
    ),
    Study(
        name="schedule",
        title="The length of the training",
        source=f"{CITYSCAPES_STUDY}, section V",
        table="cityscapes-table-1",
        rows=(
            Row("epochs-100", "100 epochs", overrides={**PLAIN, "train": {"epochs": 100.0}}),
            Row("epochs-200", "200 epochs", overrides=PLAIN, paper=BASELINE, length=2),
            Row("epochs-400", "400 epochs", overrides={**PLAIN, "train": {"epochs": 400.0}}, length=4),
        ),
        columns=THREE_SPLITS,
        notes=(BLUR, "The study trained for 200 epochs and recommends to try more"),
    ),
    Study(
        name="augmentation",
        title="Augmentation",
        source=f"{CITYSCAPES_STUDY}, sections II.C.4 and V",
        table="cityscapes-table-1",
        rows=(
            Row("none", "none", overrides=PLAIN, paper=BASELINE),
            Row("mirror", "mirror", overrides={"augment": MIRROR}),
            Row("jitter", "jitter (enlarged and cropped)", overrides={"augment": {"mirror": False}}),
            Row("jitter-mirror", "jitter and mirror, as pix2pix"),
            Row("colour-jitter", "mirror and colour jitter, as the study", overrides=STUDY_COLOURS, cost=1.1),
            Row("photometric", "photometric change of the photo alone", overrides={"augment": {**MIRROR, **LIGHT}}),
            Row("class-crops", "class-aware crops", overrides={"augment": {**SCALES, "class_crops": 8}}),
            Row("scale-jitter", "scale jitter", overrides={"augment": SCALES}),
        ),
        columns=THREE_SPLITS,
        notes=(
            BLUR,
            "The study found that mirroring and colour jitter made every model worse, without figures; nor does it say "
            "what its custom colour jitter was. Here it changes both pictures alike, by up to 0.2 of brightness, "
            "contrast and saturation and 0.2 of the colour circle",
            "The last three rows mirror too. A class-aware crop is that one of eight of scale jitter which shows most "
            "of a class drawn by its rarity",
        ),
    ),
    Study(
        name="amt",
        title="Real or fake, as people see it",
        source="pix2pix, sections 4.1 and 4.5",
        table="pix2pix-table-4",
        rows=(
            Row("l1", "L1", overrides=L1_ALONE, paper="L1", cost=0.6),
            Row("l1-cgan", "L1+cGAN", paper="L1+cGAN"),
            # of table 5, by the same protocol; both pictures of a trial are of one photo
            Row("colourisation", "Colourisation", "colourisation", paper="Ours", same_input=True,
                elsewhere=("pix2pix-table-5", "labelled_real")),
        ),
        columns=(Column("taken for real [%]", REAL_OR_FAKE, paper="map_to_photo"), *LIKENESS),
        notes=(
            BLUR,
            "Table 5's row is of ImageNet's photos in grey, coloured; here of the set's own photos",
            "Table 4 is of aerial photos from maps: on any other set the rows are the same losses on that set, and the "
            "paper's figures are of another task",
            "The paper tested at 512x512 and showed at 256x256; here pictures are shown as the set has them, real and "
            "generated alike",
            "There are no vigilance trials, as in the paper: someone who does not look answers at random, 50 %",
        ),
    ),
    SFLOW,
)  # fmt: skip
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}


def study(name: str) -> Study:
    """The study of that name.

    Raises:
        UsageError: There is none; the names are listed, the nearest first.
    """
    if name in STUDIES:
        return STUDIES[name]
    hint = f"{did_you_mean(name, STUDIES)}There are: {', '.join(STUDIES)}"
    raise UsageError(f"no study named '{name}'", hint=hint)
