"""Where the variance of margins and accuracies comes from: the choices, together, the seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from analysis.anova import SOURCES, variance_components
from analysis.factors import PAPER, Factors
from analysis.figures import style
from analysis.measured import Measured
from analysis.trainings import Trainings

_CAPTION = (
    "Where the variance of trainings with 0 < λ < 1 comes from: shares of the components of a "
    "balanced analysis of variance, principle × objective × λ with seeds as blocks, each effect "
    "against its own differences between seeds. Right: standard deviation of a training."
)
# Light and dark in turn, so that neighbours stay apart in grey.
_COLOURS = ("#f0a85c", "#451269", "#9fd3a0", "#a9447e", "#d9cbe6", "#4d4d4d", "#949494")
_SHORT = {"instrument": "inst."}
_NAMED = 0.08  # the smallest share that is written on its bar


def measures(factors: Factors) -> dict[str, str]:
    """Measure → name of its bar."""
    short = {task: _SHORT.get(task, task) for task in factors.tasks}
    margins = {f"delta_{task}": f"Δ {name}" for task, name in short.items()}
    return margins | {f"{task}_overall": f"{name} overall" for task, name in short.items()}


def caption(factors: Factors) -> str:
    return _CAPTION


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a measure and source: variance (in unit²), share, sd of a training."""
    measured = Measured.of(trainings, samples=0)
    try:
        grid = measured.grid(measured.where(), "principle", "objective", "lam")
        whole = np.asarray(measured.there[:, grid.ravel()].all(axis=1))
        tables = {
            name: _components(measured, name, grid, whole) for name in measures(trainings.factors)
        }
    except ValueError as problem:
        raise ValueError(f"The variances cannot be drawn: {problem}") from None
    rows = [
        (measure, source, variance, variance / total if total else np.nan, total**0.5)
        for measure, components in tables.items()
        for total in [sum(components.values())]
        for source, variance in components.items()
    ]
    table = pd.DataFrame(rows, columns=["measure", "source", "variance", "share", "sd"])
    return table.assign(seeds=int(whole.sum()))


def _components(
    measured: Measured, name: str, grid: np.ndarray, seeds: np.ndarray
) -> dict[str, float]:
    values = measured.at(name, grid.ravel())[seeds, 0]
    return variance_components(values.reshape(-1, *grid.shape))


def note(table: pd.DataFrame) -> str:
    """How many seeds have the whole grid."""
    return f"Seeds with the whole grid: {table['seeds'].iloc[0]}."


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """One column wide: one bar a measure, its sources side by side."""
    names = measures(factors)
    with style.paper():
        figure = style.canvas(style.SINGLE, 0.9 + 0.25 * len(names), foot)
        axes = figure.subplots()
        for row, measure in enumerate(names):
            _bar(axes, table[table["measure"] == measure], row)
        axes.text(1.01, -0.45, "sd", va="bottom", color=style.INK)
        axes.set_yticks(range(len(names)), list(names.values()))
        axes.set(xlim=(0, 1), ylim=(len(names) - 0.45, -0.55))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(visible=False)
        axes.tick_params(axis="y", length=0)
        keys = [Patch(color=c, label=name) for name, c in zip(SOURCES, _COLOURS, strict=True)]
        figure.legend(handles=keys, loc="outside upper center", ncols=3, columnspacing=1.1)
    return figure


def _bar(axes: Axes, table: pd.DataFrame, row: int) -> None:
    left = 0.0
    for (_, part), colour in zip(table.iterrows(), _COLOURS, strict=True):
        share = 0.0 if np.isnan(part["share"]) else part["share"]
        axes.barh(row, share, 0.66, left, color=colour, edgecolor="white", linewidth=0.5)
        if share >= _NAMED:
            ink = "white" if style.is_dark(colour) else style.INK
            axes.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", color=ink)
        left += share
    axes.text(1.01, row, f"{table['sd'].iloc[0]:.3f}", va="center", color=style.INK)
