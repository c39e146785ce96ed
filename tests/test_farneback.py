"""Differentiable flow: OpenCV's to rounding, gradients by finite differences, and pictures with nothing to see."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from citygan.data.demo import render
from citygan.ops import expansion
from citygan.ops.farneback import DEFAULT, FarnebackSettings, farneback
from citygan.ops.flow import FARNEBACK
from citygan.ops.windows import Window
from citygan.pictures import read_photo

BOX = FarnebackSettings(levels=3, winsize=15, poly_sigma=1.2, gaussian=False)
VARIANTS = {
    "default": DEFAULT,
    "box": BOX,
    "even box": replace(BOX, winsize=14),
    "even Gaussian": FarnebackSettings(levels=3, winsize=12),
    "small box": replace(BOX, winsize=9, levels=1),
    "smallest box": replace(BOX, winsize=2, levels=0),
    "scale 0.6": replace(BOX, pyr_scale=0.6, levels=4),
    "scale 0.8": FarnebackSettings(pyr_scale=0.8, levels=5),
    "full size alone": replace(BOX, levels=0, iterations=1),
    "wide neighbourhood": replace(BOX, poly_n=7, poly_sigma=1.5, iterations=2, levels=2),
}
each_variant = pytest.mark.parametrize("settings", VARIANTS.values(), ids=list(VARIANTS))


def opencv(first: np.ndarray, second: np.ndarray, settings: FarnebackSettings) -> np.ndarray:
    return cv2.calcOpticalFlowFarneback(
        first, second, np.zeros((*first.shape, 2), np.float32), settings.pyr_scale, settings.levels, settings.winsize,
        settings.iterations, settings.poly_n, settings.poly_sigma,
        cv2.OPTFLOW_FARNEBACK_GAUSSIAN if settings.gaussian else 0,
    )  # fmt: skip


def tensor(*pictures: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.stack(pictures)[:, None]).to(dtype)


def ours(
    first: np.ndarray, second: np.ndarray, settings: FarnebackSettings, dtype: torch.dtype = torch.float64
) -> np.ndarray:
    """[H, W, 2]."""
    return farneback(tensor(first, dtype=dtype), tensor(second, dtype=dtype), settings)[0].permute(1, 2, 0).numpy()


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """End-point differences in pixels."""
    return np.linalg.norm(one - other, axis=-1)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height + 40, width + 40))
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(128 + 250 * blurred, 0, 255)


def moved(height: int, width: int, x: float, y: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A texture, and the same moved by (x, y) pixels, uint8."""
    whole = texture(height, width, seed)
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    after = cv2.warpAffine(whole, matrix, whole.shape[::-1], flags=cv2.INTER_CUBIC)
    first, second = (np.clip(np.rint(a[20:-20, 20:-20]), 0, 255).astype(np.uint8) for a in (whole, after))
    return first, second


@cache
def camvid(shared: Path) -> list[np.ndarray]:
    files = sorted((shared / "data" / "camvid" / "val").iterdir())
    return [cv2.cvtColor(read_photo(file), cv2.COLOR_RGB2GRAY) for file in files]


# agreement with OpenCV


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "smallest box"])
def test_camvid_as_opencv_to_rounding(shared: Path, name: str) -> None:
    """A window of 3x3 on road and sky has next to no second direction: there, roundings decide in OpenCV too."""
    frames, settings = camvid(shared), VARIANTS[name]
    for i in (0, 33, 70):
        found = apart(ours(frames[i], frames[i + 1], settings), opencv(frames[i], frames[i + 1], settings))
        assert np.median(found) < 1e-5 and found.max() < 0.01


def unsteady(
    first: np.ndarray, second: np.ndarray, settings: FarnebackSettings, flow: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Of some places those where OpenCV's own flow changes by 0.005 px for at most 1e-4 of a grey level: bool [H, W].

    Each draw adds as much to some pixels and takes it from the others; float32 has steps of 1.5e-5 there.
    """
    random = np.random.default_rng(0)
    found = np.zeros(flow.shape[:2], bool)
    for draw in range(48):
        amount = np.array((1e-5, 3e-5, 1e-4), np.float32)[draw % 3]
        both = [frame + random.choice((-amount, amount), frame.shape) for frame in (first, second)]
        found |= apart(opencv(*both, settings), flow) > 0.005
        if found[places].all():
            break
    return found & places


@pytest.mark.parametrize("name", ["default", "box"])
def test_every_frame_of_camvid_as_opencv_but_where_roundings_decide(shared: Path, name: str) -> None:
    """Whether a position lies within the picture is yes or no, and OpenCV's positions are rounded to float32.

    Positions that fall on the border but for a rounding: a spot a window wide, in less than one pair of ten. There
    OpenCV's flow jumps likewise when its input changes by next to nothing. Nowhere else may it differ.
    """
    frames, settings = camvid(shared), VARIANTS[name]
    assert len(frames) > 100
    medians, counts = [], []
    for first, second in pairwise(frames):
        theirs = opencv(first, second, settings)
        found = apart(ours(first, second, settings), theirs)
        places = found >= 0.01
        medians.append(np.median(found))
        counts.append(int(places.sum()))
        if places.any():
            assert unsteady(first, second, settings, theirs, places)[places].all()
    assert np.max(medians) < 1e-5
    assert np.count_nonzero(counts) < 0.1 * len(counts) and sum(counts) < 1e-4 * len(counts) * frames[0].size


@each_variant
@pytest.mark.parametrize("size", [(96, 131), (67, 64), (33, 90)], ids=str)
def test_textures_as_opencv_to_rounding(settings: FarnebackSettings, size: tuple[int, int]) -> None:
    first, second = moved(*size, 2.6, -1.3)
    found = apart(ours(first, second, settings), opencv(first, second, settings))
    assert np.median(found) < 1e-5 and found.max() < 0.01


def test_the_demo_city_as_opencv_to_rounding() -> None:
    frames = [cv2.cvtColor(frame.photo, cv2.COLOR_RGB2GRAY) for frame in render(0, 3, 3, (160, 128))]
    for first, second in pairwise(frames):
        for settings in (DEFAULT, BOX):
            found = apart(ours(first, second, settings), opencv(first, second, settings))
            assert np.median(found) < 1e-5 and found.max() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (7, 3), (12, 40)], ids=str)
def test_tiny_pictures_as_opencv(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    first, second = random.integers(0, 256, (2, *size), np.uint8)
    for settings in (DEFAULT, BOX):
        assert apart(ours(first, second, settings), opencv(first, second, settings)).max() < 0.01


def test_float32_is_as_near() -> None:
    first, second = moved(96, 131, 2.6, -1.3)
    for settings in (DEFAULT, BOX):
        found = apart(ours(first, second, settings, torch.float32), opencv(first, second, settings))
        assert np.median(found) < 5e-5 and found.max() < 0.01


def test_the_defaults_are_those_of_the_flow_by_opencv() -> None:
    names = ("pyr_scale", "levels", "winsize", "iterations", "poly_n", "poly_sigma")
    assert {name: getattr(DEFAULT, name) for name in names} == {name: FARNEBACK[name] for name in names}  # type: ignore[literal-required]
    assert DEFAULT.gaussian == bool(FARNEBACK["flags"] & cv2.OPTFLOW_FARNEBACK_GAUSSIAN)


# what it is


def test_the_flow_leads_from_the_first_frame_to_the_second() -> None:
    first, second = moved(96, 128, 3.25, -1.5)
    flow = ours(first, second, DEFAULT)[16:-16, 16:-16]
    assert np.abs(flow[..., 0] - 3.25).mean() < 0.05 and np.abs(flow[..., 1] + 1.5).mean() < 0.05


def test_a_batch_is_its_pairs() -> None:
    pairs = [moved(64, 70, x, y, seed) for seed, (x, y) in enumerate([(1, 0), (-2.5, 1), (0, 3)])]
    firsts, seconds = zip(*pairs, strict=True)
    for settings in (DEFAULT, BOX):
        together = farneback(tensor(*firsts), tensor(*seconds), settings)
        assert together.shape == (3, 2, 64, 70)
        for i, (first, second) in enumerate(pairs):
            alone = farneback(tensor(first), tensor(second), settings)
            torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-9)


def test_autocast_changes_nothing() -> None:
    first, second = (tensor(x, dtype=torch.float32) for x in moved(48, 64, 1, 1))
    plain = farneback(first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(farneback(first, second), plain)
    assert plain.dtype == torch.float32
    assert farneback(first.bfloat16(), second.bfloat16()).dtype == torch.float32
    assert farneback(first.double(), second.double()).dtype == torch.float64


def test_it_may_first_be_used_in_inference() -> None:
    """Constants that are kept must serve a training afterwards."""
    first, second = (tensor(x) for x in moved(41, 47, 1, 1))
    with torch.inference_mode():
        farneback(first, second)
    farneback(first, second.requires_grad_()).sum().backward()
    assert second.grad is not None


@pytest.mark.parametrize(
    ("first", "second"),
    [((1, 1, 8, 8), (1, 1, 8, 9)), ((1, 3, 8, 8), (1, 3, 8, 8)), ((8, 8), (8, 8))],
    ids=["sizes", "colour", "no batch"],
)
def test_other_shapes_are_refused(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected two tensors \[N, 1, H, W\], got \["):
        farneback(torch.zeros(first), torch.zeros(second))


def test_settings_out_of_range_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        FarnebackSettings(pyr_scale=1, levels=-1, winsize=0, iterations=0, poly_n=0, poly_sigma=0)
    for name in ("pyr_scale", "levels", "winsize", "iterations", "poly_n", "poly_sigma"):
        assert f"{name}: expected" in str(caught.value)


# gradients


@pytest.mark.parametrize("gaussian", [False, True])
def test_gradients_are_those_of_finite_differences(gaussian: bool) -> None:
    settings = FarnebackSettings(levels=0, iterations=2, winsize=4, poly_n=2, gaussian=gaussian)
    first, second = (tensor(x).requires_grad_() for x in moved(7, 9, 0.7, -0.4))
    assert torch.autograd.gradcheck(
        lambda x, y: farneback(x, y, settings), (first, second), eps=1e-4, atol=1e-6, rtol=1e-4
    )


@each_variant
def test_gradients_through_levels_are_those_of_finite_differences(settings: FarnebackSettings) -> None:
    """Along random directions."""
    scale = max(settings.pyr_scale, 0.8)
    settings = replace(settings, pyr_scale=scale, levels=min(settings.levels, 2), iterations=2)
    assert len(settings.sizes(50, 53)) == settings.levels + 1
    first, second = (
        tensor(*both).requires_grad_() for both in zip(moved(50, 53, 0.7, 1), moved(50, 53, 2, 0, 1), strict=True)
    )
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(
        lambda x, y: farneback(x, y, settings), (first, second), eps=1e-4, atol=1e-6, rtol=1e-3, fast_mode=True
    )


@pytest.mark.parametrize("level", [0.0, 128.0, 255.0])
def test_nothing_to_see_gives_no_flow_and_finite_gradients(level: float) -> None:
    for settings in (DEFAULT, BOX):
        first, second = (torch.full((1, 1, 40, 70), level, requires_grad=True) for _ in range(2))
        flow = farneback(first, second, settings)
        assert flow.abs().max() < 1e-3
        torch.autograd.backward(flow.square().sum() + flow.sum())
        for frame in (first, second):
            assert frame.grad is not None and torch.isfinite(frame.grad).all()


def test_gradients_of_noise_and_of_steps_are_finite() -> None:
    step = torch.zeros(1, 1, 64, 80)
    step[..., 30:] = 255
    torch.manual_seed(0)
    for one, two in ((torch.rand(2, 1, 64, 80) * 255, torch.rand(2, 1, 64, 80) * 255), (step, step.roll(5, -1))):
        first, second = one.clone().requires_grad_(), two.clone().requires_grad_()
        farneback(first, second, BOX).abs().mean().backward()
        for frame in (first, second):
            assert frame.grad is not None and torch.isfinite(frame.grad).all() and frame.grad.any()


# the two ways of its parts


@pytest.mark.parametrize("window", [BOX.window, DEFAULT.window, replace(BOX, winsize=2).window], ids=str)
def test_windows_of_slices_are_convolutions(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    maps = torch.rand(2, 5, 20, 17, dtype=torch.float64)
    by_slices = window.average(maps), window.spread(maps)
    monkeypatch.setattr(Window, "_within", Window._convolved)
    torch.testing.assert_close((window.average(maps), window.spread(maps)), by_slices)


def test_expansions_of_slices_are_convolutions() -> None:
    torch.manual_seed(0)
    taps = expansion.taps_of(5, 1.2)
    frames = torch.rand(2, 3, 20, 17, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 3, 5, 20, 17, dtype=torch.float64)
    found = []
    for maps in (expansion.expand(frames, 5, 1.2), expansion.convolved(frames, taps)):
        (gradient,) = torch.autograd.grad((torch.stack(maps) * weights).sum(), frames)
        found.append((*maps, gradient))
    torch.testing.assert_close(found[0], found[1])


def test_an_expansion_finds_the_polynomial() -> None:
    y, x = torch.meshgrid(torch.arange(-9.0, 10.0), torch.arange(-9.0, 10.0), indexing="ij")
    picture = (7 + 0.5 * x - 2 * y + 0.25 * x**2 + 0.125 * y**2 - 0.75 * x * y).double()
    first, second = expansion.expand(picture.expand(2, 1, 19, 19), 5, 1.2)
    half = [0.25, 0.25, -1, -0.375, 0.125]  # rx / 2, rxx, ry / 2, rxy / 2, ryy
    torch.testing.assert_close(first[0, :, 9, 9], torch.tensor(half, dtype=torch.float64))
    opposite = [-0.25, 0.125, 1, -0.1875, 0.0625]
    torch.testing.assert_close(second[0, :, 9, 9], torch.tensor(opposite, dtype=torch.float64))


@pytest.mark.cuda
@pytest.mark.parametrize("settings", [DEFAULT, BOX], ids=["Gaussian", "box"])
def test_cuda_gives_the_flow_and_gradients_of_the_cpu(settings: FarnebackSettings) -> None:
    found = []
    for device in ("cpu", "cuda"):
        first, second = (tensor(x).to(device).requires_grad_() for x in moved(96, 131, 2, -1))
        flow = farneback(first, second, settings)
        found.append((flow.cpu(), *(g.cpu() for g in torch.autograd.grad(flow.square().mean(), (first, second)))))
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-8)


@pytest.mark.cuda
def test_it_can_be_recorded_as_a_cuda_graph() -> None:
    first, second = (tensor(x, dtype=torch.float32).cuda() for x in moved(96, 131, 2, -1))
    aside = torch.cuda.Stream()
    with torch.no_grad(), torch.cuda.stream(aside):
        expected = farneback(first, second)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        flow = farneback(first, second)
    graph.replay()
    torch.cuda.synchronize()
    torch.testing.assert_close(flow, expected)
