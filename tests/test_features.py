"""The instance feature encoder: its layers, means over instances, clusters by class and what is drawn of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from citygan.models.features import FeatureEncoder, Instances, gather, pool
from citygan.models.layers import InstanceNorm2d
from citygan.models.resnet import ResNet
from citygan.weights.row import back, front

ROAD, CAR, SKY, PERSON = 7, 26, 23, 24


def street(cars: tuple[int, int] = (26000, 26001)) -> tuple[Tensor, Tensor]:
    """A picture of 32x32: road, sky, two cars and a person of 2x2 pixels; instance and label [1, H, W]."""
    instance = torch.full((1, 32, 32), ROAD, dtype=torch.int32)
    instance[:, :8] = SKY
    instance[:, 16:28, 2:12] = cars[0]
    instance[:, 16:28, 18:30] = cars[1]
    instance[:, 30:, 30:] = 24000
    label = torch.where(instance < 1000, instance, instance // 1000).to(torch.uint8)
    return instance, label


# the network


def test_the_published_encoder_has_the_published_layers() -> None:
    """Layer by layer, numbered as in the public code's sequence."""
    encoder = FeatureEncoder()
    widths = [16, 32, 64, 128, 256]
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, 16, 7), InstanceNorm2d(16), nn.ReLU()]
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, 2, 1), InstanceNorm2d(after), nn.ReLU()]
    for before, after in pairwise(reversed(widths)):
        layers += [nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1), InstanceNorm2d(after), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(16, 3, 7), nn.Tanh()]
    model = nn.Sequential(*layers)
    names = front("", "model", 4) | back("", "model", 16, 0, 4) | {"output": "model.29"}
    tensors = encoder.state_dict()
    theirs = {
        f"{names[module]}.{part}".removeprefix("model."): tensor
        for module, part, tensor in ((*key.rpartition(".")[::2], tensor) for key, tensor in tensors.items())
        if module in names
    }
    assert len(theirs) == len(tensors) - 2  # clusters and counts
    model.load_state_dict(theirs)
    photo = torch.rand(1, 3, 32, 48) * 2 - 1
    every = torch.arange(32 * 48).view(1, 32, 48)  # each pixel an instance of its own
    with torch.no_grad():
        torch.testing.assert_close(encoder(photo, every), model(photo))
    assert sum(p.numel() for p in encoder.parameters()) == sum(p.numel() for p in model.parameters())


def test_features_are_equal_all_over_an_instance_and_pass_gradients() -> None:
    torch.manual_seed(0)
    encoder = FeatureEncoder(width=4, features=2)
    photo = torch.rand(2, 3, 32, 32, requires_grad=True)
    instance = torch.cat([street()[0], street((26000, 26002))[0]])
    found = encoder(photo, instance)
    assert found.shape == (2, 2, 32, 32) and float(found.detach().abs().max()) < 1
    for i in range(2):
        seen = set()
        for each in instance[i].unique().tolist():
            values = found[i][:, instance[i] == each]
            assert torch.equal(values, values[:, :1].expand_as(values))
            seen.add(tuple(values[:, 0].tolist()))
        assert len(seen) == 5
    found.square().sum().backward()
    assert photo.grad is not None and photo.grad.any()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("size", [(16, 16), (32, 80)])
def test_other_sizes_and_norms(size: tuple[int, int]) -> None:
    for norm in ("batch", "instance", "none"):
        encoder = FeatureEncoder(width=2, norm=norm, bias="needed")  # type: ignore[arg-type]
        assert encoder(torch.rand(2, 3, *size), torch.zeros(2, *size, dtype=torch.int32)).shape == (2, 3, *size)


def test_what_does_not_fit_is_refused() -> None:
    encoder = FeatureEncoder(width=2)
    with pytest.raises(ValueError, match="divisible by 16, got 40x32: pad to 48x32"):
        encoder(torch.rand(1, 3, 32, 40), torch.zeros(1, 32, 40))
    with pytest.raises(ValueError, match=r"expected instances \(1, 32, 32\), got \(1, 32, 16\)"):
        encoder(torch.rand(1, 3, 32, 32), torch.zeros(1, 32, 16))
    with pytest.raises(ValueError, match="at least one cluster"):
        FeatureEncoder(clusters=0)
    with pytest.raises(ValueError, match="at least 1 blocks, got 0"):  # only an encoder may have none
        ResNet(3, blocks=0)


# means


def by_hand(features: Tensor, instance: Tensor) -> Tensor:
    """The means, instance by instance."""
    found = torch.empty_like(features)
    for i in range(len(features)):
        for each in instance[i].unique():
            where = instance[i] == each
            found[i][:, where] = features[i][:, where].mean(dim=1, keepdim=True)
    return found


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_means_and_their_gradients_are_those_of_a_loop(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    features = torch.rand(3, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    instance = torch.randint(0, 4, (3, 6, 5)).to(dtype)
    weights = torch.rand(3, 2, 6, 5, dtype=torch.float64)
    found, expected = pool(features, instance), by_hand(features, instance)
    torch.testing.assert_close(found, expected)
    (one,) = torch.autograd.grad((found * weights).sum(), features)
    (other,) = torch.autograd.grad((expected * weights).sum(), features)
    torch.testing.assert_close(one, other)


def test_ids_of_other_pictures_and_the_largest_id_are_apart() -> None:
    features = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(2, 1, 1, 2)
    instance = torch.tensor([[[0, 65535]], [[65535, 0]]])
    assert torch.equal(pool(features, instance), features)
    assert pool(features, torch.full((2, 1, 2), 65535)).flatten().tolist() == [1.5, 1.5, 4.5, 4.5]


def test_the_mean_of_many_equal_numbers_is_the_number() -> None:
    value = 0.3
    features = torch.full((1, 1, 512, 1024), value)
    found = pool(features, torch.zeros(1, 512, 1024, dtype=torch.int32))
    torch.testing.assert_close(found, features, rtol=1e-6, atol=0)
    half = pool(features[:, :, :4].to(torch.bfloat16), torch.zeros(1, 4, 1024))
    assert half.dtype == torch.bfloat16 and float(half[0, 0, 0, 0]) == pytest.approx(value, rel=1e-2)


# clusters


def test_each_instance_is_gathered_with_its_class_and_share() -> None:
    instance, label = street()
    instance, label = torch.cat([instance, instance]), torch.cat([label, label])
    label[1, 16:20, 2:12] = ROAD  # a third of a car's pixels: it stays one
    features = pool(torch.rand(2, 3, 32, 32), instance)
    found = gather(features, instance, label)
    pixels = {ROAD: 24 * 32 - 120 - 144 - 4, SKY: 8 * 32, 24000: 4, 26000: 120, 26001: 144}
    told = list(zip(found.classes.tolist(), (found.shares * 32 * 32).round().int().tolist(), strict=True))
    classes = {each: each if each < 1000 else each // 1000 for each in pixels}
    assert Counter(told) == Counter([(classes[each], count) for each, count in pixels.items()] * 2)
    assert float(found.shares.sum()) == pytest.approx(2)
    assert found.vectors.dtype == torch.float32 and found.vectors.shape == (10, 3)
    place = told.index((CAR, 120))
    assert torch.equal(found.vectors[place], features[0, :, 20, 5])
    tie = gather(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 4), torch.tensor([[[9, 3, 3, 9]]]))
    assert tie.classes.tolist() == [9] and tie.shares.tolist() == [1]


def instances(vectors: Tensor, label: int, share: float = 0.1) -> Instances:
    count = len(vectors)
    return Instances(vectors.float(), torch.full((count,), label), torch.full((count,), share))


def test_clusters_are_the_centres_of_each_class() -> None:
    torch.manual_seed(0)
    encoder = FeatureEncoder(width=2, features=2, clusters=3)
    centres = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]])
    cars = (centres[:, None] + 0.01 * torch.randn(3, 20, 2)).flatten(0, 1)
    gathered = [
        instances(cars[::2], CAR),
        instances(cars[1::2], CAR),
        instances(torch.tensor([[0.9, 0.9]]), CAR, share=1 / 64),  # too small to count
        instances(torch.tensor([[0.1, 0.2], [0.3, 0.4]]), SKY),  # fewer than clusters
        instances(torch.tensor([[0.7, 0.7]]).expand(9, 2), ROAD),  # all equal
        instances(torch.rand(5, 2), PERSON, share=0.001),
    ]
    encoder.cluster(gathered)
    assert {i: int(count) for i, count in enumerate(encoder.counts) if count} == {CAR: 3, SKY: 2, ROAD: 1}
    distance = torch.cdist(encoder.clusters[CAR], centres)
    assert sorted(distance.argmin(dim=1).tolist()) == [0, 1, 2] and float(distance.min(dim=1).values.max()) < 0.02
    assert sorted(encoder.clusters[SKY, :2].flatten().tolist()) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert encoder.clusters[ROAD, 0].tolist() == pytest.approx([0.7, 0.7])
    assert not encoder.clusters[SKY, 2:].any() and not encoder.clusters[ROAD, 1:].any()
    before = encoder.clusters.clone()
    encoder.cluster(iter(gathered))
    assert torch.equal(encoder.clusters, before), "the same again"
    encoder.cluster(gathered[3:], smallest_share=0.0005)
    assert {i: int(count) for i, count in enumerate(encoder.counts) if count} == {SKY: 2, ROAD: 1, PERSON: 3}
    assert not encoder.clusters[CAR].any(), "nothing of the last time stays"


def test_clusters_go_with_the_weights() -> None:
    encoder, other = FeatureEncoder(width=2), FeatureEncoder(width=2)
    encoder.cluster([instances(torch.rand(30, 3), CAR)])
    other.load_state_dict(encoder.state_dict())
    assert int(other.counts[CAR]) == 10 and torch.equal(other.clusters, encoder.clusters)
    instance, label = street()
    assert torch.equal(other.draw(instance, label, 3), encoder.draw(instance, label, 3))


# draws


@pytest.fixture
def clustered() -> FeatureEncoder:
    torch.manual_seed(0)
    encoder = FeatureEncoder(width=2, clusters=4)
    encoder.cluster([instances(torch.rand(40, 3), CAR), instances(torch.rand(2, 3), ROAD)])
    return encoder


def test_each_instance_draws_one_of_its_classes_clusters(clustered: FeatureEncoder) -> None:
    instance, label = street()
    found = clustered.draw(instance, label, seed=0)
    assert found.shape == (1, 3, 32, 32) and found.dtype == torch.float32
    for each in (ROAD, 26000, 26001):
        of_class = ROAD if each == ROAD else CAR
        values = found[0][:, instance[0] == each].T
        assert torch.equal(values, values[:1].expand_as(values))
        assert any(
            torch.equal(values[0], centre) for centre in clustered.clusters[of_class, : clustered.counts[of_class]]
        )
    for unseen in (SKY, PERSON):
        assert not found[0][:, label[0] == unseen].any()
    assert not FeatureEncoder(width=2).draw(instance, label, seed=0).any(), "nothing was clustered yet"


def test_draws_depend_on_seed_and_instance_alone(clustered: FeatureEncoder) -> None:
    instance, label = street()
    moved, moved_label = instance.roll(3, dims=2), label.roll(3, dims=2)
    found = clustered.draw(torch.cat([instance, moved]), torch.cat([label, moved_label]), seed=5)
    assert torch.equal(found[:1], clustered.draw(instance, label, seed=5))
    assert torch.equal(found[1], found[0].roll(3, dims=2))
    state = torch.get_rng_state()
    draws = {tuple(clustered.draw(instance, label, seed=seed)[0, 0, 20, [5, 20]].tolist()) for seed in range(200)}
    assert len(draws) == 16, "two cars take each pair of four clusters"
    assert torch.equal(torch.get_rng_state(), state)


def test_all_clusters_are_drawn_equally_often(clustered: FeatureEncoder) -> None:
    instance = torch.arange(26000, 30000).view(1, 40, 100)
    found = clustered.draw(instance, torch.full((1, 40, 100), CAR), seed=1)[0].flatten(1).T
    counts = [int((found == centre).all(dim=1).sum()) for centre in clustered.clusters[CAR]]
    assert sum(counts) == 4000 and all(abs(count - 1000) < 150 for count in counts)  # over five deviations
