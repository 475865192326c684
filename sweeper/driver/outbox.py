"""From events to transactions, now or later: a database that cannot be written stops nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, ProgrammingError

from sweeper.driver.spool import Spool, spool_path, spools_of
from sweeper.failpoints import failpoint
from sweeper.ledger.lease import FencedError
from sweeper.ledger.write import Ledger, Provenance, RunResult

Event = dict[str, Any]


def store(ledger: Ledger, event: Event) -> None:
    """The transaction of an event. A repetition changes nothing, so events may be replayed."""
    match event["event"]:
        case "started":
            provenance = Provenance(**event["provenance"])
            ledger.start_attempts(event["pack"], event["runs"], provenance)
        case "placed":
            ledger.place(event["pack"], event["host"], event["device"], event["epochs"])
        case "results":
            results = [RunResult(**result) for result in event["results"]]
            ledger.record(event["pack"], results, event["seconds"])
        case "closed":
            ends = {name: event.get(name) for name in ("traceback", "pack")}
            ledger.close_attempts(event["state"], event["cause"], **ends)
        case "noted":
            ledger.note(event["kind"], event["detail"])


def is_passing(error: Exception) -> bool:
    """Whether trying again later may help: a lock, a full disk, a lost connection."""
    lasting = (IntegrityError, ProgrammingError)
    return isinstance(error, DBAPIError | DatabaseError) and not isinstance(error, lasting)


class Backlog:
    """Stores events in order. What the database refuses for now waits in a spool file."""

    def __init__(self, ledger: Ledger, notify: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._notify = notify
        path = spool_path(ledger.engine, ledger.sweep_id, ledger.lease.token)
        self._spool = Spool(path)
        self._unspooled: list[Event] = []  # when not even the spool has room

    @property
    def waiting(self) -> int:
        """Events that are not in the database yet."""
        return self._spool.waiting + len(self._unspooled)

    def take(self, event: Event) -> None:
        """Stores an event, or keeps it for later. Raises only what no later try can mend."""
        if self.waiting and not self.drain():
            self._keep(event)
            return
        try:
            store(self._ledger, event)
        except Exception as error:
            if not is_passing(error):
                raise
            self._tell(error)
            self._keep(event)

    def drain(self) -> bool:
        """Tries to store what waits; whether nothing waits any more."""
        try:
            for event in (*self._spool.read(), *self._unspooled):
                store(self._ledger, event)
        except Exception as error:
            if not is_passing(error):
                raise
            return False
        if self.waiting:
            self._notify("the database can be written again; what waited is stored")
        self._spool.clear()
        self._unspooled.clear()
        return True

    def _keep(self, event: Event) -> None:
        failpoint("spool:before-write")
        try:
            if self._unspooled:
                raise OSError("no room")
            self._spool.append(event)
        except OSError:
            self._unspooled.append(event)
        failpoint("spool:after-write")

    def _tell(self, error: Exception) -> None:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        self._notify(
            f"the database cannot be written ({reason}); results wait in {self._spool.path}"
        )


def drain_spools(ledger: Ledger) -> int:
    """Stores what earlier drivers of the sweep could not; returns how many events there were."""
    stored = 0
    for path in spools_of(ledger.engine, ledger.sweep_id):
        spool = Spool(path)
        for event in spool.read():
            stored += _store_late(ledger, event)
        spool.clear()
    return stored


def _store_late(ledger: Ledger, event: Event) -> bool:
    """Stores an event of a driver that is gone; one that no longer fits must not stop this one."""
    try:
        store(ledger, event)
    except Exception as error:
        if is_passing(error) or isinstance(error, FencedError):
            raise
        ledger.note("spool-refused", f"{event.get('event')}: {error}".splitlines()[0])
        return False
    return True
