"""Dense optical flow between two pictures, by OpenCV, and where it finds no correspondence. NumPy alone, no torch.

A flow is float32 [H, W, 2], in pixels, x first: what stands at p in the first picture stands at p + flow(p) in the
second. `warping` carries pictures along a flow; OpenCV's flow has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import UsageError, did_you_mean

Flow = npt.NDArray[np.float32]


class Farneback(TypedDict):
    """The parameters of `cv2.calcOpticalFlowFarneback`, under its names."""

    pyr_scale: float
    levels: int
    winsize: int
    iterations: int
    poly_n: int
    poly_sigma: float
    flags: int


# Of the windows (box 9 and 15, Gaussian 9 and 15) and expansions (5, sigma 1.1 and 1.2; 7, 1.5) these warp the 100
# pairs of CamVid's val at 256x192 back best: a mean difference of 4.3 grey levels, without warp 11.1. DIS: 4.3 too.
FARNEBACK: Farneback = {
    "pyr_scale": 0.5,
    "levels": 5,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.1,
    "flags": cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
}
DIS_PRESET = "medium"
DIS_SMALLEST = 16  # OpenCV's DIS needs a side of 12; below 16 nothing is left to match

# Sundaram, Brox, Keutzer: Dense point trajectories by GPU-accelerated large displacement optical flow (ECCV 2010)
RELATIVE, ABSOLUTE = 0.01, 0.5


def _farneback(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return cv2.calcOpticalFlowFarneback(first, second, np.zeros((*first.shape, 2), np.float32), **FARNEBACK)


def _dis(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    if max(first.shape) < DIS_SMALLEST:
        raise UsageError(
            f"flow by dis needs a side of {DIS_SMALLEST} pixels, got {first.shape[1]}x{first.shape[0]}",
            hint="farneback takes any size",
        )
    # it keeps buffers between calls, so each call, and with it each thread, has one of its own
    operator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return operator.calc(first, second, np.zeros((*first.shape, 2), np.float32))


METHODS: dict[str, Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], npt.NDArray[Any]]] = {
    "farneback": _farneback,
    "dis": _dis,
}


def check_method(method: str) -> None:
    """Whether there is a method of that name.

    Raises:
        UsageError: There is none; the names are listed.
    """
    if method not in METHODS:
        hint = f"{did_you_mean(method, METHODS)}There are {', '.join(METHODS)}"
        raise UsageError(f"no method of flow '{method}'", hint=hint)


def settings_of(method: str) -> dict[str, Any]:
    """All that a method's flow depends on beside the pictures, for the record: parameters and OpenCV's version."""
    check_method(method)
    parameters: dict[str, Any] = dict(FARNEBACK) if method == "farneback" else {"preset": DIS_PRESET}
    return {"method": method, **parameters, "opencv": cv2.__version__}


def dense_flow(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], method: str = "farneback"
) -> npt.NDArray[np.float32]:
    """Where each pixel of one picture has gone in the next.

    Args:
        first, second: uint8 [H, W, 3] RGB, [H, W, 1] or [H, W], of one size; the flow is that of their grey levels.
        method: A name of `METHODS`: Farnebäck's (SCIA 2003), or DIS (Kroeger et al., ECCV 2016).

    Returns:
        float32 [H, W, 2] in pixels (x, y): what stands at p in `first` stands at p + flow(p) in `second`.

    Raises:
        UsageError: No such method, or pictures that are too small for it.
        ValueError: Pictures of two sizes, or not uint8.
    """
    check_method(method)
    if first.shape[:2] != second.shape[:2] or first.dtype != np.uint8 or second.dtype != np.uint8:
        raise ValueError(
            f"flow needs two uint8 pictures of one size, got {first.dtype} {first.shape} and "
            f"{second.dtype} {second.shape}"
        )
    return np.asarray(METHODS[method](_grey(first), _grey(second)), np.float32)


def _grey(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [H, W]."""
    if picture.ndim == 3 and picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return np.ascontiguousarray(picture.reshape(picture.shape[:2]))


def occluded(forward: npt.NDArray[Any], backward: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Pixels without a correspondence in the next picture.

    A pixel has one where the flow back from where it has gone leads to it again, ``|f + b(p + f)|² <= 0.01 (|f|² +
    |b(p + f)|²) + 0.5`` (Sundaram, Brox, Keutzer, ECCV 2010, section 3), and where it stays within the picture.

    Args:
        forward: [H, W, 2] flow from the first picture to the second, in pixels.
        backward: [H, W, 2] flow from the second to the first.

    Returns:
        uint8 [H, W]: 1 without a correspondence, else 0.

    Raises:
        ValueError: Flows of two shapes.
    """
    if forward.shape != backward.shape or forward.ndim != 3 or forward.shape[2] != 2:
        raise ValueError(f"expected two flows [H, W, 2] of one size, got {forward.shape} and {backward.shape}")
    forward = forward.astype(np.float32)
    height, width = forward.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + forward[..., 0], y + forward[..., 1]
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    back = cv2.remap(backward.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = np.square(forward + back).sum(-1)
    lengths = np.square(forward).sum(-1) + np.square(back).sum(-1)
    return (outside | (difference > RELATIVE * lengths + ABSOLUTE)).astype(np.uint8)
