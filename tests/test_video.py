"""`citygan video`: whole commands on a tiny run, and every fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import citygan
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Item, PreparedSet
from citygan.data.writer import SetWriter
from citygan.infer import Translator
from citygan.metrics.streaming import VideoFigures
from citygan.pictures import encode_png, read_photo
from citygan.videofile import coder_for, coders, frames_of, new_video, probe
from tests.street import SOURCE, Street, environment
from tests.test_videofile import ffmpeg, needs_ffmpeg, noise
from tests.test_videofile import video as write_video

IDS = np.array([7, 8, 11, 21, 23, 26], np.uint8)


def label(number: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    """Blocks of classes, which move on with the frame."""
    blocks = IDS[(np.add.outer(np.arange(size[1] // 8), np.arange(size[0] // 8)) + number) % len(IDS)]
    return np.kron(blocks, np.ones((8, 8), np.uint8))


def labels(folder: Path, names: list[str], size: tuple[int, int] = (32, 32)) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(encode_png(label(number, size), palette=CITYSCAPES.palette))
    return folder


def road(path: Path, lengths: dict[str, dict[str, int]], without: tuple[int, ...] = ()) -> PreparedSet:
    """A prepared set of sequences: by split and name, how many frames; those of some numbers are missing."""
    writer = SetWriter(path, size=(32, 32), plan={})
    for split, sequences in lengths.items():
        for name, length in sequences.items():
            for i in (number for number in range(length) if number not in without):
                picture = label(i)
                writer.split(split).append(
                    Item(f"{name}_{i:02d}", {}, (32, 32), name, i), label=picture, photo=CITYSCAPES.palette[picture]
                )
    return PreparedSet.open(writer.finish({"source": "test", "photo_channels": 3, "classes": CITYSCAPES.to_dict()}))


def label_video(path: Path, count: int = 6, fps: Fraction = Fraction(15)) -> Path:
    return write_video(path, (CITYSCAPES.palette[label(i)] for i in range(count)), coder_for(path), fps)


def pictures(folder: str) -> list[np.ndarray]:
    return [read_photo(Path(folder, name)) for name in sorted(os.listdir(folder))]


def close(path: str, expected: list[np.ndarray], far: float = 12) -> None:
    """A video shows these pictures, but for what its compression does."""
    read = list(frames_of(path))
    assert len(read) == len(expected)
    far_from = [[np.abs(x.astype(int) - y).mean() for y in expected] for x in read]
    for place, distances in enumerate(far_from):
        assert distances[place] == min(distances) < far, (place, distances)  # and in this order


# what becomes a video


def test_a_set_plays_its_longest_test_sequence(street: Street) -> None:
    data = road(Path("data/road"), {"train": {"t": 9}, "val": {"v": 8}, "test": {"short": 2, "long": 5}})
    result = street.done("video", "road", "out.mp4", "--frames", "f")
    assert result.paths[0] == "out.mp4"
    assert "data/road, split test, sequence long: 5 frames at 15 a second" in result.err
    assert sorted(os.listdir("f")) == [f"long_{i:02d}.png" for i in range(5)]
    city = citygan.load("a")
    part = data.split("test")
    expected = [city.translate(np.asarray(part.label[i])) for i in data.split("test").sequences()["long"]]
    assert np.array_equal(np.stack(pictures("f")), np.stack(expected))
    close("out.mp4", expected)
    assert "split val, sequence v: 8" in street.done("video", "data/road", "v.webm", "--split", "val").err
    assert "split train, sequence t: 9" in street.done("video", "road", "t.mp4", "--sequence", "t").err
    assert result.err.splitlines()[-1].startswith("next: citygan evaluate")


def test_temporal_figures_are_those_of_the_metrics(street: Street) -> None:
    data = road(Path("data/road"), {"test": {"s": 4}})
    told = street.done("video", "road", "out.mp4", "--frames", "f")
    record = json.loads(street.done("video", "road", "b.mp4", "--json").out)
    part = data.split("test")
    figures = VideoFigures()
    for fake, real in zip(pictures("f"), np.asarray(part.photo), strict=True):
        figures.add(fake, real)
    expected = figures.figures()
    found = record["videos"][0]["metrics"]
    assert (
        found["warp-error"]["mean"] == pytest.approx(expected["warp-error"]["mean"]) and found["warp-error"]["n"] == 3
    )
    assert record["videos"][0]["metrics_protocol"]["warp-error"]["pixels"] == "seen in both real frames"
    mean, real = (each["mean"] for each in (expected["warp-error"], expected["warp-error"]["real"]))
    assert f"warp-error {mean:.4f} (real frames {real:.4f})" in told.paths
    single = json.loads(street.done("video", "labels", "c.mp4", "--json").out)["videos"][0]["metrics"]
    assert single["warp-error"]["mean"] is None and "no real frames" in single["warp-error"]["reason"]


def test_no_temporal_figure_spans_a_gap_of_a_prepared_sequence(street: Street) -> None:
    road(Path("data/road"), {"test": {"s": 6}}, without=(2, 3))
    told = street.done("video", "road", "out.mp4", "--json")
    assert "gaps: s_01 is followed by s_04" in told.err
    assert json.loads(told.out)["videos"][0]["metrics"]["warp-error"]["n"] == 2  # 0 to 1, 4 to 5


def test_without_a_test_split_val_plays_and_then_train(street: Street) -> None:
    road(Path("data/noval"), {"train": {"t": 3}, "val": {"v": 2}})
    road(Path("data/only"), {"train": {"t": 3}})
    assert "split val, sequence v: 2" in street.done("video", "noval", "a.mp4").err
    assert "split train, sequence t: 3" in street.done("video", "only", "b.mp4").err


def test_a_folder_plays_in_natural_order(street: Street) -> None:
    labels(street.path / "l", [f"frame {i}.png" for i in range(1, 13)])
    result = street.done("video", "l", "out.mp4", "--frames", "f", "--fps", "8")
    assert result.paths[0] == "out.mp4" and "12 frames at 8 a second" in result.err and "gap" not in result.err
    city = citygan.load("a")
    close("out.mp4", [city.translate(label(i)) for i in range(12)])
    assert probe("out.mp4").fps == 8


@needs_ffmpeg
def test_a_label_video_is_read_by_its_colours(street: Street) -> None:
    label_video(street.path / "l.mp4", 6, Fraction(10))
    result = street.done("video", "l.mp4", "out.mp4", "--frames", "f", "--json")
    record = json.loads(result.out)
    (made,) = record["videos"]
    assert made["fps"] == 10 and made["frames"] == 6 and record["failed"] == []
    city = citygan.load("a")
    assert np.array_equal(np.stack(pictures("f")), np.stack([city.translate(label(i)) for i in range(6)]))
    shares = record["label_colours"]
    assert 0 < shares["changed_share"] <= 1 and shares["doubtful_share"] < 0.01
    assert "compression has changed the colours of" in result.err and "PNGs are exact" in result.err
    assert made["metrics"]["warp-error"]["mean"] is None and made["metrics"]["warp-error"]["reason"]


@needs_ffmpeg
def test_a_label_video_by_another_table_is_carried_over(street: Street) -> None:
    path = label_video(street.path / "l.mp4", 2)
    street.done("video", path, "one.mp4", "--frames", "f1")
    street.done("video", path, "two.mp4", "--frames", "f2", "--classes", "cityscapes19")
    assert np.array_equal(np.stack(pictures("f1")), np.stack(pictures("f2")))


def test_dropout_stays_fixed_through_a_sequence(street: Street) -> None:
    folder = labels(street.path / "l", ["0.png"])
    for i in (1, 2, 3):
        (folder / f"{i}.png").write_bytes((folder / "0.png").read_bytes())
    result = street.done("video", "l", "out.mp4", "--frames", "f", "--samples", "2", "--batch", "3")
    assert [line for line in result.paths if line.endswith(".mp4")] == ["out-1.mp4", "out-2.mp4"]
    one, two = ([read_photo(Path(f"f/{i}-{k}.png")) for i in range(4)] for k in (1, 2))
    for draws in (one, two):
        assert all(np.array_equal(draws[0], picture) for picture in draws)
    assert not np.array_equal(one[0], two[0])


def test_side_by_side(street: Street) -> None:
    road(Path("data/road"), {"test": {"s": 2}})
    street.done("video", "road", "three.mp4", "--side-by-side", "--frames", "f")
    street.done("video", "labels", "two.mp4", "--side-by-side")
    assert probe("three.mp4").size == (96, 32) and probe("two.mp4").size == (64, 32)
    colours = [CITYSCAPES.palette[label(i)] for i in range(2)]
    close("three.mp4", [np.hstack([c, p, c]) for c, p in zip(colours, pictures("f"), strict=True)])


def test_odd_sizes_are_padded_and_said(street: Street) -> None:
    folder = street.path / "odd"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(encode_png(label(i, (40, 40))[:35, :37]))
    result = street.done("video", "odd", "out.mp4", "--frames", "f", "--json")
    (made,) = json.loads(result.out)["videos"]
    assert made["size"] == [37, 35] and made["padded_size"] == [38, 36]
    assert "37x35 was padded to 38x36" in result.err and pictures("f")[0].shape == (35, 37, 3)
    assert [frame.shape for frame in frames_of("out.mp4")] == [(36, 38, 3)] * 3


def test_what_is_there_is_left_or_overwritten(street: Street) -> None:
    street.done("video", "labels", "out.mp4", "--frames", "f")
    street.refused(2, "exists already, out.mp4", "--force", by=("video", "labels", "out.mp4"))
    street.refused(2, "f/0.png and others", by=("video", "labels", "b.mp4", "--frames", "f"))
    assert not os.path.exists("b.mp4")
    before = Path("out.mp4").read_bytes()
    again = street.done("video", "labels", "out.mp4", "--frames", "f", "--force", "--seed", "5")
    assert Path("out.mp4").read_bytes() != before and again.paths[0] == "out.mp4"
    kept = Path("out.mp4").read_bytes()
    result = street.done("video", "labels", "out.mp4", "--missing")
    assert result.out == "" and "all there already" in result.err and Path("out.mp4").read_bytes() == kept
    os.rename("out.mp4", "out-2.mp4")
    assert street.done("video", "labels", "out.mp4", "--missing", "--samples", "2").paths[0] == "out-1.mp4"
    assert Path("out-2.mp4").read_bytes() == kept


def test_a_run_repeats_bit_for_bit(street: Street) -> None:
    street.done("video", "labels", "one.mp4")
    street.done("video", "labels", "two.mp4")
    assert Path("one.mp4").read_bytes() == Path("two.mp4").read_bytes()


def test_without_imageio_ffmpeg_it_is_vp9_and_that_is_said(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coders, "ffmpeg", lambda: None)
    for name in ("out.mp4", "out.webm"):
        result = street.done("video", "labels", name)
        assert f"VP9 in .{name[4:]} (OpenCV)" in result.err and "pip install 'citygan[video]'" in result.err
        assert probe(name).frames == 2


def test_a_segmenter_films_photos(street: Street) -> None:
    narrow = ("--set", "segmenter.width=4")
    street.done("train", "--model", "unet-seg", "--data", "tiny", *narrow, "--steps", "1", "--name", "s")
    photos = write_video(street.path / "p.mp4", noise(3, (32, 32)), coder_for(Path("p.mp4")))
    street.done("video", photos, "out.mp4", "--run", "s", "--write", "colour", "--side-by-side")
    assert probe("out.mp4").frames == 3 and probe("out.mp4").size == (64, 32)
    road(Path("data/road"), {"test": {"s": 2}})
    street.done("video", "road", "ids.mp4", "--run", "s", "--frames", "f")
    shown = [CITYSCAPES.palette[np.asarray(ids)] for ids in map(_ids, sorted(os.listdir("f")))]
    close("ids.mp4", shown, 20)


def _ids(name: str) -> np.ndarray:
    from citygan.pictures import read_index

    return read_index(Path("f", name))


# faults


def junk(path: Path, data: bytes) -> None:
    path.write_bytes(data)


Damage = Callable[[Path], object]
# source, further options, exit code, words, what brings it about
FAULTS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...], Damage]] = {
    "nothing there": (("lables", "out.mp4"), 3, ("lables", "no such file", "mean labels?"), lambda p: None),
    "an address": (("http://localhost:1/a.mp4", "out.mp4"), 2, ("address", "http://localhost"), lambda p: None),
    "an address to write to": (("labels", "http://localhost:1/a.mp4"), 2, ("address",), lambda p: None),
    "a pattern": (("labels/%d.png", "out.mp4"), 2, ("patterns", "Name the folder: labels"), lambda p: None),
    "stars": (("labels/*.png", "out.mp4"), 2, ("patterns", "Name the folder: labels"), lambda p: None),
    "a text file": (("t.mp4", "out.mp4"), 3, ("t.mp4", "not a video"), lambda p: junk(p / "t.mp4", b"text\n" * 99)),
    "zero bytes": (("t.mp4", "out.mp4"), 3, ("t.mp4", "an empty file"), lambda p: junk(p / "t.mp4", b"")),
    "a picture": (("labels/0.png", "out.mp4"), 3, ("single picture", "citygan translate"), lambda p: None),
    "a playlist": (
        ("t.mp4", "out.mp4"), 3, ("not a video",), lambda p: junk(p / "t.mp4", b"#EXTM3U\nhttp://localhost:1/a.ts\n")
    ),
    "a FIFO": (("t.mp4", "out.mp4"), 3, ("not a regular file",), lambda p: os.mkfifo(p / "t.mp4")),
    "an empty folder": (("e", "out.mp4"), 3, ("no pictures",), lambda p: (p / "e").mkdir()),
    "no name of a video": (("labels", "out.avi"), 2, ("out.avi", ".mp4 or .webm"), lambda p: None),
    "a folder to write to": (("labels", "out"), 2, ("out", ".mp4 or .webm"), lambda p: None),
    "output in the input": (("labels", "labels/out.mp4"), 2, ("within the input",), lambda p: None),
    "output in the set": (("tiny", "data/tiny/out.mp4"), 2, ("within the input",), lambda p: None),
    "frames in the input": (("labels", "out.mp4", "--frames", "labels/f"), 2, ("within the input",), lambda p: None),
    "output is input": (("t.mp4", "t.mp4"), 2, ("overwrite the input",), lambda p: junk(p / "t.mp4", b"x")),
    "a rate of 0": (("labels", "out.mp4", "--fps", "0"), 2, ("--fps", "0.1 to 240"), lambda p: None),
    "an absurd rate": (("labels", "out.mp4", "--fps", "1e9"), 2, ("--fps", "0.1 to 240"), lambda p: None),
    "no rate": (("labels", "out.mp4", "--fps", "nan"), 2, ("--fps", "0.1 to 240"), lambda p: None),
    "a set without sequences": (("tiny", "out.mp4"), 3, ("no sequence", "data/tiny"), lambda p: None),
    "no such sequence": (
        ("road", "out.mp4", "--sequence", "lnog"), 2, ("no sequence 'lnog'", "mean long?"),
        lambda p: road(p / "data/road", {"test": {"long": 2, "b": 2}}),
    ),
    "another split": (
        ("road", "out.mp4", "--split", "val"), 2, ("no split 'val'",),
        lambda p: road(p / "data/road", {"test": {"s": 2}}),
    ),
    "a split without sequences": (
        ("road", "out.mp4", "--split", "val"), 3, ("no sequence", "--split test has"),
        lambda p: mixed_set(p / "data/road"),
    ),
    "a split of a folder": (("labels", "out.mp4", "--split", "val"), 2, ("--split", "prepared set"), lambda p: None),
    "a sequence of a folder": (("labels", "out.mp4", "--sequence", "x"), 2, ("prepared set",), lambda p: None),
    "classes of a set": (
        ("road", "out.mp4", "--classes", "cityscapes19"), 2, ("--classes",),
        lambda p: road(p / "data/road", {"test": {"s": 2}}),
    ),
    "sizes that differ": (
        ("l", "out.mp4"), 3, ("l/0.png is 32x32", "l/9.png is 48x32"),
        lambda p: (labels(p / "l", ["0.png", "1.png"]), labels(p / "l", ["9.png"], (48, 32))),
    ),
    "nowhere to write": (("labels", "/sys/citygan/out.mp4"), 5, ("/sys/citygan",), lambda p: None),
    "a photo video": (
        ("p.mp4", "out.mp4"), 3, ("p.mp4", "frame 000000", "further than 64 levels", "folder of PNGs"),
        lambda p: write_video(p / "p.mp4", noise(3), coder_for(p / "p.mp4")),
    ),
    "frames too large": (
        ("l.mp4", "out.mp4", "--max-pixels", "1000"), 3, ("32x32", "1000 pixels"), lambda p: label_video(p / "l.mp4")
    ),
}  # fmt: skip


def mixed_set(path: Path) -> None:
    writer = SetWriter(path, size=(32, 32), plan={})
    for i in range(2):
        writer.split("test").append(Item(f"s{i}", {}, (32, 32), "s", i), label=label(i))
    writer.split("val").append(Item("v", {}, (32, 32)), label=label(0))
    writer.finish({"source": "test", "classes": CITYSCAPES.to_dict()})


@pytest.mark.parametrize("name", FAULTS)
def test_faults(street: Street, name: str) -> None:
    arguments, code, words, damage = FAULTS[name]
    damage(street.path)
    before = sorted(os.listdir())
    result = street.refused(code, *words, by=("video", *arguments))
    assert result.out == "" and sorted(os.listdir()) == before, "nothing has appeared"
    street.done("video", "labels", "works.mp4")


def test_a_video_that_was_cut_is_filmed_as_far_as_it_goes(street: Street) -> None:
    if coders.ffmpeg() is None:
        pytest.skip("imageio-ffmpeg is not installed")
    random = np.random.default_rng(0)
    rows = (IDS[random.integers(0, 6, (12, 12))] for _ in range(60))
    frames = (CITYSCAPES.palette[np.kron(row, np.ones((8, 8), np.uint8))] for row in rows)
    whole = write_video(street.path / "l.mp4", frames, coder_for(Path("l.mp4")))
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    count = probe(whole).frames
    assert 5 < count < 55
    result = street.refused(4, f"{count} of 60 frames are in the video", by=("video", "l.mp4", "out.mp4"))
    assert f"error: {count} of 60 frames can be read: it is cut off or damaged, l.mp4" in result.err
    assert result.paths[0] == "out.mp4" and probe("out.mp4").frames == count
    whole.write_bytes(data[: data.index(b"mdat") + 99])
    street.refused(3, "not one frame", "60 are promised", by=("video", "l.mp4", "b.mp4"))
    whole.write_bytes(data[: data.index(b"mdat") // 2])
    street.refused(3, "index", "cut off", by=("video", "l.mp4", "b.mp4"))
    assert not os.path.exists("b.mp4")


@needs_ffmpeg
def test_a_size_that_changes_in_the_middle_is_told(street: Street) -> None:
    parts = []
    for size in ((64, 32), (32, 32)):
        raw = b"".join(CITYSCAPES.palette[label(i, size)].tobytes() for i in range(4))
        ffmpeg(
            *("-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{size[0]}x{size[1]}", "-i", "pipe:0"),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", "part.ts"),
            given=raw,
        )
        parts.append(Path("part.ts").read_bytes())
    Path("l.ts").write_bytes(b"".join(parts))
    street.refused(3, "frame 5 is of 32x32, those before of 64x32, l.ts", by=("video", "l.ts", "out.mp4"))


@needs_ffmpeg
def test_a_rate_that_cannot_be_is_asked_for(street: Street) -> None:
    label_video(street.path / "l.mp4", 3, Fraction(1000))
    street.refused(2, "no frame rate", "l.mp4", "--fps 15", by=("video", "l.mp4", "out.mp4"))
    street.done("video", "l.mp4", "out.mp4", "--fps", "30")
    assert probe("out.mp4").fps == 30


@needs_ffmpeg
def test_spoilt_frames_of_a_label_video_are_left_out(street: Street) -> None:
    pictures = [CITYSCAPES.palette[label(i)] for i in range(4)]
    pictures[2] = next(noise(1, (32, 32)))
    write_video(street.path / "l.mp4", iter(pictures), coder_for(Path("l.mp4")))
    result = street.refused(4, "3 of 4 frames are in the video", by=("video", "l.mp4", "out.mp4"))
    assert "error: frame 000002: " in result.err and probe("out.mp4").frames == 3


def test_bad_frames_are_named_and_the_rest_is_filmed(street: Street) -> None:
    labels(street.path / "l", [f"{i}.png" for i in range(5)])
    (street.path / "l/2.png").write_bytes(b"")
    (street.path / "l/3.png").write_bytes(encode_png(np.full((32, 32), 200, np.uint8)))
    result = street.refused(4, "3 of 5 frames are in the video", by=("video", "l", "out.mp4", "--frames", "f"))
    assert "l/2.png" in result.err and "l/3.png" in result.err and result.paths[0] == "out.mp4"
    assert probe("out.mp4").frames == 3 and sorted(os.listdir("f")) == ["0.png", "1.png", "4.png"]
    record = json.loads(street.run("video", "l", "b.mp4", "--json").out)
    assert len(record["failed"]) == 2 and record["frames"] == 5 and record["videos"][0]["frames"] == 3
    for i in (0, 1, 4):
        (street.path / f"l/{i}.png").write_bytes(b"")
    street.refused(3, "none of 5 frames", by=("video", "l", "c.mp4"))
    assert not os.path.exists("c.mp4")


def test_one_frame_and_gaps_are_said(street: Street) -> None:
    labels(street.path / "one", ["a_000007.png"])
    assert "a single frame" in street.done("video", "one", "one.mp4").err and probe("one.mp4").frames == 1
    labels(street.path / "gaps", [f"a_{i:06d}_x.png" for i in (0, 2, 4, 10, 12, 16, 18)])
    told = street.done("video", "gaps", "gaps.mp4").err
    assert "gaps: a_000004_x is followed by a_000010_x, and 1 gap more" in told


def test_a_missing_codec_is_found_before_the_work(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coders, "CODERS", [coder for coder in coders.CODERS if coder.suffix == ".webm"])
    monkeypatch.setattr(Translator, "translate", lambda *given, **more: pytest.fail("worked in vain"))
    street.refused(5, "no codec that writes .mp4", "There are: VP9 in .webm", by=("video", "labels", "out.mp4"))
    assert not os.path.exists("out.mp4")


def test_a_video_that_lacks_a_frame_is_not_left(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = coders._OpenCV if coders.ffmpeg() is None else coders._FFmpeg
    write, calls = kind.write, []

    def forgetful(self: coders.Encoder, frame: np.ndarray) -> None:
        calls.append(1)
        if len(calls) != 2:  # the first is the trial
            write(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "write", forgetful)
    street.refused(5, "1 frame of 32x32", "2 were written", "out.mp4", by=("video", "labels", "out.mp4"))
    assert not os.path.exists("out.mp4")


def test_an_interrupted_video_is_not_left(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    translate = Translator.translate
    calls = []

    def interrupted(self: Translator, *given: object, **more: object) -> np.ndarray:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return translate(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Translator, "translate", interrupted)
    result = street.run("video", "labels", "out.mp4")
    assert result.code == 130 and "interrupted, 0 videos written" in result.err
    street.check_clean()
    assert not os.path.exists("out.mp4")


def test_two_thousand_frames_take_no_more_memory_than_ten(tmp_path: Path) -> None:
    """From a video to a video, through all but the network. Of these frames, 2,000 kept would take 25 MB."""
    coder = coder_for(tmp_path / "a.mp4")
    picture = CITYSCAPES.palette[label(0, (64, 64))]
    peaks = []
    for count in (10, 2_000):
        with new_video(tmp_path / f"{count}.mp4", coder, Fraction(30)) as writer:
            for _ in range(count):
                writer.write(picture)
        code = (
            "import sys\nfrom fractions import Fraction\nfrom pathlib import Path\nimport numpy as np\n"
            "from citygan.data.labels import CITYSCAPES\nfrom citygan.filming import Take, film\n"
            "from citygan.footage import VideoFile\nfrom citygan.videofile import coder_for\n"
            "class Flat:\n"
            "    classes, needs_instances = CITYSCAPES, False\n"
            "    def translate(self, arrays, **more):\n        return CITYSCAPES.palette[arrays]\n"
            "out = Path(sys.argv[2])\n"
            "video = film(Flat(), VideoFile(Path(sys.argv[1]), None, None), out, Take(batch=4), coder=coder_for(out),\n"
            "             fps=Fraction(30), failed=print, progress=lambda number: None)\n"
            "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
            "print(video.frames, peak)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"{count}.mp4"), str(tmp_path / f"out-{count}.mp4")],
            env=environment(PYTHONPATH=str(SOURCE)),
            capture_output=True,
            text=True,
            check=True,
        )
        frames, peak = done.stdout.split()
        assert int(frames) == count
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 12, peaks  # MB, of some 400 that PyTorch alone takes
