"""What a user watches while a sweep trains: the grid, the packs at work, the time left.

On a terminal it is redrawn in place; elsewhere (a log file, CI) there are plain lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sweeper.console.matrix import matrix
from sweeper.console.progress import data_progress
from sweeper.console.words import clock, counted, printable
from sweeper.events import Closed, Ended, Event, Interrupted, Lost, Progress, Results, Started
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.plan import cost

STOPPING = "stopping: packs save themselves"
ENOUGH = 0.03  # of the work, timed, to tell how long the rest will take


class ConsoleWatcher:
    """The `sweeper.sweep.Watcher` of the command line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def data(self) -> AbstractContextManager[Callable[[int, int, str], None]]:
        return data_progress(self._console)

    def sweep(
        self, cells: pd.DataFrame, missing: Sequence[RunConfig]
    ) -> AbstractContextManager[Callable[[Event], None]]:
        return sweep_view(self._console, cells, missing)

    def notify(self, line: str) -> None:
        self._console.print(printable(line), markup=False)


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


@dataclass
class _OpenPack:
    """A pack in a worker's hands."""

    runs: Sequence[str]  # keys
    progress: Progress | None = None

    def __str__(self) -> str:
        at = self.progress
        return "loading" if at is None else f"{at.stage} {at.done}/{at.total}"


class SweepState:
    """Cell states and pack progress, updated by events and drawn as a matrix."""

    def __init__(self, cells: pd.DataFrame, missing: Sequence[RunConfig]) -> None:
        self._cells = cells.copy()
        self._mark([run.key for run in missing], State.PENDING)
        self._cost = {run.key: cost(run) for run in missing}
        self._packs: dict[str, _OpenPack] = {}
        self._done: set[str] = set()
        self._began: float | None = None  # when a pack first told of its training
        self._unseen = 0.0  # share of the work before that, which nobody has timed
        self._late: set[str] = set()  # packs then at work that were yet to tell
        self.is_stopping = False
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case Started():
                    self._packs[event.pack] = _OpenPack(event.runs)
                    self._mark(event.runs, State.RUNNING)
                case Progress() if event.pack in self._packs:
                    self._progressed(self._packs[event.pack], event)
                case Interrupted():
                    self.is_stopping = True
                case Results():
                    for result in event.results:
                        self._mark([result.key], result.state)
                    self._done |= {result.key for result in event.results}
                case Closed():
                    self._mark(event.runs, State.PENDING if event.again else event.state)
                case Ended() | Lost():
                    self._packs.pop(event.pack, None)

    def _progressed(self, pack: _OpenPack, event: Progress) -> None:
        before, pack.progress = self.share, event
        if self._began is None:
            self._began, self._unseen = time.monotonic(), self.share
            self._late = set(self._packs)
        elif event.pack in self._late:
            self._unseen += self.share - before
        self._late.discard(event.pack)

    def _mark(self, keys: Sequence[str], state: State) -> None:
        self._cells.loc[self._cells["run_key"].isin(keys), "state"] = str(state)

    @property
    def share(self) -> float:
        """Done share of the work of this launch, 0 to 1."""
        total = sum(self._cost.values()) or 1.0
        done = sum(self._cost.get(key, 0.0) for key in self._done)
        for pack in self._packs.values():
            open_runs = (key for key in pack.runs if key not in self._done)
            work = sum(self._cost.get(key, 0.0) for key in open_runs)
            done += work * (pack.progress.share if pack.progress else 0.0)
        return float(min(1.0, done / total))

    @property
    def line(self) -> str:
        """One line: cells by state, share of the work, time left."""
        counts = self._cells["state"].value_counts()
        cells = ", ".join(f"{n} {state}" for state, n in counts.items())
        if self.is_stopping:
            return f"{cells} · {STOPPING}"
        return f"{cells} · {self.share:.0%} of the work · {self._eta()}"

    def _eta(self) -> str:
        if self.share == 1:
            return f"{clock(0)} left"
        if self._began is None:
            return "starting"
        timed = self.share - self._unseen
        if timed < ENOUGH:
            return "measuring the pace"
        return f"{clock((time.monotonic() - self._began) / timed * (1 - self.share))} left"

    def render(self) -> RenderableType:
        with self._lock:
            return Group(matrix(self._cells), *self._pack_lines(), Text(self.line, style="bold"))

    def _pack_lines(self) -> list[Text]:
        return [
            Text(f"pack {name[-3:]}: {counted(len(pack.runs), 'run')}, {pack}", style="dim")
            for name, pack in self._packs.items()
        ]


class _PlainView:
    """Lines for a log: when a pack ends or a signal comes, and every half minute."""

    def __init__(self, console: Console, state: SweepState) -> None:
        self._console = console
        self._state = state
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        was_stopping = self._state.is_stopping
        self._state(event)
        if was_stopping and isinstance(event, Interrupted):
            return  # told already
        ended = isinstance(event, Results | Lost | Interrupted)
        if ended or time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            self._console.print(self._state.line, markup=False)
