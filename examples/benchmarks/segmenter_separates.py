"""Whether the FCN-score means something: does a segmenter tell real photos, a translation and two controls apart?

    citygan prepare CAMVID --size 128x128 --out data/camvid
    python examples/benchmarks/segmenter_separates.py --data data/camvid --work WORK \
        --out examples/benchmarks/results/segmenter-separates.json

For each seed 0, 1, … a segmenter (`unet-seg`, quick form) learns from the photos of the training split and a
translation (`pix2pix`, quick form) from its pairs; the segmenter then looks at the validation split's real photos
(oracle), at their translations, at the mean-colour painting, and scores the translations against the labels of other
pictures (chance). A gap is the difference of two rows at the same seed, with its standard error over seeds; it holds
where its mean is above two of these. There is none over pictures: mIoU is a figure of the whole split, and CamVid's
validation is one drive, whose frames are near copies of each other.

Runs are kept in --work; a run that is there with these very settings is not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timing import record, write
from trained import gap, settings_of, trained

from citygan.data.store import PreparedSet, resolve_set
from citygan.devices import pick_device
from citygan.evaluation import evaluate_run

ROWS = ("oracle", "translation", "mean-colour", "chance")
FIGURES = ("class_iou", "pixel_accuracy", "class_accuracy")
GAPS = (("oracle", "translation"), ("translation", "mean-colour"), ("translation", "chance"))


def rows_of(figure: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The figures of each row, out of an `fcn-score`."""
    named = {**figure["rows"], "mean-colour": figure["mean_colour"], "translation": figure["rows"]["generated"]}
    return {row: {name: named[row][name] for name in FIGURES} for row in ROWS}


def one_seed(data: PreparedSet, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains both, and lets the segmenter look."""
    counts = {"unet-seg": arguments.steps_segmenter, "pix2pix": arguments.steps_translation}
    chosen = {model: settings_of(model, data, seed, count) for model, count in counts.items()}
    runs = {model: trained(each, data, arguments.work, arguments.device, model) for model, each in chosen.items()}
    (segmenter, segmenter_s), (translation, translation_s) = runs["unet-seg"], runs["pix2pix"]
    result = evaluate_run(translation, "val", ["fcn-score"], data=data, segmenter=segmenter, device=arguments.device)
    return {
        "seed": seed,
        "rows": rows_of(result["metrics"]["fcn-score"]),
        "images": result["images"],
        "scored_as": result["protocol"]["metrics"]["fcn-score"]["segmenter"]["scored_as"],
        "trained_s": {"segmenter": segmenter_s, "translation": translation_s},
    }


def summary(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of every seed, the gaps in all figures, and whether all gaps in mIoU hold."""
    gaps = [gap(seeds, above, below, name) for name in FIGURES for above, below in GAPS]
    decisive = [each["holds"] for each in gaps if each["figure"] == "class_iou"]
    return {"seeds": list(seeds), "gaps": gaps, "separates": None if None in decisive else all(decisive)}


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set with photos, labels and a val split")
    parser.add_argument("--work", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, …")
    parser.add_argument("--steps-segmenter", type=int, default=600)
    parser.add_argument("--steps-translation", type=int, default=4000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(words)


def main() -> None:
    arguments = parsed()
    data = resolve_set(arguments.data)
    seeds = [one_seed(data, seed, arguments) for seed in range(arguments.seeds)]
    about_data = {"name": data.name, "checksum": data.checksum, "size": f"{data.size[0]}x{data.size[1]}"}
    counts = {"segmenter": arguments.steps_segmenter, "translation": arguments.steps_translation}
    result = {"data": about_data, "steps": counts, **summary(seeds)}
    print(json.dumps(result, indent=1))
    if arguments.out:
        write(arguments.out, record(result, str(pick_device(arguments.device))))


if __name__ == "__main__":
    main()
