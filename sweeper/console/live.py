"""What a user watches while a sweep trains: the grid, the packs at work, the time left.

On a terminal and in a notebook it is redrawn in place; elsewhere (a log file, CI) there are plain
lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sweeper.console.matrix import matrix
from sweeper.console.notebook import NotebookView, is_notebook
from sweeper.console.progress import data_progress
from sweeper.console.summary import time_left
from sweeper.console.words import counted, printable
from sweeper.events import (
    Closed,
    Ended,
    Event,
    Interrupted,
    Lost,
    Placed,
    Progress,
    Results,
    Started,
)
from sweeper.states import DONE, State
from sweeper.study.config import RunConfig
from sweeper.study.pace import Headway, Seen
from sweeper.study.plan import cost

STOPPING = "stopping: packs save themselves"


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
    if is_notebook():
        with NotebookView(state, state.render) as view:
            yield view
        return
    if not console.is_terminal:
        yield _PlainView(console, state)
        return
    with Live(get_renderable=state.render, console=console, refresh_per_second=4, transient=True):
        yield state


@dataclass
class _Pack:
    """A pack of this launch, and what each of its runs has shown."""

    runs: Sequence[str]  # keys
    seen: dict[str, Seen]
    from_epoch: Mapping[str, int] = field(default_factory=dict)
    progress: Progress | None = None
    at_work: bool = True

    def __str__(self) -> str:
        at = self.progress
        return "loading" if at is None else f"{at.stage} {at.done}/{at.total}"


class SweepState:
    """Cell states and pack progress, updated by events and drawn as a matrix."""

    def __init__(self, cells: pd.DataFrame, missing: Sequence[RunConfig]) -> None:
        self._cells = cells.copy()
        self._mark([run.key for run in missing], State.PENDING)
        self._runs = {run.key: run for run in missing}
        self._packs: dict[str, _Pack] = {}  # ended ones too
        self._done: set[str] = set()
        self._slots = 0  # packs at work, when they were most
        self.is_stopping = False
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case Started():
                    self._packs[event.pack] = _Pack(event.runs, {})
                    self._see(event.pack, event.runs, 0.0, 0.0)
                    self._slots = max(self._slots, len(self._at_work))
                    self._mark(event.runs, State.RUNNING)
                case Placed() if event.pack in self._packs:
                    self._packs[event.pack].from_epoch = event.epochs
                case Progress() if event.pack in self._packs:
                    pack = self._packs[event.pack]
                    pack.progress = event
                    runs = [key for key in pack.runs if key not in self._done]
                    self._see(event.pack, runs, event.share, event.seconds)
                case Interrupted():
                    self.is_stopping = True
                case Results():
                    self._done |= {result.key for result in event.results}
                    for result in event.results:
                        self._mark([result.key], result.state)
                        self._see(event.pack, [result.key], 1.0, event.seconds)
                case Closed():
                    self._mark(event.runs, State.PENDING if event.again else event.state)
                    self._done |= set(event.runs) if event.state in DONE else set()
                case Ended() | Lost():
                    self._end(event.pack)

    def _see(self, name: str, runs: Sequence[str], share: float, seconds: float) -> None:
        for key in runs if name in self._packs else ():
            pack, at_work = self._packs[name], key not in self._done
            epoch = pack.from_epoch.get(key, 0)
            pack.seen[key] = Seen.of(
                self._runs[key], share, seconds, from_epoch=epoch, at_work=at_work
            )

    def _end(self, name: str) -> None:
        if pack := self._packs.get(name):
            pack.at_work = False
            pack.seen = {key: seen.ended() for key, seen in pack.seen.items()}

    def _mark(self, keys: Sequence[str], state: State) -> None:
        self._cells.loc[self._cells["run_key"].isin(keys), "state"] = str(state)

    @property
    def _at_work(self) -> dict[str, _Pack]:
        return {name: pack for name, pack in self._packs.items() if pack.at_work}

    @property
    def headway(self) -> Headway:
        """How far this launch is."""
        missing = sum(cost(run) for key, run in self._runs.items() if key not in self._done)
        packs = [sum(pack.seen.values(), Seen()) for pack in self._packs.values()]
        return Headway(packs, missing, self._slots, len(self._at_work))

    @property
    def share(self) -> float:
        """Done share of the work of this launch, 0 to 1."""
        total = sum(map(cost, self._runs.values()))
        return 1 - self.headway.left / total if total else 1.0

    @property
    def line(self) -> str:
        """One line: cells by state, share of the work, time left."""
        counts = self._cells["state"].value_counts()
        cells = ", ".join(f"{n} {state}" for state, n in counts.items())
        if self.is_stopping:
            return f"{cells} · {STOPPING}"
        return f"{cells} · {self.share:.0%} of the work · {time_left(self.headway)}"

    def render(self) -> RenderableType:
        with self._lock:
            return Group(matrix(self._cells), *self._pack_lines(), Text(self.line, style="bold"))

    def _pack_lines(self) -> list[Text]:
        return [
            Text(f"pack {name[-3:]}: {counted(len(pack.runs), 'run')}, {pack}", style="dim")
            for name, pack in self._at_work.items()
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
