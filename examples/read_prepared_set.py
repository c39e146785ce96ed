"""A prepared set read with NumPy and the standard library alone, as any other tool could.

python examples/read_prepared_set.py data/demo
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="the folder of a prepared set")
    parser.add_argument("--split", help="by default train, or else whichever there is")
    arguments = parser.parse_args()
    splits = sorted(file.parent.name for file in arguments.set.glob("*/items.jsonl"))
    if not splits:
        raise SystemExit(f"no prepared set: {arguments.set}")
    split = arguments.split or ("train" if "train" in splits else splits[0])
    if split not in splits:
        raise SystemExit(f"no split {split}; there are: {', '.join(splits)}")
    folder = arguments.set / split
    print(f"split {split} of {', '.join(splits)}")

    # each array is mapped, not read: only what is looked at comes into memory
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in sorted(folder.glob("*.npy"))}
    for name, array in arrays.items():
        print(f"{name:10} {array.dtype!s:8} {array.shape}")

    lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    print(f"{len(items)} pictures, the first is {items[0]['stem']}")

    if "label" in arrays:
        counts = np.zeros(256, np.int64)
        for label in arrays["label"]:  # uint8 [H, W], one picture at a time
            counts += np.bincount(label.reshape(-1), minlength=256)
        most = np.argsort(-counts)[:5]
        print("most frequent ids: " + ", ".join(f"{i} ({counts[i] / counts.sum():.1%})" for i in most))


if __name__ == "__main__":
    main()
