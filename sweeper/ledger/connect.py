"""Engines: one that writes, one that cannot."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import Session

from sweeper.errors import SweeperError
from sweeper.ledger.filesystem import network_type
from sweeper.ledger.schema import READABLE_VERSION, SCHEMA_VERSION, Base, Meta, SchemaVersion
from sweeper.ledger.view import create_results_view

# How long a transaction waits for a locked database; after that, results are spooled.
BUSY_SECONDS = float(os.environ.get("SWEEPER_BUSY_SECONDS", "5"))
# FULL: in a WAL, NORMAL would lose acknowledged results when the power fails.
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


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


def open_writer(db: str, ledger_id: str | None = None) -> Engine:
    """An engine for the driver; creates the database and its schema where there is none.

    SQLite runs in WAL with synchronous=FULL: what was committed survives a power cut. An older
    schema is upgraded in place, after a backup. `ledger_id` names a new ledger as an old one.
    """
    url = database_url(db)
    engine = _engine(url, db)
    with explained(db), _closed_on_error(engine):
        if not inspect(engine).has_table("meta"):
            _create(engine, db, ledger_id or uuid.uuid4().hex)
        if _version(engine, db) < SCHEMA_VERSION:
            from sweeper.ledger.upgrade import upgrade  # late: it brings Alembic

            upgrade(engine, _version(engine, db))
        _check_writable(engine)
    return engine


def ledger_id(engine: Engine) -> str:
    """What names this ledger, wherever its database is moved."""
    with Session(engine) as session:
        return session.scalars(select(Meta.ledger)).one()


def _engine(url: str, db: str) -> Engine:
    if not url.startswith("sqlite"):
        return _server(url, read_only=False)
    path = Path(url.removeprefix("sqlite:///"))
    if kind := network_type(path.parent):
        raise SweeperError(
            f"{db} is on a network file system ({kind}), where SQLite loses data; put it on a "
            "local disk, or use --db postgresql+psycopg://…"
        )
    engine = create_engine(url)
    _pragmas(engine)
    return engine


def open_reader(db: str) -> Engine:
    """An engine that cannot write; raises SweeperError when there is no such database."""
    url = database_url(db)
    engine = _sqlite_reader(url, db) if url.startswith("sqlite") else _server(url, read_only=True)
    with explained(db), _closed_on_error(engine):
        if not inspect(engine).has_table("meta"):
            raise SweeperError(f"{db} is not a database of sweeper; run `sweeper launch` first")
        if (version := _version(engine, db)) < READABLE_VERSION:
            raise SweeperError(
                f"{db} has the older schema {version}; `sweeper resume` upgrades it, with a backup"
            )
    return engine


def _server(url: str, *, read_only: bool) -> Engine:
    """An engine for PostgreSQL; each of its connections is tried before it is used."""
    if make_url(url).get_backend_name() != "postgresql":
        raise SweeperError(f"--db {url}: a file, or postgresql+psycopg://…")
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    patience = {"connect_timeout": max(2, int(BUSY_SECONDS)), "options": options}
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=patience)
    except ModuleNotFoundError:
        raise SweeperError(
            "PostgreSQL needs psycopg; run `pip install 'sweeper[postgres]'`"
        ) from None


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
        for pragma in (f"busy_timeout = {int(BUSY_SECONDS * 1000)}", *PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _create(engine: Engine, db: str, ledger: str) -> None:
    """Makes the schema in an empty database, unless another driver is quicker."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7393)"))
        if (tables := inspect(connection).get_table_names()) and "meta" not in tables:
            raise SweeperError(f"{db} holds tables of another program; name another with --db")
        if tables:
            return
        Base.metadata.create_all(connection)
        connection.execute(text(create_results_view(engine.dialect.name)))
        with Session(connection) as session:
            session.add_all([SchemaVersion(version_num=SCHEMA_VERSION), Meta(ledger=ledger)])
            session.flush()


def _version(engine: Engine, db: str) -> str:
    """The schema's version. Raises SweeperError when it is newer than this program."""
    with Session(engine) as session:
        version = session.scalar(select(SchemaVersion.version_num)) or ""
    if version > SCHEMA_VERSION:
        raise SweeperError(
            f"{db} has schema {version}, newer than this sweeper's {SCHEMA_VERSION}; upgrade it"
        )
    return version


def _check_writable(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET ledger = ledger"))


@contextmanager
def _closed_on_error(engine: Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


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
    if "locked" in reason:
        return f"{db} is locked by another program; close that, or wait, and try again"
    return f"{db}: {reason}"
