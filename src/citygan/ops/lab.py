"""sRGB to CIE Lab and back, for whole batches on their device.

The constants are those of CIE 1931 (2 degrees, D65) and IEC 61966-2-1 as scikit-image has them (`color/colorconv.py`,
BSD licence), which `rgb_to_lab` and `lab_to_rgb` agree with to 1e-4.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # X, Y, Z of D65
_CUBIC = 0.008856  # of white, above which a cube root is taken, and below which a line
_LINE = (7.787, 16 / 116)

# plain numbers, which no step that is recorded has to bring to the device
_TO_WHITE = (np.array(_TO_XYZ) / np.array(_WHITE)[:, None]).tolist()
_FROM_WHITE = (np.linalg.inv(np.array(_TO_XYZ)) * np.array(_WHITE)).tolist()


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB to Lab.

    Args:
        rgb: [N, 3, H, W] from 0 to 1.

    Returns:
        [N, 3, H, W] float32: L from 0 to 100; a from -86.2 to 98.2 and b from -107.9 to 94.5 in the gamut of sRGB.
    """
    with torch.autocast(rgb.device.type, enabled=False):
        x = rgb.float()
        linear = torch.where(x > 0.04045, ((x + 0.055) / 1.055).clamp(min=0).pow(2.4), x / 12.92)
        t = _mixed(_TO_WHITE, linear)
        f = torch.where(t > _CUBIC, t.clamp(min=_CUBIC).pow(1 / 3), _LINE[0] * t + _LINE[1])
        fx, fy, fz = f.unbind(1)
        return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Lab to sRGB; what lies outside its gamut is clipped.

    Args:
        lab: [N, 3, H, W], as `rgb_to_lab` gives it.

    Returns:
        [N, 3, H, W] float32 from 0 to 1.
    """
    with torch.autocast(lab.device.type, enabled=False):
        lightness, a, b = lab.float().unbind(1)
        fy = (lightness + 16) / 116
        f = torch.stack([fy + a / 500, fy, (fy - b / 200).clamp(min=0)], dim=1)
        t = torch.where(f > _LINE[0] * _CUBIC + _LINE[1], f**3, (f - _LINE[1]) / _LINE[0])
        linear = _mixed(_FROM_WHITE, t)
        curved = 1.055 * linear.clamp(min=0.0031308).pow(1 / 2.4) - 0.055
        return torch.where(linear > 0.0031308, curved, 12.92 * linear).clamp_(0, 1)


def _mixed(matrix: list[list[float]], x: Tensor) -> Tensor:
    """A 3x3 matrix times the channels of [N, 3, H, W]."""
    red, green, blue = x.unbind(1)
    return torch.stack([row[0] * red + row[1] * green + row[2] * blue for row in matrix], dim=1)
