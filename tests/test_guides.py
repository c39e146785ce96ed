"""Edges and features at test time: where they come from, samples, tiles, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import citygan
from citygan.data.labels import CITYSCAPES
from citygan.data.store import PreparedSet
from citygan.errors import DataError, UsageError
from citygan.infer import Translator
from citygan.pictures import encode_png, read_photo
from citygan.sheets import GAP, TITLE
from citygan.train.checkpoint import read_state
from tests.street import Street
from tests.tiny import city_set

QUICK = ("--quick", *(part for value in (
    "generator.width=4", "discriminator.width=4", "dned.width=2", "train.log_every_steps=1",
    "train.checkpoint_every_steps=2", "train.sample_every_steps=2", "train.ema=0.5",
) for part in ("--set", value)))  # fmt: skip
FEATURES = ("--set", "features.width=2", "--set", "features.halvings=1", "--set", "generator.width=2")


class City(Street):
    """A folder with the set `city`, and runs: `edges` (its edge network's from step 2 on), `video`, `features`."""

    def train(self, model: str, name: str, *more: str, steps: int = 4) -> None:
        self.done("train", "--model", model, "--data", "city", "--name", name, "--steps", str(steps), *QUICK, *more)

    def load(self, run: str, **more: Any) -> Translator:
        return citygan.load(self.path / "runs" / run, **more)

    @property
    def data(self) -> PreparedSet:
        return PreparedSet.open(self.path / "data" / "city")

    def val(self, array: str, index: int = 0) -> np.ndarray:
        return np.array(getattr(self.data.split("val"), array)[index])

    def state(self, run: str, step: int) -> dict[str, Any]:
        return read_state(self.path / "runs" / run / "checkpoints" / f"{step:08d}")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    path = tmp_path_factory.mktemp("city")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr("citygan.report._curves", lambda lines: "")
        city_set(path / "data" / "city")
        made = City(path)
        made.train("sflow", "edges", "--set", "dned.from_share=0.5")
        made.train("sflow-video", "video", "--set", "video.window=5", "--set", "video.levels=0", steps=2)
        made.train("pix2pixhd", "features", *FEATURES)
        split = made.data.split("val")
        for folder in ("labels", "photos", "edge maps"):
            (path / folder).mkdir()
        for i in range(2):
            (path / "labels" / f"{i}.png").write_bytes(encode_png(made.val("label", i), palette=CITYSCAPES.palette))
            (path / "photos" / f"{i}.png").write_bytes(encode_png(made.val("source", i)))
            edges = made.load("edges").guides.guide(
                made.val("source", i), None, (1, *made.val("label", i).shape), torch.device("cpu")
            )
            assert edges is not None
            (path / "edge maps" / f"{i}.png").write_bytes(encode_png((edges[0, ..., 0] * 255).astype(np.uint8)))
        assert len(split) == 2
        return made


@pytest.fixture(autouse=True)
def inside(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(city.path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)


# stages


def test_the_stage_is_part_of_the_run(city: City) -> None:
    lines = [json.loads(line) for line in (city.path / "runs/edges/metrics.jsonl").read_text().splitlines()]
    told = [line["phase"] for line in lines if "phase" in line]
    assert told == ["laplacian", "laplacian", "dned", "dned"]
    assert [city.state("edges", step)["phase"] for step in (2, 4)] == ["laplacian", "dned"]
    marked = "Phases of the training, marked by dashed lines in the curves: laplacian, then dned (logged from step 3)."
    assert marked in (city.path / "runs/edges/report.html").read_text()
    assert "Phase of the training: dned." in (city.path / "runs/video/report.html").read_text()  # in it from the start


def test_a_checkpoint_translates_with_the_edges_of_its_stage(city: City) -> None:
    label, source = city.val("label"), city.val("source")
    early, late = (city.load("edges", checkpoint=step) for step in ("2", "4"))
    assert early.guides.dned is None and late.guides.dned is not None
    assert set(np.unique(early.edge_picture(source))) == {0, 255}
    assert not {0, 255} & set(np.unique(late.edge_picture(source)))  # it has hardly learnt anything yet
    assert early.translate(label, pictures=source).shape == (*label.shape, 3)
    # the averages are what is used
    state = city.state("edges", 4)
    assert {"generator-ema", "dned-ema"} <= set(state["files"]) and state["use"] == "generator-ema"


def test_the_report_marks_the_phases() -> None:
    from citygan.report import _phases

    lines = [
        {"step": 1, "phase": "a"},
        {"step": 2, "phase": "a"},
        {"step": 2, "val_ssim": 1},
        {"step": 3, "phase": "b"},
    ]
    assert _phases(lines) == [(1, "a"), (3, "b")]
    assert _phases([{"step": 1}]) == []


# pictures


@pytest.mark.parametrize("run", ["edges", "video"])
def test_a_training_sample_and_translate_agree(city: City, run: str) -> None:
    step = 4 if run == "edges" else 2
    sheet = read_photo(city.path / "runs" / run / "samples" / f"{step:08d}.png")
    translator = city.load(run)
    for row in range(2):
        top = TITLE + row * (32 + GAP)
        columns = [sheet[top : top + 32, k * (32 + GAP) : k * (32 + GAP) + 32] for k in range(4)]
        assert np.array_equal(columns[1], translator.edge_picture(city.val("source", row)))
        fake = translator.translate(city.val("label", row), pictures=city.val("source", row))
        assert np.array_equal(columns[2], fake)
        assert np.array_equal(columns[3], city.val("photo", row))


def test_a_sample_of_a_model_with_features_and_translate_agree(city: City) -> None:
    translator = city.load("features")
    assert translator.guides.encoder is not None and int(translator.guides.encoder.counts.sum()) > 0
    for step in ("2", "4"):
        sheet = read_photo(city.path / "runs/features/samples" / f"{int(step):08d}.png")
        translator = city.load("features", checkpoint=step)
        for row in range(2):
            top = TITLE + row * (32 + GAP)
            fake = translator.translate(city.val("label", row), instances=city.val("instance", row))
            assert np.array_equal(sheet[top : top + 32, 32 + GAP : 64 + GAP], fake)


def test_pictures_edge_maps_and_a_prepared_set_give_the_same(city: City) -> None:
    city.done("translate", "labels", "of-photos", "--run", "edges", "--photos", "photos")
    city.done("translate", "labels", "of-edges", "--run", "edges", "--edges", "edge maps")
    city.done("translate", "city", "of-set", "--run", "edges", "--split", "val")
    for i in range(2):
        wanted = city.load("edges").translate(city.val("label", i), pictures=city.val("source", i))
        for file in (f"of-photos/{i}.png", f"of-edges/{i}.png", f"of-set/v{i}_00.png"):
            assert np.array_equal(read_photo(city.path / file), wanted), file


def test_other_edges_give_another_picture(city: City) -> None:
    label, translator = city.val("label"), city.load("edges", checkpoint="2")
    found = [translator.translate(label, pictures=city.val(name)) for name in ("source", "photo")]
    assert not np.array_equal(*found)
    # 0 and 1, or up to 255
    edges = np.random.default_rng(0).integers(0, 2, label.shape)
    one, many = (translator.translate(label, edges=edges * factor) for factor in (1, 255))
    assert np.array_equal(one, many)


@pytest.mark.parametrize("shape", [(37, 45), (20, 100), (1, 1)])
def test_odd_sizes_come_back_as_they_were(city: City, shape: tuple[int, int]) -> None:
    label, source = np.full(shape, 7, np.uint8), np.zeros((*shape, 3), np.uint8)
    assert city.load("edges").translate(label, pictures=source).shape == (*shape, 3)
    instances = np.full(shape, 7, np.uint16)
    assert city.load("features").translate(label, instances=instances).shape == (*shape, 3)


def test_tiles_show_each_tile_its_part_of_the_edges_of_the_whole(city: City) -> None:
    """With a generator that paints the edges it is shown, tiles give just what the whole gives."""

    class Copy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, -1:].expand(-1, 3, -1, -1) * 2 - 1

    random = np.random.default_rng(0)
    label = np.full((150, 200), 7, np.uint8)
    source = np.kron(random.integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
    translator = city.load("edges", checkpoint="2", mode="deterministic")
    translator.generator, translator.multiple = Copy(), 1
    whole = translator.translate(label, pictures=source)
    assert np.array_equal(whole, translator.edge_picture(source)) and 0 < whole.mean() < 255
    assert np.array_equal(translator.translate(label, pictures=source, tile=(128, 128)), whole)
    city.done("translate", "labels", "tiled", "--run", "edges", "--photos", "photos", "--tile", "128x128")


# samples


def _with_unlike_sides(translator: Translator) -> Translator:
    """In so few steps its sides learn to agree to less than a grey level, whatever their weights."""
    assert translator.guides.dned is not None
    with torch.no_grad():
        for i, side in enumerate(translator.guides.dned.sides):
            side.bias += i - 2  # type: ignore[operator]
    return translator


def test_the_first_sample_is_the_plain_result_and_the_others_are_drawn(city: City) -> None:
    """Of the fusion alone: nothing else is drawn without dropout."""
    label, source = city.val("label"), city.val("source")
    translator, again = (_with_unlike_sides(city.load("edges", mode="deterministic")) for _ in range(2))
    other = _with_unlike_sides(city.load("edges", mode="deterministic", seed=9))
    assert translator.draws and not city.load("edges", checkpoint="2", mode="deterministic").draws
    edges = [translator.edge_picture(source, sample=k) for k in range(3)]
    assert np.array_equal(edges[0], translator.edge_picture(source))
    assert not np.array_equal(edges[0], edges[1]) and not np.array_equal(edges[1], edges[2])
    for k in (0, 1):
        assert np.array_equal(again.edge_picture(source, sample=k), edges[k])
        assert np.array_equal(other.edge_picture(source, sample=k), edges[k]) == (k == 0)
    plain = translator.translate(label, pictures=source)
    assert np.array_equal(translator.translate(label, pictures=source, sample=0), plain)
    city.done("translate", "labels", "drawn", "--run", "edges", "--photos", "photos", "--samples", "2")
    city.done("translate", "labels", "plain", "--run", "edges", "--photos", "photos")
    assert np.array_equal(*(read_photo(city.path / name) for name in ("drawn/0-1.png", "plain/0.png")))


def test_samples_of_features_differ_by_seed_and_number(city: City) -> None:
    translator = city.load("features", mode="deterministic")
    encoder = translator.guides.encoder
    assert encoder is not None
    instance, label = (torch.from_numpy(city.val(name).astype(np.int64))[None] for name in ("instance", "label"))
    first, second = (translator.guides.features(instance, label, k) for k in range(2))
    assert torch.equal(first, translator.guides.features(instance, label, 0))
    many = any(int(encoder.counts[i]) > 1 for i in label.unique())
    assert torch.equal(first, second) != many


# what is refused


def test_a_run_that_needs_instances_tells_where_they_are_looked_for(city: City) -> None:
    told = city.run("translate", "labels", "not made", "--run", "features")
    assert told.code == 3 and not (city.path / "not made").exists()
    assert "no instance map belongs to it" in told.err and "Give the folder above: labels/ and instances/" in told.err
    for kind, array in (("labels", "label"), ("instances", "instance")):  # and there they are found
        (city.path / "scenes" / kind).mkdir(parents=True)
        (city.path / "scenes" / kind / "0.png").write_bytes(encode_png(city.val(array)))
    city.done("translate", "scenes", "of scenes", "--run", "features")
    expected = city.load("features").translate(city.val("label"), instances=city.val("instance"))
    assert np.array_equal(read_photo(city.path / "of scenes" / "labels" / "0.png"), expected)


def test_an_array_without_edges_is_told_what_to_give(city: City) -> None:
    label, source = city.val("label"), city.val("source")
    translator = city.load("edges")
    with pytest.raises(DataError, match=r"nothing is given to take them from. Give pictures.*--photos.*--edges"):
        translator.translate(label)
    with pytest.raises(UsageError, match="Give one of them"):
        translator.translate(label, pictures=source, edges=label)
    with pytest.raises(DataError, match="nothing is resized"):
        translator.translate(label, pictures=source[:16])
    with pytest.raises(DataError, match="expected uint8 pictures"):
        translator.translate(label, pictures=source / 255)
    with pytest.raises(UsageError, match="shown no edges"):
        city.load("features").translate(label, edges=label, instances=city.val("instance"))


def test_an_edge_map_is_read_by_itself_whatever_stands_beside_it(city: City) -> None:
    guides = city.load("edges").guides
    ones = np.eye(8, dtype=np.uint8)
    maps = np.stack([ones, ones * 255, ones * 0])
    given = guides.guide(None, maps, maps.shape, torch.device("cpu"))
    assert given is not None and np.array_equal(given[..., 0], np.stack([ones, ones, ones * 0]))
    for wrong in (ones * -1.0, ones * 256.0, ones * np.nan):
        with pytest.raises(DataError, match="an edge map of values from"):
            guides.guide(None, wrong, (1, 8, 8), torch.device("cpu"))


def test_coloured_edge_maps_are_refused(city: City) -> None:
    result = city.run("translate", "labels", "coloured", "--run", "edges", "--edges", "photos")
    assert result.code == 3 and "a picture in colours, and an edge map is grey" in result.err
    assert "--photos DIR" in result.err


def test_files_without_edges_are_told_what_to_give(city: City) -> None:
    by = ("translate", "labels", "out", "--run")
    city.refused(2, "gives none to take them from", "--photos DIR", "--edges DIR", by=(*by, "edges"))
    city.refused(2, "two sources", by=(*by, "edges", "--photos", "photos", "--edges", "edge maps"))
    city.refused(3, "no such folder", by=(*by, "edges", "--photos", "nowhere"))
    city.refused(2, "shown no edges", by=(*by, "features", "--photos", "photos"))
    city.refused(2, "brings its own pictures", by=("translate", "city", "out", "--run", "edges", "--photos", "photos"))
    city.refused(2, "shown no edges", by=("evaluate", "--run", "features", "--edges-of", "photo"))


def test_a_missing_namesake_and_another_size_are_told(city: City, tmp_path: Path) -> None:
    few, wide = tmp_path / "few", tmp_path / "wide"
    for folder, size in ((few, (32, 32)), (wide, (48, 32))):
        folder.mkdir()
        for i in range(1 if folder is few else 2):
            (folder / f"{i}.png").write_bytes(encode_png(np.zeros((size[1], size[0], 3), np.uint8)))
    by = ("translate", "labels", "out", "--run", "edges", "--photos")
    city.refused(3, "no namesake of 1", by=(*by, few))
    result = city.run(*by, wide)
    assert result.code == 3 and "48x32" in result.err and "32x32" in result.err and "nothing is resized" in result.err


# figures


def test_edges_of_the_photo_that_is_painted_are_marked(city: City) -> None:
    marks = {}
    for flags in ((), ("--edges-of", "source"), ("--edges-of", "photo")):
        result = city.done("evaluate", "--run", "edges", "--metric", "ssim", "--json", *flags)
        marks[flags[-1:]] = json.loads(result.out)["protocol"]["model"]["edges_of"]
    assert marks == {(): "source pictures", ("source",): "source pictures", ("photo",): "target photo"}
    assert "edges: source pictures" in city.done("evaluate", "--run", "edges", "--metric", "ssim").paths
    leaking = city.done("evaluate", "--run", "edges", "--metric", "ssim", "--edges-of", "photo").paths
    assert "edges: target photo, which they leak" in leaking
    report = (city.path / "runs/edges/report.html").read_text(encoding="utf-8")
    assert "edges: source pictures)" in report and "edges: target photo)" in report


def test_a_video_says_whose_edges_it_is_of(city: City) -> None:
    told = city.done("video", "city", "edges.mp4", "--run", "edges", "--json", "--force")
    assert "edges: source pictures" in told.err and "leak" not in told.err
    assert json.loads(told.out)["protocol"]["edges_of"] == "source pictures"
    files = city.done(
        "video", "labels", "files.mp4", "--run", "edges", "--photos", "photos", "--json", "--force"
    )  # fmt: skip
    assert "edges_of" not in json.loads(files.out)["protocol"]


# going on, weights, export


def test_video_goes_on_from_the_newest_fitting_run_with_its_networks(city: City) -> None:
    settings = city.state("video", 2)["settings"]
    of_start = city.state("edges", 4)["settings"]
    for group in ("input", "edges", "features", "discriminator"):
        assert settings[group] == of_start[group], group
    assert settings["generator"]["width"] == 4 and settings["dned"]["from_share"] == 0.0
    assert city.state("video", 2)["phase"] == "dned"
    told = city.done("train", "--model", "sflow-video", "--data", "city", "--dry-run")
    chosen = next(line for line in told.err.splitlines() if line.startswith("starting from "))
    assert chosen.startswith("starting from runs/features")  # made last
    assert chosen.endswith(", the newest that fits (--init names another)")
    told = city.done("train", "--model", "sflow-video", "--data", "city", "--init", "edges", "--dry-run")
    assert "starting from runs/edges/checkpoints/00000004\n" in told.err
    early = str(city.path / "runs/edges/checkpoints/00000002")
    told = city.done("train", "--model", "sflow-video", "--data", "city", "--init", early, "--dry-run", "--json")
    assert json.loads(told.out)["settings"]["dned"]["from_share"] == 1.0  # it stood in the first stage


def test_video_without_a_picture_model_says_how_to_come_by_one(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    train = ("train", "--model", "sflow-video", "--data", "city")
    city.refused(2, "goes on from one of", "sflow", by=(*train, "--init", "video"))
    monkeypatch.setenv("CITYGAN_RUNS_HOME", str(city.path / "no runs"))
    city.refused(2, "there is none", "citygan train --model sflow", by=train)


def test_full_needs_the_weights_of_vgg_and_says_how_to_fetch_them(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(city.path / "no weights"))
    more = ("--set", "weights.vgg16=random", "--set", "generator.width=4", "--set", "generator.blocks=1")
    by = ("train", "--model", "sflow-labels", "--data", "city", "--full", "--steps", "1", *more)
    city.refused(5, "vgg19", "citygan weights fetch vgg19", by=by)


def test_the_generator_alone_is_exported_and_not_taken_for_a_run(city: City) -> None:
    file = city.path / "edges.safetensors"
    result = city.done("weights", "export", "edges", file)
    assert "the generator alone" in result.err
    city.refused(2, "shown edges or features", by=("weights", "import", file))


def test_onnx_takes_the_channels_of_the_edges_too(city: City) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    file = city.path / "edges.onnx"
    city.done("weights", "export", "edges", file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    translator = city.load("edges")
    assert session.get_inputs()[0].shape[1] == translator.inputs.channels + 1
