"""One interval for every statistic computed inside a seed, on test notes shared by all seeds.

Seeds and test notes are crossed: each seed is another draw of weights, batches and probes, but all
are tested on the same notes. T_s is a statistic's value on seed s, T_sb its value on bootstrap
sample b of notes, the same samples for every seed and every statistic. Of n seeds:

    V_S = var_s(T_s) / n                      seeds, with what seed and notes do together
    V_N = var_b(mean_s T_sb)                  notes, of the mean
    V_1 = mean_s var_b(T_sb)                  notes, of one seed
    V_E = max(0, (V_1 − V_N) / (n − 1))       notes within seeds, which V_S holds already
    V_C = max(0, V_N − V_E)                   notes, common to all seeds
    mean ± √(t² V_S + z² V_C)                 t with n − 1 degrees of freedom

A bootstrap that draws notes anew in every seed (nested) divides the notes' variance by n and
covers .73 to .92 where it says .95. All variances are in the statistic's unit, squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from analysis.trainings import Array, Trainings

SAMPLES = 200  # of the notes
ALPHA = 0.05
_MOST_SEEDS = 200  # that are ever asked for
_POWER = 0.8


def note_weights(notes: NDArray[Any], samples: int = SAMPLES, seed: int = 0) -> NDArray[np.float32]:
    """[sample, clip]: how often the bootstrap draws each clip's note; the same numbers each time.

    Notes are drawn with replacement, all clips of a note (its velocities) together.
    """
    names, note = np.unique(notes, return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=samples)
    return drawn.astype(np.float32)[:, note]


def accuracies(trainings: Trainings, samples: int = SAMPLES) -> Array:
    """[seed, sample, point, score]: as measured first, then on each bootstrap sample of notes.

    Only what was measured where there are no predictions on test clips.
    """
    measured = trainings.accuracy[:, None]
    if trainings.correct is None or trainings.notes is None:
        return measured
    weights = note_weights(trainings.notes, samples)
    clips = trainings.correct.reshape(-1, len(trainings.notes))
    counts = (clips @ weights.T).astype(float) / weights.sum(axis=1, dtype=float)
    drawn = counts.reshape(*trainings.accuracy.shape, samples).transpose(0, 3, 1, 2)
    return np.concatenate([measured, drawn], axis=1)


@dataclass(frozen=True)
class Interval:
    """An estimate and the variances behind it; NaN where no seed is there."""

    mean: float
    seeds: int
    of_seed: float  # n · V_S: variance of one seed's value; NaN with one seed
    common: float  # V_C; 0 without predictions on test clips
    freedom: float = math.nan  # of t, where seeds are not paired; else seeds − 1

    def half(self, alpha: float = ALPHA, seeds: int | None = None) -> float:
        """Half of the width at confidence 1 − α, of these seeds or as it would be with so many.

        NaN with one seed and no test clips.
        """
        notes = float(ndtri(alpha / 2)) ** 2 * self.common
        if self.seeds < 2:
            return math.sqrt(notes) if notes > 0 else math.nan
        n = seeds or self.seeds
        freedom = self.seeds - 1 if math.isnan(self.freedom) else self.freedom
        t = float(stdtrit(freedom * (n - 1) / (self.seeds - 1), alpha / 2))
        return math.sqrt(t * t * self.of_seed / n + notes)

    @property
    def low(self) -> float:
        return self.mean - self.half()

    @property
    def high(self) -> float:
        return self.mean + self.half()

    def level(self, distance: float) -> float:
        """The smallest α whose interval stays within `distance`: a two-sided p; 1 at 0 or less."""
        if distance <= 0 or math.isnan(distance) or math.isnan(self.half()):
            return 1.0
        low, high = math.log(1e-12), 0.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.half(math.exp(middle)) > distance else (low, middle)
        return math.exp(high)

    def seeds_to_settle(self, distance: float, alpha: float = ALPHA) -> float:
        """Fewest seeds that decide at `distance` from a bound with 80 % power.

        The smallest n with distance ≥ half(n) + z_.8 √(σ²/n + V_C), σ² being one seed's variance.
        Infinite where not even endless seeds would: that takes more test notes.
        """
        power = float(ndtri(_POWER))
        notes = math.sqrt(self.common)
        if self.seeds < 2 or distance <= (power - float(ndtri(alpha / 2))) * notes:
            return math.inf
        for n in range(2, _MOST_SEEDS + 1):
            spread = math.sqrt(self.of_seed / n + self.common)
            if distance >= self.half(alpha, n) + power * spread:
                return n
        return _MOST_SEEDS + 1


def interval(values: Array, floor: float = 0.0) -> Interval:
    """The interval of a statistic [seed, sample], as measured first; see this module's formulas.

    Seeds with NaN are left out. `floor`: the least sd of one seed's value. A share of K cells moves
    in steps of 1/K, so that few seeds may agree by chance: 1/(K√12), the sd within a step.
    """
    values = values[~np.isnan(values[:, 0])]
    n = len(values)
    if n == 0:
        return Interval(math.nan, 0, math.nan, math.nan)
    measured, drawn = values[:, 0], values[:, 1:]
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]  # a rank correlation of equal points, say
    of_seed = max(float(measured.var(ddof=1)), floor**2) if n > 1 else math.nan
    if drawn.shape[1] < 2:
        return Interval(float(measured.mean()), n, of_seed, 0.0)
    of_mean = float(drawn.mean(axis=0).var(ddof=1))
    of_one = float(drawn.var(axis=1, ddof=1).mean())
    within = max(0.0, (of_one - of_mean) / (n - 1)) if n > 1 else 0.0
    return Interval(float(measured.mean()), n, of_seed, max(0.0, of_mean - within))
