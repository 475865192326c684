"""The grid as a matrix: a row for a principle and objective, a column for λ, a mark a seed."""

from __future__ import annotations

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sweeper.console.words import printable
from sweeper.states import STOPPED, State

# How a cell of each state is drawn.
LOOKS = {
    State.FINISHED: ("●", "green"),
    State.RUNNING: ("◐", "yellow"),
    State.DIVERGED: ("✕", "magenta"),
    State.FAILED: ("✕", "red"),
    State.BLOCKED: ("⊘", "red"),
    **dict.fromkeys(STOPPED, ("◌", "cyan")),
    State.UNKNOWN: ("?", "cyan"),
    State.PENDING: ("·", "dim"),
}
MEANINGS = {
    "●": "done",
    "◐": "training",
    "◌": "stopped",
    "·": "waiting",
    "✕": "failed or diverged",
    "⊘": "blocked",
    "?": "nobody knows",
}
FEW = 5  # seeds whose marks fit beside each other
UNEXPECTED = ("?", "")


def matrix(cells: pd.DataFrame) -> RenderableType:
    """The grid: a row for a principle and objective, a column for λ, a mark for every seed.

    Baselines, which have no λ, stand in a line below, and what the marks mean in another.
    """
    grid = cells[cells["kind"] == "multiview"]
    baselines = cells[cells["kind"] != "multiview"]
    return Group(
        *([_table(grid)] if len(grid) else []),
        *([_line(baselines)] if len(baselines) else []),
        *([_legend(cells["state"])] if _has_marks(cells) else []),
    )


def _has_marks(cells: pd.DataFrame) -> bool:
    points = cells.groupby(["kind", "principle", "objective", "lam"], dropna=False)
    return bool((points.size() <= FEW).any())


def _legend(states: pd.Series) -> Text:
    """What the marks that are shown mean, in the order of MEANINGS."""
    shown = {LOOKS.get(state, UNEXPECTED)[0] for state in states}
    words = [f"{mark} {meaning}" for mark, meaning in MEANINGS.items() if mark in shown]
    return Text(" " + "  ".join(words), style="dim")


def _table(grid: pd.DataFrame) -> Table:
    lambdas = sorted(grid["lam"].unique())
    table = Table("λ", box=None, padding=(0, 1), header_style="dim")
    for lam in lambdas:
        table.add_column(f"{lam:g}", justify="center")
    for (principle, objective), row in grid.groupby(["principle", "objective"], sort=False):
        marks = [_marks(row.loc[row["lam"] == lam, "state"]) for lam in lambdas]
        table.add_row(Text(printable(f"{principle} {objective}")), *marks)
    return table


def _line(baselines: pd.DataFrame) -> Text:
    line = Text(" ")
    for kind, row in baselines.groupby("kind", sort=False):
        line.append(printable(f"{kind} ")).append(_marks(row["state"])).append("   ")
    return line


def _marks(states: pd.Series) -> Text:
    """A mark a seed; counts when there are more seeds than fit."""
    if len(states) > FEW:
        finished = int((states == State.FINISHED).sum())
        return Text(f"{finished}/{len(states)}", style=LOOKS.get(states.mode()[0], UNEXPECTED)[1])
    return Text("").join(Text(*LOOKS.get(state, UNEXPECTED)) for state in states)
