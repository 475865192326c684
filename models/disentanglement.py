"""Views of disentanglement beside the paper's margins, of one run's frozen subspaces.

The paper's probe drops half of its inputs and so underfits; margins depend on that. These do not:

- `plain_<task>_<subspace>`: the same probe without dropout, its accuracy on the test clips: how
  much of a factor leaks into the subspace that should not hold it.
- `cka`: linear centred kernel alignment of z_p and z_s over the test clips (Kornblith et al.
  2019), by the unbiased estimate of HSIC (Song et al. 2012): 0 where they share nothing, 1 where
  one is a rotation of the other. The plain estimate nears 1 where features outnumber clips.
- `dci`: disentanglement of Eastwood and Williams (2018): how far each feature serves one task
  alone, by the weights of the plain probes on all features; 0 to 1.
- `held_<task>_<subspace>`: the share of a task's importance that lies in a subspace: their
  completeness, with subspaces in the place of features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.probes import HEADS, Probed


def measures(
    features: Tensor, plain: Probed, test: NDArray[np.int64], tasks: Sequence[str]
) -> dict[str, float]:
    """All views of one run; of one block, a baseline's, only the plain probe's.

    `features` (G, N, F), `plain` what its probes without dropout said, `test` indices into N.
    What has no value (a subspace that is constant) is left out.
    """
    found = {
        f"plain_{name}": value
        for name, value in plain.accuracies.items()
        if not name.startswith("valid_")
    }
    if len(features) == 2:
        private, shared = features[:, torch.as_tensor(test, device=features.device)]
        found |= {"cka": linear_cka(private, shared)}
        found |= {"dci": dci(plain.importance), **held(plain.importance, tasks)}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Alignment of features x (N, F) and y (N, E) of the same clips; NaN where one is constant."""
    x, y = _centred(x), _centred(y)
    own = _hsic(x, x) * _hsic(y, y)
    return _hsic(x, y) / own**0.5 if own > 0 else float("nan")


def _centred(z: Tensor) -> Tensor:
    z = z.to(torch.float64, copy=True)
    return z.sub_(z.mean(0))


def _hsic(x: Tensor, y: Tensor) -> float:
    """Song et al. (2012), equation 5, of the Gram matrices of centred x and y.

    Without its diagonal k, |x_i|² of each clip, the rows of a centred Gram matrix add up to -k.
    """
    n = len(x)
    k, level = (torch.linalg.vector_norm(z, dim=1).square() for z in (x, y))
    both = float(k @ level)
    trace = _products(x, y) - both
    sums = float(k.sum() * level.sum()) / ((n - 1) * (n - 2))
    mixed = 2 * both / (n - 2)
    return (trace + sums - mixed) / (n * (n - 3))


def _products(x: Tensor, y: Tensor) -> float:
    """Σ over pairs of clips ⟨x_i, x_j⟩·⟨y_i, y_j⟩ = ‖xᵀ·y‖², by whichever takes fewer numbers."""
    if len(x) < max(x.shape[1], y.shape[1]):
        return float(((x @ x.mT) * (y @ y.mT)).sum())
    return float((x.mT @ y).square_().sum())


def dci(importance: NDArray[np.float64]) -> float:
    """Disentanglement D of (G, F, tasks): Σ ρ_i (1 − H(P_i)), entropies to the base of tasks."""
    of_feature = _shares(importance).reshape(-1, importance.shape[-1])
    total = of_feature.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(total > 0, of_feature / total, 0)
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(1) / np.log(p.shape[1])
    return float((total[:, 0] * (1 - entropy)).sum() / total.sum())


def held(importance: NDArray[np.float64], tasks: Sequence[str]) -> dict[str, float]:
    """The share of each task's importance (G, F, tasks) in each subspace; they add up to 1."""
    of_block = _shares(importance).sum(1)  # (G, tasks)
    return {
        f"held_{task}_{subspace}": float(of_block[block, column])
        for column, task in enumerate(tasks)
        for block, subspace in enumerate(HEADS[2][:2])
    }


def _shares(importance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Importances that add up to 1 a task, whatever the size of its weights."""
    shares: NDArray[np.float64] = importance / importance.sum((0, 1))
    return shares
