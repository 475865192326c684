"""Who watches a sweep from outside: what its database holds, what status says, whether it moves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sweeper.commands.status import look
from sweeper.errors import SweeperError
from sweeper.ledger.connect import open_reader
from tests.faults.history import History

LOOK_SECONDS = 1.0

STORED = """SELECT runs.key, scores.run_id, scores.attempt_id FROM scores
    JOIN runs ON runs.id = scores.run_id ORDER BY scores.attempt_id"""
BEGUN = """SELECT attempts.id, runs.key, attempts.from_epoch FROM attempts
    JOIN runs ON runs.id = attempts.run_id WHERE attempts.device = 'cpu' ORDER BY attempts.id"""
SCORES = (
    "SELECT mse, gamma, best_epoch, valid_rec, valid_size, test_size FROM scores WHERE run_id = :r",
    "SELECT part, task, subspace, accuracy FROM accuracies WHERE run_id = :r ORDER BY 1, 2, 3",
    "SELECT part, task, subspace, classes FROM predictions WHERE run_id = :r ORDER BY 1, 2, 3",
)
EPOCHS = "SELECT * FROM epochs WHERE attempt_id = :a ORDER BY epoch"


def result_of(connection: Connection, run: int, attempt: int) -> dict[str, Any]:
    """A stored run: its first and last epoch and how many, and a digest of it all, to the bit."""
    epochs = [row[1:] for row in connection.execute(text(EPOCHS), {"a": attempt})]
    scored = [list(map(tuple, connection.execute(text(sql), {"r": run}))) for sql in SCORES]
    body = repr((scored, epochs)).encode()
    ends = [epochs[0][0], epochs[-1][0], len(epochs)] if epochs else []
    return {"epochs": ends, "digest": _digest(body)}


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def digests(db: str) -> dict[str, str]:
    """Run key → digest, of every run that a database has stored."""
    engine = open_reader(db)
    with engine.connect() as connection:
        rows = connection.execute(text(STORED)).all()
        found = {key: result_of(connection, *ids)["digest"] for key, *ids in rows}
    engine.dispose()
    return found


class Witness:
    """Looks again and again while used as a context, and tells the history what is new."""

    def __init__(
        self, db: str, storage: Path, history: History, drivers: Callable[[], list[int]]
    ) -> None:
        self.planned: set[str] = set()
        self.stored: set[str] = set()
        self.placed: set[int] = set()  # attempts
        self._drivers = drivers  # processes whose children are signs of life
        self._db, self._storage, self._history = db, storage, history
        self.moved = 0.0  # when the last sign was, by the monotonic clock
        self._movement_before = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.scan()
            self._look()

    def _look(self) -> None:
        """What `sweeper status --json` counts, between two scans of what is there."""
        self._history.add("status", "invoke")
        try:
            counts = look(self._db, None).counts
        except (SweeperError, DBAPIError) as error:  # not there yet, locked, or its server is down
            self._history.add("status", "unknown", error=str(error).splitlines()[0])
            return
        self.scan()
        shown = {name: counts[name] for name in ("finished", "running", "runs")}
        self._history.add("status", "ok", **shown)

    def scan(self) -> None:
        with self._lock:
            if (moved := self._movement()) != self._movement_before:
                self._history.add("sign")
                self.moved = time.monotonic()
            self._movement_before = moved
            try:
                engine = open_reader(self._db)
            except (SweeperError, DBAPIError):
                return
            try:
                with engine.connect() as connection:
                    self._scan(connection)
            except (SweeperError, DBAPIError):  # locked meanwhile, or its server has died
                return
            finally:
                engine.dispose()

    def _scan(self, connection: Connection) -> None:
        planned = {key for (key,) in connection.execute(text("SELECT key FROM runs"))}
        if new := planned - self.planned:
            self._history.add("planned", keys=sorted(new))
        self.planned |= new
        for attempt, key, from_epoch in connection.execute(text(BEGUN)).all():
            if attempt not in self.placed:
                self._history.add("attempt", attempt=attempt, key=key, from_epoch=from_epoch)
                self.placed.add(attempt)
        for key, run, attempt in connection.execute(text(STORED)).all():
            if key not in self.stored:
                result = result_of(connection, run, attempt)
                self._history.add("stored", key=key, attempt=attempt, **result)
                self.stored.add(key)

    def _movement(self) -> str:
        """What changes as work gets done, whatever heartbeats do.

        Workers' files, how many processes there are, and how many seconds workers have computed.
        """
        files = {}
        for path in self._storage.rglob("*"):
            try:
                files[str(path)] = path.stat().st_mtime_ns
            except OSError:
                continue
        processes = [child for pid in self._drivers() for child in _children(pid)]
        seconds = sum(_seconds(child) for child in processes)
        return _digest(json.dumps([files, len(processes), int(seconds)]).encode())


def _children(driver: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(driver).children(recursive=True)
    return []


def _seconds(process: psutil.Process) -> float:
    """Of the processor, if it is a worker."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.name().startswith(("ray::Implicit", "ray::IDLE")):
            return process.cpu_times().user
    return 0.0
