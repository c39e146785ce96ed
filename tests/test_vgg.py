"""VGG-19 as features: torchvision's arithmetic, published weights, what is trained and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from citygan.errors import DamagedError, MachineError, UsageError
from citygan.losses.perceptual import perceptual
from citygan.models.pretrained import Pretrainable
from citygan.models.trunk import IMAGENET_DEVIATION, IMAGENET_MEAN
from citygan.models.vgg import SLICES, VGG19, stages
from citygan.starting import fill_published

NAMES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def state(layers: nn.Module) -> dict[str, Tensor]:
    return {f"features.{key}": tensor for key, tensor in layers.state_dict().items()}


@pytest.fixture(scope="module")
def theirs() -> nn.Sequential:
    """torchvision's VGG-19 without its linear layers, with random weights."""
    torch.manual_seed(0)
    features: nn.Sequential = torchvision.models.vgg19(weights=None).features
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.bias, 0.0, 0.1)  # type: ignore[arg-type]
    return features.eval()


def named(layers: nn.Sequential) -> dict[str, int]:
    """Where the ReLUs stand, by the names that papers call them: relu2_1 follows the first convolution of stage 2."""
    found: dict[str, int] = {}
    stage, number = 1, 0
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            number += 1
            found[f"relu{stage}_{number}"] = i
        elif isinstance(layer, nn.MaxPool2d):
            stage, number = stage + 1, 0
    return found


@torch.no_grad()
def test_the_maps_are_those_of_torchvision(theirs: nn.Sequential) -> None:
    network = VGG19()
    network.load_pretrained(state(theirs))
    for key, tensor in network.features.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[key])
    places = named(theirs)
    assert tuple(places[name] for name in NAMES) == SLICES
    x = torch.rand(2, 3, 48, 37) * 2 - 1
    maps = network(x)
    assert [tuple(each.shape[1:]) for each in maps] == [
        (64, 48, 37), (128, 24, 18), (256, 12, 9), (512, 6, 4), (512, 3, 2),
    ]  # fmt: skip
    for name, found in zip(NAMES, maps, strict=True):
        expected = theirs[: places[name] + 1](x)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert found.any()


@torch.no_grad()
def test_the_picture_is_shown_as_it_is_or_as_imagenet_was(theirs: nn.Sequential) -> None:
    plain, normalised = VGG19(), VGG19(normalise=True)
    for network in (plain, normalised):
        network.load_pretrained(state(theirs))
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    for one, other in zip(normalised(x), plain(((x + 1) / 2 - mean) / deviation), strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(plain(x)[0], normalised(x)[0])


@torch.no_grad()
def test_grey_is_taken_for_all_three_colours() -> None:
    network = VGG19(width=2)
    grey = torch.rand(2, 1, 16, 16)
    for one, other in zip(network(grey), network(grey.repeat(1, 3, 1, 1)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("width", [2, 64])
def test_the_weights_stay_and_the_picture_has_a_gradient(width: int) -> None:
    network = VGG19(width)
    assert isinstance(network, Pretrainable)
    assert network.published_shape == (width == 64)
    fake = torch.rand(1, 3, 32, 32, requires_grad=True)
    before = fake.detach().clone()
    with torch.no_grad():
        real = network(torch.rand(1, 3, 32, 32))
    perceptual(network(fake), real).backward()
    assert fake.grad is not None and bool(fake.grad.abs().sum((2, 3)).all())
    assert torch.equal(fake, before)  # no layer writes into the picture
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())
    assert [each.grad_fn for each in real] == [None] * 5


def test_random_weights_neither_vanish_nor_explode() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        maps = VGG19(width=16)(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert all(0.05 < float(each.std()) < 5 for each in maps)


def test_what_does_not_fit_is_refused() -> None:
    network = VGG19(width=2)
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        network(torch.rand(1, 4, 32, 32))
    with pytest.raises(ValueError, match="at least 16, got 40x15"):
        network(torch.rand(1, 3, 15, 40))
    assert network(torch.rand(1, 3, 16, 40))[-1].shape[2:] == (1, 2)


def test_of_published_weights_what_is_needed_is_taken_and_the_rest_must_be_known() -> None:
    network, full = VGG19(width=2), stages((2, 2, 4, 4, 4), 2)
    tensors = state(full) | {"classifier.0.weight": torch.zeros(1)}
    network.load_pretrained(tensors)
    assert torch.equal(network.features[28].weight, full[28].weight)
    with pytest.raises(ValueError, match=r"unknown features\.36\.weight"):
        network.load_pretrained(tensors | {"features.36.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"no features\.28\.bias"):
        network.load_pretrained({key: tensor for key, tensor in tensors.items() if key != "features.28.bias"})
    with pytest.raises(ValueError, match=r"features\.0\.weight is \(3, 3, 3, 3\) there and \(2, 3, 3, 3\) here"):
        network.load_pretrained(state(stages((2, 2, 4, 4, 4), 3)))


def test_it_is_filled_from_torchs_folder_a_file_or_not_at_all(
    theirs: nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = VGG19()
    with pytest.raises(MachineError, match=r"(?s)no weights 'vgg19'.*dcbb9e9d.*weights fetch vgg19"):
        fill_published(network, None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    file = folder / "vgg19-dcbb9e9d.pth"
    torch.save(state(theirs), file)
    with pytest.raises(DamagedError, match="not dcbb9e9d"):
        fill_published(network, None)
    found = fill_published(network, str(file.rename(tmp_path / "mine.pth")))
    assert found.sha256 == hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert torch.equal(network.features[28].weight, theirs[28].weight)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert fill_published(network, "random").path is None
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    with pytest.raises(UsageError, match="whose width is not 64"):
        fill_published(VGG19(width=2), None)
