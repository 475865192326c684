"""Means over seeds of the configurations and the baselines, each with its interval."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.configurations import IDENTITY
from analysis.factors import Factors
from analysis.intervals import Interval, interval
from analysis.measured import Measured, measures
from analysis.trainings import Array, Trainings

EDGES = ("", "_low", "_high")  # of an estimate's columns


def estimated(factors: Factors) -> tuple[str, ...]:
    """What configurations are told by, on test."""
    return ("mse", *factors.accuracies, *factors.margins, "mean_overall")


def with_edges(names: Iterable[str]) -> list[str]:
    """The columns of these measures: each one's mean, then the ends of its interval."""
    return [f"{name}{edge}" for name in names for edge in EDGES]


def edges(name: str, found: Interval) -> dict[str, float]:
    return dict(zip(with_edges([name]), (found.mean, found.low, found.high), strict=True))


def configurations(trainings: Trainings) -> pd.DataFrame:
    """One row a configuration or baseline with a finished run, in the paper's order.

    `name`, IDENTITY, `seeds`; each of `estimated` with the ends of its crossed interval, and the
    mean of each accuracy and margin on validation, `valid_…`. Only finished runs count: a diverged
    run is never averaged.
    """
    measured = Measured.of(trainings)
    table = measured.points.assign(seeds=measured.there.sum(axis=0))
    valid = measures(measured.valid, trainings.factors)
    names, rows = estimated(trainings.factors), []
    for place in np.flatnonzero(table["seeds"]):
        row: dict[str, float] = {}
        for name in names:
            row |= edges(name, interval(_values(measured, name)[..., place]))
        rows.append(row | {f"valid_{name}": _mean(of[:, place]) for name, of in valid.items()})
    whole = table[table["seeds"] > 0].reset_index(drop=True)
    columns = [*with_edges(names), *(f"valid_{name}" for name in valid)]
    return whole[["name", *IDENTITY, "seeds"]].join(pd.DataFrame(rows, columns=columns))


def bounded(trainings: Trainings) -> pd.DataFrame:
    """`configurations`, whose intervals end where an accuracy (0, 1), a margin or the MSE does.

    Student's t knows no bounds: of two seeds it goes far beyond. Half its width is no ± any more.
    """
    table, factors = configurations(trainings), trainings.factors
    accuracies = dict.fromkeys((*factors.accuracies, "mean_overall"), (0.0, 1.0))
    bounds = {**accuracies, **dict.fromkeys(factors.margins, (-1.0, 1.0)), "mse": (0.0, np.inf)}
    ends = {f"{name}{edge}": bounds[name] for name in bounds for edge in EDGES[1:]}
    return table.assign(**{end: table[end].clip(*bound) for end, bound in ends.items()})


def _values(measured: Measured, name: str) -> Array:
    """[seed, sample, point]; notes play no part in the MSE."""
    if name == "mse":
        return measured.mse[:, None]
    return measured.at(name, np.arange(len(measured.points)))


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
