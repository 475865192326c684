"""One driver a sweep: a lease with a heartbeat by the database's clock, and a fencing token.

Clocks jump, so a heartbeat that looks old proves nothing by itself. On the same machine the
process decides; from another machine the heartbeat is watched for a while before it is called
dead. Whoever is wrongly taken for dead can do no harm: its token is smaller than the new one,
and every transaction checks the token.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from sweeper.errors import SweepHeldError
from sweeper.failpoints import failpoint
from sweeper.ledger.process import Process
from sweeper.ledger.schema import LeaseRow, Sweep, db_now

# How long a silent driver on another machine keeps its sweep.
LEASE_SECONDS = float(os.environ.get("SWEEPER_LEASE_SECONDS", "30"))
BEATS_A_LEASE = 6

LIVE, GONE, UNKNOWN = "live", "gone", "unknown"


class FencedError(SweepHeldError):
    """Another driver has taken the sweep over; nothing more may be written."""


class MovedError(FencedError):
    """The database's file is gone or is another one; nothing more may be written."""

    exit_code = 1


@dataclass(frozen=True)
class Holder:
    """What a lease's row says of its driver at one moment of the database's clock."""

    token: int
    process: Process | None
    since: float
    heartbeat: float
    fresh: bool  # the heartbeat is neither old nor, after a clock jump, in the future

    @property
    def verdict(self) -> str:
        """live, gone (provably), or unknown."""
        if self.process is None:
            return GONE
        if not self.process.is_local:
            return LIVE if self.fresh else UNKNOWN
        if not self.process.alive:
            return GONE
        return UNKNOWN if self.process.stopped and not self.fresh else LIVE


def holders(session: Session) -> dict[int, Holder]:
    """Sweep id → the holder of its lease, of every sweep that ever had one."""
    now = session.scalar(select(db_now())) or 0.0
    return {row.sweep_id: _holder(row, now) for row in session.scalars(select(LeaseRow))}


def _holder(row: LeaseRow, now: float) -> Holder:
    process = None
    if row.host is not None and row.pid is not None:
        process = Process(row.host, row.pid, row.process or "")
    fresh = row.heartbeat - 1 <= now <= row.expires
    return Holder(row.token, process, row.since, row.heartbeat, fresh)


class Lease:
    """This driver's hold on a sweep. Use as a context: it beats inside and lets go at the end."""

    def __init__(self, engine: Engine, sweep_id: int, token: int, took_over: str | None) -> None:
        self.engine = engine
        self.sweep_id = sweep_id
        self.token = token
        self.took_over = took_over  # the driver before, when it did not let go by itself
        self.lost = threading.Event()
        self._fenced: FencedError | None = None  # why it is lost
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join(timeout=1)
        self._release()

    @contextmanager
    def transaction(self, patience: float | None = None) -> Iterator[Session]:
        """Raises FencedError unless this driver still holds the sweep when it commits.

        `patience`: seconds to wait for a locked database, when not as long as the engine would.
        """
        engine = self.engine
        if patience is not None:
            engine = engine.execution_options(patience=patience)
        row = select(LeaseRow.token).where(self._own).with_for_update(read=True)
        try:
            with Session(engine) as session, session.begin():
                if session.scalar(row) is None:
                    raise FencedError(
                        "another driver has taken this sweep over; this one has stopped"
                    )
                yield session
        except FencedError as error:
            self._fenced = error
            self.lost.set()
            raise

    def insist(self) -> None:
        """Raises FencedError when this driver has lost the sweep."""
        if self._fenced is not None:
            raise self._fenced

    def beat(self) -> None:
        """Tells the database that this driver lives."""
        beat = {"heartbeat": db_now(), "expires": db_now() + LEASE_SECONDS}
        with self.transaction() as session:
            session.execute(update(LeaseRow).where(self._own).values(**beat))

    @property
    def _own(self) -> ColumnElement[bool]:
        return and_(LeaseRow.sweep_id == self.sweep_id, LeaseRow.token == self.token)

    def _beat_on(self) -> None:
        while not self._over.wait(LEASE_SECONDS / BEATS_A_LEASE):
            try:
                self.beat()
            except FencedError:
                return
            except DBAPIError:
                continue  # locked or out of reach: nobody else can take the sweep either

    def _release(self) -> None:
        let_go = {"host": None, "pid": None, "process": None, "expires": db_now()}
        try:
            with Session(self.engine) as session, session.begin():
                session.execute(update(LeaseRow).where(self._own).values(**let_go))
        except (DBAPIError, MovedError):
            pass  # the process ends: that is as good as letting go


def claim(engine: Engine, name: str) -> Lease:
    """Takes the sweep of that name, which is made when it is new.

    Raises SweepHeldError when another driver has it. A driver of another machine that looks dead
    is watched for two heartbeats first.
    """
    try:
        return _claim(engine, name)
    except IntegrityError:  # another driver made the sweep in the same moment
        return _claim(engine, name)


def _claim(engine: Engine, name: str) -> Lease:
    seen: float | None = None
    failpoint("claim:begin")
    while True:
        with Session(engine) as session, session.begin():
            sweep = _sweep(session, name)
            row = session.get(LeaseRow, sweep.id, with_for_update=True)
            now = session.scalar(select(db_now())) or 0.0
            holder = None if row is None else _holder(row, now)
            if holder is None or _may_take(holder, name, seen):
                lease = Lease(engine, sweep.id, *_take(session, sweep.id, row, holder))
                failpoint("claim:before-commit")
                break
            seen = holder.heartbeat
        time.sleep(2.5 * LEASE_SECONDS / BEATS_A_LEASE)
    failpoint("claim:after-commit")
    return lease


def _may_take(holder: Holder, name: str, seen: float | None) -> bool:
    """Whether to take now (True) or to watch (False); raises SweepHeldError when neither."""
    if holder.verdict == GONE:
        return True
    process = holder.process
    assert process is not None
    if holder.verdict == LIVE or seen not in (None, holder.heartbeat):
        since = datetime.fromtimestamp(holder.since).astimezone().isoformat(" ", "seconds")
        raise SweepHeldError(
            f"another driver holds sweep '{name}': host {process.host}, process {process.pid}, "
            f"since {since}; wait for it, or stop it and launch again"
        )
    return seen is not None or process.is_local  # a stopped process needs no watching


def _take(
    session: Session, sweep_id: int, row: LeaseRow | None, holder: Holder | None
) -> tuple[int, str | None]:
    """Writes this process into the lease; (token, whom it was taken from)."""
    process = Process.current()
    token = 1 if row is None else row.token + 1
    mine = {
        "token": token,
        "host": process.host,
        "pid": process.pid,
        "process": process.identity,
        "since": db_now(),
        "heartbeat": db_now(),
        "expires": db_now() + LEASE_SECONDS,
    }
    if row is None:
        session.add(LeaseRow(sweep_id=sweep_id, **mine))
    else:
        session.execute(update(LeaseRow).where(LeaseRow.sweep_id == sweep_id).values(**mine))
    session.flush()
    before = None if holder is None else holder.process
    return token, None if before is None else f"{before.host}, process {before.pid}"


def _sweep(session: Session, name: str) -> Sweep:
    sweep = session.scalar(select(Sweep).where(Sweep.name == name))
    if sweep is None:
        sweep = Sweep(name=name, options="{}", launch=next_launch(session))
        session.add(sweep)
        session.flush()
    return sweep


def next_launch(session: Session) -> int:
    """One more than any launch of any sweep so far."""
    return 1 + (session.scalar(select(func.max(Sweep.launch))) or 0)
