"""Layers whose behaviour at test time pix2pix defines, and the initialisation.

pix2pix (section 3.3) runs the generator at test time as in training: with dropout, and with batch normalisation by
the statistics of the pictures at hand. Here these are the statistics of each picture by itself, and one draw of
dropout for all pictures, so what a picture becomes never depends on its neighbours in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Statistics = Literal["picture", "running"]
Norm = Literal["batch", "instance", "none"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that, outside training, can use each picture's own statistics.

    A single value has no statistics of its own: they would zero it (pix2pix, section 6.3), and PyTorch refuses.
    Where a channel has just one (a map of one pixel, at batch 1 or picture by picture) the running ones are used,
    which in a training at batch 1 stay 0 and 1: the layer then only scales and shifts.

    Attributes:
        statistics: Outside training: `running` (as PyTorch) or `picture`.
    """

    statistics: Statistics = "running"

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        # first, since an exported network must not ask for the size of what it is given
        running = not self.training and self.statistics == "running"
        if running or (x.shape[-2:] == (1, 1) and (not self.training or x.shape[0] == 1)):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        if self.training:
            return super().forward(x)
        return _by_picture(x, self.weight, self.bias, self.eps)


class InstanceNorm2d(nn.Module):
    """Normalisation of every channel of every picture by itself, without weights, as CycleGAN's code has it.

    A map of one pixel stays as it is: its deviation is 0.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        return x if x.shape[-2:] == (1, 1) else _by_picture(x, None, None, self.eps)

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}"


def _by_picture(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Each picture normalised by its own statistics: [N, C, H, W] -> [N, C, H, W]."""
    if torch.compiler.is_exporting() or (x.device.type != "cpu" and x.shape[0] > 1):
        return F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)
    # each picture as a batch by itself: on CPUs ten times as fast as instance_norm
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    simple = dense and x.dtype in (torch.float32, torch.bfloat16) and (weight is None or weight.dtype == torch.float32)
    if x.shape[0] == 1 or torch.is_grad_enabled() or not simple:
        pictures = [F.batch_norm(p, None, None, weight, bias, True, 0.0, eps) for p in x.split(1)]
        return pictures[0] if len(pictures) == 1 else torch.cat(pictures)
    normed = torch.empty_like(x)
    mean, deviation = torch.empty(2, x.shape[1], device=x.device)
    for p, out in zip(x.split(1), normed.split(1), strict=True):
        torch.native_batch_norm(p, weight, bias, None, None, True, 0.0, eps, out=(out, mean, deviation))
    return normed


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The norm of that name for so many channels; `none` does nothing."""
    kinds: dict[str, Callable[[int], nn.Module]] = {
        "batch": BatchNorm2d,
        "instance": InstanceNorm2d,
        "none": nn.Identity,
    }
    if norm not in kinds:
        raise ValueError(f"expected a norm of {', '.join(kinds)}, got '{norm}'")
    return kinds[norm](channels)


def own_norms(network: nn.Module) -> None:
    """Puts `BatchNorm2d` in the place of PyTorch's, in a network that another library built and nobody trained yet."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, BatchNorm2d(child.num_features, child.eps, child.momentum))


class Dropout(nn.Module):
    """Dropout that stays on at test time when it is given a `draw`.

    Attributes:
        rate: Share of zeroed values in [0, 1).
        draw: Outside training, the source of one mask for all pictures; None switches dropout off.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"expected a rate of dropout from 0 to below 1, got {rate}")
        self.rate = rate
        self.draw: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        if self.training:
            return F.dropout(x, self.rate)
        if self.draw is None or self.rate == 0:
            return x
        # on the CPU, so that the same seed gives the same picture on every device
        keep = torch.rand(x.shape[1:], generator=self.draw) >= self.rate
        return x * (keep / (1 - self.rate)).to(x)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class Enlarging(nn.Conv2d):
    """A resize by two, then a 3x3 convolution: a transposed convolution's place without its checkerboards.

    Odena, Dumoulin and Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.

    Args:
        mode: Of the resize: `nearest` or `bilinear`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool, mode: str) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:  # [N, in, H, W] -> [N, out, 2H, 2W]
        return super().forward(F.interpolate(x, scale_factor=2, mode=self.mode))


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """A picture at several scales, the finest first: [N, C, H, W], [N, C, ceil(H / 2), ceil(W / 2)], and so on.

    Each level is the mean of 3x3 pixels of the one before, at every other of them, without what lies outside, as
    pix2pixHD's public code has it.
    """
    found = [x]
    while len(found) < levels:
        found.append(F.avg_pool2d(found[-1], 3, 2, 1, count_include_pad=False))
    return found


def check_sides(x: Tensor, multiple: int, remedy: str = "", smallest: int = 1) -> None:
    """Refuses pictures that a network cannot halve as often as it has to, or that vanish on the way.

    Raises:
        ValueError: A side is no multiple; told with the next size that is. Or it is too small.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        fitting = f"{-(-width // multiple) * multiple}x{-(-height // multiple) * multiple}"
        raise ValueError(f"expected sides divisible by {multiple}, got {width}x{height}: pad to {fitting}{remedy}")
    if min(height, width) < smallest:
        raise ValueError(f"expected sides of at least {smallest}, got {width}x{height}")


@contextmanager
def test_time(network: nn.Module, *, statistics: Statistics, dropout_seed: int | None) -> Iterator[None]:
    """Sets a network up for translation, and back to how it was afterwards.

    Args:
        statistics: Which statistics normalise.
        dropout_seed: Decides the masks of dropout; None switches it off.
    """
    was_training = network.training
    draw = None if dropout_seed is None else torch.Generator().manual_seed(dropout_seed)
    before: list[tuple[BatchNorm2d, Statistics]] = []
    dropouts: list[Dropout] = []
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            before.append((module, module.statistics))
            module.statistics = statistics
        elif isinstance(module, Dropout):
            dropouts.append(module)
            module.draw = draw
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
        for norm, old in before:
            norm.statistics = old
        for dropout in dropouts:
            dropout.draw = None


def init_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Weights from N(0, 0.02), biases 0 (pix2pix, section 6.2); the gains of norms from N(1, 0.02), as its code has."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)
