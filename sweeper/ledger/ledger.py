"""Writing to the results database: plans, attempts and results, each in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from sweeper.config import RunConfig
from sweeper.errors import SweeperError
from sweeper.grid import Cell
from sweeper.ledger.schema import Attempt, CellRow, Epoch, Run, Score, Sweep

# A run in one of these states is done: it is not trained again unless a user asks.
DONE = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class RunResult:
    """What a worker returns for one run; plain numbers, fit for JSON."""

    key: str
    state: str  # finished, diverged or failed
    scores: Mapping[str, float | int | None] | None = (
        None  # columns of `scores`; None unless finished
    )
    epochs: Sequence[Mapping[str, float | None]] = ()  # one row an epoch: columns of `epochs`
    cause: str | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where and with what an attempt ran."""

    host: str | None = None
    device: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


class Ledger:
    """The driver's handle on the database. All methods commit before they return."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def register(
        self,
        name: str,
        options: Mapping[str, Any],
        cells: Iterable[tuple[Cell, RunConfig]],
        extra_runs: Iterable[RunConfig] = (),
    ) -> int:
        """Adds what is new of a sweep's cells and runs; returns the sweep's id.

        Raises SweeperError when the sweep already has a cell of that label with another config.
        """
        with Session(self.engine) as session, session.begin():
            sweep = _sweep(session, name, options)
            known = {row.label: row.run_id for row in _cells_of(session, sweep.id)}
            for cell, config in cells:
                run = _run(session, config)
                if cell.label not in known:
                    session.add(_cell_row(sweep.id, run.id, cell))
                elif known[cell.label] != run.id:
                    raise SweeperError(
                        f"sweep '{name}' already holds '{cell.label}' with other settings; "
                        "give this one another --name"
                    )
            for config in extra_runs:
                _run(session, config)
            return sweep.id

    def start_attempts(
        self, sweep_id: int, pack: str, keys: Sequence[str], provenance: Provenance
    ) -> None:
        """Opens one attempt for every run of a pack."""
        with Session(self.engine) as session, session.begin():
            for run_id in _run_ids(session, keys).values():
                session.add(
                    Attempt(
                        run_id=run_id,
                        sweep_id=sweep_id,
                        pack=pack,
                        state="running",
                        host=provenance.host,
                        device=provenance.device,
                        git_commit=provenance.git_commit,
                        git_dirty=provenance.git_dirty,
                        versions=json.dumps(provenance.versions, sort_keys=True),
                    )
                )

    def place(self, pack: str, host: str, device: str) -> None:
        """Notes where a pack's attempts run, once the worker says it."""
        attempts = update(Attempt).where(Attempt.pack == pack)
        with Session(self.engine) as session, session.begin():
            session.execute(attempts.values(host=host, device=device))

    def record(self, pack: str, results: Sequence[RunResult], seconds: float | None) -> None:
        """Stores the results of a pack, all or none. A run that has scores keeps them."""
        with Session(self.engine) as session, session.begin():
            run_ids = _run_ids(session, [result.key for result in results])
            for result in results:
                _store(session, pack, run_ids[result.key], result, seconds)

    def close_attempts(
        self,
        state: str,
        cause: str,
        *,
        traceback: str | None = None,
        pack: str | None = None,
        sweep_id: int | None = None,
    ) -> int:
        """Closes the running attempts of a pack or of a sweep; returns how many there were."""
        running = update(Attempt).where(Attempt.state == "running")
        if pack is not None:
            running = running.where(Attempt.pack == pack)
        if sweep_id is not None:
            running = running.where(Attempt.sweep_id == sweep_id)
        with Session(self.engine) as session, session.begin():
            closed = session.execute(
                running.values(state=state, cause=cause, traceback=traceback, ended=func.now())
            )
            return int(closed.rowcount)  # type: ignore[attr-defined]


def _sweep(session: Session, name: str, options: Mapping[str, Any]) -> Sweep:
    sweep = session.scalar(select(Sweep).where(Sweep.name == name))
    if sweep is None:
        sweep = Sweep(name=name)
        session.add(sweep)
    sweep.options = json.dumps(options, sort_keys=True)
    sweep.launched = func.now()
    session.flush()
    return sweep


def _run(session: Session, config: RunConfig) -> Run:
    key = config.key
    run = session.scalar(select(Run).where(Run.key == key))
    if run is None:
        run = Run(key=key, config=config.resolved().to_json())
        session.add(run)
        session.flush()
    return run


def _cells_of(session: Session, sweep_id: int) -> Iterable[CellRow]:
    return session.scalars(select(CellRow).where(CellRow.sweep_id == sweep_id))


def _cell_row(sweep_id: int, run_id: int, cell: Cell) -> CellRow:
    return CellRow(
        sweep_id=sweep_id,
        run_id=run_id,
        label=cell.label,
        kind=cell.kind,
        principle=cell.principle,
        objective=cell.objective,
        lam=cell.lam,
        seed=cell.seed,
    )


def _run_ids(session: Session, keys: Sequence[str]) -> dict[str, int]:
    rows = session.execute(select(Run.key, Run.id).where(Run.key.in_(keys)))
    return {key: run_id for key, run_id in rows}


def _store(
    session: Session, pack: str, run_id: int, result: RunResult, seconds: float | None
) -> None:
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.run_id == run_id, Attempt.pack == pack)
        .order_by(Attempt.id.desc())
        .limit(1)
    )
    if attempt is None or attempt.state != "running":
        return  # recorded already: a late or repeated report changes nothing
    attempt.state, attempt.cause, attempt.traceback = result.state, result.cause, result.traceback
    attempt.ended, attempt.seconds = func.now(), seconds
    for number, losses in enumerate(result.epochs, start=1):
        session.add(Epoch(attempt_id=attempt.id, epoch=number, **losses))
    if result.scores is not None and session.get(Score, run_id) is None:
        session.add(Score(run_id=run_id, attempt_id=attempt.id, **result.scores))
