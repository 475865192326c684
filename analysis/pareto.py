"""Which points no other beats in both accuracy and disentanglement, and how surely."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.intervals import SAMPLES, interval
from analysis.measured import Measured
from analysis.trainings import Array, Trainings

AXES = ("mean_overall", "worse_margin")


def pareto(trainings: Trainings, samples: int = SAMPLES) -> pd.DataFrame:
    """One row a point with 0 < λ ≤ 1: both measures, their intervals, `membership` in 0..1.

    The membership is how often the point is on the front of a crossed bootstrap: seeds drawn with
    replacement, each with the same sample of notes. Points that lack a seed are left out.
    ValueError where nothing is left to draw.
    """
    measured = Measured.of(trainings, samples)
    names = list(measured.points["name"])
    reference = [names.index(RECONSTRUCTION_ONLY)] if RECONSTRUCTION_ONLY in names else []
    places = np.append(measured.where(), reference).astype(np.intp)
    places = places[measured.there[:, places].all(axis=0)]
    if not len(places) or not len(trainings.seeds):
        raise ValueError("The Pareto front has no finished run; go on with `sweeper resume`")
    values = {axis: measured.at(axis, places) for axis in AXES}
    table = measured.points.iloc[places].reset_index(drop=True)
    for axis, value in values.items():
        intervals = [interval(value[..., i]) for i in range(len(places))]
        table[axis] = [each.mean for each in intervals]
        table[f"{axis}_low"] = [each.low for each in intervals]
        table[f"{axis}_high"] = [each.high for each in intervals]
    table["front"] = on_front(*(value[:, 0].mean(axis=0) for value in values.values()))
    return table.assign(membership=_membership(values[AXES[0]], values[AXES[1]], samples))


def on_front(x: Array, y: Array) -> NDArray[np.bool_]:
    """Along the last axis: whether no point is at least as good in both and better in one."""
    no_worse = (x[..., None, :] >= x[..., :, None]) & (y[..., None, :] >= y[..., :, None])
    better = (x[..., None, :] > x[..., :, None]) | (y[..., None, :] > y[..., :, None])
    return np.asarray(~(no_worse & better).any(axis=-1))


def _membership(x: Array, y: Array, samples: int) -> Array:
    """`x` and `y` are [seed, sample, point], as measured first."""
    seeds, drawn = x.shape[:2]
    random = np.random.default_rng(0)
    counts = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=samples) / seeds
    notes = 1 + np.arange(samples) % (drawn - 1) if drawn > 1 else np.zeros(samples, int)
    means = [np.einsum("bs,sbp->bp", counts, value[:, notes]) for value in (x, y)]
    return np.asarray(on_front(*means).mean(axis=0))
