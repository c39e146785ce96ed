"""Settings: who decides, what is refused, and that a run's own file repeats the run."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest

from citygan.config import Layer, Settings, from_flag, resolve
from citygan.errors import UsageError
from citygan.presets import PRESETS, preset
from citygan.runs import read_settings
from citygan.yamlfile import parse_yaml, read_yaml, scalar, to_yaml
from tests.street import NARROW, TRAIN, Street, hashes


def test_later_layers_go_before_earlier_ones_and_are_remembered(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("# mine\nseed: 5\ntrain:\n  batch: 4\n  epochs: 3\n")
    settings, origins = resolve(
        [
            Layer("preset x", {"train": {"batch": 2, "epochs": 9, "ema": 0.5}}),
            Layer(str(file), *read_yaml(file)),
            Layer("--set", {"train": {"batch": 8}}),
        ]
    )
    assert (settings.train.batch, settings.train.epochs, settings.train.ema, settings.seed) == (8, 3.0, 0.5, 5)
    assert origins["train.batch"] == "--set" and origins["train.ema"] == "preset x"
    assert origins["train.epochs"] == f"{file}:5" and origins["seed"] == f"{file}:2"
    assert origins["optimizer.rate"] == "default"


def test_the_defaults_are_the_paper(tmp_path: Path) -> None:
    settings, origins = resolve([])
    assert settings == Settings() and set(origins.values()) == {"default"}
    assert (settings.optimizer.rate, settings.optimizer.beta1, settings.optimizer.beta2) == (2e-4, 0.5, 0.999)
    assert (settings.losses.lambda_l1, settings.train.batch, settings.train.epochs) == (100, 1, 200)
    assert settings.discriminator.receptive_field == 70 and settings.generator.width == 64
    assert settings.augment.jitter == 286 / 256 and settings.augment.mirror and settings.inference_mode == "paper"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_resolves_and_differs_from_the_defaults_only_where_it_says(name: str) -> None:
    row = preset(name)
    for layers in ([row.settings], [row.settings, row.quick]):
        resolve([Layer("preset", layer) for layer in layers])
    assert row.task and row.summary and row.source


def leaves(kind: type, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        inner = hints[item.name]
        found += leaves(inner, f"{item.name}.") if dataclasses.is_dataclass(inner) else [(before + item.name, inner)]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("key", [key for key, _ in leaves(Settings)])
def test_every_setting_refuses_what_it_cannot_be(key: str) -> None:
    for text in ("[1]", "{}", "x" * 20):
        nested: Any = parse_yaml(f"v: {text}", "x")[0]["v"]
        for part in reversed(key.split(".")):
            nested = {part: nested}
        kind = dict(leaves(Settings))[key]
        if text.startswith("x") and str in (typing.get_args(kind) or (kind,)):
            continue
        with pytest.raises(UsageError) as caught:
            settings, _ = resolve([Layer("file", nested)])
            raise AssertionError(f"{key} took {text}: {settings}")
        assert key in str(caught.value) and "file" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.rate", 1.0), ("optimizer.rate", 0), ("optimizer.beta1", 1), ("optimizer.beta2", -0.1),
        ("optimizer.decay_share", 0), ("augment.jitter", 0.99), ("augment.jitter", 5), ("generator.width", 0),
        ("generator.depth", 3), ("generator.dropout", 1), ("discriminator.width", 2000),
        ("discriminator.receptive_field", 94), ("losses.lambda_gan", -1), ("train.epochs", 0), ("train.steps", 0),
        ("train.batch", 0), ("train.accumulate", 2), ("train.ema", 1), ("train.log_every_steps", 0),
        ("train.validation_pictures", 0), ("seed", -1), ("seed", 2**63), ("train.batch", True), ("train.compile", 1),
        ("generator.blocks", 0), ("generator.norm", "layer"), ("generator.upsample", "cubic"), ("weights.vgg16", 1),
        ("discriminator.conditional", "no"), ("losses.reconstruction", "l2"),
        ("augment.class_crops", 0), ("augment.class_crops", 65), ("augment.hue", 0.51), ("augment.brightness", 1.1),
        ("augment.contrast", -0.1), ("augment.saturation", 2), ("augment.gain", -0.1), ("augment.bias", 1.5),
        ("augment.gamma", 2), ("augment.colour_of", "input"),
        ("train.precision", "fp16"), ("seed", 1.0), ("optimizer.rate", "1e-4x"), ("data", 5),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_with_the_range(key: str, value: object) -> None:
    section, _, name = key.rpartition(".")
    values = {section: {name: value}} if section else {name: value}
    with pytest.raises(UsageError) as caught:
        resolve([Layer("here", values)])
    assert f"here: {key}: expected" in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        resolve([Layer("a", {"sed": 1, "train": {"batch": 0}}), Layer("b", {"optimizer": {"rate": "fast"}})])
    for words in ("a: unknown setting sed (did you mean seed?)", "a: train.batch", "b: optimizer.rate"):
        assert words in str(caught.value)


def test_all_values_out_of_range_are_told_at_once_each_with_its_origin() -> None:
    wrong = {"train": {"batch": 0, "ema": 2, "epochs": -1}, "optimizer": {"rate": 0, "beta1": 3}}
    with pytest.raises(UsageError) as caught:
        resolve([Layer("a", wrong), Layer("b", {"train": {"log_every_steps": 0}})])
    message = str(caught.value)
    for key in ("train.batch", "train.ema", "train.epochs", "optimizer.rate", "optimizer.beta1"):
        assert f"a: {key}: expected" in message
    assert "b: train.log_every_steps: expected" in message and message.count("expected") == 6 and "\n" not in message
    with pytest.raises(UsageError, match=r"^b: losses: expected one of .* above 0, got all weights 0\. "):
        resolve([Layer("a", {"losses": {"lambda_l1": 0}}), Layer("b", {"losses": {"lambda_gan": 0, "lambda_l1": 0}})])


def test_an_objective_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"losses\.reconstruction: expected l1 or mse with lambda_gan 0, got none"):
        resolve([Layer("a", {"losses": {"lambda_gan": 0, "reconstruction": "none"}})])
    resolve([Layer("a", {"losses": {"reconstruction": "none"}})])


def test_flags_are_read_as_yaml_is() -> None:
    assert from_flag("a.b=1e-4") == {"a": {"b": 1e-4}}
    assert from_flag("a = x=y ") == {"a": "x=y"}
    assert from_flag("a=") == {"a": None} and from_flag("a=no") == {"a": "no"} and from_flag("a=true") == {"a": True}
    for text in ("a", "=1", " =1", ""):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            from_flag(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("-3", -3), ("017", 17), ("0x1F", 31), ("0o17", 15),
        ("1_000", "1_000"), ("no", "no"), ("yes", "yes"), ("on", "on"), ("True", True), ("null", None), ("~", None),
        ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("nan", "nan"), ("+5", 5), ("1.", 1.0), ("'1'", "'1'"),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    assert scalar(text) == value and type(scalar(text)) is type(value)
    if "'" not in text:
        assert parse_yaml(f"a: {text}", "x")[0]["a"] == value


TEXTS = [
    "",
    " ",
    "a: b",
    "#",
    "'",
    '"',
    "\\",
    "a\nb",
    "\t",
    "\x00\x1b\x7f\x85\x9f",
    "é 東京 😀",
    "\ud800\udcff",
    "\ufeff",
    "no",
    "1e-4",
    "\u2028",
]


def test_any_text_survives_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for text in TEXTS:
        settings = resolve([Layer("x", {"data": text, "init": text * 2})])[0]
        file.write_bytes(to_yaml(settings.to_dict()).encode("utf-8"))
        assert resolve([Layer("file", *read_yaml(file))])[0] == settings, repr(text)


def test_settings_survive_a_file(tmp_path: Path) -> None:
    values = {
        "seed": 2**62, "quick": True, "inference": "running", "input": {"encoding": "onehot"},
        "augment": {"jitter": 1 + 1 / 3, "mirror": False}, "generator": {"depth": 5, "dropout": 0.1},
        "optimizer": {"rate": 1e-17, "schedule": "linear"}, "train": {"steps": 7, "ema": 0.999, "batch": 3},
    }  # fmt: skip
    settings = resolve([Layer("x", values)])[0]
    (tmp_path / "config.yaml").write_text(to_yaml(settings.to_dict()))
    assert read_settings(tmp_path) == settings


# the commands


def test_the_order_of_settings_on_the_command_line(street: Street) -> None:
    Path("s.yaml").write_text("seed: 7\noptimizer:\n  rate: 1e-3\n  beta1: 0.4\ntrain:\n  batch: 2\n  steps: 99\n")
    result = street.done(
        *("train", "--data", "tiny", "--quick", "--config", "s.yaml", "--dry-run", "--steps", "5"),
        *("--set", "optimizer.beta1=0.3", "--set", "train.batch=4", "--batch", "6", "--set", "generator.width=12"),
    )
    shown = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.paths}
    assert shown["optimizer.rate"] == ["0.001", "s.yaml:3"] and shown["seed"] == ["7", "s.yaml:1"]
    assert shown["optimizer.beta1"] == ["0.3", "--set"]
    assert shown["train.batch"] == ["6", "flag"] and shown["train.steps"] == ["5", "flag"]
    assert shown["generator.width"] == ["12", "--set"] and shown["discriminator.width"] == ["16", "quick"]
    assert shown["quick"][0] == "true" and shown["data"] == ["tiny", "flag"]
    assert shown["generator.depth"] == ["null", "default"] and shown["losses.lambda_l1"] == ["100.0", "default"]
    assert list(shown) == list(resolve([])[1])
    assert not Path("runs/pix2pix-1").exists()


def test_a_users_own_data_get_the_papers_settings(street: Street) -> None:
    result = street.done("train", "--data", "tiny", "--dry-run")
    assert not [line for line in result.paths if " quick" in line.partition(" ")[2] and not line.startswith("quick")]
    assert next(line for line in result.paths if line.startswith("generator.width")).split()[1:] == ["64", "default"]


def test_nothing_is_made_by_a_dry_run(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(street.path)
    street.done("train", "--dry-run", "--data", "tiny", "--name", "z", "--init", "a")
    street.done("train", "--dry-run", "--resume", "a")
    monkeypatch.setenv("CITYGAN_DATA_HOME", "none")
    street.done("train", "--dry-run")  # would prepare the demo city first
    assert hashes(street.path) == before and not Path("none").exists()


def test_a_runs_own_settings_repeat_it_bit_for_bit(street: Street) -> None:
    street.done(*TRAIN, "--steps", "2", "--batch", "2", "--seed", "9", "--set", "train.ema=0.5", "--name", "b")
    street.done("train", "--config", "runs/b/config.yaml", "--name", "c")
    mine, again = hashes(street.path / "runs/b"), hashes(street.path / "runs/c")
    same = [name for name in mine if name.endswith((".safetensors", ".png", "config.yaml"))]
    assert len(same) >= 8
    assert {name: again[name] for name in same} == {name: mine[name] for name in same}
    street.done("train", "--config", "runs/b/config.yaml", "--name", "d", "--seed", "10")
    other = hashes(street.path / "runs/d")
    weights = "checkpoints/00000002/generator.safetensors"
    assert other[weights] != mine[weights]


def test_flags_of_a_resume_become_the_runs(street: Street) -> None:
    street.done("train", "--resume", "a", "--steps", "4")
    assert read_settings(Path("runs/a")).train.steps == 4
    assert read_settings(Path("runs/a")).generator.width == int(NARROW[1].partition("=")[2])
