"""Public state dicts load into our modules and compute what the public code computed."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from citygan.errors import DamagedError
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.layers import Dropout
from citygan.weights import FORMATS, import_state_dict, read_state_dict
from citygan.weights.layouts import export_state_dict


@pytest.mark.parametrize(
    "name",
    ["junyanz_unet_256", "junyanz_resnet_9blocks", "junyanz_patchgan_70", "znxlwm_generator", "pix2pixhd_global"],
)
def test_reference_weights_reproduce_the_stored_output(shared: Path, name: str) -> None:
    folder = shared / "reference-weights"
    saved = read_state_dict(folder / f"{name}.pth")
    imported = import_state_dict(saved)
    row = next(row for row in FORMATS if str(row) == imported.format)
    back = export_state_dict(row, imported.arguments, imported.tensors)
    assert back.keys() == saved.keys() and all(torch.equal(saved[key], back[key]) for key in saved)
    network = imported.build().eval()
    stored = np.load(folder / f"{name}.npz")
    with torch.inference_mode():
        output = network(torch.from_numpy(stored["input"]))
    assert np.abs(output.numpy() - stored["output0"]).max() < 1e-4


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
        assert (found.build().eval()(x) - theirs(x)).abs().max() < 1e-4
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
        ("layer5.conv2d_list.0.weight", "AdaptSegNet"), ("model1_1.1.weight", "local enhancer"),
        ("layer1.0.conv1.weight", "torchvision's ResNet"), ("features.0.weight", "VGG"),
    ],
)  # fmt: skip
def test_layouts_that_are_known_by_sight_are_named(key: str, what: str) -> None:
    with pytest.raises(DamagedError, match=f"{what}.*not supported"):
        import_state_dict({key: torch.zeros(2, 3, 7, 7)})


@pytest.mark.parametrize(
    "name", ["junyanz_unet_256", "junyanz_resnet_9blocks", "junyanz_patchgan_70", "pix2pixhd_global"]
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
