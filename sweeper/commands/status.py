"""How a sweep stands, read from the database alone."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Console
from sqlalchemy import Engine

from sweeper.console.live import matrix
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader

WATCH_SECONDS = 2.0


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


def summary(engine: Engine, sweep: read.SweepInfo) -> dict[str, Any]:
    """Counts of cells and of runs; a run is counted once, whichever cells show it."""
    plan = read.plan_of(engine, read.runs_of(engine, sweep.id))
    cells = read.results(engine, sweep.name)
    return {
        "sweep": sweep.name,
        "cells": len(cells),
        "cells_finished": int((cells["state"] == "finished").sum()),
        "runs": len(plan.runs),
        "planned": len(plan.runs),
        "finished": plan.count("finished"),
        "running": plan.count("running"),
        "failed": plan.count("failed"),
        "diverged": plan.count("diverged"),
        "unknown": plan.count("unknown"),
        "pending": len(plan.runs)
        - plan.count("finished", "running", "failed", "diverged", "unknown"),
    }


def _print(engine: Engine, sweep: read.SweepInfo, console: Console, *, clear: bool) -> None:
    counts = summary(engine, sweep)
    if clear:
        console.clear()
    console.print(f"[bold]{sweep.name}[/bold]  {counts['cells_finished']}/{counts['cells']} cells")
    console.print(matrix(read.results(engine, sweep.name)))
    states = ("finished", "running", "failed", "diverged", "unknown", "pending")
    counted = ", ".join(f"{counts[state]} {state}" for state in states if counts[state])
    console.print(f"{counts['runs']} runs: {counted}")
    for state, cause, n, traceback in read.failures(engine, sweep.id):
        console.print(f"{n} {state}: {cause}", style="red", markup=False)
        if traceback:
            console.print(traceback.rstrip(), style="dim", markup=False)
