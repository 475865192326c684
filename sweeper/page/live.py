"""How the sweeps of a database stand, and how long they may take yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from sweeper.console.summary import command, time_left
from sweeper.ledger import read
from sweeper.ledger.lease import GONE
from sweeper.ledger.overview import Overview, overviews
from sweeper.ledger.progress import headway
from sweeper.states import State

# A change of anything but heartbeats and notes changes one of these numbers.
_COUNTS = (
    "SELECT (SELECT COUNT(*) FROM cells), (SELECT MAX(id) FROM cells), "
    "(SELECT MAX(launch) FROM sweeps), (SELECT COUNT(*) FROM scores), "
    "(SELECT COUNT(*) FROM epochs), (SELECT COUNT(*) FROM attempts), "
    "(SELECT COUNT(ended) FROM attempts), (SELECT SUM(share) FROM attempts)"
)


def fingerprint(engine: Engine) -> list[Any]:
    """Equal while a document of the database would be, but for the states of its runs."""
    with engine.connect() as connection:
        return list(connection.execute(text(_COUNTS)).one())


def newest_grid(rows: Sequence[Overview]) -> list[str]:
    """The sweep launched last that a page can show, if there is one."""
    return [row.sweep.name for row in rows if not row.sweep.compares_encoders][:1]


def standings(engine: Engine, shown: Sequence[str], db: str) -> list[dict[str, Any]]:
    """How every sweep of the database stands; of those shown, also how long and what next."""
    return [_standing(engine, row, row.sweep.name in shown, db) for row in overviews(engine)]


def _standing(engine: Engine, row: Overview, is_shown: bool, db: str) -> dict[str, Any]:
    states, left, missing = dict(row.cells), "", False
    if is_shown:
        plan = read.plan_of_sweep(engine, row.sweep.id)
        cells = read.cells_of(engine, row.sweep.id)
        states = dict(Counter(plan.state_of(run) for _, run in cells))
        missing = bool(plan.missing())
        ahead = headway(engine, row.sweep.id, plan)
        left = time_left(ahead) if ahead.at_work else ""
    is_idle = missing and row.driver == GONE
    return {
        "name": row.sweep.name,
        "state": str(row.state),
        "cells": sum(states.values()),
        "finished": states.get(State.FINISHED, 0),
        "states": {str(state): count for state, count in states.items()},
        "left": "" if is_idle else left,
        "next": command("resume", row.sweep.name, db) if is_idle else "",
        "is_shown": is_shown,
        "is_grid": not row.sweep.compares_encoders,
    }
