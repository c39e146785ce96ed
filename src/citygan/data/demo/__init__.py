"""The demo city: streets rendered by code, with label and instance maps, a photo, a graphics rendering, exact flow.

`render(seed, scene)` is a function of its arguments alone: the same bytes in any process or thread, whatever was
rendered before. Labels are Cityscapes' raw ids. Nothing is read from disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from . import scene as _scene
from . import shade
from .raster import Buffer, flow, render_buffer
from .world import World

SMALLEST_PX = 32
_CLOUDS, _SENSOR = 100, 101  # random streams beside those of the layout


@dataclass(frozen=True)
class Frame:
    """One picture of a scene.

    Attributes:
        photo: uint8 [H, W, 3] RGB; None where it was not asked for.
        graphics: uint8 [H, W, 3] RGB, the flat rendering with colours of its own.
        label: uint8 [H, W], Cityscapes' raw ids.
        instance: uint16 [H, W]: id * 1000 + k for the thing classes (24-28, 31-33), the id elsewhere.
        flow: float32 [H, W, 2], pixels (x, y) from this frame to the next; None for the last frame.
        occlusion: uint8 [H, W], 1 = no correspondence in the next frame (hidden there, or outside); None for the last.
    """

    photo: NDArray[np.uint8] | None
    graphics: NDArray[np.uint8]
    label: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    flow: NDArray[np.float32] | None
    occlusion: NDArray[np.uint8] | None


def render(
    seed: int, scene: int, frames: int = 1, size: tuple[int, int] = (256, 256), *, photo: bool = True
) -> Iterator[Frame]:
    """Render a scene frame by frame.

    Args:
        seed: The city, 0 or more.
        scene: The street in it, 0 or more.
        frames: How many frames; the camera and the traffic move between them. Frame k does not depend on this number,
            only whether it has flow.
        size: (width, height) in pixels, any aspect; nothing is stretched.
        photo: Without it the photo is left out, which saves about half of the time.

    Raises:
        UsageError: A negative seed or scene, no frames, or a side below 32 pixels.
    """
    width, height = size
    if seed < 0 or scene < 0:
        raise UsageError(f"seed and scene must be 0 or more, got {seed} and {scene}")
    if frames < 1:
        raise UsageError(f"a scene has at least 1 frame, got {frames}")
    if min(width, height) < SMALLEST_PX:
        raise UsageError(f"the demo city needs sides of at least {SMALLEST_PX} pixels, got {width}x{height}")
    return _frames(seed, scene, frames, (width, height), photo)


def _stream(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key))))


def _frames(seed: int, scene: int, frames: int, size: tuple[int, int], photo: bool) -> Iterator[Frame]:
    world = _scene.build(seed, scene)
    buffer = render_buffer(world, 0, size, shadows=True)
    for k in range(frames):
        following = render_buffer(world, k + 1, size, shadows=True) if k + 1 < frames else None
        yield _frame(world, buffer, following, (seed, scene, k), photo)
        if following is not None:
            buffer = following


def _frame(world: World, buffer: Buffer, following: Buffer | None, key: tuple[int, int, int], photo: bool) -> Frame:
    seed, scene, number = key
    shading = shade.Shading(world, buffer)
    label, instance = shading.labels()
    picture = (
        shade.photo(shading, _stream(seed, scene, _CLOUDS), _stream(seed, scene, _SENSOR, number)) if photo else None
    )
    graphics = shade.graphics(shading)
    motion: tuple[Any, Any] = (None, None) if following is None else flow(buffer, following)
    return Frame(picture, graphics, label, instance, *motion)
