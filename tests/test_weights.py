"""Public state dicts load into our modules and compute what the public code computed."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from citygan.errors import DamagedError, UsageError
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.layers import Dropout
from citygan.train.checkpoint import read_part, read_state
from citygan.weights import FORMATS, import_state_dict, read_state_dict
from citygan.weights.layouts import export_state_dict
from tests.street import Street

REFERENCES = (
    *("junyanz_unet_256", "junyanz_resnet_9blocks", "junyanz_patchgan_70", "znxlwm_generator"),
    *("pix2pixhd_global", "pix2pixhd_multiscale_d2"),
)


def test_every_reference_is_read(shared: Path) -> None:
    assert {file.stem for file in (shared / "reference-weights").glob("*.pth")} == set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_weights_reproduce_the_stored_output(shared: Path, name: str) -> None:
    folder = shared / "reference-weights"
    saved = read_state_dict(folder / f"{name}.pth")
    imported = import_state_dict(saved)
    row = next(row for row in FORMATS if str(row) == imported.format)
    back = export_state_dict(row, imported.arguments, imported.tensors)
    assert back.keys() == saved.keys() and all(torch.equal(saved[key], back[key]) for key in saved)
    network = imported.build().eval()
    stored = np.load(folder / f"{name}.npz")
    several = {"features": True} if imported.name == "multiscale" else {}
    with torch.inference_mode():
        output = network(torch.from_numpy(stored["input"]), **several)
    outputs = [x for of_scale in output for x in of_scale] if several else [output]
    assert len(outputs) == sum(key.startswith("output") for key in stored.files)
    for i, x in enumerate(outputs):
        assert np.abs(x.numpy() - stored[f"output{i}"]).max() < 1e-4
    again = import_state_dict(back)
    assert again.arguments == imported.arguments
    assert all(torch.equal(tensor, again.tensors[key]) for key, tensor in imported.tensors.items())


def test_unknown_keys_are_refused_with_a_list(shared: Path) -> None:
    tensors = read_state_dict(shared / "reference-weights" / "junyanz_patchgan_70.pth")
    tensors["model.99.weight"] = torch.zeros(1)
    with pytest.raises(DamagedError, match=r"unknown: model\.99\.weight"):
        import_state_dict(tensors)
    with pytest.raises(DamagedError, match="no known format has these keys: a, b"):
        import_state_dict({"a": torch.zeros(1), "b": torch.zeros(1)})


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("bomb"),))  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".png"])
def test_a_pickle_that_would_run_code_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"evil{suffix}"
    file.write_bytes(pickle.dumps({"model.0.weight": _Bomb()}, protocol=2))
    with pytest.raises(DamagedError, match="was not run"):
        read_state_dict(file)
    torch.save({"model.0.weight": _Bomb()}, file)
    with pytest.raises(DamagedError, match="was not run"):
        read_state_dict(file)
    assert not (tmp_path / "bomb").exists()


def test_what_is_not_a_state_dict_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    for content in (b"", b"PK\x03\x04torn", b"hello", b"\x80\x02."):
        file.write_bytes(content)
        with pytest.raises(DamagedError):
            read_state_dict(file)
    torch.save([1, 2], file)
    with pytest.raises(DamagedError, match="named tensors"):
        read_state_dict(file)
    with pytest.raises(DamagedError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")


# the public code itself, in every form that its options have


@pytest.fixture
def networks(shared: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The public `networks.py`."""
    monkeypatch.syspath_prepend(str(shared / "peers" / "pytorch-CycleGAN-and-pix2pix"))
    module = importlib.import_module("models.networks")
    for name in [name for name in sys.modules if name == "models" or name.startswith("models.")]:
        monkeypatch.delitem(sys.modules, name)
    return module


def _shaken(network: nn.Module) -> nn.Module:
    """With statistics that are not 0 and 1, and biases that are not 0, as after a training."""
    torch.manual_seed(0)
    for key, tensor in network.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            tensor.copy_(torch.randn(tensor.shape) * 0.1)
        elif key.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
        elif tensor.dim() == 4:
            tensor.copy_(torch.randn(tensor.shape) * 0.1)
    return network.eval()


def _agrees(theirs: nn.Module, channels: int, side: int, name: str) -> None:
    """Imports with the same output, exports the same tensors."""
    saved = theirs.state_dict()
    found = import_state_dict(saved)
    assert found.name == name
    x = torch.rand(1, channels, side, side) * 2 - 1
    with torch.inference_mode():
        outputs = [y if isinstance(y, tuple) else (y,) for y in (found.build().eval()(x), theirs(x))]
    assert all((a - b).abs().max() < 1e-4 and float(b.std()) > 0 for a, b in zip(*outputs, strict=True))
    row = next(row for row in FORMATS if str(row) == found.format)
    back = export_state_dict(row, found.arguments, found.tensors)
    assert back.keys() == saved.keys() and all(torch.equal(saved[key], back[key]) for key in saved)
    theirs.load_state_dict(back)


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("depth", [5, 6, 7])
def test_public_unets(networks: ModuleType, norm: str, depth: int) -> None:
    layer = networks.get_norm_layer(norm)
    for width in (2, 6):
        _agrees(_shaken(networks.UnetGenerator(3, 2, depth, width, norm_layer=layer)), 3, 2**depth * 2, "unet")


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("blocks", [6, 9])
@pytest.mark.parametrize("dropout", [False, True])
def test_public_resnets(networks: ModuleType, norm: str, blocks: int, dropout: bool) -> None:
    theirs = networks.ResnetGenerator(1, 3, 2, networks.get_norm_layer(norm), dropout, blocks)
    _agrees(_shaken(theirs), 1, 16, "resnet")


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_public_discriminators(networks: ModuleType, norm: str, layers: int) -> None:
    layer = networks.get_norm_layer(norm)
    _agrees(_shaken(networks.NLayerDiscriminator(6, 2, layers, layer)), 6, 2 ** (layers + 3), "patchgan")
    _agrees(_shaken(networks.PixelDiscriminator(6, 2, layer)), 6, 8, "pixelgan")


def test_dropout_of_a_public_unet_falls_where_it_fell(networks: ModuleType) -> None:
    theirs = networks.UnetGenerator(3, 3, 8, 2, use_dropout=True)
    ours = import_state_dict(theirs.state_dict()).build()
    assert isinstance(ours.dropout, nn.ModuleList)
    assert [isinstance(layer, Dropout) for layer in ours.dropout] == [False, True, True, True, False, False, False]
    assert sum(isinstance(module, nn.Dropout) for module in theirs.modules()) == 3


def test_statistics_that_an_old_instance_norm_saved_are_passed_over(networks: ModuleType) -> None:
    theirs = _shaken(networks.ResnetGenerator(3, 3, 2, networks.get_norm_layer("instance"), False, 6))
    old = theirs.state_dict() | {"model.2.running_mean": torch.ones(2), "model.2.num_batches_tracked": torch.tensor(1)}
    assert import_state_dict(old).arguments["norm"] == "instance"


# networks trained here, in the public code


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", ["unet", "resnet"])
def test_what_is_trained_here_runs_in_the_public_code(
    networks: ModuleType, street: Street, name: str, norm: str
) -> None:
    choice = {"unet": "generator.depth=5", "resnet": "generator.blocks=6"}[name]
    sets = (f"generator.name={name}", choice, f"generator.norm={norm}", f"discriminator.norm={norm}")
    sets += ("generator.width=4", "discriminator.width=4", "optimizer.rate=0.01", "train.batch=2")
    street.done("train", "--data", "tiny", "--name", "b", "--steps", "3", *(x for s in sets for x in ("--set", s)))
    layer = networks.get_norm_layer(norm)
    public = {
        ("unet", "generator"): lambda: networks.UnetGenerator(3, 3, 5, 4, layer, True),
        ("resnet", "generator"): lambda: networks.ResnetGenerator(3, 3, 4, layer, True, 6),
        (name, "discriminator"): lambda: networks.NLayerDiscriminator(6, 4, 3, layer),
    }
    folder = Path("runs/b/checkpoints/00000003")
    state = read_state(folder)
    for role, channels in (("generator", 3), ("discriminator", 6)):
        form = ("--format", "pytorch-CycleGAN-and-pix2pix", "--network", role)
        street.done("weights", "export", "b", f"{role}.pth", *form)
        theirs = public[name, role]()
        theirs.load_state_dict(torch.load(f"{role}.pth", weights_only=True), strict=True)
        row = state["networks"][role]
        ours = (GENERATORS | DISCRIMINATORS)[row["name"]](**row["arguments"])
        ours.load_state_dict(read_part(folder, state, role))
        x = torch.rand(2, channels, 64, 64) * 2 - 1
        with torch.inference_mode():
            expected = ours.eval()(x)
            assert (theirs.eval()(x) - expected).abs().max() < 1e-4 and float(expected.std()) > 1e-4


def test_biases_that_the_public_code_lacks_without_a_norm_are_told() -> None:
    row = next(row for row in FORMATS if str(row) == "pytorch-CycleGAN-and-pix2pix ResNet")
    arguments = {"in_channels": 3, "width": 2, "blocks": 6, "norm": "none"}
    trained = _shaken(GENERATORS["resnet"](**arguments)).state_dict()
    with pytest.raises(UsageError, match=r"no place for blocks\.0\.convolution1\.bias"):
        export_state_dict(row, arguments, trained)


# pix2pixHD: the shapes and names of its public code, in a few lines of our own


def _behind(norm: str, channels: int, activation: nn.Module | None) -> list[nn.Module]:
    layer = nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)
    return [layer] if activation is None else [layer, activation]


class _Judges(nn.Module):
    """Its multi-scale discriminator: the last of its networks sees the whole picture, the one before half of it, ..."""

    def __init__(self, channels: int, width: int, layers: int, norm: str, scales: int, features: bool) -> None:
        super().__init__()
        self.of_scale: list[nn.Sequential] = []
        for i in range(scales):
            widths = [channels, width, *(min(512, width * 2**j) for j in range(1, layers + 1))]
            parts = [nn.Sequential(nn.Conv2d(channels, width, 4, 2, 2), nn.LeakyReLU(0.2))]
            for j in range(1, layers + 1):
                convolution = nn.Conv2d(widths[j], widths[j + 1], 4, 2 if j < layers else 1, 2)
                parts.append(nn.Sequential(convolution, *_behind(norm, widths[j + 1], nn.LeakyReLU(0.2))))
            parts.append(nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))
            if features:
                for j, part in enumerate(parts):
                    self.add_module(f"scale{i}_layer{j}", part)
            else:
                self.add_module(f"layer{i}", nn.Sequential(*(module for part in parts for module in part)))
            self.of_scale.insert(0, nn.Sequential(*parts))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = []
        for network in self.of_scale:
            found.append(network(x))
            x = nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x)
        return tuple(found)

    def state_dict(self, **how: Any) -> dict[str, torch.Tensor]:  # type: ignore[override]
        return {key: t for key, t in super().state_dict(**how).items() if not key.startswith("of_scale")}


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("layers", "scales"), [(3, 1), (3, 2), (3, 3), (1, 2), (2, 2), (4, 2), (6, 1)])
def test_multiscale_discriminators_of_pix2pixhd(layers: int, scales: int, norm: str, features: bool) -> None:
    _agrees(_shaken(_Judges(5, 2, layers, norm, scales, features)), 5, 40, "multiscale")


def test_a_multiscale_discriminator_trained_here_is_saved_as_pix2pixhd_saves_it() -> None:
    row = next(row for row in FORMATS if str(row) == "pix2pixHD multi-scale discriminator")
    arguments = {"in_channels": 6, "width": 2, "norm": "batch", "scales": 2}
    ours = _shaken(DISCRIMINATORS["multiscale"](**arguments))
    saved = export_state_dict(row, arguments, ours.state_dict())
    theirs = _Judges(6, 2, 3, "batch", 2, True).eval()
    assert saved.keys() == theirs.state_dict().keys() and not saved["scale0_layer1.0.bias"].any()
    theirs.load_state_dict(saved, strict=True)
    x = torch.rand(1, 6, 32, 48)
    with torch.inference_mode():
        assert all((a - b).abs().max() < 1e-5 for a, b in zip(ours(x), theirs(x), strict=True))
    with pytest.raises(UsageError, match="knows no norm=none"):
        export_state_dict(row, {**arguments, "norm": "none"}, ours.state_dict())


class _Beside(nn.Module):
    """A residual block as its code names it."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        halves = ((nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)) for _ in range(2))
        first, second = halves
        inside = (*first, *_behind(norm, channels, nn.ReLU()), *second, *_behind(norm, channels, None))
        self.conv_block = nn.Sequential(*inside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


def _coarse_to_fine(channels: int, width: int, halvings: int, norm: str) -> list[nn.Module]:
    """What stands before the blocks."""
    parts = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), *_behind(norm, width, nn.ReLU())]
    for i in range(halvings):
        before, after = width * 2**i, width * 2 ** (i + 1)
        parts += [nn.Conv2d(before, after, 3, 2, 1), *_behind(norm, after, nn.ReLU())]
    return parts


def _fine_again(width: int, halvings: int, blocks: int, norm: str) -> list[nn.Module]:
    """The blocks, and what stands behind them."""
    parts: list[nn.Module] = [_Beside(width * 2**halvings, norm) for _ in range(blocks)]
    for i in reversed(range(halvings)):
        up = nn.ConvTranspose2d(width * 2 ** (i + 1), width * 2**i, 3, 2, 1, output_padding=1)
        parts += [up, *_behind(norm, width * 2**i, nn.ReLU())]
    return parts


class _Enhancer(nn.Module):
    """Its local enhancer: `model` sees the smallest picture, `model1_1` and `model1_2` twice its size, and so on."""

    def __init__(
        self, channels: int, width: int, halvings: int, blocks: tuple[int, int], norm: str, count: int
    ) -> None:
        super().__init__()
        self.count = count
        inner = width * 2**count
        front = _coarse_to_fine(channels, inner, halvings, norm)
        self.model = nn.Sequential(*front, *_fine_again(inner, halvings, blocks[0], norm))
        for i in range(1, count + 1):
            own = width * 2 ** (count - i)
            self.add_module(f"model{i}_1", nn.Sequential(*_coarse_to_fine(channels, own, 1, norm)))
            back = _fine_again(own, 1, blocks[1], norm)
            if i == count:
                back += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
            self.add_module(f"model{i}_2", nn.Sequential(*back))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [x]
        for _ in range(self.count):
            levels.insert(0, nn.AvgPool2d(3, 2, 1, count_include_pad=False)(levels[0]))
        y = self.model(levels[0])
        for i in range(1, self.count + 1):
            y = self.get_submodule(f"model{i}_2")(self.get_submodule(f"model{i}_1")(levels[i]) + y)
        found: torch.Tensor = y
        return found


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(
    ("halvings", "blocks", "count"), [(4, (2, 3), 1), (1, (1, 1), 1), (2, (9, 2), 1), (3, (1, 2), 2)]
)
def test_local_enhancers_of_pix2pixhd(halvings: int, blocks: tuple[int, int], count: int, norm: str) -> None:
    theirs = _shaken(_Enhancer(4, 2, halvings, blocks, norm, count))
    keys = theirs.state_dict().keys()
    # as in the public repository: nothing of the global generator's output, the last convolution behind the blocks
    assert f"model{count}_2.{blocks[1] + 4}.bias" in keys and f"model{count}_1.4.weight" in keys
    assert sum(key.startswith("model.") and ".conv_block." in key and key.endswith("bias") for key in keys) == (
        blocks[0] * (2 if norm == "instance" else 4)
    )
    _agrees(theirs, 4, 2 ** (halvings + count + 1), "local-enhancer")
    tensors = theirs.state_dict()
    for key in (f"model{count}_2.{blocks[1] + 4}.weight", "model.1.bias", "model1_1.4.weight"):
        with pytest.raises(DamagedError, match="looks like pix2pixHD local enhancer"):
            import_state_dict({name: t for name, t in tensors.items() if name != key})


# biases


def test_the_two_public_discriminators_are_one_network(shared: Path) -> None:
    """Batch norm takes up the biases that pytorch-pix2pix has and the other code has not."""
    there = {"in_channels": 6, "width": 4, "receptive_field": 70, "bias": "all"}
    theirs = _shaken(DISCRIMINATORS["patchgan"](**there))
    row = next(row for row in FORMATS if str(row) == "pytorch-pix2pix discriminator")
    saved = export_state_dict(row, there, theirs.state_dict())
    assert {"conv1.weight", "conv2.bias", "conv4_bn.running_var", "conv5.bias"} <= saved.keys()
    found = import_state_dict(saved)
    other = next(row for row in FORMATS if str(row) == "pytorch-CycleGAN-and-pix2pix PatchGAN")
    public = export_state_dict(other, found.arguments, found.tensors)
    assert "model.2.bias" not in public
    x = torch.rand(1, 6, 64, 64)
    with torch.inference_mode():
        assert (import_state_dict(public).build().eval()(x) - theirs(x)).abs().max() < 1e-5


def test_a_network_trained_here_fits_pytorch_pix2pix() -> None:
    ours = _shaken(GENERATORS["unet"](3, 3, width=2, depth=8))
    row = next(row for row in FORMATS if str(row) == "pytorch-pix2pix generator")
    saved = export_state_dict(row, {"in_channels": 3, "out_channels": 3, "width": 2, "depth": 8}, ours.state_dict())
    assert not saved["conv2.bias"].any() and not saved["conv1.bias"].any() and saved["deconv8.bias"].any()
    x = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        assert (import_state_dict(saved).build().eval()(x) - ours(x)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("layer5.conv2d_list.0.weight", "AdaptSegNet"), ("classifier.conv2d_list.0.weight", "VGG-16"),
        ("layer1.0.conv1.weight", "torchvision's ResNet"), ("features.0.weight", "VGG"),
    ],
)  # fmt: skip
def test_layouts_that_are_known_by_sight_are_named(key: str, what: str) -> None:
    with pytest.raises(DamagedError, match=f"{what}.*not supported"):
        import_state_dict({key: torch.zeros(2, 3, 7, 7)})


@pytest.mark.parametrize(
    "name",
    [
        *("junyanz_unet_256", "junyanz_resnet_9blocks", "junyanz_patchgan_70"),
        *("pix2pixhd_global", "pix2pixhd_multiscale_d2"),
    ],
)
def test_shapes_that_contradict_each_other_are_refused(shared: Path, name: str) -> None:
    tensors = read_state_dict(shared / "reference-weights" / f"{name}.pth")
    for key in list(tensors)[:6]:
        for other in (torch.zeros(5), torch.zeros(1, 1, 1, 1), torch.zeros(())):
            if other.shape != tensors[key].shape:
                with pytest.raises(DamagedError):
                    import_state_dict({**tensors, key: other})
        with pytest.raises(DamagedError):
            import_state_dict({k: t for k, t in tensors.items() if k != key})
