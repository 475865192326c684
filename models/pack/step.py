"""One training step of a pack, fit to be captured in a CUDA graph.

Letters: K packed runs, S subspaces, L features and T tokens of a latent, V = 2 views, B clips of
a batch, D features of a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.adamw import FlatAdamW
from models.multiview import Shape
from models.pack.layers import PackedModel
from models.pack.loss import PackedObjectives


class PackStep:
    """One step of every run: a function of buffers that stay where they are, and of nothing else.

    It asks the host nothing, brings no number from it, and finds its batch by a counter on the
    device. `losses` (steps, 2, K) are L_rec and L_dis of the epoch's steps so far.
    """

    def __init__(
        self,
        latents: Tensor,  # (N, T, D)
        steps: int,  # of an epoch
        shape: Shape,
        model: PackedModel,
        objectives: PackedObjectives,
        optimizer: FlatAdamW,
        rec_weights: Tensor,  # (K,) γλ of each run
    ) -> None:
        self._latents, self._rec_weights = latents, rec_weights
        self._model, self._objectives, self._optimizer = model, objectives, optimizer
        streams, rows, features = model.x.shape
        runs, tokens = len(rec_weights), latents.shape[1]
        self._x = model.x.view(streams, tokens, rows // tokens, features)  # (…, T, V·B, D)
        sizes = (runs, shape.subspaces, shape.latent, tokens, 2, -1)  # (K, S, L, T, V, B)
        self._z, self._dz = model.z.view(sizes), model.dz.view(sizes)
        device = latents.device
        self._clips = torch.zeros(streams, steps, rows // tokens, dtype=torch.long, device=device)
        self._number = torch.zeros(1, dtype=torch.long, device=device)
        self._own_losses = latents.new_zeros(1, 2, runs)
        self.losses = latents.new_zeros(steps, 2, runs)

    def begin(self, clips: Tensor) -> None:
        """Start an epoch of batches `clips` (streams, steps, V·B)."""
        self._clips.copy_(clips)
        self._number.zero_()

    def __call__(self) -> None:
        """The epoch's next step."""
        self._gather()
        rec, dis = self._own_losses[0]
        self._model.encode()
        self._objectives(self._z, self._dz, dis)
        self._model.backward(self._rec_weights)
        self._model.rec_losses(rec)
        self._optimizer.step()
        self.losses.index_copy_(0, self._number, self._own_losses)
        self._number.add_(1)

    def _gather(self) -> None:
        batch = self._clips.index_select(1, self._number).squeeze(1)  # (streams, V·B)
        for own, x in zip(batch, self._x, strict=True):
            x.copy_(self._latents.index_select(0, own).transpose(0, 1))
