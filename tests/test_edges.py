"""Edge maps: equal to OpenCV's before the threshold; the same in batches and on any size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from citygan.ops.edges import SMOOTHING, THRESHOLD, edge_map, grey, laplacian, smooth

UInt8 = npt.NDArray[np.uint8]
SIZES = [(1, 1), (1, 5), (5, 1), (2, 2), (2, 7), (37, 53), (64, 48)]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def tensor(picture: UInt8) -> Tensor:
    """[H, W, C] -> [1, C, H, W]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ksize", [1, 3])
def test_laplacian_is_opencvs_bit_for_bit(size: tuple[int, int], ksize: int) -> None:
    picture = noise(*size, channels=1)
    found = laplacian(tensor(picture), ksize)
    expected = cv2.Laplacian(picture[:, :, 0], cv2.CV_16S, ksize=ksize, borderType=cv2.BORDER_REFLECT_101)
    assert found.dtype == torch.int32
    np.testing.assert_array_equal(found[0, 0].numpy(), expected)


@pytest.mark.parametrize("ksize", [1, 3])
def test_laplacian_reaches_the_ends_of_its_range(ksize: int) -> None:
    board = np.indices((6, 6)).sum(0) % 2 if ksize == 1 else np.indices((6, 6))[0] % 2
    found = laplacian(tensor((board * 255).astype(np.uint8)[:, :, None]), ksize)
    largest = {1: 1020, 3: 2040}[ksize]
    assert (int(found.min()), int(found.max())) == (-largest, largest)


def test_grey_is_the_integer_formula_of_opencv_5() -> None:
    picture = noise(64, 64)
    red, green, blue = (picture[:, :, i].astype(np.int64) for i in range(3))
    expected = (9798 * red + 19235 * green + 3735 * blue + 16384) // 32768
    np.testing.assert_array_equal(grey(tensor(picture))[0, 0].numpy(), expected)
    if int(cv2.__version__.split(".")[0]) >= 5:
        np.testing.assert_array_equal(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), expected)


def test_grey_of_one_channel_and_of_equal_channels_is_the_channel() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(grey(levels), levels.int())
    assert torch.equal(grey(levels.expand(-1, 3, -1, -1)), levels.int())


@pytest.mark.parametrize("channels", [1, 3])
def test_floats_are_brought_back_to_whole_levels(channels: int) -> None:
    x = tensor(noise(9, 11, channels))
    floats = x.float().mul(1 / 127.5).sub(1)  # as a batch has its photos
    assert torch.equal(grey(floats), grey(x))
    assert torch.equal(grey(floats + 1e-3), grey(x))
    assert torch.equal(edge_map(floats), edge_map(x))
    assert int(grey(torch.full((1, channels, 1, 1), 1.2)).max()) == 255  # what is out of range ends there


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [0.5, 1.25, 3.0])
def test_smoothing_is_opencvs_gaussian(size: tuple[int, int], sigma: float) -> None:
    picture = noise(*size, channels=1)
    expected = cv2.GaussianBlur(picture[:, :, 0].astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    found = smooth(tensor(picture), sigma)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0, 0].numpy(), expected.reshape(size), atol=1e-3)


def test_edges_are_where_the_laplacian_is_above_the_threshold() -> None:
    picture = noise(20, 30)
    lines = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_16S, ksize=3)
    found = edge_map(tensor(picture), smoothing=0, threshold=200, ksize=3)
    assert found.shape == (1, 1, 20, 30) and found.dtype == torch.float32
    if int(cv2.__version__.split(".")[0]) >= 5:
        np.testing.assert_array_equal(found[0, 0].numpy(), np.abs(lines) > 200)
    # by hand: a step of 10 levels is 10 on either side of the step, and what is equal to the threshold is no edge
    step = torch.zeros(1, 1, 3, 6, dtype=torch.uint8)
    step[..., 3:] = 10
    assert edge_map(step, smoothing=0, threshold=9)[0, 0, 1].tolist() == [0, 0, 1, 1, 0, 0]
    assert float(edge_map(step, smoothing=0, threshold=10).sum()) == 0


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_has_no_edges(value: int) -> None:
    x = torch.full((1, 3, 9, 12), value, dtype=torch.uint8)
    assert float(edge_map(x).sum()) == 0
    assert float(edge_map(x, smoothing=0, threshold=0, ksize=3).sum()) == 0


@pytest.mark.parametrize("size", SIZES)
def test_batches_agree_with_single_pictures(size: tuple[int, int]) -> None:
    x = torch.cat([tensor(noise(*size, seed=i)) for i in range(3)])
    for settings in ({}, {"smoothing": 0.0, "threshold": 30.0, "ksize": 3}):
        together = edge_map(x, **settings)  # type: ignore[arg-type]
        assert torch.equal(together, torch.cat([edge_map(one, **settings) for one in x.split(1)]))  # type: ignore[arg-type]
        assert together.shape == (3, 1, *size)


def test_mirroring_a_picture_mirrors_its_edges() -> None:
    x = tensor(noise(21, 34))
    assert torch.equal(
        edge_map(x.flip(-1), smoothing=0, threshold=200), edge_map(x, smoothing=0, threshold=200).flip(-1)
    )


def test_the_defaults_take_noise_away_and_keep_outlines() -> None:
    generator = np.random.default_rng(1)
    flat = np.clip(120 + generator.normal(0, 4, (64, 64, 1)), 0, 255).astype(np.uint8)
    outlined = flat.copy()
    outlined[:, 32:] = np.clip(outlined[:, 32:].astype(int) + 60, 0, 255)
    assert float(edge_map(tensor(flat)).mean()) < 0.01
    assert float(edge_map(tensor(flat), smoothing=0.0).mean()) > 0.5  # what the Laplacian alone makes of it
    found = edge_map(tensor(outlined))[0, 0]
    assert float(found[:, 30:34].amax(1).mean()) == 1.0


def test_autocast_changes_nothing() -> None:
    x = tensor(noise(24, 24))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = edge_map(x)
    assert torch.equal(found, edge_map(x))


@pytest.mark.parametrize(
    ("shape", "settings", "told"),
    [
        ((1, 2, 4, 4), {}, r"\[N, 1 or 3, H, W\], got \[1, 2, 4, 4\]"),
        ((3, 4, 4), {}, r"got \[3, 4, 4\]"),
        ((1, 1, 4, 4), {"ksize": 2}, "ksize of 1 or 3, got 2"),
        ((1, 1, 4, 4), {"smoothing": -1.0}, f"got -1.0 and {THRESHOLD}"),
        ((1, 1, 4, 4), {"threshold": float("nan")}, f"got {SMOOTHING} and nan"),
    ],
)
def test_what_is_no_picture_or_no_setting_is_refused(
    shape: tuple[int, ...], settings: dict[str, float], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        edge_map(torch.zeros(shape, dtype=torch.uint8), **settings)  # type: ignore[arg-type]
