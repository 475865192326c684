"""Runs of earlier versions under the keys that their configs have today.

A config that was stored before a field existed was trained with the field's default. Since
`training.precision` no new field enters a key while it has its default (study/config.py), so this
is the only one that ever has to be filled in.
"""

from __future__ import annotations

import contextlib
import json

from sqlalchemy import Connection, delete, select, update

from sweeper.errors import redact
from sweeper.ledger.schema import Attempt, CellRow, Run, Score, Sweep
from sweeper.study.config import NONSENSE, RunConfig


def hide_keys(connection: Connection) -> None:
    """Takes the keys of storages out of what launches of earlier versions stored."""
    rows = connection.execute(select(Sweep.id, Sweep.options).where(Sweep.options.like("%://%@%")))
    for row in rows.all():
        with contextlib.suppress(*NONSENSE):  # damaged: told when it is read
            options = json.loads(row.options)
            if (shown := redact(options["storage"])) != options["storage"]:
                text = json.dumps({**options, "storage": shown}, sort_keys=True)
                connection.execute(update(Sweep).where(Sweep.id == row.id).values(options=text))


def rekey(connection: Connection) -> int:
    """Gives runs stored without `training.precision` today's key; returns how many there were."""
    lacking = (
        select(Run.id, Run.config)
        .where(Run.config.not_like('%"precision"%'))
        .where(Run.config.not_like('%"training":null%'))
    )
    rows = connection.execute(lacking).all()
    for row in rows:
        config = RunConfig.from_json(row.config)
        twin = connection.scalar(select(Run.id).where(Run.key == config.key))
        if twin is None or _absorb(connection, row.id, twin):
            named = {"key": config.key, "config": config.to_json()}
            connection.execute(update(Run).where(Run.id == row.id).values(**named))
    return len(rows)


def _absorb(connection: Connection, run: int, twin: int) -> bool:
    """Makes one run of two that are the same; whether it is `run`, and `twin` is gone.

    The one that has scores stays, `twin` where both have: its cells are then the other's too.
    """
    scored = set(connection.scalars(select(Score.run_id).where(Score.run_id.in_((run, twin)))))
    stays, goes = (twin, run) if twin in scored or run not in scored else (run, twin)
    for table in (CellRow, Attempt):
        moved = update(table).where(table.run_id == goes)
        if table is CellRow or goes not in scored:
            connection.execute(moved.values(run_id=stays))
    if goes == twin:
        connection.execute(delete(Run).where(Run.id == twin))
    return goes == twin
