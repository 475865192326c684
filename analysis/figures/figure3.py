"""Figure 3: the margins against each other, instrument's against pitch's: every configuration."""

from __future__ import annotations

import itertools
import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.configurations import IDENTITY, multiview, reconstruction_only
from analysis.estimates import configurations, with_edges
from analysis.factors import OTHER, PAPER, PRIVATE, SHARED, SYMBOLS, Factors, tasks_of
from analysis.figures import outliers, style
from analysis.selection import select
from analysis.trainings import UNTRAINED, Trainings

_POINTS2 = (8.0, 95.0)  # areas for the lowest and the highest mean overall accuracy
_ABREAST = 3  # panels in a row
_RING = 130.0  # points² more than the point inside


def caption(factors: Factors) -> str:
    margins = ", ".join(f"Δ {task} = {_difference(factors, task)}" for task in factors.tasks)
    count = {2: "two", 3: "three", 4: "four"}.get(len(factors.tasks), str(len(factors.tasks)))
    return (
        f"Figure 3. Disentanglement margins, one point a configuration: {margins}. Area is the "
        f"overall accuracy (z_p ⊕ z_s), mean of the {count} tasks. Both margins are positive in "
        f"the shaded quadrant. Bars, with several seeds: 95 % intervals. {UNTRAINED}"
    )


def _difference(factors: Factors, task: str, mathematics: str = "") -> str:
    """`acc(z_p) − acc(z_s)`: from the subspace that should hold a task, less from the other."""
    held = factors.held_by[task]
    return " − ".join(
        f"acc({mathematics}{SYMBOLS[subspace]}{mathematics})" for subspace in (held, OTHER[held])
    )


def panels(factors: Factors) -> list[tuple[str, str]]:
    """The tasks on x and on y: each private one against each shared one; else all pairs."""
    of = {side: [t for t in factors.tasks if factors.held_by[t] == side] for side in OTHER}
    pairs = list(itertools.product(of[PRIVATE], of[SHARED]))
    return pairs or list(itertools.combinations(factors.tasks, 2))


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a configuration: the margins, mean overall accuracy, their intervals, `chosen`."""
    table = configurations(trainings)
    points = table[table["kind"] == "multiview"].reset_index(drop=True)
    if points.empty:
        raise ValueError("Figure 3 has no finished run to draw; go on with `sweeper resume`")
    selection = select(table)
    kept = points[
        ["name", *IDENTITY, "seeds", *with_edges([*trainings.factors.margins, "mean_overall"])]
    ]
    return kept.assign(chosen=kept["name"] == (selection.name if selection else None))


def note(table: pd.DataFrame) -> str:
    """Which configuration the ring marks, and what is moved."""
    ringed = table.loc[table["chosen"], "name"]
    ring = f"Ring: {ringed.iloc[0]} (Table 1)." if len(ringed) else ""
    return f"{ring} {outliers.note(_clipped(table))}".strip()


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """A panel one column wide, several two; small points lie on large ones."""
    pairs = panels(factors)
    columns = min(len(pairs), _ABREAST)
    rows = math.ceil(len(pairs) / columns)
    with style.paper():
        width = style.SINGLE if len(pairs) == 1 else style.DOUBLE
        height = width / columns * rows + 0.35 if len(pairs) > 1 else 3.75
        figure = style.canvas(width, height, foot)
        grid = figure.subplots(rows, columns, squeeze=False)
        points = _clipped(table)
        areas = _areas(points)
        for axes, pair in itertools.zip_longest(grid.flat, pairs):
            if pair is None:
                axes.set_axis_off()
                continue
            _points(axes, points, areas, pair)
            _quadrant(axes)
            for axis, task in zip((axes.xaxis, axes.yaxis), pair, strict=True):
                style.end_ticks(axis, points, f"delta_{task}")
            labels = [f"Δ {task} = {_difference(factors, task, '$')}" for task in pair]
            axes.set(xlabel=labels[0], ylabel=labels[1])
        style.legend(figure, [*style.names_of(multiview(points)), ("Overall acc.", _keys(areas))])
    return figure


def _clipped(table: pd.DataFrame) -> pd.DataFrame:
    """The points as they are drawn: those far out at the edge."""
    for task in tasks_of(table):
        table = outliers.clip_outliers(table, f"delta_{task}")
    return table.assign(mean_overall=outliers.clip(table["mean_overall"]))


def _points(axes: Axes, table: pd.DataFrame, areas: style.Areas, pair: tuple[str, str]) -> None:
    x, y = (f"delta_{task}" for task in pair)
    star, ringed = reconstruction_only(table), table[table["chosen"]]
    small_on_top = multiview(table).sort_values("mean_overall", ascending=False, kind="stable")
    style.error_bars(axes, table, x, y)
    style.scatter(axes, small_on_top, x, y, areas)
    style.star(axes, star[x], star[y], 1.8 * areas.of(star["mean_overall"]))
    style.ring(axes, ringed[x], ringed[y], _RING + areas.of(ringed["mean_overall"]))
    style.arrows(axes, table, x, y)


def _quadrant(axes: Axes) -> None:
    """Zero lines, and a shade where both margins are positive."""
    axes.margins(0.08)
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    axes.axhline(0, color="0.35", linewidth=0.7, zorder=0.7)
    axes.axvline(0, color="0.35", linewidth=0.7, zorder=0.7)
    axes.add_patch(Rectangle((0, 0), right, top, color="0.955", linewidth=0, zorder=0.1))
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())


def _areas(table: pd.DataFrame) -> style.Areas:
    """By overall accuracy; the smallest and the largest area differ even when all are equal."""
    low, high = float(table["mean_overall"].min()), float(table["mean_overall"].max())
    values = (low, high) if high - low > 0.02 else (low - 0.01, high + 0.01)
    return style.Areas("mean_overall", values, _POINTS2)


def _keys(areas: style.Areas) -> list[Line2D]:
    low, high = areas.values
    round_values = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return areas.keys({f"{value:.2f}": value for value in round_values if low <= value <= high})
