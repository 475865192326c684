"""A bar with an ETA while something is made; in a log, plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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
