"""Segmenters: one contract for all, and what each has of its paper."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from citygan.errors import MachineError
from citygan.losses.segmentation import cross_entropy
from citygan.models import SEGMENTERS
from citygan.models.fcn import FCN8s, bilinear
from citygan.models.segmenters import DeepLabV3, PSPNet, UNetSegmenter
from citygan.models.trunk import IMAGENET_DEVIATION, IMAGENET_MEAN, ImageNetInput

SMALLEST: dict[str, Any] = {"width": 4, "depth": 3, "backbone": "resnet18"}


def made(name: str, classes: int = 5) -> nn.Module:
    """A segmenter, as narrow as it can be."""
    if name == "pspnet":
        pytest.importorskip("segmentation_models_pytorch")
    takes = inspect.signature(SEGMENTERS[name]).parameters
    offered = {
        key: value for key, value in SMALLEST.items() if key in takes and (key, name) != ("backbone", "deeplabv3")
    }
    torch.manual_seed(0)
    return SEGMENTERS[name](classes=classes, **offered)


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (40, 24)])
@pytest.mark.parametrize("count", [1, 2])
def test_scores_have_the_size_of_the_photo_or_the_multiple_is_named(
    name: str, size: tuple[int, int], count: int
) -> None:
    network = made(name)
    multiple = getattr(network, "multiple", 1)
    x = torch.rand(count, 3, *size) * 2 - 1
    if size[0] % multiple or size[1] % multiple:
        with pytest.raises(ValueError, match=rf"divisible by {multiple}, got 47x33: pad to 48x40"):
            network(x)
        return
    logits = network(x)
    assert logits.shape == (count, 5, *size) and logits.dtype == torch.float32
    cross_entropy(logits, torch.randint(0, 5, (count, *size))).backward()
    missing = [key for key, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing
    assert network.eval()(x[:1]).shape == (1, 5, *size)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_smallest_photo_can_be_learnt_from_at_batch_1(name: str) -> None:
    network = made(name)
    side = getattr(network, "multiple", 1)
    assert torch.isfinite(network(torch.rand(1, 3, side, side))).all()


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters_are_decided_by_the_seed_and_outside_training_by_the_photo_alone(name: str) -> None:
    first, again = made(name), made(name)
    for own, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(own, other)
    first.eval(), again.eval()
    if isinstance(first, FCN8s):
        for network in (first, again):
            torch.manual_seed(3)
            nn.init.normal_(network.score3.weight)  # type: ignore[union-attr]
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        both = first(x)
        assert torch.equal(both, again(x)) and float(both.std()) > 0
        torch.testing.assert_close(first(x[1:]), both[1:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters_are_described_without_memory(name: str) -> None:
    """As they are where a checkpoint's record is read."""
    with torch.device("meta"):
        shapes = {key: t.shape for key, t in made(name).state_dict().items()}
    assert shapes == {key: t.shape for key, t in made(name).state_dict().items()}


def test_photos_reach_trunks_as_imagenet_had_them() -> None:
    x = torch.rand(2, 3, 4, 5)
    expected = (x - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_DEVIATION)[:, None, None]
    torch.testing.assert_close(ImageNetInput()(x * 2 - 1), expected)


# FCN-8s


def test_fcn_has_the_layers_of_vgg16_and_takes_its_weights() -> None:
    torch.manual_seed(1)
    with torch.device("meta"):
        full, theirs = FCN8s(21), torchvision.models.vgg16(weights=None)
    assert {k: t.shape for k, t in full.features.state_dict().items()} == {
        k: t.shape for k, t in theirs.features.state_dict().items()
    }
    scores, enlargements = 21 * (4096 + 512 + 256 + 3), 2 * 21 * 21 * 16
    linear = sum(p.numel() for k, p in theirs.named_parameters() if k.startswith(("classifier.0", "classifier.3")))
    convolutions = sum(p.numel() for p in theirs.features.parameters())
    assert sum(p.numel() for p in full.parameters()) == convolutions + linear + scores + enlargements
    # VGG-16, narrow: what its linear layers are for 7x7 pixels
    network = FCN8s(5, width=2)
    tensors: dict[str, Tensor] = {
        f"features.{k}": torch.randn_like(t) for k, t in network.features.state_dict().items()
    }
    tensors |= {"classifier.0.weight": torch.randn(128, 16 * 49), "classifier.0.bias": torch.randn(128)}
    tensors |= {"classifier.3.weight": torch.randn(128, 128), "classifier.3.bias": torch.randn(128)}
    network.load_pretrained(tensors | {"classifier.6.weight": torch.randn(1000, 128)})
    x = torch.randn(1, 16, 7, 7)
    with torch.no_grad():
        by_hand = F.linear(x.flatten(1), tensors["classifier.0.weight"], tensors["classifier.0.bias"])
        torch.testing.assert_close(network.fc6(x).flatten(1), by_hand, rtol=1e-4, atol=1e-3)
    assert not network.score.weight.any()
    with pytest.raises(ValueError, match=r"fc6\.weight is \(128, 49\) there"):
        network.load_pretrained(tensors | {"classifier.0.weight": torch.randn(128, 49)})
    with pytest.raises(ValueError, match=r"no fc7\.weight"):
        network.load_pretrained({k: t for k, t in tensors.items() if not k.startswith("classifier.3")})


def test_fcn_begins_with_scores_of_zero_and_bilinear_enlargements() -> None:
    network = FCN8s(3, width=2)
    assert not network(torch.rand(1, 3, 30, 40)).any()
    even = torch.zeros(1, 3, 6, 6)
    even[:, 1] = 2.0
    with torch.no_grad():
        inner = network.enlarge32(even)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(inner[:, 1], torch.full_like(inner[:, 1], 2.0))
    assert not inner[:, ::2].any()
    assert "enlarge8" not in dict(network.named_parameters())
    # four pixels out of each, as PyTorch's own enlargement has them away from the border
    x = torch.rand(1, 1, 6, 6)
    ours = F.conv_transpose2d(x, bilinear(16).view(1, 1, 16, 16), stride=8)[:, :, 4:-4, 4:-4]
    theirs = F.interpolate(x, scale_factor=8, mode="bilinear")
    torch.testing.assert_close(ours[:, :, 8:-8, 8:-8], theirs[:, :, 8:-8, 8:-8])


@pytest.mark.parametrize("size", [(160, 160), (147, 165)])
@pytest.mark.parametrize("stage", [3, 4, 5])
def test_scores_of_every_stage_lie_over_the_pixels_they_are_for(stage: int, size: tuple[int, int]) -> None:
    """Of a slope that passes every layer unchanged, each stage sees its window's last pixel: half a window too far."""
    network = FCN8s(1, width=1)
    network.input = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        for layer in network.features:
            if isinstance(layer, nn.Conv2d):
                layer.weight[0, 0, 1, 1] = 1
        network.fc6.weight[0, 0, 3, 3] = network.fc7.weight[0, 0] = 1
        network.score.weight[:, 0] = float(stage == 5)
        network.score4.weight[:, 0] = float(stage == 4)
        network.score3.weight[:, 0] = float(stage == 3)
        for enlarge in (network.enlarge32, network.enlarge16):
            enlarge.weight.copy_(bilinear(4)[None, None])
        slope = torch.arange(1000.0, 1000.0 + size[1]).expand(1, 3, *size)
        y = network.eval()(slope)[0, 0]
    inner = slice(48, -48)
    expected = slope[0, 0] + (2**stage - 1) / 2
    torch.testing.assert_close(y[inner, inner], expected[inner, inner])


# the others


def test_deeplabv3_is_torchvisions_with_another_last_layer() -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, aux_loss=True
    ).eval()
    ours = DeepLabV3(4)
    assert isinstance(theirs.classifier, nn.Sequential)
    last = ours.network.classifier[4].weight.clone()
    ours.load_pretrained(theirs.state_dict())
    assert torch.equal(ours.network.classifier[4].weight, last)
    theirs.classifier[4] = ours.network.classifier[4]
    x = torch.rand(1, 3, 33, 47)
    with torch.no_grad():
        expected = theirs(torchvision.transforms.functional.normalize(x, IMAGENET_MEAN, IMAGENET_DEVIATION))["out"]
        torch.testing.assert_close(ours.eval()(x * 2 - 1), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="resnet50, resnet101, got 'vgg16'"):
        DeepLabV3(4, backbone="vgg16")


def test_pspnet_stands_on_a_dilated_trunk_with_published_weights() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    network = PSPNet(4, backbone="resnet18")
    theirs = torchvision.models.resnet18(weights=None)
    network.load_pretrained(theirs.state_dict())
    assert torch.equal(network.network.encoder.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    with torch.no_grad():
        assert network.network.encoder(torch.rand(1, 3, 64, 32))[-1].shape == (1, 512, 8, 4)
    with pytest.raises(ValueError, match="got 'vgg16'"):
        PSPNet(4, backbone="vgg16")


def test_pspnet_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(MachineError, match=r"segmentation-models-pytorch.*pip install 'citygan\[segment\]'"):
        PSPNet(4)


def test_the_small_unet_learns_and_has_the_size_it_says() -> None:
    network = made("unet-seg", classes=2)
    assert isinstance(network, UNetSegmenter)
    assert sum(p.numel() for p in UNetSegmenter(19).parameters()) == 1_964_403
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    torch.manual_seed(0)
    photos = torch.rand(4, 3, 32, 32) * 2 - 1
    labels = (F.avg_pool2d(photos[:, :1], 5, 1, 2)[:, 0] > 0).long()
    labels[:, 0] = 255
    for _ in range(30):
        optimizer.zero_grad()
        cross_entropy(network(photos), labels).backward()
        optimizer.step()
    right = network(photos).argmax(1) == labels
    assert float(right[:, 1:].float().mean()) > 0.9
