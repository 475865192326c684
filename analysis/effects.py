"""Numbers that both a figure and a claim rest on."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.configurations import RECONSTRUCTION_ONLY, in_order
from analysis.estimates import edges, with_edges
from analysis.factors import PAPER, PRIVATE, SHARED, Factors
from analysis.intervals import interval
from analysis.measured import Measured
from analysis.trainings import Array, Trainings


def panels(factors: Factors) -> dict[str, tuple[str, str]]:
    """Of Figure 4: letter → task and subspace; the paper's four are first."""
    paper = [task for task in reversed(PAPER.tasks) if task in factors.tasks]
    tasks = [*paper, *(task for task in factors.tasks if task not in paper)]
    pairs = [(task, subspace) for task in tasks for subspace in (PRIVATE, SHARED)]
    return dict(zip(string.ascii_uppercase, pairs, strict=False))


PANELS = panels(PAPER)
MEAN = "mean"  # in the column `principle`: a bar; the other rows are what it averages
BAR = ["objective", "lam"]
_ROW = [*BAR, "principle", *with_edges(["delta"]), "seeds", "principles"]
_COLUMNS = ["panel", "task", "subspace", *_ROW]


def subspace_effects(trainings: Trainings) -> pd.DataFrame:
    """One row a bar (principle `mean`) and one a principle behind it: `delta` and its interval.

    Δ = acc(λ) − acc(λ = 1) is taken within a seed, whose runs share their initial weights and
    batches, then averaged over seeds, then over principles. The interval is that of the seeds'
    means, of `seeds` that have all principles. `principles` counts those behind a bar; a planned
    bar without any has a NaN.
    """
    measured = Measured.of(trainings)
    points = measured.points[measured.points["kind"] == "multiview"]
    groups = list(points[points["lam"] < 1].groupby(BAR, sort=False))
    tables = []
    for panel, (task, subspace) in panels(trainings.factors).items():
        changes = _changes(measured, f"{task}_{subspace}")
        bars = pd.DataFrame([_bar(changes, rows) for _, rows in groups], columns=_ROW)
        alone = [_principle(changes, row) for _, rows in groups for _, row in rows.iterrows()]
        behind = pd.DataFrame([row for row in alone if row["seeds"]], columns=_ROW)
        rows = pd.concat([in_order(part) for part in (bars, behind) if len(part)] or [bars])
        tables.append(rows.assign(panel=panel, task=task, subspace=subspace))
    return pd.concat(tables, ignore_index=True)[_COLUMNS]


def _changes(measured: Measured, score: str) -> Array:
    """[seed, sample, point]; NaN without reconstruction only."""
    every = np.arange(len(measured.points))
    if not measured.seeds_of(RECONSTRUCTION_ONLY).any():
        return np.full((*measured.accuracy.shape[:2], len(every)), np.nan)
    return measured.change(score, every)


def _principle(changes: Array, row: pd.Series) -> dict[str, Any]:
    found = interval(changes[..., int(str(row.name))])
    named = {name: row[name] for name in (*BAR, "principle")}
    return named | edges("delta", found) | {"seeds": found.seeds, "principles": 1}


def _bar(changes: Array, rows: pd.DataFrame) -> dict[str, Any]:
    values = changes[..., rows.index]
    known = ~np.isnan(values[:, 0])
    there = known.any(axis=0)
    found = interval(values[..., there].mean(-1) if there.any() else values[..., 0])
    delta = float(np.mean([v[k].mean() for v, k in zip(values[:, 0].T, known.T, strict=True)
                           if k.any()])) if there.any() else np.nan  # fmt: skip
    bar = {name: rows[name].iloc[0] for name in BAR} | {"principle": MEAN}
    ends = {"delta": delta, "delta_low": delta - found.half(), "delta_high": delta + found.half()}
    return bar | ends | {"seeds": found.seeds, "principles": int(there.sum())}


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
