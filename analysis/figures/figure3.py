"""Figure 3: the margin on instrument against the margin on pitch, every configuration."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.configurations import IDENTITY, multiview, reconstruction_only
from analysis.estimates import configurations, with_edges
from analysis.figures import outliers, style
from analysis.results import MARGINS
from analysis.selection import select
from analysis.trainings import UNTRAINED, Trainings

CAPTION = (
    "Figure 3. Disentanglement margins, one point a configuration: Δ pitch = "
    "acc(z_p) − acc(z_s), Δ instrument = acc(z_s) − acc(z_p). Area is the overall accuracy "
    "(z_p ⊕ z_s), mean of the two tasks. Both margins are positive in the shaded quadrant. "
    f"Bars, with several seeds: 95 % intervals. {UNTRAINED}"
)
_POINTS2 = (8.0, 95.0)  # areas for the lowest and the highest mean overall accuracy
_RING = 130.0  # points² more than the point inside


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a configuration: both margins, mean overall accuracy, their intervals, `chosen`."""
    table = configurations(trainings)
    points = table[table["kind"] == "multiview"].reset_index(drop=True)
    if points.empty:
        raise ValueError("Figure 3 has no finished run to draw; go on with `sweeper resume`")
    selection = select(table)
    kept = points[["name", *IDENTITY, "seeds", *with_edges([*MARGINS, "mean_overall"])]]
    return kept.assign(chosen=kept["name"] == (selection.name if selection else None))


def note(table: pd.DataFrame) -> str:
    """Which configuration the ring marks, and what is moved."""
    ringed = table.loc[table["chosen"], "name"]
    ring = f"Ring: {ringed.iloc[0]} (Table 1)." if len(ringed) else ""
    return f"{ring} {outliers.note(_clipped(table))}".strip()


def draw(table: pd.DataFrame, foot: str) -> Figure:
    """One column wide; small points lie on large ones."""
    with style.paper():
        figure = style.canvas(style.SINGLE, 3.75, foot)
        axes = figure.subplots()
        points = _clipped(table)
        areas = _areas(points)
        _points(axes, points, areas)
        _quadrant(axes)
        axes.set_xlabel("Δ pitch = acc($z_p$) − acc($z_s$)")
        axes.set_ylabel("Δ instrument = acc($z_s$) − acc($z_p$)")
        style.legend(figure, [*style.names_of(multiview(points)), ("Overall acc.", _keys(areas))])
    return figure


def _clipped(table: pd.DataFrame) -> pd.DataFrame:
    """The points as they are drawn: those far out at the edge."""
    for margin in MARGINS:
        table = outliers.clip_outliers(table, margin)
    return table.assign(mean_overall=outliers.clip(table["mean_overall"]))


def _points(axes: Axes, table: pd.DataFrame, areas: style.Areas) -> None:
    x, y = MARGINS
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
    return areas.keys({f"{value:.3g}": value for value in round_values if low <= value <= high})
