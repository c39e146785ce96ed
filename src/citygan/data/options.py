"""The flags of `citygan prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from citygan.data.fitting import Fit, Mode
from citygan.errors import UsageError, did_you_mean
from citygan.ops.flow import DEFAULT_METHOD, check_method
from citygan.pictures import MAX_PIXELS, Alpha

LARGEST_SIDE = 16_384


@dataclass(frozen=True)
class Options:
    """The flags of `citygan prepare`.

    Raises:
        UsageError: A value that cannot be.
    """

    layout: str | None = None
    out: Path | None = None
    classes: str | None = None
    direction: str = "AtoB"
    size: tuple[int, int] = (256, 256)
    fit: str = "stretch"
    splits: str | None = None
    hold_out: tuple[str, ...] = ()
    limit: int | None = None
    workers: int | None = None
    skip_bad: bool = False
    alpha: str = "refuse"
    max_pixels: int = MAX_PIXELS
    seed: int = 0
    force: bool = False
    edges: bool = False
    flow: bool = False
    flow_method: str | None = None

    def __post_init__(self) -> None:
        for flag, value, choices in (
            ("--direction", self.direction, ("AtoB", "BtoA")),
            ("--fit", self.fit, ("stretch", "crop", "pad")),
            ("--alpha", self.alpha, ("refuse", "drop")),
        ):
            if value not in choices:
                *others, last = choices
                expected = f"expected {', '.join(others)} or {last}, got '{value}'"
                raise UsageError(expected, where=flag, hint=did_you_mean(value, choices).strip() or None)
        for flag, number in (("--limit", self.limit), ("--workers", self.workers), ("--max-pixels", self.max_pixels)):
            if number is not None and number < 1:
                raise UsageError(f"expected 1 or more, got {number}", where=flag)
        if self.hold_out and self.splits is not None:
            hint = "Leave one of them out"
            raise UsageError("--splits divides at random, --hold-out by name", where="--hold-out", hint=hint)
        if self.seed < 0:
            raise UsageError(f"expected 0 or more, got {self.seed}", where="--seed")
        if not all(1 <= side <= LARGEST_SIDE for side in self.size):
            raise UsageError(
                f"expected sides from 1 to {LARGEST_SIDE}, got {self.size[0]}x{self.size[1]}", where="--size"
            )
        if self.flow_method is not None and not self.flow:
            raise UsageError("there is no flow without --flow", where="--flow-method", hint="Give --flow too")
        if self.flow:
            check_method(self.motion, self.size)

    @property
    def motion(self) -> str:
        """The method of flow, where there is flow."""
        return self.flow_method or DEFAULT_METHOD

    @property
    def fitting(self) -> Fit:
        """How pictures are made to fit."""
        modes: dict[str, Mode] = {"stretch": "stretch", "crop": "crop", "pad": "pad"}
        return Fit(self.size, modes[self.fit])

    @property
    def alpha_rule(self) -> Alpha:
        """What to do with transparency."""
        return "drop" if self.alpha == "drop" else "refuse"


def parse_size(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT``, or one number for a square.

    Raises:
        UsageError: It is neither.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise UsageError(f"expected WIDTHxHEIGHT or one number, got '{text}'", where="--size")
    return int(parts[0]), int(parts[-1])
