"""The front of accuracy and disentanglement, and how surely each configuration is on it."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.configurations import multiview, reconstruction_only
from analysis.factors import PAPER, Factors
from analysis.figures import style
from analysis.pareto import AXES, pareto
from analysis.trainings import Trainings

_FAINT = 0.14  # opacity of a point that never is
_OFTEN = 0.5


def caption(factors: Factors) -> str:
    smallest = "smaller of the two" if len(factors.tasks) == 2 else "smallest of the"
    return (
        f"Accuracy against disentanglement: the {smallest} margins over the change of mean overall "
        "accuracy from reconstruction only (λ = 1, star) of the same seed, 0 < λ ≤ 1. Line: the "
        "front of the means. The darker a point, the more often it is on the front when seeds and "
        "test notes are drawn anew; those on it in half of the draws or more have 95 % intervals."
    )


def data(trainings: Trainings) -> pd.DataFrame:
    """See `pareto`."""
    return pareto(trainings)


def note(table: pd.DataFrame) -> str:
    return ""


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """One column wide."""
    with style.paper():
        figure = style.canvas(style.SINGLE, 3.3, foot)
        axes = figure.subplots()
        _front(axes, table[table["front"]])
        _points(axes, table)
        axes.axhline(0, color="0.35", linewidth=0.7, zorder=0.7)
        axes.axvline(0, color="0.35", linewidth=0.7, zorder=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("change of mean overall accuracy from λ = 1")
        axes.set_ylabel(f"min({', '.join(f'Δ {task}' for task in factors.tasks)})")
        style.legend(figure, [*style.names_of(multiview(table)), ("On the front", _keys())])
    return figure


def _front(axes: Axes, front: pd.DataFrame) -> None:
    """A staircase: what lies below and left of it is beaten."""
    rows = front.sort_values(AXES[0])
    axes.step(rows[AXES[0]], rows[AXES[1]], where="pre", color=style.INK, linewidth=1, zorder=1.6)


def _points(axes: Axes, table: pd.DataFrame) -> None:
    x, y = AXES
    marks = style.markers(multiview(table)["principle"])
    often = table["membership"] >= _OFTEN
    for _, row in multiview(table[often]).dropna(subset=[f"{x}_low"]).iterrows():
        axes.plot([row[f"{x}_low"], row[f"{x}_high"]], [row[y], row[y]], color="0.75", zorder=1.5)
        axes.plot([row[x], row[x]], [row[f"{y}_low"], row[f"{y}_high"]], color="0.75", zorder=1.5)
    for _, row in multiview(table).sort_values("membership").iterrows():
        axes.scatter(
            row[x], row[y], 24, style.COLOURS[row["objective"]], marker=marks[row["principle"]],
            alpha=opacity(row["membership"]), linewidths=0, zorder=2 + row["membership"],
        )  # fmt: skip
    star = reconstruction_only(table)
    style.star(axes, star[x], star[y], 70)


def opacity(membership: float) -> float:
    return _FAINT + (1 - _FAINT) * membership


def _keys() -> list[Line2D]:
    shares = (1.0, 0.5, 0.0)
    keys = [style.key(f"{share:.0%} of draws", "o", style.INK) for share in shares]
    for handle, share in zip(keys, shares, strict=True):
        handle.set(alpha=opacity(share), markeredgewidth=0)
    return keys
