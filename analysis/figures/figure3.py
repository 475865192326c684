"""Figure 3: the margin on instrument against the margin on pitch, every configuration."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.configurations import (
    IDENTITY,
    configurations,
    multiview,
    reconstruction_only,
    seeds_note,
)
from analysis.figures import outliers as scale
from analysis.figures import style
from analysis.selection import choose

_AREAS = (8.0, 95.0)  # points², for the lowest and the highest mean overall accuracy
_RING = 130.0  # points² more than the point inside
_MEASURES = ("delta_pitch", "delta_instrument", "mean_overall")


def data(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a configuration: both margins, mean overall accuracy, their sd, `chosen`."""
    table = configurations(frame)
    points = table[table["kind"] == "multiview"].reset_index(drop=True)
    if points.empty:
        raise ValueError("Figure 3 has no finished run to draw; go on with `sweeper resume`")
    chosen = choose(table)
    measures = [column for name in _MEASURES for column in (name, f"{name}_sd")]
    kept = points[["name", *IDENTITY, "seeds", *measures]]
    return kept.assign(chosen=kept["name"] == (chosen.name if chosen else None))


def note(table: pd.DataFrame) -> str:
    """Which configuration the ring marks, what is moved, and what the bars are."""
    ringed = table.loc[table["chosen"], "name"]
    ring = f"Ring: {ringed.iloc[0]} (Table 1). " if len(ringed) else ""
    return ring + scale.note(_held(table)) + seeds_note(table["seeds"])


def caption(table: pd.DataFrame) -> str:
    return (
        "Figure 3. Disentanglement margins, one point a configuration: Δ pitch = "
        "acc(z_p) − acc(z_s), Δ instrument = acc(z_s) − acc(z_p). Area is the overall accuracy "
        "(z_p ⊕ z_s), mean of the two tasks. Both margins are positive in the shaded quadrant. "
        + note(table)
    )


def draw(table: pd.DataFrame, foot: str) -> Figure:
    """One column wide; small points lie on large ones."""
    with style.paper():
        figure = style.canvas(style.SINGLE, 3.75, f"{note(table)} {foot}")
        axes = figure.subplots()
        _points(axes, _held(table))
        _quadrant(axes)
        axes.set_xlabel("Δ pitch = acc($z_p$) − acc($z_s$)")
        axes.set_ylabel("Δ instrument = acc($z_s$) − acc($z_p$)")
        _legend(figure, _held(table))
    return figure


def _held(table: pd.DataFrame) -> pd.DataFrame:
    """The points as they are drawn: those far out at the edge."""
    held = scale.hold(scale.hold(table, "delta_pitch"), "delta_instrument")
    return held.assign(mean_overall=scale.clip(table["mean_overall"]))


def _points(axes: Axes, table: pd.DataFrame) -> None:
    x, y = "delta_pitch", "delta_instrument"
    star, ringed = reconstruction_only(table), table[table["chosen"]]
    small_on_top = multiview(table).sort_values("mean_overall", ascending=False, kind="stable")
    style.error_bars(axes, table, x, y)
    style.scatter(axes, small_on_top, x, y, ("mean_overall", _AREAS, _range(table)))
    axes.scatter(star[x], star[y], s=1.8 * _areas(star, table), **style.STAR)
    axes.scatter(ringed[x], ringed[y], s=_RING + _areas(ringed, table), **style.RING)
    style.arrows(axes, table, x, y)


def _quadrant(axes: Axes) -> None:
    """Zero lines, and a shade where both margins are positive."""
    axes.margins(0.08)
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    axes.axhline(0, color="0.35", linewidth=0.7, zorder=0.7)
    axes.axvline(0, color="0.35", linewidth=0.7, zorder=0.7)
    axes.add_patch(Rectangle((0, 0), right, top, color="0.955", linewidth=0, zorder=0.1))
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())


def _range(table: pd.DataFrame) -> tuple[float, float]:
    """Accuracies of the smallest and the largest area, apart even when all are equal."""
    low, high = float(table["mean_overall"].min()), float(table["mean_overall"].max())
    return (low, high) if high - low > 0.02 else (low - 0.01, high + 0.01)


def _areas(rows: pd.DataFrame, table: pd.DataFrame) -> pd.Series[float]:
    low, high = _range(table)
    share = (rows["mean_overall"] - low) / (high - low)
    return _AREAS[0] + share * (_AREAS[1] - _AREAS[0])


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    low, high = _range(table)
    round_values = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    shown = pd.DataFrame({"mean_overall": [v for v in round_values if low <= v <= high]})
    sizes = [
        style.key("o", style.GREY, f"{value:.3g}", area)
        for value, area in zip(shown["mean_overall"], _areas(shown, table), strict=True)
    ]
    style.legend(figure, [*style.names_of(multiview(table)), ("Overall acc.", sizes)])
