"""Writing to the results database: plans, attempts and results, each in one transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from analysis.predictions import stored
from sweeper.errors import SweeperError, redact
from sweeper.events import Provenance, RunResult
from sweeper.failpoints import failpoint
from sweeper.ledger import read
from sweeper.ledger.lease import Lease, claim, next_launch
from sweeper.ledger.schema import (
    PARTS,
    SUBSPACES,
    Accuracy,
    Attempt,
    CellRow,
    Epoch,
    HistoryRow,
    Map,
    MapPoint,
    Measure,
    Meta,
    Prediction,
    ProbeClip,
    Run,
    Score,
    Sweep,
)
from sweeper.states import State
from sweeper.study.config import RunConfig, canonical_json
from sweeper.study.grid import Cell
from sweeper.study.plan import conflict

# An attempt by which a run was claimed, and which has not started.
_CLAIMED = and_(Attempt.state == State.PENDING, Attempt.ended.is_(None))
TO_RETRAIN = "to be trained again, as a user asked"


class Ledger:
    """The driver's handle on one sweep. All methods commit before they return.

    Every transaction first checks that this driver still holds the sweep (FencedError).
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.engine = lease.engine
        self.sweep_id = lease.sweep_id

    @classmethod
    @contextmanager
    def of(cls, engine: Engine, name: str) -> Iterator[Ledger]:
        """Holds the sweep of that name; SweepHeldError when another driver does."""
        with claim(engine, name) as lease:
            ledger = cls(lease)
            if lease.took_over:
                ledger.note("taken-over", f"from {lease.took_over}, which did not let go")
            yield ledger

    def register(
        self,
        options: Mapping[str, Any],
        cells: Iterable[tuple[Cell, RunConfig]],
        extra_runs: Iterable[RunConfig] = (),
    ) -> None:
        """Adds what is new of the sweep's cells and runs.

        Raises SweeperError when the sweep already has a cell of that label with another config;
        a sweep of whose runs none was ever tried is registered anew.
        """
        cells = list(cells)
        with self._transaction("register") as session:
            sweep = _launched(session, self.sweep_id, options)
            if message := conflict(sweep.name, _configs_of(session, sweep.id), cells):
                if read.is_tried(session, sweep.id):
                    raise SweeperError(message)
                session.execute(delete(CellRow).where(CellRow.sweep_id == sweep.id))
            labels = set(_configs_of(session, sweep.id))
            for cell, config in cells:
                run = _run(session, config)
                if cell.label not in labels:
                    session.add(_cell_row(sweep.id, run.id, cell))
            for config in extra_runs:
                _run(session, config)

    def annotate(self, note: str | None, git_commit: str | None, git_dirty: bool | None) -> None:
        """What a user says of the sweep, unless it is None, and the commit launched from."""
        values: dict[str, Any] = {"git_commit": git_commit, "git_dirty": git_dirty}
        if note is not None:
            values["note"] = note
        with self._transaction("annotate") as session:
            session.execute(update(Sweep).where(Sweep.id == self.sweep_id).values(**values))

    def claim_runs(self, pack: str, keys: Sequence[str], provenance: Provenance) -> set[str]:
        """Opens a pending attempt for every run of a pack that is free (see read.taken_in).

        Returns the keys of those runs: of two sweeps that share a run, one trains it.
        """
        with self._transaction("claim-runs") as session:
            session.execute(select(Run.id).where(Run.key.in_(keys)).with_for_update()).all()
            taken = read.taken_in(session, keys, self.sweep_id)
            for key, run_id in _run_ids(session, keys).items():
                if key not in taken:
                    session.add(self._attempt(run_id, pack, provenance, State.PENDING))
        return set(keys) - taken

    def start_attempts(self, pack: str, keys: Sequence[str], provenance: Provenance) -> None:
        """Opens one attempt for every run of a pack, or the one by which the run was claimed.

        A repeated start changes nothing.
        """
        claimed = update(Attempt).where(Attempt.pack == pack, _CLAIMED)
        with self._transaction("start") as session:
            if session.scalar(select(Attempt.id).where(Attempt.pack == pack).limit(1)) is None:
                for run_id in _run_ids(session, keys).values():
                    session.add(self._attempt(run_id, pack, provenance))
            session.execute(claimed.values(state=State.RUNNING, started=func.now()))

    def place(self, pack: str, host: str, device: str, epochs: Mapping[str, int]) -> None:
        """Notes where a pack's attempts run and from which checkpointed epoch each goes on."""
        mine = update(Attempt).where(Attempt.pack == pack)
        with self._transaction("place") as session:
            session.execute(mine.values(host=host, device=device))
            ids = _run_ids(session, [key for key, epoch in epochs.items() if epoch])
            for key, run_id in ids.items():
                resumed = mine.where(Attempt.run_id == run_id)
                session.execute(resumed.values(from_epoch=epochs[key]))

    def record(self, pack: str, results: Sequence[RunResult], seconds: float | None) -> None:
        """Stores results of a pack, all or none. A run that has scores keeps them."""
        with self._transaction("record") as session:
            run_ids = _run_ids(session, [result.key for result in results])
            for result in results:
                if attempt := self._open_attempt(session, run_ids[result.key], pack):
                    attempt.seconds = seconds
                    _store(session, attempt, result)

    def close_attempts(
        self,
        state: State,
        cause: str,
        *,
        traceback: str | None = None,
        pack: str | None = None,
    ) -> int:
        """Closes the running attempts of a pack, or of the sweep; returns how many there were.

        Runs that were claimed and never started stay pending.
        """
        ours = update(Attempt).where(Attempt.sweep_id == self.sweep_id)
        if pack is not None:
            ours = ours.where(Attempt.pack == pack)
        running, claimed = ours.where(Attempt.state == State.RUNNING), ours.where(_CLAIMED)
        end = {"state": state, "cause": cause, "traceback": traceback, "ended": func.now()}
        with self._transaction("close") as session:
            session.execute(claimed.values(cause="never started", ended=func.now()))
            return int(session.execute(running.values(**end)).rowcount)  # type: ignore[attr-defined]

    def rename(self, ledger: str) -> None:
        """Gives the database another identity."""
        with self._transaction("rename") as session:
            session.execute(update(Meta).values(ledger=ledger))

    def note(self, kind: str, detail: str) -> None:
        """Adds an event to the sweep's history."""
        with self._transaction("note") as session:
            session.add(self._event(kind, redact(detail)))

    def forget(self) -> None:
        """Takes the sweep's cells away and frees its name; runs, attempts and scores stay."""
        with self._transaction("forget") as session:
            mine = delete(CellRow).where(CellRow.sweep_id == self.sweep_id)
            cells = session.execute(mine).rowcount  # type: ignore[attr-defined]
            sweep = session.get_one(Sweep, self.sweep_id)
            session.add(self._event("forgotten", f"'{sweep.name}' and its {cells} cells"))
            now = datetime.now(UTC).isoformat(" ", "seconds").removesuffix("+00:00")
            # The id: names are unique, and a name can be forgotten twice in a second.
            sweep.name = f"{sweep.name} (forgotten {now}, sweep {sweep.id})"

    def retrain(self, cells: Mapping[str, str]) -> None:
        """Takes back what runs scored (run key → a cell's label), so that they are trained again.

        The numbers stay in the sweep's history, and the attempts are as they were.
        """
        pack = f"retrain-{uuid.uuid4().hex}"
        with self._transaction("retrain") as session:
            for key, run_id in _run_ids(session, list(cells)).items():
                detail: dict[str, Any] = {"run": key, "cell": cells[key], "scores": None}
                if scores := _take_back(session, run_id):
                    detail["scores"] = scores
                session.add(self._event("retrain", json.dumps(detail, sort_keys=True)))
                # Without it the run would look as its latest attempt ended: finished, say.
                mark = self._attempt(run_id, pack, Provenance())
                mark.state, mark.cause, mark.ended = State.PENDING, TO_RETRAIN, func.now()
                session.add(mark)

    def _event(self, kind: str, detail: str) -> HistoryRow:
        return HistoryRow(sweep_id=self.sweep_id, kind=kind, detail=detail)

    def store_clips(self, latents: str, clips: Sequence[Mapping[str, Any]]) -> None:
        """Stores the probes' clips of some latents, rows of `clips`, unless they are there."""
        there = select(ProbeClip.position).where(ProbeClip.latents == latents).limit(1)
        with self._transaction("clips") as session:
            if session.scalar(there) is None:
                session.execute(insert(ProbeClip), [{"latents": latents, **row} for row in clips])

    def store_map(self, drawn: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
        """Stores a map, a row of `maps` with those of `map_points`, in an older one's place."""
        same = select(Map.id).where(Map.latents == drawn["latents"], Map.method == drawn["method"])
        with self._transaction("map") as session:
            session.execute(delete(MapPoint).where(MapPoint.map_id.in_(same)))
            session.execute(delete(Map).where(Map.id.in_(same)))
            session.add(row := Map(**drawn))
            session.flush()
            session.execute(insert(MapPoint), [{"map_id": row.id, **point} for point in points])

    @contextmanager
    def _transaction(self, step: str) -> Iterator[Session]:
        failpoint(f"{step}:begin")
        with self.lease.transaction() as session:
            yield session
            session.flush()
            failpoint(f"{step}:before-commit")
        failpoint(f"{step}:after-commit")

    def _attempt(
        self, run_id: int, pack: str, provenance: Provenance, state: State = State.RUNNING
    ) -> Attempt:
        return Attempt(
            run_id=run_id,
            sweep_id=self.sweep_id,
            token=self.lease.token,
            pack=pack,
            state=state,
            host=provenance.host,
            device=provenance.device,
            git_commit=provenance.git_commit,
            git_dirty=provenance.git_dirty,
            versions=json.dumps(provenance.versions, sort_keys=True),
        )

    def _open_attempt(self, session: Session, run_id: int, pack: str) -> Attempt | None:
        """The attempt that a result belongs to, or None when it was recorded already.

        The start of an attempt may have been lost, and its driver may have died before the
        result came: both make no difference to a result.
        """
        of_run = select(Attempt).where(Attempt.run_id == run_id, Attempt.pack == pack)
        attempt = session.scalar(of_run.order_by(Attempt.id.desc()).limit(1))
        if attempt is None:
            attempt = self._attempt(run_id, pack, Provenance())
            session.add(attempt)
        claimed = attempt.state == State.PENDING and attempt.ended is None
        return attempt if claimed or attempt.state in (State.RUNNING, State.INTERRUPTED) else None


def _store(session: Session, attempt: Attempt, result: RunResult) -> None:
    attempt.state, attempt.cause, attempt.traceback = result.state, result.cause, result.traceback
    attempt.ended = func.now()
    if result.engine:
        versions = json.loads(attempt.versions or "{}")
        attempt.versions = json.dumps({**versions, "engine": result.engine}, sort_keys=True)
    session.flush()  # gives a new attempt its id
    session.execute(delete(Epoch).where(Epoch.attempt_id == attempt.id))  # told on the way
    for number, losses in enumerate(result.epochs, start=1):
        session.add(Epoch(attempt_id=attempt.id, epoch=number, **losses))
    if result.state == State.FINISHED and session.get(Score, attempt.run_id) is None:
        _score(session, attempt, result)


def _score(session: Session, attempt: Attempt, result: RunResult) -> None:
    columns = Score.__table__.columns.keys()
    scores = result.scores or {}
    of_run = {"run_id": attempt.run_id}
    alone = {name: value for name, value in scores.items() if name in columns}
    rows: list[Accuracy | Prediction | Measure] = [
        Accuracy(**of_run, **_probe(name), accuracy=value)
        for name, value in scores.items()
        if name not in columns and value is not None
    ]
    for name, packed in (result.predictions or {}).items():
        rows.append(Prediction(**of_run, **_probe(name), classes=stored(packed)))
    for name, value in (result.measures or {}).items():
        rows.append(Measure(**of_run, name=name, value=value))
    session.add(Score(**of_run, attempt_id=attempt.id, **alone))
    session.flush()  # the rows belong to it
    session.add_all(rows)


def _probe(name: str) -> dict[str, str]:
    """The probe that an accuracy's name is of: `valid_pitch_private`, say."""
    prefix = next((prefix for prefix in PARTS if prefix and name.startswith(prefix)), "")
    task, _, subspace = name.removeprefix(prefix).rpartition("_")
    if not task or subspace not in SUBSPACES:
        raise ValueError(f"'{name}' is no score")
    return {"part": PARTS[prefix], "task": task, "subspace": subspace}


def _take_back(session: Session, run_id: int) -> dict[str, Any] | None:
    """Deletes what a run scored; returns it by name, or None where it has no scores."""
    score = session.get(Score, run_id)
    if score is None:
        return None
    columns = Score.__table__.columns.keys()
    scores = {name: getattr(score, name) for name in columns}
    prefixes = {part: prefix for prefix, part in PARTS.items()}
    for row in session.scalars(select(Accuracy).where(Accuracy.run_id == run_id)):
        scores[f"{prefixes[row.part]}{row.task}_{row.subspace}"] = row.accuracy
    for seen in session.scalars(select(Measure).where(Measure.run_id == run_id)):
        scores[seen.name] = seen.value
    session.execute(delete(Score).where(Score.run_id == run_id))  # and what belongs to it
    return scores


def _launched(session: Session, sweep_id: int, options: Mapping[str, Any]) -> Sweep:
    sweep = session.get_one(Sweep, sweep_id)
    sweep.options = json.dumps(options, sort_keys=True)
    sweep.launched, sweep.launch = func.now(), next_launch(session)
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


def _configs_of(session: Session, sweep_id: int) -> dict[str, RunConfig]:
    """The runs of a sweep's cells, by label."""
    query = select(CellRow.label, Run.config).join(Run).where(CellRow.sweep_id == sweep_id)
    return {label: RunConfig.from_json(config) for label, config in session.execute(query)}


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
        point=canonical_json(cell.point),
    )


def _run_ids(session: Session, keys: Sequence[str]) -> dict[str, int]:
    rows = session.execute(select(Run.key, Run.id).where(Run.key.in_(keys)).order_by(Run.id))
    return {key: run_id for key, run_id in rows}
