"""The convolutions: the ways of taking their sums agree with PyTorch's, and so do the gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.models import convolution
from citygan.models.convolution import Doubling, Halving, Scoring, join

CL = torch.channels_last


def _plain(layer: nn.Module, x: Tensor) -> Tensor:
    """What PyTorch makes of the same weights."""
    if isinstance(layer, nn.ConvTranspose2d):
        return F.conv_transpose2d(x, layer.weight, layer.bias, 2, 1)
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, 1)


def _layer(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().to(torch.float64).to(memory_format=CL)  # type: ignore[call-overload, no-any-return]


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "halving": lambda: Halving(5, 7, bias=False),
    "halving, bias": lambda: Halving(5, 7, bias=True),
    "doubling": lambda: Doubling(5, 7, bias=False),
    "doubling, bias": lambda: Doubling(5, 7, bias=True),
    "doubling to a picture": lambda: Doubling(64, 3, bias=True),
}


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The products that were taken, by name."""
    taken: list[str] = []
    applied = convolution._applied

    def noted(product: type[torch.autograd.Function], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        taken.append(product.__name__)
        return applied(product, x, weight, bias)

    monkeypatch.setattr(convolution, "_applied", noted)
    return taken


@pytest.mark.parametrize("size", [(2, 2), (2, 6), (8, 2)])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_products_agree_with_pytorch(name: str, count: int, size: tuple[int, int], products: list[str]) -> None:
    layer = _layer(LAYERS[name])
    given = torch.randn(count, layer.in_channels, *size, dtype=torch.float64)
    results = []
    for way in (layer, lambda x: _plain(layer, x)):
        layer.zero_grad()
        x = given.clone(memory_format=CL).requires_grad_()
        y = way(x)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        results.append([y.detach(), x.grad, *[p.grad for p in layer.parameters()]])
    assert len(products) == 1
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)  # dtype and all


@pytest.mark.parametrize("layer", [Halving(2, 3, bias=True), Doubling(2, 3, bias=True), Scoring(3)])
def test_gradients_pass_gradcheck(layer: nn.Module) -> None:
    layer = layer.to(torch.float64).to(memory_format=CL)  # type: ignore[call-overload]
    x = torch.randn(2, layer.in_channels, 4, 4, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))  # type: ignore[no-any-return]

    free = [v.detach().clone(memory_format=torch.preserve_format).requires_grad_() for v in values]
    assert torch.autograd.gradcheck(call, (x, *free))
    assert torch.autograd.gradgradcheck(call, (x, *free))


@pytest.mark.parametrize("size", [(4, 4), (31, 31), (5, 9)])
def test_scoring_agrees_with_pytorch(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Scoring(6).to(memory_format=CL)
    results = []
    for way in (layer, lambda x: _plain(layer, x)):
        layer.zero_grad()
        x = (
            torch.linspace(-1, 1, 12 * size[0] * size[1])
            .view(2, 6, *size)
            .contiguous(memory_format=CL)
            .requires_grad_()
        )
        way(x).square().sum().backward()
        results.append([way(x).detach(), x.grad, *[p.grad for p in layer.parameters()]])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Halving(512, 512, bias=False), (1, 512, 2, 2), True),  # the innermost of the paper's
        (Halving(512, 512, bias=False), (4, 512, 64, 64), False),
        (Doubling(1024, 512, bias=False), (4, 1024, 8, 8), True),
        (Doubling(64, 32, bias=False), (1, 64, 64, 64), False),
        (Doubling(128, 3, bias=True), (1, 128, 128, 128), True),  # the last
        (Halving(8, 8, bias=False), (1, 8, 5, 4), False),  # an odd side
    ],
)
def test_products_are_taken_where_they_pay(
    layer: nn.Module, shape: tuple[int, ...], expected: bool, products: list[str]
) -> None:
    layer.to(memory_format=CL)  # type: ignore[call-overload]
    x = torch.randn(shape).contiguous(memory_format=CL)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _plain(layer, x), rtol=1e-3, atol=1e-3)
    assert bool(products) is expected


def test_bf16_products_round_about_as_pytorchs() -> None:
    torch.manual_seed(0)
    for layer, shape in ((Doubling(64, 64, bias=False), (1, 64, 4, 4)), (Halving(64, 64, bias=True), (2, 64, 4, 4))):
        layer.to(memory_format=CL)  # type: ignore[call-overload]
        x = torch.randn(shape).contiguous(memory_format=CL)
        exact = _plain(layer, x)
        with torch.autocast("cpu", torch.bfloat16):
            ours, theirs = layer(x), _plain(layer, x)
        assert ours.dtype == theirs.dtype == torch.bfloat16
        # four parts rounded by themselves, then added up, instead of one sum
        assert (ours - exact).square().mean().sqrt() <= 2.0 * (theirs - exact).square().mean().sqrt()


def test_join_is_a_concatenation_with_dense_gradients() -> None:
    parts = [torch.randn(2, c, 4, 4).contiguous(memory_format=CL).requires_grad_() for c in (3, 5)]
    weight = torch.randn(2, 8, 4, 4)
    seen: list[Tensor] = []
    whole = join(*[part.clone() for part in parts])
    assert torch.equal(whole, torch.cat(parts, dim=1))
    inner = [part * 1 for part in parts]
    for part in inner:
        part.register_hook(seen.append)
    (join(*inner) * weight).sum().backward()
    for part, expected in zip(parts, weight.split([3, 5], dim=1), strict=True):
        assert part.grad is not None and torch.equal(part.grad, expected)
    assert all(g.is_contiguous(memory_format=CL) for g in seen)
