"""The quick pix2pix on the demo city, L1 alone and L1+cGAN, beside painting each class with its mean colour.

    python examples/benchmarks/demo_quality.py --work WORK --out examples/benchmarks/results/demo-quality.json

Runs `citygan prepare demo`, `citygan train` and `citygan evaluate` as a user would, in the folder --work; what is there
already is not done again. Differences are paired: the same validation pictures, and the two frames of a scene count as
one observation.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from timing import record, write

METRICS = ("ssim", "psnr", "l1", "gradient", "colour")
VARIANTS: dict[str, list[str]] = {
    # a regression stands a higher rate than a GAN; after 10 epochs it overfits; from one-hot classes a narrow network
    # paints sharper borders than from colours
    "L1": [
        *("--set", "losses.lambda_gan=0", "--set", "input.encoding=onehot", "--set", "augment.jitter=1"),
        *("--set", "optimizer.rate=0.001", "--set", "train.ema=0.999", "--steps", "4000"),
    ],
    "L1+cGAN": [],
}


def citygan(work: Path, *arguments: str) -> str:
    """Runs one command in the folder; its stderr is shown."""
    command = [sys.executable, "-m", "citygan", *arguments]
    return subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE, text=True).stdout


def one_run(work: Path, variant: str, seed: int) -> dict[str, Any]:
    """Trains and evaluates one run; returns its figures, and those of each picture."""
    name = f"{variant.lower().replace('+', '-')}-{seed}"
    if not (work / "runs" / name / "done").exists():
        citygan(work, "train", "--model", "pix2pix", "--seed", str(seed), "--name", name, *VARIANTS[variant])
        (work / "runs" / name / "done").touch()
    table = work / f"{name}.csv"
    wanted = [word for metric in METRICS for word in ("--metric", metric)]
    output = citygan(work, "evaluate", "--run", name, "--json", "--per-image", table.name, "--force", *wanted)
    result = json.loads(output)
    with open(table, encoding="utf-8", newline="") as file:
        pictures = list(csv.DictReader(file))
    return {"variant": variant, "seed": seed, "result": result, "pictures": pictures}


def scene_of(picture: str) -> str:
    """The scene that a frame shows: val_0003 of val_0003_01."""
    return picture.rpartition("_")[0]


def paired(runs: list[dict[str, Any]], metric: str) -> dict[str, float]:
    """Mean difference of generated and painted over scenes and seeds, and its standard errors over either."""
    by_scene: dict[str, list[float]] = {}
    by_seed = []
    for run in runs:
        differences = []
        for row in run["pictures"]:
            difference = float(row[metric]) - float(row[f"{metric}_mean_colour"])
            by_scene.setdefault(scene_of(row["picture"]), []).append(difference)
            differences.append(difference)
        by_seed.append(statistics.mean(differences))
    scenes = [statistics.mean(values) for values in by_scene.values()]
    return {
        "difference": statistics.mean(by_seed),
        "standard_error_over_scenes": statistics.stdev(scenes) / len(scenes) ** 0.5,
        "standard_error_over_seeds": statistics.stdev(by_seed) / len(by_seed) ** 0.5 if len(by_seed) > 1 else 0.0,
        "scenes": len(scenes),
        "seeds": len(by_seed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, … of the L1 run")
    parser.add_argument("--gan-seeds", type=int, default=3, help="of the L1+cGAN run, which costs twice as much")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    if not (arguments.work / "data" / "demo").exists():
        citygan(arguments.work, "prepare", "demo")
    seeds = {"L1": arguments.seeds, "L1+cGAN": arguments.gan_seeds}
    runs = [one_run(arguments.work, variant, seed) for variant in VARIANTS for seed in range(seeds[variant])]
    summary: dict[str, Any] = {}
    for variant in VARIANTS:
        mine = [run for run in runs if run["variant"] == variant]
        means = {metric: [run["result"]["metrics"][metric]["mean"] for run in mine] for metric in METRICS}
        summary[variant] = {
            "means_by_seed": means,
            "paired_with_mean_colour": {metric: paired(mine, metric) for metric in ("ssim", "psnr")},
        }
    painting = {metric: runs[0]["result"]["metrics"][metric]["mean_colour"]["mean"] for metric in METRICS}
    result = {
        "mean_colour": painting,
        "variants": summary,
        "protocol": runs[0]["result"]["protocol"],
        "steps": {
            variant: next(r["result"]["protocol"]["model"] for r in runs if r["variant"] == variant)
            for variant in VARIANTS
        },
    }
    print(json.dumps({"mean_colour": painting, "variants": summary}, indent=1))
    if arguments.out:
        write(arguments.out, record(result))


if __name__ == "__main__":
    main()
