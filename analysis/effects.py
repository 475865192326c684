"""Numbers that both a figure and a claim rest on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.configurations import finished_runs, in_order, multiview, reconstruction_only
from analysis.trainings import Array

PANELS = {  # of Figure 4
    "A": ("instrument", "private"),
    "B": ("instrument", "shared"),
    "C": ("pitch", "private"),
    "D": ("pitch", "shared"),
}
MEAN = "mean"  # in the column `principle`: a bar; the other rows are what it averages
BAR = ["objective", "lam"]
_COLUMNS = [
    "panel", "task", "subspace", *BAR, "principle", "delta", "delta_sd", "seeds", "principles"
]  # fmt: skip


def subspace_effects(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a bar (principle `mean`) and one a principle behind it: `delta`, sd over seeds.

    Δ = acc(λ) − acc(λ = 1) is taken within a seed, whose runs share their initial weights and
    batches, then averaged over seeds, then over principles. `principles` counts those behind a
    bar; a planned bar without any has a NaN.
    """
    runs = finished_runs(frame)
    reference = reconstruction_only(runs).set_index("seed")
    cells = multiview(runs)
    cells = cells[cells["seed"].isin(reference.index)]
    planned = multiview(frame)[BAR].drop_duplicates()
    panels = [_panel(panel, cells, reference, planned) for panel in PANELS]
    return pd.concat(panels, ignore_index=True)[_COLUMNS]


def _panel(
    panel: str, cells: pd.DataFrame, reference: pd.DataFrame, planned: pd.DataFrame
) -> pd.DataFrame:
    task, subspace = PANELS[panel]
    accuracy = f"{task}_{subspace}"
    deltas = cells.assign(delta=cells[accuracy] - cells["seed"].map(reference[accuracy]))
    by_principle = _over_seeds(deltas, [*BAR, "principle"])
    bars = planned.merge(_bars(deltas, by_principle), how="left", on=BAR).assign(principle=MEAN)
    counts = bars[["seeds", "principles"]].fillna(0).astype(int)
    rows = [in_order(bars.assign(**counts)), in_order(by_principle.assign(principles=1))]
    return pd.concat(rows).assign(panel=panel, task=task, subspace=subspace)


def _bars(deltas: pd.DataFrame, by_principle: pd.DataFrame) -> pd.DataFrame:
    """Means over principles; the sd is of the seeds' means, of seeds with all principles."""
    means = by_principle.groupby(BAR)["delta"].agg(delta="mean", principles="size").reset_index()
    of_seed = deltas.groupby([*BAR, "seed"])["delta"].agg(delta="mean", principles="size")
    whole = of_seed.reset_index().merge(means[[*BAR, "principles"]], on=[*BAR, "principles"])
    return means.merge(_over_seeds(whole, BAR).drop(columns="delta"), how="left", on=BAR)


def _over_seeds(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    groups = rows.groupby(by)["delta"]
    return groups.agg(delta="mean", delta_sd="std", seeds="size").reset_index()


def spearman(x: ArrayLike, y: ArrayLike) -> Array:
    """Rank correlation along the last axis, ties at their mean rank.

    NaN of fewer than three points, and without any spread.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape[-1] < 3:
        return np.full(x.shape[:-1], np.nan)
    return _correlation(_ranks(x), _ranks(y))


def _ranks(values: Array) -> Array:
    above = values[..., :, None] > values[..., None, :]
    tied = values[..., :, None] == values[..., None, :]
    return np.asarray(above.sum(-1) + tied.sum(-1) / 2)


def _correlation(x: Array, y: Array) -> Array:
    x, y = (values - values.mean(-1, keepdims=True) for values in (x, y))
    spread = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.asarray(
        np.where(spread > 0, (x * y).sum(-1) / np.where(spread > 0, spread, 1), np.nan)
    )
