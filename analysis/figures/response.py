"""What the weight λ of reconstruction does: margins, accuracy and MSE along it, with bands."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.configurations import NEEDS_PAIR, OBJECTIVES, PRINCIPLES, RECONSTRUCTION_ONLY, ordered
from analysis.factors import PAPER, Factors
from analysis.figures import style
from analysis.intervals import interval
from analysis.measured import Measured, Places
from analysis.trainings import Array, Trainings

_CAPTION = (
    "Change from reconstruction only (λ = 1, star) of the same seed along λ: lines average the "
    "principles, which are marked; bands are 95 % intervals. Hollow at λ = 0, joined to nothing: a "
    "subspace without a loss is an untrained encoder there."
)
_MEAN = "mean"  # in the column `principle`: the line
_SPREAD = 0.018  # of λ, between the principles' marks


def measures(factors: Factors) -> dict[str, str]:
    """Measure → title of its panel."""
    margins = {f"delta_{task}": f"Δ {task}" for task in factors.tasks}
    return {**margins, "mean_overall": "overall accuracy", "mse": "MSE"}


def caption(factors: Factors) -> str:
    return _CAPTION


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a measure, objective, λ and principle (`mean`: all of them): change, low, high."""
    measured = Measured.of(trainings)
    rows = []
    for (objective, lam), group in _cells(measured).groupby(["objective", "lam"], sort=False):
        lines = {_MEAN: group.index, **{p: rows.index for p, rows in group.groupby("principle")}}
        for measure in measures(trainings.factors):
            for principle, places in lines.items():
                change = _change(measured, measure, np.asarray(places))
                rows.append((measure, objective, lam, principle, *change))
    columns = ["measure", "objective", "lam", "principle", "change", "low", "high", "seeds"]
    table = pd.DataFrame(rows, columns=columns)
    if not (table["seeds"] > 0).any():
        raise ValueError(f"The response to λ {NEEDS_PAIR}")
    return table[(table["seeds"] > 0) & ~((table["measure"] == "mse") & (table["lam"] == 0))]


def _cells(measured: Measured) -> pd.DataFrame:
    """The configurations with λ < 1 that have a finished run."""
    points = measured.points[np.asarray(measured.there.any(axis=0))]
    return points.loc[(points["kind"] == "multiview") & (points["lam"] < 1)]


def _change(measured: Measured, measure: str, places: Places) -> tuple[float, float, float, int]:
    if not measured.seeds_of(RECONSTRUCTION_ONLY).any():
        return math.nan, math.nan, math.nan, 0
    reference = measured.places(RECONSTRUCTION_ONLY)
    if measure == "mse":
        values: Array = (measured.mse[:, places] - measured.mse[:, reference])[:, None]
    else:
        values = measured.change(measure, places)
    found = interval(values.mean(axis=-1))
    return found.mean, found.low, found.high, found.seeds


def note(table: pd.DataFrame) -> str:
    return ""


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """Two columns wide: the measures side by side."""
    titles = measures(factors)
    with style.paper():
        figure = style.canvas(style.DOUBLE, 2.2, foot)
        panels = figure.subplots(1, len(titles))
        for axes, (measure, title) in zip(panels, titles.items(), strict=True):
            _panel(axes, table[table["measure"] == measure])
            axes.set(title=title, xlabel="λ")
        panels[0].set_ylabel("change from λ = 1")
        style.legend_row(figure, _keys(table))
    return figure


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    axes.axhline(0, color="0.25", linewidth=0.7, zorder=1)
    for objective in ordered(table["objective"], OBJECTIVES):
        _objective(axes, table[table["objective"] == objective], style.COLOURS[objective])
    style.star(axes, pd.Series([1.0]), pd.Series([0.0]), 55)
    lambdas = sorted({*table["lam"], 1.0})
    axes.set_xticks(lambdas, [f"{lam:g}" for lam in lambdas])
    axes.margins(x=0.07)


def _objective(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    mean = table[table["principle"] == _MEAN].sort_values("lam")
    trained = mean[mean["lam"] > 0]
    end = pd.DataFrame({"lam": [1.0], "change": [0.0], "low": [0.0], "high": [0.0]})
    line = pd.concat([trained[list(end)], end])
    axes.fill_between(line["lam"], line["low"], line["high"], color=colour, alpha=0.2, linewidth=0)
    axes.plot(line["lam"], line["change"], color=colour, linewidth=1.3, zorder=3)
    untrained = mean[mean["lam"] == 0]
    bars = np.abs(untrained[["low", "high"]].to_numpy().T - untrained["change"].to_numpy())
    axes.errorbar(untrained["lam"], untrained["change"], bars, fmt="_", color=colour, markersize=7,
                  elinewidth=1, markeredgewidth=1.3, zorder=3)  # fmt: skip
    marks = style.markers(table.loc[table["principle"] != _MEAN, "principle"])
    offsets = _SPREAD * (np.arange(len(marks)) - (len(marks) - 1) / 2)
    for (principle, marker), offset in zip(marks.items(), offsets, strict=True):
        rows = table[table["principle"] == principle]
        axes.scatter(rows["lam"] + offset, rows["change"], 9, "none", marker=marker,
                     edgecolors=colour, linewidths=0.5, zorder=2)  # fmt: skip


def _keys(table: pd.DataFrame) -> list[Line2D]:
    objectives = ordered(table["objective"], OBJECTIVES)
    principles = ordered(table.loc[table["principle"] != _MEAN, "principle"], PRINCIPLES)
    keys = [style.key(name, "s", style.COLOURS[name]) for name in objectives]
    keys += [style.key(n, m, "white") for n, m in style.markers(principles).items()]
    return [*keys, style.key(RECONSTRUCTION_ONLY, "*", style.INK, area=60)]
