"""From events to transactions, now or later: a database that cannot be written stops nobody.

What the database refuses for now waits in an fsynced file of JSON lines: beside the database, or
in the cache when that disk is full. Every line carries a checksum, so that a line torn by a crash
is left out and no other is.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, ProgrammingError

from sweeper.events import Closed, Event, Noted, Placed, Results, Started, from_json, to_json
from sweeper.failpoints import failpoint
from sweeper.ledger.connect import ledger_id
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger
from sweeper.storage.files import cache_root, make_private, private, sync_directory

RETRY_SECONDS = 2.0  # between two tries to store what waits


def store(ledger: Ledger, event: Event) -> None:
    """The transaction of an event. Repeated, only a note would be there twice."""
    match event:
        case Started():
            ledger.start_attempts(event.pack, event.runs, event.provenance)
        case Placed():
            ledger.place(event.pack, event.host, event.device, event.epochs)
        case Results():
            ledger.record(event.pack, event.results, event.seconds)
        case Closed():
            ledger.close_attempts(
                event.state, event.cause, traceback=event.traceback, pack=event.pack
            )
        case Noted():
            ledger.note(event.kind, event.detail)


def is_passing(error: Exception) -> bool:
    """Whether trying again later may help: a lock, a full disk, a lost connection."""
    lasting = (IntegrityError, ProgrammingError)
    return isinstance(error, DBAPIError | DatabaseError) and not isinstance(error, lasting)


class Outbox:
    """Stores events in order. What cannot be stored yet waits in a file, or in memory."""

    def __init__(self, ledger: Ledger, notify: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._notify = notify
        token = str(ledger.lease.token)
        self.paths = [Path(f"{prefix}{token}") for prefix in _prefixes(ledger)]
        self._in_use = 0  # which of the paths is next: those before it are full
        self._spooled: list[Event] = []
        self._unspooled: list[Event] = []  # when no disk has room
        self._next_try = 0.0

    @property
    def waiting(self) -> int:
        """Events that are not in the database yet."""
        return len(self._spooled) + len(self._unspooled)

    @property
    def in_memory(self) -> int:
        """Those of them that no file holds."""
        return len(self._unspooled)

    def deliver(self, event: Event) -> bool:
        """Stores an event, or keeps it for later. Raises only what no later try can mend.

        Returns whether the event would survive this process.

        While events wait, the database is asked every RETRY_SECONDS and not for each of them: a
        locked one lets each question wait.
        """
        if self.waiting and not (time.monotonic() >= self._next_try and self.drain()):
            return self._keep(event)
        try:
            store(self._ledger, event)
            return True
        except Exception as error:
            if not is_passing(error):
                raise
            self._next_try = time.monotonic() + RETRY_SECONDS
            kept = self._keep(event)
            self._explain(error)
            return kept

    def drain(self) -> bool:
        """Tries to store what waits; whether nothing waits any more."""
        waited = self.waiting
        try:
            for events in (self._spooled, self._unspooled):
                while events:
                    _store_late(self._ledger, events[0])
                    events.pop(0)
        except Exception as error:
            if not is_passing(error):
                raise
            self._next_try = time.monotonic() + RETRY_SECONDS
            return False
        if waited:
            self._notify("the database can be written again; what waited is stored")
        with contextlib.suppress(OSError):  # the next launch stores it once more and removes it
            for path in self.paths:
                path.unlink(missing_ok=True)
        self._in_use = 0
        return True

    def _keep(self, event: Event) -> bool:
        """Whether a file has it, and not this process's memory alone."""
        failpoint("spool:before-write")
        spooled = self._spool(event)
        if not spooled:
            self._unspooled.append(event)
        failpoint("spool:after-write")
        return spooled

    def _spool(self, event: Event) -> bool:
        """Writes the event to the first disk with room; never back to an earlier one, for order."""
        while not self._unspooled and self._in_use < len(self.paths):
            try:
                append_to_spool(self.paths[self._in_use], event)
            except OSError:
                self._in_use += 1
            else:
                self._spooled.append(event)
                return True
        return False

    def _explain(self, error: Exception) -> None:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        place = "memory alone" if self.in_memory else self.paths[self._in_use]
        self._notify(f"the database cannot be written ({reason}); results wait in {place}")


def drain_spools(ledger: Ledger) -> int:
    """Stores what earlier drivers of the sweep could not; returns how many events there were."""
    stored = 0
    for path in spools_of(*_named(ledger)):
        stored += sum(_store_late(ledger, event) for event in read_spool(path))
        if strange := strange_lines(path):
            kept = path.rename(f"{path}.refused")
            ledger.note("spool-refused", f"{strange} events of another version; see {kept}")
        path.unlink(missing_ok=True)
    return stored


def _store_late(ledger: Ledger, event: Event) -> bool:
    """Stores an event that has waited; one that no longer fits must not stop the others."""
    try:
        store(ledger, event)
    except Exception as error:
        if is_passing(error) or isinstance(error, FencedError):
            raise
        name = type(event).__name__.lower()
        ledger.note("spool-refused", f"{name}: {error}".splitlines()[0])
        return False
    return True


def spools_of(database: str | None, ledger: str, sweep_id: int) -> list[Path]:
    """The files that drivers of a sweep have left, oldest first.

    `database` is SQLite's file, or None; `ledger` the database's identity.
    """
    files = (
        (int(path.name.rpartition("-")[2]), place, path)
        for place, prefix in enumerate(_places(database, ledger, sweep_id))
        for path in prefix.parent.glob(f"{glob.escape(prefix.name)}*")
        if path.name.rpartition("-")[2].isdigit()
    )
    return [path for _, _, path in sorted(files)]


def _prefixes(ledger: Ledger) -> list[Path]:
    """What this sweep's drivers' files begin with."""
    return _places(*_named(ledger))


def _named(ledger: Ledger) -> tuple[str | None, str, int]:
    engine = ledger.engine
    database = engine.url.database if engine.dialect.name == "sqlite" else None
    return database, ledger_id(engine), ledger.sweep_id


def _places(database: str | None, ledger: str, sweep_id: int) -> list[Path]:
    """The same: beside a SQLite database, and in the cache."""
    name = f"spool-{sweep_id}-"
    cached = cache_root() / "spool" / f"{ledger}.{name}"
    return [cached] if database is None else [Path(f"{database}.{name}"), cached]


def append_to_spool(path: Path, event: Event) -> None:
    """Returns when the event would survive a power cut. Raises OSError on a full disk."""
    body = to_json(event)
    line = json.dumps({"sha256": _digest(body), "event": body})
    make_private(path.parent)
    with open(path, "ab", opener=private) as file:
        # A newline first: a torn line before this one must not swallow it.
        file.write(f"\n{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_spool(path: Path) -> list[Event]:
    """All events of a file that are whole, in order; none when there is no file."""
    events = (_event(body) for body in _whole_lines(path))
    return [event for event in events if event is not None]


def strange_lines(path: Path) -> int:
    """Lines of a file that are whole, and no event of this version."""
    return sum(_event(body) is None for body in _whole_lines(path))


def _whole_lines(path: Path) -> Iterator[str]:
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # torn
            record = json.loads(line)
            if _digest(record["event"]) == record["sha256"]:
                yield str(record["event"])


def _event(body: str) -> Event | None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        return from_json(body)
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
