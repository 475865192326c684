"""Disentanglement objectives of the paper (section 2.2), each batched over packed runs.

Letters: K packed runs, B clips of a batch, F features of a clip's latent vector.
Every objective takes the two views z1, z2 (K, B, F) and returns (K,) losses: nothing is reduced
over K. To add a principle, write its two functions and register them in PRINCIPLES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from models.similarity import cosines, distance, matched_cosines, spread
from models.spec import LossSpec

Option = TypeVar("Option")


def infonce_sim(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Equation 1: cross-entropy of finding each clip's second view among those of its batch.

    Cosine similarities over the temperature (1 as printed), one direction, the batch's other
    clips as negatives. Chance is log B; the minimum at temperature 1 is log(1 + (B−1)/e) for
    orthogonal negatives.
    """
    logits = cosines(z1, z2) / temperature  # (K, B, B)
    return (logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)).mean(-1)


def infonce_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 2: −log(1 − |sim|) over all pairs j, k of the batch, matched ones included.

    |sim| and not sim: the paper minimises the similarity "towards 0", and the signed form would
    push it to −1. 1 − |sim| is clamped at epsilon, where the gradient is zero.
    """
    return _separation(cosines(z1, z2), epsilon).mean((-2, -1))


def cosine_sim(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 3: −log sim of matched pairs.

    Where sim < epsilon, and so also where it is negative and the logarithm has no value, the
    loss goes on as −log epsilon + (epsilon − sim): continuous, and with a gradient of 1 towards
    similarity rather than 1/epsilon, which would drown every other pair.
    """
    sim = matched_cosines(z1, z2)
    return (-sim.clamp(min=epsilon).log() + (epsilon - sim).clamp(min=0)).mean(-1)


def cosine_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 4: −log(1 − |sim|) of matched pairs, 1 − |sim| clamped at epsilon."""
    return _separation(matched_cosines(z1, z2), epsilon).mean(-1)


def vicreg_sim(z1: Tensor, z2: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """VICReg (Bardes et al. 2022): weighted invariance + variance + covariance.

    As in the authors' code: mean squared error; hinge at 1 on sqrt(unbiased variance + 1e-4),
    the mean of both views; squared off-diagonal covariances over F, the sum of both views.
    """
    invariance, variance, covariance = weights
    spreads = [spread(z, variance / 2, covariance) for z in (z1, z2)]
    return invariance * distance(z1, z2) + spreads[0] + spreads[1]


def vicreg_sep(z1: Tensor, z2: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """VICReg with its invariance negated; no lower bound, so a run of it can diverge."""
    invariance, variance, covariance = weights
    return vicreg_sim(z1, z2, (-invariance, variance, covariance))


Objective = Callable[[Tensor, Tensor, LossSpec], Tensor]


@dataclass(frozen=True)
class Principle:
    """A contrastive principle: similarity of shared, separation of private latents.

    `options` are its own, with their defaults: an objective asks `loss.option("weight")`, a grid
    file sets `[loss.options]`, and `loss.options.weight` is an axis.
    """

    sim: Objective
    sep: Objective
    options: Mapping[str, float] = field(default_factory=dict, hash=False)


PRINCIPLES = {
    "InfoNCE": Principle(
        sim=lambda z1, z2, loss: infonce_sim(z1, z2, _needed(loss.temperature)),
        sep=lambda z1, z2, loss: infonce_sep(z1, z2, _needed(loss.epsilon)),
    ),
    "Cosine": Principle(
        sim=lambda z1, z2, loss: cosine_sim(z1, z2, _needed(loss.epsilon)),
        sep=lambda z1, z2, loss: cosine_sep(z1, z2, _needed(loss.epsilon)),
    ),
    "VICReg": Principle(
        sim=lambda z1, z2, loss: vicreg_sim(z1, z2, _needed(loss.vicreg)),
        sep=lambda z1, z2, loss: vicreg_sep(z1, z2, _needed(loss.vicreg)),
    ),
}


def _separation(sim: Tensor, epsilon: float) -> Tensor:
    return -(1 - sim.abs()).clamp(min=epsilon).log()


def _needed(option: Option | None) -> Option:
    """An option that the objective takes. ValueError where it was left out."""
    if option is None:
        raise ValueError("an option that this objective needs is None")
    return option
