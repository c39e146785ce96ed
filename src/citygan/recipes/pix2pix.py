"""pix2pix: a generator learns against a discriminator that sees its input (Isola et al., sections 3.1 to 3.3).

What it is shown and what it paints are views of the same pictures: any of the paper's tasks is a pair of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.config import Settings
from citygan.losses import ADVERSARIAL, RECONSTRUCTION
from citygan.losses.adversarial import Judged
from citygan.models import DISCRIMINATORS, GENERATORS, lookup
from citygan.recipes.base import Recipe, Update, group_of
from citygan.recipes.views import View


class Pix2Pix(Recipe):
    """min_G max_D L_cGAN(G, D) + lambda L_L1(G) (equation 4), or L_GAN(G, D) in its place (equation 2).

    Args:
        settings: Weights of the terms, rates.
        inputs: What the generator is shown of a batch.
        outputs: What it is to paint of it.
        generator: The constructor's arguments, as the checkpoint keeps them.
        discriminator: The same; None where the adversarial term has no weight.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: View,
        outputs: View,
        generator: dict[str, Any],
        discriminator: dict[str, Any] | None,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.lambda_gan = settings.losses.lambda_gan
        self.lambda_l1 = settings.losses.lambda_l1
        self.adversarial = lookup(ADVERSARIAL, settings.losses.adversarial, "adversarial loss")
        self.reconstruction = settings.losses.reconstruction
        self.conditional = settings.discriminator.conditional
        self.shared_pass = settings.discriminator.shared_pass
        self.networks: dict[str, nn.Module] = {
            "generator": lookup(GENERATORS, settings.generator.name, "generator")(**generator)
        }
        self.groups = {"generator": group_of(("generator",), settings.optimizer)}
        if discriminator is not None:
            self.networks["discriminator"] = lookup(DISCRIMINATORS, settings.discriminator.name, "discriminator")(
                **discriminator
            )
            self.groups["discriminator"] = group_of(("discriminator",), settings.optimizer)

    def updates(self, batch: Batch, phase: str = "all") -> Iterator[Update]:
        x, real = self.inputs(batch), self.outputs(batch)
        fake = self.networks["generator"](x)
        if "discriminator" not in self.networks:
            yield Update("generator", self._reconstruction(fake, real))
            return
        discriminator = self.networks["discriminator"]
        if self.shared_pass:
            judged = discriminator(self._shown(x, fake))
            judged_real = discriminator(self._shown(x, real))
            yield Update("generator", self._fooling(judged) | self._reconstruction(fake, real), retain=True)
            yield Update("discriminator", self._judging(judged, False) | self._judging(judged_real, True))
            return
        # one after the other, so that the first's graph is gone before the second's is made
        yield Update("discriminator", self._judging(discriminator(self._shown(x, fake.detach())), False), step=False)
        yield Update("discriminator", self._judging(discriminator(self._shown(x, real)), True))
        judged = discriminator(self._shown(x, fake))
        yield Update("generator", self._fooling(judged) | self._reconstruction(fake, real))

    def _shown(self, x: Tensor, y: Tensor) -> Tensor:
        """What the discriminator sees: input and picture, or the picture alone."""
        return torch.cat([x, y], dim=1) if self.conditional else y

    def _fooling(self, judged: Judged) -> dict[str, Tensor]:
        return {"g_gan": self.lambda_gan * self.adversarial.fool(judged)}

    def _judging(self, judged: Judged, real: bool) -> dict[str, Tensor]:
        """The discriminator's terms are halved, which slows it down relative to the generator (section 3.3)."""
        return {"d_real" if real else "d_fake": 0.5 * self.adversarial.judge(judged, real)}

    def _reconstruction(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        if self.reconstruction == "none" or self.lambda_l1 == 0:
            return {}
        return {f"g_{self.reconstruction}": self.lambda_l1 * RECONSTRUCTION[self.reconstruction](fake, real)}
