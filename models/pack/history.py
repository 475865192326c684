"""The history of a pack: losses per epoch, the best epoch, and divergence, run by run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.pack.loss import Array, TotalLoss
from models.pack.runs import LOSSES, PackRun

# Total loss beyond which a run has diverged; healthy ones begin below 1e4 and fall.
DIVERGENCE_LIMIT = 1e6


class History:
    """What has happened to each of K runs so far."""

    def __init__(self, runs: Sequence[PackRun], gammas: Sequence[float | None]) -> None:
        self.gammas = list(gammas)
        self.total = TotalLoss(runs, gammas)
        self.losses: Array = np.zeros((0, len(LOSSES), len(runs)))
        self.best_epoch: list[int | None] = [None] * len(runs)
        self.diverged_at: list[tuple[int, int] | None] = [None] * len(runs)

    def close_epoch(self, train: Array, valid: Array) -> list[int]:
        """Book an epoch and return the places of the runs that have new best weights.

        `train` (steps, 2, K) and `valid` (2, K): L_rec and L_dis of each run.
        """
        per_step = self.total.with_total(train)  # (steps, 3, K)
        validated = self.total.with_total(valid)  # (3, K)
        rows = np.concatenate((per_step.mean(0), validated))
        self.losses = np.concatenate((self.losses, rows[None]))
        self._mark_diverged(per_step[:, 0], validated[0])
        return [place for place, best in enumerate(self._improved()) if best]

    def _mark_diverged(self, train: Array, valid: Array) -> None:
        """`train` (steps, K), `valid` (K,): total losses of the last epoch."""
        totals = np.concatenate((train, valid[None]))
        bad = ~(np.abs(totals) <= DIVERGENCE_LIMIT)  # NaN compares false
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
