"""Engines: one that writes, one that sees a snapshot and cannot write.

A SQLite database is one whole file whenever no driver is at work: a writer folds its write-ahead
log into it before it lets go, and our readers hold no connection that could keep it from that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from sweeper.errors import SweeperError, redact
from sweeper.ledger.check import check_whole, file_schema, refuse_foreign, schema_of
from sweeper.ledger.filesystem import network_type
from sweeper.ledger.lease import MovedError
from sweeper.ledger.presence import mark, refuse_directory, refuse_log_alone, watch
from sweeper.ledger.rekey import hide_keys, rekey
from sweeper.ledger.schema import SCHEMA_VERSION, Base, Meta, SchemaVersion
from sweeper.ledger.snapshot import snapshot
from sweeper.ledger.trouble import explain_errors, friendly_errors, friendly_opening
from sweeper.ledger.url import database_url, is_sqlite, shown
from sweeper.ledger.view import create_results_view

# How long a transaction waits for a locked database; after that, results are spooled.
BUSY_SECONDS = float(os.environ.get("SWEEPER_BUSY_SECONDS", "5"))
# FULL: in a WAL, NORMAL would lose acknowledged results when the power fails.
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


def is_there(db: str) -> bool:
    """Whether there is something to read: a file at the path, or a server by its URL."""
    with friendly_opening(redact(db)):
        return not is_sqlite(url := database_url(db)) or Path(url.database or "").exists()


@contextmanager
def writer(db: str, ledger_id: str | None = None) -> Iterator[Engine]:
    """The driver's engine (see `open_writer`); at the end the database is one whole file.

    Errors of the database are raised as SweeperError.
    """
    with friendly_errors(redact(db)):
        engine = open_writer(db, ledger_id)
        try:
            yield engine
        finally:
            close_writer(engine)


def close_writer(engine: Engine) -> None:
    """Folds the write-ahead log into the database's file and lets go of it.

    A reader of another program that has a transaction open can keep the log from being folded
    whole; the next writer does it then.
    """
    fold_log(engine)
    engine.dispose()


def fold_log(engine: Engine) -> None:
    """Copies a SQLite database's write-ahead log into its file, as far as readers let it."""
    if engine.dialect.name != "sqlite":
        return
    with (
        contextlib.suppress(sqlite3.DatabaseError, MovedError),  # locked by others, gone, spoilt
        closing(engine.raw_connection()) as connection,
    ):
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def open_writer(db: str, ledger_id: str | None = None) -> Engine:
    """An engine for the driver; creates the database and its schema where there is none.

    SQLite runs in WAL with synchronous=FULL: what was committed survives a power cut. An older
    schema is upgraded in place, after a backup. `ledger_id` names a new ledger as an old one.
    """
    url, db = database_url(db), redact(db)
    with friendly_opening(db):
        if is_sqlite(url):
            engine = _sqlite_writer(url, db, is_new=ledger_id is not None)
        else:
            engine = _server(url, read_only=False)
    with friendly_opening(db), _closed_on_error(engine):
        version = _schema_of(engine, db) or _create(engine, db, ledger_id or uuid.uuid4().hex)
        if version < SCHEMA_VERSION:
            from sweeper.ledger.upgrade import back_up, upgrade  # late: it brings Alembic

            if engine.dialect.name == "sqlite":
                back_up(engine, version)
            upgrade(engine)
        with engine.begin() as connection:
            check_whole(connection, db)
            rekey(connection)
            hide_keys(connection)
        _check_writable(engine)
        fold_log(engine)  # what the driver before could not
        mark(engine)
    return engine


def ledger_id(engine: Engine) -> str:
    """What names this ledger, wherever its database is moved."""
    with Session(engine) as session:
        return session.scalars(select(Meta.ledger)).one()


def is_copy_of(engine: Engine, url: str) -> bool:
    """Whether a SQLite database has the identity of another file, which is at `url`."""
    if engine.dialect.name != "sqlite" or not url.startswith("sqlite:///"):
        return False
    path, other = Path(engine.url.database or ""), Path(make_url(url).database or "")
    if not other.is_file() or other.samefile(path):
        return False
    try:
        reader = open_reader(str(other))
        return ledger_id(reader) == ledger_id(engine)
    except SweeperError:
        return False


def _sqlite_writer(url: URL, db: str, *, is_new: bool) -> Engine:
    path = Path(url.database or "")
    refuse_directory(path, db)
    if not is_new:
        refuse_log_alone(path, db)
    if kind := network_type(path.parent):
        raise SweeperError(
            f"{db} is on a network file system ({kind}), where SQLite loses data; put it on a "
            "local disk, or use --db postgresql+psycopg://…"
        )
    version = file_schema(path, db, BUSY_SECONDS)
    if version is not None and version < SCHEMA_VERSION:
        _reader(url, db).dispose()  # upgrades a copy: what fails there fails there alone
    engine = create_engine(url)
    watch(engine, path, db)
    _pragmas(engine)
    return engine


def open_reader(db: str) -> Engine:
    """An engine that cannot change the database; of SQLite, on a snapshot taken now.

    Raises SweeperError when there is no such database.
    """
    return _reader(database_url(db), redact(db))


def _reader(url: URL, db: str) -> Engine:
    with friendly_opening(db):
        engine = _sqlite_reader(url, db) if is_sqlite(url) else _server(url, read_only=True)
    explain_errors(engine, db)
    with _closed_on_error(engine):
        if (version := _schema_of(engine, db)) is None:
            raise SweeperError(f"{db} is not a database of sweeper; run `sweeper launch` first")
        if version < SCHEMA_VERSION:
            if not is_sqlite(url):
                raise SweeperError(
                    f"{db} has the older schema {version}; `sweeper resume` upgrades it"
                )
            from sweeper.ledger.upgrade import upgrade  # late: it brings Alembic

            upgrade(engine)  # the snapshot, and not the file
        with engine.connect() as connection:
            check_whole(connection, db)
        if is_sqlite(url):
            _seal(engine)
    return engine


def _server(url: URL, *, read_only: bool) -> Engine:
    """An engine for PostgreSQL; each of its connections is tried before it is used."""
    if url.get_backend_name() != "postgresql":
        raise SweeperError(f"--db {shown(url)}: a file, or postgresql+psycopg://…")
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    patience = {"connect_timeout": max(2, int(BUSY_SECONDS)), "options": options}
    try:
        # A reader holds no connection between two looks, and nobody need close it.
        pool: dict[str, Any] = {"poolclass": NullPool} if read_only else {"pool_pre_ping": True}
        engine = create_engine(url, connect_args=patience, **pool)
    except ModuleNotFoundError:
        raise SweeperError(
            "PostgreSQL needs psycopg; run `pip install 'sweeper[postgres]'`"
        ) from None

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if patience := connection.get_execution_options().get("patience"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience * 1000)}")

    return engine


def _sqlite_reader(url: URL, db: str) -> Engine:
    path = Path(url.database or "")
    refuse_directory(path, db)
    refuse_log_alone(path, db)
    if not path.is_file():
        raise SweeperError(
            f"no database at {db}; run `sweeper launch` first, or name one with --db"
        )
    copy = snapshot(path, BUSY_SECONDS)
    return create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)


def _seal(engine: Engine) -> None:
    """Gives a snapshot's runs today's keys; from here on nothing changes it."""
    with engine.begin() as connection:
        rekey(connection)
        hide_keys(connection)
        connection.execute(text("PRAGMA query_only = ON"))


def _pragmas(engine: Engine) -> None:
    """Durable settings, and transactions that take the write lock when they begin."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in (_busy_timeout(BUSY_SECONDS), *PRAGMAS):
            _patiently(connection, f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        patience = connection.get_execution_options().get("patience")
        if patience is not None:
            connection.exec_driver_sql(f"PRAGMA {_busy_timeout(patience)}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            if patience is not None:
                connection.exec_driver_sql(f"PRAGMA {_busy_timeout(BUSY_SECONDS)}")


def _busy_timeout(seconds: float) -> str:
    return f"busy_timeout = {int(seconds * 1000)}"


def _schema_of(engine: Engine, db: str) -> str | None:
    with engine.connect() as connection:
        return schema_of(connection, db)


def _create(engine: Engine, db: str, ledger: str) -> str:
    """Makes the schema in an empty database, unless another driver is quicker; its version."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7393)"))
        if version := schema_of(connection, db):
            return version
        refuse_foreign(connection, db)
        Base.metadata.create_all(connection)
        connection.execute(text(create_results_view(engine.dialect.name)))
        with Session(connection) as session:
            session.add_all([SchemaVersion(version_num=SCHEMA_VERSION), Meta(ledger=ledger)])
            session.flush()
    return SCHEMA_VERSION


def _check_writable(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET ledger = ledger"))


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """SQLite does not wait by itself where two drivers make the same database at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def _closed_on_error(engine: Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise
