"""The grid as a matrix: a row for a principle and objective, a column for λ, a mark a seed."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.places import fits, name_of_place, places_of, whole_places
from sweeper.console.listing import Fitting
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
    axes = [name for name in ("kind", "principle", "objective", "lam", "point") if name in cells]
    points = cells.groupby(axes, dropna=False)
    return bool((points.size() <= FEW).any())


def _legend(states: pd.Series) -> Text:
    """What the marks that are shown mean, in the order of MEANINGS."""
    shown = {LOOKS.get(state, UNEXPECTED)[0] for state in states}
    words = [f"{mark} {meaning}" for mark, meaning in MEANINGS.items() if mark in shown]
    return Text(" " + "  ".join(words), style="dim")


def _table(grid: pd.DataFrame) -> Fitting:
    """Where a terminal is narrow the columns come closer, and labels have several lines."""
    lambdas = sorted(grid["lam"].unique())
    tables = [
        Table(box=None, padding=padding, header_style="dim") for padding in ((0, 1), (0, 0, 0, 1))
    ]
    for table in tables:
        table.add_column("λ", overflow="fold")
        for lam in lambdas:
            table.add_column(f"{lam:g}", justify="center", no_wrap=True)
    for (principle, objective), pair in grid.groupby(["principle", "objective"], sort=False):
        for name, row in _rows(pair):
            marks = [_marks(row.loc[row["lam"] == lam, "state"]) for lam in lambdas]
            label = Text(printable(f"{principle} {objective} {name}".strip()))
            for table in tables:
                table.add_row(label, *marks)
    return Fitting(tables)


def _rows(pair: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The cells of a principle and objective, for each place on the grid's further axes.

    A cell in which an axis plays no part, as at λ = 1, stands in the row of every value.
    """
    places = places_of(pair)
    wholes = list(whole_places(places)) or [{}]
    for whole in wholes:
        yield name_of_place(whole), pair[[fits(place, whole) for place in places]]


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
