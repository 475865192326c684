"""AdamW over one flat buffer: one pass over memory a step for any number of packed runs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPS = 1e-8


class FlatAdamW:
    """torch.optim.AdamW(fused=True) with its moments in the open, to be taken out run by run.

    Weight decay acts on every parameter, biases included, as in plain torch.optim.AdamW.
    """

    def __init__(self, weights: Tensor, gradient: Tensor, lr: float, weight_decay: float) -> None:
        self.exp_avg = torch.zeros_like(weights)
        self.exp_avg_sq = torch.zeros_like(weights)
        self.steps = torch.zeros((), dtype=torch.float32, device=weights.device)
        self._weights, self._gradient = weights, gradient
        self._lr, self._weight_decay = lr, weight_decay

    def step(self) -> None:
        """Update the weights in place from the gradient buffer."""
        adamw(
            [self._weights],
            [self._gradient],
            [self.exp_avg],
            [self.exp_avg_sq],
            [],
            [self.steps],
            fused=True,
            capturable=self._weights.is_cuda,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._lr,
            weight_decay=self._weight_decay,
            eps=EPS,
            maximize=False,
        )
