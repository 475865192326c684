"""What a database's errors mean to a user: one line that names the file and what to do."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError

from sweeper.errors import SweeperError
from sweeper.ledger.url import is_default


@contextmanager
def friendly_errors(db: str) -> Iterator[None]:
    """Turns a database's errors into SweeperError; `db` is shown."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:  # the latter from snapshots
        raise SweeperError(_line(db, error)) from None


@contextmanager
def friendly_opening(db: str) -> Iterator[None]:
    """The same while a database is opened, when a file's errors are the database's."""
    try:
        with friendly_errors(db):
            yield
    except OSError as error:
        raise SweeperError(f"cannot open {_short(db)}: {error.strerror or error}") from None


def explain_errors(engine: Engine, db: str) -> None:
    """Makes every later error of the engine's database a SweeperError."""

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, sqlite3.DatabaseError):
            raise SweeperError(_line(db, context.original_exception))
        if isinstance(context.sqlalchemy_exception, DatabaseError):
            raise SweeperError(_line(db, context.sqlalchemy_exception))


def damaged(db: str, how: str) -> SweeperError:
    """Of a database that only a recovery mends."""
    return SweeperError(f"{db} is damaged ({how}); move it away and run `{recovery(db)}`")


def recovery(db: str) -> str:
    """The command that rebuilds a database."""
    return "sweeper recover" + ("" if is_default(db) else f" --db {shlex.quote(db)}")


def _line(db: str, error: DatabaseError | sqlite3.DatabaseError) -> str:
    reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
    if "not a database" in reason:
        return (
            f"{db} is not a SQLite database; name another file with --db, or, if it was one, move "
            f"it away and run `{recovery(db)}`"
        )
    if "malformed" in reason or "no such" in reason:
        return str(damaged(db, reason))
    if "readonly" in reason:
        return f"{db} is read-only; make it writable or name another file with --db"
    if "unable to open" in reason:
        return f"cannot open {db}: its directory is missing or closed to you"
    if "disk I/O error" in reason or "is full" in reason:
        return f"{db}: its disk has no room, or is broken ({reason}); see to that and try again"
    if "locked" in reason:
        return f"{db} is locked by another program; close that, or wait, and try again"
    return f"{db}: {reason}"


def _short(db: str) -> str:
    return db if len(db) < 100 else f"{db[:40]}…{db[-40:]}"
