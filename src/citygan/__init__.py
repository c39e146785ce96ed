"""citygan: semantic label maps to street scenes, and back to figures.

import citygan
city = citygan.load("runs/pix2pix-1")     # a run or a checkpoint folder
photo = city.translate(labels)            # uint8 [H, W] or [N, H, W] -> uint8 [..., H, W, 3]
citygan.evaluate(fake, real, metrics=["ssim"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citygan.evaluation import evaluate
    from citygan.infer import load

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "load"]


def __getattr__(name: str) -> Any:
    # imported at first use: `citygan --help` and `import citygan` do not wait for torch
    if name == "load":
        from citygan.infer import load

        return load
    if name == "evaluate":
        from citygan.evaluation import evaluate

        return evaluate
    raise AttributeError(f"module 'citygan' has no attribute '{name}'")
