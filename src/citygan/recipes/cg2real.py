"""CG2real: labels and an edge map to photos, and what it is compared with (S-Flow GAN, sections 3.1 to 3.3).

    L = sum_k L_GAN(D_k) + lambda_FM sum_k L_FM(D_k) + lambda_VGG L_percep + lambda_DNED L_DNED          (equation 7)
    L_video = L + lambda_flow L_flow                                                                     (equation 9)

Without edges it is pix2pixHD: labels, instance edges and instance features to photos. What learns changes with the
phase of the training, told by words:

    laplacian, dned    whose edges the generator is shown; the edge network learns in both, from equation 4 alone in
                       the first, from all terms in the second
    global, local      of a local enhancer: its global generator alone on smaller pictures, then the enhancers while
                       that rests (pix2pixHD, section 3.1); then both
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from citygan.batch import Batch
from citygan.config import Settings
from citygan.losses import ADVERSARIAL, RECONSTRUCTION
from citygan.losses.edges import dned_loss
from citygan.losses.features import feature_matching
from citygan.losses.flow import flow_loss, warp_loss
from citygan.losses.perceptual import perceptual
from citygan.models import DISCRIMINATORS, GENERATORS, lookup
from citygan.models.dned import DNED
from citygan.models.enhancer import LocalEnhancer
from citygan.models.features import FeatureEncoder
from citygan.models.layers import pyramid
from citygan.models.vgg import VGG19
from citygan.ops.farneback import FarnebackSettings
from citygan.recipes.base import Recipe, Update, group_of
from citygan.recipes.skeleton import Skeleton
from citygan.recipes.views import View


@dataclass(frozen=True)
class Scene:
    """What the networks make of one frame.

    Attributes:
        condition: What the discriminator sees beside the picture, [N, C, H, W].
        fake, real: The pictures, [N, 3, H, W].
        edges, logits: The Laplacian's edges and what the edge network makes of them; None without one.
    """

    condition: Tensor
    fake: Tensor
    real: Tensor
    edges: Tensor | None = None
    logits: Tensor | None = None


class CG2Real(Recipe):
    """S-Flow GAN's objective over pictures, or over pairs of neighbouring frames.

    Args:
        settings: Weights of the terms, rates, phases.
        inputs: What the generator is shown of a batch besides edges and features; the discriminator's condition.
        outputs: What it is to paint of it.
        skeleton: The edge map that it is shown; None: none.
        arguments: The constructors' arguments of its networks, by role: `generator`, and `discriminator`, `dned`,
            `encoder` where there are such.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: View,
        outputs: View,
        skeleton: Skeleton | None,
        arguments: dict[str, dict[str, Any]],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.skeleton = skeleton
        self.edge_jitter = settings.edges.jitter
        self.losses = settings.losses
        self.conditional = settings.discriminator.conditional
        self.adversarial = lookup(ADVERSARIAL, settings.losses.adversarial, "adversarial loss")
        self.balanced = settings.dned.balanced
        self.shares = (settings.generator.global_share, settings.generator.local_share, settings.dned.from_share)
        self.masked = settings.video.masked
        self.flow = FarnebackSettings(
            winsize=settings.video.window, gaussian=settings.video.gaussian, levels=settings.video.levels
        )
        self.networks: dict[str, nn.Module] = {
            "generator": lookup(GENERATORS, settings.generator.name, "generator")(**arguments["generator"])
        }
        if "dned" in arguments:
            self.networks["dned"] = DNED(**arguments["dned"])
        if "encoder" in arguments:
            self.networks["encoder"] = FeatureEncoder(**arguments["encoder"])
        self.averaged = tuple(self.networks)
        # one group: the gradients of all terms reach all that leads to the picture
        self.groups = {"generator": group_of(self.averaged, settings.optimizer)}
        if "discriminator" in arguments:
            network = lookup(DISCRIMINATORS, settings.discriminator.name, "discriminator")
            self.networks["discriminator"] = network(**arguments["discriminator"])
            self.groups["discriminator"] = group_of(("discriminator",), settings.optimizer)
        self.frozen = {"vgg": VGG19()} if settings.losses.lambda_vgg > 0 else {}

    def phase(self, step: int, steps: int) -> str:
        global_share, local_share, dned_share = self.shares
        words = []
        if global_share + local_share > 0:
            done = step / steps
            words.append("global" if done < global_share else "local" if done < global_share + local_share else "both")
        if "dned" in self.networks:
            assert dned_share is not None
            words.append("laplacian" if step < dned_share * steps else "dned")
        return " ".join(words) or "all"

    def updates(self, batch: Batch, phase: str = "all") -> Iterator[Update]:
        words = phase.split()
        generator = self.networks["generator"]
        if isinstance(generator, LocalEnhancer):
            generator.coarse_only = "global" in words
        frames = [batch] if batch.following is None else [batch, batch.following]
        # each frame by itself, as at test time
        scenes = [self._scene(frame, words) for frame in frames]
        condition, fake, real = (torch.cat([getattr(s, key) for s in scenes]) for key in ("condition", "fake", "real"))
        losses = self._dned(scenes) | self._likeness(fake, real) | self._motion(batch, scenes)
        if "discriminator" not in self.networks:
            yield Update("generator", losses)
            return
        discriminator = self.networks["discriminator"]
        # one pass each for both updates and for feature matching, so the fakes are judged by the same network
        of_fake = discriminator(self._judged(condition, fake), features=True)
        of_real = discriminator(self._judged(condition, real), features=True)
        fake_logits, real_logits = ([maps[-1] for maps in scales] for scales in (of_fake, of_real))
        losses["g_gan"] = self.losses.lambda_gan * self.adversarial.fool(fake_logits)
        if self.losses.lambda_fm > 0:
            losses["g_fm"] = self.losses.lambda_fm * feature_matching(of_fake, of_real, self.losses.fm_weights)
        yield Update("generator", losses, retain=True)
        # halved, as in pix2pix and pix2pixHD's code
        yield Update(
            "discriminator",
            {
                "d_fake": 0.5 * self.adversarial.judge(fake_logits, False),
                "d_real": 0.5 * self.adversarial.judge(real_logits, True),
            },
        )

    def _scene(self, frame: Batch, words: list[str]) -> Scene:
        condition, real = self.inputs(frame), self.outputs(frame)
        shown, edges, logits = [condition], None, None
        if self.skeleton is not None:
            picture = getattr(frame, self.skeleton.of)
            edges = self.skeleton.edges(picture, self.edge_jitter)
            if "dned" in self.networks:
                logits = self.skeleton.logits(self.networks["dned"], edges, picture)
            shown.append(edges if logits is None or "dned" not in words else self.skeleton.of_logits(logits))
        if "encoder" in self.networks:
            assert frame.photo is not None and frame.instance is not None
            shown.append(self.networks["encoder"](frame.photo, frame.instance))
        x = torch.cat(shown, dim=1)
        generator = self.networks["generator"]
        if "global" in words:
            fake = generator(x, part="global")
            levels = (x.shape[-2] // fake.shape[-2]).bit_length()  # one more than there are halvings
            condition, real = pyramid(condition, levels)[-1], pyramid(real, levels)[-1]
        elif "local" in words:
            fake = generator(x, part="local")
        else:
            fake = generator(x)
        return Scene(condition, fake, real, edges, logits)

    def _judged(self, condition: Tensor, picture: Tensor) -> Tensor:
        """What the discriminator sees: the labels and the picture, never the edges (equations 3 and 5)."""
        return torch.cat([condition, picture], dim=1) if self.conditional else picture

    def _dned(self, scenes: list[Scene]) -> dict[str, Tensor]:
        terms = [
            dned_loss(s.logits, s.edges, self.balanced) for s in scenes if s.logits is not None and s.edges is not None
        ]
        return {"dned": self.losses.lambda_dned * torch.stack(terms).mean()} if terms else {}

    def _likeness(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        found = {}
        if self.losses.lambda_l1 > 0 and self.losses.reconstruction != "none":
            term = RECONSTRUCTION[self.losses.reconstruction](fake, real)
            found[f"g_{self.losses.reconstruction}"] = self.losses.lambda_l1 * term
        if "vgg" in self.frozen:
            with torch.no_grad():
                of_real = self.frozen["vgg"](real)
            term = perceptual(self.frozen["vgg"](fake), of_real, self.losses.vgg_weights)
            found["g_vgg"] = self.losses.lambda_vgg * term
        return found

    def _motion(self, batch: Batch, scenes: list[Scene]) -> dict[str, Tensor]:
        """Equation 8, and what may stand beside it."""
        if len(scenes) == 1:
            return {}
        first, second = scenes
        occlusion = batch.occlusion if self.masked else None
        found = {}
        if self.losses.lambda_flow > 0:
            term = flow_loss(first.real, second.real, first.fake, second.fake, self.flow, occlusion)
            found["g_flow"] = self.losses.lambda_flow * term
        if self.losses.lambda_warp > 0:
            assert batch.flow is not None
            found["g_warp"] = self.losses.lambda_warp * warp_loss(first.fake, second.fake, batch.flow, batch.occlusion)
        return found
