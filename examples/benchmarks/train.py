"""A training step and a translation, ours beside the public pix2pix, interleaved in one process.

    python examples/benchmarks/train.py --peer ../shared/peers --width 64 --batch 1 4 --repeats 10

The peer is a folder with a `peer_pix2pix.py` whose `Peer(width, batch, size, device)` has `step()` and `translate()`.
Same architecture, same update order, the same numerics except where a row says bf16; ours runs the code that
`citygan train` runs: engine, recipe, feed out of a prepared set.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import compare, interleaved, peak_memory_mb, record, write

from citygan.building import build
from citygan.config import Layer, resolve
from citygan.data.batches import Feed
from citygan.data.labels import TABLES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.infer import Translator, round_weights
from citygan.train.engine import Engine, Plan

GIGAFLOP_PER_PICTURE = 86.9  # one training step of the peer at width 64 and 256x256


class Ours:
    """The state that `citygan train` holds, on random pictures; `step` feeds, trains and logs nothing."""

    def __init__(self, data: PreparedSet, width: int, batch: int, device: str, bf16: bool, **train: Any) -> None:
        values = {
            "generator": {"width": width},
            "discriminator": {"width": width},
            "train": {"batch": batch, "precision": "bf16" if bf16 else "float32", **train},
        }
        settings, _ = resolve([Layer("benchmark", values)])
        built = build(settings, data)
        place = torch.device(device)
        plan = Plan(
            steps=10**6,
            bf16=bf16,
            channels_last=settings.train.channels_last,
            compile=settings.train.compile,
            cuda_graphs=settings.train.cuda_graphs,
        )
        self.engine = Engine(built.recipe, plan, place)
        self.feed = Feed(
            data.split("train"), arrays=["photo", "label"], batch=batch, jitter=settings.augment.jitter, mirror=True,
            seed=0, device=place,
        )  # fmt: skip
        self.labels = np.asarray(data.split("train").label[:batch])  # type: ignore[index]
        self.built, self.bf16 = built, bf16
        self.done = 0

    def step(self) -> None:
        self.engine.train_step(self.done, self.feed(self.done))
        self.done += 1

    def feed_only(self) -> None:
        self.feed(self.done)
        self.done += 1

    @cached_property
    def translators(self) -> dict[str, Translator]:
        """As `citygan.load` makes them."""
        generator = copy.deepcopy(self.built.recipe.networks["generator"]).requires_grad_(False)
        if self.bf16:
            round_weights(generator)
        return {
            mode: Translator(
                generator,
                self.built.inputs,
                self.built.outputs,
                mode=mode,
                device=self.engine.device,
                bf16=self.bf16,
            )
            for mode in ("paper", "deterministic")
        }

    def translate(self, mode: str) -> None:
        self.translators[mode].translate(self.labels)


def random_set(folder: Path, size: int, count: int) -> PreparedSet:
    """A prepared set of random pictures."""
    random = np.random.default_rng(0)
    writer = SetWriter(folder / "set", size=(size, size), plan={})
    split = writer.split("train")
    for i in range(count):
        photo = random.integers(0, 256, (size, size, 3), np.uint8)
        label = random.integers(0, 34, (size, size), np.uint8)
        split.append(Item(f"{i:04d}", {}, (size, size)), photo=photo, label=label)
    path = writer.finish({"source": "random", "photo_channels": 3, "classes": TABLES["cityscapes"].to_dict()})
    return PreparedSet.open(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--width", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--precision", nargs="+", default=["float32", "bf16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--graphs", action="store_true", help="record steps as CUDA graphs")
    parser.add_argument("--steady", type=float, default=0.0, help="seconds of our steps alone, for each row")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.peer))
    from peer_pix2pix import Peer

    synchronise = torch.cuda.synchronize if arguments.device.startswith("cuda") else None
    peak = bf16_peak_tflops(arguments.device) if synchronise is not None else None
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = random_set(Path(folder), arguments.size, 64)
        for width in arguments.width:
            for batch in arguments.batch:
                peer = Peer(width=width, batch=batch, size=arguments.size, device=arguments.device)
                for precision in arguments.precision:
                    options = {"compile": arguments.compile, "cuda_graphs": arguments.graphs}
                    ours = Ours(data, width, batch, arguments.device, precision == "bf16", **options)
                    row = {"width": width, "batch": batch, "precision": precision, "size": arguments.size}
                    row["train"] = compare(
                        interleaved({"ours": ours.step, "peer": peer.step}, arguments.repeats, 2, synchronise),
                        "ours",
                        "peer",
                    )
                    feeding = interleaved({"feed": ours.feed_only}, 20, 2, synchronise)["feed"]
                    row["waiting_share"] = float(np.median(feeding)) / row["train"]["ours_median_s"]
                    for mode in ("paper", "deterministic"):
                        calls = {"ours": lambda mode=mode, ours=ours: ours.translate(mode), "peer": peer.translate}
                        times = interleaved(calls, arguments.repeats, 2, synchronise)
                        row[f"translate_{mode}"] = compare(times, "ours", "peer")
                    row["pictures_per_s"] = batch / row["train"]["ours_median_s"]
                    if arguments.steady:
                        row["steady_pictures_per_s"] = steady(ours, batch, arguments.steady, synchronise)
                    if peak is not None and width == 64 and arguments.size == 256:
                        row["share_of_bf16_peak"] = row["pictures_per_s"] * GIGAFLOP_PER_PICTURE / 1e3 / peak
                    rows.append(row)
                    print(
                        f"width {width} batch {batch} {precision}: train {row['train']['speedup']:.2f}x "
                        f"({row['pictures_per_s']:.2f} pictures/s), translate {row['translate_paper']['speedup']:.2f}x "
                        f"(deterministic {row['translate_deterministic']['speedup']:.2f}x), "
                        f"waiting {row['waiting_share']:.1%}"
                    )
    if arguments.out:
        results = {"rows": rows, "bf16_peak_tflops": peak}
        if synchronise is None:
            results["memory"] = memory(arguments)
        write(arguments.out, record(results, arguments.device))


def steady(ours: Ours, batch: int, seconds: float, synchronise: Callable[[], object] | None) -> float:
    """Pictures a second over a longer stretch of training."""
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(20):
            ours.step()
        if synchronise is not None:
            synchronise()
        steps += 20
    return steps * batch / (time.perf_counter() - start)


def bf16_peak_tflops(device: str) -> float:
    """What a large matrix product reaches here, in TFLOP/s."""
    a, b = torch.randn(2, 8192, 8192, device=device, dtype=torch.bfloat16)
    seconds = interleaved({"product": lambda: a @ b}, 10, 3, torch.cuda.synchronize)["product"]
    return 2 * 8192**3 / 1e12 / sorted(seconds)[len(seconds) // 2]


def memory(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of a process that takes three steps, ours and the peer's."""
    found = []
    here = Path(__file__).resolve().parent
    for width in arguments.width:
        for batch in arguments.batch:
            size = arguments.size
            theirs = (
                f"import sys; sys.path.insert(0, {str(arguments.peer.resolve())!r})\nfrom peer_pix2pix import Peer\n"
                f"peer = Peer({width}, {batch}, {size}, 'cpu')\nfor _ in range(3): peer.step()"
            )
            ours = (
                f"import sys, tempfile; sys.path.insert(0, {str(here)!r})\nfrom pathlib import Path\nimport train\n"
                f"data = train.random_set(Path(tempfile.mkdtemp()), {size}, 16)\n"
                f"ours = train.Ours(data, {width}, {batch}, 'cpu', False)\nfor _ in range(3): ours.step()"
            )
            pair = {"ours": peak_memory_mb(ours), "peer": peak_memory_mb(theirs)}
            found.append({"width": width, "batch": batch, "peak_mb": pair, "ratio": pair["ours"] / pair["peer"]})
            print(f"width {width} batch {batch}: peak memory {pair['ours']:.0f} MB, peer {pair['peer']:.0f} MB")
    return found


if __name__ == "__main__":
    main()
