"""The demo city: a pure function, whole label maps, exact flow, pictures that are no easier than real ones."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import itertools

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from citygan.data.demo import Frame, render
from citygan.errors import UsageError

TRAIN_CLASSES = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
THINGS = (24, 25, 26, 27, 28, 31, 32, 33)
KNOWN = {*TRAIN_CLASSES, 1, 4, 5, 6}
SAMPLE = 24  # scenes of the sample below


def digest(frames: list[Frame]) -> str:
    """SHA-256 over all arrays of some frames."""
    total = hashlib.sha256()
    for frame in frames:
        for array in (frame.photo, frame.graphics, frame.label, frame.instance, frame.flow, frame.occlusion):
            total.update(b"none" if array is None else array.tobytes())
    return total.hexdigest()


@functools.cache
def sample() -> list[Frame]:
    """The first frames of some scenes at 192x192."""
    return [next(render(3, scene, 1, (192, 192))) for scene in range(SAMPLE)]


@functools.cache
def pair(scene: int) -> tuple[Frame, Frame]:
    first, second = render(5, scene, 2, (192, 160))
    return first, second


def test_shapes_and_types() -> None:
    first, last = render(0, 0, 2, (160, 96))
    for frame in (first, last):
        assert frame.photo is not None
        assert frame.photo.shape == frame.graphics.shape == (96, 160, 3)
        assert frame.photo.dtype == frame.graphics.dtype == frame.label.dtype == np.uint8
        assert frame.instance.dtype == np.uint16 and frame.label.shape == frame.instance.shape == (96, 160)
    assert first.flow is not None and first.flow.shape == (96, 160, 2) and first.flow.dtype == np.float32
    assert (
        first.occlusion is not None and first.occlusion.shape == (96, 160) and set(np.unique(first.occlusion)) <= {0, 1}
    )
    assert np.isfinite(first.flow).all()
    assert last.flow is None and last.occlusion is None


def test_bytes_are_a_function_of_the_arguments() -> None:
    wanted = digest(list(render(1, 4, 2, (128, 128))))
    next(render(2, 9, 1, (64, 64)))  # whatever was rendered in between
    assert digest(list(render(1, 4, 2, (128, 128)))) == wanted
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda _: digest(list(render(1, 4, 2, (128, 128)))), range(2))
        assert set(both) == {wanted}


def test_a_frame_does_not_depend_on_how_many_follow() -> None:
    three, one = list(render(1, 2, 3, (96, 96))), list(render(1, 2, 1, (96, 96)))
    two = list(render(1, 2, 2, (96, 96)))
    assert np.array_equal(three[0].photo, one[0].photo) and np.array_equal(three[0].instance, one[0].instance)
    assert digest(three[:1]) == digest(two[:1])
    assert np.array_equal(three[1].photo, two[1].photo)


def test_graphics_alone_are_the_same_graphics() -> None:
    alone, both = next(render(1, 2, photo=False, size=(96, 96))), next(render(1, 2, size=(96, 96)))
    assert alone.photo is None
    assert np.array_equal(alone.graphics, both.graphics) and np.array_equal(alone.label, both.label)


def test_frames_come_one_at_a_time() -> None:
    endless = render(0, 1, 10**9, (64, 64), photo=False)
    assert [frame.label.shape for frame in itertools.islice(endless, 2)] == [(64, 64)] * 2


def test_seeds_and_scenes_differ() -> None:
    labels = [next(render(seed, scene, 1, (64, 64), photo=False)).label for seed, scene in ((0, 0), (0, 1), (1, 0))]
    for one, other in itertools.combinations(labels, 2):
        assert (one != other).mean() > 0.1


@pytest.mark.parametrize("size", [(512, 256), (64, 64), (96, 64), (64, 96), (33, 47), (32, 32)])
def test_any_size(size: tuple[int, int]) -> None:
    frame = next(render(0, 3, 1, size))
    assert frame.photo is not None and frame.photo.shape == (size[1], size[0], 3)
    assert {7, 11} <= set(np.unique(frame.label).tolist())


def test_the_same_scene_at_every_resolution() -> None:
    small, large = (next(render(0, 2, 1, (side, side), photo=False)).label for side in (64, 257))
    # 64 pixels and 257 pixels: the centres of the small picture's pixels lie at steps of 256/63 in the large one.
    steps = np.round(np.arange(64) * 256 / 63).astype(int)
    assert (large[np.ix_(steps, steps)] == small).mean() > 0.93


def test_bad_arguments_are_usage_errors() -> None:
    for call in ((-1, 0, 1, (64, 64)), (0, -1, 1, (64, 64)), (0, 0, 0, (64, 64)), (0, 0, 1, (16, 64))):
        with pytest.raises(UsageError):
            render(*call)


def test_all_train_classes_and_void_within_24_scenes() -> None:
    labels = np.stack([frame.label for frame in sample()])
    assert set(np.unique(labels).tolist()) <= KNOWN
    scenes_with = {k: int(((labels == k).sum(axis=(1, 2)) >= 8).sum()) for k in TRAIN_CLASSES}
    assert all(count >= 2 for count in scenes_with.values()), scenes_with
    assert sum(np.isin(label, (1, 4, 5, 6)).any() for label in labels) > SAMPLE // 4


def test_class_shares_are_those_of_streets() -> None:
    labels = np.stack([frame.label for frame in sample()])
    for class_id, low, high in (
        (7, 0.22, 0.40),
        (11, 0.12, 0.32),
        (21, 0.07, 0.24),
        (23, 0.04, 0.20),
        (26, 0.02, 0.14),
    ):
        assert low < (labels == class_id).mean() < high, class_id


def test_instances_agree_with_labels() -> None:
    for frame in sample():
        instance, label = frame.instance.astype(int), frame.label.astype(int)
        thing = np.isin(label, THINGS)
        assert np.array_equal(instance[thing] // 1000, label[thing])
        assert np.array_equal(instance[~thing], label[~thing])
    assert max(len(np.unique(frame.instance[frame.label == 26])) for frame in sample()) >= 4


def test_near_things_are_larger_and_hide_far_ones() -> None:
    """The lower the foot of a car in the picture, the nearer and so the larger it is."""
    feet, areas = [], []
    for frame in sample():
        for instance in np.unique(frame.instance[frame.label == 26]):
            rows, columns = np.nonzero(frame.instance == instance)
            whole = columns.min() > 0 and columns.max() < frame.label.shape[1] - 1
            if whole and len(rows) > 12:
                feet.append(rows.max())
                areas.append(len(rows))
    assert len(feet) > 30
    assert np.corrcoef(feet, np.log(areas))[0, 1] > 0.6
    first, _ = pair(1)
    sky = first.label == 23
    assert sky[:20].mean() > sky[-60:].mean() == 0


def warp(picture: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Look up `picture` (the next frame) where the flow says that this frame's pixels went."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("scene", range(6))
def test_photos_follow_the_flow(scene: int) -> None:
    first, second = pair(scene)
    assert (
        first.photo is not None and second.photo is not None and first.flow is not None and first.occlusion is not None
    )
    seen = first.occlusion == 0
    now, then = cv2.blur(first.photo, (3, 3)).astype(np.float32), cv2.blur(second.photo, (3, 3)).astype(np.float32)

    def error(other: np.ndarray) -> float:
        return float(((now - other) ** 2).mean(axis=2)[seen].mean())

    right, still, wrong = error(warp(then, first.flow)), error(then), error(warp(then, -first.flow))
    moving = np.hypot(*np.moveaxis(first.flow, 2, 0))[seen].mean() > 1.0
    assert right < wrong / (4 if moving else 1) and right <= still * 1.05
    if moving:
        assert right < still / 3


@pytest.mark.parametrize("scene", range(6))
def test_labels_follow_the_flow(scene: int) -> None:
    first, second = pair(scene)
    assert first.flow is not None and first.occlusion is not None
    inside = np.zeros(first.label.shape, bool)
    inside[2:-2, 2:-2] = True
    seen = (first.occlusion == 0) & inside
    assert (warp(second.label, first.flow, cv2.INTER_NEAREST) == first.label)[seen].mean() > 0.97
    ids = first.instance.astype(np.float32)
    assert (warp(second.instance.astype(np.float32), first.flow, cv2.INTER_NEAREST) == ids)[seen].mean() > 0.96


@pytest.mark.parametrize("scene", range(6))
def test_occlusion_marks_what_is_gone(scene: int) -> None:
    first, _ = pair(scene)
    assert first.flow is not None and first.occlusion is not None
    height, width = first.label.shape
    y, x = np.mgrid[:height, :width]
    tx, ty = x + first.flow[..., 0], y + first.flow[..., 1]
    gone = (tx < -0.5) | (tx >= width - 0.5) | (ty < -0.5) | (ty >= height - 0.5)
    assert first.occlusion[gone].all()
    assert 0 <= (first.occlusion.astype(bool) & ~gone).mean() < 0.12


def test_the_sky_is_infinitely_far() -> None:
    """Turning moves the sky, driving does not: its flow is smooth and hardly changes over the picture."""
    for scene in range(6):
        first, _ = pair(scene)
        assert first.flow is not None
        sky = first.flow[first.label == 23]
        if len(sky) > 200:
            assert sky.std(axis=0).max() < 0.5
        ego = first.flow[first.label == 1]
        assert not len(ego) or np.abs(ego).max() < 1e-3


def test_mean_colours_score_no_better_than_on_real_streets() -> None:
    """Painting each class with its mean colour over other scenes: SSIM at most 0.5 (CamVid 0.43, Cityscapes 0.55)."""
    frames = sample()
    scores = []
    for parity in (0, 1):
        others, own = frames[parity::2], frames[1 - parity :: 2]
        labels = np.stack([frame.label for frame in others])
        photos = np.stack([frame.photo for frame in others if frame.photo is not None])
        table = np.zeros((256, 3), np.uint8)
        for class_id in np.unique(labels):
            table[class_id] = photos[labels == class_id].mean(axis=0).round()
        for frame in own:
            assert frame.photo is not None
            scores.append(
                structural_similarity(frame.photo, table[frame.label], data_range=255, channel_axis=2, win_size=7)
            )
    assert 0.3 < np.mean(scores) <= 0.5


def test_the_renderings_differ_in_their_statistics() -> None:
    photos = np.stack([frame.photo for frame in sample() if frame.photo is not None]).astype(np.float32)
    drawings = np.stack([frame.graphics for frame in sample()]).astype(np.float32)
    assert np.abs(photos.mean(axis=(0, 1, 2)) - drawings.mean(axis=(0, 1, 2))).max() > 20

    def saturation(pictures: np.ndarray) -> float:
        return float((pictures.max(axis=3) - pictures.min(axis=3)).mean())

    def texture(pictures: np.ndarray) -> float:
        return float(np.median(np.abs(np.diff(pictures, axis=2))))

    assert saturation(drawings) > 1.5 * saturation(photos)
    assert texture(photos) > 2 and texture(drawings) < 1
