"""What each loss of S-Flow GAN costs: training steps with it switched off, taken in turn with the whole step.

    python examples/benchmarks/sflow_step.py --repeats 3 --out examples/benchmarks/results/sflow-step-cpu.json
    python examples/benchmarks/sflow_step.py --device cuda --width 64 --repeats 30 --memory \
        --out examples/benchmarks/results/sflow-step-cuda.json

Settings are those of the presets, at `--width` filters; VGG-19 always has its 64. All weights are random: a step takes
as long with any. Pictures are the demo city's. The code is what `citygan train` runs: feed out of a prepared set,
recipe, engine. Steps are of the second stage, in which the generator is shown the edge network's edges, but for the row
that says otherwise. On CUDA, a step of the local enhancer at 2048x1024 comes on top.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from timing import interleaved, peak_memory_mb, record, write

from citygan.building import build
from citygan.config import Layer, resolve
from citygan.data.demo import render
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.feeding import feed_of
from citygan.presets import preset
from citygan.train.engine import Engine, Plan

SIZE, LARGE = (512, 256), (2048, 1024)
FRAMES = 4
STEPS = 10**6


@dataclass(frozen=True)
class Row:
    """A step that is timed.

    Attributes:
        model: The preset.
        beside: The row that it is compared with.
        settings: What differs from the preset.
        first_stage: Whether the generator is still shown the Laplacian's edges, while the edge network learns beside.
    """

    model: str
    beside: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    first_stage: bool = False


def _losses(**weights: float) -> Mapping[str, Mapping[str, Any]]:
    return {"losses": {f"lambda_{name}": weight for name, weight in weights.items()}}


WHOLE, VIDEO, ENHANCER = "sflow", "sflow-video", "local enhancer"
ROWS = {
    WHOLE: Row("sflow", WHOLE),
    "first stage": Row("sflow", WHOLE, first_stage=True),
    "without VGG": Row("sflow", WHOLE, _losses(vgg=0)),
    "without feature matching": Row("sflow", WHOLE, _losses(fm=0)),
    "without GAN and feature matching": Row("sflow", WHOLE, _losses(gan=0, fm=0)),
    "without edge network": Row("sflow-laplacian", WHOLE),
    "without edges": Row("sflow-labels", WHOLE),
    "discriminators at three scales": Row("sflow-multiscale", WHOLE),
    VIDEO: Row("sflow-video", WHOLE),
    "pairs without flow loss": Row("sflow-video", VIDEO, _losses(flow=0)),
    "pairs with warp loss instead": Row("sflow-video", VIDEO, _losses(flow=0, warp=1)),
}
LARGE_ROWS = {
    ENHANCER: Row("sflow-multiscale", ENHANCER, {"generator": {"name": "local-enhancer"}}),
    "local enhancer without VGG": Row(
        "sflow-multiscale", ENHANCER, {"generator": {"name": "local-enhancer"}, **_losses(vgg=0)}
    ),
}


class Step:
    """The state that `citygan train` holds; a call feeds and trains, and logs nothing."""

    def __init__(self, data: Path, name: str, width: int, batch: int, device: str, bf16: bool) -> None:
        row = (ROWS | LARGE_ROWS)[name]
        enhanced = row.settings.get("generator", {}).get("name") == "local-enhancer"
        given = {
            # the enhancer's global generator, where most is computed, is twice as wide
            "generator": {"width": max(1, width // 2) if enhanced else width},
            "discriminator": {"width": width},
            "dned": {"width": width},
            "train": {"batch": batch, "precision": "bf16" if bf16 else "float32"},
        }
        layers = [Layer(row.model, preset(row.model).settings), Layer("row", row.settings), Layer("benchmark", given)]
        settings, _ = resolve(layers)
        prepared, place = PreparedSet.open(data), torch.device(device)
        built = build(settings, prepared)
        plan = Plan(steps=STEPS, bf16=bf16, channels_last=settings.train.channels_last, ema=settings.train.ema)
        self.engine = Engine(built.recipe, plan, place)
        self.feed = feed_of(settings, prepared, arrays=built.arrays, channels=built.channels, device=place)
        self.done = 0 if row.first_stage else STEPS // 2

    def __call__(self) -> None:
        self.losses = self.engine.train_step(self.done, self.feed(self.done))
        self.done += 1


def city(folder: Path, size: tuple[int, int]) -> Path:
    """A prepared set of a few frames of a street of the demo city, with exact flow."""
    writer = SetWriter(folder / "set", size=size, plan={})
    # the last frame that is rendered has no flow
    for number, frame in zip(range(FRAMES), render(0, 1, FRAMES + 1, size), strict=False):
        assert frame.photo is not None and frame.flow is not None and frame.occlusion is not None
        writer.split("train").append(
            Item(f"{number:04d}", {}, size, "s", number),
            photo=frame.photo, label=frame.label, flow=frame.flow.astype("<f2"), occlusion=frame.occlusion,
        )  # fmt: skip
    return writer.finish({"source": "demo", "photo_channels": 3, "classes": CITYSCAPES.to_dict()})


def memory(data: Path, name: str, arguments: argparse.Namespace) -> float:
    """Peak memory in MB of a fresh process that takes two steps: of the device, or of the process on a CPU."""
    rest = (arguments.width, arguments.batch, arguments.device, arguments.bf16)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})\n"
        f"from pathlib import Path\nimport torch\nimport sflow_step\ntorch.set_num_threads({torch.get_num_threads()})\n"
        f"step = sflow_step.Step(Path({str(data)!r}), {name!r}, *{rest!r})\nfor _ in range(2): step()"
    )
    return peak_memory_mb(code, arguments.device)


def measure(size: tuple[int, int], names: Sequence[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one size, their steps taken in turn."""
    every = ROWS | LARGE_ROWS
    with tempfile.TemporaryDirectory() as folder:
        data = city(Path(folder), size)
        rest = (arguments.width, arguments.batch, arguments.device, arguments.bf16)
        steps = {name: Step(data, name, *rest) for name in names}
        synchronise = torch.cuda.synchronize if arguments.device.startswith("cuda") else None
        times = interleaved(steps, arguments.repeats, arguments.warmup, synchronise)
        terms = {name: sorted(step.losses) for name, step in steps.items()}
        steps.clear()  # before the memory of others is measured
        gc.collect()
        if synchronise is not None:
            torch.cuda.empty_cache()
        rows = []
        for name in names:
            row: dict[str, Any] = {
                "row": name,
                "size": f"{size[0]}x{size[1]}",
                "median_s": statistics.median(times[name]),
                "terms": terms[name],
                "raw_s": times[name],
            }
            beside = every[name].beside
            if beside in names:
                row["beside"] = beside
                row["ratio"] = statistics.median(a / b for a, b in zip(times[name], times[beside], strict=True))
            if arguments.memory:
                row["peak_mb"] = memory(data, name, arguments)
            rows.append(row)
            told = [f"{name}: {row['median_s']:.3f} s"]
            told += [f"{row['ratio']:.2f} of {beside}"] if "ratio" in row else []
            told += [f"{row['peak_mb']:.0f} MB"] if "peak_mb" in row else []
            print(", ".join(told), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default=f"{SIZE[0]}x{SIZE[1]}")
    parser.add_argument("--large", default=f"{LARGE[0]}x{LARGE[1]}", help="of the local enhancer, on CUDA alone")
    parser.add_argument("--width", type=int, default=16, help="filters of the networks; the presets' are 64")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *LARGE_ROWS], help="default: all that the device takes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--memory", action="store_true", help="peak memory of fresh processes, too")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    large = [*LARGE_ROWS] if arguments.device.startswith("cuda") else []
    chosen = arguments.rows or [*ROWS, *large]
    rows = []
    for size, table in ((arguments.size, ROWS), (arguments.large, LARGE_ROWS)):
        names = [name for name in table if name in chosen]
        if names:
            width, _, height = size.partition("x")
            rows += measure((int(width), int(height)), names, arguments)
    if arguments.out:
        about = {
            "width": arguments.width,
            "batch": arguments.batch,
            "precision": "bf16" if arguments.bf16 else "float32",
        }
        write(arguments.out, record({**about, "threads": torch.get_num_threads(), "rows": rows}, arguments.device))


if __name__ == "__main__":
    main()
