"""pix2pix: a generator learns against a discriminator that sees its input (Isola et al., sections 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.config import Settings
from citygan.losses.adversarial import cross_entropy
from citygan.losses.reconstruction import l1
from citygan.models import DISCRIMINATORS, GENERATORS, lookup
from citygan.recipes.base import Group, LinearDecay, Recipe, Update, constant
from citygan.recipes.inputs import InputEncoder


class Pix2Pix(Recipe):
    """min_G max_D L_cGAN(G, D) + lambda L_L1(G) (equation 4).

    Args:
        settings: Weights of the terms, rates.
        inputs: Turns a batch into the generator's input.
        generator: The constructor's arguments, as the checkpoint keeps them.
        discriminator: The same; None where the adversarial term has no weight.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: InputEncoder,
        generator: dict[str, Any],
        discriminator: dict[str, Any] | None,
    ) -> None:
        self.inputs = inputs
        self.lambda_gan = settings.losses.lambda_gan
        self.lambda_l1 = settings.losses.lambda_l1
        self.shared_pass = settings.discriminator.shared_pass
        optimizer = settings.optimizer
        schedule = LinearDecay(optimizer.decay_share) if optimizer.schedule == "linear" else constant
        betas = (optimizer.beta1, optimizer.beta2)
        self.networks: dict[str, nn.Module] = {
            "generator": lookup(GENERATORS, settings.generator.name, "generator")(**generator)
        }
        self.groups = {"generator": Group(("generator",), optimizer.rate, schedule, betas)}
        if discriminator is not None:
            self.networks["discriminator"] = lookup(DISCRIMINATORS, settings.discriminator.name, "discriminator")(
                **discriminator
            )
            self.groups["discriminator"] = Group(("discriminator",), optimizer.rate, schedule, betas)

    def updates(self, batch: Batch) -> Iterator[Update]:
        assert batch.photo is not None
        x, real = self.inputs(batch), batch.photo
        fake = self.networks["generator"](x)
        if "discriminator" not in self.networks:
            yield Update("generator", self._reconstruction(fake, real))
            return
        discriminator = self.networks["discriminator"]
        if self.shared_pass:
            judged = discriminator(torch.cat([x, fake], dim=1))
            judged_real = discriminator(torch.cat([x, real], dim=1))
            yield Update("generator", self._fooling(judged) | self._reconstruction(fake, real), retain=True)
            yield Update("discriminator", _judging_fake(judged) | _judging_real(judged_real))
            return
        # one after the other, so that the first's graph is gone before the second's is made
        yield Update("discriminator", _judging_fake(discriminator(torch.cat([x, fake.detach()], dim=1))), step=False)
        yield Update("discriminator", _judging_real(discriminator(torch.cat([x, real], dim=1))))
        judged = discriminator(torch.cat([x, fake], dim=1))
        yield Update("generator", self._fooling(judged) | self._reconstruction(fake, real))

    def _fooling(self, judged: Tensor) -> dict[str, Tensor]:
        return {"g_gan": self.lambda_gan * cross_entropy(judged, True)}

    def _reconstruction(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        return {"g_l1": self.lambda_l1 * l1(fake, real)} if self.lambda_l1 > 0 else {}


# the discriminator's terms are halved, which slows it down relative to the generator (section 3.3)


def _judging_fake(judged: Tensor) -> dict[str, Tensor]:
    return {"d_fake": 0.5 * cross_entropy(judged, False)}


def _judging_real(judged: Tensor) -> dict[str, Tensor]:
    return {"d_real": 0.5 * cross_entropy(judged, True)}
