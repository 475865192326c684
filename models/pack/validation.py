"""Losses of one run over the validation pairs of its seed; γ is calibrated on the same pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.multiview import ModelShape, Weights, decode, encode, pool
from models.pack.loss import LossTerm
from models.pairs import Indices
from models.spec import ModelSpec

# Clips encoded at once: enough for full-speed products, few enough for a CPU's cache.
CPU_BLOCK = 64
GPU_BLOCK_TOKENS = 8192  # elsewhere, what few launches do well and memory holds


@dataclass(frozen=True)
class Losses:
    """Means over all validation batches, as 0-d tensors; NaN where there is no such loss."""

    rec: Tensor
    dis: Tensor
    magnitude: Tensor  # mean over batches of |L_dis|


class Validation:
    """Fixed pairs of fixed clips.

    Clips come in many pairs, so each clip is encoded once and its latents are gathered.
    """

    def __init__(
        self, latents: Tensor, batches: Indices, shape: ModelShape, spec: ModelSpec
    ) -> None:
        """`latents` (N, T, D); `batches` (steps, 2, B) of clips."""
        self.latents, self._shape, self._spec = latents.contiguous(), shape, spec
        self.batches = torch.as_tensor(batches, device=latents.device)
        # How often each clip is a view, as its share in the mean over all elements.
        uses = np.bincount(batches.ravel(), minlength=len(latents))
        shares = uses / (batches.size * latents[0].numel())
        self.shares = torch.as_tensor(shares, dtype=latents.dtype, device=latents.device)

    def losses(self, weights: Weights, terms: Sequence[LossTerm], has_decoder: bool) -> Losses:
        """L_rec where it `has_decoder`, and the sum of the terms where there are any."""
        latents, errors = [], []
        for x in torch.split(self.latents, self._block):
            z = encode(weights, x, self._shape, self._spec)  # (S, n, T, L)
            if has_decoder:
                errors.append((decode(weights, z) - x).square_().sum((1, 2)))
            if terms:
                latents.append(pool(z, self._spec.pool))
        nan = self.latents.new_full((), math.nan)
        rec = torch.cat(errors) @ self.shares if has_decoder else nan
        dis = self._dis(torch.cat(latents, 1), terms) if terms else nan
        return Losses(rec, dis.mean(), dis.abs().mean())

    @property
    def _block(self) -> int:
        if self.latents.device.type == "cpu":
            return CPU_BLOCK
        return max(1, GPU_BLOCK_TOKENS // self.latents.shape[1])

    def _dis(self, z: Tensor, terms: Sequence[LossTerm]) -> Tensor:
        """L_dis (steps,) of each batch, from one vector a clip (S, N, F)."""
        first, second = self.batches.unbind(1)  # (steps, B)
        values = [term(z[term.subspace][first], z[term.subspace][second]) for term in terms]
        return torch.stack(values).sum(0)
