"""What a user reads before and after a sweep: the plan, the outcome, what to type next."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from sweeper.ledger import read
from sweeper.ledger.connect import redacted
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.plan import Plan, cost


@dataclass(frozen=True)
class Stopped:
    """Why a launch ended before its sweep did."""

    why: str
    code: int  # the launch's exit code


def conclude(
    engine: Engine, sweep: read.SweepInfo, db: str, stopped: Stopped | None, console: Console
) -> int:
    """Prints how the sweep stands and what to type next; returns the exit code of the launch."""
    cells = read.results(engine, sweep.name)
    counts = cells["state"].value_counts()
    total, finished = len(cells), int(counts.get(State.FINISHED, 0))
    console.print(
        f"[bold]{escape(sweep.name)}[/bold]: {finished} of {total} cells finished", end=""
    )
    others = [f"{n} {state}" for state, n in counts.items() if state != State.FINISHED]
    console.print(f" ({', '.join(others)})" if others else "")
    plan = read.plan_of(engine, read.runs_of(engine, sweep.id))
    for failure in read.failures(engine, plan):
        console.print(f"  {failure.count} {failure.state}: {failure.cause}", markup=False)
    if stopped is None and plan.count(State.FAILED):
        console.print(
            f"try what failed again: sweeper resume {shlex.quote(sweep.name)}{_db(db)} "
            "--retry-failed",
            markup=False,
        )
    if stopped is not None:
        line = f"{stopped.why}; go on with: sweeper resume {shlex.quote(sweep.name)}{_db(db)}"
        console.print(line, markup=False)
        return stopped.code
    if finished:
        line = f"figures and table: sweeper report {shlex.quote(sweep.name)}{_db(db)}"
        console.print(line, markup=False)
    return 0 if finished == total else 2


def _db(db: str) -> str:
    return "" if db == "results.db" else f" --db {shlex.quote(redacted(db))}"


def print_plan(
    plan: Plan,
    cells: Sequence[tuple[Cell, RunConfig]],
    name: str,
    db: str,
    pace: float | None,
    console: Console,
) -> None:
    """The dry run: counts of done and missing runs by kind, and an estimate."""
    missing = plan.missing()
    keys = {run.key for run in missing}
    done = sum(run.key not in keys for _, run in cells)
    console.print(
        f"sweep [bold]{name}[/bold] in {redacted(db)}: {len(cells)} cells, {len(plan.runs)} runs"
    )
    table = Table("kind", "runs", "done", "missing", box=None, header_style="dim")
    for kind in dict.fromkeys(run.kind for run in plan.runs):
        runs = [run for run in plan.runs if run.kind == kind]
        left = sum(run.key in keys for run in runs)
        table.add_row(kind, str(len(runs)), str(len(runs) - left), str(left))
    console.print(table)
    console.print(f"{done} cells are done; this launch would train {len(missing)} runs")
    console.print(_estimate(missing, pace))


def _estimate(missing: list[RunConfig], pace: float | None) -> str:
    if not missing:
        return "nothing to do"
    if pace is None:
        return "no estimate: this database holds no finished run to measure by"
    cores = os.cpu_count() or 1
    minutes = pace * sum(map(cost, missing)) / cores / 60
    return f"about {max(1, math.ceil(minutes))} min on {cores} cores, by this database's past runs"
