"""Flow, warping and occlusion: the right sign, by hand, beside OpenCV, and against the demo city's exact flow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from citygan.data.demo import Frame, render
from citygan.errors import UsageError
from citygan.ops.flow import METHODS, dense_flow, occluded, settings_of
from citygan.ops.warping import inside, warp
from citygan.pictures import read_photo


def tensor(array: np.ndarray) -> Tensor:
    """[H, W, C] as float32 [1, C, H, W]."""
    return torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]


def array(x: Tensor) -> np.ndarray:
    """[1, C, H, W] as [H, W, C]."""
    return x[0].permute(1, 2, 0).numpy()


@cache
def street(side: int = 128) -> list[Frame]:
    return list(render(0, 200_000, 4, (side, side)))


def pairs(side: int = 128) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(photo, next photo, exact flow, where a pixel has a partner)."""
    frames = street(side)
    for now, following in pairwise(frames):
        assert now.photo is not None and following.photo is not None
        assert now.flow is not None and now.occlusion is not None
        yield now.photo, following.photo, now.flow, now.occlusion == 0


def difference(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    apart = np.abs(one.astype(np.float32) - other)
    return float(apart.mean() if where is None else apart[where].mean())


# warping


def test_warp_reads_at_p_plus_flow() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0], flow[:, 1] = 1, 2  # one to the right, two down
    assert warp(x, flow)[0, 0, 0, :3].tolist() == [9, 10, 11]
    assert inside(flow)[0].tolist() == [[True, True, True, False], [False] * 4, [False] * 4]
    halves = torch.zeros(1, 2, 3, 4)
    halves[:, 0] = 0.5
    torch.testing.assert_close(warp(x, halves)[0, 0, 0, :3], torch.tensor([0.5, 1.5, 2.5]))
    assert torch.equal(warp(x, torch.zeros(1, 2, 3, 4)), x)


def test_warp_equals_remap() -> None:
    generator = np.random.default_rng(0)
    picture = generator.random((37, 50, 3), np.float32)
    flow = (generator.standard_normal((37, 50, 2)) * 8).astype(np.float32)
    y, x = np.mgrid[:37, :50].astype(np.float32)
    theirs = cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(array(warp(tensor(picture), tensor(flow))), theirs, atol=1e-5)


def test_warp_has_gradients_in_both() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 2, 5, 6, generator=generator, dtype=torch.float64).requires_grad_()
    flow = (torch.randn(2, 2, 5, 6, generator=generator, dtype=torch.float64) * 2).requires_grad_()
    assert torch.autograd.gradcheck(warp, (x, flow))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1)])
def test_narrow_pictures_are_warped(size: tuple[int, int]) -> None:
    x = torch.arange(float(size[0] * size[1])).view(1, 1, *size)
    assert torch.equal(warp(x, torch.zeros(1, 2, *size)), x)
    assert torch.isfinite(warp(x, torch.full((1, 2, *size), 3.0))).all()


def test_half_precision_is_computed_in_full() -> None:
    x = torch.rand(1, 1, 4, 64, generator=torch.Generator().manual_seed(0))
    flow = torch.full((1, 2, 4, 64), 0.3)
    whole = warp(x, flow)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(warp(x, flow), whole)
    halved = warp(x.bfloat16(), flow)
    assert halved.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), whole, atol=0.01, rtol=0.01)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"flow \[N, 2, H, W\], got \(1, 3, 4, 4\) and \(1, 2, 4, 5\)"):
        warp(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 5))
    with pytest.raises(ValueError, match="of one size"):
        occluded(np.zeros((4, 4, 2)), np.zeros((4, 5, 2)))
    with pytest.raises(ValueError, match="two uint8 pictures of one size"):
        dense_flow(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="two uint8 pictures"):
        dense_flow(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8))  # type: ignore[arg-type]


# the demo city's exact flow


def test_exact_flow_carries_the_next_frame_back() -> None:
    for photo, following, flow, seen in pairs():
        apart = difference(photo, following, seen)
        back = difference(photo, array(warp(tensor(following), tensor(flow))), seen)
        wrong = difference(photo, array(warp(tensor(following), tensor(-flow))), seen)
        assert back < 0.4 * apart, f"{back:.2f} of {apart:.2f}"
        assert wrong > 1.1 * apart, f"{wrong:.2f} of {apart:.2f}"


@pytest.mark.parametrize("method", METHODS)
def test_found_flow_is_near_the_exact_one(method: str) -> None:
    for photo, following, exact, seen in pairs(256):
        flow = dense_flow(photo, following, method)
        assert flow.dtype == np.float32 and flow.shape == exact.shape
        apart, missed, wrong = (np.linalg.norm(v, axis=-1)[seen].mean() for v in (exact, flow - exact, flow + exact))
        assert missed < 0.35 * apart and wrong > 1.5 * apart
        warped = difference(photo, array(warp(tensor(following), tensor(flow))), seen)
        assert warped < 0.5 * difference(photo, following, seen)


def test_occlusion_is_found_where_the_exact_one_is() -> None:
    for now, following in pairwise(street(256)):
        assert now.photo is not None and following.photo is not None and now.occlusion is not None
        flows = dense_flow(now.photo, following.photo), dense_flow(following.photo, now.photo)
        found = occluded(*flows)
        assert found.dtype == np.uint8 and set(np.unique(found)) <= {0, 1}
        assert found[now.occlusion == 1].mean() > 3 * found[now.occlusion == 0].mean()


# by hand


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_shifted_picture_gives_the_shift(method: str, channels: int) -> None:
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (80, 96, 3), np.uint8), (0, 0), 2)
    wide = cv2.normalize(wide, np.empty_like(wide), 0, 255, cv2.NORM_MINMAX)[..., :channels]
    first, second = wide[8:72, 8:72], wide[10:74, 5:69]  # all goes 3 to the right and 2 up
    flow = dense_flow(np.ascontiguousarray(first), np.ascontiguousarray(second), method)
    np.testing.assert_allclose(np.median(flow[12:-12, 12:-12], (0, 1)), [3, -2], atol=0.1)


def test_what_leaves_the_picture_or_does_not_come_back_is_occluded() -> None:
    forward, backward = np.zeros((4, 6, 2), np.float32), np.zeros((4, 6, 2), np.float32)
    assert not occluded(forward, backward).any()
    forward[..., 0], backward[..., 0] = 2, -2
    assert occluded(forward, backward).tolist() == [[0, 0, 0, 0, 1, 1]] * 4
    backward[1, 3] = (-2, 0.5)  # 0.25 <= 0.01 (4 + 4.25) + 0.5
    backward[2, 3] = (-2, 1)  # 1 > 0.01 (4 + 5) + 0.5
    assert occluded(forward, backward)[:, 1].tolist() == [0, 0, 1, 0]
    up = np.zeros((4, 6, 2), np.float16)
    up[..., 1] = -1
    assert occluded(up, -up).tolist() == [[1] * 6, [0] * 6, [0] * 6, [0] * 6]


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (16, 16), (20, 33)])
def test_flow_of_small_pictures(size: tuple[int, int]) -> None:
    one, other = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    assert np.isfinite(dense_flow(one, other)).all()
    if max(size) >= 16:
        assert np.isfinite(dense_flow(one, other, "dis")).all()
    else:
        with pytest.raises(UsageError, match=f"a side of 16 pixels, got {size[1]}x{size[0]}"):
            dense_flow(one, other, "dis")


def test_an_unknown_method_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no method of flow 'farnebak'") as problem:
        settings_of("farnebak")
    assert problem.value.hint is not None and "farneback" in problem.value.hint
    assert settings_of("dis") == {"method": "dis", "preset": "medium", "opencv": cv2.__version__}
    assert settings_of("farneback")["winsize"] == 15


# real pictures


def test_warp_errors_on_camvid(shared: Path) -> None:
    """Every tenth pair of val at 256x192; all hundred: none 11.1, either method 4.3, the wrong sign 14.0."""
    files = sorted((shared / "data/camvid/val").iterdir())
    errors: dict[str, list[float]] = {"none": [], "wrong": [], **{method: [] for method in METHODS}}
    for place in range(5, len(files) - 1, 10):
        now, following = (
            cv2.resize(read_photo(file), (256, 192), interpolation=cv2.INTER_AREA) for file in files[place : place + 2]
        )
        errors["none"].append(difference(now, following))
        for method in METHODS:
            flow = dense_flow(now, following, method)
            errors[method].append(difference(now, array(warp(tensor(following), tensor(flow)))))
            if method == "farneback":
                errors["wrong"].append(difference(now, array(warp(tensor(following), tensor(-flow)))))
    mean = {name: float(np.mean(found)) for name, found in errors.items()}
    assert len(errors["none"]) == 10
    assert mean["farneback"] < 0.45 * mean["none"] and mean["dis"] < 0.45 * mean["none"], mean
    assert mean["wrong"] > 1.2 * mean["none"], mean
