"""How a sweep's runs were trained: their losses by epoch, and what came to grief."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pandas as pd
from sqlalchemy import Connection, Engine, text

_RUNS = (
    "SELECT cells.run_id FROM cells JOIN sweeps ON sweeps.id = cells.sweep_id "
    "WHERE sweeps.name = :sweep"
)
_LATEST = f"SELECT MAX(id) FROM attempts WHERE run_id IN ({_RUNS}) GROUP BY run_id"
_FROM_RUNS = "FROM attempts JOIN runs ON runs.id = attempts.run_id"
_TRACEBACK = 4_000  # characters of a traceback, its end


@dataclass(frozen=True)
class Training:
    """What a sweep's attempts tell."""

    LOSSES: ClassVar = ("valid_rec", "valid_total", "valid_dis", "train_total")

    options: dict[str, Any]  # of the launch
    curves: pd.DataFrame  # run_key, epoch, the losses; the latest attempt of a run that has any
    troubles: list[dict[str, Any]]  # run, state, cause, traceback of runs that did not finish
    made: dict[str, Any]  # attempts, hours of packs, devices, commits, versions
    shares: dict[str, float]  # run key → share of the work of its pack that is done, 0 to 1

    def of(self, cells: pd.DataFrame) -> Training:
        """What is of these cells' runs, but for what the whole sweep was made with."""
        keys = set(cells["run_key"])
        shown = {key[:12] for key in keys}
        troubles = [trouble for trouble in self.troubles if trouble["run"] in shown]
        curves = self.curves[self.curves["run_key"].isin(keys)]
        return replace(self, curves=curves, troubles=troubles)


def load_training(engine: Engine, sweep: str) -> Training:
    """Reads what there is of a sweep's attempts; never writes."""
    with engine.connect() as connection:
        query = text("SELECT options FROM sweeps WHERE name = :sweep")
        options = json.loads(connection.scalar(query, {"sweep": sweep}) or "{}")
        return Training(
            options,
            _curves(connection, sweep),
            _troubles(connection, sweep),
            _made(connection, sweep),
            _shares(connection, sweep),
        )


def _curves(connection: Connection, sweep: str) -> pd.DataFrame:
    losses = [f"epochs.{name}" for name in Training.LOSSES]
    query = text(
        f"SELECT runs.key AS run_key, epochs.epoch, {', '.join(losses)} {_FROM_RUNS} "
        "JOIN epochs ON epochs.attempt_id = attempts.id "
        f"WHERE attempts.id IN (SELECT MAX(attempt_id) FROM epochs JOIN attempts AS tried "
        f"ON tried.id = attempt_id WHERE tried.run_id IN ({_RUNS}) GROUP BY tried.run_id) "
        "ORDER BY runs.key, epochs.epoch"
    )
    rows = connection.execute(query, {"sweep": sweep})
    frame = pd.DataFrame(list(rows), columns=list(rows.keys()))
    return frame.astype(dict.fromkeys(Training.LOSSES, "float64"))


def _troubles(connection: Connection, sweep: str) -> list[dict[str, Any]]:
    query = text(
        f"SELECT runs.key, attempts.state, attempts.cause, attempts.traceback {_FROM_RUNS} "
        f"WHERE attempts.id IN ({_LATEST}) AND attempts.cause IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM scores WHERE scores.run_id = attempts.run_id) "
        "ORDER BY attempts.id"
    )
    return [
        {"run": key[:12], "state": state, "cause": cause, "traceback": (trace or "")[-_TRACEBACK:]}
        for key, state, cause, trace in connection.execute(query, {"sweep": sweep})
    ]


def _made(connection: Connection, sweep: str) -> dict[str, Any]:
    """On what, by which code, and in how long the sweep's runs were trained."""
    query = text(
        "SELECT attempts.pack, attempts.device, attempts.git_commit, attempts.versions, "
        f"attempts.seconds {_FROM_RUNS} WHERE attempts.run_id IN ({_RUNS}) ORDER BY attempts.id"
    )
    rows = connection.execute(query, {"sweep": sweep}).all()
    seconds = {row.pack: row.seconds for row in rows if row.seconds is not None}
    versions = dict.fromkeys(row.versions for row in rows if row.versions)
    return {
        "attempts": len(rows),
        "seconds": round(sum(seconds.values()), 1),  # a pack's, which its runs share
        "devices": _distinct(row.device for row in rows),
        "commits": _distinct(row.git_commit for row in rows),
        "versions": [json.loads(version) for version in versions],
    }


def _shares(connection: Connection, sweep: str) -> dict[str, float]:
    """Of runs whose latest attempt is open, as far as their packs have told."""
    query = text(
        f"SELECT runs.key, attempts.share {_FROM_RUNS} WHERE attempts.id IN ({_LATEST}) "
        "AND attempts.ended IS NULL AND attempts.share IS NOT NULL"
    )
    return {key: share for key, share in connection.execute(query, {"sweep": sweep})}


def _distinct(values: Any) -> list[str]:
    return sorted({value for value in values if value})
