"""The recipe of S-Flow GAN: what each network sees and learns from, equations 7 and 9, its phases, going on exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.building import Built, build
from citygan.companionsettings import KERNEL, SMOOTHING, THRESHOLD
from citygan.config import Layer, Settings, resolve
from citygan.data.store import PreparedSet
from citygan.errors import DataError, UsageError
from citygan.feeding import feed_of
from citygan.losses.flow import flow_loss, warp_loss
from citygan.models.enhancer import LocalEnhancer
from citygan.models.layers import pyramid
from citygan.ops import edges as ops_edges
from citygan.presets import PRESETS
from citygan.recipes.base import Update
from citygan.recipes.cg2real import CG2Real
from citygan.recipes.skeleton import Skeleton
from citygan.train.checkpoint import Tensors
from citygan.train.engine import Engine, Plan
from tests.tiny import city_set

CPU = torch.device("cpu")
NARROW: dict[str, Any] = {
    "generator": {"name": "unet", "width": 4, "blocks": 9, "halvings": None},
    "discriminator": {"width": 4},
    "dned": {"width": 2},
    "losses": {"lambda_vgg": 0.0},
}
ENHANCER: dict[str, Any] = {
    "generator": {"name": "local-enhancer", "width": 2, "blocks": 1, "halvings": 1, "local_blocks": 1,
                  "global_share": 0.25, "local_share": 0.25},
}  # fmt: skip


def settings(model: str = "sflow", **more: Any) -> Settings:
    return resolve([Layer("preset", {"model": model, **PRESETS[model].settings}), Layer("narrow", NARROW),
                    Layer("test", more)])[0]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return PreparedSet.open(city_set(tmp_path_factory.mktemp("cg2real") / "set"))


def batch(built: Built, wanted: Settings, data: PreparedSet, step: int = 0) -> Batch:
    return feed_of(wanted, data, arrays=built.arrays, channels=3, device=CPU)(step)


def recipe_of(built: Built) -> CG2Real:
    """Its edge network, whose sides start at 0, as if it had learnt something already."""
    assert isinstance(built.recipe, CG2Real)
    if "dned" in built.recipe.networks:
        torch.manual_seed(1)
        for side in built.recipe.networks["dned"].sides:
            nn.init.normal_(side.weight)
    return built.recipe


class Spy(nn.Module):
    """A network that remembers what it was shown."""

    def __init__(self, network: nn.Module, log: list[tuple[str, Tensor]], name: str) -> None:
        super().__init__()
        self.network, self.log, self.name = network, log, name

    def forward(self, *given: Any, **named: Any) -> Any:
        self.log.append((self.name, given[0]))
        return self.network(*given, **named)


def spied(recipe: CG2Real) -> list[tuple[str, Tensor]]:
    log: list[tuple[str, Tensor]] = []
    recipe.networks = {name: Spy(network, log, name) for name, network in recipe.networks.items()}
    return log


# what each network sees


@pytest.mark.parametrize(
    ("model", "edges", "features"), [("sflow", 1, 0), ("sflow-labels", 0, 0), ("sflow-laplacian", 1, 0)]
)
def test_only_the_generator_is_shown_edges(data: PreparedSet, model: str, edges: int, features: int) -> None:
    built = build(settings(model), data)
    assert built.inputs is not None
    labels = built.inputs.channels
    assert built.networks["generator"]["arguments"]["in_channels"] == labels + edges + features
    assert built.networks["discriminator"]["arguments"]["in_channels"] == labels + 3
    assert ("dned" in built.networks) == (model == "sflow")


def test_features_are_shown_to_the_generator_alone(data: PreparedSet) -> None:
    built = build(settings("pix2pixhd", **ENHANCER, features={"width": 2, "halvings": 2}), data)
    assert built.inputs is not None and built.inputs.edges
    assert built.networks["generator"]["arguments"]["in_channels"] == built.inputs.channels + 3
    assert built.networks["discriminator"]["arguments"]["in_channels"] == built.inputs.channels + 3  # and the picture


@pytest.mark.parametrize("phase", ["laplacian", "dned"])
def test_one_pass_each_and_other_edges_change_nothing_that_is_judged_beside_the_picture(
    data: PreparedSet, phase: str
) -> None:
    wanted = settings()
    built = build(wanted, data)
    recipe = recipe_of(built)
    log = spied(recipe)
    plain = batch(built, wanted, data)
    list(recipe.updates(plain, phase))
    assert [name for name, _ in log] == ["dned", "generator", "discriminator", "discriminator"]
    fake, real = (x for name, x in log if name == "discriminator")
    assert torch.equal(fake[:, :-3], real[:, :-3]) and torch.equal(real[:, -3:], plain.photo)  # type: ignore[arg-type]
    shown = dict(log)["generator"]
    log.clear()
    assert recipe.skeleton is not None
    recipe.skeleton = replace(recipe.skeleton, threshold=60.0)
    list(recipe.updates(plain, phase))
    other, judged = dict(log)["generator"], [x for name, x in log if name == "discriminator"]
    assert not torch.equal(other, shown) and torch.equal(other[:, :-1], shown[:, :-1])
    assert torch.equal(judged[0][:, :-3], fake[:, :-3]) and torch.equal(judged[1], real)


def test_the_generator_is_shown_the_laplacian_first_then_what_the_network_makes_of_it(data: PreparedSet) -> None:
    wanted = settings()
    built = build(wanted, data)
    recipe = recipe_of(built)
    dned, log = recipe.networks["dned"], spied(recipe)
    given = batch(built, wanted, data)
    assert given.photo is not None
    edges = ops_edges.edge_map(given.photo, smoothing=SMOOTHING, threshold=THRESHOLD, ksize=KERNEL)
    for phase, shown in (("laplacian", edges), ("dned", dned(edges)[:, -1:].sigmoid())):
        log.clear()
        list(recipe.updates(given, phase))
        assert torch.equal(dict(log)["generator"][:, -1:], shown)
        assert torch.equal(dict(log)["dned"], edges)
    assert 0 < float(edges.mean()) < 0.9


# what each network learns from


def gradients(update: Update, network: nn.Module, *names: str) -> float:
    """Size of the gradient of some terms with respect to a network."""
    total = torch.stack([update.losses[name] for name in names]).sum()
    found = torch.autograd.grad(total, list(network.parameters()), retain_graph=True, allow_unused=True)
    return sum(float(g.abs().sum()) for g in found if g is not None)


def test_the_edge_network_learns_from_equation_4_alone_and_later_from_all(data: PreparedSet) -> None:
    wanted = settings(losses={"lambda_l1": 10.0})
    built = build(wanted, data)
    recipe = recipe_of(built)
    given = batch(built, wanted, data)
    for phase, reached in (("laplacian", False), ("dned", True)):
        update = next(recipe.updates(given, phase))
        for term in ("g_gan", "g_fm", "g_l1"):
            assert (gradients(update, recipe.networks["dned"], term) > 0) == reached, (phase, term)
            assert gradients(update, recipe.networks["generator"], term) > 0
        assert gradients(update, recipe.networks["dned"], "dned") > 0
        assert gradients(update, recipe.networks["generator"], "dned") == 0


def test_generator_then_discriminator_and_neither_moves_with_the_other(data: PreparedSet) -> None:
    wanted = settings()
    built = build(wanted, data)
    recipe = recipe_of(built)
    assert {name: group.networks for name, group in recipe.groups.items()} == {
        "generator": ("generator", "dned"), "discriminator": ("discriminator",),
    }  # fmt: skip
    engine = Engine(recipe, Plan(steps=4), CPU)
    moved: list[tuple[str, list[str]]] = []
    step = engine._step

    def watched(group: str, losses: dict[str, Tensor]) -> None:
        for name, network in engine.networks.items():
            mine = name in recipe.groups[group].networks
            had = [p.grad is not None and bool(p.grad.any()) for p in network.parameters()]
            # those of the group before stay until the next step, where they are thrown away
            assert any(had) or not mine
            if group == "generator" and name == "discriminator":
                assert not any(had)
        before = {name: [p.detach().clone() for p in net.parameters()] for name, net in engine.networks.items()}
        step(group, losses)
        changed = [
            name
            for name, net in engine.networks.items()
            if any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True))
        ]
        moved.append((group, changed))

    engine._step = watched  # type: ignore[method-assign]
    engine.train_step(0, batch(built, wanted, data))
    assert moved == [("generator", ["generator", "dned"]), ("discriminator", ["discriminator"])]


# equations 7 and 9


FOOL: dict[str, Callable[[Tensor], Tensor]] = {
    "cross-entropy": lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)),
    "least-squares": lambda x: ((x - 1) ** 2).mean(),
    "hinge": lambda x: -x.mean(),
}
JUDGE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda f, r: (
        F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        + F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
    ),
    "least-squares": lambda f, r: (f**2).mean() + ((r - 1) ** 2).mean(),
    "hinge": lambda f, r: F.relu(1 + f).mean() + F.relu(1 - r).mean(),
}


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize("form", sorted(FOOL))
def test_the_terms_add_up_to_equation_7(data: PreparedSet, scales: int, form: str) -> None:
    wanted = settings(
        discriminator={"scales": scales},
        dned={"balanced": False},
        losses={"adversarial": form, "lambda_gan": 2.0, "lambda_fm": 3.0, "lambda_dned": 5.0},
    )
    built = build(wanted, data)
    recipe = recipe_of(built)
    given = batch(built, wanted, data)
    generator, discriminator, dned = (recipe.networks[name] for name in ("generator", "discriminator", "dned"))
    assert built.inputs is not None and given.photo is not None
    # by hand
    labels = built.inputs(given)
    edges = ops_edges.edge_map(given.photo)
    logits = dned(edges)
    torch.manual_seed(5)
    fake = generator(torch.cat([labels, logits[:, -1:].sigmoid()], 1))
    of_fake, of_real = (discriminator(torch.cat([labels, x], 1), features=True) for x in (fake, given.photo))
    assert len(of_fake) == scales
    gan = sum(FOOL[form](maps[-1]) for maps in of_fake)
    # 3 layers of stride 2: 4 / (3 + 1) of each mean, over the scales
    layers = [F.l1_loss(a, b) for f, r in zip(of_fake, of_real, strict=True) for a, b in zip(f, r, strict=True)]
    kept = [term for place, term in enumerate(layers) if (place + 1) % len(of_fake[0])]
    fm = sum(kept) / scales
    equation_4 = sum(F.binary_cross_entropy(logits[:, i : i + 1].sigmoid(), edges) for i in range(6))
    judged = sum(JUDGE[form](f[-1], r[-1]) for f, r in zip(of_fake, of_real, strict=True))
    # and by the recipe
    torch.manual_seed(5)
    first, second = recipe.updates(given, "dned")
    assert (first.group, second.group) == ("generator", "discriminator")
    assert set(first.losses) == {"g_gan", "g_fm", "dned"} and set(second.losses) == {"d_fake", "d_real"}
    torch.testing.assert_close(sum(first.losses.values()), 2 * gan + 3 * fm + 5 * equation_4, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sum(second.losses.values()), 0.5 * judged, rtol=1e-4, atol=1e-5)


def test_the_perceptual_term_is_looked_at_with_a_network_that_never_moves(data: PreparedSet) -> None:
    wanted = settings("sflow-labels", losses={"lambda_vgg": 10.0})
    built = build(wanted, data)
    recipe = recipe_of(built)
    assert set(recipe.frozen) == {"vgg"} and "vgg" not in recipe.networks
    before = {key: tensor.clone() for key, tensor in recipe.frozen["vgg"].state_dict().items()}
    engine = Engine(recipe, Plan(steps=2), CPU)
    losses = engine.train_step(0, batch(built, wanted, data))
    assert float(losses["g_vgg"]) > 0
    assert not any(name.startswith("vgg") for name in engine.tensors())
    assert all(torch.equal(before[key], tensor) for key, tensor in recipe.frozen["vgg"].state_dict().items())


def test_pairs_add_the_terms_of_motion_and_each_frame_is_generated_by_itself(data: PreparedSet) -> None:
    video = {"video": {"pairs": True, "window": 5, "levels": 0}, "augment": {"jitter": 1.0, "mirror": False}}
    wanted = settings(**video, losses={"lambda_flow": 2.0, "lambda_warp": 3.0}, generator={"dropout": 0.0})
    built = build(wanted, data)
    assert {"flow", "occlusion"} <= set(built.arrays)
    recipe = recipe_of(built)
    given = batch(built, wanted, data)
    assert given.following is not None and given.flow is not None
    log = spied(recipe)
    losses = next(recipe.updates(given, "dned")).losses
    assert [name for name, _ in log].count("generator") == 2 and [n for n, _ in log].count("discriminator") == 2
    generator = recipe.networks["generator"].network
    first, second = (generator(x) for name, x in log if name == "generator")
    judged = [x for name, x in log if name == "discriminator"]
    assert torch.equal(judged[0][:, -3:], torch.cat([first, second]))
    photos = [frame.photo for frame in (given, given.following)]
    by_hand = flow_loss(*photos, first, second, recipe.flow)  # type: ignore[arg-type]
    torch.testing.assert_close(losses["g_flow"], 2 * by_hand)
    torch.testing.assert_close(losses["g_warp"], 3 * warp_loss(first, second, given.flow, given.occlusion))
    # nothing of frame t depends on frame t + 1
    log.clear()
    assert given.following.label is not None and given.following.photo is not None
    other = replace(given.following, label=given.following.label.flip(1), photo=given.following.photo.flip(2))
    list(recipe.updates(replace(given, following=other), "dned"))
    again = [x for name, x in log if name == "generator"]
    assert torch.equal(generator(again[0]), first) and not torch.equal(generator(again[1]), second)
    plain = next(recipe.updates(replace(given, following=None), "dned")).losses
    assert set(losses) - set(plain) == {"g_flow", "g_warp"}


def test_occluded_pixels_are_masked_where_the_setting_says_so(data: PreparedSet) -> None:
    found = {}
    for masked in (False, True):
        wanted = settings("sflow", video={"pairs": True, "masked": masked, "window": 5, "levels": 0},
                          losses={"lambda_flow": 1.0}, generator={"dropout": 0.0})  # fmt: skip
        built = build(wanted, data)
        assert ("occlusion" in built.arrays) == masked
        found[masked] = float(
            next(recipe_of(built).updates(batch(built, wanted, data), "dned")).losses["g_flow"].detach()
        )
    assert found[True] != found[False]


# phases


def test_phases_follow_the_shares_of_the_steps(data: PreparedSet) -> None:
    recipe = recipe_of(build(settings(dned={"from_share": 0.25}), data))
    assert [recipe.phase(step, 8) for step in range(8)] == ["laplacian"] * 2 + ["dned"] * 6
    recipe = recipe_of(build(settings("sflow-laplacian"), data))
    assert recipe.phase(0, 8) == "all"
    recipe = recipe_of(build(settings("sflow", **ENHANCER, dned={"from_share": 0.5}), data))
    assert [recipe.phase(step, 8) for step in range(8)] == [
        *["global laplacian"] * 2, *["local laplacian"] * 2, *["both dned"] * 4,
    ]  # fmt: skip


STAGES = {
    "the edge network": ("sflow", {"dned": {"from_share": 0.5}}),
    "the local enhancer": ("sflow-labels", ENHANCER),
    "pix2pixHD": ("pix2pixhd", {**ENHANCER, "features": {"width": 2, "halvings": 1}, "discriminator": {"scales": 2}}),
}


@pytest.mark.parametrize("name", sorted(STAGES))
def test_going_on_across_any_switch_is_exact(data: PreparedSet, name: str) -> None:
    """All networks, averages and optimizers, bit for bit, from a checkpoint in every phase."""
    model, more = STAGES[name]
    wanted = settings(model, **more)
    steps = 8

    def fresh() -> tuple[Engine, Callable[[int], Batch]]:
        built = build(wanted, data)
        return Engine(built.recipe, Plan(steps=steps, seed=3, ema=0.9), CPU), lambda i: batch(built, wanted, data, i)

    def copied(engine: Engine) -> dict[str, Tensors]:
        return {part: {key: t.clone() for key, t in tensors.items()} for part, tensors in engine.tensors().items()}

    straight, feed = fresh()
    kept = {}
    for step in range(steps):
        if step in (1, 3, 5):
            kept[step] = copied(straight)
        straight.train_step(step, feed(step))
    wanted_end = copied(straight)
    for start, saved in kept.items():
        resumed, feed = fresh()
        resumed.load(saved, "test")
        for step in range(start, steps):
            resumed.train_step(step, feed(step))
        found = resumed.tensors()
        assert found.keys() == wanted_end.keys()
        for part, tensors in wanted_end.items():
            for key, tensor in tensors.items():
                assert torch.equal(tensor, found[part][key]), (start, part, key)


def parts_of(generator: nn.Module) -> dict[str, dict[str, Tensor]]:
    state = {key: tensor.clone() for key, tensor in generator.state_dict().items()}
    return {
        "global": {k: t for k, t in state.items() if k.startswith("coarse.")},
        "enhancers": {k: t for k, t in state.items() if k.startswith(("enhancers.", "output."))},
        "coarse_output": {k: t for k, t in state.items() if k.startswith("coarse_output.")},
    }


def test_what_rests_in_a_phase_does_not_move(data: PreparedSet) -> None:
    wanted = settings("sflow-labels", **ENHANCER)
    built = build(wanted, data)
    engine = Engine(built.recipe, Plan(steps=4), CPU)
    generator = engine.networks["generator"]
    moved = []
    for step in range(4):
        before = parts_of(generator)
        engine.train_step(step, batch(built, wanted, data, step))
        after = parts_of(generator)
        moved.append({p for p in before if any(not torch.equal(before[p][k], after[p][k]) for k in before[p])})
    assert moved == [{"global", "coarse_output"}, {"enhancers"}, {"global", "enhancers"}, {"global", "enhancers"}]


def test_the_global_generator_alone_learns_from_smaller_pictures(data: PreparedSet) -> None:
    wanted = settings("sflow-labels", **ENHANCER)
    built = build(wanted, data)
    recipe = recipe_of(built)
    given = batch(built, wanted, data)
    generator = recipe.networks["generator"]
    assert isinstance(generator, LocalEnhancer) and given.photo is not None
    judged: list[Tensor] = []
    recipe.networks["discriminator"].register_forward_pre_hook(lambda _, x: judged.append(x[0]))
    list(recipe.updates(given, "global"))
    assert {tuple(x.shape[-2:]) for x in judged} == {(16, 16)}
    assert torch.equal(judged[1][:, -3:], pyramid(given.photo, 2)[-1])


# settings


def test_defaults_of_settings_are_those_of_the_operators() -> None:
    """Settings import nothing that needs torch, so the numbers stand in both places."""
    assert (SMOOTHING, THRESHOLD, KERNEL) == (ops_edges.SMOOTHING, ops_edges.THRESHOLD, ops_edges.KSIZE)
    assert Skeleton("photo", SMOOTHING, THRESHOLD, KERNEL).concentration > 0


def refusals() -> Iterator[tuple[dict[str, Any], type[Exception], str]]:
    yield {"edges": {"of": "source"}, "without": ("source",)}, DataError, "no source pictures to take edges from"
    yield {"video": {"pairs": True}, "frames": ((0, 2, 4),)}, DataError, "numbers one after the other"
    yield {"video": {"pairs": True, "masked": True}, "without": ("flow", "occlusion")}, DataError, "video.masked needs"
    warp = {"video": {"pairs": True}, "losses": {"lambda_warp": 30.0}}
    for without in ("flow", "occlusion"):
        yield {**warp, "without": (without,)}, DataError, r"lambda_warp needs.*--flow, or --set losses.lambda_warp=0"
    yield {"losses": {"lambda_flow": 1.0}}, UsageError, "learnt from pairs of frames"
    yield {"edges": {"shown": False}}, UsageError, "an edge network without edges"
    yield {"recipe": "pix2pix"}, UsageError, "of the recipe cg2real, and this is pix2pix"
    yield {"features": {"shown": True}, "without": ("instance",)}, DataError, "need photos and instance maps"
    yield {"discriminator": {"name": "pixelgan", "scales": 3}}, UsageError, "pixelgan does not tell"
    yield {**ENHANCER, "video": {"pairs": True}}, UsageError, "the global generator alone paints smaller ones"
    yield {"generator": {"name": "unet", "global_share": 0.5}}, UsageError, "has no .*global_share"


@pytest.mark.parametrize(("more", "error", "words"), list(refusals()))
def test_what_does_not_go_together_is_refused_with_a_hint(
    tmp_path: Path, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    more = dict(more)
    frames, without = more.pop("frames", ((0, 1),)), more.pop("without", ())
    path = city_set(tmp_path / "set", train=frames, without=without)
    with pytest.raises(error, match=words) as caught:
        build(settings(**more), PreparedSet.open(path))
    assert getattr(caught.value, "hint", None)


def test_pictures_of_no_sequence_give_no_pairs(tmp_path: Path) -> None:
    from tests.tiny import prepared_set

    with pytest.raises(DataError, match=r"has no sequences.*--model sflow"):
        build(settings("sflow-video"), PreparedSet.open(prepared_set(tmp_path / "set")))
