"""Losses: their values by hand and by PyTorch, their directions, and what they leave out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from citygan.losses import ADVERSARIAL, RECONSTRUCTION
from citygan.losses import segmentation as seg
from citygan.losses.features import feature_matching
from citygan.losses.perceptual import PUBLISHED, perceptual
from citygan.models.multiscale import Multiscale
from citygan.models.patchgan import PatchGAN

LOGITS = torch.tensor([[-2.0, -0.5], [0.5, 3.0]])


def test_the_tables_hold_what_the_settings_say() -> None:
    assert set(ADVERSARIAL) == {"cross-entropy", "least-squares", "least-squares-sigmoid", "hinge"}
    assert set(RECONSTRUCTION) == {"l1", "mse"}


@pytest.mark.parametrize("real", [True, False])
def test_adversarial_terms_are_those_of_pytorch(real: bool) -> None:
    target = torch.full_like(LOGITS, float(real))
    expected = {
        "cross-entropy": nn.BCEWithLogitsLoss()(LOGITS, target),
        "least-squares": nn.MSELoss()(LOGITS, target),
        "least-squares-sigmoid": nn.MSELoss()(LOGITS.sigmoid(), target),
        # a margin of 1 on the side of the sign
        "hinge": nn.MultiMarginLoss(margin=1.0)(
            torch.stack([LOGITS.flatten() * (1 if real else -1), torch.zeros(4)], dim=1),
            torch.zeros(4, dtype=torch.long),
        )
        * 2,
    }
    for name, pair in ADVERSARIAL.items():
        found = pair.judging(LOGITS, real)
        assert found.dtype == torch.float32 and found.dim() == 0
        torch.testing.assert_close(found, expected[name])


def test_hinge_by_hand() -> None:
    hinge = ADVERSARIAL["hinge"]
    assert float(hinge.judging(LOGITS, True)) == pytest.approx((3 + 1.5 + 0.5 + 0) / 4)
    assert float(hinge.judging(LOGITS, False)) == pytest.approx((0 + 0.5 + 1.5 + 4) / 4)
    assert float(hinge.fooling(LOGITS)) == pytest.approx(-1 / 4)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_terms_of_all_scales_are_added(name: str) -> None:
    pair, coarse = ADVERSARIAL[name], LOGITS[:1, :1] * 3
    for real in (True, False):
        together = pair.judge((LOGITS, coarse), real)
        assert float(together) == pytest.approx(float(pair.judging(LOGITS, real) + pair.judging(coarse, real)))
        assert torch.equal(pair.judge(LOGITS, real), pair.judging(LOGITS, real))
    assert float(pair.fool((LOGITS, coarse))) == pytest.approx(float(pair.fooling(LOGITS) + pair.fooling(coarse)))
    assert torch.equal(pair.fool(LOGITS), pair.fooling(LOGITS))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_discriminator_and_generator_pull_against_each_other(name: str) -> None:
    pair = ADVERSARIAL[name]
    logits = torch.tensor([-0.3, 0.2], requires_grad=True)
    (up,) = torch.autograd.grad(pair.judging(logits, True), logits)
    (down,) = torch.autograd.grad(pair.judging(logits, False), logits)
    (fool,) = torch.autograd.grad(pair.fooling(logits), logits)
    assert (up < 0).all() and (fool < 0).all()
    # least squares pull towards 0, and not below, what is fake
    assert (down > 0).all() if name != "least-squares" else torch.equal(down.sign(), logits.sign())
    assert pair.fooling(logits.to(torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("name", [name for name in ADVERSARIAL if name != "hinge"])
def test_fooling_is_being_judged_real(name: str) -> None:
    pair = ADVERSARIAL[name]
    assert torch.equal(pair.fooling(LOGITS), pair.judging(LOGITS, True))


def test_guessing_costs_what_the_documentation_says() -> None:
    nothing = torch.zeros(1, 1, 3, 3)
    assert float(ADVERSARIAL["cross-entropy"].judging(nothing, True)) == pytest.approx(math.log(2))
    assert float(ADVERSARIAL["least-squares-sigmoid"].judging(nothing, False)) == pytest.approx(0.25)
    assert float(ADVERSARIAL["hinge"].judging(nothing, False)) == 1


@pytest.mark.parametrize(("name", "theirs"), [("l1", nn.L1Loss()), ("mse", nn.MSELoss())])
def test_reconstructions_are_those_of_pytorch(name: str, theirs: nn.Module) -> None:
    x, y = torch.rand(2, 2, 3, 4, 5) * 2 - 1
    torch.testing.assert_close(RECONSTRUCTION[name](x, y), theirs(x, y))
    assert float(RECONSTRUCTION[name](x, x)) == 0
    assert float(RECONSTRUCTION[name](torch.ones(1), -torch.ones(1))) == {"l1": 2, "mse": 4}[name]
    assert RECONSTRUCTION[name](x.to(torch.bfloat16), y).dtype == torch.float32


def test_segmentation_leaves_void_out_and_averages_over_the_rest() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5, requires_grad=True)
    target = torch.randint(0, 4, (2, 3, 5), dtype=torch.uint8)
    target[0] = 255
    target[1, 0, :3] = 255
    found = seg.cross_entropy(logits, target)
    kept = target != 255
    by_hand = [-logits[n, :, i, j].log_softmax(0)[int(target[n, i, j])] for n, i, j in kept.nonzero().tolist()]
    torch.testing.assert_close(found, torch.stack(by_hand).mean())
    torch.testing.assert_close(found, F.cross_entropy(logits, target.long(), ignore_index=255))
    found.backward()
    assert logits.grad is not None and not logits.grad.permute(0, 2, 3, 1)[~kept].any()


def test_segmentation_of_nothing_is_zero_and_leaves_the_weights_alone() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    found = seg.cross_entropy(logits, torch.full((1, 2, 2), 7), ignore=7)
    found.backward()
    assert float(found.detach()) == 0 and found.dtype == torch.float32
    assert logits.grad is not None and not logits.grad.any()


def test_segmentation_of_two_classes_is_the_cross_entropy_of_their_difference() -> None:
    scores = torch.randn(1, 1, 4, 4)
    real = torch.rand(1, 4, 4) > 0.5
    two = torch.cat([torch.zeros_like(scores), scores], dim=1)
    expected = F.binary_cross_entropy_with_logits(scores[:, 0], real.float())
    torch.testing.assert_close(seg.cross_entropy(two, real.to(torch.uint8)), expected)


# what networks see


def _of_constant_maps(layers: int, scales: int, weighting: str, fake: float, real: float) -> float:
    """Feature matching of maps that are constant, and whose difference is 1 in the first layer, 2 in the second, ..."""
    sides = range(layers + 1, 0, -1)  # behind the layers, and the logits
    pairs = [
        [torch.full((2, 3, side, side), value * (i + 1)) for i, side in enumerate(sides)] for value in (fake, real)
    ]
    one, other = ([maps] * scales for maps in pairs)
    return float(feature_matching(one, other, weighting))  # type: ignore[arg-type]


def test_feature_matching_by_hand() -> None:
    """Of layers 1 to n differences 1 to n, whose sum is n (n + 1) / 2; the logits' is left out."""
    for layers, scales in ((4, 1), (4, 3), (3, 2), (6, 1)):
        added = layers * (layers + 1) / 2
        equation = _of_constant_maps(layers, scales, "equation", 0.25, -0.75)
        published = _of_constant_maps(layers, scales, "published", 0.25, -0.75)
        assert equation == pytest.approx(added * scales)
        # 4 / (n_layers + 1) a layer, 1 / num_D a scale; n_layers + 1 maps stand before the logits
        assert published == pytest.approx(added * 4 / layers)
    assert _of_constant_maps(4, 1, "published", 0, 1) == pytest.approx(_of_constant_maps(4, 1, "equation", 0, 1))


@pytest.mark.parametrize("weighting", ["published", "equation"])
def test_feature_matching_of_a_discriminator_is_the_written_out_sum(weighting: str) -> None:
    torch.manual_seed(0)
    judge = Multiscale(4, width=3, scales=3)
    fake, real = torch.rand(2, 4, 64, 64), torch.rand(2, 4, 64, 64)
    with torch.no_grad():
        seen, wanted = judge(fake, features=True), judge(real, features=True)
    assert [len(scale) for scale in seen] == [5, 5, 5]  # four layers, of which three have stride 2, and the logits
    layers, scales = 3, 3
    factor = 4 / (layers + 1) / scales if weighting == "published" else 1.0
    by_hand = 0.0
    for scale in range(scales):
        for layer in range(4):
            difference = seen[scale][layer] - wanted[scale][layer]
            by_hand += factor * float(difference.abs().sum()) / difference.numel()
    found = feature_matching(seen, wanted, weighting)  # type: ignore[arg-type]
    assert found.dtype == torch.float32 and found.dim() == 0
    assert float(found) == pytest.approx(by_hand, rel=1e-5) and by_hand > 0
    assert float(feature_matching(wanted, wanted, weighting)) == 0  # type: ignore[arg-type]


def test_feature_matching_takes_one_scale_as_it_comes() -> None:
    judge = PatchGAN(3, width=2, receptive_field=16)
    seen, wanted = (judge.maps(torch.rand(1, 3, 32, 32)) for _ in range(2))
    assert torch.equal(feature_matching(seen, wanted), feature_matching((seen,), (wanted,)))
    # one layer of stride 2: two maps before the logits, at twice the weight
    torch.testing.assert_close(feature_matching(seen, wanted), 2 * feature_matching(seen, wanted, "equation"))
    half = [layer.to(torch.bfloat16) for layer in seen]
    assert feature_matching(half, half).dtype == torch.float32


def test_feature_matching_pulls_the_fake_picture_alone() -> None:
    judge = Multiscale(3, width=2, scales=2)
    fake, real = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))
    feature_matching(judge(fake, features=True), judge(real, features=True)).backward()
    assert fake.grad is not None and fake.grad.any() and real.grad is None
    fake.grad = None
    seen, wanted = judge(fake, features=True), judge(real, features=True)
    found = torch.autograd.grad(feature_matching(seen, wanted), [seen[0][-1], wanted[0][0]], allow_unused=True)
    assert found == (None, None)


def test_feature_matching_refuses_what_does_not_fit() -> None:
    maps = [torch.zeros(1, 1, 2, 2)] * 3
    with pytest.raises(ValueError, match="the logits alone"):
        feature_matching(maps[:1], maps[:1])
    with pytest.raises(ValueError, match="shorter"):
        feature_matching([maps, maps], [maps])
    with pytest.raises(ValueError, match="shorter"):
        feature_matching(maps, maps[:2])


def test_perceptual_by_hand() -> None:
    fake = [torch.full((1, 2, side, side), float(i)) for i, side in enumerate((8, 4, 2, 1, 1), 1)]
    real = [torch.zeros_like(each) for each in fake]
    published = 1 / 32 + 2 / 16 + 3 / 8 + 4 / 4 + 5
    assert PUBLISHED == (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    assert float(perceptual(fake, real)) == float(perceptual(real, fake)) == pytest.approx(published)
    assert float(perceptual(fake, real, "equation")) == pytest.approx((1 + 2 + 3 + 4 + 5) / 5)
    assert float(perceptual(fake[:2], real[:2], "equation")) == pytest.approx(1.5)
    assert float(perceptual(fake, fake)) == 0
    assert perceptual([each.to(torch.bfloat16) for each in fake], real).dtype == torch.float32
    with pytest.raises(ValueError, match="shorter"):
        perceptual(fake[:4], real[:4])


def test_perceptual_pulls_the_fake_picture_alone() -> None:
    fake, real = ([torch.rand(1, 2, 3, 3, requires_grad=True) for _ in range(5)] for _ in range(2))
    perceptual(fake, real).backward()
    for each, weight in zip(fake, PUBLISHED, strict=True):
        assert each.grad is not None
        torch.testing.assert_close(each.grad.abs(), torch.full_like(each, weight / each.numel()))
    assert all(each.grad is None for each in real)
