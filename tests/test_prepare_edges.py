"""prepare --edges: of which pictures, equal to those that a batch has, and recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from citygan.cli import run
from citygan.data.labels import CAMVID11
from citygan.data.options import Options
from citygan.data.prepare import prepare
from citygan.data.store import Split, resolve_set
from citygan.ops.edges import KSIZE, SMOOTHING, THRESHOLD, edge_map
from tests import trees
from tests.street import environment
from tests.trees import tree_hashes

SETTINGS = {"smoothing": SMOOTHING, "threshold": THRESHOLD, "ksize": KSIZE}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYGAN_DATA_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def check(split: Split, kind: str) -> None:
    """That the edges kept are those of an array."""
    pictures = getattr(split, kind)
    assert split.edge is not None and split.edge.dtype == np.uint8 and split.edge.shape == pictures.shape[:3]
    batch = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(split.edge, edge_map(batch)[:, 0].numpy())
    assert 0 < split.edge.mean() < 1


def test_edges_of_photos_where_there_is_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11)
    assert run(["prepare", str(root), "--size", "48x32", "--edges", "--flow"]) == 0
    assert "  edges of the photos themselves in train, val\n" in capsys.readouterr().err
    city = resolve_set(None)
    for split in city.splits.values():
        check(split, "photo")
    assert set(city.split("val").arrays) == {"photo", "label", "flow", "occlusion", "edge"}
    assert city.manifest["options"]["edges"] == {**SETTINGS, "of": {"train": "photo", "val": "photo"}}


@pytest.mark.parametrize("grey", [True, False])
def test_edges_of_source_pictures_where_there_are(tmp_path: Path, grey: bool) -> None:
    root = trees.pairs(tmp_path / "pairs", kind=".png", grey=grey)
    assert run(["prepare", str(root), "--size", "32", "--edges"]) == 0
    city = resolve_set(None)
    assert city.source_channels == (1 if grey else 3)
    for split in city.splits.values():
        check(split, "source")
    assert city.manifest["options"]["edges"]["of"] == {"train": "source", "val": "source"}


def test_edges_of_the_demo_city_are_those_of_the_graphics(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "demo", "--limit", "1", "--size", "32", "--edges"]) == 0
    for name, kind in (("demo", "source"), ("demo-graphics", "photo")):
        city = resolve_set(name)
        for split in city.splits.values():
            check(split, kind)
        assert city.manifest["options"]["edges"] == {**SETTINGS, "of": dict.fromkeys(city.splits, kind)}
    capsys.readouterr()
    assert run(["prepare", "demo", "--limit", "1", "--size", "32"]) == 2
    assert "exists already, data/demo" in capsys.readouterr().err
    assert run(["prepare", "demo", "--limit", "1", "--size", "32", "--out", "data/plain"]) == 0
    capsys.readouterr()
    assert run(["prepare", "demo", "--limit", "1", "--size", "32", "--out", "data/plain", "--edges"]) == 2
    assert "exists already, without edges, data/plain" in capsys.readouterr().err


def test_a_set_without_edges_is_prepared_anew_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["prepare", str(trees.camvid(tmp_path / "camvid", CAMVID11)), "--size", "32"]
    assert run(command) == 0
    assert resolve_set(None).manifest["options"]["edges"] is None and resolve_set(None).split("val").edge is None
    capsys.readouterr()
    assert run([*command, "--edges", "--flow"]) == 2
    told = capsys.readouterr().err
    assert "exists already, without flow and edges, data/camvid. --force prepares it anew, with that" in told
    assert run([*command, "--edges", "--flow", "--force"]) == 0
    capsys.readouterr()
    assert run([*command, "--edges", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["edges"]["of"] == {"train": "photo", "val": "photo"} and "edge" in plan["splits"]["val"]["arrays"]


def test_label_maps_alone_have_no_edges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        trees.label_file(tmp_path / f"labels/{i}.png", i)
    assert run(["prepare", str(tmp_path / "labels"), "--size", "16", "--edges"]) == 2
    assert "there are no pictures with edges, label maps alone, --edges. Leave it out" in capsys.readouterr().err
    assert not Path("data/labels").exists()


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11)
    threads = torch.get_num_threads()
    for workers in (1, 3):
        prepare(str(root), Options(workers=workers, out=tmp_path / f"w{workers}", size=(320, 256), edges=True))
    assert tree_hashes(tmp_path / "w1") == tree_hashes(tmp_path / "w3")
    assert torch.get_num_threads() == threads


def test_torch_is_loaded_for_edges_alone(tmp_path: Path) -> None:
    root = trees.camvid(tmp_path / "camvid", CAMVID11)
    code = "import sys; from citygan.cli import run; code = run(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, "prepare", str(root), "--size", "16"]
    for more, loaded in (["--flow", "--out", "data/a"], 0), (["--edges", "--out", "data/b"], 1):
        done = subprocess.run([*command, *more], env=environment(), capture_output=True, text=True)
        assert done.returncode == loaded, done.stderr
        assert not done.stderr.startswith("error")
