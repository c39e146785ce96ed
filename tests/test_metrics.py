"""Metrics: equal to the reference, symmetric, bounded; sets are added up; the painting is the mean of its classes."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from citygan.cli.evaluate import HELP
from citygan.errors import CityganError, DataError, MachineError, UsageError
from citygan.metrics import DEFAULT, METRICS, Metric, lookup, structural, tensors
from citygan.metrics.figures import FiniteMean, Mean
from citygan.metrics.histograms import (
    GRADIENT_EDGES,
    colour_counts,
    colour_intersection,
    gradient_counts,
    gradient_error,
)
from citygan.metrics.metric import not_started
from citygan.metrics.painting import MeanColours, fit_mean_colours, mean_photo, paint
from citygan.metrics.pictures import l1, psnr, ssim
from citygan.metrics.scoring import Scores, Trio, score

UInt8 = npt.NDArray[np.uint8]
WHOLE = {name: row for name, row in METRICS.items() if row.start is None}  # measured as they stand in the table


def skimage_ssim(x: UInt8, y: UInt8) -> float:
    axis = 2 if x.ndim == 3 else None
    return float(structural_similarity(x, y, data_range=255, win_size=7, channel_axis=axis))


def noisy_pair(shape: tuple[int, ...], seed: int = 0, noise: float = 20.0) -> tuple[UInt8, UInt8]:
    rng = np.random.default_rng(seed)
    x = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (5, 5), 0)
    y = np.clip(np.rint(x + rng.normal(0, noise, x.shape)), 0, 255).astype(np.uint8)
    return x, y


# the reference

SHAPES = [(7, 7, 3), (7, 8), (8, 7, 3), (31, 57, 3), (64, 64), (129, 67, 3), (13, 7000, 3), (256, 256, 3), (700, 9)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ssim_psnr_and_l1_match_skimage(shape: tuple[int, ...]) -> None:
    x, y = noisy_pair(shape)
    assert abs(ssim(x, y)[0] - skimage_ssim(x, y)) < 1e-8
    assert abs(psnr(x, y)[0] - peak_signal_noise_ratio(y, x, data_range=255)) < 1e-8
    assert abs(l1(x, y)[0] - np.abs(x.astype(float) - y).mean()) < 1e-8


@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (255, 255), (0, 255), (17, 18), (254, 255), (128, 0)],
)
def test_constant_pictures_match_skimage(x: int, y: int) -> None:
    a, b = np.full((20, 30, 3), x, np.uint8), np.full((20, 30, 3), y, np.uint8)
    assert abs(ssim(a, b)[0] - skimage_ssim(a, b)) < 1e-8
    assert l1(a, b)[0] == abs(x - y)


def test_extreme_pictures_match_skimage() -> None:
    board = (np.indices((64, 65)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for other in (255 - board, np.zeros_like(board), np.full_like(board, 255)):
        assert abs(ssim(board, other)[0] - skimage_ssim(board, other)) < 1e-8
    assert ssim(board, 255 - board)[0] < -0.99


def test_ssim_is_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = noisy_pair((97, 33, 3))
    whole = ssim(x, y)[0]
    monkeypatch.setattr(structural, "_BLOCK", 1)
    monkeypatch.setattr(structural, "_LEAST_ROWS", 8)
    assert abs(ssim(x, y)[0] - whole) < 1e-14


def test_real_photos_match_skimage(shared: Path) -> None:
    photos = sorted((shared / "data/camvid/val").iterdir())[:3]
    x, y, z = (
        cv2.cvtColor(cv2.imdecode(np.frombuffer(p.read_bytes(), np.uint8), 1), cv2.COLOR_BGR2RGB) for p in photos
    )
    for a, b in ((x, y), (x, z)):
        assert abs(ssim(a, b)[0] - skimage_ssim(a, b)) < 1e-8
        assert abs(psnr(a, b)[0] - peak_signal_noise_ratio(b, a, data_range=255)) < 1e-8


def test_arrays_give_a_figure_for_each_picture() -> None:
    pairs = [noisy_pair((20, 24, 3), seed, 5 * seed + 1) for seed in range(5)]
    x, y = np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
    for metric in (ssim, psnr, l1):
        values = metric(x, y)
        assert values.shape == (5,) and values.dtype == np.float64
        assert values.tolist() == [metric(a, b)[0] for a, b in pairs]
    assert ssim(x[..., 0], y[..., 0]).shape == (5,)  # [N, H, W]
    assert ssim(x[..., :1], y[..., :1]).tolist() == ssim(x[..., 0], y[..., 0]).tolist()
    assert ssim(x[0], y[0]).shape == ssim(x[0, ..., 0], y[0, ..., 0]).shape == (1,)


def test_views_and_read_only_arrays_are_taken() -> None:
    x, y = noisy_pair((40, 40, 3))
    view, other = x[::-1, ::2, ::-1], y[::-1, ::2, ::-1]
    other.setflags(write=False)
    for metric in WHOLE.values():
        np.testing.assert_equal(metric.measure(view, other), metric.measure(view.copy(), other.copy()))


@pytest.mark.parametrize("name", ["ssim", "psnr", "l1"])
def test_figures_of_pictures_are_symmetric_and_bounded(name: str) -> None:
    low, high = {"ssim": (-1.0, 1.0), "psnr": (0.0, math.inf), "l1": (0.0, 255.0)}[name]
    for seed in range(5):
        x, y = noisy_pair((15, 26, 3), seed, noise=3.0 * 4**seed)
        value = METRICS[name].measure(x, y)
        assert value == METRICS[name].measure(y, x)
        assert low <= value <= high


def test_equal_pictures_have_the_best_figures() -> None:
    x, _ = noisy_pair((30, 30, 3))
    assert ssim(x, x)[0] == 1.0 and psnr(x, x)[0] == math.inf and l1(x, x)[0] == 0.0
    assert gradient_error(gradient_counts(x), gradient_counts(x)) == 0.0
    assert colour_intersection(colour_counts(x), colour_counts(x)) == pytest.approx(
        dict.fromkeys("Lab", 1.0) | {"mean": 1}
    )


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((6, 9, 3), np.uint8), np.zeros((6, 9, 3), np.uint8), "9x6 is smaller than the 7x7 window"),
        (
            np.zeros((9, 9, 3), np.uint8),
            np.zeros((9, 8, 3), np.uint8),
            r"different sizes: fake \[9, 9, 3\], real \[9, 8",
        ),
        (
            np.zeros((9, 9, 3), np.float32),
            np.zeros((9, 9, 3), np.float32),
            "expected uint8 pictures in 0-255, got float32",
        ),
        (np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 4), np.uint8), "smaller than"),
        (np.zeros((2, 9, 9, 2), np.uint8), np.zeros((2, 9, 9, 2), np.uint8), r"expected \[H, W\] or \[H, W, 3\]"),
        (np.zeros((0, 9, 9, 3), np.uint8), np.zeros((0, 9, 9, 3), np.uint8), "no pictures"),
        (np.zeros(9, np.uint8), np.zeros(9, np.uint8), "expected pictures"),
    ],
)
def test_what_cannot_be_compared_is_refused(x: UInt8, y: UInt8, words: str) -> None:
    with pytest.raises(DataError, match=words):
        ssim(x, y)


# on the device


def _same_on(device: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 33, 47, 3), np.uint8)
    y = np.clip(x + rng.normal(0, 12, x.shape), 0, 255).astype(np.uint8)
    x[3], y[3] = 255, 254  # where float32 sums would cancel badly
    y[4] = x[4]
    a, b = (torch.from_numpy(z).permute(0, 3, 1, 2).to(device) for z in (x, y))
    for on_device, reference in ((tensors.ssim, ssim), (tensors.psnr, psnr), (tensors.l1, l1)):
        values = on_device(a, b)
        assert values.device == a.device and values.dtype == torch.float32
        np.testing.assert_allclose(values.cpu().numpy(), reference(x, y), rtol=0, atol=1e-5)


def test_tensors_match_arrays() -> None:
    _same_on("cpu")


@pytest.mark.cuda
def test_tensors_match_arrays_on_cuda() -> None:
    _same_on("cuda")


def test_tensors_that_do_not_fit_are_refused() -> None:
    x = torch.zeros(1, 3, 9, 9, dtype=torch.uint8)
    for other, words in ((x.float(), "uint8"), (x[..., :8], "sizes"), (x[0], r"\[N, C, H, W\]")):
        with pytest.raises(DataError, match=words):
            tensors.ssim(x, other)
    with pytest.raises(DataError, match="7x7 window"):
        tensors.ssim(x[..., :6], x[..., :6])


# sets


def test_gradient_bins_hold_known_slopes() -> None:
    ramp = np.tile(np.arange(0, 90, 5, dtype=np.uint8), (10, 1))  # 5 grey levels a pixel, to the right
    counts = gradient_counts(ramp)
    assert counts.sum() == 8 * 16 and counts[np.searchsorted(GRADIENT_EDGES, 5, "right") - 1] == 8 * 16
    flat = gradient_counts(np.full((10, 18), 77, np.uint8))
    assert flat[0] == 8 * 16
    assert gradient_error(flat, counts) == 1.0
    assert gradient_error(flat + counts, counts) == 0.5
    step = np.zeros((9, 9, 3), np.uint8)
    step[:, 5:] = 255
    assert gradient_counts(step)[GRADIENT_EDGES.index(96)] == 14  # 127.5 in two columns of 7
    corner = (np.add.outer(np.arange(9), np.arange(9)) < 8).astype(np.uint8) * 255
    assert gradient_counts(corner).sum() == 49


def test_gradient_magnitudes_are_binned_exactly() -> None:
    x, _ = noisy_pair((40, 50), 3)
    wide = x.astype(np.int64)
    down = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    across = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    squares = (down[:, 2:] - down[:, :-2]) ** 2 + (across[2:] - across[:-2]) ** 2
    edges = [int(8 * edge) ** 2 for edge in GRADIENT_EDGES]  # squared, in eighths: whole numbers
    assert gradient_counts(x).tolist() == np.histogram(squares, edges)[0].tolist()


def test_colour_intersection_of_known_colours() -> None:
    white, black, grey = (np.full((4, 4, 3), value, np.uint8) for value in (255, 0, 128))
    one = colour_intersection(colour_counts(white), colour_counts(black))
    assert one == {"mean": pytest.approx(2 / 3), "L": 0.0, "a": 1.0, "b": 1.0}
    half = colour_intersection(colour_counts(white) + colour_counts(grey), colour_counts(grey))
    assert half["L"] == 0.5
    red = colour_counts(np.full((2, 2, 3), (255, 0, 0), np.uint8))
    # CIE Lab of sRGB red: 53.24, 80.09, 67.20
    assert [int(row.argmax()) for row in red] == [round(53.24 * 2.55), 128 + 80, 128 + 67]
    assert np.array_equal(colour_counts(grey[..., 0]), colour_counts(grey))


@pytest.mark.parametrize("name", list(WHOLE))
def test_every_metric_gathers_in_parts_what_it_gathers_whole(name: str) -> None:
    metric = METRICS[name]
    pairs = [noisy_pair((16, 20, 3), seed, 4 * seed + 2.0) for seed in range(6)]
    gathered = metric.gather()
    for x, y in pairs:
        gathered.add(metric.measure(x, y))
    figure = gathered.figure()
    assert figure["n"] == 6
    if metric.scope == "picture":
        values = [metric.measure(x, y) for x, y in pairs]
        assert figure["mean"] == pytest.approx(np.mean(values), abs=1e-12)
        assert figure["std"] == pytest.approx(np.std(values), abs=1e-12)
    else:  # one picture made of all has the same histogram, its seams aside
        tall = [np.concatenate([pair[side] for pair in pairs]) for side in (0, 1)]
        once = metric.gather()
        once.add(metric.measure(tall[0], tall[1]))
        assert figure["mean"] == pytest.approx(once.figure()["mean"], abs=1e-9 if name == "colour" else 0.02)
        assert figure["std"] is None and figure["reason"]


@pytest.mark.parametrize("name", list(METRICS))
def test_every_row_is_whole(name: str) -> None:
    metric = METRICS[name]
    assert metric.better in ("higher", "lower") and metric.name == name and metric.protocol
    assert (metric.start is None) == (metric.measure is not not_started)
    assert metric.start is not None or not metric.needs
    if metric.start is not None:
        with pytest.raises(DataError, match="more than two pictures"):
            metric.measure(*noisy_pair((40, 40, 3)))


def test_infinite_figures_are_counted_and_leave_the_mean() -> None:
    gathered = FiniteMean()
    for value in (20.0, math.inf, 30.0):
        gathered.add(value)
    assert gathered.figure() == {"mean": 25.0, "std": 5.0, "n": 2, "infinite": 1}
    alone = FiniteMean()
    alone.add(math.inf)
    assert alone.figure()["mean"] is None and alone.figure()["infinite"] == 1 and "equals" in alone.figure()["reason"]
    assert Mean().figure() == {"mean": None, "std": None, "n": 0, "reason": "no picture"}


# the table


def test_an_unknown_metric_proposes_the_nearest_and_lists_all() -> None:
    with pytest.raises(UsageError) as caught:
        lookup(["sim"])
    assert "There are: ssim, " in str(caught.value) and all(name in str(caught.value) for name in METRICS)
    with pytest.raises(UsageError, match="no metric"):
        lookup([])
    assert [metric.name for metric in lookup(None)] == list(DEFAULT)
    assert [metric.name for metric in lookup(["psnr", "ssim", "psnr"])] == ["psnr", "ssim"]


def test_the_command_line_names_every_metric() -> None:
    names = {
        side: ", ".join(name for name, row in METRICS.items() if row.better == side) for side in ("higher", "lower")
    }
    assert HELP.startswith(f"Higher is better: {names['higher']}; lower: {names['lower']}.")
    assert all(row.range and row.source for row in METRICS.values())


# scoring


def _trios(count: int = 7, size: tuple[int, int] = (12, 14)) -> list[Trio]:
    pairs = [noisy_pair((*size, 3), seed) for seed in range(count)]
    return [Trio(f"p{i}", x, y, np.full_like(x, 99)) for i, (x, y) in enumerate(pairs)]


def test_scores_come_in_order_with_the_painting_beside_them() -> None:
    trios = _trios()
    scores = Scores(list(WHOLE.values()))
    seen = []
    for scored in score([lambda t=t: t for t in trios], scores.metrics):
        seen.append(scored.stem)
        scores.add(scored)
    assert seen == [trio.stem for trio in trios] and scores.images == 7 and scores.sizes == {(14, 12): 7}
    figures = scores.figures(None)
    assert list(figures) == list(WHOLE)
    assert figures["ssim"]["mean"] == pytest.approx(np.mean([ssim(t.fake, t.real)[0] for t in trios]))
    painting = [ssim(t.painting, t.real)[0] for t in trios if t.painting is not None]
    assert figures["ssim"]["mean_colour"]["mean"] == pytest.approx(np.mean(painting))
    assert scores.figures("why not")["l1"]["mean_colour"] == {"mean": None, "std": None, "n": 0, "reason": "why not"}


def test_digests_tell_pictures_names_and_shapes_apart() -> None:
    trios = _trios(2)

    def digests(which: list[Trio]) -> tuple[str, str]:
        scores = Scores(lookup(["l1"]))
        for scored in score([lambda t=t: t for t in which], scores.metrics):
            scores.add(scored)
        return scores.digests

    first = digests(trios)
    assert digests(trios) == first and digests(trios[::-1]) != first
    assert digests([Trio("other", trios[0].fake, trios[0].real), trios[1]]) != first
    changed = trios[0].fake.copy()
    changed[0, 0, 0] ^= 1
    assert digests([Trio("p0", changed, trios[0].real), trios[1]])[0] != first[0]


def test_a_metric_that_fails_on_one_picture_has_no_figure() -> None:
    tiny = np.zeros((5, 5, 3), np.uint8)
    trios = [*_trios(3), Trio("tiny", tiny, tiny)]
    scores = Scores(lookup(["ssim", "l1"]))
    for scored in score([lambda t=t: t for t in trios], scores.metrics):
        scores.add(scored)
    figures = scores.figures(None)
    assert figures["ssim"]["mean"] is None and figures["ssim"]["exit_code"] == 3
    assert "tiny" in figures["ssim"]["reason"] and "7x7" in figures["ssim"]["reason"]
    assert figures["l1"]["n"] == 4


def test_faulty_pictures_are_named_together_and_nothing_is_scored_in_part() -> None:
    trios = _trios(4)

    def broken(name: str) -> Trio:
        raise DataError("zero bytes", where=f"{name}.png")

    jobs = [
        lambda: trios[0],
        lambda: broken("a"),
        lambda: Trio("b", trios[1].fake, trios[1].real[1:]),
        lambda: trios[3],
    ]
    got = []
    with pytest.raises(
        DataError, match=r"2 of 4 pictures cannot be compared: a.png: zero bytes; b: pictures of different"
    ):
        got.extend(score(jobs, lookup(None)))
    assert len(got) == 1
    with pytest.raises(DataError, match=r"zero bytes, a\.png"):
        list(score(jobs[:2], lookup(None)))


def test_other_errors_of_a_job_end_the_work() -> None:
    def no_room() -> Trio:
        raise MachineError("no memory")

    with pytest.raises(MachineError):
        list(score([no_room], lookup(None)))


def test_few_pictures_are_held_at_a_time() -> None:
    alive = 0
    most = 0

    def jobs() -> object:
        nonlocal alive, most
        for trio in _trios(60, (8, 8)):
            alive += 1
            most = max(most, alive)
            yield lambda t=trio: t

    for _ in score(jobs(), lookup(["l1"])):  # type: ignore[arg-type]
        alive -= 1
    assert most <= 2 * 8 + 1


# the painting


def test_the_painting_is_the_mean_of_each_class() -> None:
    label = np.array([[1, 1, 2], [2, 2, 255]], np.uint8)
    photo = np.array([[[10, 0, 5], [20, 0, 6], [0, 9, 9]], [[0, 9, 9], [30, 9, 9], [7, 7, 7]]], np.uint8)
    palette = fit_mean_colours([(label, photo)])
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    assert (
        palette[1].tolist() == [15, 0, 6] and palette[2].tolist() == [10, 9, 9] and palette[255].tolist() == [7, 7, 7]
    )
    overall = np.rint(photo.reshape(-1, 3).mean(axis=0)).tolist()
    assert palette[0].tolist() == palette[99].tolist() == overall
    painted = paint(label, palette)
    assert painted.shape == (2, 3, 3) and painted[0, 2].tolist() == [10, 9, 9] and painted.dtype == np.uint8
    assert fit_mean_colours([(label[:1], photo[:1]), (label[1:], photo[1:])]).tolist() == palette.tolist()


def test_no_other_painting_of_the_classes_has_a_lower_squared_error() -> None:
    rng = np.random.default_rng(1)
    label, photo = rng.integers(0, 4, (30, 30), np.uint8), rng.integers(0, 256, (30, 30, 3), np.uint8)
    palette = fit_mean_colours([(label, photo)])
    best = ((paint(label, palette).astype(int) - photo) ** 2).sum()
    for off in (1, -1):
        assert ((paint(label, palette + np.uint8(off % 256)).astype(int) - photo) ** 2).sum() > best


def test_a_painting_needs_pictures_of_one_size() -> None:
    with pytest.raises(DataError, match="differ in size"):
        MeanColours().add(np.zeros((3, 4), np.uint8), np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(DataError, match="no training picture"):
        fit_mean_colours([])
    with pytest.raises(DataError, match="no training picture"):
        mean_photo([])
    photos = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 255)]
    assert (mean_photo(photos) == 86).all()


def test_metrics_are_pure() -> None:
    x, y = noisy_pair((20, 20, 3))
    before = x.copy(), y.copy()
    for metric in WHOLE.values():
        assert isinstance(metric, Metric)
        np.testing.assert_equal(metric.measure(x, y), metric.measure(x, y))
    assert np.array_equal(x, before[0]) and np.array_equal(y, before[1])
    assert issubclass(DataError, CityganError)
