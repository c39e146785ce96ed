"""Steadiness of a video: `warp-error` and `flicker`, of a frame and the next one brought back to it by the real flow.

    d(p) = |x(t+1)(p + f(p)) - x(t)(p)|, averaged over the channels, in grey levels

f is the flow of the *real* frames, from t to t+1, and x(t+1) is read bilinearly (`citygan.ops.warping.warp`). Of each
pair the mean of d is taken over the pixels that are seen in both real frames; `flicker` over those of them that stand
still. The figure of a set is the mean of its pairs.

After Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018), who square the difference of values in [0,
1]; and VBench (Huang et al., CVPR 2024), whose temporal flickering is the mean absolute difference of neighbouring
frames in videos that stand still. Here it is the pixels that stand still, since a driving camera's videos never do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.metrics.figures import Mean
from citygan.metrics.metric import Following, Metric, Setup, not_started
from citygan.metrics.pairs import UInt8, check_pair
from citygan.ops.flow import dense_flow, occluded, settings_of

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

METHOD = "farneback"  # by which flow is computed where a set has none; it takes pictures of any size
STILL = 0.5  # pixels: what moves less from one frame to the next stands still
OF_THE_SET: Mapping[str, Any] = {"flow": "the set's", "occlusion": "the set's"}


def computed() -> Mapping[str, Any]:
    """What the protocol says of flow that is computed here."""
    return {"flow": {"of": "the real frames", **settings_of(METHOD)}, "occlusion": "forward-backward check of the flow"}


def following(
    real: UInt8,
    fake_after: UInt8,
    real_after: UInt8,
    motion: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None,
    painting_after: UInt8 | None = None,
) -> Following:
    """The next frame and the way there.

    Args:
        real: The real frame.
        fake_after, real_after, painting_after: The next ones.
        motion: Flow [H, W, 2] and occlusion [H, W] (not 0: none) from this real frame to the next; None: computed.

    Raises:
        DataError: Frames of different sizes.
    """
    check_pair(real_after, real)
    if motion is None:
        flow = dense_flow(real, real_after, METHOD)
        hidden = occluded(flow, dense_flow(real_after, real, METHOD))
    else:
        flow, hidden = motion
    return Following(fake_after, real_after, np.asarray(flow, np.float32), np.asarray(hidden) != 0, painting_after)


def warp_error(fake: UInt8, real: UInt8, *, following: Following | None) -> float | None:
    """Mean absolute difference of a frame and the next one warped to it, where both are seen: 0 to 255 grey levels.

    Returns:
        None where there is no next frame, or no pixel is seen in both.
    """
    if following is None:
        return None
    difference, seen = differences(fake, following)
    return float(difference[seen].mean(dtype=np.float64)) if seen.any() else None


def flicker(fake: UInt8, real: UInt8, *, following: Following | None) -> float | None:
    """As `warp_error`, over the pixels whose real flow is shorter than `STILL`.

    Returns:
        None where there is no next frame, or no pixel stands still.
    """
    if following is None:
        return None
    difference, seen = differences(fake, following)
    still = seen & ((following.flow**2).sum(axis=2) < STILL**2)
    return float(difference[still].mean(dtype=np.float64)) if still.any() else None


def differences(fake: UInt8, following: Following) -> tuple[Float32, Bool]:
    """How far the next frame, warped to this one, is from it.

    Returns:
        float32 [H, W], grey levels, averaged over the channels; bool [H, W], the pixels that are seen in both.

    Raises:
        DataError: Frames of different sizes.
    """
    import torch

    from citygan.ops.warping import inside, warp

    check_pair(following.fake, fake)
    first, second = (torch.from_numpy(x.astype(np.float32)) for x in (fake, following.fake))
    height, width = fake.shape[:2]
    first, second = (x.reshape(height, width, -1).permute(2, 0, 1)[None] for x in (first, second))
    flow = torch.from_numpy(following.flow).permute(2, 0, 1)[None]  # [1, 2, H, W]
    difference = (warp(second, flow) - first).abs_().mean(1)[0]
    seen = inside(flow)[0].numpy() & ~following.occlusion
    return difference.numpy(), seen


def _start(measure: Callable[..., float | None]) -> Callable[[Metric, Setup], Metric]:
    """Starts a row; what it depends on besides, where the flow comes from, is known then."""

    def start(row: Metric, setup: Setup) -> Metric:
        return replace(row, measure=measure, protocol={**row.protocol, **setup.motion})

    return start


_FIGURE = "mean absolute difference of a frame and the next one warped to it by the real flow, over channels and pixels"

WARP_ERROR = Metric(
    name="warp-error",
    unit="grey levels",
    better="lower",
    range="0 to 255; read it beside that of the real frames",
    source="Lai et al. 2018, absolute differences",
    scope="picture",
    measure=not_started,
    gather=lambda: Mean("no two neighbouring frames that show the same pixel"),
    needs=("following",),
    of_real=True,
    protocol={"figure": _FIGURE, "pixels": "seen in both real frames", "data_range": 255, "pairs": "averaged"},
    start=_start(warp_error),
)
FLICKER = Metric(
    name="flicker",
    unit="grey levels",
    better="lower",
    range="0 to 255; read it beside that of the real frames",
    source="VBench's temporal flickering, of pixels that stand still",
    scope="picture",
    measure=not_started,
    gather=lambda: Mean(f"nothing stands still: no pixel of two neighbouring frames moves less than {STILL} px"),
    needs=("following",),
    of_real=True,
    protocol={
        "figure": _FIGURE,
        "pixels": f"seen in both real frames, real flow shorter than {STILL} px",
        "data_range": 255,
        "pairs": "averaged",
    },
    start=_start(flicker),
)
