"""The DNED: HED's layers and sizes, its fusion, draws around it, its loss, and that it learns."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from citygan.losses.edges import dned_loss
from citygan.models.dned import DNED, draw_fusion, fused
from citygan.models.pretrained import Pretrainable
from citygan.ops.edges import edge_map

LEARNT = torch.tensor([0.5, 0.25, 0.15, 0.08, 0.02])


def made(width: int = 2, seed: int = 0) -> DNED:
    """A narrow one, whose sides are not zero any more."""
    torch.manual_seed(seed)
    network = DNED(width)
    for side in network.sides:
        nn.init.normal_(side.weight)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (16, 1), (1, 1), (17, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_six_logits_for_every_pixel_of_any_size(size: tuple[int, int], channels: int) -> None:
    network = made()
    logits = network(torch.rand(2, channels, *size))
    assert logits.shape == (2, 6, *size) and torch.isfinite(logits).all()
    dned_loss(logits, torch.rand(2, 1, *size).round()).backward()
    assert not [key for key, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]


def test_the_layers_are_those_of_vgg16_without_pool5_and_take_its_weights() -> None:
    with torch.device("meta"):
        full, theirs = DNED(), torchvision.models.vgg16(weights=None)
    assert full.published_shape and not made().published_shape and isinstance(full, Pretrainable)
    assert {k: t.shape for k, t in full.features.state_dict().items()} == {
        k: t.shape for k, t in theirs.features.state_dict().items()
    }
    assert [type(layer) for layer in full.features] == [type(layer) for layer in theirs.features[:-1]]
    sides = sum(64 * factor + 1 for factor in (1, 2, 4, 8, 8))
    convolutions = sum(p.numel() for p in theirs.features.parameters())
    assert sum(p.numel() for p in full.parameters()) == convolutions + sides + 5
    network, other = made(), made(seed=1)
    tensors: dict[str, Tensor] = {f"features.{k}": t for k, t in other.features.state_dict().items()}
    before = [side.weight.clone() for side in network.sides]
    network.load_pretrained(tensors | {"classifier.0.weight": torch.zeros(1)})
    assert all(torch.equal(network.features.state_dict()[k[9:]], t) for k, t in tensors.items())
    assert all(torch.equal(side.weight, old) for side, old in zip(network.sides, before, strict=True))
    with pytest.raises(ValueError, match=r"no features\.28\.weight"):
        network.load_pretrained({k: t for k, t in tensors.items() if k != "features.28.weight"})
    with pytest.raises(ValueError, match=r"unknown features\.31\.weight"):
        network.load_pretrained(tensors | {"features.31.weight": torch.zeros(1)})


def test_sides_stand_behind_the_last_relu_of_every_stage() -> None:
    """By hand, on a size that every pool divides."""
    network = made(width=3)
    x = torch.rand(1, 3, 48, 32) * 2 - 1
    with torch.no_grad():
        found = network(x)
        y = network.input(x)
        for i, (first, last) in enumerate(pairwise((0, 4, 9, 16, 23, 30))):
            y = network.features[first:last](y)
            expected = F.interpolate(network.sides[i](y), size=(48, 32), mode="bilinear")
            torch.testing.assert_close(found[:, i : i + 1], expected)


@pytest.mark.parametrize("size", [(40, 40), (37, 41)])
def test_every_side_lies_over_the_pixels_it_is_for(size: tuple[int, int]) -> None:
    """Of a slope that passes every layer unchanged, each stage sees its window's last pixel: half a window too far."""
    network = DNED(1)
    network.input = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        for layer in network.features:
            if isinstance(layer, nn.Conv2d):
                layer.weight[0, 0, 1, 1] = 1
        for side in network.sides:
            side.weight[0, 0] = 1  # type: ignore[index]
        slope = torch.arange(size[0]).float()[:, None] + torch.arange(size[1]).float()
        found = network(slope.expand(1, 3, -1, -1))[0]
    for i in range(5):
        window = 2**i
        inner = found[i, window:-window, window:-window]
        late = inner - slope[window:-window, window:-window]
        cut = -window if size[0] % window or size[1] % window else None  # the last windows of odd sizes are not whole
        torch.testing.assert_close(late[:cut, :cut], torch.full_like(late[:cut, :cut], 2 * (window - 1) / 2))


def test_an_edge_map_is_shown_as_a_grey_photo_is() -> None:
    network = made()
    edges = torch.rand(2, 1, 20, 20).round()
    assert torch.equal(network(edges), network((edges * 2 - 1).expand(-1, 3, -1, -1)))
    with pytest.raises(ValueError, match="1 channel or photos of 3, got 2"):
        network(torch.zeros(1, 2, 8, 8))


def test_the_fusion_is_a_softmax_that_starts_at_a_fifth() -> None:
    network = made()
    torch.testing.assert_close(network.fusion, torch.full((5,), 0.2))
    x = torch.rand(2, 1, 16, 16)
    found = network(x)
    torch.testing.assert_close(found[:, 5].sigmoid(), found[:, :5].sigmoid().mean(1))
    with torch.no_grad():
        network.mixing.copy_(torch.tensor([5.0, 1.0, 1.0, 2.0, 1.0]).log())
    torch.testing.assert_close(network.fusion, torch.tensor([0.5, 0.1, 0.1, 0.2, 0.1]))
    found = network(x)
    torch.testing.assert_close(
        found[:, 5].sigmoid(), torch.einsum("nihw,i->nhw", found[:, :5].sigmoid(), network.fusion)
    )
    found[:, 5].sum().backward()
    assert network.mixing.grad is not None and network.mixing.grad.abs().max() > 0


def test_given_weights_replace_the_fusion_and_nothing_else() -> None:
    network = made()
    x = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        plain, given = network(x), network(x, LEARNT)
        assert torch.equal(plain[:, :5], given[:, :5]) and not torch.equal(plain[:, 5], given[:, 5])
        torch.testing.assert_close(network(x, network.fusion), plain)
        torch.testing.assert_close(network(x, torch.eye(5)[2])[:, 5], plain[:, 2], rtol=1e-4, atol=1e-5)
        each = network(x, torch.eye(5)[:2])  # other weights for every picture
        torch.testing.assert_close(each[:, 5], torch.stack([plain[0, 0], plain[1, 1]]), rtol=1e-4, atol=1e-5)
    for wrong in (torch.ones(6), torch.ones(3, 5), torch.ones(5, 1)):
        with pytest.raises(ValueError, match="expected 5 weights, got"):
            network(x, wrong)


def test_a_side_that_is_sure_of_itself_does_not_decide_the_fusion_alone() -> None:
    sides = torch.zeros(1, 5, 1, 1)
    sides[:, 0], sides[:, 1:] = 80.0, -80.0
    weights = torch.tensor([0.25, 0.75, 0.0, 0.0, 0.0])
    assert float(fused(sides, weights).sigmoid()) == pytest.approx(0.25)
    assert float(fused(-sides, weights).sigmoid()) == pytest.approx(0.75)


def test_a_picture_does_not_depend_on_its_neighbours_in_a_batch() -> None:
    network = made(width=4)
    x = torch.rand(3, 1, 33, 24)
    with torch.no_grad():
        torch.testing.assert_close(network(x[1:2]), network(x)[1:2], rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_edge_map() -> None:
    x = torch.rand(1, 1, 16, 16, requires_grad=True)
    made()(x)[:, 5].sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


# draws


def test_draws_are_weights_and_decided_by_the_seed() -> None:
    for seed in range(20):
        drawn = draw_fusion(LEARNT, 5.0, seed)
        assert drawn.shape == (5,) and drawn.dtype == torch.float32 and bool((drawn >= 0).all())
        assert float(drawn.sum()) == pytest.approx(1, abs=1e-6)
        assert torch.equal(drawn, draw_fusion(LEARNT, 5.0, seed))
        assert not torch.equal(drawn, draw_fusion(LEARNT, 5.0, seed + 20))


def test_draws_lie_around_the_learnt_weights_and_closer_the_higher_the_concentration() -> None:
    spreads = []
    for concentration in (2.0, 8.0, 32.0, 1000.0):
        drawn = torch.stack([draw_fusion(LEARNT, concentration, seed) for seed in range(1500)])
        expected = (LEARNT * (1 - LEARNT) / (concentration + 1)).sqrt()
        torch.testing.assert_close(drawn.mean(0), LEARNT, rtol=0, atol=4 * float(expected.max()) / 1500**0.5)
        torch.testing.assert_close(drawn.std(0), expected, rtol=0.3, atol=0)
        spreads.append(float((drawn - LEARNT).abs().sum(1).mean()))
    assert spreads == sorted(spreads, reverse=True) and spreads[-1] < 0.1 * spreads[0]


def test_a_side_without_weight_is_drawn_without_weight() -> None:
    drawn = draw_fusion(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]), 10.0, 0)
    torch.testing.assert_close(drawn, torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize("concentration", [0.0, -1.0, math.inf, math.nan])
def test_a_concentration_that_is_none_is_refused(concentration: float) -> None:
    with pytest.raises(ValueError, match="concentration above 0"):
        draw_fusion(LEARNT, concentration, 0)


# the loss


def by_hand(logits: Tensor, target: Tensor, balanced: bool) -> float:
    """Equation 4 in float64, pixel by pixel."""
    total = 0.0
    for i in range(logits.shape[1]):
        terms = []
        for picture, edges in zip(logits[:, i].double().numpy(), target[:, 0].double().numpy(), strict=True):
            share = edges.mean()
            for logit, edge in zip(picture.flat, edges.flat, strict=True):
                p = 1 / (1 + np.exp(-logit))
                positive, negative = (1 - share, share) if balanced else (1.0, 1.0)
                terms.append(-(positive * edge * np.log(p) + negative * (1 - edge) * np.log(1 - p)))
        total += float(np.mean(terms))
    return total


@pytest.mark.parametrize("balanced", [True, False])
def test_the_loss_is_equation_4(balanced: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 6, 5, 7, generator=generator) * 3
    target = (torch.rand(3, 1, 5, 7, generator=generator) < torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1, 1)).float()
    found = dned_loss(logits, target, balanced)
    assert found.dim() == 0 and found.dtype == torch.float32
    assert float(found) == pytest.approx(by_hand(logits, target, balanced), rel=1e-5)
    # the mean over a batch of equal sizes is that of the pictures' own
    each = [float(dned_loss(x, t, balanced)) for x, t in zip(logits.split(1), target.split(1), strict=True)]
    assert float(found) == pytest.approx(np.mean(each), rel=1e-5)


def test_balanced_both_kinds_have_the_same_sum() -> None:
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0] = 1  # a tenth
    logits = torch.zeros(1, 6, 10, 10, requires_grad=True)
    dned_loss(logits, target).backward()
    grad = logits.grad
    assert grad is not None
    assert float(grad[..., 0].sum()) == pytest.approx(-float(grad[..., 1:].sum()), rel=1e-5)
    assert float(dned_loss(logits.detach(), target)) == pytest.approx(6 * 2 * 0.1 * 0.9 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("balanced", [True, False])
def test_all_edge_and_no_edge_are_finite(value: float, balanced: bool) -> None:
    logits = torch.full((2, 6, 4, 4), 200.0, requires_grad=True)
    loss = dned_loss(logits, torch.full((2, 1, 4, 4), value), balanced)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0 if balanced or value else 6 * 200)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_half_precision_logits_are_judged_in_float32() -> None:
    logits = torch.randn(1, 6, 8, 8)
    target = torch.rand(1, 1, 8, 8).round()
    half = dned_loss(logits.bfloat16(), target)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(dned_loss(logits.bfloat16().float(), target)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_narrow_one_with_random_weights_learns(channels: int) -> None:
    """Rectangles: from their edges, or from the picture itself."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    network = DNED(4)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    shares = []
    for _ in range(150):
        photo = np.full((4, 32, 32, 3), 40, np.uint8)
        for picture in photo:
            for _ in range(3):
                (top, left), (height, width) = random.integers(0, 24, 2), random.integers(5, 16, 2)
                picture[top : top + height, left : left + width] = random.integers(0, 256, 3)
        x = torch.from_numpy(photo).permute(0, 3, 1, 2)
        edges = edge_map(x)
        loss = dned_loss(network(edges if channels == 1 else x.float() / 127.5 - 1), edges)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # of what a map that says nothing costs
        shares.append(float(loss.detach()) / float(dned_loss(torch.zeros(4, 6, 32, 32), edges)))
    assert shares[0] == pytest.approx(1, abs=1e-5)
    assert np.mean(shares[-20:]) < {1: 0.6, 3: 0.8}[channels]
