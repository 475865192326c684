"""What a reader sees of a SQLite database: the whole of one moment, and no trace of the reader."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote


def snapshot(path: Path, patience: float) -> sqlite3.Connection:
    """A private copy of the database as it is now: in memory while it is small.

    Waits `patience` seconds for a lock.
    """
    copy = sqlite3.connect("", check_same_thread=False)
    while True:
        before = stamp(path)
        with closing(read_only(path, patience, has_log=before[1])) as source:
            # `backup` alone would wait for a lock for ever; this waits as long as it may.
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            source.backup(copy)
        if before[1] or stamp(path) == before:
            return copy
        time.sleep(0.01)  # a driver has begun in this moment: the copy may be half of either


def read_only(path: Path, patience: float, *, has_log: bool) -> sqlite3.Connection:
    """The file itself, to be read and no more."""
    # Without a log beside it nobody is writing, and `immutable` keeps SQLite from making one.
    uri = f"file:{quote(str(path))}?mode=ro" + ("" if has_log else "&immutable=1")
    return sqlite3.connect(uri, uri=True, timeout=patience)


def stamp(path: Path) -> tuple[int, bool]:
    """When the file changed last (ns), and whether there is a log beside it."""
    return path.stat().st_mtime_ns, path.with_name(path.name + "-wal").exists()
