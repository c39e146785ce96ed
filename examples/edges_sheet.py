"""A sheet of edge maps: of photos at several settings, and of the graphics renderings of the same scenes.

    citygan prepare demo
    python examples/edges_sheet.py --out docs/images/edges.png

The demo city has both renderings. The middle setting is the default of `citygan.ops.edges.edge_map`.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from citygan.data.store import resolve_set
from citygan.ops.edges import SMOOTHING, THRESHOLD, edge_map
from citygan.sheets import sheet

UInt8 = npt.NDArray[np.uint8]
SETTINGS = ((0.0, 30.0), (SMOOTHING, THRESHOLD), (SMOOTHING, 2 * THRESHOLD))  # smoothing, threshold


def drawn(picture: UInt8, smoothing: float, threshold: float) -> UInt8:
    """The edges of a picture [H, W, 3], black on white, [H, W, 1]."""
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    edges = edge_map(x, smoothing=smoothing, threshold=threshold)[0, 0]
    return ((1 - edges) * 255).byte().numpy()[:, :, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="demo", help="a prepared set with photos and graphics renderings")
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    split = resolve_set(arguments.data).split("val")
    assert split.photo is not None and split.source is not None
    scenes = list(split.sequences().values())
    titles = ["photo", *(f"smooth {s:g}, above {t:g}" for s, t in SETTINGS), "graphics", "its edges"]
    rows: list[list[UInt8]] = []
    for frames in scenes[:: max(1, len(scenes) // arguments.scenes)][: arguments.scenes]:
        photo, graphics = (np.array(array[frames.start]) for array in (split.photo, split.source))
        rows.append([photo, *(drawn(photo, *setting) for setting in SETTINGS), graphics, drawn(graphics, *SETTINGS[1])])
    page = Image.fromarray(sheet(rows, titles))
    file = io.BytesIO()
    page.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(file.getvalue())
    print(arguments.out)


if __name__ == "__main__":
    main()
