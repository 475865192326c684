"""Bringing an older database to the current schema: a backup, then Alembic, in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from sweeper.errors import SweeperError
from sweeper.ledger.view import create_results_view

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, version: str) -> None:
    """Upgrades in place. SQLite is copied first, to `<file>.backup-<version>`."""
    if engine.dialect.name == "sqlite":
        _back_up(engine, Path(f"{engine.url.database}.backup-{version}"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        connection.execute(text("DROP VIEW IF EXISTS results"))
        command.upgrade(config, "head")
        connection.execute(text(create_results_view(engine.dialect.name)))


def _back_up(engine: Engine, copy: Path) -> None:
    if copy.exists():
        raise SweeperError(f"{copy} of an earlier upgrade is in the way; move it and try again")
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
