"""How a sweep stands, read from the database alone."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from sqlalchemy import Engine

from sweeper.console.matrix import matrix
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.states import State
from sweeper.study.plan import Plan

WATCH_SECONDS = 2.0
# All other states count as pending: a launch tries those runs again.
COUNTED = (
    State.FINISHED,
    State.RUNNING,
    State.FAILED,
    State.DIVERGED,
    State.BLOCKED,
    State.UNKNOWN,
)


def show(db: str, name: str | None, *, watch: bool, as_json: bool, console: Console) -> None:
    """Prints the status once, or again and again until a key stops it."""
    while True:
        engine = open_reader(db)
        sweep = read.find_sweep(engine, name)
        if as_json:
            print(json.dumps(summary(engine, sweep)), flush=True)
        else:
            _print(engine, sweep, console, clear=watch)
        engine.dispose()
        if not watch:
            return
        try:
            time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return


def plan_of(engine: Engine, sweep: read.SweepInfo) -> Plan:
    return read.plan_of(engine, read.runs_of(engine, sweep.id))


def summary(engine: Engine, sweep: read.SweepInfo) -> dict[str, Any]:
    """Counts of cells and of runs; a run is counted once, whichever cells show it."""
    plan = plan_of(engine, sweep)
    cells = read.results(engine, sweep.name)
    return {
        "sweep": sweep.name,
        "cells": len(cells),
        "cells_finished": int((cells["state"] == State.FINISHED).sum()),
        "runs": len(plan.runs),
        "planned": len(plan.runs),
        **{str(state): plan.count(state) for state in COUNTED},
        "pending": len(plan.runs) - plan.count(*COUNTED),
    }


def _print(engine: Engine, sweep: read.SweepInfo, console: Console, *, clear: bool) -> None:
    counts = summary(engine, sweep)
    if clear:
        console.clear()
    console.print(
        f"[bold]{escape(sweep.name)}[/bold]  {counts['cells_finished']}/{counts['cells']} cells"
    )
    console.print(matrix(read.results(engine, sweep.name)))
    states = (*COUNTED, State.PENDING)
    counted = ", ".join(f"{counts[state]} {state}" for state in states if counts[state])
    console.print(f"{counts['runs']} runs: {counted}")
    for failure in read.failures(engine, plan_of(engine, sweep)):
        line = f"{failure.count} {failure.state}: {failure.cause}"
        console.print(line, style="red", markup=False)
        if failure.traceback:
            console.print(failure.traceback.rstrip(), style="dim", markup=False)
