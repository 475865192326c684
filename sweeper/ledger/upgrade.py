"""Bringing an older database to the current schema with Alembic, in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

from sweeper.errors import SweeperError
from sweeper.ledger.schema import SchemaVersion
from sweeper.ledger.view import create_results_view

MIGRATIONS = Path(__file__).parent / "migrations"
OLD_VERSION_TABLE = "alembic_version"  # until 0002


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
    """Copies a SQLite database to `<file>.backup-<version>`."""
    copy = Path(f"{engine.url.database}.backup-{version}")
    if copy.exists():
        raise SweeperError(f"{copy} of an earlier upgrade is in the way; move it and try again")
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
