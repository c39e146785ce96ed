"""How well a prepared set's flow carries each frame onto the one before.

    citygan prepare FOLDER --flow
    python examples/check_flow.py --data NAME --split val

Prints mean absolute differences in grey levels between neighbouring frames: as they are, with the next one warped back,
the same where a pixel has a correspondence, and warped by the flow of the wrong sign.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from citygan.data.store import resolve_set
from citygan.ops.warping import warp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a prepared set; by default the one prepared last")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    split = resolve_set(arguments.data).split(arguments.split)
    if split.photo is None or split.flow is None or split.occlusion is None:
        raise SystemExit(f"{split.path} has no photos with flow: citygan prepare FOLDER --flow")
    errors = []
    for place in split.pairs():
        now, then, flow = (
            torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]
            for array in (split.photo[place], split.photo[place + 1], split.flow[place])
        )
        seen = torch.from_numpy(split.occlusion[place] == 0).expand_as(now)
        back = (warp(then, flow) - now).abs()
        errors.append(
            [(then - now).abs().mean(), back.mean(), back[seen].mean(), (warp(then, -flow) - now).abs().mean()]
        )
    means = np.nanmean(errors, axis=0)  # a pair may be occluded everywhere
    for name, mean in zip(("not warped", "warped", "warped, not occluded", "wrong sign"), means, strict=True):
        print(f"{name:<20} {mean:6.2f}")


if __name__ == "__main__":
    main()
