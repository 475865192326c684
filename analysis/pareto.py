"""Which points no other beats in both accuracy and disentanglement, and how surely."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import NEEDS_PAIR, RECONSTRUCTION_ONLY
from analysis.intervals import SAMPLES, interval
from analysis.measured import Measured
from analysis.trainings import Array, Trainings

AXES = ("accuracy_change", "worse_margin")  # of mean overall accuracy, from reconstruction only


def pareto(trainings: Trainings, samples: int = SAMPLES) -> pd.DataFrame:
    """One row a point with 0 < λ ≤ 1: both of AXES, their intervals, `membership` in 0..1.

    The membership is how often the point is on the front of a crossed bootstrap: seeds drawn with
    replacement, each with the same sample of notes. Points that lack a seed are left out.
    ValueError without a finished reconstruction-only run, and without any other.
    """
    measured = Measured.of(trainings, samples)
    seeds = measured.seeds_of(RECONSTRUCTION_ONLY)
    measured = measured.only(seeds, np.full(len(measured.points), True))
    mixed = measured.where()
    mixed = mixed[measured.there[:, mixed].all(axis=0)]
    if not seeds.any() or not len(mixed):
        raise ValueError(f"The Pareto front {NEEDS_PAIR}")
    places = np.append(mixed, measured.places(RECONSTRUCTION_ONLY))
    changes, margins = measured.change("mean_overall", places), measured.at(AXES[1], places)
    values = dict(zip(AXES, (changes, margins), strict=True))
    table = measured.points.iloc[places].reset_index(drop=True)
    for axis, value in values.items():
        intervals = [interval(value[..., i]) for i in range(len(places))]
        table[axis] = [each.mean for each in intervals]
        table[f"{axis}_low"] = [each.low for each in intervals]
        table[f"{axis}_high"] = [each.high for each in intervals]
    table["front"] = on_front(*(value[:, 0].mean(axis=0) for value in values.values()))
    return table.assign(membership=membership(values[AXES[0]], values[AXES[1]], samples))


def on_front(x: Array, y: Array) -> NDArray[np.bool_]:
    """Along the last axis: whether no point is at least as good in both and better in one."""
    no_worse = (x[..., None, :] >= x[..., :, None]) & (y[..., None, :] >= y[..., :, None])
    better = (x[..., None, :] > x[..., :, None]) | (y[..., None, :] > y[..., :, None])
    return np.asarray(~(no_worse & better).any(axis=-1))


def membership(x: Array, y: Array, samples: int) -> Array:
    """How often each point is on the front of drawn seeds and notes.

    `x` and `y` are [seed, sample, point], as measured first.
    """
    seeds, drawn = x.shape[:2]
    random = np.random.default_rng(0)
    counts = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=samples) / seeds
    notes = 1 + np.arange(samples) % (drawn - 1) if drawn > 1 else np.zeros(samples, int)
    means = [np.einsum("bs,sbp->bp", counts, value[:, notes]) for value in (x, y)]
    return np.asarray(on_front(*means).mean(axis=0))
