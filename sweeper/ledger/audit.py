"""Whether a results database holds together: its pages, its rows, and the sums that they imply."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Engine, and_, func, or_, select, text
from sqlalchemy.orm import Session

from analysis.predictions import unpack
from sweeper.errors import SweeperError
from sweeper.findings import Audit, Finding, some
from sweeper.ledger import read
from sweeper.ledger.clips import latents_with_clips, probe_clips
from sweeper.ledger.lease import holders
from sweeper.ledger.schema import (
    Accuracy,
    Attempt,
    CellRow,
    Prediction,
    Run,
    Score,
    Sweep,
)
from sweeper.states import State
from sweeper.study.config import RunConfig

PLACE = "ledger"
ROUNDING = 1e-5  # accuracies are means in float32


def broken_pages(engine: Engine) -> str | None:
    """What SQLite finds wrong with the file itself; None where all of it can be read."""
    if engine.dialect.name != "sqlite":
        return None  # PostgreSQL checks its own
    with engine.connect() as connection:
        answer = str(connection.scalar(text("PRAGMA integrity_check(1)")))
    return None if answer == "ok" else answer.splitlines()[-1]


def audit(engine: Engine) -> Audit:
    """Everything that the database says, held against everything else that it says."""
    tables = {"cells": CellRow, "runs": Run, "attempts": Attempt, "scores": Score}
    tables |= {"accuracies": Accuracy, "predictions": Prediction}
    checks = (_dangling, _keys, _unscored, _scores, _accuracies, _left_open)
    with Session(engine) as session:
        counts = {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in tables.items()
        }
        findings = [finding for check in checks for finding in check(session)]
    return Audit(PLACE, counts, findings)


def _dangling(session: Session) -> Iterator[Finding]:
    if session.get_bind().dialect.name != "sqlite":
        return
    broken: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, row, parent, _ in session.execute(text("PRAGMA foreign_key_check")):
        broken[table, parent].append(str(row))
    for (table, parent), rows in broken.items():
        yield Finding(PLACE, f"rows of {table} belong to no row of {parent}", some(rows))


def _keys(session: Session) -> Iterator[Finding]:
    """A run's key is the digest of its config: of an altered one nobody knows what it trained."""
    wrong = []
    for key, config in session.execute(select(Run.key, Run.config)).yield_per(1_000):
        try:
            is_right = RunConfig.from_json(config).key == key
        except SweeperError:
            is_right = False
        if not is_right:
            wrong.append(key)
    yield from _of_runs("configs are not those that their keys were made of", wrong)


def _unscored(session: Session) -> Iterator[Finding]:
    """Such a run counts as done, and no launch would train it."""
    latest = select(func.max(Attempt.id)).group_by(Attempt.run_id)
    query = (
        select(Run.key)
        .join(Attempt, Attempt.run_id == Run.id)
        .outerjoin(Score, Score.run_id == Run.id)
        .where(Attempt.id.in_(latest), Attempt.state == State.FINISHED, Score.run_id.is_(None))
    )
    yield from _of_runs("runs are finished and have no scores", session.scalars(query))


def _scores(session: Session) -> Iterator[Finding]:
    query = select(Run.key).join(Score, Score.run_id == Run.id)
    of_another = or_(Attempt.state != State.FINISHED, Attempt.run_id != Score.run_id)
    owner = query.join(Attempt, Attempt.id == Score.attempt_id).where(of_another)
    yield from _of_runs("scores are of an attempt that did not finish", session.scalars(owner))
    probed = select(Accuracy.run_id).where(Accuracy.run_id == Score.run_id).exists()
    yield from _of_runs("scores have no accuracy", session.scalars(query.where(~probed)))


def _accuracies(session: Session) -> Iterator[Finding]:
    """An accuracy is the mean correctness of what its probe said, where that was kept."""
    same = [
        getattr(Prediction, name) == getattr(Accuracy, name)
        for name in ("run_id", "part", "task", "subspace")
    ]
    columns = (Run.key, Run.config, Prediction.part, Prediction.task, Prediction.classes)
    query = (
        select(*columns, Accuracy.accuracy)
        .join(Run, Run.id == Prediction.run_id)
        .outerjoin(Accuracy, and_(*same))
    )
    labels_of = _labels(session)
    wrong = dict[str, None]()
    for key, config, part, task, classes, accuracy in session.execute(query).yield_per(1_000):
        labels = labels_of(_latents(config), part).get(task)
        if accuracy is None or (labels is not None and not _is_mean(accuracy, classes, labels)):
            wrong[key] = None
    yield from _of_runs("accuracies are not what their probes' predictions give", wrong)


def _labels(session: Session) -> Any:
    """A function (latents, part) → task → what is to be said of each clip; nothing if unknown."""
    engine = session.get_bind().engine
    known = latents_with_clips(engine)

    @cache
    def clips(latents: str) -> Any:
        return probe_clips(engine, latents)

    @cache
    def labels(latents: str, part: str) -> Mapping[str, Any]:
        if latents not in known:
            return {}
        of_part = clips(latents)[clips(latents)["part"] == part]
        return {task: of_part[task].to_numpy() for task in of_part.columns}

    return labels


def _latents(config: str) -> str:
    try:
        return str(json.loads(config)["data"]["fingerprint"])
    except (ValueError, KeyError, TypeError):
        return ""  # told by `_keys`


def _is_mean(accuracy: float, classes: bytes, labels: Any) -> bool:
    try:
        said = unpack(classes, labels)
    except ValueError:
        return False
    return abs(float(np.mean(said == labels)) - accuracy) < ROUNDING


def _left_open(session: Session) -> Iterator[Finding]:
    drivers = holders(session)
    columns = (Sweep.name, Attempt.sweep_id, Attempt.token, Attempt.state)
    query = select(*columns).join(Sweep).where(Attempt.state == State.RUNNING)
    left: dict[str, int] = defaultdict(int)
    for row in session.execute(query):
        if read.state_of(row, drivers.get(row.sweep_id)) == State.INTERRUPTED:
            left[row.name] += 1
    for sweep, count in left.items():
        detail = f"{count} of sweep '{sweep}'"
        what = "attempts were left running by a driver that is gone"
        yield Finding(PLACE, what, detail, "closes them as interrupted", sweep)


def _of_runs(what: str, keys: Iterable[str]) -> Iterator[Finding]:
    if short := [key[:12] for key in keys]:
        yield Finding(PLACE, what, f"{len(short)}: {some(short)}")
