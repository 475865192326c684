"""L_dis of a pack: each part of each objective once for all runs that use it.

Letters: K packed runs, k of them in a group, S subspaces, L features and T tokens of a latent,
V = 2 views, B clips of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    """The runs of a pack that use one part, as stretches of neighbours."""

    part: Part
    spans: tuple[slice, ...]
    weights: Tensor  # (k,) what each run's total loss multiplies the part by

    def views(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Copies (k, B, L, T) of both views' latents z (K, S, L, T, V, B)."""
        # Rows a clip: the objectives are fastest where a clip's features lie together.
        own = [z[span, self.part.subspace].permute(3, 0, 4, 1, 2) for span in self.spans]
        first, second = torch.cat(own, dim=1)
        return first.requires_grad_(), second.requires_grad_()

    def write(self, values: Tensor, gradients: Sequence[Tensor], dz: Tensor, out: Tensor) -> None:
        """Add losses (k,) to `out` (K,) and put gradients (k, B, L, T) into dz."""
        start = 0
        for span in self.spans:
            stop = start + span.stop - span.start
            out[span] += values[start:stop]
            # No other part acts on the same latents of these runs.
            target = dz[span, self.part.subspace].permute(3, 0, 4, 1, 2)  # (V, k, B, L, T)
            for view, gradient in zip(target, gradients, strict=True):
                view.copy_(gradient[start:stop])
            start = stop


class PackedObjectives:
    """L_dis and its gradient for all runs of a pack."""

    def __init__(self, parts: Sequence[tuple[Part, ...]], weights: Tensor, pool: str) -> None:
        """`parts` of each run, `weights` (K,): 1 − λ of each run."""
        self._pool = pool
        self._groups = []
        for part in dict.fromkeys(part for own in parts for part in own):
            spans = _stretches([part in own for own in parts])
            own_weights = torch.cat([weights[span] for span in spans])
            self._groups.append(_Group(part, spans, own_weights))

    def __call__(self, z: Tensor, dz: Tensor, losses: Tensor) -> None:
        """Write L_dis into `losses` (K,) and d(weight · L_dis)/dz into `dz`.

        z, dz: (K, S, L, T, V, B), the layout in which the latents come out of the encoders.
        """
        dz.zero_()
        losses.zero_()
        for group in self._groups:
            views = group.views(z)
            with torch.enable_grad():
                values = group.part(*(self._pooled(view) for view in views))
            gradients = torch.autograd.grad(values, views, group.weights)
            group.write(values.detach(), gradients, dz, losses)

    def _pooled(self, z: Tensor) -> Tensor:
        """One vector a clip (k, B, F) of latents (k, B, L, T)."""
        return z.mean(-1) if self._pool == "mean" else z.flatten(-2)


def _stretches(chosen: Sequence[bool]) -> tuple[slice, ...]:
    """The places that are true, as slices of neighbours."""
    edges = [
        place
        for place, (before, here) in enumerate(pairwise((False, *chosen, False)))
        if before != here
    ]
    return tuple(slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True))
