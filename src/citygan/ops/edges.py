"""Edges of pictures (S-Flow GAN, sections 2.2.2 and 3.2) and of instances.

The edge map of a picture is where the absolute value of its Laplacian is above a threshold: grey levels, a Gaussian
that takes the noise away, the Laplacian, the threshold. Without the Gaussian all is in whole numbers and equal, bit for
bit, to OpenCV 5's `cv2.Laplacian(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.CV_16S, ksize=ksize)`. Nothing here is
differentiable in the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Chosen by looking at real street photos and at both renderings of the demo city: docs/edges.md
SMOOTHING = 1.25
THRESHOLD = 5.0
KSIZE = 1

_GREY, _HALF, _BITS = (9798, 19235, 3735), 1 << 14, 15  # 0.299, 0.587 and 0.114 in 15 bits, as OpenCV 5 has them


def instance_edges(instance: Tensor) -> Tensor:
    """Pixels that border on another instance, above, below, left or right (pix2pixHD, section 3.3).

    Args:
        instance: [N, H, W] instance ids.

    Returns:
        [N, 1, H, W] float32: 1 on both sides of a boundary, else 0.
    """
    edge = torch.zeros(instance.shape, dtype=torch.bool, device=instance.device)
    across = instance[:, :, 1:] != instance[:, :, :-1]
    down = instance[:, 1:] != instance[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge[:, None].float()


def edge_map(
    x: Tensor, *, smoothing: float = SMOOTHING, threshold: float | Tensor = THRESHOLD, ksize: int = KSIZE
) -> Tensor:
    """Where a picture's Laplacian is above the threshold, on either side of 0.

    Args:
        x: [N, 1 or 3, H, W], uint8 or float in [-1, 1], of any size.
        smoothing: Standard deviation in pixels of the Gaussian before the Laplacian; 0 leaves it out.
        threshold: In grey levels (of `laplacian`'s result), at least 0; what is equal to it is no edge. A tensor [N]:
            of each picture.
        ksize: The Laplacian's kernel: 1 or 3.

    Returns:
        [N, 1, H, W] float32: 1 at edges, else 0.

    Raises:
        ValueError: Another number of channels, another kernel, a setting below 0.
    """
    of_each = isinstance(threshold, Tensor)
    if not (0 <= smoothing < math.inf and (of_each or 0 <= threshold < math.inf)):
        raise ValueError(f"expected a smoothing and a threshold of at least 0, got {smoothing} and {threshold}")
    levels = grey(x)
    if smoothing:
        levels = smooth(levels, smoothing)
    least = threshold[:, None, None, None] if isinstance(threshold, Tensor) else threshold
    return (laplacian(levels, ksize).abs() > least).float()


def grey(x: Tensor) -> Tensor:
    """Whole grey levels, as OpenCV 5 has them: (9798 R + 19235 G + 3735 B + 2^14) / 2^15, rounded down.

    Args:
        x: [N, 1 or 3, H, W], uint8 or float in [-1, 1], which is brought back to whole levels first; one channel is
            grey already.

    Returns:
        [N, 1, H, W] int32 from 0 to 255.

    Raises:
        ValueError: Another number of channels.
    """
    if x.dim() != 4 or x.shape[1] not in (1, 3):
        raise ValueError(f"expected pictures [N, 1 or 3, H, W], got {list(x.shape)}")
    if x.is_floating_point():
        x = ((x.float() + 1) * 127.5).round().clamp(0, 255)
    levels = x.int()
    if levels.shape[1] == 1:
        return levels
    red, green, blue = levels.split(1, dim=1)
    return (_GREY[0] * red + _GREY[1] * green + _GREY[2] * blue + _HALF) >> _BITS


def smooth(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian over every channel, of 4 sigma on each side, mirrored at the border (`cv2.GaussianBlur` of floats).

    Args:
        x: [N, C, H, W] of any type.
        sigma: Standard deviation in pixels, above 0.

    Returns:
        [N, C, H, W] float32.
    """
    radius = round(8 * sigma + 1) // 2
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    with torch.autocast(x.device.type, enabled=False):
        x = x.float()
        for axis in (-2, -1):
            size = x.shape[axis]
            wide = _mirrored(x, axis, radius)
            # sums of shifts: the convolutions of some devices round more coarsely than float32
            x = wide.narrow(axis, radius, size) * (weights[0] / total)
            for i, weight in enumerate(weights[1:], 1):
                pair = wide.narrow(axis, radius - i, size) + wide.narrow(axis, radius + i, size)
                x = x.add(pair, alpha=weight / total)
    return x


def laplacian(x: Tensor, ksize: int = KSIZE) -> Tensor:
    """The Laplacian of every channel, mirrored at the border without its outermost pixel (`BORDER_REFLECT_101`).

    Args:
        x: [N, C, H, W] of whole numbers or floats.
        ksize: 1 for the kernel [0 1 0; 1 -4 1; 0 1 0], 3 for [2 0 2; 0 -8 0; 2 0 2], as OpenCV has them.

    Returns:
        [N, C, H, W]: of whole numbers int32 (of 0 to 255 from -1,020 to 1,020, with ksize 3 from -2,040 to 2,040),
        of floats their type.

    Raises:
        ValueError: Another ksize.
    """
    if ksize not in (1, 3):
        raise ValueError(f"expected a ksize of 1 or 3, got {ksize}")
    if not x.is_floating_point():
        x = x.int()
    height, width = x.shape[-2:]
    if ksize == 1:
        down, across = _mirrored(x, -2, 1), _mirrored(x, -1, 1)
        sides = down.narrow(-2, 0, height) + down.narrow(-2, 2, height)
        return sides + across.narrow(-1, 0, width) + across.narrow(-1, 2, width) - 4 * x
    wide = _mirrored(_mirrored(x, -2, 1), -1, 1)
    corners = [wide.narrow(-2, i, height).narrow(-1, j, width) for i in (0, 2) for j in (0, 2)]
    return 2 * (corners[0] + corners[1] + corners[2] + corners[3]) - 8 * x


def _mirrored(x: Tensor, axis: int, border: int) -> Tensor:
    """Longer by the border at both ends; as often as needed, and where there is a single pixel, by that."""
    size = x.shape[axis]
    period = max(2 * (size - 1), 1)
    index = torch.arange(-border, size + border, device=x.device).remainder(period)
    return x.index_select(axis, torch.minimum(index, period - index))
