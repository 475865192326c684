"""What was measured of every point of a sweep with every seed: all that claims rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import (
    IDENTITY,
    finished_runs,
    in_figures,
    in_order,
    name_of,
    without_identity,
)
from analysis.factors import PAPER, Factors
from analysis.results import Results, listed

Array = NDArray[np.float64]

# For captions.
VARIED = "Seeds vary initial weights, batches and probes; the data draw and its split are fixed."
UNTRAINED = "At λ = 0 a subspace without a loss is an untrained encoder."


@dataclass(frozen=True)
class Trainings:
    """Test and validation accuracies in 0..1, seed by seed; NaN where there is no finished run.

    A point is a configuration or a baseline. λ = 1 is one point, whose run the nine cells share.
    """

    points: pd.DataFrame  # name, kind, principle, objective, lam: one row a planned point
    seeds: tuple[int, ...]  # those with a finished run
    accuracy: Array  # [seed, point, factors.accuracies] on test
    valid: Array  # the same on validation
    mse: Array  # [seed, point]
    correct: NDArray[np.float32] | None = None  # [seed, point, accuracies, clip]: 1 or 0
    notes: NDArray[Any] | None = None  # [test clip]: which note it is, a program and a pitch
    twin: NDArray[np.bool_] | None = None  # [test clip]: the note is in probe training too
    remarks: tuple[str, ...] = ()  # a line for whatever keeps these numbers from telling more
    factors: Factors = PAPER

    @classmethod
    def of_results(cls, results: Results) -> Trainings:
        """With test clips, where the database has what the probes said of them."""
        trainings = cls.of(results.frame, results.factors)
        if results.clips is None:
            mixed = results.frame["latents"].nunique() if "latents" in results.frame else 1
            remark = f"The runs are of {mixed} latents: no test notes that they share."
            return replace(trainings, remarks=(*trainings.remarks, *[remark] * (mixed > 1)))
        runs = finished_runs(results.frame, results.factors)
        names = [name_of(run) for _, run in runs.iterrows()]
        said = results.clips.correct
        places = zip(runs["seed"], names, runs["run_key"], strict=True)
        correct = {(seed, name): said.get(key, {}) for seed, name, key in places}
        trainings = replace(trainings, remarks=(*trainings.remarks, *results.clips.remarks))
        return trainings.with_clips(correct, results.clips.notes, results.clips.twin)

    @classmethod
    def of(cls, frame: pd.DataFrame, factors: Factors = PAPER) -> Trainings:
        """Takes the rows of the `results` view; without test clips."""
        points, runs = _planned(frame), finished_runs(frame, factors)
        seeds = tuple(sorted(runs["seed"].unique()))
        place = {name: i for i, name in enumerate(points["name"])}
        rows = [seeds.index(seed) for seed in runs["seed"]]
        columns = [place[name_of(run)] for _, run in runs.iterrows()]

        def table(measures: list[str]) -> Array:
            values = np.full((len(seeds), len(points), len(measures)), np.nan)
            values[rows, columns] = runs[measures].to_numpy(float)
            return values

        names = list(factors.accuracies)
        accuracy, valid = table(names), table([f"valid_{name}" for name in names])
        missing = _missing(points, _cells(frame, points, seeds) & np.isnan(accuracy).all(-1))
        mse = table(["mse"])[..., 0]
        return cls(points, seeds, accuracy, valid, mse, remarks=missing, factors=factors)

    def with_clips(
        self,
        correct: Mapping[tuple[int, str], Mapping[str, NDArray[Any]]],
        notes: NDArray[Any],
        twin: NDArray[np.bool_] | None = None,
    ) -> Trainings:
        """With {(seed, point's name): {score: whether each test clip is classified rightly}}.

        Where one finished training lacks its clips, none is used: the numbers stay comparable.
        """
        values = np.full((*self.accuracy.shape, len(notes)), np.nan, np.float32)
        scores = self.factors.accuracies
        for i, seed in enumerate(self.seeds):
            for j, name in enumerate(self.points["name"]):
                for score, right in correct.get((seed, name), {}).items():
                    values[i, j, scores.index(score)] = right
        lacking = int((np.isnan(values).any(-1) & ~np.isnan(self.accuracy)).any(-1).sum())
        if lacking:
            known = int((~np.isnan(self.accuracy)).any(-1).sum())
            remark = f"{lacking} of {known} trainings have no predictions on the test clips."
            return replace(self, remarks=(*self.remarks, remark))
        accuracy = values.mean(-1, dtype=np.float64)
        return replace(self, accuracy=accuracy, correct=values, notes=notes, twin=twin)

    def on(self, clips: NDArray[np.bool_]) -> Trainings:
        """The same trainings on some of the test clips only: those without a twin, say."""
        if self.correct is None or self.notes is None:
            raise ValueError("these trainings have no predictions on test clips")
        correct = self.correct[..., clips]
        accuracy = correct.mean(-1, dtype=np.float64)
        twin = None if self.twin is None else self.twin[clips]
        return replace(self, accuracy=accuracy, correct=correct, notes=self.notes[clips], twin=twin)

    @property
    def basis(self) -> str:
        """What the intervals rest on, a sentence for a caption."""
        there = np.asarray(~np.isnan(self.accuracy).all(axis=-1))
        grid = (self.points["kind"] == "multiview").to_numpy()
        ours, theirs = (int(there[:, rows].any(axis=1).sum()) for rows in (grid, ~grid))
        count = ours or theirs
        seeds = "1 seed: these trainings" if count == 1 else f"{count} seeds"
        seeds += f" ({theirs} of the baselines)" if theirs > count else ""
        if self.notes is None:
            known = "intervals are over seeds only" if count > 1 else "no intervals"
            return f"{seeds}; no predictions on test clips: {known}."
        clips = f"{len(self.notes):,} test clips of {len(np.unique(self.notes)):,} notes"
        return f"{seeds} × {clips}." if count > 1 else f"{seeds}; {clips}."


def _planned(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a point that the sweep holds, finished or not, in the paper's order."""
    cells = without_identity(in_figures(frame))
    points = in_order(cells[IDENTITY].drop_duplicates())
    points.insert(0, "name", [name_of(row) for _, row in points.iterrows()])
    return points


def _cells(frame: pd.DataFrame, points: pd.DataFrame, seeds: tuple[int, ...]) -> NDArray[np.bool_]:
    """[seed, point]: what is planned; the baselines may be with more seeds than the grid."""
    cells = without_identity(in_figures(frame[frame["seed"].isin(seeds)]))
    named = cells.assign(name=[name_of(row) for _, row in cells.iterrows()])
    known = set(zip(named["seed"], named["name"], strict=True))
    rows = [[(seed, name) in known for name in points["name"]] for seed in seeds]
    return np.array(rows, dtype=bool).reshape(len(seeds), len(points))


def _missing(points: pd.DataFrame, lacking: NDArray[np.bool_]) -> tuple[str, ...]:
    """One line of what is not finished, the points that lack most seeds first; none if all is."""
    if not lacking.any():
        return ()
    counts = pd.Series(lacking.sum(axis=0), index=points["name"])
    names = [
        f"{name} ({'every seed' if count == len(lacking) else count})"
        for name, count in counts[counts > 0].sort_values(ascending=False, kind="stable").items()
    ]
    total = f"{lacking.sum()} of {lacking.size} trainings are not finished"
    return (f"{total} (seeds that a point lacks): {listed(tuple(names))}.",)
