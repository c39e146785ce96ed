"""Video files: what was written is in them, in the right colours, and what is no video is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from citygan.errors import DataError, MachineError, UsageError
from citygan.pictures import encode_png
from citygan.videofile import check_one_size, coder_for, coders, frames_of, new_video, probe
from citygan.videofile.coders import CODERS, FFMPEG, OPENCV, Coder
from tests.street import environment

COLOURS = [(128, 64, 128), (0, 0, 142), (107, 142, 35), (220, 20, 60), (255, 255, 255), (0, 0, 0)]
H264 = CODERS[0]
FPS = Fraction(15)
needs_ffmpeg = pytest.mark.skipif(coders.ffmpeg() is None, reason="imageio-ffmpeg is not installed")


def frames(count: int = 6, size: tuple[int, int] = (96, 32)) -> Iterator[np.ndarray]:
    """Stripes of flat colours, which move on by one with each frame."""
    for i in range(count):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        for k in range(6):
            picture[:, k * size[0] // 6 : (k + 1) * size[0] // 6] = COLOURS[(i + k) % 6]
        yield picture


def noise(count: int, size: tuple[int, int] = (96, 48)) -> Iterator[np.ndarray]:
    """Frames that take many bytes."""
    random = np.random.default_rng(0)
    return (random.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(count))


def video(path: Path, pictures: Iterator[np.ndarray], coder: Coder = H264, fps: Fraction = FPS) -> Path:
    with new_video(path, coder, fps) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


def ffmpeg(*arguments: str, given: bytes = b"") -> str:
    """What ffmpeg says of it."""
    program = coders.ffmpeg()
    assert program is not None
    return subprocess.run([program, "-hide_banner", *arguments], input=given, capture_output=True).stderr.decode()


@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_what_was_written_is_read_back(coder: Coder, tmp_path: Path) -> None:
    if coder.maker == FFMPEG and coders.ffmpeg() is None:
        pytest.skip("imageio-ffmpeg is not installed")
    path = video(tmp_path / f"a{coder.suffix}", frames(), coder)
    info = probe(path)
    assert (info.frames, info.promised, info.size) == (6, 6, (96, 32)) and info.fps == pytest.approx(15, abs=0.01)
    for read, written in zip(frames_of(path), frames(), strict=True):
        middles = (slice(8, 24), slice(8, 96, 16))
        difference = np.abs(read[middles].astype(int) - written[middles])
        # what OpenCV writes is coarser: it has no way to ask for quality
        assert difference.max() <= (10 if coder.maker == FFMPEG else 32), difference.max(axis=(0, 1))


@needs_ffmpeg
def test_h264_is_what_browsers_play_and_its_colours_are_told(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", frames(), fps=Fraction(30000, 1001))
    said = ffmpeg("-i", str(path))
    assert "h264 (High)" in said and "yuv420p(tv, bt709" in said and "29.97 fps" in said
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "the index comes first"
    again = video(tmp_path / "b.mp4", frames(), fps=Fraction(30000, 1001))
    assert again.read_bytes() == data


@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_odd_sides_are_padded_with_the_border(coder: Coder, tmp_path: Path) -> None:
    if coder.maker == FFMPEG and coders.ffmpeg() is None:
        pytest.skip("imageio-ffmpeg is not installed")
    picture = np.zeros((31, 49, 3), np.uint8)
    picture[:, 24:] = 255
    with new_video(tmp_path / f"a{coder.suffix}", coder, FPS) as writer:
        writer.write(picture)
    assert writer.size == (49, 31) and writer.padded == (50, 32)
    (read,) = frames_of(tmp_path / f"a{coder.suffix}")
    assert read.shape == (32, 50, 3) and read[31, 49].min() > 230 and read[31, 5].max() < 25


def test_a_frame_of_another_size_leaves_nothing(tmp_path: Path) -> None:
    coder = coder_for(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="frame 2 is of 48x32, those before of 96x32"):
        video(tmp_path / "a.mp4", iter([*frames(1), *frames(1, (48, 32))]), coder)
    with pytest.raises(DataError, match="no frame"):
        video(tmp_path / "a.mp4", iter(()), coder)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("coder", CODERS[:2], ids=str)
def test_a_frame_that_got_lost_is_found_and_nothing_is_left(
    coder: Coder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if coder.maker == FFMPEG and coders.ffmpeg() is None:
        pytest.skip("imageio-ffmpeg is not installed")
    (tmp_path / "a.mp4").write_bytes(b"old")
    kind = coders._FFmpeg if coder.maker == FFMPEG else coders._OpenCV
    write, calls = kind.write, []

    def forgetful(self: coders.Encoder, frame: np.ndarray) -> None:
        calls.append(1)
        if len(calls) != 3:
            write(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "write", forgetful)
    with pytest.raises(MachineError, match="5 frames of 96x32 can be read back, 6 were written"):
        video(tmp_path / "a.mp4", frames(), coder)
    assert os.listdir(tmp_path) == ["a.mp4"] and (tmp_path / "a.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("coder", CODERS[:2], ids=str)
def test_a_full_disk_is_told(coder: Coder, tmp_path: Path) -> None:
    if coder.maker == FFMPEG and coders.ffmpeg() is None:
        pytest.skip("imageio-ffmpeg is not installed")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom tests.test_videofile import CODERS, noise, video\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"video(Path(sys.argv[1]), noise(30), CODERS[{CODERS.index(coder)}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.mp4")],
        cwd=Path(__file__).resolve().parents[1],
        env=environment(PYTHONPATH=f"{Path(__file__).resolve().parents[1]}/src"),
        capture_output=True,
        text=True,
    )
    assert "MachineError" in done.stderr.splitlines()[-1], done.stderr
    assert "space" in done.stderr.splitlines()[-1]
    assert os.listdir(tmp_path) == []


# which coder


def test_without_imageio_ffmpeg_opencv_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coders, "ffmpeg", lambda: None)
    for name in ("a.mp4", "a.WEBM"):
        assert coder_for(tmp_path / name).maker == OPENCV
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="UTF-8"):
        coder_for(tmp_path / os.fsdecode(b"\xe9.mp4"))
    with pytest.raises(UsageError, match=r"Take \.mp4 or \.webm"):
        coder_for(tmp_path / "a.avi")


def test_the_coders_that_exist_are_named_where_one_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coders, "ffmpeg", lambda: None)
    broken = [Coder(c.codec, c.maker, c.suffix, c.options, "av99" if c.suffix == ".mp4" else c.fourcc) for c in CODERS]
    monkeypatch.setattr(coders, "CODERS", broken)
    with pytest.raises(MachineError) as found:
        coder_for(tmp_path / "a.mp4")
    assert "no codec that writes .mp4" in str(found.value) and "There are: VP9 in .webm (OpenCV)" in str(found.value)
    assert "citygan[video]" in str(found.value) and os.listdir(tmp_path) == []
    monkeypatch.setattr(coders, "CODERS", broken[:2])
    with pytest.raises(MachineError, match="There are none here"):
        coder_for(tmp_path / "a.mp4")


@needs_ffmpeg
def test_any_name_can_be_written_and_read(tmp_path: Path) -> None:
    for name in (b"f%04d.mp4", b"a b:c.mp4", b"-n.mp4", "straße 東京.mp4".encode(), b"latin-\xe9.mp4", b"n\nl.mp4"):
        path = video(tmp_path / os.fsdecode(name), frames(2))
        assert path.is_file() and probe(path).frames == 2


# what is no video


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"hello\n" * 100, "not a video"),
        (encode_png(np.zeros((8, 8), np.uint8)), "not a video"),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://localhost:1/x.ts\n", "not a video"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 12, "index"),
        (b"\x1a\x45\xdf\xa3" + b"rubbish" * 99, "cannot be decoded|can be decoded"),
    ],
)
def test_what_is_no_video_is_told(data: bytes, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(DataError, match=words):
        probe(tmp_path / "a.mp4")
    assert capfd.readouterr().err == "", "OpenCV keeps quiet"


def test_no_regular_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "folder.mp4").mkdir()
    for name, words in (
        ("fifo.mp4", "not a regular file"),
        ("folder.mp4", "is a folder"),
        ("none.mp4", "no such file"),
    ):
        with pytest.raises(DataError, match=words):
            probe(tmp_path / name)


@needs_ffmpeg
def test_a_cut_video_is_read_as_far_as_it_goes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = video(tmp_path / "a.mp4", noise(30)).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])
    info = probe(cut)
    assert info.promised == 30 and 5 < info.frames < 25
    assert len(list(frames_of(cut))) == info.frames
    cut.write_bytes(data[: data.index(b"mdat") + 100])
    with pytest.raises(DataError, match="not one frame of it can be decoded, where 30 are promised"):
        probe(cut)
    cut.write_bytes(data[: data.index(b"mdat") // 2])
    with pytest.raises(DataError, match=r"its index \(moov\) is missing"):
        probe(cut)
    webm = video(tmp_path / "a.webm", noise(30), CODERS[2]).read_bytes()
    cut.write_bytes(webm[: len(webm) // 2])
    assert probe(cut).promised == 30 and 5 < probe(cut).frames < 25
    assert capfd.readouterr().err == ""


@needs_ffmpeg
def test_a_change_of_size_is_found(tmp_path: Path) -> None:
    parts = []
    for size in ((96, 48), (64, 32)):
        raw = b"".join(picture.tobytes() for picture in noise(7, size))
        part = tmp_path / "part.ts"
        ffmpeg(
            *("-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{size[0]}x{size[1]}", "-i", "pipe:0"),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", str(part)),
            given=raw,
        )
        parts.append(part.read_bytes())
    (tmp_path / "one.ts").write_bytes(parts[0])
    (tmp_path / "two.ts").write_bytes(b"".join(parts))
    check_one_size(tmp_path / "one.ts")
    with pytest.raises(DataError, match="frame 8 is of 64x32, those before of 96x48"):
        check_one_size(tmp_path / "two.ts")


def test_large_frames_are_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", frames(1), coder_for(tmp_path / "a.mp4"))
    with pytest.raises(DataError, match="frames of 96x32, the limit is 1000 pixels"):
        probe(path, max_pixels=1000)


@needs_ffmpeg
@pytest.mark.parametrize("fps", [Fraction(1000), Fraction(1, 100)])
def test_a_rate_that_cannot_be_is_none(fps: Fraction, tmp_path: Path) -> None:
    assert probe(video(tmp_path / "a.mp4", frames(3), fps=fps)).fps is None
