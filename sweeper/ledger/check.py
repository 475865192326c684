"""Whether a database is ours and whole: asked before a byte of it changes."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import StaticPool

from sweeper.errors import SweeperError
from sweeper.ledger.schema import SCHEMA_VERSION, Base, SchemaVersion
from sweeper.ledger.snapshot import read_only, stamp
from sweeper.ledger.trouble import damaged

OLD_VERSION_TABLE = "alembic_version"  # until 0002
OURS = {"meta", "sweeps", "cells", "runs", "attempts"}  # in every release
ENOUGH = 3  # of them: a damaged ledger of ours, where fewer are another program's tables


def schema_of(connection: Connection, db: str) -> str | None:
    """The version of a ledger's schema; None where there is no ledger.

    Raises SweeperError when it is newer than this program, or when the ledger does not say.
    """
    tables = set(inspect(connection).get_table_names())
    if len(tables & OURS) < ENOUGH:
        return None
    if missing := sorted(OURS - tables):
        raise damaged(db, f"it lacks {', '.join(missing)}")
    names = (SchemaVersion.__tablename__, OLD_VERSION_TABLE)
    if (table := next((name for name in names if name in tables), None)) is None:
        raise damaged(db, "it does not say its schema's version")
    version = connection.scalar(text(f"SELECT version_num FROM {table}"))
    if version is None:
        raise damaged(db, "it does not say its schema's version")
    if not re.fullmatch(r"\d{4}", str(version)) or version == "0000":
        raise damaged(db, f"{version!r} is no version of a schema")
    if version > SCHEMA_VERSION:
        raise SweeperError(
            f"{db} has schema {version}, newer than this sweeper's {SCHEMA_VERSION}; upgrade it"
        )
    return str(version)


def refuse_foreign(connection: Connection, db: str) -> None:
    """Raises SweeperError where a database without a ledger holds anything else."""
    if inspect(connection).get_table_names():
        raise SweeperError(f"{db} holds tables of another program; name another with --db")


def check_whole(connection: Connection, db: str) -> None:
    """Raises SweeperError unless everything is there that the current schema has."""
    there = inspect(connection)
    names = {*there.get_table_names(), *there.get_view_names()}
    if missing := sorted({*Base.metadata.tables, "results"} - names):
        raise damaged(db, f"it lacks {', '.join(missing)}")
    if connection.scalar(text("SELECT ledger FROM meta")) is None:
        raise damaged(db, "it does not say which ledger it is")


def file_schema(path: Path, db: str, patience: float) -> str | None:
    """The schema of a SQLite file that a driver is about to open; None of one that is new.

    Looks without a trace. Raises SweeperError where the file may not be written.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    before = stamp(path)
    try:
        return _looked_at(path, db, patience, has_log=before[1])
    except (SweeperError, DatabaseError):
        if stamp(path) == before:
            raise
    return file_schema(path, db, patience)  # another driver was making or closing it


def _looked_at(path: Path, db: str, patience: float, *, has_log: bool) -> str | None:
    def connect() -> sqlite3.Connection:
        return read_only(path, patience, has_log=has_log)

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            version = schema_of(connection, db)
            if version is None:
                refuse_foreign(connection, db)
            if version == SCHEMA_VERSION:
                check_whole(connection, db)
            return version
    finally:
        engine.dispose()
