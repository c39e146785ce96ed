"""`ssim`, `psnr`, `l1` and confusion matrices where the pictures already are, on any torch device: for validation
within a training.

As in `citygan.metrics`, but of tensors [N, C, H, W], torch's order. Sums are exact in integers; only what is divided
is float32, so a device without float64 agrees with the CPU to 1e-6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from citygan.errors import DataError
from citygan.metrics.structural import AREA, C1, C2, WINDOW

_AT_A_TIME = 1 << 24  # numbers worked on together, about 600 MB of workspace


def ssim(fake: Tensor, real: Tensor) -> Tensor:
    """Structural similarity of each pair of pictures (formula in `citygan.metrics.structural`).

    Args:
        fake, real: uint8 [N, C, H, W] on one device; H and W at least 7.

    Returns:
        float32 [N] on the device, from -1 to 1.

    Raises:
        DataError: Not such pictures, of different sizes, or smaller than the window.
    """
    _check(fake, real, smallest=WINDOW)
    chunk = max(1, _AT_A_TIME // fake[0].numel())
    return torch.cat([_ssim(x, y) for x, y in zip(fake.split(chunk), real.split(chunk), strict=True)])


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, infinite for equal pictures; uint8 [N, C, H, W] -> float32 [N]."""
    _check(fake, real)
    squares = (fake.int() - real.int()).square_().flatten(1).sum(1)  # int64, exact
    peak = 255.0**2 * fake[0].numel()
    return (10.0 * torch.log10(peak / squares.float())).float()


def l1(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference in grey levels, 0 to 255; uint8 [N, C, H, W] -> float32 [N]."""
    _check(fake, real)
    return (fake.int() - real.int()).abs_().flatten(1).sum(1).float() / fake[0].numel()


def confusion(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """The confusion matrix of train ids: what `citygan.metrics.miou.class_iou` and its like take.

    Args:
        prediction, truth: Train ids of any whole-number type and one shape, on one device; `classes` and above is void.
        classes: K.

    Returns:
        int64 [K + 1, K + 1] on the device: rows truth, columns prediction, void last.

    Raises:
        DataError: Of different shapes.
    """
    if prediction.shape != truth.shape:
        raise DataError(f"expected ids of one shape, got {list(prediction.shape)} and {list(truth.shape)}")
    size = classes + 1
    a, b = (ids.reshape(-1).long().clamp(max=classes) for ids in (truth, prediction))
    return torch.bincount(a.mul_(size).add_(b), minlength=size * size).reshape(size, size)


def _ssim(fake: Tensor, real: Tensor) -> Tensor:
    x, y = fake.int(), real.int()
    p, q = _window_sums(x * y), _window_sums(x * x + y * y)
    x, y = _window_sums(x), _window_sums(y)
    product, squares = x * y, x * x + y * y
    above = (product.float() + C1 / 2) * (p.mul_(AREA).sub_(product).float() + C2 / 2)
    below = (squares.float() + C1) * (q.mul_(AREA).sub_(squares).float() + C2)
    return above.div_(below).mul_(4).flatten(1).mean(1)


def _window_sums(x: Tensor) -> Tensor:
    """[..., H, W] -> [..., H - 6, W - 6], sums over 7x7."""
    return _seven(_seven(x, -2), -1)


def _seven(x: Tensor, axis: int) -> Tensor:
    size = x.shape[axis]
    two = x.narrow(axis, 0, size - 1) + x.narrow(axis, 1, size - 1)
    four = two.narrow(axis, 0, size - 3) + two.narrow(axis, 2, size - 3)
    count = size - WINDOW + 1
    return four.narrow(axis, 0, count) + two.narrow(axis, 4, count) + x.narrow(axis, 6, count)


def _check(fake: Tensor, real: Tensor, smallest: int = 1) -> None:
    for name, x in (("fake", fake), ("real", real)):
        if x.dtype != torch.uint8:
            raise DataError(
                f"{name}: expected uint8 pictures in 0-255, got {x.dtype}",
                hint="Scale to 0-255, round and convert first",
            )
        if x.ndim != 4 or x.shape[0] == 0:
            raise DataError(f"{name}: expected [N, C, H, W], got {list(x.shape)}")
    if fake.shape != real.shape:
        raise DataError(f"pictures of different sizes: fake {list(fake.shape)}, real {list(real.shape)}")
    height, width = fake.shape[-2:]
    if min(height, width) < smallest:
        raise DataError(f"a picture of {width}x{height} is smaller than the {smallest}x{smallest} window")
