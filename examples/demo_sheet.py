"""A sheet of demo scenes: label, graphics, photo, and what a run makes of the label.

    python examples/demo_sheet.py --run pix2pix-1 --out docs/images/demo.png

Takes scenes of the test and validation splits, which the run was not trained on.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import citygan
from citygan.data.store import resolve_set
from citygan.sheets import label_colours, sheet

TITLES = ["label", "graphics", "photo", "generated"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--data", default="demo")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--side", type=int, default=144, help="pixels of each picture on the sheet")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    city = citygan.load(arguments.run)
    split = resolve_set(arguments.data).split("val")
    assert split.label is not None and split.photo is not None and split.source is not None
    firsts = [frames.start for frames in split.sequences().values()][: arguments.scenes]
    rows: list[list[np.ndarray]] = []
    for number, i in enumerate(firsts):
        label = np.asarray(split.label[i])
        assert city.classes is not None
        pictures = [label_colours(label, city.classes), split.source[i], split.photo[i], city.translate(label)]
        small = [cv2.resize(np.asarray(p), (arguments.side,) * 2, interpolation=cv2.INTER_AREA) for p in pictures]
        if number % 2 == 0:
            rows.append(small)
        else:
            rows[-1] += small  # two scenes a row
    page = Image.fromarray(sheet(rows, TITLES * 2))
    file = io.BytesIO()
    page.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
        file, "PNG", optimize=True
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(file.getvalue())
    print(arguments.out)


if __name__ == "__main__":
    main()
