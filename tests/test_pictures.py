"""Pictures and label maps as users bring them: taken exactly, or refused in one line; never a crash."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from citygan import pictures
from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19, ClassTable, LabelClass
from citygan.errors import DataError, MachineError
from citygan.pictures import encode_png, header, read_index, read_label, read_photo, read_source
from citygan.pictures.painted import nearest_colours_to_ids
from tests.fuzz_pictures import IDS, PHOTO, SMOOTH, chunk, exif, fuzz, saved

SHARED = Path(__file__).parents[2] / "shared/data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lie beside the checkout only")

RNG = np.random.default_rng(0)


def raw_png(rows: list[bytes], width: int, bits: int, colour: int, *, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# photos


def test_rgb_is_taken_exactly(tmp_path: Path) -> None:
    for kind in ("PNG", "BMP", "WEBP"):
        path = tmp_path / f"x.{kind.lower()}"
        path.write_bytes(saved(Image.fromarray(PHOTO), kind, lossless=True))
        np.testing.assert_array_equal(read_photo(path), PHOTO)
        assert header(path).size == (30, 20) and header(path).frames == 1


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x"])
def test_jpeg_is_a_photo_whatever_its_name(tmp_path: Path, name: str) -> None:
    data = saved(Image.fromarray(SMOOTH).convert("RGB"), "JPEG", quality=95)
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(read_photo(tmp_path / name), np.asarray(Image.open(io.BytesIO(data))))


def test_other_kinds_become_rgb_by_the_stated_rule(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    grey16 = np.array([[0, 128, 129, 65535], [257, 385, 386, 65407]], np.uint16)
    path.write_bytes(encode_png(grey16))
    np.testing.assert_array_equal(read_photo(path)[..., 1], [[0, 0, 1, 255], [1, 1, 2, 255]])
    rgb16 = np.stack([grey16, grey16 * 0, grey16], -1)
    path.write_bytes(encode_png(rgb16))
    np.testing.assert_array_equal(read_photo(path), np.round(rgb16 / 257.0).astype(np.uint8))
    path.write_bytes(saved(Image.fromarray(PHOTO[..., 0])))
    np.testing.assert_array_equal(read_photo(path), PHOTO[..., [0, 0, 0]])
    assert read_source(path).shape == (20, 30, 1) and header(path).grey
    path.write_bytes(raw_png([bytes([0b00011011])], 4, 2, 0))
    np.testing.assert_array_equal(read_photo(path)[0, :, 0], [0, 85, 170, 255])
    path.write_bytes(raw_png([bytes([0b01000000])], 2, 1, 0))
    np.testing.assert_array_equal(read_photo(path)[0, :, 0], [0, 255])
    palette = Image.fromarray(IDS)
    palette.putpalette(CAMVID11.palette.tobytes())
    path.write_bytes(saved(palette))
    np.testing.assert_array_equal(read_photo(path), CAMVID11.palette[IDS])
    assert read_source(path).shape == (20, 30, 3)
    cmyk = saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG")
    path.write_bytes(cmyk)
    np.testing.assert_array_equal(read_photo(path), np.asarray(Image.open(io.BytesIO(cmyk)).convert("RGB")))
    assert header(path).conversion == "CMYK"


def test_alpha_must_be_opaque_or_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    opaque = np.dstack([PHOTO, np.full((20, 30), 255, np.uint8)])
    for depth16 in (False, True):
        data = saved(Image.fromarray(opaque))
        if depth16:
            rows = [row.astype(">u2").tobytes() for row in opaque.astype(np.uint16) * 257]
            data = raw_png([bytes(row) for row in rows], 30, 16, 6)
        path.write_bytes(data)
        np.testing.assert_array_equal(read_photo(path), PHOTO)
    assert header(path).alpha
    clear = opaque.copy()
    clear[3, 4, 3] = 254
    path.write_bytes(saved(Image.fromarray(clear)))
    with pytest.raises(DataError, match=r"transparent.*--alpha drop"):
        read_photo(path)
    np.testing.assert_array_equal(read_photo(path, alpha="drop"), PHOTO)
    path.write_bytes(saved(Image.fromarray(np.dstack([PHOTO[..., 0], PHOTO[..., 1]]), "LA")))
    with pytest.raises(DataError, match="transparent"):
        read_photo(path)
    np.testing.assert_array_equal(read_photo(path, alpha="drop"), PHOTO[..., [0, 0, 0]])
    path.write_bytes(raw_png([b"\1\2\3\4\5\6"], 2, 8, 2, extra=chunk(b"tRNS", bytes([0, 1, 0, 2, 0, 3]))))
    with pytest.raises(DataError, match="transparent"):
        read_photo(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_applied_to_photos(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "x"
    image = Image.fromarray(SMOOTH).convert("RGB")
    path.write_bytes(saved(image, kind, exif=exif(orientation), lossless=True))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    np.testing.assert_array_equal(read_photo(path), expected)
    assert header(path).size == expected.shape[1::-1]
    if orientation != 1 and kind == "PNG":
        with pytest.raises(DataError, match="EXIF"):
            read_label(path, CAMVID11)


# label maps


def test_ids_are_exact_at_every_depth(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for array in (IDS, RNG.integers(0, 65536, (20, 30)).astype(np.uint16)):
        path.write_bytes(encode_png(array))
        np.testing.assert_array_equal(read_index(path), array)
    path.write_bytes(encode_png(IDS.astype(np.uint16)))
    np.testing.assert_array_equal(read_label(path, CAMVID11), IDS)
    for bits, colour in ((1, 0), (2, 0), (4, 0), (1, 3), (2, 3), (4, 3), (8, 3)):
        ids = RNG.integers(0, min(2**bits, 12), (5, 16), np.uint8)
        packed = np.packbits(np.unpackbits(ids[..., None], axis=-1)[..., 8 - bits :].reshape(5, -1), axis=-1)
        extra = chunk(b"PLTE", bytes(range(48)) * 16) if colour == 3 and bits == 8 else b""
        extra = chunk(b"PLTE", bytes(range(3 * 2**bits))) if colour == 3 and bits < 8 else extra
        path.write_bytes(raw_png([row.tobytes() for row in packed], 16, bits, colour, extra=extra))
        np.testing.assert_array_equal(read_index(path), ids, err_msg=f"{bits} bits, colour type {colour}")
        np.testing.assert_array_equal(read_label(path, CAMVID11), ids)
    path.write_bytes(saved(Image.fromarray(np.dstack([IDS] * 3))))
    np.testing.assert_array_equal(read_index(path), IDS)
    np.testing.assert_array_equal(read_label(path, CAMVID11), IDS)


def test_palette_pngs_keep_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(IDS, palette=CAMVID11.palette))
    np.testing.assert_array_equal(read_label(path, CAMVID11), IDS)
    assert Image.open(path).mode == "P"
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), CAMVID11.palette[IDS])


def test_a_palette_with_the_colours_at_other_indices_goes_by_colour(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(12).astype(np.uint8)
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(np.argsort(order).astype(np.uint8)[IDS], palette=CAMVID11.palette[order]))
    np.testing.assert_array_equal(read_label(path, CAMVID11), IDS)


@pytest.mark.parametrize("table", [CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19])
def test_painted_label_maps_are_recognised(tmp_path: Path, table: ClassTable) -> None:
    ids = RNG.choice(np.array(sorted(table.colour_ids.values()), np.uint8), (20, 30))
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(table.palette[ids]))
    np.testing.assert_array_equal(read_label(path, table), ids)
    path.write_bytes(saved(Image.fromarray(table.palette[ids]).convert("RGBA")))
    np.testing.assert_array_equal(read_label(path, table), ids)


def test_unknown_ids_are_told_with_count_place_and_cause(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    ids = np.zeros((4, 5), np.uint8)
    ids[2, 3:] = 255
    ids[3] = 18
    path.write_bytes(encode_png(ids))
    with pytest.raises(DataError) as caught:
        read_label(path, CITYSCAPES)
    message = str(caught.value)
    assert (
        "255 (2 pixels); the first at x 3, y 2" in message
        and "--classes cityscapes19" in message
        and "x.png" in message
    )
    path.write_bytes(encode_png(ids.astype(np.uint16) * 1000))
    with pytest.raises(DataError, match="instance map"):
        read_label(path, CITYSCAPES)


def test_unknown_colours_are_told_with_count_place_and_cause(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    rgb = CITYSCAPES.palette[np.full((4, 5), 7)].copy()
    rgb[1, 2] = (64, 0, 128)
    path.write_bytes(encode_png(rgb))
    with pytest.raises(DataError) as caught:
        read_label(path, CITYSCAPES)
    assert "(64, 0, 128) (1 pixel); the first at x 2, y 1" in str(caught.value)
    assert "camvid" in str(caught.value) and "5.0% of the pixels" in str(caught.value)
    smooth = np.asarray(Image.fromarray(CITYSCAPES.palette[IDS]).resize((90, 60), Image.Resampling.BILINEAR))
    path.write_bytes(encode_png(smooth))
    with pytest.raises(DataError, match="anti-aliasing"):
        read_label(path, CITYSCAPES)


def test_lossy_label_maps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for kind in ("JPEG", "WEBP"):
        path.write_bytes(saved(Image.fromarray(IDS), kind))
        for read in (read_index, lambda p: read_label(p, CAMVID11)):
            with pytest.raises(DataError, match=r"lossy.*PNG"):
                read(path)


def test_painted_jpegs_go_by_the_nearest_colour() -> None:
    blocks = np.kron(RNG.integers(0, 11, (8, 8)), np.ones((32, 32), int)).astype(np.uint8)
    lossy = Image.open(io.BytesIO(saved(Image.fromarray(CAMVID11.palette[blocks]), "JPEG", quality=95, subsampling=0)))
    ids, doubtful = nearest_colours_to_ids(np.asarray(lossy), CAMVID11)
    assert (ids == blocks).mean() > 0.99 and doubtful < 0.01
    picture = pictures.decode(saved(Image.fromarray(PHOTO), "JPEG"), "x.jpg")
    with pytest.raises(DataError, match="colours that the class table"):
        pictures.label_of(picture, "x.jpg", CAMVID11, painted=True)


@pytest.mark.parametrize("jump", [0, 1])
def test_nearest_colours_match_brute_force(jump: int) -> None:
    table = ClassTable("t", tuple(LabelClass(i * (1 + jump), str(i), (i * 40, 255 - i * 30, i * 9)) for i in range(6)))
    rgb = RNG.integers(0, 256, (17, 19, 3), np.uint8)
    ids, _ = nearest_colours_to_ids(rgb, table, max_doubtful=1)
    colours = np.array([c.colour for c in table.classes], int)
    distance = ((rgb[:, :, None].astype(int) - colours) ** 2).sum(-1)
    np.testing.assert_array_equal(ids, np.array(table.ids)[distance.argmin(-1)])


# what must be refused

PNG = saved(Image.fromarray(PHOTO))
JPEG = saved(Image.fromarray(PHOTO), "JPEG")
FRAMES = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO), Image.fromarray(PHOTO)]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :]


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b""))


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "zero bytes"),
    "zeros": (bytes(5000), "nothing but zeros"),
    "text": (b"just some text\n" * 9, "text, not a picture"),
    "html": (b"\n <!DOCTYPE html><html>404", "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
    "tiff": (saved(Image.fromarray(PHOTO), "TIFF"), "a TIFF"),
    "gif": (saved(Image.fromarray(PHOTO[..., 0]), "GIF"), "a picture.png. PNG, JPEG, WebP and BMP are read"),
    "animated gif": (saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "3 frames, need 1"),
    "apng": (saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "3 frames, need 1"),
    "animated webp": (saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), "3 frames, need 1"),
    "cut png": (PNG[: len(PNG) // 2], "truncated PNG"),
    "png without end": (PNG[:-12], "truncated PNG"),
    "png magic only": (PNG[:8], "not a readable PNG"),
    "flipped png": (flipped(PNG, len(PNG) // 2), "CRC"),
    "flipped png header": (flipped(PNG, 17), "PNG"),
    "png without data": (b"\x89PNG\r\n\x1a\n" + PNG[8:33] + chunk(b"IEND", b""), "PNG"),
    "png with short data": (
        raw_png([bytes(90)] * 9, 30, 8, 2)[:8]
        + chunk(b"IHDR", PNG[16:29])
        + chunk(b"IDAT", zlib.compress(bytes(91 * 9)))
        + chunk(b"IEND", b""),
        "damaged or truncated PNG",
    ),
    "cut jpeg": (JPEG[:-200], "damaged or truncated JPEG"),
    "jpeg cut in its header": (JPEG[:300], "not a readable JPEG"),
    "jpeg without end": (JPEG[:-20], "damaged or truncated JPEG"),
    "jpeg magic only": (JPEG[:3], "not a readable JPEG"),
    "cut webp": (saved(FRAMES[0], "WEBP", lossless=True)[:-300], "WebP"),
    "cut bmp": (saved(FRAMES[0], "BMP")[:-300], "damaged or truncated BMP"),
    "50,000 squared": (bomb(50_000, 50_000), "50000x50000 are 2500 million pixels (the limit is 64)"),
    "10,000 squared": (bomb(10_000, 10_000), "--max-pixels"),
    "2^21 x 1": (bomb(1 << 21, 1), "no side may be longer"),
    "webp bomb": (b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x3f\xff\xff\x03" + bytes(34), "million pixels"),
    "zero wide": (bomb(0, 5), "PNG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    data, words = REFUSED[name]
    path = tmp_path / "a picture.png"
    path.write_bytes(data)
    for read in (read_photo, read_source, read_index, lambda p: read_label(p, CAMVID11)):
        with pytest.raises(DataError) as caught:
            read(path)
        assert "a picture.png" in str(caught.value) and "\n" not in str(caught.value)
        if read is read_photo:
            assert words in str(caught.value)


def test_what_is_no_file_never_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to("missing")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name in ("fifo.png", "folder.png", "nowhere.png", "device.png", "missing.png"):
        for read in (read_photo, header):
            with pytest.raises(DataError, match=name):
                read(tmp_path / name)


def test_the_limit_on_pixels_can_be_raised_and_lowered(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(PNG)
    with pytest.raises(DataError, match=r"limit is 0\.0005"):
        read_photo(path, max_pixels=500)
    with open(tmp_path / "big.png", "wb") as file:
        file.write(encode_png(np.zeros((10_000, 9_000), np.uint8)))
    assert header(tmp_path / "big.png", max_pixels=100_000_000).size == (9_000, 10_000)
    assert read_index(tmp_path / "big.png", max_pixels=100_000_000).shape == (10_000, 9_000)


def test_names_of_any_kind_work(tmp_path: Path) -> None:
    for name in ("-x.png", "a b.png", "日本.png", "new\nline.png", "%04d.png", "[a].png"):
        (tmp_path / name).write_bytes(PNG)
        np.testing.assert_array_equal(read_photo(tmp_path / name), PHOTO)
    undecodable = os.fsencode(tmp_path) + b"/\xff.png"
    if sys.platform == "linux":
        with open(undecodable, "wb") as file:
            file.write(PNG)
        np.testing.assert_array_equal(read_photo(os.fsdecode(undecodable)), PHOTO)


def test_mutated_pictures_are_refused_or_read_but_never_crash() -> None:
    refused = fuzz(400)
    assert 200 < refused < 1600


# real pictures


@needs_shared
def test_real_cityscapes_and_camvid_files() -> None:
    city = SHARED / "cityscapes"
    stem = "train/aachen/aachen_000000_000019"
    photo = read_photo(city / f"leftImg8bit/{stem}_leftImg8bit.png")
    label = read_label(city / f"gtFine/{stem}_gtFine_labelIds.png", CITYSCAPES)
    instance = read_index(city / f"gtFine/{stem}_gtFine_instanceIds.png")
    assert photo.shape == (1024, 2048, 3) and label.shape == instance.shape == (1024, 2048)
    assert instance.dtype == np.uint16
    things = instance >= 1000
    np.testing.assert_array_equal(np.where(things, instance // 1000, instance), label)
    annotation = next((SHARED / "camvid/valannot").glob("*.png"))
    assert read_label(annotation, CAMVID11).max() <= 11
    np.testing.assert_array_equal(read_index(annotation), np.asarray(Image.open(annotation)))


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(PNG)
    path.chmod(0)
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    with pytest.raises((DataError, MachineError), match=r"x\.png"):
        read_photo(path)
