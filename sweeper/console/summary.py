"""What a user reads before and after a sweep: the plan, the outcome, what to type next."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from sweeper.console.words import clock, counted, printable
from sweeper.errors import redact
from sweeper.ledger import read
from sweeper.ledger.history import failures
from sweeper.ledger.url import is_default
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.pace import Headway
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
        f"[bold]{escape(printable(sweep.name))}[/bold]: {finished} of {counted(total, 'cell')} "
        "finished",
        end="",
    )
    others = [f"{n} {state}" for state, n in counts.items() if state != State.FINISHED]
    console.print(f" ({', '.join(others)})" if others else "")
    plan = read.plan_of_sweep(engine, sweep.id)
    for failure in failures(engine, plan):
        line = f"  {failure.count} {failure.state}: {failure.cause}"
        console.print(printable(line), markup=False)
    if stopped is None and plan.count(State.FAILED):
        again = f"{command('resume', sweep.name, db)} --retry-failed"
        console.print(f"try what failed again: {again}", markup=False)
    if stopped is not None:
        line = f"{stopped.why}; go on with: {command('resume', sweep.name, db)}"
        console.print(line, markup=False)
        return stopped.code
    if finished:
        report = command("report", sweep.name, db)
        console.print(f"figures and table: {report}; with --html one page", markup=False)
    return code_of(cells)


def code_of(cells: pd.DataFrame) -> int:
    """The exit code of how a sweep stands: 0 when every cell is finished, else 2."""
    return 0 if (cells["state"] == State.FINISHED).all() else 2


def command(verb: str, sweep: str | None, db: str) -> str:
    """What a user may type next of a sweep, quoted for a shell."""
    words = ["sweeper", *verb.split(), *([printable(sweep)] if sweep else [])]
    return shlex.join(words if is_default(db) else [*words, "--db", redact(db)])


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
        f"sweep [bold]{escape(name)}[/bold] in {escape(redact(db))}: "
        f"{counted(len(cells), 'cell')}, {counted(len(plan.runs), 'run')}"
    )
    table = Table("kind", "runs", "done", "missing", box=None, header_style="dim")
    for kind in dict.fromkeys(run.kind for run in plan.runs):
        runs = [run for run in plan.runs if run.kind == kind]
        left = sum(run.key in keys for run in runs)
        table.add_row(kind, str(len(runs)), str(len(runs) - left), str(left))
    console.print(table)
    console.print(
        f"{counted(done, 'cell')} {'is' if done == 1 else 'are'} done; "
        f"this launch would train {counted(len(missing), 'run')}"
    )
    console.print(_estimate(missing, pace))


def time_left(headway: Headway) -> str:
    """How long a launch will take yet, as far as that can be told."""
    if (seconds := headway.seconds_left) is not None:
        return f"{clock(seconds)} left" if seconds >= 1 else "under a second left"
    return "measuring the pace" if any(pack.timed for pack in headway.packs) else "starting"


def _estimate(missing: list[RunConfig], pace: float | None) -> str:
    if not missing:
        return "nothing to do"
    if pace is None:
        return "no estimate: this database holds no finished run to measure by"
    cores = os.cpu_count() or 1
    minutes = pace * sum(map(cost, missing)) / cores / 60
    return f"about {max(1, math.ceil(minutes))} min on {cores} cores, by this database's past runs"
