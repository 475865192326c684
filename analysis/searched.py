"""What a search found: its front, and the hypervolume of that beside the grid's at equal cost.

Points are configurations with 0 < λ < 1. A front is chosen on validation, by means over seeds; what
it is worth is measured on test, in each seed: the area between it and REFERENCE.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import finished_runs
from analysis.intervals import Interval, interval
from analysis.pareto import AXES, membership, on_front
from analysis.results import MARGINS
from analysis.trainings import Array

# Of AXES: a tenth below reconstruction only in mean overall accuracy, and no margin.
REFERENCE = (-0.1, 0.0)
DRAWS = 200  # of as many of the grid's configurations as the search had


@dataclass(frozen=True)
class Points:
    """Configurations that every seed has finished."""

    names: list[str]
    searched: NDArray[np.bool_]  # [point]: whether a search asked for it
    seeds: tuple[int, ...]
    valid: tuple[Array, Array]  # AXES, each [seed, point]
    test: tuple[Array, Array]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Points:
        """Of the rows of the `results` view; those seeds alone that the search trained.

        ValueError without a reconstruction-only run, or any other, that all of them have.
        """
        runs = finished_runs(frame[frame["kind"] == "multiview"])
        runs["name"] = runs["label"].str.rpartition(" seed ")[0]
        runs["trial"] = [json.loads(point or "{}").get("trial") for point in runs["point"]]
        asked = runs.dropna(subset=["trial"])
        seeds = tuple(sorted((asked if len(asked) else runs)["seed"].unique()))
        runs = runs[runs["seed"].isin(seeds)]
        base = (
            runs[runs["lam"] == 1].groupby("seed")[["mean_overall", "valid_mean_overall"]].first()
        )
        mixed = runs[(runs["lam"] > 0) & (runs["lam"] < 1)]
        whole = mixed.groupby("name")["seed"].nunique()
        mixed = mixed[mixed["name"].isin(whole[whole == len(seeds)].index)]
        if len(base) < len(seeds) or mixed.empty:
            raise ValueError("no finished λ = 1 run of every seed, or none with 0 < λ < 1")
        names = list(dict.fromkeys(mixed["name"]))
        searched = mixed["name"].isin(asked["name"]).groupby(mixed["name"]).any()

        def table(values: pd.Series) -> Array:
            wide = values.groupby([mixed["seed"], mixed["name"]]).first().unstack()
            return wide[names].to_numpy(float)

        def both(split: str) -> tuple[Array, Array]:
            change = mixed[f"{split}mean_overall"] - mixed["seed"].map(base[f"{split}mean_overall"])
            margins = mixed[[f"{split}{margin}" for margin in MARGINS]]
            return table(change), table(margins.min(axis=1, skipna=False))

        return cls(names, searched[names].to_numpy(bool), seeds, both("valid_"), both(""))

    def volumes(self, chosen: NDArray[np.bool_]) -> Array:
        """[seed]: hypervolume on test of the front that validation chooses among these."""
        places = np.flatnonzero(chosen)
        front = places[on_front(*(value[:, places].mean(axis=0) for value in self.valid))]
        x, y = (value[:, front] for value in self.test)
        return np.array([hypervolume(*each) for each in zip(x, y, strict=True)])


def hypervolume(x: Array, y: Array, reference: tuple[float, float] = REFERENCE) -> float:
    """The area that points cover above a reference point, in accuracy × accuracy."""
    area, top = 0.0, reference[1]
    for place in np.lexsort((-y, -x)):
        if x[place] > reference[0] and y[place] > top:
            area += (x[place] - reference[0]) * (y[place] - top)
            top = float(y[place])
    return area


def front(points: Points) -> pd.DataFrame:
    """One row a configuration on the front of the test means, with its membership in 0..1.

    See `pareto`; here over draws of seeds alone.
    """
    x, y = points.test
    table = pd.DataFrame({"name": points.names, "searched": points.searched})
    table[AXES[0]], table[AXES[1]] = x.mean(axis=0), y.mean(axis=0)
    table["membership"] = membership(x[:, None], y[:, None], 1_000)
    chosen = table[on_front(*(value.mean(axis=0) for value in (x, y)))]
    return chosen.sort_values(AXES[1], ascending=False, ignore_index=True)


def compared(points: Points) -> dict[str, tuple[int, Interval]]:
    """What → of how many configurations, and its hypervolume over seeds.

    Where the search has fewer configurations than the grid, "the grid's, at equal cost" is the mean
    over draws of as many of the grid's.
    """
    own, grid = points.searched, ~points.searched
    found: dict[str, tuple[int, Array]] = {}
    if own.any():
        found["searched"] = int(own.sum()), points.volumes(own)
    if grid.any():
        found["the grid's"] = int(grid.sum()), points.volumes(grid)
    if own.any() and grid.any():
        count = min(int(own.sum()), int(grid.sum()))
        equal = _drawn(points, np.flatnonzero(grid), count)
        found["the grid's, at equal cost"] = count, equal
        found["searched − grid's at equal cost"] = count, found["searched"][1] - equal
        found["both"] = len(own), points.volumes(own | grid)
    return {what: (n, interval(values[:, None])) for what, (n, values) in found.items()}


def _drawn(points: Points, grid: NDArray[np.intp], count: int) -> Array:
    chance, volumes = np.random.default_rng(0), []
    for _ in range(DRAWS if count < len(grid) else 1):
        chosen = np.zeros(len(points.names), dtype=bool)
        chosen[chance.choice(grid, count, replace=False)] = True
        volumes.append(points.volumes(chosen))
    return np.asarray(np.mean(volumes, axis=0))
