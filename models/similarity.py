"""What the objectives are made of, with hand-laid gradients.

Letters: K packed runs, B clips of a batch, F features of a clip. Autograd over the same formulas
takes about three times as long: it makes many passes over (K, B, F), where each gradient here is
one batched product and one or two passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

# Keeps the length of a zero vector from dividing: its cosine with anything is 0.
SMALLEST_LENGTH = 1e-8

# Added to the variance under VICReg's square root (the authors' code).
VARIANCE_EPSILON = 1e-4


def cosines(z1: Tensor, z2: Tensor) -> Tensor:
    """Cosine similarity (K, B, B) of every clip of view 1 with every clip of view 2."""
    return _apply(_Cosines, z1, z2)


def matched_cosines(z1: Tensor, z2: Tensor) -> Tensor:
    """Cosine similarity (K, B) of each clip's two views."""
    return _apply(_MatchedCosines, z1, z2)


def distance(z1: Tensor, z2: Tensor) -> Tensor:
    """Mean squared difference (K,) of two views."""
    return _apply(_Distance, z1, z2)


def spread(z: Tensor, variance: float, covariance: float) -> Tensor:
    """VICReg's weighted variance hinge and covariance penalty (K,) of one view.

    Hinge: the mean over F of max(0, 1 − sqrt(unbiased variance + 1e-4)). Penalty: the squared
    off-diagonal covariances summed, over F. ‖XᵀX‖² = ‖XXᵀ‖², so a B × B matrix serves where
    F × F would be 512 × 512.
    """
    return _apply(_Spread, z, variance, covariance)


def _apply(function: type[Function], *inputs: Tensor | float) -> Tensor:
    apply: Callable[..., Tensor] = function.apply
    return apply(*inputs)


class _Cosines(Function):
    @staticmethod
    def forward(ctx: Any, z1: Tensor, z2: Tensor) -> Tensor:
        lengths1, lengths2 = _lengths(z1), _lengths(z2)
        scale = lengths1[..., :, None] * lengths2[..., None, :]
        similarity = torch.bmm(z1, z2.mT).div_(scale)
        ctx.save_for_backward(z1, z2, lengths1, lengths2, scale, similarity)
        return similarity

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        z1, z2, lengths1, lengths2, scale, similarity = ctx.saved_tensors
        # s = z1·z2 / (|z1| |z2|), so ds/dz1 = z2 / (|z1| |z2|) − s·z1 / |z1|², summed over pairs;
        # z2 likewise, along the columns.
        direct, along = upstream / scale, upstream * similarity
        shrink1 = along.sum(-1).div_(lengths1.square()).neg_()
        shrink2 = along.sum(-2).div_(lengths2.square()).neg_()
        return (
            torch.baddbmm(z1 * shrink1[..., None], direct, z2),
            torch.baddbmm(z2 * shrink2[..., None], direct.mT, z1),
        )


class _MatchedCosines(Function):
    @staticmethod
    def forward(ctx: Any, z1: Tensor, z2: Tensor) -> Tensor:
        lengths1, lengths2 = _lengths(z1), _lengths(z2)
        similarity = (z1 * z2).sum(-1).div_(lengths1 * lengths2)
        ctx.save_for_backward(z1, z2, lengths1, lengths2, similarity)
        return similarity

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        z1, z2, lengths1, lengths2, similarity = ctx.saved_tensors
        # ds/dz1 = z2 / (|z1| |z2|) − s·z1 / |z1|², and likewise for z2
        direct = (upstream / (lengths1 * lengths2))[..., None]
        along = upstream * similarity
        shrink1 = (along / lengths1.square())[..., None]
        shrink2 = (along / lengths2.square())[..., None]
        return (
            (z2 * direct).addcmul_(z1, shrink1, value=-1),
            (z1 * direct).addcmul_(z2, shrink2, value=-1),
        )


class _Distance(Function):
    @staticmethod
    def forward(ctx: Any, z1: Tensor, z2: Tensor) -> Tensor:
        difference = z1 - z2
        ctx.save_for_backward(difference)
        elements = difference[0].numel()
        lengths: Tensor = torch.linalg.vector_norm(difference, dim=(-2, -1))
        return torch.div(lengths.square(), elements)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        (difference,) = ctx.saved_tensors
        # d mean((z1 − z2)²) / dz1 = 2·(z1 − z2) / elements, and its negative for z2
        gradient = difference * (upstream * (2 / difference[0].numel()))[:, None, None]
        return gradient, -gradient


class _Spread(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, variance: float, covariance: float) -> Tensor:
        _, size, features = z.shape
        x = z - z.mean(-2, keepdim=True)
        power = x.square().sum(-2)  # (K, F)
        gram = torch.bmm(x, x.mT)  # (K, B, B)
        deviation = (power / (size - 1) + VARIANCE_EPSILON).sqrt_()
        hinge = (1 - deviation).clamp_(min=0)
        off_diagonal = gram.square().sum((-2, -1)) - power.square().sum(-1)
        ctx.save_for_backward(x, power, gram, deviation, hinge)
        ctx.hinge_weight = variance / features
        ctx.penalty_weight = covariance / ((size - 1) ** 2 * features)
        loss: Tensor = hinge.sum(-1) * ctx.hinge_weight + off_diagonal * ctx.penalty_weight
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        x, power, gram, deviation, hinge = ctx.saved_tensors
        # d(1 − σ)/dx = −x / (σ·(B − 1)) where σ < 1; then the diagonal, which the penalty leaves
        # out: d power²/dx = 4·power·x.
        along = deviation.reciprocal().mul_(hinge > 0).mul_(-ctx.hinge_weight / (x.shape[-2] - 1))
        along.sub_(power, alpha=4 * ctx.penalty_weight)
        # d‖X·Xᵀ‖²/dX = 4·(X·Xᵀ)·X. The terms sum to zero over the batch, as the centring asks.
        gradient = torch.baddbmm(x * along[:, None], gram, x, alpha=4 * ctx.penalty_weight)
        return gradient.mul_(upstream[:, None, None]), None, None


def _lengths(z: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(z, dim=-1)
    return lengths.clamp_(min=SMALLEST_LENGTH)
