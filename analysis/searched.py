"""What a search found: its front, and the hypervolume of that beside the grid's at equal cost.

Points are configurations with 0 < λ < 1. The front that is shown is that of the means on test.
What a hypervolume is of is chosen on validation, by means over seeds, and measured on test, in each
seed: the area between it and REFERENCE.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import finished_runs
from analysis.factors import PAPER, Factors
from analysis.intervals import Interval, interval
from analysis.markdown import markdown_table
from analysis.pareto import AXES, membership, on_front
from analysis.places import places_of
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
    def of(cls, frame: pd.DataFrame, factors: Factors = PAPER) -> Points:
        """Of the rows of the `results` view; those seeds alone that the search trained.

        ValueError without a reconstruction-only run, or any other, that all of them have.
        """
        runs = finished_runs(frame[frame["kind"] == "multiview"], factors)
        runs["name"] = runs["label"].str.rpartition(" seed ")[0]
        runs["trial"] = _trials(runs)
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
            margins = mixed[[f"{split}{margin}" for margin in factors.margins]]
            return table(change), table(margins.min(axis=1, skipna=False))

        return cls(names, searched[names].to_numpy(bool), seeds, both("valid_"), both(""))

    def volumes(self, chosen: NDArray[np.bool_]) -> Array:
        """[seed]: hypervolume on test of the front that validation chooses among these."""
        places = np.flatnonzero(chosen)
        front = places[on_front(*(value[:, places].mean(axis=0) for value in self.valid))]
        x, y = (value[:, front] for value in self.test)
        return np.array([hypervolume(*each) for each in zip(x, y, strict=True)])


def off_grid(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which cells a search asked for on axes beside principle, objective and λ."""
    trials, places = _trials(frame), places_of(frame)
    further = [trial is not None and bool(p) for trial, p in zip(trials, places, strict=True)]
    return pd.Series(further, index=frame.index, dtype=bool)


def _trials(frame: pd.DataFrame) -> list[int | None]:
    """Of each cell the search's trial; None of the grid's, and of an older database's."""
    if "point" not in frame:
        return [None] * len(frame)
    return [json.loads(point or "{}").get("trial") for point in frame["point"]]


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


def told(points: Points) -> str:
    """What the front and the hypervolumes are of: a sentence."""
    seeds = "1 seed" if len(points.seeds) == 1 else f"{len(points.seeds)} seeds"
    return (
        f"All numbers are of test clips, 0 < λ < 1, {seeds}. The front is that of the test means; "
        "a hypervolume [95 %] is of the front that validation chooses, above an accuracy of "
        f"{REFERENCE[0]:g} from λ = 1's and a margin of {REFERENCE[1]:g}."
    )


def shown(volume: Interval) -> str:
    """`0.0138 [0.0101, 0.0175]`, in accuracy × accuracy."""
    if math.isnan(volume.half()):
        return f"{volume.mean:.4f}"
    return f"{volume.mean:.4f} [{volume.low:.4f}, {volume.high:.4f}]"


def markdown(points: Points) -> str:
    """The front and the hypervolumes as tables."""
    rows = front(points)
    found = pd.DataFrame(
        {
            "on the front on test": rows["name"],
            "by": rows["searched"].map({True: "search", False: "grid"}),
            "min(Δ pitch, Δ instrument)": [f"{value:+.3f}" for value in rows[AXES[1]]],
            "accuracy − λ = 1's": [f"{value:+.3f}" for value in rows[AXES[0]]],
            "in draws of seeds": [f"{value:.0%}" for value in rows["membership"]],
        }
    )
    volumes = compared(points)
    table = pd.DataFrame(
        {
            "hypervolume": list(volumes),
            "configurations": [str(count) for count, _ in volumes.values()],
            "": [shown(volume) for _, volume in volumes.values()],
        }
    )
    tables = (markdown_table(each) for each in (found, table))
    return "\n\n".join(["# The search", *tables, told(points)]) + "\n"


def _drawn(points: Points, grid: NDArray[np.intp], count: int) -> Array:
    chance, volumes = np.random.default_rng(0), []
    for _ in range(DRAWS if count < len(grid) else 1):
        chosen = np.zeros(len(points.names), dtype=bool)
        chosen[chance.choice(grid, count, replace=False)] = True
        volumes.append(points.volumes(chosen))
    return np.asarray(np.mean(volumes, axis=0))
