"""Networks: the paper's shapes, receptive fields, initialisation and behaviour at test time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.models.layers import BatchNorm2d
from citygan.models.layers import test_time as at_test_time
from citygan.models.patchgan import PatchGAN
from citygan.models.unet import UNet, unet_depth


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(64, 64), (64, 128)])
def test_generators_keep_the_size_and_pass_gradients_to_all_weights(name: str, size: tuple[int, int]) -> None:
    generator = GENERATORS[name](in_channels=5, out_channels=3, width=4, depth=5)
    x = torch.rand(2, 5, *size, requires_grad=True)
    y = generator(x)
    assert y.shape == (2, 3, *size)
    assert y.abs().max() <= 1
    y.mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in generator.parameters())


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_pass_gradients_to_all_weights(name: str) -> None:
    discriminator = DISCRIMINATORS[name](in_channels=6, width=4)
    discriminator(torch.rand(2, 6, 64, 64)).mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in discriminator.parameters())


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


@pytest.mark.parametrize("field", [16, 70, 286])
def test_receptive_field_is_the_one_in_the_name(field: int) -> None:
    network = PatchGAN(1, width=2, receptive_field=field)
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


def test_weights_start_as_in_the_paper() -> None:
    torch.manual_seed(0)
    network = UNet(3, 3, width=32)
    weights = torch.cat(
        [m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    )
    assert abs(float(weights.detach().mean())) < 1e-4
    assert abs(float(weights.detach().std()) - 0.02) < 1e-4


@pytest.mark.parametrize(
    ("size", "depth"),
    [((256, 256), 8), ((512, 256), 8), ((2048, 1024), 8), ((128, 128), 7), ((256, 192), 6), ((48, 32), 4)],
)
def test_depth_follows_the_size(size: tuple[int, int], depth: int) -> None:
    assert unet_depth(*size) == depth


def test_a_size_that_cannot_be_halved_is_refused_with_one_that_can() -> None:
    with pytest.raises(ValueError, match="expected sides divisible by 32, got 250x130: pad to 256x160"):
        UNet(3, 3, width=2, depth=5)(torch.zeros(1, 3, 130, 250))


def _trained() -> UNet:
    torch.manual_seed(0)
    network = UNet(3, 3, width=4, depth=5)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("statistics", ["picture", "running"])
@pytest.mark.parametrize("dropout_seed", [None, 3])
def test_a_picture_never_depends_on_its_neighbours(statistics: str, dropout_seed: int | None) -> None:
    network = _trained()
    x = torch.rand(3, 3, 64, 64) * torch.tensor([0.1, 1.0, 5.0])[:, None, None, None]
    with torch.no_grad():
        together, alone = [], []
        with at_test_time(network, statistics=statistics, dropout_seed=dropout_seed):  # type: ignore[arg-type]
            together = network(x)
        for i in range(3):
            with at_test_time(network, statistics=statistics, dropout_seed=dropout_seed):  # type: ignore[arg-type]
                alone.append(network(x[i : i + 1]))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("field", [16, 70, 286])
def test_the_smallest_picture_of_a_discriminator_is_the_smallest(field: int) -> None:
    network = PatchGAN(2, width=2, receptive_field=field)
    side = network.smallest
    assert network(torch.rand(1, 2, side, side)).numel() >= 1
    with pytest.raises((ValueError, RuntimeError)):
        network(torch.rand(1, 2, side - 1, side - 1))


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
