"""Figures of video: 0 where nothing but the camera moves, more with flicker, by the real flow and over what is seen."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import citygan
from citygan.data.demo import render
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.errors import DataError
from citygan.evaluation import evaluate_folders, evaluate_run
from citygan.frames import frames_of, with_next
from citygan.infer import Translator, load
from citygan.metrics.histograms import mean_gradient
from citygan.metrics.metric import Following
from citygan.metrics.streaming import VideoFigures
from citygan.metrics.temporal import differences, flicker, following, warp_error
from citygan.ops.flow import dense_flow, occluded
from citygan.pictures import encode_png
from tests.street import Street

UInt8 = npt.NDArray[np.uint8]
Motion = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]
NONE = pytest.approx(0, abs=1e-4)  # a warp by whole pixels leaves roundings


def still_picture(height: int = 60, width: int = 80, seed: int = 0) -> UInt8:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def moving_crops(count: int = 4, step: tuple[int, int] = (2, 1), size: tuple[int, int] = (32, 40)) -> list[UInt8]:
    """A window, (height, width), that moves over a still picture by `step`, (x, y)."""
    picture = still_picture(size[0] + count * abs(step[1]), size[1] + count * abs(step[0]))
    return [picture[k * step[1] :, k * step[0] :][: size[0], : size[1]] for k in range(count)]


def motion(size: tuple[int, int], step: tuple[float, float] = (2, 1)) -> Motion:
    """Of `moving_crops`: what stands still in the picture goes against the window."""
    flow = np.tile(np.array([-step[0], -step[1]], np.float32), (*size, 1))
    return flow, np.zeros(size, np.uint8)


def pair(fakes: Sequence[UInt8], way: Motion) -> tuple[UInt8, Following]:
    return fakes[0], following(fakes[0], fakes[1], fakes[1], way)


def noisy(picture: UInt8, amount: float, seed: int = 1) -> UInt8:
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


# one pair


def test_a_moving_crop_of_a_still_picture_has_no_warp_error() -> None:
    fake, after = pair(moving_crops(), motion((32, 40)))
    assert warp_error(fake, fake, following=after) == NONE
    grey = Following(after.fake[..., :1], after.real[..., :1], after.flow, after.occlusion)
    assert warp_error(fake[..., :1], fake[..., :1], following=grey) == NONE


def test_warp_error_rises_with_flicker_and_is_its_mean_absolute_difference() -> None:
    crops, way = moving_crops(), motion((32, 40))
    values = []
    for amount in (2, 8, 24):
        frame, after = noisy(crops[0], amount, 1), noisy(crops[1], amount, 2)
        values.append(warp_error(frame, crops[0], following=following(crops[0], after, crops[1], way)))
        # by hand: pixel (y, x) of this frame is (y - 1, x - 2) of the next one
        apart = np.abs(frame[1:, 2:].astype(float) - after[:-1, :-2])
        assert values[-1] == pytest.approx(apart.mean(), rel=1e-5)
    assert values == sorted(values) and values[0] is not None and values[0] > 1


def test_a_wrong_sign_is_worse_than_no_warp() -> None:
    crops = moving_crops(step=(3, 0))
    errors = {}
    for name, step in (("right", (3, 0)), ("none", (0, 0)), ("wrong", (-3, 0))):
        frame, after = pair(crops, motion((32, 40), step))
        errors[name] = warp_error(frame, frame, following=after)
    assert errors["right"] == NONE and errors["none"] is not None and errors["wrong"] is not None
    assert 0 < errors["none"] < errors["wrong"]


def test_only_what_is_seen_in_both_frames_counts() -> None:
    crops, (flow, hidden) = moving_crops(), motion((32, 40))
    spoilt = crops[1].copy()
    spoilt[8:16, 10:20] = 255
    hidden[9:17, 12:22] = 1  # the place of it in the first frame
    assert warp_error(crops[0], crops[0], following=following(crops[0], spoilt, crops[1], (flow, hidden))) == NONE
    seen = following(crops[0], spoilt, crops[1], (flow, np.zeros_like(hidden)))
    assert warp_error(crops[0], crops[0], following=seen) != NONE
    difference, counted = differences(crops[0], seen)
    assert not counted[0].any() and not counted[:, :2].any() and counted[1:, 2:].all()  # led out of the picture
    assert difference.shape == (32, 40) and (difference[counted] > 0.01).sum() == pytest.approx(80, abs=2)
    nothing = following(crops[0], spoilt, crops[1], (flow, np.ones_like(hidden)))
    assert warp_error(crops[0], crops[0], following=nothing) is None
    assert warp_error(crops[0], crops[0], following=None) is None is flicker(crops[0], crops[0], following=None)


def test_flicker_is_of_what_stands_still() -> None:
    picture = still_picture(32, 40)
    flow, hidden = motion((32, 40), (0, 0))
    flow[:, 20:] = 3  # the right half moves
    flow[:, 18:20, 0] = 0.5  # and these just do
    after = picture.copy()
    after[:, :18] = np.minimum(after[:, :18], 250) + 5
    after[:, 18:] = 255
    before = np.minimum(picture, 250)
    way = following(picture, after, picture, (flow, hidden))
    assert flicker(before, picture, following=way) == pytest.approx(5)
    flow[:] = 3
    assert flicker(before, picture, following=following(picture, after, picture, (flow, hidden))) is None


def test_frames_of_two_sizes_are_told() -> None:
    small, large = still_picture(32, 40), still_picture(32, 48)
    with pytest.raises(DataError, match=r"different sizes: fake \[32, 48, 3\], real \[32, 40, 3\]"):
        following(small, small, large, None)
    way = following(small, large, small, motion((32, 40)))
    with pytest.raises(DataError, match="different sizes"):
        warp_error(small, small, following=way)


def test_flow_is_computed_from_the_real_frames_where_there_is_none() -> None:
    crops = moving_crops(step=(2, 1), size=(64, 80))
    found = following(crops[0], np.zeros_like(crops[0]), crops[1], None)
    there, back = dense_flow(crops[0], crops[1]), dense_flow(crops[1], crops[0])
    np.testing.assert_array_equal(found.flow, there)
    np.testing.assert_array_equal(found.occlusion, occluded(there, back) == 1)
    assert np.abs(np.median(found.flow, axis=(0, 1)) - (-2, -1)).max() < 0.1


def test_exact_flow_of_the_demo_city_explains_its_frames() -> None:
    first, second = itertools.islice(render(seed=0, scene=200_000, frames=3, size=(96, 96)), 2)
    assert first.photo is not None and second.photo is not None
    assert first.flow is not None and first.occlusion is not None
    exact = following(first.photo, second.photo, second.photo, (first.flow, first.occlusion))
    backwards = following(first.photo, second.photo, second.photo, (-first.flow, first.occlusion))
    still = following(first.photo, second.photo, second.photo, (0 * first.flow, first.occlusion))
    right, none, wrong = (warp_error(first.photo, first.photo, following=way) for way in (exact, still, backwards))
    assert right is not None and none is not None and wrong is not None
    assert right < 0.7 * none and none < wrong


# frame by frame


def test_a_video_frame_by_frame_has_the_figures_of_its_pairs() -> None:
    crops = moving_crops(5)
    fakes = [noisy(crop, 6, seed) for seed, crop in enumerate(crops)]
    way = motion((32, 40))
    figures = VideoFigures(motion=True)
    for fake, real in zip(fakes, crops, strict=True):
        figures.add(fake, real, way)
    found = figures.figures()
    pairs = zip(itertools.pairwise(fakes), itertools.pairwise(crops), strict=True)
    each = [warp_error(f, r, following=following(r, g, s, way)) for (f, g), (r, s) in pairs]
    warp = found["warp-error"]
    assert warp["mean"] == pytest.approx(np.mean([value for value in each if value is not None])) and warp["n"] == 4
    assert warp["real"] == {"mean": NONE, "std": NONE, "n": 4} and warp["mean"] > 5
    assert found["flicker"]["mean"] is None and "nothing stands still" in found["flicker"]["reason"]
    assert "exit_code" not in found["flicker"]
    sharpness = found["sharpness"]
    assert sharpness["n"] == 5 and sharpness["real"]["mean"] == pytest.approx(np.mean([*map(mean_gradient, crops)]))
    assert sharpness["mean"] > sharpness["real"]["mean"]  # noise has gradients
    assert figures.protocol["warp-error"]["flow"] == "the set's"
    assert VideoFigures().protocol["warp-error"]["flow"]["method"] == "farneback"


def test_a_cut_ends_a_video() -> None:
    crops, others = moving_crops(3), [still_picture(32, 40, seed=9)] * 2
    figures = VideoFigures(["warp-error"], motion=True)
    for frame in crops:
        figures.add(frame, frame, motion((32, 40)))
    figures.cut()
    for frame in others:
        figures.add(frame, frame, motion((32, 40), (0, 0)))
    assert figures.figures()["warp-error"] | {"real": None, "mean_colour": None} == {
        "mean": NONE, "std": NONE, "n": 3, "unit": "grey levels", "better": "lower", "scope": "picture", "real": None,
        "mean_colour": None,
    }  # fmt: skip


def test_a_video_of_one_frame_and_one_of_two_sizes() -> None:
    figures = VideoFigures(["warp-error", "sharpness"])
    picture = still_picture()
    figures.add(picture, picture)
    found = figures.figures()
    assert found["warp-error"]["mean"] is None and "no two neighbouring frames" in found["warp-error"]["reason"]
    assert found["sharpness"]["n"] == 1
    figures = VideoFigures(["warp-error"])
    figures.add(picture, picture)
    with pytest.raises(DataError, match="different sizes"):
        figures.add(picture[1:], picture[1:])
    figures = VideoFigures(["warp-error"], motion=True)
    figures.add(picture, picture)
    with pytest.raises(DataError, match="frame 0 came without the flow"):
        figures.add(picture, picture)
    refused = VideoFigures(["miou", "l1"])
    refused.add(picture, picture)
    assert "nothing else" in refused.figures()["miou"]["reason"] and refused.figures()["l1"]["mean"] == 0


def test_flow_is_not_computed_for_figures_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from citygan.metrics import temporal

    monkeypatch.setattr(temporal, "dense_flow", lambda *arguments: pytest.fail("flow was computed"))
    figures = VideoFigures(["sharpness"])
    for frame in moving_crops(2):
        figures.add(frame, frame)
    assert figures.figures()["sharpness"]["n"] == 2


# sharpness


def test_sharpness_is_the_mean_gradient_and_sees_blur() -> None:
    ramp = np.tile(np.arange(0, 120, 3, np.uint8), (30, 1))
    assert mean_gradient(ramp) == pytest.approx(3) and mean_gradient(np.full((9, 9, 3), 7, np.uint8)) == 0
    assert mean_gradient(np.ascontiguousarray(ramp.T)) == pytest.approx(3)
    picture = noisy(still_picture(), 20)
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8)
    measured = citygan.evaluate(blurred, picture, ["sharpness"])["metrics"]["sharpness"]
    assert measured["mean"] == pytest.approx(mean_gradient(blurred)) and measured["unit"] == "grey levels a pixel"
    assert (
        measured["real"]["mean"] == pytest.approx(mean_gradient(picture))
        and measured["mean"] < 0.5 * (measured["real"]["mean"])
    )
    with pytest.raises(DataError, match="smaller than the 3x3"):
        citygan.metrics.METRICS["sharpness"].measure(picture[:2], picture[:2])


# sets of sequences


def sequences(
    path: Path, frames: Sequence[tuple[str | None, int | None]], *, flow: bool = True, size: tuple[int, int] = (40, 32)
) -> PreparedSet:
    """A set whose split `val` holds windows on a still picture, each two pixels to the right of the one before."""
    width, height = size
    big = still_picture(height, width + 2 * len(frames))
    ids = np.array([7, 8, 11, 21, 23, 26], np.uint8)[np.arange(big.shape[1]) // 9 % 6]
    writer = SetWriter(path, size=size, plan={})
    for split in ("train", "val"):
        for k, (sequence, number) in enumerate(frames):
            window = slice(2 * k, 2 * k + width)
            arrays: dict[str, Any] = {"photo": big[:, window], "label": np.tile(ids[window], (height, 1))}
            if flow:
                moved, hidden = motion((height, width), (2, 0))
                arrays |= {"flow": moved.astype(np.float16), "occlusion": hidden}
            writer.split(split).append(
                Item(f"{split}{k:03d}", {}, size, sequence, number),
                **{kind: np.ascontiguousarray(array) for kind, array in arrays.items()},
            )
    writer.finish({"source": "test", "photo_channels": 3, "classes": CITYSCAPES.to_dict()})
    return PreparedSet.open(path)


FRAMES: list[tuple[str | None, int | None]] = [
    *(("a", k) for k in range(4)), ("a", 7), ("a", 8), *(("b", k) for k in range(2)), (None, None),
]  # fmt: skip


def test_what_follows_a_frame_is_the_next_one_of_its_sequence(tmp_path: Path) -> None:
    part = sequences(tmp_path / "set", FRAMES).split("val")
    assert [part.following(index) for index in range(len(part))] == [1, 2, 3, None, 5, None, 7, None, None]
    assert list(with_next("abc")) == [("a", "b"), ("b", "c"), ("c", None)] and list(with_next("")) == []


@pytest.mark.parametrize("flow", [True, False], ids=["flow of the set", "computed flow"])
def test_figures_of_a_run_are_those_of_its_video(street: Street, tmp_path: Path, flow: bool) -> None:
    prepared = sequences(tmp_path / "set", FRAMES, flow=flow)
    part = prepared.split("val")
    translator = load("runs/a", device="cpu")
    names = ["warp-error", "flicker", "sharpness"]
    result = evaluate_run(translator, "val", names, data=prepared, per_image=tmp_path / "each.csv")
    video = VideoFigures(names, motion=flow)
    assert part.photo is not None
    for index, fake in enumerate(translator.translate_split(part)):
        way = None
        if part.flow is not None and part.occlusion is not None:
            way = np.asarray(part.flow[index], np.float32), np.asarray(part.occlusion[index])
        video.add(fake, np.asarray(part.photo[index]), way)
        if part.following(index) is None:
            video.cut()
    theirs = video.figures()
    for name in names:
        ours = result["metrics"][name]
        assert ours["n"] == theirs[name]["n"] == (9 if name == "sharpness" else 5 if ours["mean"] is not None else 0)
        assert ours["mean"] == theirs[name]["mean"] and ours["real"] == theirs[name]["real"], name
    warp = result["metrics"]["warp-error"]
    assert warp["mean"] > 0 and warp["mean_colour"]["mean"] is not None and warp["mean_colour"]["n"] == 5
    assert warp["real"]["mean"] == NONE if flow else NONE != warp["real"]["mean"] < 3
    assert result["protocol"]["metrics"]["warp-error"] == video.protocol["warp-error"]
    rows = list(csv.DictReader((tmp_path / "each.csv").open(encoding="utf-8")))
    assert [bool(row["warp-error"]) for row in rows] == [True, True, True, False, True, False, True, False, False]
    assert all(row["sharpness"] and row["sharpness_real"] for row in rows)
    assert float(rows[0]["warp-error"]) > float(rows[0]["warp-error_real"]) and rows[0]["warp-error_mean_colour"]


def test_each_picture_is_translated_once(street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = sequences(tmp_path / "set", FRAMES)
    translated = []
    own = Translator.translate

    def count(self: Translator, inputs: Any, **more: Any) -> UInt8:
        translated.append(len(inputs))
        return own(self, inputs, **more)

    monkeypatch.setattr(Translator, "translate", count)
    evaluate_run("runs/a", "val", ["warp-error", "flicker", "l1"], device="cpu", data=prepared)
    assert sum(translated) == len(FRAMES)


def test_a_set_without_sequences_has_no_such_figures(street: Street) -> None:
    done = street.run("evaluate", "--metric", "warp-error", "--metric", "flicker", "--metric", "l1", "--json")
    assert done.code == 3 and "warp-error, flicker: no sequences" in done.error
    figures = json.loads(done.out)["metrics"]
    assert figures["l1"]["mean"] is not None and figures["warp-error"]["mean"] is None
    assert figures["warp-error"]["exit_code"] == 3 and figures["flicker"]["real"]["mean"] is None
    arrays = citygan.evaluate([still_picture()], [still_picture()], ["l1", "warp-error", "fvd"])["metrics"]
    assert "VideoFigures" in arrays["warp-error"]["reason"] and arrays["fvd"]["exit_code"] == 3
    assert arrays["l1"]["mean"] == 0


def test_evaluate_tells_the_real_frames_figure(street: Street, tmp_path: Path) -> None:
    sequences(tmp_path / "set", FRAMES)
    done = street.done("evaluate", "--data", str(tmp_path / "set"), "--metric", "warp-error", "--metric", "flicker")
    assert "warp-error [grey levels], lower is better" in done.out
    assert "warp-error: 0.00 +- 0.00 of the real pictures" in done.out
    assert "flicker" in done.out and "flicker:" not in done.out  # nothing stands still


# folders


def folder(path: Path, frames: dict[str, UInt8]) -> Path:
    for name, frame in frames.items():
        file = path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_png(np.ascontiguousarray(frame)))
    return path


def test_frames_of_folders_go_by_the_last_number_of_their_names() -> None:
    names = ["a/2", "a/3", "a/4", "a/9", "b/5", "x_1_leftImg8bit", "x_2_leftImg8bit", "y", "z010", "z012", "z014"]
    found = frames_of(names)
    assert found[:3] == [("a/2", 0), ("a/2", 1), ("a/2", 2)] and found[3:5] == [None, None]
    assert found[5:7] == [("x_1", 0), ("x_1", 1)] and found[7] is None
    assert found[8:] == [("z010", 0), ("z010", 1), ("z010", 2)]


def test_two_folders_of_frames(tmp_path: Path) -> None:
    crops = moving_crops(12, step=(2, 0), size=(64, 80))
    names = [f"f{k}" for k in range(1, 12)] + ["f30"]  # not padded: f2 comes before f10
    real = folder(tmp_path / "real", dict(zip(names, crops, strict=True)))
    fake = folder(tmp_path / "fake", {name: noisy(crop, 5, k) for k, (name, crop) in enumerate(zip(names, crops))})
    result = evaluate_folders(fake, real, ["warp-error", "flicker", "l1"])
    warp = result["metrics"]["warp-error"]
    assert warp["n"] == 10 and warp["real"]["mean"] < 1 < 3 < warp["mean"] < 8
    assert result["protocol"]["metrics"]["warp-error"]["flow"]["method"] == "farneback"
    video = VideoFigures(["warp-error"])
    for k, crop in enumerate(crops[:11]):
        video.add(noisy(crop, 5, k), crop)
    assert video.figures()["warp-error"]["mean"] == warp["mean"]


def test_folders_of_other_pictures_and_of_mixed_sizes(street: Street, tmp_path: Path) -> None:
    one, other = still_picture(), still_picture(60, 96)
    asked = ("--metric", "warp-error", "--metric", "l1", "--json")
    apart = folder(tmp_path / "apart", {"a": one, "b": one, "c9": one})
    done = street.run("evaluate", "--fake", apart, "--real", apart, *asked)
    assert done.code == 3 and "no sequences" in done.error and json.loads(done.out)["metrics"]["l1"]["mean"] == 0
    mixed = folder(tmp_path / "mixed", {"a1": one, "a2": other, "a3": other})
    done = street.run("evaluate", "--fake", mixed, "--real", mixed, *asked)
    assert done.code == 3 and "different sizes" in done.error and "a1" in done.error
    assert json.loads(done.out)["metrics"]["l1"]["n"] == 3
    (mixed / "a2.png").write_bytes(b"torn")
    done = street.run("evaluate", "--fake", mixed, "--real", mixed, *asked)
    assert done.code == 3 and "a2" in done.error and "pictures cannot be compared" not in done.error  # told once
