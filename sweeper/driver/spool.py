"""Where events wait while the database cannot be written: an fsynced file of JSON lines.

Every line carries a checksum, so that a line torn by a crash is left out and no other is.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sweeper.ledger.connect import ledger_id
from sweeper.storage.files import cache_root, sync_directory

Event = dict[str, Any]


def spools_of(engine: Engine, sweep_id: int) -> list[Path]:
    """The files that drivers of this sweep have left, oldest first."""
    prefix = _prefix(engine, sweep_id)
    found = prefix.parent.glob(f"{prefix.name}*") if prefix.parent.is_dir() else ()
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def spool_path(engine: Engine, sweep_id: int, token: int) -> Path:
    """The file of one driver: beside a SQLite database, in the cache for a server."""
    prefix = _prefix(engine, sweep_id)
    return prefix.with_name(f"{prefix.name}{token}")


def _prefix(engine: Engine, sweep_id: int) -> Path:
    if engine.dialect.name == "sqlite":
        return Path(f"{engine.url.database}.spool-{sweep_id}-")
    return cache_root() / "spool" / f"{ledger_id(engine)}.spool-{sweep_id}-"


class Spool:
    """One driver's file. It exists only while something waits in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting = len(self.read())

    def append(self, event: Event) -> None:
        """Returns when the event would survive a power cut. Raises OSError on a full disk."""
        body = json.dumps(event, sort_keys=True)
        line = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "event": body})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            # A newline first: a torn line before this one must not swallow it.
            file.write(f"\n{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self.path.parent)
        self.waiting += 1

    def read(self) -> list[Event]:
        """All events that are whole, in order."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [event for line in lines if (event := _event(line)) is not None]

    def clear(self) -> None:
        """Forgets everything: it is in the database."""
        self.path.unlink(missing_ok=True)
        self.waiting = 0


def _event(line: bytes) -> Event | None:
    try:
        record = json.loads(line)
        body = str(record["event"])
        whole = hashlib.sha256(body.encode()).hexdigest() == record["sha256"]
        return dict(json.loads(body)) if whole else None
    except (ValueError, KeyError, TypeError):
        return None
