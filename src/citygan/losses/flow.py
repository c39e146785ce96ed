"""Terms that make generated frames move as real ones do (S-Flow GAN, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from citygan.ops.farneback import DEFAULT, FarnebackSettings, farneback
from citygan.ops.warping import inside, warp

_LUMA = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601


def flow_loss(
    real_first: Tensor,
    real_second: Tensor,
    fake_first: Tensor,
    fake_second: Tensor,
    settings: FarnebackSettings = DEFAULT,
    occlusion: Tensor | None = None,
) -> Tensor:
    """Mean absolute difference of the flows of a real and of a generated pair of frames (equation 8).

    Both flows come from the same operator. Gradients reach both generated frames and neither of the real ones.

    Args:
        real_first: [N, C, H, W] in [-1, 1], RGB or grey.
        real_second: The frame that follows.
        fake_first, fake_second: What was generated for these two.
        settings: Those of the flow.
        occlusion: [N, H, W]: pixels of the first frame that are left out, other than 0 where they have no
            correspondence in the second; None leaves none out.

    Returns:
        A scalar >= 0 in pixels, float32 (float64 of frames in float64): the mean over the pixels that are kept and over
        x and y; 0 where none is kept.

    Raises:
        ValueError: Frames of several sizes, or neither RGB nor grey.
    """
    _check(real_first, real_second, fake_first, fake_second)
    with torch.autocast(fake_first.device.type, enabled=False):
        with torch.no_grad():
            real = farneback(_grey(real_first), _grey(real_second), settings)
        fake = farneback(_grey(fake_first), _grey(fake_second), settings)
        return _mean((fake - real).abs(), None if occlusion is None else occlusion == 0)


def warp_loss(fake_first: Tensor, fake_second: Tensor, flow: Tensor, occlusion: Tensor | None = None) -> Tensor:
    """Mean absolute difference of a generated frame and the next one, carried back onto it by the real flow.

    Pixels that the flow leads out of the picture are left out.

    Args:
        fake_first: [N, C, H, W] in [-1, 1].
        fake_second: The frame that follows.
        flow: [N, 2, H, W] from the first real frame to the second, in pixels, x first. It gets no gradient.
        occlusion: [N, H, W], as for `flow_loss`.

    Returns:
        A scalar in [0, 2], float32 (float64 of frames in float64): the mean over the pixels that are kept and over
        channels; 0 where none is kept.

    Raises:
        ValueError: Frames and flow of several sizes.
    """
    _check(fake_first, fake_second)
    flow = flow.detach()
    with torch.autocast(fake_first.device.type, enabled=False):
        first, second = (_exact(frame) for frame in (fake_first, fake_second))
        kept = inside(flow)
        return _mean((warp(second, flow) - first).abs(), kept if occlusion is None else kept & (occlusion == 0))


def _check(*frames: Tensor) -> None:
    shapes = [tuple(frame.shape) for frame in frames]
    if len(set(shapes)) > 1 or len(shapes[0]) != 4:
        raise ValueError(f"expected frames [N, C, H, W] of one size, got {', '.join(map(str, shapes))}")


def _exact(frame: Tensor) -> Tensor:
    return frame if frame.dtype == torch.float64 else frame.float()


def _grey(frame: Tensor) -> Tensor:
    """[N, 1, H, W], 0 to 255."""
    frame = _exact(frame)
    channels = frame.shape[1]
    if channels not in (1, len(_LUMA)):
        raise ValueError(f"expected RGB or grey frames, got {channels} channels")
    if channels > 1:
        red, green, blue = frame.split(1, 1)
        frame = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return (frame + 1) * 127.5


def _mean(values: Tensor, kept: Tensor | None) -> Tensor:
    """Of [N, C, H, W] over channels and the pixels kept, [N, H, W]; 0 where none is."""
    if kept is None:
        return values.mean()
    masked = values * kept[:, None]
    return masked.sum() / (kept.sum() * values.shape[1]).clamp(min=1)
