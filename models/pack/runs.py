"""What a pack trains, on what, and what comes out: the trainer's vocabulary."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.multiview import Shape, Weights, weights_of
from models.objectives import LossOptions
from models.pack.loss import Part, parts_of
from models.pairs import PAIRINGS

GAMMA_RULES = ("init-ratio", "converged-ratio", "geometric-ratio")
REFERRING = GAMMA_RULES[1:]  # rules that need the reconstruction-only run

# Columns of a run's losses, per epoch.
LOSSES = ("train_total", "train_rec", "train_dis", "valid_total", "valid_rec", "valid_dis")


@dataclass(frozen=True)
class PackRun:
    """One run: everything that sets it apart from its neighbours in a pack.

    A multi-view run has λ and, below λ = 1, a principle and an objective; contrastive baselines
    have neither (they train InfoNCE-SIM). ValueError for anything else.
    """

    key: str  # the caller's name for it, unique in the pack
    kind: str = "multiview"  # or "cl-pitch", "cl-instrument"
    seed: int = 0
    principle: str | None = None  # InfoNCE, Cosine, VICReg
    objective: str | None = None  # SIM, SEP, SIM+SEP
    lam: float | None = None  # weight of the reconstruction, 0 to 1
    gamma: str | None = None  # one of GAMMA_RULES or "fixed:x"; used where 0 < λ < 1
    reference_mse: float | None = None  # for REFERRING: `valid_rec` of the seed's λ = 1 run
    options: LossOptions = field(default_factory=LossOptions)

    def __post_init__(self) -> None:
        if self.kind not in PAIRINGS:
            raise ValueError(f"unknown kind '{self.kind}'; choose one of {', '.join(PAIRINGS)}")
        if self.kind == "multiview" and (self.lam is None or not 0 <= self.lam <= 1):
            raise ValueError(f"λ is {self.lam}; a multi-view run needs one from 0 to 1")
        _ = self.parts
        if self.needs_gamma:
            self._check_gamma()

    @property
    def decoded(self) -> bool:
        """Whether the run has a decoder: none is trained at λ = 0 and in the baselines."""
        return bool(self.lam)

    @property
    def needs_gamma(self) -> bool:
        """Whether two losses are weighed against each other."""
        return self.lam is not None and 0 < self.lam < 1

    @property
    def dis_weight(self) -> float:
        """What L_dis is multiplied by in equation 5."""
        return 1.0 - (self.lam or 0.0)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The terms of L_dis; none at λ = 1."""
        if self.kind != "multiview":
            return parts_of("InfoNCE", "SIM", self.options)
        if self.lam == 1:
            return ()
        return parts_of(self.principle or "none", self.objective or "none", self.options)

    @property
    def fixed_gamma(self) -> float | None:
        """x of a rule "fixed:x", else None."""
        rule, _, value = (self.gamma or "").partition(":")
        return float(value) if rule == "fixed" else None

    def _check_gamma(self) -> None:
        try:
            known = self.gamma in GAMMA_RULES or self.fixed_gamma is not None
        except ValueError:
            known = False
        if not known:
            raise ValueError(
                f"unknown γ rule '{self.gamma}'; choose {', '.join(GAMMA_RULES)} or fixed:NUMBER"
            )
        if self.gamma in REFERRING and not self.reference_mse:
            raise ValueError(
                f"run {self.key}: {self.gamma} needs the validation MSE of the "
                "reconstruction-only run; train that first or choose init-ratio"
            )


@dataclass(frozen=True)
class Clips:
    """Frozen-encoder latents of clips, with the labels that pairs are made from."""

    # (N, T, D), of any precision: the trainer's own copy has its own. A memory map serves.
    latents: Tensor
    family: NDArray[Any]  # (N,)
    pitch: NDArray[Any]  # (N,)


@dataclass(frozen=True)
class TrainingSpec:
    """How long and how fast; the same for all runs of a pack."""

    epochs: int = 100
    batch_pairs: int = 16
    lr: float = 1e-4
    weight_decay: float = 1e-3
    # Total loss beyond which a run has diverged; healthy ones begin below 1e4 and fall.
    divergence_limit: float = 1e6
    # Of the layers' products: ieee, tf32 (on CUDA) or bf16; all else is single precision.
    precision: str = "ieee"


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
class RunResult:
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
    shape: Shape
    decoded: bool

    @property
    def weights(self) -> Weights:
        """The best weights, layer by layer (views of `vector`)."""
        return weights_of(self.vector, self.shape, self.decoded)
