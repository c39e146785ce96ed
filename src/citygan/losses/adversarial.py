"""Adversarial terms (pix2pix, equations 1 and 2 and section 3.3), each a pair of what D and what G minimises.

D gives logits, above 0 for real, of any shape; each is judged by itself and all are averaged. A D of several scales
gives them of each, and the terms of all scales are added (pix2pixHD, equation 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Judged = Tensor | Sequence[Tensor]  # logits, or those of each scale


@dataclass(frozen=True)
class Adversarial:
    """A pair of terms.

    Attributes:
        judging: What D minimises, for logits of what is real (True) or generated (False).
        fooling: What G minimises, for the logits of what it generated.
    """

    judging: Callable[[Tensor, bool], Tensor]
    fooling: Callable[[Tensor], Tensor]

    def judge(self, judged: Judged, real: bool) -> Tensor:
        """What D minimises, over all its scales: a scalar, float32."""
        return _added([self.judging(logits, real) for logits in _scales(judged)])

    def fool(self, judged: Judged) -> Tensor:
        """What G minimises, over all of D's scales: a scalar, float32."""
        return _added([self.fooling(logits) for logits in _scales(judged)])


def _scales(judged: Judged) -> Sequence[Tensor]:
    return (judged,) if isinstance(judged, Tensor) else judged


def _added(terms: Sequence[Tensor]) -> Tensor:
    return terms[0] if len(terms) == 1 else torch.stack(list(terms)).sum()


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of every logit with "real" or "fake", averaged.

    For the generator, cross_entropy(D(x, G(x)), real=True) is the -log D(x, G(x)) that section 3.3 minimises in the
    place of log(1 - D(x, G(x))).

    Args:
        logits: Any shape, above 0 for real.

    Returns:
        A scalar >= 0, float32: mean of log(1 + exp(-logits)) for real, log(1 + exp(logits)) for fake.
    """
    logits = logits.float()
    return F.softplus(-logits if real else logits).mean()


def least_squares(logits: Tensor, real: bool) -> Tensor:
    """Squared distance of every output of D to 1 for "real" or 0 for "fake", averaged.

    Mao et al., "Least Squares Generative Adversarial Networks", equation 2 with a = 0 and b = c = 1, without the
    factor 1/2: pix2pix halves D's terms itself. There is no sigmoid: the outputs are those of a linear unit.

    Args:
        logits: Any shape.

    Returns:
        A scalar >= 0, float32: mean of (logits - 1)^2 for real, logits^2 for fake.
    """
    logits = logits.float()
    return ((logits - 1) if real else logits).square().mean()


def least_squares_of_sigmoid(logits: Tensor, real: bool) -> Tensor:
    """`least_squares` of the probabilities, where a discriminator keeps its sigmoid and only the criterion changes.

    Args:
        logits: Any shape, above 0 for real.

    Returns:
        A scalar in [0, 1], float32.
    """
    return least_squares(logits.float().sigmoid(), real)


def hinge(logits: Tensor, real: bool) -> Tensor:
    """What D's outputs lack to be on the right side by 1, averaged (Lim and Ye, "Geometric GAN", equation 12).

    Args:
        logits: Any shape.

    Returns:
        A scalar >= 0, float32: mean of max(0, 1 - logits) for real, max(0, 1 + logits) for fake.
    """
    logits = logits.float()
    return F.relu(1 - logits if real else 1 + logits).mean()


def hinge_fooling(logits: Tensor) -> Tensor:
    """The generator's side of `hinge`: -mean of the logits, float32."""
    return -logits.float().mean()


def as_real(judging: Callable[[Tensor, bool], Tensor]) -> Adversarial:
    """The pair whose generator is to have its pictures judged real."""
    return Adversarial(judging, lambda logits: judging(logits, True))
