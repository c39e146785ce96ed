"""Footage becomes a video: translated, laid side by side, written and counted, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.errors import CityganError, DataError, counted
from citygan.files import write_bytes
from citygan.footage import Footage, Shot
from citygan.infer import Translator
from citygan.jobs import outputs_of
from citygan.metrics.figures import absent
from citygan.metrics.streaming import VIDEO, VideoFigures
from citygan.pictures.painted import in_colours
from citygan.segmenting import LabelMaker
from citygan.translation import encoded, palette_of
from citygan.videofile import Coder, new_video

UInt8 = npt.NDArray[np.uint8]


class Figures:
    """The temporal figures of a video, gathered while its frames go by; null where there are no real frames."""

    def __init__(self, translator: Translator | LabelMaker, footage: Footage) -> None:
        self._translator = translator
        self._footage = footage
        self._known: VideoFigures | None = None
        self._last: int | None = None
        if footage.real(translator, 0) is not None:
            self._known = VideoFigures(VIDEO, motion=footage.has_motion)

    def add(self, number: int, made: UInt8) -> None:
        """The next frame that was made, and its place in the footage."""
        if self._known is None:
            return
        if self._last is not None and (number != self._last + 1 or not self._footage.goes_on(number)):
            self._known.cut()
        self._last = number
        real = self._footage.real(self._translator, number)
        assert real is not None
        self._known.add(made, real, self._footage.motion(number) if self._footage.has_motion else None)

    def figures(self) -> dict[str, Mapping[str, Any]]:
        """A figure for each of `VIDEO`."""
        if self._known is None:
            return {name: absent("there are no real frames, whose flow tells how a frame moves on") for name in VIDEO}
        return dict(self._known.figures())

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What each figure depends on."""
        return {} if self._known is None else self._known.protocol


@dataclass(frozen=True)
class Take:
    """How a video is to be made.

    Attributes:
        sample: Which draw of dropout: the same for every frame.
        tile: (width, height) of tiles to work in.
        batch: Frames to translate together.
        beside: Label, generated and, where there is one, real picture side by side.
        frames: A folder for every generated frame as a picture, too.
        suffix: Of those pictures.
        samples: How many takes there are in all, which decides how the pictures are called.
        keep: Pictures that exist stay as they are.
    """

    sample: int = 0
    tile: tuple[int, int] | None = None
    batch: int = 1
    beside: bool = False
    frames: Path | None = None
    suffix: str = ".png"
    samples: int = 1
    keep: bool = False


@dataclass
class Video:
    """What was made.

    Attributes:
        path: The video.
        codec: How it is encoded.
        fps: Frames a second.
        frames: Frames in it.
        size: (width, height) of what is shown.
        padded: (width, height) of the file, both even.
        pictures: The pictures of its frames.
        figures: The temporal figures.
        protocol: What they depend on.
    """

    path: Path
    codec: str
    fps: Fraction
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    padded: tuple[int, int] = (0, 0)
    pictures: list[Path] = field(default_factory=list)
    figures: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


def film(
    translator: Translator | LabelMaker,
    footage: Footage,
    out: Path,
    take: Take,
    *,
    coder: Coder,
    fps: Fraction,
    failed: Callable[[CityganError], object],
    progress: Callable[[int], object],
    doubted: Callable[[Shot], object] = lambda shot: None,
) -> Video:
    """Makes one video, whole or not at all; no more than a few frames are in memory at a time.

    Args:
        failed: Told of every frame that could not be made, which the video then lacks.
        progress: Told how many frames are done.
        doubted: Told of frames that look like something else.

    Raises:
        DataError: No frame could be made.
        MachineError: It could not be written, or what was written cannot be read back.
    """
    video = Video(out, str(coder), fps)
    figures = Figures(translator, footage)
    with new_video(out, coder, fps) as writer:
        for shot in footage.shots(translator, sample=take.sample, tile=take.tile, batch=take.batch):
            if shot.made is None or shot.given is None:
                assert shot.problem is not None
                failed(shot.problem)
                continue
            if shot.doubt is not None:
                doubted(shot)
            colours = shown(translator, shot.made)
            writer.write(_side_by_side(translator, footage, shot, colours) if take.beside else colours)
            if take.frames is not None:
                picture = outputs_of(footage.jobs[shot.number], take.frames, take.suffix, take.samples)[take.sample]
                if not (take.keep and picture.exists()):
                    write_bytes(picture, encoded(shot.made, take.suffix, palette_of(translator)))
                    video.pictures.append(picture)
            figures.add(shot.number, shot.made)
            progress(shot.number + 1)
        if not writer.frames:
            raise DataError(f"none of {counted(len(footage.jobs), 'frame')} could be translated", where=footage.name)
    assert writer.size is not None and writer.padded is not None
    video.frames, video.size, video.padded = writer.frames, writer.size, writer.padded
    video.figures, video.protocol = figures.figures(), figures.protocol
    return video


def shown(translator: Translator | LabelMaker, made: UInt8) -> UInt8:
    """What a translator makes as a picture in colours, uint8 [H, W, 3]."""
    palette = palette_of(translator)
    return in_colours(made) if palette is None else palette[made]


def _side_by_side(translator: Translator | LabelMaker, footage: Footage, shot: Shot, made: UInt8) -> UInt8:
    assert shot.given is not None
    given = shot.given if isinstance(translator, LabelMaker) else translator.shown(shot.given)
    parts = [in_colours(given), made]
    real = footage.real(translator, shot.number)
    if real is not None:
        parts.append(in_colours(real))
    return np.hstack(parts)
