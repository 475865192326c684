"""L_dis of a pack: each part of each objective once for all runs that use it.

Letters: K packed runs, k of them in a group, S subspaces, L features and T tokens of a latent,
V = 2 views, B clips of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.objectives import OBJECTIVES, PRINCIPLES, LossOptions

_SUBSPACE = {"sep": 0, "sim": -1}  # separation acts on private, similarity on shared latents


@dataclass(frozen=True)
class Part:
    """One term of L_dis: a principle's similarity or separation."""

    principle: str
    side: str  # "sim" or "sep"
    options: LossOptions

    @property
    def subspace(self) -> int:
        """Index of the latents it acts on; a lone encoder is the shared one."""
        return _SUBSPACE[self.side]

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Losses (K,) of views (K, B, F)."""
        loss: Tensor = getattr(PRINCIPLES[self.principle], self.side)(z1, z2, self.options)
        return loss


def parts_of(principle: str, objective: str, options: LossOptions) -> tuple[Part, ...]:
    """The terms whose sum is L_dis. ValueError for names that are not registered."""
    if principle not in PRINCIPLES:
        raise ValueError(f"unknown principle '{principle}'; choose one of {', '.join(PRINCIPLES)}")
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective '{objective}'; choose one of {', '.join(OBJECTIVES)}")
    return tuple(Part(principle, side, options) for side in OBJECTIVES[objective])


@dataclass(frozen=True)
class _Group:
    part: Part
    members: Tensor  # (k,) places in the pack
    weights: Tensor  # (k,) what each member's total loss multiplies the part by


class PackedObjectives:
    """L_dis and its gradient for all runs of a pack."""

    def __init__(self, parts: Sequence[tuple[Part, ...]], weights: Tensor, pool: str) -> None:
        """`parts` of each run, `weights` (K,): 1 − λ of each run."""
        self._pool = pool
        self._groups = []
        for part in dict.fromkeys(part for own in parts for part in own):
            members = [run for run, own in enumerate(parts) if part in own]
            index = torch.tensor(members, device=weights.device)
            self._groups.append(_Group(part, index, weights[index]))

    def __call__(self, z: Tensor, dz: Tensor, losses: Tensor) -> None:
        """Write L_dis into `losses` (K,) and d(weight · L_dis)/dz into `dz`.

        z, dz: (K, S, L, T, V, B), the layout in which the latents come out of the encoders.
        """
        dz.zero_()
        losses.zero_()
        if not self._groups:
            return
        leaves = [z[:, group.part.subspace][group.members] for group in self._groups]
        with torch.enable_grad():
            values = [
                group.part(*self._views(leaf.requires_grad_()))
                for group, leaf in zip(self._groups, leaves, strict=True)
            ]
            gradients = torch.autograd.grad(values, leaves, [g.weights for g in self._groups])
        for group, value, gradient in zip(self._groups, values, gradients, strict=True):
            losses.index_add_(0, group.members, value.detach())
            dz[:, group.part.subspace].index_add_(0, group.members, gradient)

    def _views(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Both views (k, B, F) of latents (k, L, T, V, B)."""
        pooled = z.mean(2) if self._pool == "mean" else z.flatten(1, 2)  # (k, F, V, B)
        return pooled[:, :, 0].mT, pooled[:, :, 1].mT
