"""`sweeper retrain`: cells whose runs the next launch or resume trains again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from rich.console import Console
from sqlalchemy import Engine

from sweeper.console.summary import command
from sweeper.errors import SweeperError, instead
from sweeper.ledger import read
from sweeper.ledger.connect import ledger_id, open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import reachable
from sweeper.storage.results import remove_result, rename_former
from sweeper.storage.weights import remove_weights
from sweeper.study.plan import reference_of
from sweeper.sweep import claim_storage, plan_of, settle


def retrain(
    db: str,
    name: str | None,
    labels: Sequence[str],
    agree: Callable[[Sequence[str]], bool],
    console: Console,
) -> int:
    """Has the cells trained again if the user agrees; returns the exit code.

    Raises SweepHeldError when a driver is at work on the sweep.
    """
    reader = open_reader(db)
    sweep = read.find_sweep(reader, name)
    cells = _tried(reader, sweep, labels)
    lines = _consequences(reader, sweep, cells, labels)
    reader.dispose()
    if not agree(lines):
        console.print("nothing was changed")
        return 1
    with reachable(), writer(db) as engine, Ledger.of(engine, sweep.name) as ledger:
        settle(ledger, sweep.options.get("storage"))
        cells = _tried(engine, sweep, labels)  # as they stand now that nobody else has them
        _remove_files(ledger, sweep, cells)
        ledger.retrain(cells)
    again = command("resume", sweep.name, db)
    console.print(f"{_runs(len(cells))} to be trained again: {again}", markup=False)
    return 0


def _tried(engine: Engine, sweep: read.SweepInfo, labels: Sequence[str]) -> dict[str, str]:
    """Run key → label of those cells; of one that is blocked, the run that it waits for.

    Raises SweeperError for a cell that is none, that was never tried, or that is in training.
    """
    known = {cell.label: run for cell, run in read.cells_of(engine, sweep.id)}
    for label in labels:
        if label not in known:
            raise SweeperError(
                f"no cell '{label}' in sweep '{sweep.name}'; {instead(label, list(known))}"
            )
    plan = read.plan_of(engine, known.values())
    cells: dict[str, str] = {}
    for label in labels:
        run, state = known[label], plan.state_of(known[label])
        blocker = plan.blocker_of(run) if state == State.BLOCKED else None
        cells[(blocker or run).key] = label
        if state == State.PENDING:
            raise SweeperError(f"'{label}' waits to be trained anyway; leave it out")
        if state in (State.RUNNING, State.UNKNOWN):
            raise SweeperError(
                f"'{label}' is in training by another driver; wait for that, or stop it first"
            )
    return cells


def _consequences(
    engine: Engine, sweep: read.SweepInfo, cells: Mapping[str, str], labels: Sequence[str]
) -> list[str]:
    """What the user should know before agreeing."""
    named = {(sweep.name, label) for label in labels}
    others = [cell for cell in read.cells_showing(engine, cells) if cell not in named]
    lines = [f"{_runs(len(cells))} of sweep '{sweep.name}' to be trained again"]
    for other, count in Counter(other for other, _ in others).items():
        where = "this sweep" if other == sweep.name else f"sweep '{other}'"
        also = "1 more cell shows" if count == 1 else f"{count} more cells show"
        lines.append(f"in {where} {also} the same")
    if count := _measured_against(engine, cells):
        lines.append(
            f"γ of {_runs(count)} trained already was measured against one of them, and stays"
        )
    return lines


def _measured_against(engine: Engine, keys: Collection[str]) -> int:
    """How many finished runs, not among those themselves, have one of them as their reference."""
    referring = [
        run.key
        for run in read.runs_of(engine)
        if run.key not in keys and (to := reference_of(run)) and to.key in keys
    ]
    return sum(state == State.FINISHED for state in read.states(engine, referring).values())


def _remove_files(ledger: Ledger, sweep: read.SweepInfo, keys: Collection[str]) -> None:
    """Takes results, weights and checkpoints away wherever a sweep may have left them.

    Before the database changes: who is killed in between finds the runs as they were, and no
    result comes back that was taken back.
    """
    options = [sweep.options, *read.options_behind(ledger.engine, keys)]
    for place in {option.get("storage") for option in options}:
        storage = claim_storage(ledger, place)
        rename_former(storage, plan_of(ledger).runs)
        checkpoints = Checkpoints(storage, ledger_id(ledger.engine))
        for key in keys:
            remove_result(storage, key)
            remove_weights(storage, key)
            checkpoints.remove(key)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
