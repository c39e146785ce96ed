"""A metric of your own: a function of two pictures and one row, and `evaluate` knows it.

    python examples/own_metric.py --metric brightness --metric ssim

In the package itself the row would stand in `citygan/metrics/__init__.py`; here it is added from outside.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from citygan.cli import run
from citygan.metrics import METRICS, Metric
from citygan.metrics.figures import Mean


def brightness(fake: npt.NDArray[np.uint8], real: npt.NDArray[np.uint8]) -> float:
    """How far the mean brightness of a picture is off, in grey levels: 0 where it is right.

    Args:
        fake, real: uint8 [H, W, C].
    """
    return abs(float(fake.mean()) - float(real.mean()))


def main() -> None:
    METRICS["brightness"] = Metric(
        name="brightness",
        unit="grey levels",
        better="lower",
        range="0 to 255, 0 where the brightness is right",
        source="defined here",
        scope="picture",
        measure=brightness,
        gather=Mean,
        protocol={"brightness": "mean of all pixels and channels"},
    )
    sys.exit(run(["evaluate", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
