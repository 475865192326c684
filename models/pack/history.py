"""The books of a pack: losses per epoch, the best epoch, and divergence, run by run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.pack.runs import LOSSES, PackRun

Array = NDArray[np.float64]


class Progress:
    """What has happened to each of K runs so far."""

    def __init__(
        self, runs: Sequence[PackRun], gammas: Sequence[float | None], divergence_limit: float
    ) -> None:
        self.gammas = list(gammas)
        self.losses: Array = np.zeros((0, len(LOSSES), len(runs)))
        self.best_epoch: list[int | None] = [None] * len(runs)
        self.diverged_at: list[tuple[int, int] | None] = [None] * len(runs)
        self._limit = divergence_limit
        self._lams = np.array([run.lam or 0.0 for run in runs])
        self._has_dis = np.array([bool(run.parts) for run in runs])
        self._has_rec = np.array([run.decoded for run in runs])

    @property
    def rec_weights(self) -> Array:
        """γλ of each run; γ is 1 where no two losses are weighed."""
        gammas = np.array([1.0 if gamma is None else gamma for gamma in self.gammas])
        weights: Array = gammas * self._lams
        return weights

    def close_epoch(self, train: Array, valid: Array) -> list[int]:
        """Book an epoch and return the places of the runs that have new best weights.

        `train` (steps, 2, K) and `valid` (2, K): L_rec and L_dis of each run.
        """
        per_step = self._with_total(train)  # (steps, 3, K)
        validated = self._with_total(valid)  # (3, K)
        rows = np.concatenate((per_step.mean(0), validated))
        self.losses = np.concatenate((self.losses, rows[None]))
        self._mark_diverged(per_step[:, 0], validated[0])
        return [place for place, best in enumerate(self._improved()) if best]

    def _with_total(self, losses: Array) -> Array:
        """L_total (equation 5) before L_rec and L_dis, with NaN for losses a run has not."""
        rec, dis = losses[..., 0, :], losses[..., 1, :]
        total = np.where(self._has_rec, self.rec_weights * rec, 0.0)
        total = total + np.where(self._has_dis, (1 - self._lams) * dis, 0.0)
        rec = np.where(self._has_rec, rec, np.nan)
        return np.stack((total, rec, np.where(self._has_dis, dis, np.nan)), axis=-2)

    def _mark_diverged(self, train: Array, valid: Array) -> None:
        """`train` (steps, K), `valid` (K,): total losses of the last epoch."""
        totals = np.concatenate((train, valid[None]))
        bad = ~(np.abs(totals) <= self._limit)  # NaN compares false
        for place in np.flatnonzero(bad.any(0)):
            if self.diverged_at[place] is None:
                self.diverged_at[place] = (len(self.losses), int(bad[:, place].argmax()))

    def _improved(self) -> list[bool]:
        totals = self.losses[:, LOSSES.index("valid_total")]  # (epochs, K)
        improved = []
        for place, diverged_at in enumerate(self.diverged_at):
            best = self.best_epoch[place]
            better = best is None or totals[-1, place] < totals[best - 1, place]
            improved.append(better and diverged_at is None)
            if improved[-1]:
                self.best_epoch[place] = len(self.losses)
        return improved
