"""prepare --flow: between which frames, of which pictures, the same bytes whatever happens, and every fault named."""

from __future__ import annotations

import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from citygan.cli import run
from citygan.data import motion
from citygan.data import prepare as prepare_module
from citygan.data.labels import CAMVID11
from citygan.data.motion import Pairs
from citygan.data.options import Options
from citygan.data.prepare import prepare
from citygan.data.store import Item, PreparedSet, Split, follows, resolve_set
from citygan.errors import Interrupted, UsageError
from citygan.ops.flow import dense_flow, occluded, settings_of
from citygan.ops.warping import warp
from citygan.pictures import encode_picture
from tests import trees
from tests.test_prepare import killed_and_finished
from tests.trees import SHARED, tree_hashes

SHIFT = (2, 1)  # pixels a frame, to the right and down
SIZE = (48, 32)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lie beside the checkout only")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYGAN_DATA_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def moving(seed: int, frame: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture that moves by `SHIFT` from frame to frame: uint8 [H, W, 3]."""
    noise = np.random.default_rng(seed).integers(0, 256, (140, 140, 3), np.uint8)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), np.empty_like(noise), 0, 255, cv2.NORM_MINMAX)
    x, y = 60 - SHIFT[0] * frame, 60 - SHIFT[1] * frame
    return np.ascontiguousarray(wide[y : y + size[1], x : x + size[0]])


def film(
    root: Path, *, sequences: int = 1, frames: tuple[int, ...] = (0, 1, 2), labels: bool = True, kind: str = "images"
) -> Path:
    """Frames in folders named as sequences, numbered."""
    for place in range(sequences):
        for frame in frames:
            name = f"seq{place:04d}/city_000000_{frame:06d}"
            trees.put(root / f"{kind}/{name}.png", encode_picture(moving(place, frame), ".png"))
            if labels:
                trees.label_file(root / f"labels/{name}.png", frame)
    return root


def filmed(root: Path, *more: str, split: str = "train") -> Split:
    assert run(["prepare", str(root), "--flow", "--size", "48x32", "--splits", f"{split}=1", *more]) == 0
    return resolve_set(None).split(split)


# what comes out


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_flow_goes_from_each_frame_to_the_next(tmp_path: Path, method: str) -> None:
    split = filmed(film(tmp_path / "film", sequences=2), "--flow-method", method, split="test")
    assert split.photo is not None and split.flow is not None and split.occlusion is not None
    assert split.flow.dtype == np.float16 and split.flow.shape == (6, 32, 48, 2)
    assert split.occlusion.dtype == np.uint8 and split.occlusion.shape == (6, 32, 48)
    for frames in split.sequences().values():
        assert len(frames) == 3
        for place in frames[:-1]:
            now, following = split.photo[place], split.photo[place + 1]
            flow = dense_flow(now, following, method).astype(np.float16)
            np.testing.assert_array_equal(split.flow[place], flow)
            np.testing.assert_array_equal(split.occlusion[place], occluded(flow, dense_flow(following, now, method)))
            np.testing.assert_allclose(np.median(flow[8:-8, 8:-8], (0, 1)), SHIFT, atol=0.15)
            assert split.occlusion[place][8:-8, 8:-8].mean() < 0.1
        assert split.occlusion[frames[-1]].all() and not split.flow[frames[-1]].any()
    record = resolve_set(None).manifest["options"]["flow"]
    assert record == settings_of(method) and record["opencv"] == cv2.__version__


def test_a_set_without_flow_says_so(tmp_path: Path) -> None:
    assert run(["prepare", str(film(tmp_path / "film")), "--size", "48x32"]) == 0
    city = resolve_set(None)
    assert city.manifest["options"]["flow"] is None and set(city.split("train").arrays) == {"photo", "label"}


def test_flow_only_where_pictures_follow_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CamVid: consecutive frames in val, one a second in train."""
    assert run(["prepare", str(trees.camvid(tmp_path / "camvid", CAMVID11)), "--flow", "--size", "32"]) == 0
    told = capsys.readouterr().err
    assert "flow by farneback between 2 pairs of frames in val; none in train" in told
    city = resolve_set(None)
    assert set(city.split("train").arrays) == {"photo", "label"}
    assert set(city.split("val").arrays) == {"photo", "label", "flow", "occlusion"}
    census = city.manifest["census"]
    assert (census["val"]["pairs"], census["val"]["gaps"]) == (2, 0) and "pairs" not in census["train"]
    val = city.split("val")
    assert val.occlusion is not None
    assert census["val"]["occluded_share"] == pytest.approx(val.occlusion[:2].mean(), abs=1e-6)


def test_a_gap_in_the_frame_numbers_ends_the_flow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = film(tmp_path / "film", frames=(10, 11, 12, 15, 16))
    split = filmed(root)
    told = capsys.readouterr().err
    assert "3 pairs of frames in train; 1 gap in the frame numbers of train: none across" in told
    assert "flow between 3 pairs of frames, " in told and "% of them occluded, 1 gap" in told
    assert [item.frame for item in split.items] == [0, 1, 2, 5, 6]
    assert split.flow is not None and split.occlusion is not None
    assert [bool(split.flow[i].any()) for i in range(5)] == [True, True, False, True, False]
    assert [bool(split.occlusion[i].all()) for i in range(5)] == [False, False, True, False, True]
    assert run(["prepare", str(root), "--flow", "--dry-run", "--json", "--splits", "val=1"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["flow"] == settings_of("farneback")
    assert plan["splits"]["val"]["pairs"] == 3 and plan["splits"]["val"]["gaps"] == 1
    assert plan["splits"]["val"]["arrays"] == ["photo", "label", "flow", "occlusion"]


def test_flow_of_source_pictures_where_there_are_no_photos(tmp_path: Path) -> None:
    split = filmed(film(tmp_path / "film", kind="graphics"), "--format", "folders")
    assert split.photo is None and split.source is not None and split.flow is not None
    flow = dense_flow(split.source[0], split.source[1]).astype(np.float16)
    np.testing.assert_array_equal(split.flow[0], flow)


def test_frames_are_one_sequence_and_one_number_apart() -> None:
    def item(sequence: str | None, frame: int | None) -> Item:
        return Item("x", {}, (1, 1), sequence, frame)

    assert follows(item("a", 3), item("a", 4))
    for other in (item("a", 5), item("a", 3), item("a", 2), item("b", 4), item(None, 4), item("a", None)):
        assert not follows(item("a", 3), other)
    assert not follows(item(None, 3), item(None, 4)) and not follows(item("a", None), item("a", None))
    frames = [item("a", 0), item("a", 1), item("a", 3), item("b", 4), item("b", 5), item(None, 6), item(None, 7)]
    assert Pairs.of(frames) == Pairs(2, 1)
    assert Pairs.of([]) == Pairs(0, 0)


def test_the_demo_city_has_its_exact_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "demo", "--limit", "1", "--size", "32", "--out", "data/plain"]) == 0
    capsys.readouterr()
    assert run(["prepare", "demo", "--limit", "1", "--size", "32", "--flow"]) == 0
    assert "the demo city has its exact flow in any case: --flow adds nothing" in capsys.readouterr().err
    assert tree_hashes(Path("data/demo")) == tree_hashes(Path("data/plain"))
    assert run(["prepare", "demo", "--flow", "--flow-method", "dis", "--force"]) == 2
    assert "the demo city has nothing to choose there, --flow-method" in capsys.readouterr().err


# the same bytes whatever happens


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    root = film(tmp_path / "film", sequences=2, frames=(0, 1, 2, 4, 5))
    for workers in (1, 2, 5):
        prepare(str(root), Options(workers=workers, out=tmp_path / f"w{workers}", size=(32, 32), flow=True))
    assert tree_hashes(tmp_path / "w1") == tree_hashes(tmp_path / "w2") == tree_hashes(tmp_path / "w5")


def test_flow_is_not_computed_again_where_a_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = film(tmp_path / "film", frames=tuple(range(9)))
    read, compute = prepare_module.read_job, motion.flow_arrays
    calls = []

    def interrupted(plan: object, job: object) -> object:
        if "000007" in job.entry.stem:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return read(plan, job)  # type: ignore[arg-type]

    def counting(*arguments: object) -> object:
        calls.append(arguments)
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(motion, "flow_arrays", counting)
    monkeypatch.setattr(prepare_module, "read_job", interrupted)
    options = Options(workers=1, size=SIZE, flow=True)
    with pytest.raises(Interrupted):
        prepare(str(root), options)
    monkeypatch.setattr(prepare_module, "read_job", read)
    capsys.readouterr()
    calls.clear()
    prepare(str(root), options)
    told = capsys.readouterr().err
    there = int(told.split("going on with data/film: ")[1].split(" of 9")[0])
    assert there >= 2 and len(calls) == 9 - there
    prepare(str(root), Options(out=Path("data/whole"), size=SIZE, flow=True))
    assert tree_hashes(Path("data/film")) == tree_hashes(Path("data/whole"))


def test_sigkill_at_any_file_operation_and_the_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    root = film(tmp_path / "film", sequences=2)
    prepare(str(root), Options(out=tmp_path / "whole", size=(16, 16), flow=True))
    rng = random.Random(11)
    arguments = [str(root), "--out", str(tmp_path / "killed"), "--size", "16", "--flow"]
    codes = killed_and_finished(arguments, [rng.randint(1, 60) for _ in range(3)])
    assert -9 in codes and codes[-1] in (0, 2), codes
    assert tree_hashes(tmp_path / "killed") == tree_hashes(tmp_path / "whole")


def test_a_set_without_flow_is_prepared_anew_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["prepare", str(film(tmp_path / "film")), "--size", "48x32"]
    assert run(command) == 0
    capsys.readouterr()
    before = tree_hashes(Path("data/film"))
    assert run([*command, "--flow"]) == 2
    told = capsys.readouterr().err
    assert "exists already, without flow, data/film. --force prepares it anew, with that" in told
    assert tree_hashes(Path("data/film")) == before
    assert run([*command, "--flow", "--force"]) == 0
    assert PreparedSet.open("data/film").split("train").flow is not None
    assert run([*command, "--flow"]) == 2
    assert "exists already, data/film. --force replaces it" in capsys.readouterr().err


# faults


def test_frames_of_another_size_are_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = film(tmp_path / "film", frames=(0, 1, 2, 3), labels=False)
    name = "images/seq0000/city_000000_000001.png"
    trees.put(root / name, encode_picture(moving(0, 1, (64, 32)), ".png"))
    command = ["prepare", str(root), "--size", "48x32"]
    assert run([*command, "--dry-run"]) == 0  # without flow it is none
    capsys.readouterr()
    assert run([*command, "--flow"]) == 3
    told = capsys.readouterr().err
    assert f"{name}: 64x32, where 3 other frames of the sequence seq0000 are 48x32: no flow" in told
    assert not Path("data/film").exists()
    assert run([*command, "--flow", "--skip-bad"]) == 0
    city = resolve_set(None)
    split = city.split("train")
    assert [item.frame for item in split.items] == [0, 2, 3]
    assert split.flow is not None and [bool(split.flow[i].any()) for i in range(3)] == [False, True, False]
    assert city.manifest["skipped"][0]["file"] == name


def test_a_frame_left_out_ends_the_flow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = film(tmp_path / "film", frames=(0, 1, 2, 3, 4))
    bad = root / "images/seq0000/city_000000_000002.png"
    bad.write_bytes(bad.read_bytes()[:-60])  # its header is whole
    command = ["prepare", str(root), "--size", "48x32", "--flow"]
    assert run(command) == 3
    assert run([*command, "--skip-bad", "--workers", "2"]) == 0
    assert "flow between 2 pairs of frames" in capsys.readouterr().err
    split = resolve_set(None).split("train")
    assert split.flow is not None and [bool(split.flow[i].any()) for i in range(4)] == [True, False, True, False]


def single(root: Path) -> None:
    film(root, sequences=3, frames=(4,))


def labels_alone(root: Path) -> None:
    for frame in range(3):
        trees.label_file(root / f"seq0000/{frame}.png", frame)


def no_sequences(root: Path) -> None:
    for frame in range(3):
        trees.photo_file(root / f"photos/{frame}.png", frame)
        trees.label_file(root / f"labels/{frame}.png", frame)


def uneven_pair(root: Path) -> None:
    film(root, frames=(0,), labels=False)
    trees.put(root / "images/seq0000/city_000000_000001.png", encode_picture(moving(0, 1, (64, 32)), ".png"))


FAULTS = {
    "sequences of one frame": (single, 2, [], "no pictures follow each other as frames", "a folder named seq0000"),
    "label maps alone": (labels_alone, 2, [], "no pictures to see a flow in, label maps alone", "Leave it out"),
    "no sequences": (no_sequences, 2, [], "no pictures follow each other as frames", "a folder named seq0000"),
    "one frame by --limit": (film, 2, ["--limit", "1"], "no two of the frames follow each other", "Leave it out"),
    "two frames of two sizes": (uneven_pair, 3, [], "1 bad file", "--skip-bad leaves them out"),
    "the same, left out": (uneven_pair, 2, ["--skip-bad"], "no two of the frames follow each other", "Leave it out"),
    "no such method": (film, 2, ["--flow-method", "disk"], "no method of flow 'disk'", "Did you mean dis?"),
    "too small": (film, 2, ["--flow-method", "dis", "--size", "8"], "needs a side of 16 pixels, got 8x8", "farneback"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_and_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    damage, code, more, what, hint = FAULTS[name]
    damage(tmp_path / "film")
    assert run(["prepare", str(tmp_path / "film"), "--flow", *more]) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and what in error and hint in error
    assert not Path("data/film").exists() and not list(Path("data").glob(".*.partial"))


def test_a_method_without_flow_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no flow without --flow"):
        Options(flow_method="dis")


# real pictures


@needs_shared
def test_the_real_sequence_is_prepared_and_steadied() -> None:
    """The ten frames of Cityscapes at 17 a second are one sequence; the flow carries each onto the one before."""
    source = str(SHARED / "cityscapes-sequence")
    assert run(["prepare", source, "--size", "256x128", "--flow", "--splits", "test=1"]) == 0
    city = resolve_set(None)
    split = city.split("test")
    assert split.sequences() == {"seq0000": range(10)} and city.manifest["census"]["test"]["pairs"] == 9
    assert split.photo is not None and split.flow is not None and split.occlusion is not None
    photos = torch.from_numpy(np.array(split.photo)).permute(0, 3, 1, 2).float()
    flow = torch.from_numpy(split.flow[:-1].astype(np.float32)).permute(0, 3, 1, 2)
    seen = torch.from_numpy(split.occlusion[:-1] == 0)[:, None].expand_as(photos[1:])
    apart = (photos[1:] - photos[:-1]).abs()[seen].mean()
    back = (warp(photos[1:], flow) - photos[:-1]).abs()[seen].mean()
    wrong = (warp(photos[1:], -flow) - photos[:-1]).abs()[seen].mean()
    assert back < 0.4 * apart and wrong > 1.1 * apart
