"""Networks from settings: every row trains and translates, what does not fit is told, published weights are found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_weight

import citygan
from citygan.building import about, build
from citygan.config import Layer, Settings, resolve
from citygan.data.store import PreparedSet
from citygan.errors import CityganError, DamagedError, DataError, MachineError, UsageError
from citygan.losses import ADVERSARIAL
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.trunk import Trunk
from citygan.presets import PRESETS
from citygan.runs import new_run
from citygan.settings import WeightsSettings
from citygan.starting import initialise, random_ones
from citygan.train.checkpoint import read_state
from citygan.train.distributed import Ranks
from citygan.training import run_training
from citygan.weightfiles import WEIGHTS, Found, folder
from citygan.yamlfile import read_yaml
from tests.street import NARROW, Street
from tests.tiny import city_set, prepared_set

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "generator": {"width": 4},
    "discriminator": {"width": 4},
    "weights": dict.fromkeys((item.name for item in dataclasses.fields(WeightsSettings)), "random"),
    "train": {"steps": 2, "log_every_steps": 1},
}


def _settings(*more: dict[str, Any]) -> Settings:
    return resolve([Layer("tiny", TINY), *(Layer("more", values) for values in more)])[0]


def _train(data: PreparedSet, settings: Settings, name: str = "a", **how: Any) -> Path:
    path = new_run(settings, name, about(settings, data, CPU, Ranks()))
    run_training(settings, data, path, CPU, Ranks(), **how)
    return path


def _losses(run: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {key: value for key, value in lines[0].items() if key.startswith(("d_", "g_"))}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedSet:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")  # most of a tiny run's time
    return PreparedSet.open(prepared_set(tmp_path / "data" / "tiny"))


def _label(data: PreparedSet) -> np.ndarray:
    return np.asarray(data.split("val").label)[0]  # type: ignore[index]


VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"generator": {"name": name}} for name in GENERATORS},
    **{name: {"discriminator": {"name": name}} for name in DISCRIMINATORS},
    "local-enhancer": {"generator": {"name": "local-enhancer", "halvings": 2, "blocks": 2}},
    "pix2pixHD": {
        "generator": {"name": "resnet", "halvings": 3, "blocks": 2, "norm": "instance", "dropout": 0},
        "discriminator": {"name": "multiscale", "scales": 2, "norm": "instance"},
        "losses": {"adversarial": "least-squares"},
    },
    "two scales, shared": {"discriminator": {"name": "multiscale", "scales": 2, "shared_pass": True}},
    **{name: {"losses": {"adversarial": name}} for name in ADVERSARIAL},
    "encoder-decoder": {"generator": {"skips": False}, "train": {"batch": 2}},
    "resize": {"generator": {"upsample": "bilinear"}},
    "instance": {"generator": {"norm": "instance"}, "discriminator": {"norm": "instance"}},
    "no norm": {"generator": {"norm": "none"}, "discriminator": {"norm": "none"}},
    "blocks": {"generator": {"name": "resnet", "blocks": 6, "norm": "instance", "dropout": 0}},
    "GAN": {"discriminator": {"conditional": False}},
    "GAN of ResNets": {"discriminator": {"conditional": False, "name": "resnet18"}, "generator": {"name": "deeplabv3"}},
    "286": {"discriminator": {"receptive_field": 286}},
    "mse": {"losses": {"reconstruction": "mse"}},
    "cGAN": {"losses": {"reconstruction": "none"}},
    "one-hot": {
        "input": {"encoding": "onehot"},
        "generator": {"name": "deeplabv3"},
        "discriminator": {"name": "resnet18"},
    },
    "shared": {"discriminator": {"shared_pass": True, "conditional": False}, "losses": {"adversarial": "hinge"}},
    "averaged": {"generator": {"name": "enhanced"}, "train": {"ema": 0.5, "accumulate": 2, "batch": 2}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_two_steps_and_translates_from_its_checkpoint_alone(
    variant: str, data: PreparedSet, tmp_path: Path
) -> None:
    path = _train(data, _settings(VARIANTS[variant]))
    losses = _losses(path)
    assert all(np.isfinite(value) for value in losses.values())
    reconstruction = {"mse": {"g_mse"}, "cGAN": set()}.get(variant, {"g_l1"})
    assert set(losses) == {"d_fake", "d_real", "g_gan"} | reconstruction
    alone = tmp_path / "alone"
    (path / "checkpoints" / "00000002").rename(alone)
    city = citygan.load(alone)
    for shape in ((32, 32), (19, 45), (1, 1)):
        assert city.translate(np.resize(_label(data), shape)).shape == (*shape, 3)
    assert np.array_equal(city.translate(_label(data)), citygan.load(alone).translate(_label(data)))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_in_its_quick_form(name: str, data: PreparedSet, tmp_path: Path) -> None:
    row = PRESETS[name]
    layers = [Layer(name, {"model": name, **row.settings}), Layer("quick", row.quick), Layer("tiny", TINY)]
    settings = resolve(layers)[0]
    assert settings.train.steps == 2
    if settings.recipe == "cg2real":
        data = PreparedSet.open(city_set(tmp_path / "data" / "city", val=1))
    _train(data, settings)
    state = read_state(Path("runs/a/checkpoints/00000002"))
    main = "segmenter" if settings.recipe == "segmenter" else "generator"
    assert state["networks"][main]["name"] == getattr(settings, main).name
    assert state["model"] == name


def test_quick_forms_need_no_published_weights() -> None:
    for name, row in PRESETS.items():
        settings = resolve([Layer(name, row.settings), Layer("quick", row.quick)])[0]
        for table, chosen in ((GENERATORS, settings.generator), (DISCRIMINATORS, settings.discriminator)):
            with torch.device("meta"):
                pretrained = getattr(table[chosen.name](6), "pretrained", None)
            assert pretrained is None or getattr(settings.weights, pretrained) == "random", name


def test_the_discriminator_sees_no_more_than_it_is_told_to(data: PreparedSet) -> None:
    channels = {
        variant: build(_settings(VARIANTS[variant]), data).networks["discriminator"]["arguments"]["in_channels"]
        for variant in ("unet", "GAN")
    }
    assert channels == {"unet": 6, "GAN": 3}


def test_a_record_from_before_there_were_options_still_describes_its_generator(data: PreparedSet) -> None:
    built = build(_settings(), data)
    arguments = built.networks["generator"]["arguments"]
    known = ("in_channels", "out_channels", "width", "depth", "dropout")
    before = GENERATORS["unet"](**{key: arguments[key] for key in known})
    now = GENERATORS["unet"](**arguments)
    assert {k: t.shape for k, t in before.state_dict().items()} == {k: t.shape for k, t in now.state_dict().items()}
    assert set(built.networks["discriminator"]["arguments"]) == {"in_channels", "width", "receptive_field", "norm"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"generator": {"name": "resnet", "skips": False}}, "resnet has no skips, generator.skips. It has: width"),
        ({"generator": {"name": "resnet", "depth": 5}}, "resnet has no depth, generator.depth"),
        (
            {"generator": {"name": "deeplabv3", "norm": "instance", "blocks": 6}},
            "has no norm and no blocks, generator.norm, generator.blocks. It has: width, backbone",
        ),
        ({"generator": {"blocks": 6}}, "the generator unet has no blocks"),
        ({"generator": {"name": "enhanced", "skips": False}}, "enhanced has no skips"),
        (
            {"discriminator": {"name": "pixelgan", "receptive_field": 16}},
            "discriminator pixelgan has no receptive_field",
        ),
        ({"discriminator": {"name": "resnet18", "norm": "none"}}, "resnet18 has no norm"),
        ({"discriminator": {"scales": 2}}, "the discriminator patchgan has no scales, discriminator.scales"),
        ({"generator": {"halvings": 3}}, "the generator unet has no halvings, generator.halvings"),
        ({"generator": {"name": "resnt"}}, "Did you mean resnet?"),
        ({"losses": {"adversarial": "wgan"}}, "no adversarial loss named 'wgan'. There are: cross-entropy, hinge"),
    ],
)
def test_settings_that_a_network_does_not_have_are_refused(
    values: dict[str, Any], words: str, data: PreparedSet
) -> None:
    with pytest.raises(UsageError) as caught:
        build(_settings(values), data)
    assert words in str(caught.value)


def test_a_network_without_dropout_takes_dropout_off(data: PreparedSet) -> None:
    build(_settings({"generator": {"name": "deeplabv3", "dropout": 0}}), data)


def test_a_generator_that_takes_anything_is_given_everything(
    data: PreparedSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mine(GENERATORS["unet"]):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            self.given = arguments
            super().__init__(arguments["in_channels"], width=4, depth=4)

    monkeypatch.setitem(GENERATORS, "mine", Mine)
    built = build(_settings({"generator": {"name": "mine", "blocks": 6}}), data)
    assert built.recipe.networks["generator"].given["blocks"] == 6  # type: ignore[index]


@pytest.mark.parametrize(
    ("size", "name", "words"),
    [
        ((36, 36), "unet", "cannot be halved 4 times"),
        ((4, 4), "resnet", r"at least 8.*--size 8x8"),
        ((36, 60), "deeplabv3", r"multiples of 8, .*--size 32x64"),
        ((96, 32), "local-enhancer", r"multiples of 32, at least 64, .*--size 96x64"),
    ],
)
def test_sizes_that_a_generator_cannot_take_are_refused_with_the_nearest(
    size: tuple[int, int], name: str, words: str, tmp_path: Path
) -> None:
    odd = PreparedSet.open(prepared_set(tmp_path / "odd", size=size))
    with pytest.raises(DataError, match=words):
        build(_settings({"generator": {"name": name}}), odd)


def test_a_resnet_takes_sizes_that_a_unet_cannot(tmp_path: Path) -> None:
    build(_settings({"generator": {"name": "resnet"}}), PreparedSet.open(prepared_set(tmp_path / "x", size=(36, 60))))


# published weights


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place where torch keeps weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


FULL = {"discriminator": {"name": "resnet18", "width": 64}, "weights": {"resnet18": None}}


def _save(path: Path, width: int = 64) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    tensors = {**Trunk("resnet18", width=width).state_dict(), "fc.weight": torch.zeros(1000, 512)}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    return tensors


TORCHVISION = {
    "alexnet": "AlexNet_Weights.IMAGENET1K_V1",
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "deeplabv3_resnet50": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "deeplabv3_resnet101": "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "vgg19": "VGG19_Weights.IMAGENET1K_V1",
}


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name not in ("inception", "i3d")])
def test_torchvision_has_what_the_table_names(name: str, torch_home: Path) -> None:
    assert WEIGHTS[name].url == get_weight(TORCHVISION[name]).url
    assert folder() == torch_home and WEIGHTS[name].url.endswith("/" + WEIGHTS[name].file)
    assert getattr(Settings().weights, name, None) is None


def test_missing_weights_are_named_with_all_that_helps(data: PreparedSet, torch_home: Path) -> None:
    settings = _settings(FULL)
    with pytest.raises(MachineError) as caught:
        initialise(build(settings, data).recipe.networks, settings, None)
    for words in (
        *("resnet18-f37072fd.pth", "sha256 begins with f37072fd", str(torch_home)),
        *("citygan weights fetch resnet18", "--set weights.resnet18=PATH", "--set weights.resnet18=random"),
    ):
        assert words in str(caught.value)


def test_weights_are_taken_from_torchs_folder_or_a_file_and_checked(data: PreparedSet, torch_home: Path) -> None:
    file = torch_home / "resnet18-f37072fd.pth"
    tensors = _save(file)
    with pytest.raises(DamagedError, match=r"not f37072fd: damaged.*resnet18-f37072fd\.pth"):
        initialise(build(_settings(FULL), data).recipe.networks, _settings(FULL), None)
    told = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    for name in (f"mine-{told}.pth", "plain.pth"):
        path = file.rename(file.with_name(name))
        settings = _settings(FULL, {"weights": {"resnet18": str(path)}})
        networks = build(settings, data).recipe.networks
        filled = initialise(networks, settings, None)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert filled == {"discriminator": Found("resnet18", path, digest)} and random_ones(filled) == []
        trunk = networks["discriminator"].trunk
        assert torch.equal(trunk.layer1[0].conv1.weight, tensors["layer1.0.conv1.weight"])  # type: ignore[index, union-attr]
        file = path
    misnamed = file.rename(file.with_name("mine-00000000.pth"))
    settings = _settings(FULL, {"weights": {"resnet18": str(misnamed)}})
    with pytest.raises(DamagedError, match=r"sha256 is not the one in its name.*mine-00000000\.pth"):
        initialise(build(settings, data).recipe.networks, settings, None)
    settings = _settings(FULL, {"weights": {"resnet18": "random"}})
    filled = initialise(build(settings, data).recipe.networks, settings, None)
    assert filled == {"discriminator": Found("resnet18")} and random_ones(filled) == ["resnet18"]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("narrow", DamagedError, r"do not fit resnet18: .*conv1\.weight is .*weights\.resnet18=random"),
        ("torn", DamagedError, "damaged"),
        ("none", MachineError, r"no weights 'resnet18': no such file, .*w\.pth\. Without --set .*hub.*=random"),
    ],
)
def test_files_that_are_no_such_weights_are_refused(
    content: str, error: type[CityganError], words: str, data: PreparedSet, tmp_path: Path
) -> None:
    file = tmp_path / "w.pth"
    if content == "narrow":
        _save(file, width=8)
    elif content == "torn":
        file.write_bytes(b"PK\x03\x04torn")
    settings = _settings(FULL, {"weights": {"resnet18": str(file)}})
    with pytest.raises(error, match=words):
        initialise(build(settings, data).recipe.networks, settings, None)


def test_narrow_trunks_must_be_said_to_be_random(data: PreparedSet) -> None:
    settings = _settings({"generator": {"name": "deeplabv3"}, "weights": {"deeplabv3_resnet50": None}})
    with pytest.raises(UsageError, match=r"no published weights for a deeplabv3_resnet50 whose width is not 64"):
        initialise(build(settings, data).recipe.networks, settings, None)


def test_what_a_run_has_learnt_needs_no_published_weights(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume and a start from another run are complete; only a network which that lacks needs the file."""
    monkeypatch.setattr("citygan.models.resnet18.PUBLISHED_WIDTH", 4)
    file = tmp_path / "w.pth"
    _save(file, width=4)
    given = {"discriminator": {"name": "resnet18"}, "weights": {"resnet18": str(file)}}
    path = _train(data, _settings(given))
    file.unlink()
    run_training(_settings(given, {"train": {"steps": 3}}), data, path, CPU, Ranks(), resume=True)
    last = path / "checkpoints" / "00000003"
    settings = _settings(given)
    initialise(build(settings, data).recipe.networks, settings, last)
    without = _train(data, _settings({"losses": {"lambda_gan": 0}}), "b") / "checkpoints" / "00000002"
    with pytest.raises(MachineError, match="no such file"):
        initialise(build(settings, data).recipe.networks, settings, without)


def test_commands_say_that_a_trunk_is_random_or_missing(street: Street, torch_home: Path) -> None:
    model = ("train", "--model", "pix2pix-deeplab", "--data", "tiny", *NARROW, "--steps", "1")
    result = street.done(*model, "--quick")
    assert "deeplabv3_resnet50 and resnet18: random weights in the place of published ones" in result.err
    street.done("translate", "labels", "out", "--run", result.paths[0])
    found = read_yaml(Path(result.paths[0]) / "about.yaml")[0]["weights"]
    assert found == {
        "generator": {"name": "deeplabv3_resnet50", "file": "random", "sha256": None},
        "discriminator": {"name": "resnet18", "file": "random", "sha256": None},
    }
    wide = ("--set", "generator.width=64", "--set", "discriminator.width=64")
    street.refused(5, "deeplabv3_resnet50_coco-cd0a2569.pth", by=(*model, *wide))
    street.refused(2, "whose width is not 64", by=model)
    assert sorted(p.name for p in Path("runs").iterdir() if p.is_dir()) == ["a", "pix2pix-deeplab-1"]
