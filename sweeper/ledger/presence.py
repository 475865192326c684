"""Whether a SQLite database is the file that it was: users remove, replace and overwrite files."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DatabaseError

from sweeper.errors import SweeperError
from sweeper.ledger.lease import MovedError
from sweeper.ledger.snapshot import read_only
from sweeper.ledger.trouble import recovery

LEDGER = "SELECT ledger FROM meta"
LOOKS, BETWEEN = 3, 0.05  # seconds: another driver may be folding its log into the file


class _Watch:
    """What a database's file was when a driver opened it."""

    def __init__(self, path: Path, db: str) -> None:
        self._path, self._db = path, db
        self._file: tuple[int, int] | None = None  # device and inode
        self._stamp: tuple[int, int] | None = None  # when it changed last (ns), its bytes
        self._ledgers: set[str] = set()  # whose it has been; more than one where it was renamed
        self._schema = 0  # SQLite's count of its changes; a VACUUM is one of them

    def create(self, *_: Any) -> None:
        """Makes the file for this user alone, and none where one was removed."""
        if self._file:
            self._stop_if_gone()
        with contextlib.suppress(OSError):  # it is there; or SQLite tells better why it cannot be
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))

    def note(self, *_: Any) -> None:
        """Remembers which file was opened."""
        if not self._file:
            self._file = _identity(self._path)

    def mark(self) -> None:
        """Remembers what the file holds without its log; nothing where the log has all of it."""
        self._stamp = _stamp(self._path)
        if held := _held(self._path):
            self._ledgers, self._schema = {held[0]}, held[1]

    def look(self, connection: Connection) -> None:
        """Raises MovedError where what is written now would go to another file's pages."""
        if self._file:
            self._stop_if_gone()
        if not self._ledgers or (stamp := _stamp(self._path)) == self._stamp:
            return
        if not self._is_ours(connection):
            # SQLite would fold the log into the new file, now or when that is next opened.
            with contextlib.suppress(OSError):
                os.truncate(f"{self._path}-wal", 0)
            raise self._stop("was overwritten", "move that away and ")
        self._stamp = stamp

    def _stop_if_gone(self) -> None:
        file = _identity(self._path)
        if file is None:
            raise self._stop("was removed", "")
        if file != self._file:
            raise self._stop("was replaced by another file", "move that away and ")

    def _stop(self, how: str, away: str) -> MovedError:
        return MovedError(
            f"{self._db} {how} while this driver wrote to it, which has stopped; {away}run "
            f"`{recovery(self._db)}`: what was trained is in the storage"
        )

    def _is_ours(self, connection: Connection) -> bool:
        """Whether the file holds the ledger yet, and no less of it than before."""
        assert self._stamp
        for _ in range(LOOKS):
            if held := _held(self._path):
                ledger, schema = held
                if ledger not in self._ledgers:  # another driver may have renamed it
                    with contextlib.suppress(DatabaseError):
                        self._ledgers.add(str(connection.exec_driver_sql(LEDGER).scalar()))
                shrunk = self._path.stat().st_size < self._stamp[1] and schema == self._schema
                if ledger in self._ledgers and not shrunk:
                    self._schema = schema
                    return True
            time.sleep(BETWEEN)
        return False


_WATCHED: WeakKeyDictionary[Engine, _Watch] = WeakKeyDictionary()


def watch(engine: Engine, path: Path, db: str) -> None:
    """Has every connection and transaction of the engine begin with a look at its file.

    MovedError once the path names no file, or another than the engine opened, or that was
    overwritten: what is written then goes to a file that nobody will see, or spoils another.
    """
    watched = _WATCHED[engine] = _Watch(path, db)
    event.listen(engine, "do_connect", watched.create)  # SQLite would make the file anew
    event.listen(engine, "connect", watched.note)
    event.listen(engine, "begin", watched.look)


def mark(engine: Engine) -> None:
    """To be told when the engine's database is whole in its file."""
    if watched := _WATCHED.get(engine):
        watched.mark()


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, or None where there is no file."""
    try:
        file = path.stat()
    except FileNotFoundError:
        return None
    return file.st_dev, file.st_ino


def _stamp(path: Path) -> tuple[int, int]:
    """When the file changed last (ns), and its bytes."""
    file = path.stat()
    return file.st_mtime_ns, file.st_size


def _held(path: Path) -> tuple[str, int] | None:
    """Whose ledger the file alone holds, and SQLite's count of its schema's changes.

    By SQLite: who opens and closes a database's file by itself takes the locks away that SQLite
    has on it in this process.
    """
    try:
        with closing(read_only(path, 0, has_log=False)) as file:
            ledger = str(file.execute(LEDGER).fetchone()[0])
            return ledger, int(file.execute("PRAGMA schema_version").fetchone()[0])
    except (sqlite3.DatabaseError, TypeError):
        return None


def refuse_directory(path: Path, db: str) -> None:
    """Raises SweeperError where the path can never be a database's."""
    if path.is_dir():
        raise SweeperError(f"{db or '.'} is a directory; name a file with --db")


def refuse_log_alone(path: Path, db: str) -> None:
    """Raises SweeperError where the write-ahead log of a database outlived its file."""
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() and log.exists() and log.stat().st_size:
        raise SweeperError(f"{db} is gone, only its log is there; run `{recovery(db)}`")
