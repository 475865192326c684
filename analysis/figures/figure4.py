"""Figure 4: subspace accuracy relative to reconstruction only, by objective and weight of L_dis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.configurations import NEEDS_PAIR, OBJECTIVES, ordered
from analysis.effects import BAR, MEAN, panels, subspace_effects
from analysis.factors import PAPER, SYMBOLS, Factors
from analysis.figures import style
from analysis.trainings import UNTRAINED, Trainings


def caption(factors: Factors) -> str:
    told = ", ".join(
        f"{letter} {task} from {SYMBOLS[subspace]}"
        for letter, (task, subspace) in panels(factors).items()
    )
    return (
        "Figure 4. Δ subspace accuracy relative to reconstruction only (λ = 1) of the same seed: "
        f"{told}. Bars "
        "are averaged over principles, which are marked on them; light to dark with a growing "
        f"weight 1 − λ of L_dis; lines, with several seeds: 95 % intervals. {UNTRAINED}"
    )


def data(trainings: Trainings) -> pd.DataFrame:
    """See `subspace_effects`. ValueError where no bar has a finished run to be compared with."""
    table = subspace_effects(trainings)
    if not table["principles"].any():
        raise ValueError(f"Figure 4 {NEEDS_PAIR}")
    return table


def note(table: pd.DataFrame) -> str:
    """What the bars average, and which are incomplete."""
    bars = table[(table["principle"] == MEAN) & (table["panel"] == "A")]
    empty, most = int((bars["principles"] == 0).sum()), bars["principles"].max()
    fewer = int(((bars["principles"] > 0) & (bars["principles"] < most)).sum())
    notes = [
        f"{fewer} of {len(bars)} bars (hatched) lack a principle." if fewer else "",
        f"{empty} of {len(bars)} bars (×) have no finished run." if empty else "",
        "" if bars["seeds"].any() else "No seed has all principles of a bar: no interval.",
    ]
    return " ".join(filter(None, notes))


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """Two columns wide: a row a task, instrument above pitch, z_p left of z_s, one axis."""
    named = panels(factors)
    rows = len(factors.tasks)
    with style.paper():
        figure = style.canvas(style.DOUBLE, 0.5 + 1.6 * rows, foot)
        grid = figure.subplots(rows, 2, sharex=True, sharey=True)
        for axes, (panel, (task, subspace)) in zip(grid.flat, named.items(), strict=True):
            _draw_panel(axes, table[table["panel"] == panel])
            axes.set_title(f"$\\bf{{{panel}}}$   {task} from ${SYMBOLS[subspace]}$")
        for axes in grid[:, 0]:
            axes.set_ylabel("Δ accuracy")
        _legend(figure, table)
    return figure


def _draw_panel(axes: Axes, table: pd.DataFrame) -> None:
    bars = placed(table[table["principle"] == MEAN])
    _draw_bars(axes, bars)
    _draw_principles(axes, table[table["principle"] != MEAN], bars)
    axes.axhline(0, color="0.25", linewidth=0.7)
    groups = bars.groupby("objective", sort=False)["place"].mean()
    axes.set_xticks(groups.to_numpy(), list(groups.index))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")


def placed(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars with their place on x and their colour: λ falls from left to right."""
    placed = []
    start = 0.0
    for objective in ordered(bars["objective"], OBJECTIVES):
        group = bars[bars["objective"] == objective].sort_values("lam", ascending=False)
        colour = style.tints(objective, len(group))
        placed.append(group.assign(place=start + np.arange(len(group)), colour=colour))
        start += len(group) + 1
    return pd.concat(placed, ignore_index=True)


def _draw_bars(axes: Axes, bars: pd.DataFrame) -> None:
    fewer = bars["principles"] < bars["principles"].max()
    hatches = ["////" if few else "" for few in fewer]
    axes.bar(
        bars["place"], bars["delta"].fillna(0), width=0.92, color=bars["colour"], hatch=hatches,
        edgecolor="white", linewidth=0.3,
    )  # fmt: skip
    beside = bars.assign(place=bars["place"] + 0.34)  # of the principles' marks
    style.error_bars(axes, beside, "place", "delta", colour="0.35")
    empty = bars[bars["principles"] == 0]
    axes.scatter(empty["place"], 0 * empty["place"], marker="x", s=12, c=style.GREY, linewidths=0.8)


def _draw_principles(axes: Axes, by_principle: pd.DataFrame, bars: pd.DataFrame) -> None:
    """One small mark a principle, side by side on its bar."""
    marks = style.markers(by_principle["principle"])
    offsets = dict(zip(marks, np.linspace(-0.32, 0.12, len(marks)), strict=True))
    placed = by_principle.merge(bars[[*BAR, "place"]], on=BAR)
    for principle, marker in marks.items():
        rows = placed[placed["principle"] == principle]
        axes.scatter(
            rows["place"] + offsets[principle], rows["delta"], marker=marker, s=5,
            c="white", edgecolors=style.INK, linewidths=0.4, zorder=3,
        )  # fmt: skip


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    """One line: the weights light to dark, then the principles."""
    lambdas = sorted(table["lam"].unique(), reverse=True)
    shades = zip(lambdas, style.tints("grey", len(lambdas)), strict=True)
    weights = [Patch(color=shade, label=f"{1 - lam:.2g}") for lam, shade in shades]
    marks = style.markers(table.loc[table["principle"] != MEAN, "principle"])
    principles = [style.key(name, mark, "white", 12.25) for name, mark in marks.items()]
    title = style.key("weight of $L_{dis}$, 1 − λ:")
    handles = [title, *weights, style.key(""), *principles]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=0.9
    )
