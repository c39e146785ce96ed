"""Random changes of colour on the device, for a whole batch: colour jitter, and the light of the photo.

Colour jitter is torchvision's `ColorJitter` in the order brightness, contrast, saturation, hue, which torchvision
shuffles. Each picture's factors are a function of the seed and of its place in the whole training alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from citygan.data.draws import COLOURS, generator

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue, as torchvision has them


@dataclass(frozen=True, kw_only=True)
class ColourRanges:
    """How far colours may change; 0 is off.

    Attributes:
        brightness, contrast, saturation: Largest difference of colour jitter's factors from 1.
        hue: Largest turn, as a share of the colour circle.
        both: Whether colour jitter changes the generator's input with the photo.
        gain: The photo's factor is from 1 / (1 + gain) to 1 + gain.
        bias: Largest share of white that is added to the photo or taken away.
        gamma: The photo's exponent is from 1 / (1 + gamma) to 1 + gamma.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    both: bool = False
    gain: float = 0.0
    bias: float = 0.0
    gamma: float = 0.0

    @property
    def jitters(self) -> bool:
        """Whether there is colour jitter."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    @property
    def paints(self) -> bool:
        """Whether label maps are to be painted, so that their colours change."""
        return self.jitters and self.both

    @property
    def lights(self) -> bool:
        """Whether the photo's light changes."""
        return any((self.gain, self.bias, self.gamma))


@dataclass(frozen=True)
class ColourChange:
    """One batch's draws.

    Attributes:
        ranges: What they were drawn from.
        drawn: float32 [7, N] from -1 to 1, for brightness, contrast, saturation, hue, gain, bias, gamma.
    """

    ranges: ColourRanges
    drawn: npt.NDArray[np.float32]

    @staticmethod
    def draw(ranges: ColourRanges, seed: int, positions: list[int]) -> ColourChange:
        """Draws for pictures at `positions` in the whole training.

        All seven are drawn where one is wanted, so that none depends on which others are off.
        """
        if not ranges.jitters and not ranges.lights:
            return ColourChange(ranges, np.zeros((7, len(positions)), np.float32))
        drawn = [generator(seed, COLOURS, position).uniform(-1, 1, 7) for position in positions]
        return ColourChange(ranges, np.stack(drawn, axis=1).astype(np.float32))

    def __call__(self, x: Tensor, *, photo: bool) -> Tensor:
        """[N, C, H, W] uint8, the photo or the input beside it -> float32 in [-1, 1]."""
        jittered = self.ranges.jitters and (photo or self.ranges.both)
        lit = self.ranges.lights and photo
        if not jittered and not lit:
            return x.float().mul_(1 / 127.5).sub_(1)
        x = x.float().mul_(1 / 255)
        x = self.jitter(x) if jittered else x
        x = self.light(x) if lit else x
        return x.mul(2).sub_(1)

    def jitter(self, x: Tensor) -> Tensor:
        """Colour jitter: [N, C, H, W] float32 in [0, 1] -> the same; a grey picture has no saturation and no hue."""
        ranges, drawn = self.ranges, self._on(x.device)
        grey = x.shape[1] == 1
        if ranges.brightness:
            x = (x * (1 + ranges.brightness * drawn[0])).clamp_(0, 1)
        if ranges.contrast:
            x = _towards(x, luma(x).mean((1, 2, 3), keepdim=True), 1 + ranges.contrast * drawn[1])
        if ranges.saturation and not grey:
            x = _towards(x, luma(x), 1 + ranges.saturation * drawn[2])
        if ranges.hue and not grey:
            x = turn_hue(x, ranges.hue * drawn[3])
        return x

    def light(self, x: Tensor) -> Tensor:
        """The photo's light: gain * x^gamma + bias; [N, C, H, W] float32 in [0, 1] -> the same."""
        ranges, drawn = self.ranges, self._on(x.device)
        if ranges.gamma:
            x = x ** ((1 + ranges.gamma) ** drawn[6])
        return (x * (1 + ranges.gain) ** drawn[4] + ranges.bias * drawn[5]).clamp_(0, 1)

    def _on(self, device: torch.device) -> Tensor:
        """[7, N, 1, 1, 1] on the device."""
        drawn = torch.from_numpy(self.drawn)[..., None, None, None]
        # through pinned memory: the host goes on while the device is still at the step before
        return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)


def luma(x: Tensor) -> Tensor:
    """[N, C, H, W] -> its grey, [N, 1, H, W]."""
    return x if x.shape[1] == 1 else sum(weight * x[:, i : i + 1] for i, weight in enumerate(GREY))  # type: ignore[return-value]


def _towards(x: Tensor, middle: Tensor, factor: Tensor) -> Tensor:
    """`x` with `factor` times its distance from `middle`."""
    return torch.lerp(middle.expand_as(x), x, factor).clamp_(0, 1)


def turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turns hues as HSV has them.

    Args:
        x: [N, 3, H, W] float32 in [0, 1].
        turn: [N, 1, 1, 1], as a share of the circle.

    Returns:
        The same shape, with the value and saturation that it had.
    """
    red, green, blue = x.unbind(1)  # [N, H, W] each
    high, low = x.amax(1), x.amin(1)
    chroma = high - low
    safe = torch.where(chroma == 0, 1, chroma)
    # in sixths of the circle, from red
    hue = torch.where(
        high == red,
        (green - blue) / safe,
        torch.where(high == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * turn[:, 0]
    parts = []
    for start in (5, 3, 1):  # red, green, blue: each falls from high to low and back over the circle
        place = (start + hue) % 6
        parts.append(high - chroma * torch.minimum(place, 4 - place).clamp_(0, 1))
    return torch.stack(parts, dim=-1).permute(0, 3, 1, 2)  # channels-last in memory
