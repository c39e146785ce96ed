"""Exact flow carries the next frame of the demo city back onto this one.

    python examples/warp_with_flow.py --scene 3 --out warped.png

Prints the mean absolute difference in grey levels between the two frames, and between this frame and the next one
warped back, where a pixel has a partner.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from citygan.data.demo import render
from citygan.pictures import encode_png


def warp_back(following: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Samples frame t + 1 at x + flow: what frame t must have looked like; uint8 [H, W, 3]."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(following, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR), np.uint8)


def difference(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference over the pixels `where`, in grey levels."""
    return float(np.abs(one.astype(np.int16) - other)[where].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=int, default=3)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--out", type=Path, help="a sheet: this frame, the next one, the next one warped back")
    arguments = parser.parse_args()
    now, following = render(seed=0, scene=arguments.scene, frames=2, size=(arguments.side, arguments.side))
    assert now.photo is not None and following.photo is not None and now.flow is not None and now.occlusion is not None
    warped = warp_back(following.photo, now.flow)
    seen = now.occlusion == 0
    print(f"not warped: {difference(now.photo, following.photo, seen):.2f}")
    print(f"warped:     {difference(now.photo, warped, seen):.2f}")
    if arguments.out is not None:
        arguments.out.write_bytes(encode_png(np.hstack([now.photo, following.photo, warped])))


if __name__ == "__main__":
    main()
