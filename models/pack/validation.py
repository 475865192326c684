"""Losses of one run over the validation pairs of its seed; γ is calibrated on the same pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.multiview import ModelSpec, Shape, Weights, decode, encode, pool
from models.pack.loss import Part
from models.pairs import Indices

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

    def __init__(self, latents: Tensor, batches: Indices, shape: Shape, spec: ModelSpec) -> None:
        """`latents` (N, T, D); `batches` (steps, 2, B) of clips."""
        self._latents, self._shape, self._spec = latents, shape, spec
        self._batches = torch.as_tensor(batches, device=latents.device)
        # How often each clip is a view, as its share in the mean over all elements.
        uses = np.bincount(batches.ravel(), minlength=len(latents))
        shares = uses / (batches.size * latents[0].numel())
        self._shares = torch.as_tensor(shares, dtype=latents.dtype, device=latents.device)

    def losses(self, weights: Weights, parts: Sequence[Part], decoded: bool) -> Losses:
        """L_rec where `decoded`, and the sum of the parts where there are any."""
        latents, errors = [], []
        for x in torch.split(self._latents, self._block):
            z = encode(weights, x, self._shape, self._spec)  # (S, n, T, L)
            if decoded:
                errors.append((decode(weights, z) - x).square_().sum((1, 2)))
            if parts:
                latents.append(pool(z, self._spec.pool))
        nan = self._latents.new_full((), math.nan)
        rec = torch.cat(errors) @ self._shares if decoded else nan
        dis = self._dis(torch.cat(latents, 1), parts) if parts else nan
        return Losses(rec, dis.mean(), dis.abs().mean())

    @property
    def _block(self) -> int:
        if self._latents.device.type == "cpu":
            return CPU_BLOCK
        return max(1, GPU_BLOCK_TOKENS // self._latents.shape[1])

    def _dis(self, z: Tensor, parts: Sequence[Part]) -> Tensor:
        """L_dis (steps,) of each batch, from one vector a clip (S, N, F)."""
        first, second = self._batches.unbind(1)  # (steps, B)
        values = [part(z[part.subspace][first], z[part.subspace][second]) for part in parts]
        return torch.stack(values).sum(0)
