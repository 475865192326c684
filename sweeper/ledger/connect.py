"""Engines: one that writes, one that cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import Session

from sweeper.errors import SweeperError
from sweeper.ledger.schema import RESULTS_VIEW, SCHEMA_VERSION, Base, Meta

BUSY_TIMEOUT_MS = 30_000


def database_url(db: str) -> str:
    """A SQLAlchemy URL from what a user types: a URL, or the path of a SQLite file."""
    if "://" not in db:
        return f"sqlite:///{Path(db).absolute()}"
    try:
        url = make_url(db)
    except ArgumentError:
        raise SweeperError(f"--db {db} is neither a path nor a database URL") from None
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{Path(url.database or '').absolute()}"
    return db


def open_writer(db: str) -> Engine:
    """An engine for the driver; creates the database and its schema where there is none.

    SQLite runs in WAL with synchronous=FULL: what was committed survives a power cut.
    """
    url = database_url(db)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        _pragmas(engine)
    with explained(db):
        if not inspect(engine).has_table("meta"):
            _create(engine, db)
        _check_version(engine, db)
        _check_writable(engine, db)
    return engine


def open_reader(db: str) -> Engine:
    """An engine that cannot write; raises SweeperError when there is no such database."""
    url = database_url(db)
    engine = _sqlite_reader(url, db) if url.startswith("sqlite") else create_engine(url)
    with explained(db):
        if not inspect(engine).has_table("meta"):
            raise SweeperError(f"{db} is not a database of sweeper; run `sweeper launch` first")
        _check_version(engine, db)
    return engine


def _sqlite_reader(url: str, db: str) -> Engine:
    path = Path(url.removeprefix("sqlite:///"))
    if not path.is_file():
        raise SweeperError(
            f"no database at {db}; run `sweeper launch` first, or name one with --db"
        )
    # Without a WAL beside it nobody is writing, and `immutable` keeps SQLite from making one.
    live = path.with_name(path.name + "-wal").exists()
    uri = f"file:{path}?mode=ro" + ("" if live else "&immutable=1")
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True))


def _pragmas(engine: Engine) -> None:
    """Durable settings, and transactions that take the write lock when they begin."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _create(engine: Engine, db: str) -> None:
    if inspect(engine).get_table_names():
        raise SweeperError(f"{db} holds tables of another program; name another file with --db")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(text(RESULTS_VIEW))
        connection.execute(Meta.__table__.insert().values(schema_version=SCHEMA_VERSION))  # type: ignore[attr-defined]


def _check_version(engine: Engine, db: str) -> None:
    with Session(engine) as session:
        version = session.scalar(select(Meta.schema_version)) or 0
    if version > SCHEMA_VERSION:
        raise SweeperError(
            f"{db} has schema {version}, newer than this sweeper's {SCHEMA_VERSION}; upgrade it"
        )


def _check_writable(engine: Engine, db: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET schema_version = schema_version"))


@contextmanager
def explained(db: str) -> Iterator[None]:
    """Turns a database's errors into one line that names the file and what to do."""
    try:
        yield
    except DatabaseError as error:
        raise SweeperError(_line(db, error)) from None


def _line(db: str, error: DatabaseError) -> str:
    reason = str(error.orig).strip().splitlines()[0]
    if "not a database" in reason or "malformed" in reason:
        return f"{db} is not a SQLite database; name another file with --db"
    if "readonly" in reason:
        return f"{db} is read-only; make it writable or name another file with --db"
    if "unable to open" in reason:
        return f"cannot open {db}: its directory is missing or closed to you"
    return f"{db}: {reason}"
