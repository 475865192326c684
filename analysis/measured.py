"""What a statistic inside a seed takes: accuracies as measured, and on samples of notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.factors import PAPER, Factors
from analysis.intervals import SAMPLES, accuracies
from analysis.selection import best
from analysis.trainings import Array, Trainings

Places = NDArray[np.intp]  # of points; one row a seed where each seed has others


@dataclass(frozen=True)
class Measured:
    """Arrays over seeds first, then samples (0: as measured), then points."""

    points: pd.DataFrame
    accuracy: Array  # [seed, sample, point, score] on test
    valid: Array  # [seed, point, score]
    mse: Array  # [seed, point]
    factors: Factors = PAPER

    @classmethod
    def of(cls, trainings: Trainings, samples: int = SAMPLES) -> Measured:
        drawn = accuracies(trainings, samples)
        return cls(trainings.points, drawn, trainings.valid, trainings.mse, trainings.factors)

    def only(self, seeds: NDArray[np.bool_], points: NDArray[np.bool_]) -> Measured:
        """Without some seeds and points."""
        if seeds.all() and points.all():
            return self
        return replace(
            self,
            points=self.points[points].reset_index(drop=True),
            accuracy=self.accuracy[seeds][:, :, points],
            valid=self.valid[seeds][:, points],
            mse=self.mse[seeds][:, points],
        )

    @property
    def there(self) -> NDArray[np.bool_]:
        """[seed, point]: whether there is a finished training."""
        return np.asarray(~np.isnan(self.accuracy[:, 0]).all(axis=-1))

    def seeds_of(self, name: str) -> NDArray[np.bool_]:
        """[seed]: whether there is a finished training of a point, which the sweep may lack."""
        named = (self.points["name"] == name).to_numpy()
        return np.asarray(self.there[:, named].any(axis=1))

    def places(self, *names: str) -> Places:
        """Where these points are; ValueError for one that the sweep does not hold."""
        return np.array([list(self.points["name"]).index(name) for name in names], dtype=np.intp)

    def where(
        self, objective: str | None = None, lam: float | None = None, principle: str | None = None
    ) -> Places:
        """Where the configurations with 0 < λ < 1 are; of an objective, a λ, a principle only.

        Those with λ = 0 are there only where it is asked for.
        """
        points = self.points
        chosen = points["kind"] == "multiview"
        if lam is None:
            chosen &= points["lam"].between(0, 1, inclusive="neither")
        for column, value in (("objective", objective), ("lam", lam), ("principle", principle)):
            if value is not None:
                chosen &= points[column] == value
        return np.flatnonzero(chosen)

    @cached_property
    def _values(self) -> dict[str, Array]:
        """[seed, sample, point] of each score, each margin, their worse and the mean accuracy."""
        return measures(self.accuracy, self.factors)

    def at(self, measure: str, places: Places) -> Array:
        """[seed, sample, place] of a measure; `places` are the same in each seed, or a row each."""
        values = self._values[measure]
        if places.ndim == 1:
            return values[..., places]
        return np.take_along_axis(values, places[:, None, :], axis=-1)

    def one(self, measure: str, name: str) -> Array:
        """[seed, sample] of a measure of a point."""
        return self.at(measure, self.places(name))[..., 0]

    def change(self, measure: str, places: Places) -> Array:
        """[seed, sample, place]: the difference to reconstruction only of the same seed."""
        return self.at(measure, places) - self.one(measure, RECONSTRUCTION_ONLY)[..., None]

    def elsewhere(self) -> list[dict[str, Array]]:
        """For each seed: the mean validation measures of each point over the other seeds.

        With one seed its own; a point that another seed lacks is NaN.
        """
        n = len(self.valid)
        others = [[s for s in range(n) if s != seed] or [seed] for seed in range(n)]
        return [measures(self.valid[rows].mean(axis=0), self.factors) for rows in others]

    def chosen(self, count: int = 1) -> Places:
        """[seed, count]: what Table 1's rule chooses on the other seeds' validation, best first."""
        mixed, reference = self.where(), self.places(RECONSTRUCTION_ONLY)[0]
        rows = []
        for valid in self.elsewhere():
            overall, worse = valid["mean_overall"], valid["worse_margin"]
            order, _ = best(overall[mixed], worse[mixed], overall[reference])
            if len(order) < count:
                raise ValueError("too few configurations that all seeds have, to choose among")
            rows.append(mixed[order[:count]])
        return np.array(rows).reshape(-1, count)

    def largest(self, margin: str, count: int) -> Places:
        """[seed, count]: the largest of a margin on the other seeds' validation, 0 < λ < 1."""
        mixed = self.where()
        tops = [np.argsort(-valid[margin][mixed], kind="stable") for valid in self.elsewhere()]
        return np.array([mixed[top[:count]] for top in tops]).reshape(-1, count)

    def grid(self, places: Places, *factors: str) -> Places:
        """The places as an array over the factors' levels; ValueError where it is not balanced."""
        rows = self.points.iloc[places]
        levels = [list(dict.fromkeys(rows[factor])) for factor in factors]
        keys = list(zip(*(rows[factor] for factor in factors), strict=True))
        table = np.full([len(names) for names in levels], -1)
        for place, key in zip(places, keys, strict=True):
            table[tuple(names.index(name) for names, name in zip(levels, key, strict=True))] = place
        if (table < 0).any() or table.size != len(places):
            raise ValueError("needs every combination of principle, objective and λ")
        return table


def measures(accuracy: Array, factors: Factors = PAPER) -> dict[str, Array]:
    """Each score of [..., factors.accuracies], the margins, their worst, and the mean overall."""
    scores = enumerate(factors.accuracies)
    named: dict[str, Array] = {name: accuracy[..., i] for i, name in scores}
    for task, margin in zip(factors.tasks, factors.margins, strict=True):
        held, other = (named[side] for side in factors.sides(task))
        named[margin] = held - other
    named["worse_margin"] = np.minimum.reduce([named[margin] for margin in factors.margins])
    named["mean_overall"] = np.mean([named[f"{task}_overall"] for task in factors.tasks], axis=0)
    return named
