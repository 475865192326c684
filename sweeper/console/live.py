"""What a user watches: a bar while data is made, the grid as a matrix while a sweep trains.

On a terminal both are redrawn in place; elsewhere (a log file, CI) they are plain lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sweeper.study.config import RunConfig
from sweeper.study.plan import cost

Event = dict[str, Any]
STYLES = {
    "finished": "green",
    "running": "yellow",
    "diverged": "magenta",
    "failed": "red",
    "out-of-memory": "red",
    "infrastructure": "red",
    "interrupted": "cyan",
    "unknown": "cyan",
    "pending": "dim",
}
MARKS = {
    "finished": "●",
    "running": "◐",
    "diverged": "✕",
    "failed": "✕",
    "out-of-memory": "✕",
    "infrastructure": "✕",
    "interrupted": "◌",
    "unknown": "?",
    "pending": "·",
}


@contextmanager
def data_progress(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """A callback `progress(done, total, what)` shown as a bar with an ETA, or as plain lines."""
    if not console.is_terminal:
        yield _PlainProgress(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield progress


class _PlainProgress:
    """At most one line every ten seconds, and one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        if done >= total or time.monotonic() - self._last > 10:
            self._last = time.monotonic()
            self._console.print(f"{what}: {done}/{total}", markup=False)


@contextmanager
def sweep_view(
    console: Console, cells: pd.DataFrame, missing: Sequence[RunConfig]
) -> Iterator[Callable[[Event], None]]:
    """An observer of the driver's events that shows how the sweep stands."""
    state = SweepState(cells, missing)
    if not console.is_terminal:
        yield _PlainView(console, state)
        return
    with Live(get_renderable=state.render, console=console, refresh_per_second=4, transient=True):
        yield state


class SweepState:
    """Cell states and pack progress, updated by events and drawn as a matrix."""

    def __init__(self, cells: pd.DataFrame, missing: Sequence[RunConfig]) -> None:
        self._cells = cells.copy()
        missing_keys = {run.key for run in missing}
        self._cells.loc[self._cells["run_key"].isin(missing_keys), "state"] = "pending"
        self._cost = {run.key: cost(run) for run in missing}
        self._packs: dict[str, Event] = {}
        self._done: set[str] = set()
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            pack = event.get("pack")
            if event["event"] == "started":
                self._packs[event["pack"]] = event
                self._mark(event["runs"], "running")
            elif event["event"] == "progress" and pack in self._packs:
                self._packs[event["pack"]].update(event)
            elif event["event"] == "results":
                for result in event["results"]:
                    self._mark([result["key"]], result["state"])
                self._done |= {result["key"] for result in event["results"]}
            if "state" in event:  # a pack broke off: what became of the runs it leaves
                self._mark(event["runs"], event["state"])
            if event["event"] in ("ended", "lost"):
                self._packs.pop(str(pack), None)

    def _mark(self, keys: Sequence[str], state: str) -> None:
        self._cells.loc[self._cells["run_key"].isin(keys), "state"] = state

    @property
    def share(self) -> float:
        """Done share of the work of this launch, 0 to 1."""
        total = sum(self._cost.values()) or 1.0
        done = sum(self._cost.get(key, 0.0) for key in self._done)
        for pack in self._packs.values():
            open_runs = (key for key in pack["runs"] if key not in self._done)
            work = sum(self._cost.get(key, 0.0) for key in open_runs)
            done += work * pack.get("share", 0.0)
        return float(min(1.0, done / total))

    @property
    def line(self) -> str:
        """One line: cells by state, share of the work, time left."""
        counts = self._cells["state"].value_counts()
        cells = ", ".join(f"{n} {state}" for state, n in counts.items())
        return f"{cells} · {self.share:.0%} of the work · {self._eta()}"

    def _eta(self) -> str:
        elapsed = time.monotonic() - self._started
        if self.share < 0.03:
            return "starting" if not self._packs else "measuring the pace"
        left = int(elapsed / self.share * (1 - self.share))
        return f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"

    def render(self) -> RenderableType:
        with self._lock:
            return Group(matrix(self._cells), *self._pack_lines(), Text(self.line, style="bold"))

    def _pack_lines(self) -> list[Text]:
        return [
            Text(f"pack {name[-3:]}: {len(pack['runs'])} runs, {_stage(pack)}", style="dim")
            for name, pack in self._packs.items()
        ]


def _stage(pack: Event) -> str:
    if "stage" not in pack:
        return "loading"
    return f"{pack['stage']} {pack['done']}/{pack['total']}"


class _PlainView:
    """Lines for a log: when a pack ends, and every half minute."""

    def __init__(self, console: Console, state: SweepState) -> None:
        self._console = console
        self._state = state
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._state(event)
        ended = event["event"] in ("results", "lost", "interrupted")
        if ended or time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            self._console.print(self._state.line, markup=False)


def matrix(cells: pd.DataFrame) -> RenderableType:
    """The grid: a row for a principle and objective, a column for λ, a mark for every seed.

    Baselines, which have no λ, stand in a line below.
    """
    grid = cells[cells["kind"] == "multiview"]
    baselines = cells[cells["kind"] != "multiview"]
    return Group(
        *([_table(grid)] if len(grid) else []),
        *([_line(baselines)] if len(baselines) else []),
    )


def _table(grid: pd.DataFrame) -> Table:
    lambdas = sorted(grid["lam"].unique())
    table = Table("λ", box=None, padding=(0, 1), header_style="dim")
    for lam in lambdas:
        table.add_column(f"{lam:g}", justify="center")
    for (principle, objective), row in grid.groupby(["principle", "objective"], sort=False):
        marks = [_marks(row.loc[row["lam"] == lam, "state"]) for lam in lambdas]
        table.add_row(f"{principle} {objective}", *marks)
    return table


def _line(baselines: pd.DataFrame) -> Text:
    line = Text(" ")
    for kind, row in baselines.groupby("kind", sort=False):
        line.append(f"{kind} ").append(_marks(row["state"])).append("   ")
    return line


def _marks(states: pd.Series) -> Text:
    """A mark a seed; counts when there are more seeds than fit."""
    if len(states) > 5:
        finished = int((states == "finished").sum())
        return Text(f"{finished}/{len(states)}", style=STYLES.get(states.mode()[0], ""))
    return Text("").join(Text(MARKS.get(s, "?"), style=STYLES.get(s, "")) for s in states)
