"""What a pack trains, on what, and what comes out: the trainer's vocabulary."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.multiview import ModelShape, Weights, weights_of
from models.pack.loss import LossTerm, terms_of
from models.spec import REFERRING, RunSpec

# Columns of a run's losses, per epoch.
LOSSES = ("train_total", "train_rec", "train_dis", "valid_total", "valid_rec", "valid_dis")


@dataclass(frozen=True, kw_only=True)
class PackRun(RunSpec):
    """One run of a pack. ValueError for what cannot be trained."""

    key: str  # the caller's name for it, unique in the pack
    reference_mse: float | None = None  # for REFERRING: `valid_rec` of the seed's λ = 1 run

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.terms
        if self.needs_gamma and self.loss.gamma in REFERRING and not self.reference_mse:
            raise ValueError(
                f"run {self.key}: {self.loss.gamma} needs the validation MSE of the "
                "reconstruction-only run; train that first or choose init-ratio"
            )

    @property
    def terms(self) -> tuple[LossTerm, ...]:
        """The terms of L_dis; none at λ = 1."""
        return terms_of(self)


@dataclass
class RunState:
    """A run in the middle of its training: all that it takes to go on, in any pack.

    The vectors hold the run's weights, AdamW's moments and the best weights, each as
    multiview.Layout lays out a pack of one. Plain tensors and numbers, so torch.save and
    torch.load(weights_only=True) keep `dataclasses.asdict` of it.
    """

    key: str
    epoch: int  # epochs finished
    gamma: float | None
    vector: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    best_vector: Tensor
    best_epoch: int | None  # counted from 1
    # Epoch from 1, first bad step from 0; as many as an epoch has when validation alone was bad.
    diverged_at: tuple[int, int] | None
    losses: Tensor  # (epoch, 6) float64, columns LOSSES

    def state_dict(self) -> dict[str, Any]:
        """Fields by name, not copied."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclass(frozen=True)
class TrainedRun:
    """A trained run, its best weights by total validation loss, and how it got there."""

    key: str
    state: str  # "finished", "diverged", or "interrupted" when stopped before its last epoch
    gamma: float | None  # None where no two losses are weighed
    best_epoch: int | None  # counted from 1; None when no epoch had a finite validation loss
    valid_rec: float | None  # validation L_rec at the best epoch; None without a decoder
    losses: dict[str, NDArray[np.float64]]  # LOSSES by name, each (epochs,), NaN where not defined
    # Epoch from 1, first bad step from 0; as many as an epoch has when validation alone was bad.
    diverged_at: tuple[int, int] | None
    vector: Tensor  # best weights as one vector, on the CPU
    shape: ModelShape
    has_decoder: bool
    engine: str  # what took its training steps: "native", or "torch: " and why

    @property
    def weights(self) -> Weights:
        """The best weights, layer by layer (views of `vector`)."""
        return weights_of(self.vector, self.shape, self.has_decoder)
