"""What the edge network of S-Flow GAN learns, beside the identity: does it bring graphics' edges near those of photos?

    citygan prepare demo
    python examples/benchmarks/dned.py --out examples/benchmarks/results/dned.json

DNEDs learn by equation 4 to give the edges of the training split's photos: from those very edges, as in the paper, and
from the photo itself (HED, the control), each with and without balancing edges against the rest. On the validation
split they are shown the photo and the graphics rendering, or the edges of these, and what they give is compared with
the photo's edges. So is the identity, which gives the edges it is shown, and its calibrated form, which gives the share
of training pixels that are edges where the graphics have one, and where they have none.

Diversity is the mean absolute difference between the fusions of a few draws of the weights, over pairs and pixels; the
identity has none.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from timing import record, write
from torch import Tensor

from citygan.companionsettings import CONCENTRATION
from citygan.data.store import PreparedSet, resolve_set
from citygan.devices import pick_device
from citygan.losses.edges import dned_loss
from citygan.metrics.edges import EdgeCounts, best_edge_score, edge_bce, edge_counts, edge_scores
from citygan.models.dned import DNED, draw_fusion
from citygan.ops.edges import KSIZE, SMOOTHING, THRESHOLD, edge_map

Shown = Literal["edges", "photo"]
SOURCES = ("photo", "graphics")
BETAS = (0.5, 0.999)
Predict = Callable[[Tensor], Tensor]  # uint8 [N, 3, H, W] -> probabilities [N, 1, H, W]


def pictures(array: npt.NDArray[np.uint8], places: Sequence[int], device: torch.device) -> Tensor:
    """Some of a split's pictures, uint8 [N, 3, H, W]."""
    return torch.from_numpy(np.stack([array[i] for i in places])).permute(0, 3, 1, 2).to(device)


def shown_as(x: Tensor, shown: Shown) -> Tensor:
    """What a network is shown of pictures uint8 [N, 3, H, W]."""
    return edge_map(x) if shown == "edges" else x.float() / 127.5 - 1


def trained(
    data: PreparedSet, shown: Shown, balanced: bool, arguments: argparse.Namespace, device: torch.device
) -> tuple[DNED, dict[str, float]]:
    """A network, the loss of its last tenth of steps and of a map that says nothing there, and how long it took."""
    torch.manual_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    photos = data.split("train").photo
    assert photos is not None
    network = DNED(arguments.width).to(device)
    optimizer = torch.optim.Adam(network.parameters(), arguments.rate, BETAS)
    losses, nothing = [], []
    began = time.perf_counter()
    for step in range(arguments.steps):
        x = pictures(photos, random.integers(0, len(photos), arguments.batch).tolist(), device)
        edges = edge_map(x)
        top, left = (int(random.integers(0, max(1, side - arguments.crop + 1))) for side in x.shape[-2:])
        window = (..., slice(top, top + arguments.crop), slice(left, left + arguments.crop))
        seen, target = shown_as(x, shown)[window], edges[window]
        logits = network(seen)
        loss = dned_loss(logits, target, balanced)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= 0.9 * arguments.steps - 1:
            losses.append(float(loss.detach()))
            nothing.append(float(dned_loss(torch.zeros_like(logits), target, balanced)))
    seconds = time.perf_counter() - began
    means = {"loss": float(np.mean(losses)), "loss_of_nothing": float(np.mean(nothing))}
    return network.eval(), {**means, "seconds": seconds}


def validation(
    data: PreparedSet, source: str, arguments: argparse.Namespace, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures of the source, uint8 [1, 3, H, W], and the edges of the photo, [1, 1, H, W]."""
    split = data.split("val")
    array = split.photo if source == "photo" else split.source
    if array is None or split.photo is None:
        raise SystemExit(f"{data.path}: no {source} pictures in its val split; the demo city has them")
    for i in range(min(len(array), arguments.pictures or len(array))):
        yield pictures(array, [i], device), edge_map(pictures(split.photo, [i], device))


def figures(predict: Predict, cases: Iterator[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """BCE averaged over pictures, and F-scores of all: the best over thresholds, and at 0.5."""
    bces, best, half = [], list[EdgeCounts](), list[EdgeCounts]()
    for x, edges in cases:
        probability, target = (maps[0, 0].cpu().numpy() for maps in (predict(x), edges))
        bces.append(edge_bce(probability, target))
        best.append(edge_counts(probability, target))
        half.append(edge_counts(probability, target, (0.5,)))
    score = best_edge_score(best)
    return {
        "bce": float(np.mean(bces)),
        "f": score.f,
        "precision": score.precision,
        "recall": score.recall,
        "threshold": score.threshold,
        "f_at_half": edge_scores(sum(half[1:], half[0]))[0].f,
    }


def fused(network: DNED, shown: Shown, weights: Tensor | None = None) -> Predict:
    """What a network gives: its fusion."""

    @torch.inference_mode()
    def predict(x: Tensor) -> Tensor:
        return network(shown_as(x, shown), weights)[:, 5:].sigmoid()

    return predict


def diversity(network: DNED, shown: Shown, cases: Iterator[tuple[Tensor, Tensor]], draws: Sequence[Tensor]) -> float:
    """Mean absolute difference of the fusions of all pairs of draws, over the pixels of all pictures."""
    differences = []
    for x, _ in cases:
        maps = [fused(network, shown, weights)(x) for weights in draws]
        differences += [float((a - b).abs().mean()) for a, b in itertools.combinations(maps, 2)]
    return float(np.mean(differences))


def calibration(data: PreparedSet, arguments: argparse.Namespace, device: torch.device) -> tuple[float, float]:
    """The share of training pixels that are edges of the photo: where the graphics have none, where they have one."""
    split = data.split("train")
    if split.photo is None or split.source is None:
        raise SystemExit(f"{data.path}: no photos or no graphics pictures in its train split; the demo city has them")
    counts = np.zeros((2, 2))  # graphics, photo
    for i in range(min(len(split.photo), arguments.pictures or len(split.photo))):
        given, wanted = (edge_map(pictures(array, [i], device)).bool() for array in (split.source, split.photo))
        for a, b in itertools.product((0, 1), repeat=2):
            counts[a, b] += int(((given == a) & (wanted == b)).sum())
    without, with_edge = counts[:, 1] / counts.sum(1).clip(min=1)
    return float(without), float(with_edge)


def identities(data: PreparedSet, arguments: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """The edges themselves, and calibrated."""
    low, high = calibration(data, arguments, device)
    predicts: dict[str, Predict] = {
        "identity": edge_map,
        "identity, calibrated": lambda x: low + (high - low) * edge_map(x),
    }
    return [
        {
            "name": name,
            "sources": {
                source: figures(predict, validation(data, source, arguments, device)) | {"diversity": 0.0}
                for source in SOURCES
            },
        }
        for name, predict in predicts.items()
    ]


def one(
    data: PreparedSet, shown: Shown, balanced: bool, arguments: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    """A network's row."""
    network, training = trained(data, shown, balanced, arguments, device)
    learnt = network.fusion.detach()
    draws = [draw_fusion(learnt, arguments.concentration, seed) for seed in range(arguments.draws)]
    sources = {}
    for source in SOURCES:
        cases = [validation(data, source, arguments, device) for _ in range(2)]
        found = figures(fused(network, shown), cases[0])
        sources[source] = found | {"diversity": diversity(network, shown, cases[1], draws)}
    name = f"DNED, input: {shown}{'' if balanced else ', not balanced'}"
    return {"name": name, "fusion": learnt.tolist(), **training, "sources": sources}


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="demo", help="a prepared set with photos and graphics renderings")
    parser.add_argument("--steps", type=int, default=1000, help="of each network")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=128, help="pixels of each side")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, help="at most so many of each split, to validate and to calibrate on")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--concentration", type=float, default=CONCENTRATION)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(words)
    if min(arguments.steps, arguments.batch, arguments.crop) < 1 or arguments.draws < 2:
        parser.error("expected at least one step, picture and pixel, and two draws")
    return arguments


def main() -> None:
    arguments = parsed()
    data, device = resolve_set(arguments.data), pick_device(arguments.device)
    rows = identities(data, arguments, device)
    shows: tuple[Shown, ...] = ("edges", "photo")
    rows += [one(data, shown, balanced, arguments, device) for shown in shows for balanced in (True, False)]
    options = ("steps", "width", "batch", "crop", "rate", "seed", "pictures", "draws", "concentration")
    result = {
        "data": {"name": data.name, "checksum": data.checksum, "size": f"{data.size[0]}x{data.size[1]}"},
        "edges": {"smoothing": SMOOTHING, "threshold": THRESHOLD, "ksize": KSIZE},
        "training": {name: getattr(arguments, name) for name in options},
        "rows": rows,
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        write(arguments.out, record(result, str(device)))


if __name__ == "__main__":
    main()
