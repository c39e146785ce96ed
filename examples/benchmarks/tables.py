"""Fills the tables of the documentation from the committed results: no figure in them is typed by hand.

    python examples/benchmarks/tables.py            # after a new file in examples/benchmarks/results
    python examples/benchmarks/tables.py --check    # exit 1 where a table is not what the results say

A table stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->` in README.md, docs/benchmarks.md,
docs/edges.md, docs/segmenters.md or docs/sflow.md. The part of a result's file name before the first `-` or `.` names
the benchmark that made it: `train-cpu.json` is one of `train`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "edges", "segmenters", "sflow")))
RESULTS = ROOT / "examples" / "benchmarks" / "results"
NOTHING = "No results of this benchmark have been recorded yet."
CITYSCAPES_PICTURES, PAPER_EPOCHS, PAPER_WIDTH = 2975, 200, 64
FILMED = ("translate", "film", "write")
TRANSLATIONS = ("translate_paper", "translate_deterministic")

Record = dict[str, Any]
Records = Mapping[str, Record]  # by file name

_BLOCK = re.compile(r"(<!-- begin: (\S+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Puts each block's text between its markers; blocks without markers, and markers without a block, stay."""

    def block(match: re.Match[str]) -> str:
        name = match.group(2)
        return f"{match.group(1)}{blocks[name].rstrip()}\n{match.group(4)}" if name in blocks else match.group(0)

    return _BLOCK.sub(block, text)


def names(text: str) -> list[str]:
    """The blocks that a page has."""
    return [match.group(2) for match in _BLOCK.finditer(text)]


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """A Markdown table; the first `left` columns to the left, numbers to the right."""
    line = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, line, *rows))


def load(folder: Path = RESULTS) -> dict[str, Record]:
    """The results there are, by file name."""
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def blocks(records: Records) -> dict[str, str]:
    """Every block of the benchmark pages."""
    filled = {name: _every(name, show, records) for name, show in SHOWN.items()}
    others = {name: record for name, record in records.items() if _kind(name) not in SHOWN}
    filled["others"] = "\n\n".join(_made(name, record) for name, record in others.items()) or "None."
    filled["hardware"] = _hardware(records)
    return filled


def _kind(file: str) -> str:
    # those whose names have a hyphen of their own first
    return next((kind for kind in SHOWN if file.startswith(kind)), re.split(r"[-.]", file)[0])


def _every(kind: str, show: Callable[[Any], str], records: Records) -> str:
    mine = {name: record for name, record in records.items() if _kind(name) == kind}
    parts = [f"{_made(name, record)}\n\n{show(record['results'])}" for name, record in mine.items()]
    return "\n\n".join(parts) or NOTHING


def _made(file: str, record: Record) -> str:
    """What, where, when and with what a result was made."""
    versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
    return (
        f"[`{file}`](../examples/benchmarks/results/{file}): {record.get('device', 'unknown device')}, "
        f"{record.get('date', 'no date')} ({versions})\n\n    {record.get('command', '')}"
    )


def _times(value: float) -> str:
    return f"{value:.2f}x"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def _speed(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _train(results: Any) -> str:
    header = (
        "width", "batch", "precision", "step [ms]", "peer [ms]", "faster", "pictures/s", "translate",
        "translate, deterministic", "waiting for data",
    )  # fmt: skip
    rows = []
    for row in results["rows"]:
        step = row["train"]
        rows.append(
            [
                row["width"],
                row["batch"],
                row["precision"],
                _milliseconds(step["ours_median_s"]),
                _milliseconds(step["theirs_median_s"]),
                _times(step["speedup"]),
                _speed(row["pictures_per_s"]),
                *(_times(row[name]["speedup"]) if name in row else "-" for name in TRANSLATIONS),
                f"{row['waiting_share']:.1%}" if "waiting_share" in row else "-",
            ]
        )
    text = table(header, rows, left=3)
    if results.get("memory"):
        memory = [
            [row["width"], row["batch"], f"{row['peak_mb']['ours']:.0f}", f"{row['peak_mb']['peer']:.0f}",
             f"{row['ratio']:.2f}"]
            for row in results["memory"]
        ]  # fmt: skip
        text += "\n\n" + table(("width", "batch", "peak memory [MB]", "peer [MB]", "ratio"), memory, left=2)
    return text


def _feed(results: Any) -> str:
    rows = [
        [
            row["batch"],
            _milliseconds(row["ours_median_s"]),
            _milliseconds(row["theirs_median_s"]),
            _times(row["speedup"]),
            _speed(row["batch"] / row["ours_median_s"]),
        ]
        for row in results["rows"]
    ]
    return table(("batch", "prepared set [ms]", "files [ms]", "faster", "pictures/s"), rows)


def _ssim(results: Any) -> str:
    rows = []
    for row in results["rows"]:
        for name in ("metric", "evaluate"):
            if name in row:
                rows.append(
                    [
                        row["size"],
                        name,
                        f"{row[name]['ours_ms_a_picture']:.2f}",
                        f"{row[name]['theirs_ms_a_picture']:.2f}",
                        _times(row[name]["speedup"]),
                        f"{row['largest_difference']:.0e}",
                    ]
                )
    header = ("size", "what", "ms a picture", "scikit-image", "faster", "largest difference")
    text = table(header, rows, left=2)
    if results.get("memory"):
        memory = ", ".join(f"{name.removesuffix('_mb')} {value:.0f}" for name, value in results["memory"].items())
        text += f"\n\nPeak memory of fresh processes in MB: {memory.replace('_', ' ')}."
    return text


def _prepare(results: Any) -> str:
    width, height = results["size"]
    row = [
        f"{width}x{height}",
        results["workers"],
        results["pictures"],
        f"{results['prepare_pictures_per_s']:.1f}",
        f"{results['opencv_pictures_per_s']:.1f}",
        f"{results['share_of_opencvs_speed']:.0%}",
        f"{results['peak_memory_mb']:.0f}",
        results["peak_memory_pictures"],
    ]
    header = (
        "size", "threads", "pictures", "prepare [pictures/s]", "OpenCV alone [pictures/s]", "share", "peak memory [MB]",
        "at pictures",
    )  # fmt: skip
    return table(header, [row])


def _flow(results: Any) -> str:
    rows = [
        [
            row["settings"],
            row["size"],
            row["batch"],
            _milliseconds(row["opencv_s"]) if "opencv_s" in row else "-",
            _milliseconds(row["forward_s"]),
            _milliseconds(row["backward_s"]),
            *(_times(row[f"{part}_ratio"]) if f"{part}_ratio" in row else "-" for part in ("forward", "backward")),
            f"{row['median_difference_px']:.0e}",
            f"{row['largest_difference_px']:.0e}",
        ]
        for row in results["rows"]
    ]
    header = (
        "window", "size", "batch", "OpenCV [ms]", "forward [ms]", "with backward [ms]", "forward to OpenCV",
        "with backward", "median difference [px]", "largest",
    )  # fmt: skip
    text = table(header, rows, left=2)
    if results.get("memory"):
        memory = ", ".join(f"{name} {value:.0f}" for name, value in results["memory"].items())
        text += f"\n\nPeak memory of fresh processes in MB: {memory}."
    return text


def _sflow_step(results: Any) -> str:
    header = ["step", "size", "time [ms]", "ratio", "to", "peak memory [MB]"]
    rows = [
        [
            row["row"],
            row["size"],
            _milliseconds(row["median_s"]),
            f"{row['ratio']:.2f}" if "ratio" in row else "-",
            row.get("beside", "-"),
            f"{row['peak_mb']:.0f}" if "peak_mb" in row else "-",
        ]
        for row in results["rows"]
    ]
    made = f"Width {results['width']}, batch {results['batch']}, {results['precision']}, threads: {results['threads']}."
    return f"{made}\n\n" + table(header, rows, left=2)


def _video(results: Any) -> str:
    rows = [
        [row["size"], row["batch"], row["codec"], *(_speed(row[f"{name}_frames_per_s"]) for name in FILMED)]
        for row in results["rows"]
    ]
    made = f"Width {results['width']}, threads: {results['threads']}."
    text = f"{made}\n\n" + table(("size", "batch", "coder", *(f"{name} [frames/s]" for name in FILMED)), rows, left=3)
    if results.get("memory"):
        few, many = (results["memory"][f"frames_{count}_mb"] for count in (10, 10_000))
        text += f"\n\nPeak memory of fresh processes in MB: 10 frames {few:.0f}, 10,000 frames {many:.0f}."
    return text


def _demo_quality(results: Any) -> str:
    metrics = list(results["mean_colour"])
    digits = {"psnr": 2, "l1": 2}

    def cell(name: str, values: Sequence[float]) -> str:
        return " / ".join(f"{value:.{digits.get(name, 3)}f}" for value in values)

    rows = [["mean-colour painting", *(cell(name, [results["mean_colour"][name]]) for name in metrics)]]
    differences = []
    for variant, found in results["variants"].items():
        rows.append([variant, *(cell(name, found["means_by_seed"][name]) for name in metrics)])
        for name, paired in found["paired_with_mean_colour"].items():
            differences.append(
                [
                    variant,
                    name,
                    f"{paired['difference']:+.{digits.get(name, 3) + 1}f}",
                    f"{paired['standard_error_over_scenes']:.{digits.get(name, 3) + 1}f}",
                    f"{paired['standard_error_over_seeds']:.{digits.get(name, 3) + 1}f}",
                    paired["scenes"],
                    paired["seeds"],
                ]
            )
    header = ("difference to the painting", "metric", "mean", "standard error (scenes)", "(seeds)", "scenes", "seeds")
    return table(("one figure a seed", *metrics), rows) + "\n\n" + table(header, differences, left=2)


def _segmenter_separates(results: Any) -> str:
    seeds, figures = (
        results["seeds"],
        {"class_iou": "mIoU", "pixel_accuracy": "pixel acc.", "class_accuracy": "class acc."},
    )
    rows = [
        [row, *(" / ".join(f"{each['rows'][row][name]:.3f}" for each in seeds) for name in figures)]
        for row in seeds[0]["rows"]
    ]
    steps, images = results["steps"], seeds[0]["images"]
    made = (
        f"{results['data']['name']} at {results['data']['size']}, {images} pictures of val; quick forms, "
        f"{steps['segmenter']} steps of unet-seg, {steps['translation']} of pix2pix."
    )
    return f"{made}\n\n" + table(("one figure a seed", *figures.values()), rows) + "\n\n" + _gaps(results, figures)


def _gaps(results: Any, titles: Mapping[str, str], digits: Mapping[str, int] = {}) -> str:
    """The paired differences of two rows, with what each figure is called and the decimals of one seed's (3)."""
    verdict = {True: "yes", False: "no", None: "one seed"}
    rows = []
    for gap in results["gaps"]:
        places = digits.get(gap["figure"], 3)
        rows.append(
            [
                f"{gap['above']} - {gap['below']}",
                titles[gap["figure"]],
                " / ".join(f"{value:+.{places}f}" for value in gap["by_seed"]),
                f"{gap['mean']:+.{places + 1}f}",
                "-" if gap["standard_error"] is None else f"{gap['standard_error']:.{places + 1}f}",
                verdict[gap["holds"]],
            ]
        )
    return table(("gap", "figure", "one a seed", "mean", "standard error", "above two of these"), rows, left=2)


def _sflow_holds(results: Any) -> str:
    seeds, steps = results["seeds"], results["steps"]
    titles = {
        "ssim": "SSIM", "psnr": "PSNR [dB]", "l1": "L1", "gradient": "gradient", "miou": "mIoU",
        "pixel_accuracy": "pixel acc.", "warp-error": "warp-error", "flicker": "flicker", "sharpness": "sharpness",
    }  # fmt: skip
    digits = {"psnr": 2, "l1": 2, "warp-error": 2, "flicker": 2, "sharpness": 1}

    def shown(names: Sequence[str], figures: Sequence[str]) -> list[list[str]]:
        # the photos have no figure of a comparison with themselves
        return [
            [name]
            + [
                " / ".join(f"{each['rows'][name][key]:.{digits.get(key, 3)}f}" for each in seeds)
                if key in seeds[0]["rows"][name]
                else "-"
                for key in figures
            ]
            for name in names
            if name in seeds[0]["rows"]
        ]

    pictures = ("ssim", "psnr", "l1", "gradient", "miou", "pixel_accuracy")
    motion = ("warp-error", "flicker", "sharpness", "ssim")
    videos = [
        [
            row["row"],
            *(" / ".join(f"{share:+.1%}" for share in row[key]) for key in ("warp_error_share", "sharpness_share")),
            " / ".join(f"{value:+.3f}" for value in row["ssim"]),
        ]
        for row in results["videos"]
    ]
    made = (
        f"{results['data']['name']} at {results['data']['size']}, split val; quick forms, {steps['pictures']} steps of "
        f"the picture models, {steps['video']} more of pairs of frames, {steps['segmenter']} of unet-seg."
    )
    parts = [
        made,
        table(
            ("pictures, one figure a seed", *(titles[key] for key in pictures)),
            shown(("labels", "graphics", "photo", "photos"), pictures),
        ),
        table(
            ("videos, one figure a seed", *(titles[key] for key in motion)),
            shown(("graphics", "longer", "video", "flow", "warp", "photos"), motion),
        ),
        table(("against longer, one a seed", "warp-error", "sharpness", "SSIM"), videos),
        _gaps(results, titles, digits),
    ]
    return "\n\n".join(parts)


def _dned(results: Any) -> str:
    data, of = results["data"], results["training"]
    made = (
        f"{data['name']} at {data['size']}; width {of['width']}, {of['steps']} steps of {of['batch']} crops of "
        f"{of['crop']}x{of['crop']}; diversity of {of['draws']} draws at concentration {of['concentration']:g}."
    )
    rows = []
    for source in results["rows"][0]["sources"]:
        for row in results["rows"]:
            found = row["sources"][source]
            shares = [f"{found[name]:.3f}" for name in ("bce", "f", "precision", "recall", "f_at_half")]
            rows.append([source, row["name"], *shares, f"{found['diversity']:.4f}"])
    header = ("source", "shown to", "BCE", "best F", "precision", "recall", "F at 0.5", "diversity")
    return f"{made}\n\n" + table(header, rows, left=2)


def _diversity(results: Any) -> str:
    data, least = results["data"], 0.01  # share of the pixels, of a class that is listed
    made = (
        f"{data['name']} at {data['size']}; {results['samples']} samples each of {results['pictures']} pictures, "
        f"a model of {results['model']['step']} steps. Mean absolute difference of the samples of a picture, in grey "
        "levels."
    )
    rows = [["all", "1.00", f"{results['all']:.2f}"]]
    for name, found in results["classes"].items():
        if found["share"] >= least:
            rows.append([name, f"{found['share']:.2f}", f"{found['difference']:.2f}"])
    return f"{made}\n\n" + table(("class", "share of the pixels", "difference"), rows, left=1)


def _hardware(records: Records) -> str:
    """For the README: training speed of the paper's width on each device there is a record of."""
    rows = []
    for name, record in records.items():
        if _kind(name) != "train":
            continue
        for row in record["results"]["rows"]:
            if (row["width"], row.get("size", 256)) != (PAPER_WIDTH, 256):
                continue
            speed = row["pictures_per_s"]
            hours = CITYSCAPES_PICTURES * PAPER_EPOCHS / speed / 3600
            rows.append(
                [
                    record["device"],
                    row["batch"],
                    row["precision"],
                    _speed(speed),
                    _times(row["train"]["speedup"]),
                    f"{60 * hours:.0f} min" if hours < 2 else f"{hours:.0f} h",
                ]
            )
    if not rows:
        return NOTHING
    header = (
        "device", "batch", "precision", "pictures/s", "to the public pix2pix",
        f"{CITYSCAPES_PICTURES} pictures x {PAPER_EPOCHS} epochs, extrapolated",
    )  # fmt: skip
    return table(header, rows, left=1)


SHOWN: dict[str, Callable[[Any], str]] = {
    "train": _train,
    "feed": _feed,
    "ssim": _ssim,
    "prepare": _prepare,
    "flow": _flow,
    "sflow-step": _sflow_step,
    "video": _video,
    "demo-quality": _demo_quality,
    "segmenter-separates": _segmenter_separates,
    "dned": _dned,
    "diversity": _diversity,
    "sflow-holds": _sflow_holds,
}


def stale(pages: Iterable[Path], filled: Mapping[str, str]) -> list[Path]:
    """The pages whose blocks are not what they should be."""
    return [page for page in pages if fill(page.read_text("utf-8"), filled) != page.read_text("utf-8")]


def run(pages: Sequence[Path], filled: Mapping[str, str], check: bool, command: str) -> None:
    """Fills the pages, or exits with 1 and their names where --check finds any out of date."""
    old = stale(pages, filled)
    if check and old:
        sys.exit(f"out of date: {', '.join(str(page.relative_to(ROOT)) for page in old)}. Run python {command}")
    for page in old:
        page.write_text(fill(page.read_text("utf-8"), filled), "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")


def main() -> None:
    """Writes or checks the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a table is out of date")
    arguments = parser.parse_args()
    run(PAGES, blocks(load()), arguments.check, "examples/benchmarks/tables.py")


if __name__ == "__main__":
    main()
