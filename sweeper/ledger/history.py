"""Reading what has befallen a sweep: events of its history, and runs that came to grief."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sweeper.ledger.read import batches
from sweeper.ledger.schema import Attempt, HistoryRow, Run
from sweeper.states import TROUBLES, State
from sweeper.study.plan import Plan


@dataclass(frozen=True)
class Happened:
    """Something of a sweep's history beside its attempts: a takeover, a refused checkpoint."""

    kind: str
    detail: str
    when: datetime  # UTC

    @property
    def told(self) -> str:
        """The detail for people: what is stored of a retrain is JSON, with all it took back."""
        return str(json.loads(self.detail)["cell"]) if self.kind == "retrain" else self.detail


def history(engine: Engine, sweep_id: int) -> list[Happened]:
    """What has happened to a sweep, the oldest first."""
    columns = (HistoryRow.kind, HistoryRow.detail, HistoryRow.happened)
    query = select(*columns).where(HistoryRow.sweep_id == sweep_id).order_by(HistoryRow.id)
    with Session(engine) as session:
        return [Happened(*row) for row in session.execute(query)]


@dataclass(frozen=True)
class Failure:
    """Runs that came to grief in the same way."""

    state: State
    cause: str
    count: int
    traceback: str | None = None  # of one of them


def failures(engine: Engine, plan: Plan) -> list[Failure]:
    """Runs of the plan, references included, that came to grief, and those that wait in vain."""
    found = troubles(engine, plan).values()
    counts = Counter((trouble.state, trouble.cause) for trouble in found)
    traces = {(trouble.state, trouble.cause): trouble.traceback for trouble in found}
    return [
        Failure(state, cause, count, traces[state, cause])
        for (state, cause), count in counts.most_common()
    ]


def troubles(engine: Engine, plan: Plan) -> dict[str, Failure]:
    """The same by run key, one by one."""
    last: dict[str, Any] = {}
    columns = (Run.key, Attempt.state, Attempt.cause, Attempt.traceback)
    with Session(engine) as session:
        for batch in batches(run.key for run in plan.runs if plan.state_of(run) in TROUBLES):
            tried = select(*columns).join(Attempt).where(Run.key.in_(batch)).order_by(Attempt.id)
            last.update({row.key: row for row in session.execute(tried)})
    found = {
        key: Failure(State(row.state), row.cause or "unknown cause", 1, row.traceback)
        for key, row in last.items()
    }
    for run in plan.runs:
        if plan.state_of(run) == State.BLOCKED and (blocker := plan.blocker_of(run)):
            state, cause = found[blocker.key].state, found[blocker.key].cause
            cause = f"its reconstruction-only run {_ENDED[state]}: {cause}"
            found[run.key] = Failure(State.BLOCKED, cause, 1)
    return found


_ENDED = {State.FAILED: "failed", State.DIVERGED: "diverged"}
