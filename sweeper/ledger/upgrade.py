"""Bringing an older database to the current schema with Alembic, in one transaction."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

from sweeper.ledger.check import OLD_VERSION_TABLE
from sweeper.ledger.schema import SchemaVersion
from sweeper.ledger.view import create_results_view

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Upgrades in place, all or nothing."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    table = SchemaVersion.__tablename__
    with engine.begin() as connection:
        if not inspect(connection).has_table(table):
            connection.execute(text(f"ALTER TABLE {OLD_VERSION_TABLE} RENAME TO {table}"))
        config.attributes |= {"connection": connection, "version_table": table}
        connection.execute(text("DROP VIEW IF EXISTS results"))
        command.upgrade(config, "head")
        connection.execute(text(create_results_view(engine.dialect.name)))


def back_up(engine: Engine, version: str) -> None:
    """Copies a SQLite database to `<file>.backup-<version>`; an earlier backup stays too."""
    copy = _unused(f"{engine.url.database}.backup-{version}")
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()


def _unused(name: str) -> Path:
    """An empty file of that name, or of that name and a number, that nobody else has."""
    for number in itertools.count(1):
        path = Path(name if number == 1 else f"{name}.{number}")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        return path
    raise AssertionError
