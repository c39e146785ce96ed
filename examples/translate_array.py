"""A label map drawn with NumPy becomes a photo.

    python examples/translate_array.py --run pix2pix-1 --out street.png

The ids are those of the run's own classes, whichever they are, found by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import citygan
from citygan.data.labels import ClassTable
from citygan.pictures import encode_png

NAMES = {"sky": "sky", "building": "building", "road": "road", "sidewalk": "pavement", "car": "vehicle"}


def find_ids(table: ClassTable) -> dict[str, int]:
    """An id of the table for each class that is drawn: by its name, or another, or else some class that is trained."""
    by_name = {item.name.lower(): item.id for item in table.classes}
    trained = [item.id for item in table.classes if item.train_id != 255] or list(table.ids)
    return {
        name: by_name.get(name, by_name.get(other, trained[place % len(trained)]))
        for place, (name, other) in enumerate(NAMES.items())
    }


def draw_street(height: int, width: int, ids: dict[str, int]) -> np.ndarray:
    """A plain street: sky above, houses at both sides, road and pavements below, one car; uint8 [H, W]."""
    label = np.full((height, width), ids["sky"], np.uint8)
    horizon = height // 2
    label[horizon // 3 : horizon, : width // 3] = ids["building"]
    label[horizon // 2 : horizon, -width // 3 :] = ids["building"]
    for y in range(horizon, height):
        half = int((y - horizon) * 0.9) + width // 20
        left, right = max(0, width // 2 - half), min(width, width // 2 + half)
        label[y] = ids["sidewalk"]
        label[y, left:right] = ids["road"]
    top, x = horizon + height // 16, width * 5 // 9
    label[top : top + height // 8, x : x + width // 6] = ids["car"]
    return label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a run's name or folder; by default the last one")
    parser.add_argument("--out", type=Path, default=Path("street.png"))
    arguments = parser.parse_args()
    city = citygan.load(arguments.run)
    if city.classes is None:
        raise SystemExit("this run takes pictures, not label maps")
    photo = city.translate(draw_street(256, 384, find_ids(city.classes)))  # any size; here [256, 384] -> [256, 384, 3]
    arguments.out.write_bytes(encode_png(photo))
    print(arguments.out)


if __name__ == "__main__":
    main()
