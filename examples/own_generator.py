"""A generator of your own: a class, its row and a named model, and every command can train and use it.

    python examples/own_generator.py train --model flat --steps 200 --name flat
    python examples/own_generator.py translate labels/ out/ --run flat
    python examples/own_generator.py evaluate --run flat

In the package itself the rows would stand in `citygan/models/__init__.py` and `citygan/presets.py`; here they are added
from outside, so a run with it is translated, evaluated and resumed by way of this script too: `citygan` alone does not
know the generator.
"""

from __future__ import annotations

import sys

from torch import Tensor, nn

from citygan.cli import run
from citygan.models import GENERATORS
from citygan.models.layers import BatchNorm2d, Dropout, init_normal
from citygan.presets import PRESETS, Preset


class FlatGenerator(nn.Module):
    """Dilated convolutions at full size, with neither encoder nor decoder.

    Args:
        in_channels, out_channels: C of input and output.
        width: Filters of each layer.
        depth: Layers between the first and the last, each seeing twice as far as the one before.
        dropout: Rate after each of them.

    Shape:
        [N, in_channels, H, W] in [-1, 1] -> [N, out_channels, H, W] in (-1, 1)
    """

    multiple = 1  # any size will do

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
        for i in range(min(depth, 5)):
            far = 2**i
            layers += [
                nn.Conv2d(width, width, 3, padding=far, dilation=far, bias=False),
                BatchNorm2d(width),  # ours: at test time it can use each picture's own statistics
                nn.ReLU(),
                Dropout(dropout),  # ours: at test time its draw depends on the seed alone
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, out_channels, 3, padding=1), nn.Tanh())
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


FLAT = Preset(
    task="labels or pictures to photos",
    summary="dilated convolutions at full size, 70x70 PatchGAN, cGAN + 100 L1",
    source="of your own",
    settings={"generator": {"name": "flat", "width": 32}},
    quick={"generator": {"width": 16}, "discriminator": {"width": 16}, "train": {"steps": 2000, "ema": 0.998}},
)


def main() -> None:
    GENERATORS["flat"] = FlatGenerator
    PRESETS["flat"] = FLAT
    arguments = sys.argv[1:]
    code = run(arguments)
    if code == 0 and arguments[:1] == ["train"] and "--json" not in arguments:
        print(f"use the run through this script: python {sys.argv[0]} translate labels/ out/")
    sys.exit(code)


if __name__ == "__main__":
    main()
