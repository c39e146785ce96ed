"""Flow carries the next frame of the demo city back onto this one: the exact flow, and what OpenCV finds.

    python examples/warp_with_flow.py --scene 3 --out warped.png

Prints the mean absolute difference in grey levels between the two frames, and between this frame and the next one
warped back by either flow, where a pixel has a partner.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from citygan.data.demo import render
from citygan.ops.flow import dense_flow
from citygan.ops.warping import warp
from citygan.pictures import encode_png


def warp_back(following: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Samples frame t + 1 at x + flow: what frame t must have looked like; uint8 [H, W, 3]."""
    picture, to = (torch.from_numpy(array).permute(2, 0, 1)[None].float() for array in (following, flow))
    return warp(picture, to)[0].permute(1, 2, 0).round().byte().numpy()


def difference(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference over the pixels `where`, in grey levels."""
    return float(np.abs(one.astype(np.int16) - other)[where].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=int, default=3)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--out", type=Path, help="a sheet: this frame, the next one, and it warped back by either flow")
    arguments = parser.parse_args()
    now, following = render(seed=0, scene=arguments.scene, frames=2, size=(arguments.side, arguments.side))
    assert now.photo is not None and following.photo is not None and now.flow is not None and now.occlusion is not None
    exact = warp_back(following.photo, now.flow)
    found = warp_back(following.photo, dense_flow(now.photo, following.photo))
    seen = now.occlusion == 0
    print(f"not warped: {difference(now.photo, following.photo, seen):.2f}")
    print(f"warped:     {difference(now.photo, exact, seen):.2f}")
    print(f"by OpenCV:  {difference(now.photo, found, seen):.2f}")
    if arguments.out is not None:
        arguments.out.write_bytes(encode_png(np.hstack([now.photo, following.photo, exact, found])))


if __name__ == "__main__":
    main()
