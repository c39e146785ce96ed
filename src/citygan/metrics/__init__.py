"""Pictures to figures. A new metric is its functions and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from citygan.errors import UsageError, did_you_mean
from citygan.metrics import structural
from citygan.metrics.figures import STD, Figure, FiniteMean, Gathered, Mean, TwoHistograms, absent
from citygan.metrics.histograms import (
    GRADIENT_EDGES,
    colour_counts,
    colour_intersection,
    gradient_counts,
    gradient_error,
)
from citygan.metrics.pairs import UInt8, check_pair
from citygan.metrics.pictures import l1, psnr, ssim
from citygan.metrics.pixels import picture_l1, picture_psnr

DEFAULT = ("ssim", "psnr", "l1")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A row of `METRICS`.

    Attributes:
        name: As on the command line.
        unit: Of its figures; empty for a ratio.
        better: Which way is better.
        scope: `picture`: a figure for each picture, averaged; `set`: one figure of all.
        measure: Pure and safe to call from threads: (fake, real), uint8 [H, W, C], to what `gather` takes in.
        gather: Makes what adds up the measurements.
        protocol: What its figures depend on.
        parts: Further numbers of its figure, besides `mean`, `std`, `n`.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    scope: Literal["picture", "set"]
    measure: Callable[[UInt8, UInt8], Any]
    gather: Callable[[], Gathered]
    protocol: Mapping[str, Any]
    parts: tuple[str, ...] = ()


def _gradient_counts(fake: UInt8, real: UInt8) -> Any:
    check_pair(fake, real, smallest=3)
    return gradient_counts(fake), gradient_counts(real)


def _colour_counts(fake: UInt8, real: UInt8) -> Any:
    check_pair(fake, real)
    return colour_counts(fake), colour_counts(real)


METRICS: dict[str, Metric] = {
    "ssim": Metric(
        name="ssim",
        unit="",
        better="higher",
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
        scope="picture",
        measure=picture_l1,
        gather=Mean,
        protocol={"data_range": 255, "channels": "averaged"},
    ),
    "colour": Metric(
        name="colour",
        unit="",
        better="higher",
        scope="set",
        measure=_colour_counts,
        gather=lambda: TwoHistograms(colour_intersection),
        parts=("L", "a", "b"),
        protocol={
            "reference": "pix2pix, figure 7",
            "space": "CIE Lab (D65), 8 bits a channel: 2.55 L, a + 128, b + 128",
            "bins": 256,
            "figure": "intersection of the set's histograms of L, a and b; their mean",
        },
    ),
    "gradient": Metric(
        name="gradient",
        unit="",
        better="lower",
        scope="set",
        measure=_gradient_counts,
        gather=lambda: TwoHistograms(gradient_error),
        protocol={
            "magnitude": "3x3 Sobel of the luma / 8, in grey levels a pixel, inner pixels",
            "bin_edges": list(GRADIENT_EDGES),
            "figure": "half the sum of absolute differences of the set's histograms",
        },
    ),
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
    "absent",
    "l1",
    "lookup",
    "psnr",
    "ssim",
]
