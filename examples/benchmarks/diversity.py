"""Where samples of an edge model differ: by class, with a sheet to look at.

    citygan train --model sflow
    python examples/benchmarks/diversity.py --run sflow-1 --sheet docs/images/samples.png \
        --out examples/benchmarks/results/diversity.json

Each picture of the validation split is translated K times: with the learnt fusion of the edge network, and with K - 1
draws of it. The figure is the mean absolute difference of all pairs of samples, in grey levels, over the pixels of each
class, and over those of all. The sheet shows labels, the edges of each sample, and the samples.
"""

from __future__ import annotations

import argparse
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from timing import record, write

import citygan
from citygan.evaluation import set_of_run
from citygan.infer import Translator
from citygan.sheets import sheet

UInt8 = npt.NDArray[np.uint8]


def differences(samples: list[UInt8]) -> npt.NDArray[np.float64]:
    """The mean over all pairs, pixel by pixel: [H, W]."""
    pairs = list(itertools.combinations([sample.astype(np.float64) for sample in samples], 2))
    found: npt.NDArray[np.float64] = np.mean([np.abs(x - y).mean(axis=-1) for x, y in pairs], axis=0)
    return found


def by_class(translator: Translator, split: Any, indices: list[int], count: int) -> dict[str, Any]:
    """Where the samples of these pictures differ, and by how much."""
    table = translator.classes
    assert table is not None
    total, pixels = np.zeros(256), np.zeros(256)
    for index in indices:
        given, beside = translator.given(split, index), translator.beside(split, index)
        spread = differences([translator.translate(given, **beside, sample=k) for k in range(count)])
        total += np.bincount(given.reshape(-1), spread.reshape(-1), 256)
        pixels += np.bincount(given.reshape(-1), minlength=256)
    names = {item.id: item.name for item in table.classes}
    shown = [i for i in np.argsort(-pixels) if pixels[i] and int(i) in names]
    return {
        "all": float(total.sum() / pixels.sum()),
        "classes": {
            names[int(i)]: {"share": float(pixels[i] / pixels.sum()), "difference": float(total[i] / pixels[i])}
            for i in shown
        },
    }


def rows_of(translator: Translator, split: Any, indices: list[int], count: int) -> list[list[UInt8]]:
    """Two rows a picture: the edges of each sample, and the samples."""
    rows = []
    for index in indices:
        given, beside = translator.given(split, index), translator.beside(split, index)
        edges = [translator.edge_picture(beside["pictures"], sample=k) for k in range(count)]
        pictures = [translator.translate(given, **beside, sample=k) for k in range(count)]
        rows += [[translator.shown(given), *edges], [beside["pictures"], *pictures]]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=25, help="one of each scene")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    translator = citygan.load(arguments.run)
    data = set_of_run(translator)
    split = data.split("val")
    scenes = [frames.start for frames in split.sequences().values()] or list(range(len(split)))
    found = by_class(translator, split, scenes[: arguments.pictures], arguments.samples)
    print(found)
    if arguments.sheet:
        rows = rows_of(translator, split, scenes[1:8:3][:2], arguments.samples)
        titles = ["labels, graphics", "learnt fusion", *(f"draw {k}" for k in range(1, arguments.samples))]
        file = io.BytesIO()
        page = Image.fromarray(sheet(rows, titles))
        page.quantize(192, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        arguments.sheet.write_bytes(file.getvalue())
    if arguments.out:
        about = {"name": data.name, "checksum": data.checksum, "size": f"{data.size[0]}x{data.size[1]}"}
        counts = {"samples": arguments.samples, "pictures": min(arguments.pictures, len(scenes))}
        model = {"step": translator.step, "protocol": translator.protocol()}
        write(arguments.out, record({"data": about, **counts, "model": model, **found}, translator.device.type))


if __name__ == "__main__":
    main()
