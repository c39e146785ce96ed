"""Figures of pictures in memory, and what blur does to them.

    python examples/evaluate_arrays.py

A blurred photo loses nothing but its edges; noise as strong leaves them. SSIM and PSNR see the one kindly, `gradient`
the other.
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
    random = np.random.default_rng(0)
    fakes = {
        "blurred": np.stack([cv2.GaussianBlur(photo, (0, 0), 2) for photo in real]),
        "noisy": np.clip(real + random.normal(0, 20, real.shape), 0, 255).astype(np.uint8),
    }
    print("         " + "".join(f"{name:>10}" for name in METRICS))
    for name, fake in fakes.items():
        figures = citygan.evaluate(fake, real, metrics=METRICS)["metrics"]
        print(f"{name:9}" + "".join(f"{figures[metric]['mean']:10.3f}" for metric in METRICS))
    print("SSIM of each blurred picture:", np.round(ssim(fakes["blurred"], real), 3))


if __name__ == "__main__":
    main()
