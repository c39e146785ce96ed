"""The named models: each a difference from the defaults, with what it reproduces.

A preset is one row. `settings` is what differs from the defaults of `citygan.config`; `quick` is laid over that for a
narrow, small, short run that two CPU cores finish in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from citygan.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Preset:
    """One named model."""

    task: str
    summary: str
    source: str
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]


PRESETS: dict[str, Preset] = {
    "pix2pix": Preset(
        task="labels or pictures to photos",
        summary="U-Net, 70x70 PatchGAN, cGAN + 100 L1",
        source="pix2pix, sections 3 and 6.1; table 1, row L1+cGAN",
        settings={},
        quick={
            "generator": {"width": 16},
            "discriminator": {"width": 16},
            "optimizer": {"schedule": "linear"},
            "train": {"steps": 4000, "ema": 0.998},
        },
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: There is none; the names are listed, the nearest first.
    """
    if name in PRESETS:
        return PRESETS[name]
    hint = f"{did_you_mean(name, PRESETS)}There are: {', '.join(sorted(PRESETS))}"
    raise UsageError(f"no model named '{name}'", where="--model", hint=hint)
