"""Networks: the paper's shapes, receptive fields, initialisation and behaviour at test time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.convolution import Scoring
from citygan.models.deeplab import DeepLabGenerator
from citygan.models.enhancer import LocalEnhancer
from citygan.models.layers import BatchNorm2d, Dropout, InstanceNorm2d, norm_layer, pyramid
from citygan.models.layers import test_time as at_test_time
from citygan.models.patchgan import PatchGAN, PixelGAN
from citygan.models.resnet import ResNet
from citygan.models.resnet18 import ResNet18
from citygan.models.trunk import Trunk, widened
from citygan.models.unet import EnhancedUNet, UNet, unet_depth
from citygan.weights import read_state_dict

FIRST_NORMS = [("unet", "batch"), ("unet", "instance"), ("unet", "none"), ("resnet", "instance"), ("resnet", "none")]


def made(table: Mapping[str, type[nn.Module]], name: str, **offered: Any) -> nn.Module:
    """A network of a table, narrow, with what its constructor takes of the arguments."""
    takes = inspect.signature(table[name]).parameters
    offered = {"width": 4, "depth": 5, "blocks": 2, "halvings": 2, "out_channels": 3} | offered
    torch.manual_seed(0)
    return table[name](**{key: value for key, value in offered.items() if key in takes})


def judged(discriminator: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The logits of every scale, of which most have one."""
    logits = discriminator(x)
    return (logits,) if isinstance(logits, torch.Tensor) else logits


def check_gradients(network: nn.Module) -> None:
    missing = [name for name, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(64, 64), (64, 128)])
@pytest.mark.parametrize("count", [1, 2])
def test_generators_keep_the_size_and_pass_gradients_to_all_weights(
    name: str, size: tuple[int, int], count: int
) -> None:
    generator = made(GENERATORS, name, in_channels=5)
    x = torch.rand(count, 5, *size, requires_grad=True)
    y = generator(x)
    assert y.shape == (count, 3, *size)
    assert y.abs().max() <= 1
    y.mean().backward()
    check_gradients(generator)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(33, 47), (4, 4)])
def test_generators_keep_any_size_or_name_the_multiple_that_they_need(name: str, size: tuple[int, int]) -> None:
    generator = made(GENERATORS, name, in_channels=3)
    multiple, smallest = getattr(generator, "multiple", 1), getattr(generator, "smallest", 1)
    try:
        assert generator(torch.rand(1, 3, *size)).shape == (1, 3, *size)
    except ValueError as problem:
        assert f"divisible by {multiple}" in str(problem) or f"at least {smallest}" in str(problem)
    side = max(multiple, smallest)
    assert generator(torch.rand(1, 3, side, side)).shape == (1, 3, side, side)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_decided_by_the_seed(name: str) -> None:
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        first, again = (made(GENERATORS, name, in_channels=3, dropout=0.0)(x) for _ in range(2))
    assert torch.equal(first, again)
    assert float(first.std()) > 0


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("side", [32, 64])
def test_discriminators_pass_gradients_to_all_weights(name: str, side: int) -> None:
    discriminator = made(DISCRIMINATORS, name, in_channels=6, photo_channels=3)
    logits = judged(discriminator, torch.rand(2, 6, side, side))
    assert all(x.shape[:2] == (2, 1) and x.dim() == 4 for x in logits)
    torch.stack([x.mean() for x in logits]).sum().backward()
    check_gradients(discriminator)
    alone = judged(discriminator, torch.rand(1, 6, side, side))
    assert [x.shape for x in alone] == [(1, *x.shape[1:]) for x in logits]


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("channels", [1, 3])
def test_discriminators_without_a_condition_see_the_photo_alone(name: str, channels: int) -> None:
    discriminator = made(DISCRIMINATORS, name, in_channels=channels, photo_channels=channels)
    assert all(torch.isfinite(x).all() for x in judged(discriminator, torch.rand(1, channels, 32, 32)))


def test_unet_has_the_channels_and_parameters_of_the_paper() -> None:
    network = UNet(3, 3)
    assert [c.out_channels for c in network.down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [c.in_channels for c in network.up] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert [type(d).__name__ for d in network.dropout] == ["Dropout"] * 3 + ["Identity"] * 4
    weights = sum(p.numel() for p in network.parameters())
    assert round(weights / 1e6, 1) == 54.4
    assert round(sum(p.numel() for p in PatchGAN(6).parameters()) / 1e6, 1) == 2.8


def test_patchgan_of_256_gives_30_by_30() -> None:
    assert PatchGAN(6, width=4)(torch.zeros(1, 6, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("field", [1, 16, 70, 286])
def test_receptive_field_is_the_one_in_the_name(field: int) -> None:
    network = PixelGAN(1, width=2) if field == 1 else PatchGAN(1, width=2, receptive_field=field)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # batch statistics would let every pixel reach every output
    x = torch.rand(1, 1, 640, 640, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert x.grad is not None
    rows, columns = (x.grad[0, 0] != 0).nonzero().unbind(1)
    assert int(rows.max() - rows.min()) + 1 == field
    assert int(columns.max() - columns.min()) + 1 == field


INITIALISED: dict[str, Callable[[], nn.Module]] = {
    "unet": lambda: UNet(3, 3, width=32, depth=5),
    "unet with biases": lambda: UNet(3, 3, width=32, depth=5, bias="all"),
    "enhanced": lambda: EnhancedUNet(3, 3, width=32, depth=5),
    "resnet": lambda: ResNet(3, 3, width=32, blocks=3),
    "resnet with biases": lambda: ResNet(3, 3, width=32, blocks=3, bias="all"),
    "patchgan": lambda: PatchGAN(6, width=32),
    "patchgan with biases": lambda: PatchGAN(6, width=32, bias="all"),
    "pixelgan": lambda: PixelGAN(6, width=256),
    "pixelgan with biases": lambda: PixelGAN(6, width=256, bias="all"),
}


@pytest.mark.parametrize("name", INITIALISED)
def test_weights_start_as_in_the_paper(name: str) -> None:
    """N(0, 0.02) and biases 0 (pix2pix, section 6.2), gains N(1, 0.02) as in its code: of every layer by itself."""
    torch.manual_seed(0)
    network = INITIALISED[name]()
    layers = 0
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            continue
        layers += 1
        mean = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
        weight = module.weight.detach()
        few = weight.numel() ** -0.5  # the spread of what is measured
        assert abs(float(weight.mean()) - mean) < 4 * 0.02 * few
        assert abs(float(weight.std()) - 0.02) < 4 * 0.02 * few
        if module.bias is not None:
            assert torch.equal(module.bias, torch.zeros_like(module.bias))
    assert layers == sum(1 for module in network.modules() if list(module.parameters(recurse=False)))


@pytest.mark.parametrize("name", ["unet", "enhanced", "resnet"])
def test_dropout_is_a_half_unless_told_otherwise_and_stands_where_the_paper_has_it(name: str) -> None:
    """Three innermost decoder layers of the U-Nets, behind their norms; in each block of ResNets, between the two."""
    table: dict[str, type[nn.Module]] = {"unet": UNet, "enhanced": EnhancedUNet, "resnet": ResNet}
    network = table[name](3, 3, width=2)
    assert all(m.rate == 0.5 for m in network.modules() if isinstance(m, Dropout))
    order: list[str] = []
    for path, module in network.named_modules():
        if path and not list(module.children()):
            module.register_forward_hook(lambda *_, path=path: order.append(path))
    side = 2 ** UNet(3, width=1).depth
    network(torch.rand(2, 3, side, side))
    found = [order[i - 1 : i + 2] for i, path in enumerate(order) if isinstance(network.get_submodule(path), Dropout)]
    if name == "resnet":
        assert found == [[f"blocks.{i}.{part}" for part in ("norm1", "dropout", "convolution2")] for i in range(9)]
    else:
        assert found == [[f"up_norm.{i}", f"dropout.{i}", f"up.{i + 1}"] for i in range(3)]
    for rate in (0.0, 0.25):
        again = table[name](3, 3, width=2, dropout=rate)
        rates = [m.rate for m in again.modules() if isinstance(m, Dropout)]
        assert rates == ([] if rate == 0 else [rate] * len(found))


@pytest.mark.parametrize(
    ("size", "depth"),
    [((256, 256), 8), ((512, 256), 8), ((2048, 1024), 8), ((128, 128), 7), ((256, 192), 6), ((48, 32), 4)],
)
def test_depth_follows_the_size(size: tuple[int, int], depth: int) -> None:
    assert unet_depth(*size) == depth


def test_a_size_that_cannot_be_halved_is_refused_with_one_that_can() -> None:
    with pytest.raises(ValueError, match="expected sides divisible by 32, got 250x130: pad to 256x160"):
        UNet(3, 3, width=2, depth=5)(torch.zeros(1, 3, 130, 250))


def _trained(name: str = "unet") -> nn.Module:
    network = made(GENERATORS, name, in_channels=3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("statistics", ["picture", "running"])
@pytest.mark.parametrize("dropout_seed", [None, 3])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_picture_never_depends_on_its_neighbours(name: str, statistics: str, dropout_seed: int | None) -> None:
    network = _trained(name)
    x = torch.rand(3, 3, 64, 64) * torch.tensor([0.1, 1.0, 5.0])[:, None, None, None]
    with torch.no_grad():
        together, alone = [], []
        with at_test_time(network, statistics=statistics, dropout_seed=dropout_seed):  # type: ignore[arg-type]
            together = network(x)
        for i in range(3):
            with at_test_time(network, statistics=statistics, dropout_seed=dropout_seed):  # type: ignore[arg-type]
                alone.append(network(x[i : i + 1]))
    # a hundred norms of small maps, one behind another, let roundings grow
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4 if name == "deeplabv3" else 1e-5)


def test_at_test_time_dropout_draws_by_its_seed_and_training_goes_on_as_before() -> None:
    network = _trained()
    x = torch.rand(1, 3, 64, 64)

    def run(seed: int | None) -> torch.Tensor:
        with torch.no_grad(), at_test_time(network, statistics="picture", dropout_seed=seed):
            return network(x)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert not torch.equal(run(1), run(None))
    assert network.training
    assert all(m.statistics == "running" for m in network.modules() if hasattr(m, "statistics"))


def test_picture_statistics_are_those_of_batch_norm_at_batch_1() -> None:
    network = _trained()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        with at_test_time(network, statistics="picture", dropout_seed=None):
            shown = network(x)
        for module in network.modules():
            if type(module).__name__ == "Dropout":
                module.rate = 0.0
        torch.testing.assert_close(shown, network.train()(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("part", [slice(None), slice(0, 5), slice(None, None, 2)])
def test_statistics_of_each_picture_are_right_however_it_lies_in_memory(part: slice, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    norm = BatchNorm2d(4).to(dtype).eval()
    norm.statistics = "picture"
    nn.init.normal_(norm.weight)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(3, 4, 6, 8, dtype=dtype).to(memory_format=layout)[..., part]
        with torch.no_grad():
            y = norm(x)
            expected = torch.stack([F.batch_norm(p[None], None, None, norm.weight, norm.bias, True)[0] for p in x])
        torch.testing.assert_close(y, expected)


# options of the U-Net


def test_the_encoder_decoder_is_the_unet_with_its_skips_severed() -> None:
    network = UNet(3, 3, skips=False)
    assert [c.in_channels for c in network.up] == [512, 512, 512, 512, 512, 256, 128, 64]
    assert [c.out_channels for c in network.up] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [type(d).__name__ for d in network.dropout] == ["Dropout"] * 3 + ["Identity"] * 4
    # every input of the decoder comes through the bottleneck: what is cut there never arrives
    small = UNet(3, 3, width=2, depth=4, skips=False, dropout=0.0)
    small.down[-1].register_forward_hook(lambda *_: torch.zeros(1, 16, 1, 1))
    with torch.no_grad():
        assert torch.equal(small(torch.rand(1, 3, 16, 16)), small(torch.zeros(1, 3, 16, 16)))


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", ["unet", "enhanced"])
def test_resizes_take_the_place_of_transposed_convolutions(name: str, upsample: str) -> None:
    network = made(GENERATORS, name, in_channels=3, upsample=upsample)
    assert not [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    network(torch.rand(1, 3, 32, 64)).mean().backward()
    check_gradients(network)
    with pytest.raises(ValueError, match="transposed, nearest or bilinear, got 'cubic'"):
        made(GENERATORS, name, in_channels=3, upsample="cubic")


def test_a_resize_and_a_convolution_keep_even_colour_even_where_a_transposed_one_does_not() -> None:
    even = torch.ones(1, 2, 8, 8)
    with torch.no_grad():
        for upsample in ("nearest", "bilinear", "transposed"):
            torch.manual_seed(0)
            layer = UNet(3, 3, width=2, depth=4, upsample=upsample).up[0].eval()  # type: ignore[arg-type]
            inner = layer(even.repeat(1, layer.in_channels // 2, 1, 1))[..., 2:-2, 2:-2]
            assert (float(inner.flatten(2).std(dim=2).max()) < 1e-6) == (upsample != "transposed")


@pytest.mark.parametrize(("name", "norm"), FIRST_NORMS)
@pytest.mark.parametrize("bias", ["needed", "output", "all"])
def test_biases_stand_where_they_are_asked_for(name: str, norm: str, bias: str) -> None:
    network = made(GENERATORS, name, in_channels=3, norm=norm, bias=bias)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    biased = sum(m.bias is not None for m in convolutions)
    bare = 3 if name == "unet" else 1
    assert (
        biased == {"needed": len(convolutions) if norm == "none" else bare, "output": 1, "all": len(convolutions)}[bias]
    )
    network(torch.rand(1, 3, 32, 32)).mean().backward()
    check_gradients(network)


@pytest.mark.parametrize("name", ["patchgan", "pixelgan"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("bias", ["needed", "ends", "first", "all"])
def test_biases_of_discriminators(name: str, norm: str, bias: str) -> None:
    if bias == ("first" if name == "patchgan" else "ends"):
        return
    network = made(DISCRIMINATORS, name, in_channels=6, norm=norm, bias=bias)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    every = len(convolutions)
    expected = {"needed": every if norm == "none" else 2, "ends": 2, "first": 1, "all": every}[bias]
    assert sum(m.bias is not None for m in convolutions) == expected
    network(torch.rand(1, 6, 64, 64)).mean().backward()
    check_gradients(network)


def test_the_enhanced_unet_has_a_norm_after_every_convolution_but_the_last() -> None:
    enhanced, base = EnhancedUNet(3, width=4, depth=6), UNet(3, width=4, depth=6)
    norms = [[type(norm).__name__ for norm in network.down_norm] for network in (enhanced, base)]
    assert norms[0] == ["BatchNorm2d"] * 6
    assert norms[1] == ["Identity", *["BatchNorm2d"] * 4, "Identity"]
    assert len(enhanced.up_norm) == len(enhanced.up) - 1
    assert [type(d).__name__ for d in enhanced.dropout] == ["Dropout"] * 3 + ["Identity"] * 2
    assert [c.in_channels for c in enhanced.up] == [c.in_channels for c in base.up]


def test_norms_of_one_value_neither_zero_it_nor_raise() -> None:
    x = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1)
    batch = norm_layer("batch", 2)
    with torch.no_grad():
        torch.testing.assert_close(batch(x), x, rtol=1e-4, atol=0)  # in training, statistics untouched
        assert torch.equal(batch.running_mean, torch.zeros(2)) and int(batch.num_batches_tracked) == 0
        assert float(batch(torch.cat([x, -x])).abs().min()) == pytest.approx(1, abs=1e-4)  # two have statistics
        batch.running_mean.fill_(1.0)
        with at_test_time(nn.ModuleList([batch]), statistics="picture", dropout_seed=None):
            torch.testing.assert_close(batch(torch.cat([x, x]))[:1], batch(x))
        assert torch.equal(norm_layer("instance", 2)(x), x)
    with pytest.raises(ValueError, match="batch, instance, none, got 'group'"):
        norm_layer("group", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("grad", [True, False])
def test_instance_norm_is_that_of_pytorch(count: int, grad: bool) -> None:
    x = (torch.rand(count, 4, 5, 7) * 9 - 2).contiguous(memory_format=torch.channels_last)
    with torch.set_grad_enabled(grad):
        ours, theirs = InstanceNorm2d(4), nn.InstanceNorm2d(4)
        for network in (ours, ours.eval()):
            torch.testing.assert_close(network(x), theirs(x))
    assert not list(ours.parameters()) and not list(ours.buffers())


# ResNet


def test_resnet_has_the_layers_and_parameters_of_the_public_one() -> None:
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in ResNet(3, 3, 64, n, norm="instance", bias="all").parameters()) for n in (6, 9)]
    assert [round(size / 1e6, 3) for size in sizes] == [7.838, 11.378]
    network = ResNet(3, width=4)
    assert len(network.blocks) == 9
    assert [c.out_channels for c in [network.first, *network.down, *network.up, network.output]] == [4, 8, 16, 8, 4, 3]


def test_resnet_computes_what_the_public_one_computed(shared: Path) -> None:
    folder = shared / "reference-weights"
    tensors = read_state_dict(folder / "junyanz_resnet_9blocks.pth")
    network = ResNet(3, 3, 4, 9, norm="instance", bias="all").eval()
    own = network.state_dict()
    assert [t.shape for t in own.values()] == [t.shape for t in tensors.values()]  # in the same order, too
    network.load_state_dict(dict(zip(own, tensors.values(), strict=True)))
    stored = np.load(folder / "junyanz_resnet_9blocks.npz")
    with torch.inference_mode():
        output = network(torch.from_numpy(stored["input"]))
    assert np.abs(output.numpy() - stored["output0"]).max() < 1e-4


# pix2pixHD


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_every_scale_sees_the_picture_at_half_the_size_of_the_one_before(scales: int) -> None:
    network = made(DISCRIMINATORS, "multiscale", in_channels=3, scales=scales)
    seen: list[torch.Size] = []
    for scale in network.scales:  # type: ignore[union-attr]
        scale.convolutions[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    x = torch.rand(1, 3, 50, 67)
    maps = network(x, features=True)
    assert seen == [(1, 3, 50, 67), (1, 3, 25, 34), (1, 3, 13, 17)][:scales]  # once each
    assert [len(of_scale) for of_scale in maps] == [5] * scales
    assert [m.shape[1] for m in maps[0]] == [4, 8, 16, 32, 1]
    network.eval()
    logits = network(x)
    assert all(torch.equal(a, of_scale[-1]) for a, of_scale in zip(logits, network(x, features=True), strict=True))


def test_a_level_of_the_pyramid_is_the_mean_of_what_lies_inside() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    first, second, third = pyramid(x, 3)
    assert first is x and third.shape == (1, 1, 1, 2)
    rows, columns = ([0, 1], [1, 2, 3]), ([0, 1], [1, 2, 3], [3, 4])
    expected = [[float(x[0, 0][r][:, c].mean()) for c in columns] for r in rows]
    torch.testing.assert_close(second[0, 0], torch.tensor(expected))


def test_multiscale_has_the_filters_and_parameters_of_the_public_one() -> None:
    with torch.device("meta"):
        network = DISCRIMINATORS["multiscale"](39, norm="instance", bias="all", scales=2)
        widest = DISCRIMINATORS["multiscale"](3, width=128, receptive_field=574, scales=1)
    assert [c.out_channels for c in network.scales[0].convolutions] == [64, 128, 256, 512]  # type: ignore[index,union-attr]
    assert [c.out_channels for c in widest.scales[0].convolutions] == [128, 256, *[512] * 5]  # type: ignore[index,union-attr]
    each = 39 * 1024 + 64 + sum(16 * a * 2 * a + 2 * a for a in (64, 128, 256)) + 16 * 512 + 1
    assert sum(p.numel() for p in network.parameters()) == 2 * each
    with pytest.raises(ValueError, match="1 to 8 scales, got 0"):
        made(DISCRIMINATORS, "multiscale", in_channels=3, scales=0)


@pytest.mark.parametrize("margin", [1, 2])
@pytest.mark.parametrize("grad", [True, False])
def test_the_output_of_a_patchgan_is_that_of_a_plain_convolution(margin: int, grad: bool) -> None:
    torch.manual_seed(0)
    layer = Scoring(5, margin)
    nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    x = torch.rand(2, 5, 6, 9)
    with torch.set_grad_enabled(grad):
        expected = F.conv2d(x, layer.weight, layer.bias, padding=margin)
        torch.testing.assert_close(layer(x), expected)
    assert expected.shape[2:] == (6 + 2 * margin - 3, 9 + 2 * margin - 3)


def test_the_local_enhancer_has_the_filters_of_the_public_one() -> None:
    with torch.device("meta"):
        network = LocalEnhancer(36)
    assert [c.out_channels for c in network.coarse.down] == [128, 256, 512, 1024]
    assert (network.coarse.first.out_channels, len(network.coarse.blocks)) == (64, 9)
    (enhancer,) = network.enhancers
    assert (enhancer.first.out_channels, len(enhancer.blocks), len(enhancer.down)) == (32, 3, 1)
    assert (network.multiple, network.smallest) == (32, 64)
    with pytest.raises(ValueError, match="1 to 4 enhancers, got 5"):
        LocalEnhancer(3, enhancers=5)


def test_the_local_enhancer_adds_what_the_coarse_generator_saw() -> None:
    network = made(GENERATORS, "local-enhancer", in_channels=3, norm="none")
    assert isinstance(network, LocalEnhancer)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        whole = network(x)
        for convolution in network.coarse.up:
            convolution.weight.zero_()
            convolution.bias.zero_()
        (enhancer,) = network.enhancers
        torch.testing.assert_close(network(x), network.output(enhancer.maps(x)).tanh())
        assert not torch.allclose(network(x), whole)


# trunks of torchvision


def _torchvision(name: str, **how: Any) -> nn.Module:
    torch.manual_seed(1)
    network: nn.Module = getattr(torchvision.models, name)(weights=None, **how).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet101"])
def test_trunks_have_the_keys_and_shapes_of_torchvision(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = Trunk(name), getattr(torchvision.models, name)(weights=None)
    shapes = {key: t.shape for key, t in theirs.state_dict().items() if not key.startswith("fc.")}
    assert {key: t.shape for key, t in ours.state_dict().items()} == shapes


@pytest.mark.parametrize(("name", "dilated"), [("resnet18", False), ("resnet50", False), ("resnet50", True)])
def test_trunks_compute_what_torchvision_computes(name: str, dilated: bool) -> None:
    theirs = _torchvision(name, **({"replace_stride_with_dilation": [False, True, True]} if dilated else {}))
    ours = Trunk(name, dilated=dilated).eval()
    tensors = {key: t for key, t in theirs.state_dict().items() if not key.startswith("fc.")}
    ours.load_state_dict(tensors)
    x = torch.rand(2, 3, 49, 71)
    stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    with torch.no_grad():
        expected = nn.Sequential(*[getattr(theirs, stage) for stage in stages])(x)
        found = ours(x)
    assert found.shape[1] == ours.channels
    torch.testing.assert_close(found, expected)


def test_the_deeplab_generator_takes_the_backbone_of_a_pretrained_deeplab() -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None).eval()
    x = torch.rand(1, 3, 32, 48)
    for channels in (3, 4):
        generator = DeepLabGenerator(channels)
        generator.load_pretrained(theirs.state_dict())
        given = torch.cat([x, torch.rand(1, channels - 3, 32, 48)], dim=1)
        with torch.no_grad():
            features = generator.eval().trunk(given)
            torch.testing.assert_close(features, theirs.backbone(x)["out"])
            assert features.shape == (1, 2048, 4, 6)
            by_hand = torch.tanh(generator.output(features))
            by_hand = nn.functional.interpolate(by_hand, scale_factor=8, mode="bilinear")
            torch.testing.assert_close(generator(given), by_hand)
    of_classes = DeepLabGenerator(20)
    before = of_classes.trunk.conv1.weight.clone()
    of_classes.load_pretrained(theirs.state_dict())
    assert torch.equal(of_classes.trunk.conv1.weight, before)
    assert torch.equal(of_classes.trunk.bn1.weight, theirs.backbone.bn1.weight)


def test_the_resnet18_discriminator_sees_the_photo_with_the_published_filters() -> None:
    theirs = _torchvision("resnet18")
    discriminator = ResNet18(7)
    discriminator.load_pretrained(theirs.state_dict())
    discriminator.eval()
    photo, condition, other = torch.rand(2, 3, 40, 40), torch.rand(2, 4, 40, 40), torch.rand(2, 4, 40, 40)
    theirs.fc = nn.Linear(512, 1)
    theirs.fc.load_state_dict(discriminator.output.state_dict())
    with torch.no_grad():
        logits = discriminator(torch.cat([condition, photo], dim=1))
        torch.testing.assert_close(logits.flatten(1), theirs(photo))
        torch.testing.assert_close(discriminator(torch.cat([other, photo], dim=1)), logits)
    discriminator(torch.cat([condition, photo], dim=1)).sum().backward()
    assert float(discriminator.trunk.conv1.weight.grad[:, :4].abs().max()) > 0  # and learns to look at the rest


def test_filters_for_fewer_channels_answer_grey_as_before() -> None:
    filters, grey = torch.rand(4, 3, 7, 7), torch.rand(1, 1, 9, 9)
    expected = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), filters)
    for count in (1, 2):
        found = nn.functional.conv2d(grey.repeat(1, count, 1, 1), widened(filters, count, 0, count))
        torch.testing.assert_close(found, expected)


def test_weights_that_do_not_fit_a_trunk_are_refused_by_name() -> None:
    tensors = Trunk("resnet18").state_dict()
    for changed, words in (
        ({"bn1.weight": torch.zeros(3)}, r"bn1\.weight is \(3,\) there and \(64,\) here"),
        ({"extra": torch.zeros(3)}, "unknown extra"),
    ):
        with pytest.raises(ValueError, match=words):
            ResNet18(6).load_pretrained(tensors | changed)
    with pytest.raises(ValueError, match=r"no conv1\.weight; no bn1\.weight; .* and \d+ more"):
        ResNet18(6).load_pretrained({"fc.bias": torch.zeros(3)})
    older = {key: tensor for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")}
    ResNet18(6).load_pretrained(older)


@pytest.mark.parametrize(("field", "smallest"), [(16, 6), (70, 24), (286, 96)])
def test_pictures_too_small_for_a_patch_are_padded(field: int, smallest: int) -> None:
    network = PatchGAN(3, width=2, receptive_field=field)
    assert network.smallest == smallest
    for side in (4, smallest - 1, smallest):
        assert network(torch.rand(1, 3, side, side)).shape == (1, 1, 1, 1)
    assert network(torch.rand(1, 3, smallest, 2 * smallest)).shape[2] == 1
    with pytest.raises(ValueError, match="16, 34, 70, 142, 286, 574, got 94"):
        PatchGAN(3, receptive_field=94)


def test_batch_norms_of_generators_are_ours() -> None:
    """Others would make a picture depend on its neighbours."""
    for name in GENERATORS:
        norms = [m for m in made(GENERATORS, name, in_channels=3).modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms and all(isinstance(m, BatchNorm2d) for m in norms)
