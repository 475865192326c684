"""How far packs are, in the database: for whoever else looks, and for nothing else.

No result depends on it. It is neither spooled nor waited for: a locked database is left
alone, and the next time tells what this one would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, and_, func, insert, select, update
from sqlalchemy.orm import Session

from sweeper.events import Losses
from sweeper.failpoints import failpoint
from sweeper.ledger.lease import Lease
from sweeper.ledger.schema import Attempt, Epoch, LeaseRow, Run
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.pace import Headway, Seen, most_at_once
from sweeper.study.plan import Plan, cost

PATIENCE_SECONDS = 0.1  # for a database that is locked


@dataclass
class Told:
    """What a pack at work has told of itself so far."""

    share: float = 0.0  # of its work, 0 to 1
    seconds: float = 0.0  # a run
    # Run key → epoch, from 1 → its losses, of the epochs that are not stored yet.
    epochs: dict[str, dict[int, Losses]] = field(default_factory=dict)


def store(lease: Lease, packs: Mapping[str, Told]) -> None:
    """Stores what packs have told, of those of their attempts that are still open, in one commit.

    What is there already stays. Raises DBAPIError when the database cannot be written now.
    """
    failpoint("progress:begin")
    with lease.transaction(PATIENCE_SECONDS) as session:
        attempts = _open_attempts(session, packs)
        there = _epochs_there(session, attempts)
        rows = []
        for attempt, (pack, key) in attempts.items():
            for epoch, losses in packs[pack].epochs.get(key, {}).items():
                if epoch > there.get(attempt, 0):
                    rows.append({"attempt_id": attempt, "epoch": epoch, **losses})
        for pack, told in packs.items():
            mine = update(Attempt).where(Attempt.pack == pack, Attempt.state == State.RUNNING)
            session.execute(mine.values(share=told.share, seconds=told.seconds))
        if rows:
            session.execute(insert(Epoch), rows)
        failpoint("progress:before-commit")
    failpoint("progress:after-commit")


def headway(engine: Engine, sweep_id: int, plan: Plan) -> Headway:
    """How far the launch is that holds the sweep, or held it last."""
    token = select(LeaseRow.token).where(LeaseRow.sweep_id == sweep_id).scalar_subquery()
    tried = and_(
        Attempt.sweep_id == sweep_id, Attempt.token == token, Attempt.state != State.PENDING
    )
    runs = {run.key: run for run in plan.runs}
    packs: dict[str, list[tuple[Attempt, Seen]]] = {}
    with Session(engine) as session:
        for attempt, key in session.execute(select(Attempt, Run.key).join(Run).where(tried)):
            if run := runs.get(key):
                is_at_work = attempt.ended is None and plan.state_of(run) == State.RUNNING
                seen = _seen(attempt, run, is_at_work)
                packs.setdefault(attempt.pack, []).append((attempt, seen))
    sums = [sum((seen for _, seen in pack), Seen()) for pack in packs.values()]
    return Headway(
        sums,
        sum(map(cost, plan.missing())),
        most_at_once(_span([attempt for attempt, _ in pack]) for pack in packs.values()),
        sum(pack.work > 0 for pack in sums),
    )


def _seen(attempt: Attempt, run: RunConfig, is_at_work: bool) -> Seen:
    is_done = attempt.state in (State.FINISHED, State.DIVERGED)
    return Seen.of(
        run,
        1.0 if is_done else attempt.share or 0.0,
        attempt.seconds or 0.0,
        from_epoch=attempt.from_epoch,
        at_work=is_at_work,
    )


def _span(attempts: Sequence[Attempt]) -> tuple[datetime, datetime | None]:
    """From when until when a pack was at work."""
    ends = [attempt.ended for attempt in attempts if attempt.ended is not None]
    began = min(attempt.started for attempt in attempts)
    return began, max(ends) if len(ends) == len(attempts) else None


def _open_attempts(session: Session, packs: Iterable[str]) -> dict[int, tuple[str, str]]:
    """Attempt → its pack and the key of its run."""
    query = select(Attempt.id, Attempt.pack, Run.key).join(Run).where(Attempt.pack.in_(packs))
    rows = session.execute(query.where(Attempt.state == State.RUNNING))
    return {attempt: (pack, key) for attempt, pack, key in rows}


def _epochs_there(session: Session, attempts: Iterable[int]) -> dict[int, int]:
    """Attempt → its last epoch that is stored."""
    query = select(Epoch.attempt_id, func.max(Epoch.epoch)).group_by(Epoch.attempt_id)
    rows = session.execute(query.where(Epoch.attempt_id.in_(attempts)))
    return {attempt: epoch for attempt, epoch in rows}
