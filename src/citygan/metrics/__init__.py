"""Pictures to figures. A new metric is its functions and a row here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from citygan.errors import UsageError, did_you_mean
from citygan.metrics import clips, fcnscore, labelled, perceptual, structural, temporal
from citygan.metrics.figures import STD, Figure, FiniteMean, Gathered, Mean, TwoHistograms, absent
from citygan.metrics.histograms import (
    GRADIENT_EDGES,
    colour_counts,
    colour_intersection,
    gradient_counts,
    gradient_error,
    mean_gradient,
)
from citygan.metrics.metric import Metric, Setup, not_started, start_all
from citygan.metrics.pairs import UInt8, check_pair
from citygan.metrics.pictures import l1, psnr, ssim
from citygan.metrics.pixels import picture_l1, picture_psnr

DEFAULT = ("ssim", "psnr", "l1")


def _gradient_counts(fake: UInt8, real: UInt8) -> Any:
    check_pair(fake, real, smallest=3)
    return gradient_counts(fake), gradient_counts(real)


def _colour_counts(fake: UInt8, real: UInt8) -> Any:
    check_pair(fake, real)
    return colour_counts(fake), colour_counts(real)


def _sharpness(fake: UInt8, real: UInt8) -> float:
    check_pair(fake, real, smallest=3)
    return mean_gradient(fake)


def _colour_plots(gathered: Mapping[str, Gathered]) -> Mapping[str, bytes]:
    from citygan.metrics.plots import colour_plots  # matplotlib takes a second

    return colour_plots(gathered)


def _gradient_plots(gathered: Mapping[str, Gathered]) -> Mapping[str, bytes]:
    from citygan.metrics.plots import gradient_plots

    return gradient_plots(gathered)


_GRADIENT = "3x3 Sobel of the luma / 8, in grey levels a pixel, inner pixels"
_LPIPS = {"figure": "of each pair of pictures, averaged"}
_DRAWS = {"figure": "mean distance of all pairs of a picture's samples, averaged over the pictures"}
_ONE_DRAW = "it is one picture, of which there are no other samples"

METRICS: dict[str, Metric] = {
    "ssim": Metric(
        name="ssim",
        unit="",
        better="higher",
        range="-1 to 1, 1 for equal pictures",
        source="scikit-image",
        scope="picture",
        measure=structural.picture_ssim,
        gather=Mean,
        protocol={
            "reference": "scikit-image structural_similarity",
            "window": structural.WINDOW,
            "window_kind": "uniform",
            "data_range": structural.DATA_RANGE,
            "k1": structural.K1,
            "k2": structural.K2,
            "covariance": "sample",
            "channels": "averaged",
            "border": "left out (3 pixels)",
        },
    ),
    "psnr": Metric(
        name="psnr",
        unit="dB",
        better="higher",
        range="0 up, infinite for equal pictures",
        source="scikit-image",
        scope="picture",
        measure=picture_psnr,
        gather=FiniteMean,
        parts=("infinite",),
        protocol={
            "reference": "scikit-image peak_signal_noise_ratio",
            "data_range": 255,
            "channels": "together",
            "mean": "of each picture's decibels; equal pictures are infinite and left out",
        },
    ),
    "l1": Metric(
        name="l1",
        unit="grey levels",
        better="lower",
        range="0 to 255, 0 for equal pictures",
        source="mean absolute difference",
        scope="picture",
        measure=picture_l1,
        gather=Mean,
        protocol={"data_range": 255, "channels": "averaged"},
    ),
    "colour": Metric(
        name="colour",
        unit="",
        better="higher",
        range="0 to 1, 1 for equal distributions",
        source="pix2pix, figure 7(d)",
        scope="set",
        measure=_colour_counts,
        gather=lambda: TwoHistograms(colour_intersection),
        parts=("L", "a", "b"),
        protocol={
            "reference": "pix2pix, figure 7",
            "space": "CIE Lab (D65), 8 bits a channel: 2.55 L, a + 128, b + 128",
            "bins": 256,
            "figure": "intersection of the set's histograms of L, a and b; their mean",
            "of_the_reference": "how many bins, of which width, the paper does not say",
        },
        plots=_colour_plots,
    ),
    "gradient": Metric(
        name="gradient",
        unit="",
        better="lower",
        range="0 to 1, 0 for equal distributions",
        source="total variation of Sobel histograms",
        scope="set",
        measure=_gradient_counts,
        gather=lambda: TwoHistograms(gradient_error),
        protocol={
            "magnitude": _GRADIENT,
            "bin_edges": list(GRADIENT_EDGES),
            "figure": "half the sum of absolute differences of the set's histograms",
        },
        plots=_gradient_plots,
    ),
    "sharpness": Metric(
        name="sharpness",
        unit="grey levels a pixel",
        better="higher",
        range="0 up, 0 for flat pictures; read it beside that of the real ones",
        source="mean gradient magnitude, Sobel",
        scope="picture",
        measure=_sharpness,
        gather=Mean,
        of_real=True,
        protocol={"figure": "mean magnitude of the picture's gradient", "magnitude": _GRADIENT},
    ),
    "lpips": Metric(
        name="lpips",
        unit="",
        better="lower",
        range="0 up, 0 for equal pictures",
        source="lpips, AlexNet",
        scope="picture",
        measure=not_started,
        gather=Mean,
        protocol=_LPIPS,
        start=perceptual.start_lpips("alex"),
    ),
    "lpips-vgg": Metric(
        name="lpips-vgg",
        unit="",
        better="lower",
        range="0 up, 0 for equal pictures",
        source="lpips, VGG-16",
        scope="picture",
        measure=not_started,
        gather=Mean,
        protocol=_LPIPS,
        start=perceptual.start_lpips("vgg"),
    ),
    "fid": Metric(
        name="fid",
        unit="",
        better="lower",
        range="0 up, 0 for equal sets",
        source="torch-fidelity",
        scope="set",
        measure=not_started,
        gather=Mean,
        parts=("warning",),
        protocol={"figure": "Frechet distance of the features' normal distributions"},
        start=perceptual.start_inception(perceptual.compare_fid),
    ),
    "kid": Metric(
        name="kid",
        unit="",
        better="lower",
        range="about 0 up, about 0 for sets that are alike",
        source="torch-fidelity",
        scope="set",
        measure=not_started,
        gather=Mean,
        parts=("subset_size",),
        protocol={
            "figure": "squared maximum mean discrepancy of the features, kernel (x y / 2048 + 1)^3, unbiased",
            "subsets": perceptual.KID_SUBSETS,
            "subset_size": f"min({perceptual.KID_SUBSET_SIZE}, pictures)",
            "seed": perceptual.KID_SEED,
            "std": "over the subsets",
        },
        start=perceptual.start_inception(perceptual.compare_kid),
    ),
    "miou": Metric(
        name="miou",
        unit="",
        better="higher",
        range="0 to 1, 1 for the true labels",
        source="cityscapesScripts",
        scope="set",
        measure=not_started,
        gather=Mean,
        parts=labelled.PARTS,
        needs=("ids", "label", "instance"),
        protocol={
            "reference": "cityscapesScripts evalPixelLevelSemanticLabeling",
            "void": "true void is skipped, a prediction of it is wrong",
            "absent_classes": "left out of the mean; pix2pix's own figures count them 0",
            "of_painted_maps": "the nearest class colour, void never",
        },
        start=labelled.start_miou,
    ),
    "fcn-score": Metric(
        name="fcn-score",
        unit="",
        better="higher",
        range="0 to 1; read it between its rows oracle and chance",
        source="pix2pix, section 4.2",
        scope="set",
        measure=not_started,
        gather=Mean,
        parts=fcnscore.PARTS,
        needs=("segmented",),
        protocol={
            "figure": "class IoU of a segmenter's label maps of the pictures; pixel and class accuracy beside it",
            "oracle": "the real photos through the same segmenter",
            "chance": "picture i against the labels of picture i + n // 2, modulo n",
            "void": "true void is skipped",
            "absent_classes": "left out of the mean; pix2pix's own figures count them 0",
        },
        start=fcnscore.start_fcn_score,
    ),
    "diversity": Metric(
        name="diversity",
        unit="",
        better="higher",
        range="0 up, 0 where all samples are one",
        source="mean pairwise lpips, AlexNet",
        scope="picture",
        measure=not_started,
        gather=Mean,
        needs=("samples",),
        protocol=_DRAWS,
        no_painting=_ONE_DRAW,
        start=perceptual.start_diversity("alex"),
    ),
    "diversity-l1": Metric(
        name="diversity-l1",
        unit="grey levels",
        better="higher",
        range="0 to 255, 0 where all samples are one",
        source="mean pairwise l1",
        scope="picture",
        measure=not_started,
        gather=Mean,
        needs=("samples",),
        protocol=_DRAWS,
        no_painting=_ONE_DRAW,
        start=perceptual.start_diversity(None),
    ),
    "warp-error": temporal.WARP_ERROR,
    "flicker": temporal.FLICKER,
    "fvd": clips.FVD,
}


def lookup(names: Iterable[str] | None) -> list[Metric]:
    """The metrics of these names, each once, in their order; None: the default ones.

    Raises:
        UsageError: An unknown name; the nearest is proposed, all are listed.
    """
    found: dict[str, Metric] = {}
    for name in DEFAULT if names is None else names:
        if name not in METRICS:
            hint = f"{did_you_mean(name, METRICS)}There are: {', '.join(METRICS)}"
            raise UsageError(f"no metric named '{name}'", where="--metric", hint=hint)
        found[name] = METRICS[name]
    if not found:
        raise UsageError("no metric asked for", where="--metric", hint=f"There are: {', '.join(METRICS)}")
    return list(found.values())


__all__ = [
    "DEFAULT",
    "METRICS",
    "STD",
    "Figure",
    "Metric",
    "Setup",
    "absent",
    "l1",
    "lookup",
    "psnr",
    "ssim",
    "start_all",
]
