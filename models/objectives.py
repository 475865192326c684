"""Disentanglement objectives of the paper (section 2.2), each batched over packed runs.

Letters: K packed runs, B clips of a batch, F features of a clip's latent vector.
Every objective takes the two views z1, z2 (K, B, F) and returns (K,) losses: nothing is reduced
over K. To add a principle, write its two functions and register them in PRINCIPLES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Keeps the length of a zero vector from dividing: its cosine with anything is 0.
SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class LossOptions:
    """What the objectives leave open; each takes only what it needs."""

    temperature: float = 1.0  # InfoNCE-SIM
    epsilon: float = 1e-6  # smallest argument of a logarithm
    vicreg: tuple[float, float, float] = (25.0, 25.0, 1.0)  # invariance, variance, covariance


def infonce_sim(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Equation 1: cross-entropy of finding each clip's second view among those of its batch.

    Cosine similarities over the temperature (1 as printed), one direction, the batch's other
    clips as negatives. Chance is log B; the minimum at temperature 1 is log(1 + (B−1)/e) for
    orthogonal negatives.
    """
    logits = _cosines(z1, z2) / temperature  # (K, B, B)
    return (logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)).mean(-1)


def infonce_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 2: −log(1 − |sim|) over all pairs j, k of the batch, matched ones included.

    |sim| and not sim: the paper minimises the similarity "towards 0", and the signed form would
    push it to −1. 1 − |sim| is clamped at epsilon, where the gradient is zero.
    """
    return _separation(_cosines(z1, z2), epsilon).mean((-2, -1))


def cosine_sim(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 3: −log sim of matched pairs.

    Where sim < epsilon, and so also where it is negative and the logarithm has no value, the
    loss goes on as −log epsilon + (epsilon − sim): continuous, and with a gradient of 1 towards
    similarity rather than 1/epsilon, which would drown every other pair.
    """
    sim = _matched_cosines(z1, z2)
    return (-sim.clamp(min=epsilon).log() + (epsilon - sim).clamp(min=0)).mean(-1)


def cosine_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 4: −log(1 − |sim|) of matched pairs, 1 − |sim| clamped at epsilon."""
    return _separation(_matched_cosines(z1, z2), epsilon).mean(-1)


def vicreg_sim(z1: Tensor, z2: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """VICReg (Bardes et al. 2022): weighted invariance + variance + covariance.

    As in the authors' code: mean squared error; hinge at 1 on sqrt(unbiased variance + 1e-4),
    the mean of both views; squared off-diagonal covariances over F, the sum of both views.
    """
    invariance, variance, covariance = weights
    x1, x2 = z1 - z1.mean(-2, keepdim=True), z2 - z2.mean(-2, keepdim=True)
    power1, power2 = x1.square().sum(-2), x2.square().sum(-2)  # (K, F)
    return (
        invariance * (z1 - z2).square().mean((-2, -1))
        + variance * (_variance_hinge(power1, z1) + _variance_hinge(power2, z2)) / 2
        + covariance * (_covariance_penalty(x1, power1) + _covariance_penalty(x2, power2))
    )


def vicreg_sep(z1: Tensor, z2: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """VICReg with its invariance negated; no lower bound, so a run of it can diverge."""
    invariance, variance, covariance = weights
    return vicreg_sim(z1, z2, (-invariance, variance, covariance))


Objective = Callable[[Tensor, Tensor, LossOptions], Tensor]


@dataclass(frozen=True)
class Principle:
    """A contrastive principle: similarity of shared, separation of private latents."""

    sim: Objective
    sep: Objective


PRINCIPLES = {
    "InfoNCE": Principle(
        sim=lambda z1, z2, options: infonce_sim(z1, z2, options.temperature),
        sep=lambda z1, z2, options: infonce_sep(z1, z2, options.epsilon),
    ),
    "Cosine": Principle(
        sim=lambda z1, z2, options: cosine_sim(z1, z2, options.epsilon),
        sep=lambda z1, z2, options: cosine_sep(z1, z2, options.epsilon),
    ),
    "VICReg": Principle(
        sim=lambda z1, z2, options: vicreg_sim(z1, z2, options.vicreg),
        sep=lambda z1, z2, options: vicreg_sep(z1, z2, options.vicreg),
    ),
}

OBJECTIVES: dict[str, tuple[str, ...]] = {
    "SIM": ("sim",),
    "SEP": ("sep",),
    "SIM+SEP": ("sim", "sep"),
}


def _cosines(z1: Tensor, z2: Tensor) -> Tensor:
    """Cosine similarity of every clip of view 1 with every clip of view 2: (K, B, B)."""
    # Dividing the products by the lengths spares two normalised copies of the latents.
    lengths = _norms(z1)[..., :, None] * _norms(z2)[..., None, :]
    return torch.div(z1 @ z2.mT, lengths)


def _matched_cosines(z1: Tensor, z2: Tensor) -> Tensor:
    return (z1 * z2).sum(-1) / (_norms(z1) * _norms(z2))  # (K, B)


def _norms(z: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(z, dim=-1)
    return lengths.clamp(min=SMALLEST_NORM)


def _separation(sim: Tensor, epsilon: float) -> Tensor:
    return -(1 - sim.abs()).clamp(min=epsilon).log()


def _variance_hinge(power: Tensor, z: Tensor) -> Tensor:
    std = (power / (z.shape[-2] - 1) + 1e-4).sqrt()
    return (1 - std).clamp(min=0).mean(-1)


def _covariance_penalty(x: Tensor, power: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances over F, of centred x (K, B, F).

    ‖XᵀX‖² = ‖XXᵀ‖², so a B × B matrix serves where F × F would be 512 × 512.
    """
    gram = x @ x.mT
    off_diagonal = gram.square().sum((-2, -1)) - power.square().sum(-1)
    return torch.div(off_diagonal, (x.shape[-2] - 1) ** 2 * x.shape[-1])
