"""How a sweep stands, read from the database alone."""

from __future__ import annotations

import json
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text
from sqlalchemy.orm import Session

from analysis.factors import Factors
from models.spec import TrainingSpec
from sweeper.console.listing import wrapped
from sweeper.console.matrix import matrix
from sweeper.console.summary import code_of, command, time_left
from sweeper.console.words import counted, printable
from sweeper.ledger import history as happened
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.ledger.lease import GONE, LEASE_SECONDS, UNKNOWN, holders
from sweeper.ledger.progress import headway
from sweeper.signals import Interrupt, interruptible
from sweeper.states import STOPPED, State
from sweeper.study.plan import Plan

WATCH_SECONDS = 2.0
DETAIL = 120  # characters of an event that the line of events has room for
# How runs are counted, in this order; what else there is counts as pending.
COUNTED = {
    State.FINISHED: (State.FINISHED,),
    State.RUNNING: (State.RUNNING,),
    State.FAILED: (State.FAILED,),
    State.DIVERGED: (State.DIVERGED,),
    State.BLOCKED: (State.BLOCKED,),
    State.UNKNOWN: (State.UNKNOWN,),
    State.INTERRUPTED: STOPPED,
    State.PENDING: (State.PENDING,),
}


@dataclass(frozen=True)
class Status:
    """A sweep at one moment."""

    sweep: read.SweepInfo
    counts: dict[str, Any]  # what --json prints
    shown: RenderableType
    code: int  # 0 when every cell is finished, else 2
    driver: str  # live, gone or unknown: the lease's verdict
    missing: int  # runs that a launch would train, those in training among them
    pace: str  # how long it may take yet; empty when nobody is at work

    @property
    def is_over(self) -> bool:
        """Whether nothing trains, be it elsewhere, and nothing will."""
        return not self.counts[State.RUNNING] and (not self.missing or self.driver == GONE)


def show(db: str, name: str | None, *, watch: bool, as_json: bool, console: Console) -> int:
    """Prints the status, with `watch` until nothing trains any more; returns the exit code.

    That is 0 without `watch`, and that of the sweep's state with it.
    """
    if not watch:
        status = look(db, name)
        if as_json:
            status.counts["configurations"] = _configurations(db, status.sweep)
        _print(status, as_json, console)
        return 0
    with interruptible() as interrupt:
        code = _watch(lambda: look(db, name), interrupt, db, as_json, console)
    return 128 + interrupt.signum if interrupt.signum is not None else code


def look(db: str, name: str | None) -> Status:
    """The status now. Raises SweeperError when there is no such sweep or database."""
    engine = open_reader(db)
    try:
        sweep = read.find_sweep(engine, name)
        plan, cells = read.plan_of_sweep(engine, sweep.id), read.results(engine, sweep.name)
        with Session(engine) as session:
            holder = holders(session).get(sweep.id)
        history = happened.history(engine, sweep.id)
        ahead = headway(engine, sweep.id, plan)
        pace = time_left(ahead) if ahead.at_work else ""
        counts = {
            **_summary(sweep, plan, cells),
            "eta_seconds": ahead.seconds_left,
            "failures": _by_cell(cells, happened.troubles(engine, plan)),
            "events": _events(history),
        }
        lines = [*_precision_line(counts), _counts_line(counts)]
        lines += _failures(happened.failures(engine, plan))
        lines += _history_line(history, sweep.name, db)
        lines += [Text(pace, style="bold")] if pace else []
        if name is None and (others := len(read.sweeps(engine)) - 1):
            more = f"{counted(others, 'more sweep')} in this database: {command('list', None, db)}"
            lines.append(Text(more, style="dim"))
        heading = Text(printable(sweep.name), style="bold")
        heading.append(f"  {counts['cells_finished']}/{counted(len(cells), 'cell')}", style="none")
        note = [wrapped(printable(sweep.note), "italic")] if sweep.note else []
        return Status(
            sweep,
            counts,
            Group(heading, *note, matrix(cells), *lines),
            code_of(cells),
            holder.verdict if holder else GONE,
            len(plan.missing()),
            pace,
        )
    finally:
        engine.dispose()


def _summary(sweep: read.SweepInfo, plan: Plan, cells: pd.DataFrame) -> dict[str, Any]:
    """Counts of cells and of runs; a run is counted once, whichever cells show it."""
    return {
        "sweep": sweep.name,
        "note": sweep.note,
        "commit": sweep.git_commit,
        "tasks": Factors.of_options(sweep.options).held_by,
        "cells": len(cells),
        "cells_finished": int((cells["state"] == State.FINISHED).sum()),
        "states": {str(state): int(n) for state, n in cells["state"].value_counts().items()},
        "precisions": sorted({run.training.precision for run in plan.runs if run.training}),
        "runs": len(plan.runs),
        "planned": len(plan.runs),
        **{str(state): plan.count(*states) for state, states in COUNTED.items()},
    }


def _configurations(db: str, sweep: read.SweepInfo) -> list[dict[str, Any]]:
    """The rows of `export --by configuration`; none of a comparison of encoders.

    They take longer than all else here: a watch, which looks every other second, has none.
    """
    from sweeper.commands.export import estimates

    if sweep.compares_encoders:
        return []
    rows = estimates(open_reader(db), [sweep.name]).to_json(orient="records")
    return cast(list[dict[str, Any]], json.loads(rows))


def _by_cell(cells: pd.DataFrame, troubles: Mapping[str, happened.Failure]) -> list[dict[str, Any]]:
    """What has come of cells that did not finish, and of references that no cell shows."""
    labels = [*zip(cells["run_key"], cells["label"], strict=True)]
    shown = {key for key, _ in labels}
    labels += [(key, f"reference run {key[:12]}") for key in troubles if key not in shown]
    return [
        {"label": label, "state": str(failure.state), "cause": failure.cause}
        for key, label in labels
        if (failure := troubles.get(key))
    ]


def _counts_line(counts: dict[str, Any]) -> Text:
    told = ", ".join(f"{counts[state]} {state}" for state in COUNTED if counts[state])
    return Text(f"{counted(counts['runs'], 'run')}: {told}")


def _precision_line(counts: dict[str, Any]) -> list[Text]:
    """Nothing for single precision, which nobody needs to be told of."""
    precisions = counts["precisions"]
    told = [] if precisions in ([], [TrainingSpec.precision]) else precisions
    return [Text(printable(f"products in training: {', '.join(told)}"))] if told else []


def _events(history: list[happened.Happened]) -> list[dict[str, str]]:
    return [
        {"kind": one.kind, "detail": one.detail, "when": one.when.isoformat()} for one in history
    ]


def _history_line(history: list[happened.Happened], sweep: str, db: str) -> list[Text]:
    """How often what happened, and the last of it; nothing for an undisturbed sweep."""
    if not history:
        return []
    counts = Counter(one.kind for one in history)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    last = history[-1]
    detail = textwrap.shorten(last.told, DETAIL, placeholder=" …")
    line = f"events: {told}; the last at {last.when:%Y-%m-%d %H:%M} UTC: {detail}"
    everything = command("status --json", sweep, db)
    return [Text(printable(f"{line}; all of them: {everything}"), style="yellow")]


def _failures(failures: list[happened.Failure]) -> list[Text]:
    lines = []
    for failure in failures:
        line = f"{failure.count} {failure.state}: {failure.cause}"
        lines.append(Text(printable(line), style="red"))
        if failure.traceback:
            lines.append(Text(printable(failure.traceback.rstrip()), style="dim"))
    return lines


def _print(status: Status, as_json: bool, console: Console) -> None:
    if as_json:
        print(json.dumps(status.counts), flush=True)
    else:
        console.print(status.shown)
    if console.quiet:
        raise BrokenPipeError  # nobody reads any more: no reason to watch


def _watch(
    look_again: Callable[[], Status],
    interrupt: Interrupt,
    db: str,
    as_json: bool,
    console: Console,
) -> int:
    """Looks again and again until nothing trains; returns the exit code of the sweep's state."""
    status = look_again()  # what is not there is told before the terminal is taken
    if as_json or not console.is_terminal:
        for status in _until_over(look_again, interrupt):
            _print(status, as_json, console)
    else:
        with Live(console=console, auto_refresh=False) as live:
            for status in _until_over(look_again, interrupt):
                live.update(status.shown, refresh=True)
    if status.missing and not interrupt and not as_json:
        again = command("resume", status.sweep.name, db)
        console.print(f"no driver is at work; go on with: {again}", markup=False)
    return status.code


def _until_over(look_again: Callable[[], Status], interrupt: Interrupt) -> Iterator[Status]:
    """A status whenever it has changed, the last one when the sweep is over, or left by a signal.

    A driver on another machine that is silent for longer than a lease is taken for gone.
    """
    heard, before = time.monotonic(), None
    while not interrupt:
        status = look_again()
        if (seen := (status.counts, status.pace, status.is_over)) != before:
            yield status
        before = seen
        if status.driver != UNKNOWN:
            heard = time.monotonic()
        if status.is_over or time.monotonic() - heard > LEASE_SECONDS:
            return
        _sleep(WATCH_SECONDS, interrupt)


def _sleep(seconds: float, interrupt: Interrupt) -> None:
    """Sleeps so long, or until a signal."""
    until = time.monotonic() + seconds
    while not interrupt and (pause := until - time.monotonic()) > 0:
        time.sleep(min(pause, 0.1))
