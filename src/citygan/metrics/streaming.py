"""Figures of a video whose frames come one by one: the metrics of the table, by the same code; two frames are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from citygan.errors import CityganError, DataError
from citygan.metrics import lookup, start_all
from citygan.metrics.figures import Figure
from citygan.metrics.metric import Need, Setup
from citygan.metrics.pairs import UInt8
from citygan.metrics.scoring import Scores, Trio, measure
from citygan.metrics.temporal import OF_THE_SET, computed, following

VIDEO = ("warp-error", "flicker", "sharpness")
Motion = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class VideoFigures:
    """Takes the frames of videos in order, and gives their figures.

    Args:
        metrics: Names (`citygan.metrics.METRICS`): those that need fake and real frames alone.
        setup: Device and weights, for `fvd`.
        motion: Whether flow and occlusion come with the frames; else they are computed from the real ones.

    Raises:
        UsageError: An unknown metric, device or weights.

    Example:
        figures = VideoFigures()
        for fake, real in frames:
            figures.add(fake, real)
        figures.figures()["warp-error"]["mean"]
    """

    def __init__(
        self, metrics: Sequence[str] | None = None, setup: Setup | None = None, *, motion: bool = False
    ) -> None:
        setup = replace(setup or Setup(), motion=OF_THE_SET if motion else computed())
        no_others = "a video's frames come with their real ones and nothing else"
        others: tuple[Need, ...] = ("label", "instance", "ids", "samples", "segmented")
        lacking: dict[Need, CityganError] = {need: DataError(no_others) for need in others}
        rows, failed = start_all(lookup(metrics or VIDEO), replace(setup, lacking=lacking))
        self._setup = setup
        self._motion = motion
        self._scores = Scores(rows, failed=failed)
        self._last: Trio | None = None
        self._way: Motion | None = None
        self._sequence = 0
        self._number = 0
        self._pairs = any("following" in row.needs and row.name not in failed for row in rows)

    def add(self, fake: UInt8, real: UInt8, motion: Motion | None = None) -> None:
        """Takes the next frame.

        Args:
            fake, real: uint8 [H, W, C].
            motion: Flow [H, W, 2] in pixels (x, y) and occlusion [H, W] (not 0: none) from this real frame to the
                next, where they come with the frames; unused of the last one.

        Raises:
            DataError: A fake and a real frame of different sizes, no motion where it was to come with the frames.
        """
        last = self._last
        if last is not None:
            after = None
            if self._pairs:
                if self._motion and self._way is None:
                    raise DataError(f"frame {last.stem} came without the flow to the next one")
                after = following(last.real, fake, real, self._way)
            self._measure(replace(last, following=after))
        self._last = Trio(str(self._number), fake, real, frame=(str(self._sequence), self._number))
        self._way = motion
        self._number += 1

    def cut(self) -> None:
        """Ends a video: the next frame does not follow the last one."""
        if self._last is not None:
            self._measure(self._last)
        self._last = self._way = None
        self._sequence += 1
        self._number = 0

    def figures(self) -> dict[str, Figure]:
        """The figure of each metric over all frames, the real frames' beside it where it has one; ends the video."""
        self.cut()
        self._setup.finish()
        return self._scores.figures("a video has no painting beside it")

    @property
    def protocol(self) -> dict[str, Mapping[str, Any]]:
        """What each metric's figure depends on."""
        return {row.name: dict(row.protocol) for row in self._scores.metrics}

    def _measure(self, trio: Trio) -> None:
        able = [row for row in self._scores.metrics if row.name not in self._scores.failed]
        self._scores.add(measure(lambda: trio, able))
