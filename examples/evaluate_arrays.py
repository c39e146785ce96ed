"""Figures of pictures in memory, and how kind SSIM and PSNR are to blur.

    python examples/evaluate_arrays.py

A blurred photo has lost its edges; one that is moved by a few pixels looks as good as ever. SSIM, PSNR and L1 prefer
the blurred one, since they compare pixel with pixel; `colour` and `gradient` compare what the sets are made of.
"""

from __future__ import annotations

import cv2
import numpy as np

import citygan
from citygan.data.demo import render
from citygan.metrics import ssim

METRICS = ["ssim", "psnr", "l1", "colour", "gradient"]


def main() -> None:
    frames = [next(iter(render(seed=0, scene=scene, size=(128, 128)))) for scene in range(4)]
    real = np.stack([frame.photo for frame in frames if frame.photo is not None])  # uint8 [4, 128, 128, 3]
    fakes = {
        "blurred": np.stack([cv2.GaussianBlur(photo, (0, 0), 2) for photo in real]),
        "moved": np.roll(real, 4, axis=2),
    }
    print("         " + "".join(f"{name:>10}" for name in METRICS))
    for name, fake in fakes.items():
        figures = citygan.evaluate(fake, real, metrics=METRICS)["metrics"]
        print(f"{name:9}" + "".join(f"{figures[metric]['mean']:10.3f}" for metric in METRICS))
    print("SSIM of each blurred picture:", np.round(ssim(fakes["blurred"], real), 3))


if __name__ == "__main__":
    main()
