"""The documentation is true: commands parse, settings and files exist, tables are current, examples run."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import runpy
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer

from citygan import __version__
from citygan.cli import app, run
from citygan.config import Layer, Settings, from_flag, resolve
from citygan.data.labels import TABLES, ClassTable
from citygan.data.store import Item
from citygan.data.writer import SetWriter
from citygan.pictures import read_photo
from citygan.presets import PRESETS
from citygan.runs import checkpoint_folder, read_settings
from citygan.study.searchfile import read_space
from citygan.train.checkpoint import read_state
from citygan.weightfiles import WEIGHTS
from citygan.yamlfile import parse_yaml
from tests.street import NARROW
from tests.tiny import prepared_set

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
GROUP: Any = typer.main.get_command(app)
KEYS = resolve([])[1].keys()

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def module(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shown(text: str) -> Iterator[str]:
    """The command lines of citygan in code blocks and in backticks, each without its comment."""
    lines = [line for block in fenced(text, r"\w*") for line in block.splitlines()]
    lines += re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in lines:
        for part in re.split(r"&&|\|(?!\|)|;", line.partition(" #")[0]):
            found = re.match(r"\s*(?:torchrun \S+ \S+ -m |python -m |\.venv/bin/)?citygan (.+)$", part)
            if found:
                yield found.group(1).strip()


def check_command(line: str) -> None:
    """Lets the real command line parse it; of a synopsis ([...], capital words) only the options are looked up."""
    if line.startswith("--"):
        assert line in ("--help", "--version"), line
        return
    name, *arguments = shlex.split(line)
    assert name in GROUP.commands, f"no command {name}: citygan {line}"
    command = GROUP.commands[name]
    if hasattr(command, "commands") and arguments:  # a group, such as `weights`
        name, *arguments = arguments
        assert name in command.commands, f"no command {name}: citygan {line}"
        command = command.commands[name]
    if "[" in line or "…" in line or "..." in line or (arguments[-1:] and arguments[-1].startswith("--")):
        known = {word for parameter in command.params for word in [*parameter.opts, *parameter.secondary_opts]}
        assert {word for word in re.findall(r"--[a-z][a-z-]*", line) if word != "--help"} <= known, line
        return
    if not arguments and name in ("translate", "video", "weights", "import", "export"):
        return  # the bare name, in running text
    context = command.make_context(name, arguments)
    assigned = [text for text in context.params.get("assign") or [] if "KEY" not in text and "..." not in text]
    resolve([Layer("--set", from_flag(text)) for text in assigned])
    model = context.params.get("model")
    assert model is None or model in PRESETS or model == "NAME", line


@each_page
def test_every_command_line_parses(page: Path) -> None:
    for line in shown(page.read_text("utf-8")):
        check_command(line)


def test_the_readme_shows_every_command() -> None:
    lines = list(shown((ROOT / "README.md").read_text("utf-8")))
    assert {line.split()[0] for line in lines} >= set(GROUP.commands)
    assert all((ROOT / "docs" / f"{name}.md").is_file() for name in GROUP.commands)


@each_page
def test_every_setting_exists(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    groups = {key.partition(".")[0] for key in KEYS if "." in key}
    named = re.findall(rf"`(?:--set )?((?:{'|'.join(groups)})\.[a-z]\w*)(?:=[^`]*|: \S+)?`", text)
    known = {*KEYS, *(f"weights.{name}" for name in WEIGHTS)}  # those of metrics are named by evaluate's --set alone
    assert {name for name in named if not name.endswith(".safetensors")} <= known
    for block in fenced(text, "yaml"):
        values, lines = parse_yaml(block, page.name)
        if "space" in values:  # a search's
            (tmp_path / page.name).write_text(block, "utf-8")
            read_space(tmp_path / page.name)
            assert block in (ROOT / "examples" / "search-space.yaml").read_text("utf-8")
        else:
            resolve([Layer(page.name, values, lines)])


def test_the_class_tables_shown_are_class_tables() -> None:
    for name in ("prepare.md", "formats.md"):
        lines = re.findall(r"^    (- \{id.*)$", (ROOT / "docs" / name).read_text("utf-8"), re.MULTILINE)
        values, _ = parse_yaml("\n".join(lines), name)
        assert ClassTable.from_yaml(values).num_train == 2


@each_page
def test_every_linked_file_exists(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in slugs, f"{page.name} links {target}"


@each_page
def test_no_path_of_a_machine_is_shown(page: Path) -> None:
    assert not re.search(r"(?<![\w.~])/(work|root|home|tmp|usr|mnt|Users)/", page.read_text("utf-8"))


def test_settings_options_and_tables_are_those_of_the_code() -> None:
    generate = module(ROOT / "docs" / "generate.py")
    filled = generate.blocks()
    assert not generate.run(generate.PAGES, filled, True, "docs/generate.py")
    assert {key.strip("`") for key, _, _ in generate.settings()} == KEYS


def test_every_setting_has_a_line_that_explains_it() -> None:
    generate = module(ROOT / "docs" / "generate.py")
    assert all(text.endswith(".") and len(text) > 10 for _, _, text in generate.settings(Settings))


def test_the_benchmark_tables_are_those_of_the_results() -> None:
    tables = module(ROOT / "examples" / "benchmarks" / "tables.py")
    tables.run(tables.PAGES, tables.blocks(tables.load()), True, "examples/benchmarks/tables.py")


def test_every_block_has_something_that_fills_it() -> None:
    generate = module(ROOT / "docs" / "generate.py")
    tables = module(ROOT / "examples" / "benchmarks" / "tables.py")
    known = generate.blocks().keys() | tables.blocks({}).keys()
    for page in PAGES:
        text = page.read_text("utf-8")
        assert set(tables.names(text)) <= known
        assert len(tables.names(text)) == text.count("<!-- begin:") == text.count("<!-- end:")


KINDS = (
    "train",
    "feed",
    "ssim",
    "prepare",
    "demo-quality",
    "segmenter-separates",
    "dned",
    "diversity",
    "sflow-step",
    "video",
    "sflow-holds",
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_result_becomes_a_table(kind: str) -> None:
    tables = module(ROOT / "examples" / "benchmarks" / "tables.py")
    pair = {"ours_median_s": 0.5, "theirs_median_s": 1.0, "speedup": 2.0}
    each = {"ours_ms_a_picture": 1.0, "theirs_ms_a_picture": 6.0, "speedup": 6.0}
    score = {"ssim": 0.5, "psnr": 20.0}
    paired = {
        "difference": 0.01, "standard_error_over_scenes": 0.001, "standard_error_over_seeds": 0.002, "scenes": 25,
        "seeds": 3,
    }  # fmt: skip
    figures = {"class_iou": 0.4, "pixel_accuracy": 0.8, "class_accuracy": 0.5}
    results: dict[str, Any] = {
        "train": {
            "rows": [
                {
                    "width": 64, "batch": 1, "precision": "float32", "train": pair, "translate_paper": pair,
                    "translate_deterministic": pair, "pictures_per_s": 2.0, "waiting_share": 0.01,
                }
            ],
            "memory": [{"width": 64, "batch": 1, "peak_mb": {"ours": 900.0, "peer": 1000.0}, "ratio": 0.9}],
        },
        "feed": {"rows": [{"batch": 1, **pair}]},
        "ssim": {"rows": [{"size": "256x256", "largest_difference": 1e-9, "metric": each, "evaluate": each}]},
        "prepare": {
            "size": [512, 256], "workers": 2, "pictures": 120, "prepare_pictures_per_s": 17.0,
            "opencv_pictures_per_s": 18.0, "share_of_opencvs_speed": 0.94, "peak_memory_mb": 500.0,
            "peak_memory_pictures": 2975,
        },
        "demo-quality": {
            "mean_colour": score,
            "variants": {
                "L1": {
                    "means_by_seed": {"ssim": [0.5, 0.6], "psnr": [20.0, 21.0]},
                    "paired_with_mean_colour": {"ssim": paired},
                }
            },
        },
        "segmenter-separates": {
            "data": {"name": "streets", "size": "32x32"},
            "steps": {"segmenter": 2, "translation": 2},
            "seeds": [{"rows": {"oracle": figures, "translation": figures}, "images": 2}],
            "gaps": [
                {
                    "above": "oracle", "below": "translation", "figure": "class_iou", "by_seed": [0.1], "mean": 0.1,
                    "standard_error": None, "holds": None,
                }
            ],
        },
        "dned": {
            "data": {"name": "streets", "size": "32x32"},
            "training": {"width": 2, "steps": 3, "batch": 1, "crop": 32, "draws": 2, "concentration": 2.0},
            "rows": [
                {
                    "name": "identity",
                    "sources": {
                        "graphics": {
                            "bce": 1.5, "f": 0.6, "precision": 0.5, "recall": 0.7, "f_at_half": 0.6, "diversity": 0.0,
                        }
                    },
                }
            ],
        },
        "diversity": {
            "data": {"name": "streets", "size": "32x32"},
            "samples": 3,
            "pictures": 2,
            "model": {"step": 7},
            "all": 1.25,
            "classes": {"road": {"share": 0.5, "difference": 0.75}, "rare": {"share": 0.001, "difference": 9.0}},
        },
        "sflow-step": {
            "width": 16, "batch": 1, "precision": "float32", "threads": 2,
            "rows": [
                {
                    "row": "without VGG", "size": "512x256", "median_s": 0.25, "ratio": 0.4, "beside": "sflow",
                    "peak_mb": 900.0,
                },
                {"row": "alone", "size": "512x256", "median_s": 2.0},
            ],
        },
        "video": {
            "width": 64, "threads": 2, "memory": {"frames_10_mb": 90.0, "frames_10000_mb": 91.0},
            "rows": [
                {
                    "size": "512x256", "batch": 1, "codec": "H.264", "translate_frames_per_s": 2.0,
                    "film_frames_per_s": 1.9, "write_frames_per_s": 99.0,
                }
            ],
        },
    }  # fmt: skip
    named = ("ssim", "psnr", "l1", "gradient", "sharpness", "warp-error", "flicker", "miou", "pixel_accuracy")
    of_runs = ("labels", "graphics", "photo", "longer", "video")
    results["sflow-holds"] = {
        "data": {"name": "streets", "size": "32x32"},
        "steps": {"pictures": 2, "video": 2, "segmenter": 2},
        "seeds": [
            {
                "seed": seed,
                "rows": {
                    **{name: dict.fromkeys(named, 0.5 + seed) for name in of_runs},
                    "photos": dict.fromkeys(named[4:], 0.75 + seed),
                },
            }
            for seed in range(2)
        ],
        "gaps": [
            {
                "above": "longer", "below": "video", "figure": "warp-error", "by_seed": [0.1, 0.3], "mean": 0.2,
                "standard_error": 0.1, "holds": False,
            }
        ],
        "videos": [
            {"row": "video", "warp_error_share": [-0.1, -0.2], "sharpness_share": [0.05, 0.0], "ssim": [0.01, 0.02]}
        ],
    }  # fmt: skip
    record = {"command": "python x.py", "date": "2026-01-01", "device": "a CPU", "versions": {"torch": "2"}}
    filled = tables.blocks({f"{kind}-cpu.json": {**record, "results": results[kind]}})
    assert "a CPU" in filled[kind] and "| --- |" in filled[kind]
    assert filled["others"] == "None." and ("a CPU" in filled["hardware"]) == (kind == "train")
    if kind == "sflow-holds":
        lines = filled[kind].splitlines()
        assert "| photos | - | - | - | - | 0.750 / 1.750 | 0.750 / 1.750 |" in lines
        assert "| longer | 0.50 / 1.50 | 0.50 / 1.50 | 0.5 / 1.5 | 0.500 / 1.500 |" in lines
        assert "| video | -10.0% / -20.0% | +5.0% / +0.0% | +0.010 / +0.020 |" in lines
        assert "| longer - video | warp-error | +0.10 / +0.30 | +0.200 | 0.100 | no |" in lines
        assert not any(line.startswith(("| flow |", "| warp |")) for line in lines)  # rows of --terms


SEPARATES = ("--seeds", "2", "--steps-segmenter", "2", "--steps-translation", "2", "--device", "cpu")


@pytest.fixture
def separates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "benchmarks"))
    return module(ROOT / "examples" / "benchmarks" / "segmenter_separates.py")


def test_segmenter_separates_runs_and_trains_nothing_twice(
    separates: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, work, out = prepared_set(tmp_path / "tiny"), tmp_path / "work", tmp_path / "segmenter-separates.json"
    command = ["x.py", "--data", str(data), "--work", str(work), "--out", str(out), *SEPARATES]
    monkeypatch.setattr(sys, "argv", command)
    separates.main()
    first = json.loads(out.read_text("utf-8"))
    results = first["results"]
    assert [each["seed"] for each in results["seeds"]] == [0, 1] and results["seeds"][0]["images"] == 2
    assert results["seeds"][0]["rows"] != results["seeds"][1]["rows"]
    for each in results["seeds"]:
        assert list(each["rows"]) == ["oracle", "translation", "mean-colour", "chance"]
        assert all(0 <= value <= 1 for row in each["rows"].values() for value in row.values())
        assert min(each["trained_s"].values()) > 0
    monkeypatch.setattr(sys.modules["trained"], "run_training", None)
    separates.main()
    again = json.loads(out.read_text("utf-8"))
    assert again["results"] == results
    assert (
        "| oracle - translation | mIoU |"
        in module(ROOT / "examples" / "benchmarks" / "tables.py").blocks({out.name: first})["segmenter-separates"]
    )
    prepared_set(tmp_path / "other", seed=1)
    monkeypatch.setattr(sys, "argv", [word.replace("tiny", "other") for word in command])
    with pytest.raises(SystemExit, match="other settings or data"):
        separates.main()


def test_a_gap_holds_above_two_standard_errors_over_seeds(separates: ModuleType) -> None:
    def seed(above: float, below: float) -> dict[str, Any]:
        return {"rows": {"oracle": {"class_iou": above}, "chance": {"class_iou": below}}}

    near = separates.gap([seed(0.5, 0.4), seed(0.7, 0.4), seed(0.9, 0.4)], "oracle", "chance", "class_iou")
    assert near["mean"] == pytest.approx(0.3) and near["standard_error"] == pytest.approx(0.2 / 3**0.5)
    assert near["holds"]
    far = separates.gap([seed(0.5, 0.4), seed(0.9, 0.4)], "oracle", "chance", "class_iou")
    assert far["mean"] < 2 * far["standard_error"] and not far["holds"]
    assert not separates.gap([seed(0.3, 0.4), seed(0.31, 0.4)], "oracle", "chance", "class_iou")["holds"]
    assert separates.gap([seed(0.5, 0.4)], "oracle", "chance", "class_iou")["holds"] is None


def test_the_edge_networks_are_scored_beside_the_identity(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "benchmarks"))
    dned, out = module(ROOT / "examples" / "benchmarks" / "dned.py"), tmp_path / "dned.json"
    short = ("--steps", "2", "--width", "2", "--crop", "32", "--pictures", "2", "--draws", "2", "--device", "cpu")
    command = ["x.py", "--data", str(folder / "data" / "demo"), "--out", str(out), *short]
    monkeypatch.setattr(sys, "argv", command)
    dned.main()
    record = json.loads(out.read_text("utf-8"))
    rows = {row["name"]: row["sources"] for row in record["results"]["rows"]}
    assert len(rows) == 6 and all(list(sources) == ["photo", "graphics"] for sources in rows.values())
    for name, sources in rows.items():
        for found in sources.values():
            assert all(0 <= found[key] <= 1 for key in ("f", "precision", "recall", "f_at_half", "diversity"))
            assert np.isfinite(found["bce"]) and (found["diversity"] == 0) == name.startswith("identity")
    itself, graphics = rows["identity"]["photo"], rows["identity"]["graphics"]
    assert itself["f"] == 1 and itself["bce"] < 0.01
    assert graphics["f"] < 1 and rows["identity, calibrated"]["graphics"]["bce"] < graphics["bce"]
    table = module(ROOT / "examples" / "benchmarks" / "tables.py").blocks({out.name: record})["dned"]
    assert "| graphics | DNED, input: edges |" in table
    monkeypatch.setattr(sys, "argv", [*command, "--draws", "1"])
    with pytest.raises(SystemExit):
        dned.main()
    assert "two draws" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*command, "--data", str(prepared_set(tmp_path / "tiny"))])
    with pytest.raises(SystemExit, match="no photos or no graphics pictures in its train split"):
        dned.main()


def test_the_steps_of_sflow_differ_by_what_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each row leaves out the terms that it names and no other."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "benchmarks"))
    steps, out = module(ROOT / "examples" / "benchmarks" / "sflow_step.py"), tmp_path / "sflow-step-cpu.json"
    every = [*steps.ROWS, *steps.LARGE_ROWS]
    tiny = ("--size", "32x32", "--large", "64x64", "--width", "2", "--repeats", "1", "--warmup", "0")
    command = ["x.py", "--out", str(out), *tiny]
    measured = []
    monkeypatch.setattr(steps, "peak_memory_mb", lambda code, device: measured.append(code) or 100.0)
    monkeypatch.setattr(sys, "argv", [*command, "--rows", *every, "--memory"])
    steps.main()
    record = json.loads(out.read_text("utf-8"))
    rows = {row["row"]: row for row in record["results"]["rows"]}
    assert list(rows) == every and all(row["median_s"] > 0 and row["peak_mb"] == 100 for row in rows.values())
    whole = {"g_gan", "d_real", "d_fake", "g_fm", "g_vgg", "dned"}
    without = {
        "sflow": set(),
        "first stage": set(),
        "without VGG": {"g_vgg"},
        "without feature matching": {"g_fm"},
        "without GAN and feature matching": {"g_gan", "d_real", "d_fake", "g_fm"},
        "without edge network": {"dned"},
        "without edges": {"dned"},
        "discriminators at three scales": set(),
        "pairs without flow loss": set(),
        "local enhancer": set(),
        "local enhancer without VGG": {"g_vgg"},
    }
    terms = {name: set(row["terms"]) for name, row in rows.items()}
    assert {name: terms.pop(name) for name in without} == {name: whole - less for name, less in without.items()}
    assert terms == {"sflow-video": whole | {"g_flow"}, "pairs with warp loss instead": whole | {"g_warp"}}
    assert {rows[name]["size"] for name in steps.ROWS} == {"32x32"} and rows["local enhancer"]["size"] == "64x64"
    assert rows["pairs without flow loss"]["beside"] == "sflow-video" and rows["sflow"]["ratio"] == 1
    filled = module(ROOT / "examples" / "benchmarks" / "tables.py").blocks({out.name: record})
    assert "| without VGG | 32x32 |" in filled["sflow-step"] and filled["others"] == "None."
    # without CUDA there is no large picture unless it is asked for, and what a row is compared with may be left out
    monkeypatch.setattr(sys, "argv", [*command, "--rows", "without VGG"])
    steps.main()
    (row,) = json.loads(out.read_text("utf-8"))["results"]["rows"]
    assert row["row"] == "without VGG" and "ratio" not in row and "peak_mb" not in row
    # what a fresh process is given runs
    assert len(measured) == len(every)
    data = steps.city(tmp_path, (32, 32))
    monkeypatch.setattr(steps, "peak_memory_mb", module(ROOT / "examples" / "benchmarks" / "timing.py").peak_memory_mb)
    arguments = argparse.Namespace(width=2, batch=1, device="cpu", bf16=False)
    assert 50 < steps.memory(data, "without VGG", arguments) < 10_000


def test_a_block_is_filled_once_and_for_all() -> None:
    tables = module(ROOT / "examples" / "benchmarks" / "tables.py")
    page = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n<!-- begin: y -->\n<!-- end: y -->\n"
    filled = tables.fill(page, {"x": "new\n"})
    assert filled == page.replace("old", "new") and tables.fill(filled, {"x": "new"}) == filled
    assert tables.names(page) == ["x", "y"]


def test_the_check_of_the_whole_runs_the_command_of_the_readme() -> None:
    commands = [line for block in fenced((ROOT / "README.md").read_text("utf-8"), "sh") for line in block.splitlines()]
    fresh = [line for line in commands if line.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")]
    assert len(fresh) == 2
    assert [line for line in fresh if "-m pytest" in line] == [fresh[1]]  # .ci/run takes the one with pytest
    script = ROOT / ".ci" / "run"
    assert os.stat(script).st_mode & stat.S_IXUSR
    assert "README.md" in script.read_text("utf-8") and "pytest -n" not in script.read_text("utf-8")
    assert (ROOT / ".pre-commit-config.yaml").is_file()


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text and __version__ in text


# examples


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a tiny demo city and a run on it."""
    path = tmp_path_factory.mktemp("examples")
    before = Path.cwd()
    os.chdir(path)
    try:
        assert run(["prepare", "demo", "--limit", "1", "--size", "32"]) == 0
        assert run(["train", "--steps", "1", "--name", "tiny", *NARROW]) == 0
    finally:
        os.chdir(before)
    return path


ARGUMENTS = {
    "translate_array": ["--run", "tiny"],
    "evaluate_arrays": [],
    "read_prepared_set": ["data/demo"],
    "warp_with_flow": ["--side", "64", "--out", "warped.png"],
    "check_flow": ["--data", "demo"],
    "own_generator": ["train", "--model", "flat", "--steps", "1", "--name", "flat", *NARROW],
    "own_metric": ["--metric", "brightness", "--run", "tiny"],
    "demo_sheet": ["--run", "tiny", "--scenes", "1", "--out", "sheet.png"],
    "edges_sheet": ["--scenes", "2", "--out", "edges.png"],
}


def run_example(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    try:
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    except SystemExit as end:
        assert not end.code, end.code


def check_own_generator(
    folder: Path, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What every command does with a run of the named model that the example adds, in its quick form."""
    from citygan.models import GENERATORS

    assert "use the run through this script: python " in printed and "translate labels/ out/" in printed
    settings = read_settings(folder / "runs" / "flat")
    assert (settings.model, settings.generator.name, settings.quick) == ("flat", "flat", True)
    assert settings.train.ema == 0.998 and settings.train.steps == 1
    state = read_state(checkpoint_folder(folder / "runs" / "flat"))
    assert state["networks"]["generator"]["name"] == "flat" and state["use"] == "generator-ema"
    run_example("own_generator", ["translate", "labels/", "flat/", "--run", "flat"], monkeypatch)
    names = [path.name for path in (folder / "labels").glob("*.png")]
    assert names and sorted(path.name for path in (folder / "flat").glob("*.png")) == sorted(names)
    capsys.readouterr()
    run_example("own_generator", ["evaluate", "--run", "flat", "--json"], monkeypatch)
    figures = json.loads(capsys.readouterr().out)
    assert np.isfinite(figures["metrics"]["ssim"]["mean"]) and figures["protocol"]["model"]["step"] == 1
    run_example("own_generator", ["train", "--resume", "flat", "--steps", "2"], monkeypatch)
    assert read_state(checkpoint_folder(folder / "runs" / "flat"))["step"] == 2
    capsys.readouterr()
    run_example("own_generator", ["models"], monkeypatch)
    assert "flat" in capsys.readouterr().out
    del GENERATORS["flat"]  # as for a command that does not know it
    assert run(["translate", "labels/", "other/", "--run", "flat"]) != 0
    assert "flat" in capsys.readouterr().err and not (folder / "other").exists()


@pytest.mark.parametrize("name", [example.stem for example in EXAMPLES])
def test_every_example_runs(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from citygan.metrics import METRICS
    from citygan.models import GENERATORS

    monkeypatch.chdir(folder)
    tables = (GENERATORS, METRICS, PRESETS)  # what the examples add does not stay
    before = [dict(table) for table in tables]
    try:
        run_example(name, ARGUMENTS[name], monkeypatch)
        printed = capsys.readouterr().out
        if name == "own_generator":
            check_own_generator(folder, printed, monkeypatch, capsys)
        if name == "warp_with_flow":
            still, exact, found = (float(line.split()[-1]) for line in printed.splitlines())
            assert exact < 0.7 * still and found < still
        if name == "check_flow":
            still, everywhere, seen, wrong = (float(line.split()[-1]) for line in printed.splitlines())
            assert seen < everywhere < still < wrong
        if name == "evaluate_arrays":
            blurred, moved = (list(map(float, line.split()[1:])) for line in printed.splitlines()[1:3])
            assert blurred[0] > moved[0] and blurred[4] > moved[4]  # what its first lines say of SSIM and gradient
    finally:
        for table, old in zip(tables, before, strict=True):
            table.clear()
            table.update(old)


def test_examples_run_on_other_sets_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = TABLES["camvid11"]
    writer = SetWriter(tmp_path / "data" / "cam", size=(32, 32), plan={})
    label = np.full((32, 32), 3, np.uint8)
    writer.split("train").append(Item("x", {}, (32, 32)), photo=table.palette[label], label=label)
    writer.finish({"photo_channels": 3, "classes": table.to_dict()})
    assert run(["train", "--data", "cam", "--steps", "1", "--name", "cam", *NARROW]) == 0
    run_example("translate_array", ["--run", "cam"], monkeypatch)
    assert read_photo(tmp_path / "street.png").shape == (256, 384, 3)
    writer = SetWriter(tmp_path / "data" / "labs", size=(32, 32), plan={})
    writer.split("test").append(Item("x", {}, (32, 32)), label=label)
    writer.finish({"photo_channels": 3, "classes": table.to_dict()})
    capsys.readouterr()
    run_example("read_prepared_set", ["data/labs"], monkeypatch)
    assert "split test of test" in capsys.readouterr().out


def test_the_python_of_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (code,) = fenced((ROOT / "README.md").read_text("utf-8"), "python")
    Path("readme.py").write_text(code.replace("runs/pix2pix-1", "runs/tiny"), "utf-8")
    names = runpy.run_path("readme.py")
    assert names["photo"].shape == (256, 512, 3) and names["photo"].dtype == np.uint8
    assert names["figures"]["metrics"]["l1"]["mean"] == 0
