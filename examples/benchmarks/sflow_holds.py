"""Whether edges help a picture, and whether the flow loss steadies a video, on the demo city, seed by seed.

    citygan prepare demo
    python examples/benchmarks/sflow_holds.py --data data/demo --work WORK \
        --out examples/benchmarks/results/sflow-holds.json

For each seed 0, 1, … these learn in their quick form, from the same photos and for the same steps:

    labels        sflow-labels: labels alone
    graphics      sflow, its edges taken at test time from the graphics renderings
    photo         the same run, its edges taken from the very photo that is to be painted, which leaks the answer
    video         sflow-video, going on from that run
    longer        the same with flow and warp weights 0: the picture model trained for the same extra steps
    flow, warp    with the one motion term alone; of the first seeds only (--terms)

and a segmenter (unet-seg), which looks at their pictures. All are scored on the validation split. A gap is the
difference of two rows at the same seed; `holds` says whether its mean is on the right side by two standard errors.
Runs are kept in --work; a run that is there with these very settings is not trained again. --only SEED trains and
scores one seed, so that several processes can share the work.
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
from citygan.files import read_json, write_json

METRICS = ("ssim", "psnr", "l1", "sharpness", "gradient", "warp-error", "flicker", "fcn-score")
ROWS = ("labels", "graphics", "photo", "video", "longer")
TERMS = ("flow", "warp")
STILL: Mapping[str, Any] = {"losses": {"lambda_flow": 0.0, "lambda_warp": 0.0}}
# above, below, figure
GAPS = (
    ("graphics", "labels", "ssim"),
    ("labels", "graphics", "l1"),
    ("graphics", "labels", "miou"),
    ("photo", "graphics", "ssim"),
    ("longer", "video", "warp-error"),
)


def figures_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a row, by name, out of an evaluation."""
    found = {name: result["metrics"][name]["mean"] for name in METRICS if name != "fcn-score"}
    seen = result["metrics"]["fcn-score"]["rows"]["generated"]
    return found | {"miou": seen["class_iou"], "pixel_accuracy": seen["pixel_accuracy"]}


def one_seed(
    data: PreparedSet, seed: int, arguments: argparse.Namespace, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Trains all of a seed, and scores what was not scored `before`."""
    work, device = arguments.work, arguments.device
    clock: dict[str, float | None] = {}
    done = {} if before is None else dict(before["rows"])

    def run(name: str, model: str, count: int, start: Path | None = None, own: Mapping[str, Any] | None = None) -> Path:
        path, clock[name] = trained(settings_of(model, data, seed, count, start, own), data, work, device, name)
        return path

    segmenter = run("segmenter", "unet-seg", arguments.steps_segmenter)
    labels = run("labels", "sflow-labels", arguments.steps)
    edges = run("edges", "sflow", arguments.steps)
    rows: dict[str, tuple[Path, str | None]] = {
        "labels": (labels, None),
        "graphics": (edges, "source"),
        "photo": (edges, "photo"),
        "video": (run("video", "sflow-video", arguments.steps_video, edges), "source"),
        "longer": (run("longer", "sflow-video", arguments.steps_video, edges, STILL), "source"),
    }
    if seed < arguments.terms:
        for name in TERMS:
            other = "warp" if name == "flow" else "flow"
            own = {"losses": {f"lambda_{other}": 0.0}}
            rows[name] = (run(name, "sflow-video", arguments.steps_video, edges, own), "source")
    found = {name: figures for name, figures in done.items() if name != "photos"}
    scored_as, real = None if before is None else before["scored_as"], done.get("photos", {})
    for name, (path, edges_of) in rows.items():
        if name in found:
            continue
        result = evaluate_run(
            path, "val", list(METRICS), data=data, segmenter=segmenter, device=device, edges_of=edges_of
        )
        found[name] = figures_of(result)
        scored_as = result["protocol"]["metrics"]["fcn-score"]["segmenter"]["scored_as"]
        real = {key: result["metrics"][key]["real"]["mean"] for key in ("sharpness", "warp-error", "flicker")}
        seen = result["metrics"]["fcn-score"]["rows"]["oracle"]
        real |= {"miou": seen["class_iou"], "pixel_accuracy": seen["pixel_accuracy"]}
    return {"seed": seed, "rows": {**found, "photos": real}, "scored_as": scored_as, "trained_s": clock}


def complete(kept: Mapping[str, Any] | None, seed: int, terms: int) -> bool:
    """Whether a seed was scored already, with all that is wanted of it."""
    return kept is not None and {*ROWS, *(TERMS if seed < terms else ())} <= kept["rows"].keys()


def of_video(seeds: Sequence[Mapping[str, Any]], row: str) -> dict[str, Any]:
    """What a model of pairs changes against the picture model trained for as long, seed by seed."""
    seeds = [each for each in seeds if row in each["rows"]]

    def shares(name: str) -> list[float]:
        return [each["rows"][row][name] / each["rows"]["longer"][name] - 1 for each in seeds]

    ssim = [each["rows"][row]["ssim"] - each["rows"]["longer"]["ssim"] for each in seeds]
    return {"row": row, "warp_error_share": shares("warp-error"), "sharpness_share": shares("sharpness"), "ssim": ssim}


def summary(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of every seed and the gaps."""
    rows = [name for name in ("video", *TERMS) if name in seeds[0]["rows"]]
    return {
        "seeds": list(seeds),
        "gaps": [gap(seeds, *each) for each in GAPS],
        "videos": [of_video(seeds, row) for row in rows],
    }


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set with sequences and source pictures")
    parser.add_argument("--work", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, …")
    parser.add_argument("--only", type=int, help="of these seeds this one alone, kept in --work")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--steps-video", type=int, default=400)
    parser.add_argument("--steps-segmenter", type=int, default=600)
    parser.add_argument("--terms", type=int, default=0, help="seeds with each of the motion terms alone, too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(words)


def main() -> None:
    arguments = parsed()
    data = resolve_set(arguments.data)
    seeds = []
    for seed in range(arguments.seeds) if arguments.only is None else [arguments.only]:
        kept = arguments.work / f"seed-{seed}.json"
        before = read_json(kept) if kept.exists() else None
        if not complete(before, seed, arguments.terms):
            arguments.work.mkdir(parents=True, exist_ok=True)
            write_json(kept, one_seed(data, seed, arguments, before))
        seeds.append(read_json(kept))
    about_data = {"name": data.name, "checksum": data.checksum, "size": f"{data.size[0]}x{data.size[1]}"}
    counts = {"pictures": arguments.steps, "video": arguments.steps_video, "segmenter": arguments.steps_segmenter}
    result = {"data": about_data, "steps": counts, **summary(seeds)}
    print(json.dumps(result, indent=1))
    if arguments.out:
        write(arguments.out, record(result, str(pick_device(arguments.device))))


if __name__ == "__main__":
    main()
