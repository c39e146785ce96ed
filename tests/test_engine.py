"""The engine: the paper's updates in the paper's order, whatever it does beneath them."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from citygan.batch import Batch
from citygan.config import Layer, Settings, resolve
from citygan.data.labels import TABLES
from citygan.errors import DamagedError, DivergedError
from citygan.recipes.base import Group, LinearDecay, Recipe, Update, constant
from citygan.recipes.pix2pix import Pix2Pix
from citygan.recipes.views import View
from citygan.train.engine import Engine, Plan

CPU = torch.device("cpu")


def _settings(**values: Any) -> Settings:
    return resolve([Layer("test", values)])[0]


def _pix2pix(settings: Settings | None = None, dropout: float = 0.0, channels: int = 3) -> Pix2Pix:
    torch.manual_seed(0)
    settings = settings or Settings()
    inputs = View("source", None, channels)
    return Pix2Pix(
        settings,
        inputs,
        View("photo"),
        {"in_channels": 3, "out_channels": 3, "width": 4, "depth": 5, "dropout": dropout},
        {"in_channels": 6 if settings.discriminator.conditional else 3, "width": 4, "receptive_field": 70}
        if settings.losses.lambda_gan > 0
        else None,
    )


def _batch(step: int, count: int = 1, size: int = 64) -> Batch:
    draw = torch.Generator().manual_seed(100 + step)
    x, y = torch.rand(2, count, 3, size, size, generator=draw) * 2 - 1
    return Batch(source=x, photo=y)


def _equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_pix2pix_learns_as_written_by_hand_from_the_paper() -> None:
    recipe = _pix2pix()
    g, d = copy.deepcopy(recipe.networks["generator"]), copy.deepcopy(recipe.networks["discriminator"])
    engine = Engine(recipe, Plan(steps=4, channels_last=False), CPU)
    adam_g = torch.optim.Adam(g.parameters(), 2e-4, (0.5, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), 2e-4, (0.5, 0.999))

    def bce(logits: torch.Tensor, target: float) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    for step in range(4):
        batch = _batch(step)
        engine.train_step(step, batch)
        x, y = batch.source, batch.photo
        fake = g(x)
        adam_d.zero_grad()
        judged = bce(d(torch.cat([x, fake.detach()], 1)), 0.0), bce(d(torch.cat([x, y], 1)), 1.0)
        (0.5 * sum(judged)).backward()
        adam_d.step()
        adam_g.zero_grad()
        (bce(d(torch.cat([x, fake], 1)), 1.0) + 100 * (fake - y).abs().mean()).backward()
        adam_g.step()
    for mine, theirs in ((recipe.networks["generator"], g), (recipe.networks["discriminator"], d)):
        for a, b in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-6)


def test_a_shared_pass_gives_the_gradients_of_two() -> None:
    """Generator first, then the discriminator, both from the networks as they stood."""
    recipe = _pix2pix(_settings(discriminator={"shared_pass": True}))
    g, d = copy.deepcopy(recipe.networks["generator"]), copy.deepcopy(recipe.networks["discriminator"])
    engine = Engine(recipe, Plan(steps=1, channels_last=False), CPU)
    batch = _batch(0)
    engine.train_step(0, batch)
    x, y = batch.source, batch.photo
    assert x is not None and y is not None
    fake = g(x)
    judged, judged_real = d(torch.cat([x, fake], 1)), d(torch.cat([x, y], 1))
    of_g = torch.autograd.grad(
        F.softplus(-judged).mean() + 100 * F.l1_loss(fake, y), list(g.parameters()), retain_graph=True
    )
    of_d = torch.autograd.grad((F.softplus(judged).mean() + F.softplus(-judged_real).mean()) / 2, list(d.parameters()))
    for mine, expected in ((recipe.networks["generator"], of_g), (recipe.networks["discriminator"], of_d)):
        for parameter, gradient in zip(mine.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared_pass", [False, True])
@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminator_is_shown_the_pictures_and_the_input_only_where_it_is_conditional(
    conditional: bool, shared_pass: bool
) -> None:
    """Equations 1 and 2: D(x, y), or D(y) with y the generated or the real picture, never the label map alone."""
    recipe = _pix2pix(_settings(discriminator={"conditional": conditional, "shared_pass": shared_pass}))
    made: list[torch.Tensor] = []
    seen: list[torch.Tensor] = []
    recipe.networks["generator"].register_forward_hook(lambda net, given, y: made.append(y))
    recipe.networks["discriminator"].register_forward_pre_hook(lambda net, given: seen.append(given[0]))
    batch = _batch(0)
    Engine(recipe, Plan(steps=1, channels_last=False), CPU).train_step(0, batch)
    (fake,) = made
    x, y = batch.source, batch.photo
    assert x is not None and y is not None and not torch.equal(fake, y)
    expected = [fake, y] if shared_pass else [fake, y, fake]
    assert len(seen) == len(expected)
    for shown, picture in zip(seen, expected, strict=True):
        assert torch.equal(shown, torch.cat([x, picture], dim=1) if conditional else picture)
    if not shared_pass:
        assert [shown.requires_grad for shown in seen] == [False, False, True], "D's own update leaves G alone"


@pytest.fixture
def peer(shared: Path) -> Any:
    folder = shared / "peers" / "pytorch-CycleGAN-and-pix2pix"
    sys.path.insert(0, str(folder))
    try:
        from models.pix2pix_model import Pix2PixModel
    finally:
        sys.path.remove(str(folder))
    options = SimpleNamespace(
        isTrain=True, gpu_ids=[], checkpoints_dir="unused", name="peer", preprocess="none", input_nc=3, output_nc=3,
        ngf=4, ndf=4, netG="unet_128", netD="basic", n_layers_D=3, norm="batch", no_dropout=True, init_type="normal",
        init_gain=0.02, gan_mode="vanilla", lr=2e-4, beta1=0.5, direction="AtoB", lambda_L1=100.0,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        return Pix2PixModel(options)


def test_pix2pix_learns_as_the_public_code_does(peer: Any) -> None:
    from citygan.weights import import_state_dict

    imported = {
        name: import_state_dict(net.state_dict())
        for name, net in (("generator", peer.netG), ("discriminator", peer.netD))
    }
    recipe = _pix2pix()
    recipe.networks = {name: weights.build() for name, weights in imported.items()}
    for module in recipe.networks["generator"].modules():
        if type(module).__name__ == "Dropout":
            module.rate = 0.0  # type: ignore[assignment]
    engine = Engine(recipe, Plan(steps=3), CPU)
    for step in range(3):
        batch = _batch(step, count=2, size=128)
        losses = engine.train_step(step, batch)
        peer.set_input({"A": batch.source, "B": batch.photo, "A_paths": [""] * 2, "B_paths": [""] * 2})
        peer.optimize_parameters()
        torch.testing.assert_close(losses["g_l1"], peer.loss_G_L1, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(losses["g_gan"], peer.loss_G_GAN, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(losses["d_real"], 0.5 * peer.loss_D_real, rtol=1e-3, atol=1e-4)


class _Plain(Recipe):
    """Two networks without batch norm that learn against each other."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.networks = {
            "generator": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, 3, 3, padding=1)),
            "discriminator": nn.Sequential(nn.Conv2d(6, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 2, 1)),
        }
        self.groups = {name: Group((name,), 2e-3, constant, (0.5, 0.999)) for name in self.networks}

    def updates(self, batch: Batch, phase: str = "all") -> Iterator[Update]:
        g, d = self.networks["generator"], self.networks["discriminator"]
        x, y = batch.source, batch.photo
        assert x is not None and y is not None
        fake = g(x)
        fooled = F.softplus(d(torch.cat([x, fake.detach()], 1))).mean()
        yield Update("discriminator", {"d_fake": fooled}, step=False)  # accumulated with the next
        yield Update("discriminator", {"d_real": F.softplus(-d(torch.cat([x, y], 1))).mean()})
        yield Update("generator", {"gan": F.softplus(-d(torch.cat([x, fake], 1))).mean(), "l1": F.l1_loss(fake, y)})


def test_parts_of_a_batch_give_what_the_whole_gives() -> None:
    whole, parts = Engine(_Plain(), Plan(steps=5), CPU), Engine(_Plain(), Plan(steps=5, accumulate=2), CPU)
    for step in range(5):
        a, b = whole.train_step(step, _batch(step, 4, 16)), parts.train_step(step, _batch(step, 4, 16))
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)
    for name, network in whole.networks.items():
        for p, q in zip(network.parameters(), parts.networks[name].parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


def test_the_next_loss_sees_the_network_just_stepped_and_gradients_reach_their_group_alone() -> None:
    recipe = _pix2pix()
    engine = Engine(recipe, Plan(steps=1), CPU)
    d = recipe.networks["discriminator"]
    before = copy.deepcopy(d.state_dict())
    seen: list[bool] = []
    original = d.forward

    def watch(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.equal(d.state_dict()["output.weight"], before["output.weight"]))
        return original(x)

    d.forward = watch  # type: ignore[method-assign]
    engine.train_step(0, _batch(0))
    assert seen == [True, True, False]
    stepped = copy.deepcopy(d.state_dict())
    gradients = [p.grad.clone() for p in d.parameters() if p.grad is not None]
    d.forward = original  # type: ignore[method-assign]
    for update in list(recipe.updates(_batch(1)))[1:]:  # the generator's alone
        sum(update.losses.values()).backward(inputs=engine.parameters["generator"])  # type: ignore[union-attr]
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, d.parameters(), strict=True))
    assert all(torch.equal(stepped[k], v) for k, v in d.state_dict().items() if "norm" not in k)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_going_on_from_saved_tensors_is_exact(ema: float) -> None:
    def fresh() -> Engine:
        return Engine(_pix2pix(dropout=0.5), Plan(steps=6, seed=7, ema=ema), CPU)

    straight = fresh()
    for step in range(3):
        straight.train_step(step, _batch(step))
    saved = {name: {key: t.clone() for key, t in part.items()} for name, part in straight.tensors().items()}
    for step in range(3, 6):
        straight.train_step(step, _batch(step))
    resumed = fresh()
    resumed.load(saved, "test")
    torch.rand(17)  # the generator's state is not carried, so it must not matter
    for step in range(3, 6):
        resumed.train_step(step, _batch(step))
    for name, part in straight.tensors().items():
        for key, tensor in part.items():
            assert torch.equal(tensor, resumed.tensors()[name][key]), (name, key)


def test_loading_what_does_not_fit_names_the_first_difference() -> None:
    engine = Engine(_pix2pix(), Plan(steps=1), CPU)
    engine.train_step(0, _batch(0))
    parts = engine.tensors()
    narrow = {**parts, "generator": {**parts["generator"], "down.0.weight": torch.zeros(2, 3, 4, 4)}}
    with pytest.raises(DamagedError, match=r"down\.0\.weight is \(2, 3, 4, 4\) there and \(4, 3, 4, 4\) here"):
        engine.load(narrow, "x")
    without = {**parts, "optimizer-generator": {}}
    with pytest.raises(DamagedError, match="optimizer-generator lacks"):
        engine.load(without, "x")


@pytest.mark.parametrize("what", ["photo", "weights"])
def test_what_is_not_finite_stops_before_the_step(what: str) -> None:
    recipe = _pix2pix()
    engine = Engine(recipe, Plan(steps=2), CPU)
    engine.train_step(0, _batch(0))
    before = copy.deepcopy({name: network.state_dict() for name, network in recipe.networks.items()})
    batch = _batch(1)
    if what == "photo":
        assert batch.photo is not None
        batch.photo[0, 0, 0, 0] = float("nan")
    else:
        with torch.no_grad():
            recipe.networks["discriminator"].output.weight.fill_(float("inf"))  # type: ignore[union-attr]
    with pytest.raises(DivergedError, match="at step 2"):
        engine.train_step(1, batch)
    for key, value in before["generator"].items():
        if "norm" not in key:  # running statistics have seen the pictures; weights have not moved
            assert torch.equal(value, recipe.networks["generator"].state_dict()[key])


def test_the_average_follows_its_formula() -> None:
    engine = Engine(_pix2pix(), Plan(steps=60, ema=0.75), CPU)
    expected = [p.clone() for p in engine.networks["generator"].parameters()]
    for step, decay in ((0, 1 / 10), (1, 2 / 11), (25, 26 / 35), (26, 0.75), (50, 0.75)):  # (1 + t) / (10 + t) at most
        engine.train_step(step, _batch(step))
        for mine, p in zip(expected, engine.networks["generator"].parameters(), strict=True):
            mine.mul_(decay).add_(p.detach(), alpha=1 - decay)
    for mine, p in zip(expected, engine.averages["generator"].parameters(), strict=True):
        torch.testing.assert_close(mine, p)


def test_bf16_stays_close_to_float32() -> None:
    full, half = Engine(_pix2pix(), Plan(steps=3), CPU), Engine(_pix2pix(), Plan(steps=3, bf16=True), CPU)
    for step in range(3):
        a, b = full.train_step(step, _batch(step)), half.train_step(step, _batch(step))
        assert {name: loss.dtype for name, loss in b.items()} == dict.fromkeys(b, torch.float32)
        torch.testing.assert_close(a["g_l1"], b["g_l1"], rtol=0.03, atol=0)


def test_without_its_weight_there_is_no_discriminator() -> None:
    recipe = _pix2pix(_settings(losses={"lambda_gan": 0}))
    engine = Engine(recipe, Plan(steps=1), CPU)
    assert set(recipe.networks) == {"generator"}
    assert set(engine.train_step(0, _batch(0))) == {"g_l1"}


def test_linear_decay_is_constant_then_falls_to_nothing() -> None:
    decay = LinearDecay(0.5)
    assert [decay(step, 10) for step in (0, 5)] == [1.0, 1.0]
    assert decay(9, 10) == pytest.approx(0.2)


def test_one_hot_and_instance_edges() -> None:
    table = TABLES["cityscapes"]
    label = torch.tensor([[[7, 7, 26, 26], [7, 7, 255, 26]]], dtype=torch.uint8)
    instance = torch.tensor([[[7, 7, 26001, 26002], [7, 7, 0, 26002]]])
    x = View("label", table, encoding="onehot", edges=True)(Batch(label=label, instance=instance))
    assert x.shape == (1, len(table.classes) + 1, 2, 4)
    channels = [item.id for item in table.classes]
    assert x[0, channels.index(7)].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert x[0, :-1].sum(0).tolist() == [[1, 1, 1, 1], [1, 1, 0, 1]]
    assert x[0, -1].tolist() == [[0, 1, 1, 1], [0, 1, 1, 1]]
    colours = View("label", table)(Batch(label=label))
    assert torch.allclose((colours[0, :, 0, 0] + 1) * 127.5, torch.tensor([128.0, 64.0, 128.0]), atol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("options", [{}, {"cuda_graphs": True}, {"bf16": True, "cuda_graphs": True}, {"ema": 0.5}])
def test_on_a_gpu_steps_agree_with_the_cpu(options: dict[str, Any]) -> None:
    cuda = torch.device("cuda")
    torch.backends.cudnn.allow_tf32 = False
    here, there = Engine(_pix2pix(), Plan(steps=8), CPU), Engine(_pix2pix(), Plan(steps=8, **options), cuda)
    loose = 0.1 if options.get("bf16") else 5e-3
    for step in range(8):
        batch = _batch(step)
        assert batch.source is not None and batch.photo is not None
        a = here.train_step(step, batch)
        b = there.train_step(step, Batch(source=batch.source.cuda(), photo=batch.photo.cuda()))
        for name, loss in a.items():
            torch.testing.assert_close(b[name].cpu(), loss, rtol=loose, atol=loose)
    there.check()


@pytest.mark.cuda
@pytest.mark.parametrize("graphs", [False, True])
def test_on_a_gpu_steps_that_are_not_finite_change_nothing_and_are_told(graphs: bool) -> None:
    engine = Engine(_pix2pix(), Plan(steps=8, cuda_graphs=graphs), torch.device("cuda"))
    for step in range(8):
        batch = _batch(step)
        assert batch.source is not None and batch.photo is not None
        photo = batch.photo.cuda()
        if step >= 5:
            photo[0, 0, 0, 0] = float("nan")
        if step == 5:
            before = {key: value.clone() for key, value in engine.networks["generator"].state_dict().items()}
        engine.train_step(step, Batch(source=batch.source.cuda(), photo=photo))
    for key, parameter in engine.networks["generator"].named_parameters():
        assert torch.equal(before[key], parameter)
    with pytest.raises(DivergedError, match="at step 6"):
        engine.check()
