"""`citygan prepare` beside OpenCV alone, which decodes and resizes the same files on as many threads and keeps nothing.

    python examples/benchmarks/prepare.py --pictures 120 --repeats 5 --out examples/benchmarks/results/prepare-cpu.json

The source is a Cityscapes tree of links to a few real pictures (photo, raw ids, instance ids, 2048x1024), by default
the ones in ../shared. `prepare` does all it always does: the plan, checks, sha256, writing, fsync. Its peak memory is
that of a process of its own which prepares as many pictures as all of Cityscapes' train (`--memory-pictures`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from timing import compare, interleaved, peak_memory_mb, record, write

from citygan.data.prepare import Options, prepare

KINDS = {"photo": "leftImg8bit", "label": "gtFine_labelIds", "instance": "gtFine_instanceIds"}


def link_tree(source: Path, root: Path, count: int) -> list[dict[str, Path]]:
    """A tree of `count` pictures in the official layout, links to those of `source` in turn."""
    photos = sorted(source.glob("leftImg8bit/train/*/*_leftImg8bit.png"))
    made = []
    for number in range(count):
        photo = photos[number % len(photos)]
        stem, city = photo.name.removesuffix("_leftImg8bit.png"), photo.parent.name
        files = {}
        for kind, ending in KINDS.items():
            top = ending.partition("_")[0]
            file = root / top / "train" / city / f"{city}_{number:06d}_000019_{ending}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.symlink_to((source / top / "train" / city / f"{stem}_{ending}.png").resolve())
            files[kind] = file
        made.append(files)
    return made


def opencv_alone(made: list[dict[str, Path]], size: tuple[int, int], workers: int) -> None:
    """Decodes and resizes each file, and nothing more."""

    def one(files: dict[str, Path]) -> None:
        for kind, file in files.items():
            data = np.frombuffer(file.read_bytes(), np.uint8)
            if kind == "photo":
                cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), size, interpolation=cv2.INTER_AREA)
            else:
                cv2.resize(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), size, interpolation=cv2.INTER_NEAREST)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, made))


def main() -> None:
    """Measures, and writes one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("../shared/data/cityscapes"), help="a Cityscapes tree")
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--memory-pictures", type=int, default=2975)
    parser.add_argument("--size", default="512x256")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("examples/benchmarks/results/prepare-cpu.json"))
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    cv2.setNumThreads(1)  # the threads are ours, on both sides
    with tempfile.TemporaryDirectory() as folder:
        made = link_tree(arguments.source, Path(folder, "source"), arguments.pictures)

        def ours() -> None:
            options = Options(out=Path(folder, "set"), size=(width, height), workers=arguments.workers, force=True)
            with contextlib.redirect_stderr(io.StringIO()):
                prepare(str(Path(folder, "source")), options)

        calls = {"prepare": ours, "opencv": lambda: opencv_alone(made, (width, height), arguments.workers)}
        times = interleaved(calls, arguments.repeats, warmup=1)
        shutil.rmtree(Path(folder, "source"))
        link_tree(arguments.source, Path(folder, "whole"), arguments.memory_pictures)
        memory = peak_memory_mb(
            "from citygan.data.prepare import Options, prepare\n"
            "from pathlib import Path\n"
            f"prepare({str(Path(folder, 'whole'))!r}, Options(out=Path({str(Path(folder, 'big'))!r}), "
            f"size=({width}, {height}), workers={arguments.workers}))"
        )
    measured = compare(times, "prepare", "opencv")
    results = {
        "pictures": arguments.pictures,
        "size": [width, height],
        "workers": arguments.workers,
        "share_of_opencvs_speed": measured["speedup"],
        "prepare_pictures_per_s": arguments.pictures / measured["ours_median_s"],
        "opencv_pictures_per_s": arguments.pictures / measured["theirs_median_s"],
        "peak_memory_mb": memory,
        "peak_memory_pictures": arguments.memory_pictures,
        **measured,
    }
    write(arguments.out, record(results))
    print(f"{results['prepare_pictures_per_s']:.1f} pictures/s, {results['share_of_opencvs_speed']:.0%} of OpenCV's")
    print(f"peak memory for {arguments.memory_pictures} pictures: {memory:.0f} MB")


if __name__ == "__main__":
    main()
