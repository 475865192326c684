"""Figure 2: overall accuracy against reconstruction MSE, every configuration, one panel a task."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from analysis.configurations import IDENTITY, multiview, reconstruction_only
from analysis.effects import spearman
from analysis.estimates import configurations, with_edges
from analysis.factors import PAPER, Factors
from analysis.figures import outliers, style
from analysis.trainings import Trainings

_AREAS = style.Areas("weight", values=(0, 1), points2=(7.0, 42.0))  # 1 − λ, of L_dis
_SHORT = {"cl-instrument": "CL-Instr."}
_SHOWN_LAMBDAS = 4
_NAME_HEIGHT = 0.085  # of a panel: two lines' names nearer than this would touch


def caption(factors: Factors) -> str:
    return (
        "Figure 2. Overall downstream accuracy (z_p ⊕ z_s) against reconstruction MSE, one point "
        "a configuration, one panel a task; ρ is Spearman's rank correlation over the points "
        "drawn, means over seeds, reconstruction only counted once (that of the claims is inside a "
        "seed, where chance weakens it). Bars, with several seeds: 95 % intervals."
    )


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a task and configuration or baseline: `accuracy` of z_p ⊕ z_s, `mse`, intervals.

    λ = 0 and the baselines have no MSE. A CL baseline is there for the task of its pairs only.
    """
    table = configurations(trainings)
    if not (table["kind"] == "multiview").any():
        raise ValueError("Figure 2 has no finished run to draw; go on with `sweeper resume`")
    return pd.concat([_of_task(table, task) for task in trainings.factors.tasks], ignore_index=True)


def _of_task(table: pd.DataFrame, task: str) -> pd.DataFrame:
    rows = table[table["kind"].isin(["multiview", "encoder", f"cl-{task}"])]
    named = rows.rename(columns=lambda name: name.replace(f"{task}_overall", "accuracy"))
    columns = ["task", "name", *IDENTITY, "seeds", *with_edges(["mse", "accuracy"])]
    return named.assign(task=task)[columns]


def correlation(table: pd.DataFrame, task: str) -> float:
    """Spearman's ρ over the points of a panel."""
    points = _points(table[table["task"] == task])
    if len(points) < 3:
        return math.nan
    return float(spearman(points["mse"].to_numpy(), points["accuracy"].to_numpy()))


def note(table: pd.DataFrame) -> str:
    """What the figure leaves out or moves."""
    tasks = list(table["task"].unique())
    count = int((multiview(table)["mse"].isna() & (table["task"] == tasks[0])).sum())
    configurations = "configuration" if count == 1 else "configurations"
    omitted = f"λ = 0 has no decoder: {count} {configurations} left out." if count else ""
    clipped = outliers.note(pd.concat([_clipped(table, task) for task in tasks]))
    return f"{omitted} {clipped}".strip()


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """One column wide, the tasks above each other on one MSE axis."""
    with style.paper():
        figure = style.canvas(style.SINGLE, 0.7 + 1.8 * len(factors.tasks), foot)
        panels = figure.subplots(len(factors.tasks), 1, sharex=True)
        for axes, task in zip(panels, factors.tasks, strict=True):
            _panel(axes, _clipped(table, task), task, correlation(table, task))
            _baselines(axes, table[(table["task"] == task) & (table["kind"] != "multiview")])
        _mse_axis(panels[-1], _clipped(table, factors.tasks[0])["mse"])
        _legend(figure, table)
    return figure


def _points(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["kind"] == "multiview") & table["mse"].notna()]


def _clipped(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The points of a panel as they are drawn: those far out at the edge."""
    points = _points(table[table["task"] == task])
    points = outliers.clip_outliers(points, "mse", log=outliers.is_wide(points["mse"]))
    return outliers.clip_outliers(points, "accuracy")


def _panel(axes: Axes, table: pd.DataFrame, task: str, rho: float) -> None:
    points, star = multiview(table), reconstruction_only(table)
    style.error_bars(axes, table, "mse", "accuracy")
    small_on_top = points.assign(weight=1 - points["lam"]).sort_values("lam", kind="stable")
    style.scatter(axes, small_on_top, "mse", "accuracy", _AREAS)
    style.star(axes, star["mse"], star["accuracy"], 70)
    style.arrows(axes, table, "mse", "accuracy")
    shown = "n/a" if math.isnan(rho) else f"{rho:.2f}".replace("-", "−")
    axes.set(title=f"{task.capitalize()}   ρ of the points = {shown}", xlabel="")
    axes.set_ylabel("overall accuracy")


def _baselines(axes: Axes, baselines: pd.DataFrame) -> None:
    """Horizontal lines, named at their right end, the names apart where they would touch."""
    rows = baselines.sort_values("accuracy", kind="stable")
    for kind, accuracy in zip(rows["kind"], rows["accuracy"], strict=True):
        axes.axhline(accuracy, color="0.35", linestyle=":" if kind == "encoder" else "--", zorder=1)
    low, high = axes.get_ylim()
    places = spread(list(rows["accuracy"]), gap=_NAME_HEIGHT * (high - low))
    at_right = axes.get_yaxis_transform()
    for kind, accuracy, place in zip(rows["kind"], rows["accuracy"], places, strict=True):
        name = f"{line_name(kind)} {accuracy:.2f}"
        axes.text(1.02, place, name, transform=at_right, va="center", color=style.INK)


def line_name(kind: str) -> str:
    """`CL-Pitch` of `cl-pitch`, `encoder`."""
    contrastive, _, task = kind.rpartition("-")
    return _SHORT.get(kind) or (f"CL-{task.capitalize()}" if contrastive else kind)


def spread(values: list[float], gap: float) -> list[float]:
    """Two ascending values moved apart to at least `gap`, about their middle."""
    if len(values) < 2 or values[1] - values[0] >= gap:
        return values
    middle = (values[0] + values[1]) / 2
    return [middle - gap / 2, middle + gap / 2]


def _mse_axis(axes: Axes, mse: pd.Series[float]) -> None:
    axes.set_xlabel("reconstruction MSE")
    if outliers.is_wide(mse):
        axes.set(xscale="log", xlabel="reconstruction MSE (log scale)")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(mse.min(), mse.max())))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def log_ticks(low: float, high: float) -> list[float]:
    """Round values about [low, high]: 1, 2, 3, 5 and 7 of each decade, fewer over many decades."""
    decades = math.log10(high / low)
    steps = (1, 2, 3, 5, 7) if decades < 0.9 else (1, 2, 5) if decades < 2 else (1,)
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    return [float(np.round(step * 10.0**e, 12)) for e in exponents for step in steps]


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    points = multiview(_points(table))
    lambdas = sorted(points["lam"].unique(), reverse=True)
    shown = lambdas[:: math.ceil(len(lambdas) / _SHOWN_LAMBDAS) or 1]
    sizes = _AREAS.keys({f"{lam:g}": 1 - lam for lam in shown})
    style.legend(figure, [*style.names_of(points), ("λ", sizes)])
