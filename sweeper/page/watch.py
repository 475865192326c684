"""The newest documents of a database, made while somebody looks, and never by a held connection."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.document import EMPTY, judged
from analysis.results import Results
from sweeper.errors import SweeperError
from sweeper.ledger.connect import open_reader
from sweeper.ledger.overview import overviews
from sweeper.ledger.url import database_url
from sweeper.page.document import document_of
from sweeper.page.live import fingerprint, newest_grid, standings
from sweeper.states import State

EVERY = 2.0  # seconds at least from one document to the next
PATIENCE = 5.0  # seconds after which time alone may have changed what is true
KEPT = 8  # choices of sweeps whose documents are kept

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Made:
    """A document, and what it was made of."""

    document: dict[str, Any]
    body: bytes  # as JSON
    version: str  # other bytes, another version
    counts: list[Any] | None  # of the database, when its sweeps were read
    stamp: Stamp  # of the file then
    at: float  # when, by the monotonic clock

    @property
    def may_age(self) -> bool:
        """Whether time alone can change what it says: a driver may die, a lock be lifted."""
        live = self.document["live"]
        open_states = {State.RUNNING, State.UNKNOWN}
        return bool(live["trouble"]) or any(
            open_states & {row["state"], *row["states"]} for row in live["sweeps"]
        )


class Watch:
    """The newest document for each choice of sweeps that somebody looks at."""

    def __init__(self, db: str, names: Sequence[str]) -> None:
        self._db, self._names = db, tuple(names)
        url = database_url(db)
        self._path = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self._kept: dict[tuple[str, ...], Made] = {}
        self._claims: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def newest(self, names: tuple[str, ...]) -> Made:
        """The document of these sweeps, or of those that the page is of; at most EVERY seconds old
        where the database has changed."""
        names = names or self._names
        async with self._one_at_a_time:
            made = self._kept.pop(names, None)
            if made is None or self._is_old(made):
                made = await asyncio.to_thread(self._make, names, made)
            self._kept[names] = made
            for forgotten in list(self._kept)[:-KEPT]:
                del self._kept[forgotten]
            return made

    def is_newest(self, made: Made, settled: float) -> bool:
        """Whether the database has not changed since that was read, which is some seconds ago."""
        return self._stamp() == made.stamp and time.monotonic() - made.at > settled

    def _is_old(self, made: Made) -> bool:
        age = time.monotonic() - made.at
        if age < EVERY:
            return False
        may_age = made.may_age or self._path is None
        return self._stamp() != made.stamp or (may_age and age > PATIENCE)

    def _stamp(self) -> Stamp:
        """Changes with every commit; of a database server, which has no file, it says nothing."""
        if self._path is None:
            return (None,)
        return tuple(map(_stamp_of, (self._path, self._path.with_name(f"{self._path.name}-wal"))))

    def _make(self, names: tuple[str, ...], before: Made | None) -> Made:
        stamp = self._stamp()  # first: what is committed while this reads is seen the next time
        counts = before.counts if before else None
        try:
            document, counts = self._read(names, before)
        except Exception as error:  # whatever becomes of the database, the page stays and says so
            known = str(error) if isinstance(error, SweeperError) else repr(error)
            document = dict(before.document) if before else dict(EMPTY)
            document["live"] = {"sweeps": [], **(document["live"] or {}), "trouble": known}
        body = json.dumps(document, separators=(",", ":")).encode()
        version = hashlib.sha256(body).hexdigest()[:16]
        return Made(document, body, version, counts, stamp, time.monotonic())

    def _read(
        self, names: tuple[str, ...], before: Made | None
    ) -> tuple[dict[str, Any], list[Any]]:
        engine = open_reader(self._db)
        try:
            shown = names or tuple(newest_grid(overviews(engine)))
            rows = standings(engine, shown, self._db)
            states = [row["states"] for row in rows if row["name"] in shown]
            counts = [*fingerprint(engine), *shown, *states]
            if before is None or counts != before.counts:
                document = document_of(engine, shown, self._db, self._judge)
            else:
                document = before.document
            return document | {"live": {"trouble": None, "sweeps": rows}}, counts
        finally:
            engine.dispose()

    def _judge(self, results: Results) -> list[dict[str, Any]]:
        """The claims, judged anew when other runs are finished."""
        frame = results.frame
        finished = frame.loc[frame["state"] == State.FINISHED, "run_key"]
        key = (results.provenance.sweep, *sorted(finished))
        if key not in self._claims:
            for other in [one for one in self._claims if one[0] == key[0]]:
                del self._claims[other]
            self._claims[key] = judged(results)
        return self._claims[key]


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        file = path.stat()
    except OSError:
        return None
    return file.st_ino, file.st_mtime_ns, file.st_size
