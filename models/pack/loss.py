"""The losses of a pack: equation 5 whole, and L_dis with each of its terms once for all its runs.

Letters: K packed runs, k of them in a group, S subspaces, L features and T tokens of a latent,
V = 2 views, B clips of a batch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.objectives import PRINCIPLES
from models.pack.branches import Branches
from models.spec import OBJECTIVES, LossSpec, RunSpec

Array = NDArray[np.float64]

_SUBSPACE = {"sep": 0, "sim": -1}  # separation acts on private, similarity on shared latents


class TotalLoss:
    """Equation 5 for each of K runs: L_total = γ·λ·L_rec + (1 − λ)·L_dis."""

    def __init__(self, runs: Sequence[RunSpec], gammas: Sequence[float | None]) -> None:
        """`gammas` of each run, None (which counts as 1) where no two losses are weighed."""
        lams = np.array([run.lam or 0.0 for run in runs])
        gamma = np.array([1.0 if gamma is None else gamma for gamma in gammas])
        self.rec_weights: Array = gamma * lams
        self.disentangle_weights: Array = 1 - lams
        self._has_rec, self._has_dis = lams > 0, lams < 1

    def with_total(self, losses: Array) -> Array:
        """(…, 3, K): L_total before L_rec and L_dis (…, 2, K), NaN for losses a run has not."""
        rec, dis = losses[..., 0, :], losses[..., 1, :]
        total = np.where(self._has_rec, self.rec_weights * rec, 0.0)
        total = total + np.where(self._has_dis, self.disentangle_weights * dis, 0.0)
        rec = np.where(self._has_rec, rec, np.nan)
        return np.stack((total, rec, np.where(self._has_dis, dis, np.nan)), axis=-2)


def gamma_of(rule: str, magnitude: float, initial: float, converged: float | None) -> float:
    """γ by one of GAMMA_RULES, from |L_dis| and L_rec at initialisation and L_rec converged."""
    if rule == "init-ratio" or converged is None:
        return magnitude / initial
    return magnitude / (converged if rule == "converged-ratio" else math.sqrt(initial * converged))


@dataclass(frozen=True)
class LossTerm:
    """One term of L_dis: a principle's similarity or separation."""

    principle: str
    side: str  # "sim" or "sep"
    options: LossSpec  # without its γ: runs that differ in γ alone share their terms

    @property
    def subspace(self) -> int:
        """Index of the latents it acts on; a lone encoder is the shared one."""
        return _SUBSPACE[self.side]

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Losses (K,) of views (K, B, F)."""
        loss: Tensor = getattr(PRINCIPLES[self.principle], self.side)(z1, z2, self.options)
        return loss


def terms_of(run: RunSpec) -> tuple[LossTerm, ...]:
    """The terms whose sum is L_dis; none at λ = 1. ValueError for names that are not registered."""
    principle, objective = run.principle or "none", run.objective or "none"
    if run.kind != "multiview":
        principle, objective = "InfoNCE", "SIM"
    elif run.lam == 1:
        return ()
    if principle not in PRINCIPLES:
        raise ValueError(f"unknown principle '{principle}'; choose one of {', '.join(PRINCIPLES)}")
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective '{objective}'; choose one of {', '.join(OBJECTIVES)}")
    options = dataclasses.replace(run.loss, gamma=None)
    return tuple(LossTerm(principle, side, options) for side in OBJECTIVES[objective])


@dataclass(frozen=True)
class _Group:
    """The runs of a pack that use one term, as stretches of neighbours."""

    term: LossTerm
    spans: tuple[slice, ...]
    weights: Tensor  # (k,) what each run's total loss multiplies the term by

    def views(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Copies (k, B, L, T) of both views' latents z (K, S, L, T, V, B)."""
        # Rows a clip: the objectives are fastest where a clip's features lie together.
        latents = [z[span, self.term.subspace].permute(3, 0, 4, 1, 2) for span in self.spans]
        first, second = torch.cat(latents, dim=1)
        return first.requires_grad_(), second.requires_grad_()

    def losses(self, z: Tensor, pool: str) -> tuple[Tensor, Sequence[Tensor]]:
        """Losses (k,), and what `weights` of them has as gradients: those of the two views."""
        views = self.views(z)
        with torch.enable_grad():
            values = self.term(*(_pooled(view, pool) for view in views))
        return values.detach(), torch.autograd.grad(values, views, self.weights)

    def write(self, values: Tensor, gradients: Sequence[Tensor], dz: Tensor, out: Tensor) -> None:
        """Add losses (k,) to `out` (K,) and put gradients (k, B, L, T) into dz."""
        start = 0
        for span in self.spans:
            stop = start + span.stop - span.start
            out[span] += values[start:stop]
            # No other term acts on the same latents of these runs.
            target = dz[span, self.term.subspace].permute(3, 0, 4, 1, 2)  # (V, k, B, L, T)
            for view, gradient in zip(target, gradients, strict=True):
                view.copy_(gradient[start:stop])
            start = stop


class PackedObjectives:
    """L_dis and its gradient for all runs of a pack."""

    def __init__(self, terms: Sequence[tuple[LossTerm, ...]], weights: Tensor, pool: str) -> None:
        """`terms` of each run, `weights` (K,): 1 − λ of each run."""
        self._pool = pool
        self._groups = []
        for term in dict.fromkeys(term for of_run in terms for term in of_run):
            spans = _stretches([term in of_run for of_run in terms])
            group_weights = torch.cat([weights[span] for span in spans])
            self._groups.append(_Group(term, spans, group_weights))
        self._branches = Branches(len(self._groups), weights.device)

    def __call__(self, z: Tensor, dz: Tensor, losses: Tensor) -> None:
        """Write L_dis into `losses` (K,) and d(weight · L_dis)/dz into `dz`.

        z, dz: (K, S, L, T, V, B), the layout in which the latents come out of the encoders.
        """
        dz.zero_()
        losses.zero_()
        made = self._branches.each(lambda group: group.losses(z, self._pool), self._groups)
        for group, (values, gradients) in zip(self._groups, made, strict=True):
            group.write(values, gradients, dz, losses)


def _pooled(z: Tensor, pool: str) -> Tensor:
    """One vector a clip (k, B, F) of latents (k, B, L, T)."""
    return z.mean(-1) if pool == "mean" else z.flatten(-2)


def _stretches(chosen: Sequence[bool]) -> tuple[slice, ...]:
    """The places that are true, as slices of neighbours."""
    edges = [
        place
        for place, (before, here) in enumerate(pairwise((False, *chosen, False)))
        if before != here
    ]
    return tuple(slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True))
