"""Opening databases: durable for the writer, closed to readers, clear about bad ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from sweeper.errors import SweeperError
from sweeper.ledger.connect import open_reader, open_writer


def test_the_writer_is_durable(file: str) -> None:
    engine = open_writer(file)
    with engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("beside_a_writer", [True, False])
def test_a_reader_cannot_write(db: str, beside_a_writer: bool) -> None:
    writer = open_writer(db)
    if not beside_a_writer:
        writer.dispose()
    reader = open_reader(db)
    with pytest.raises(DatabaseError, match=r"readonly|read-only"), reader.begin() as connection:
        connection.execute(text("DELETE FROM meta"))
    reader.dispose()
    writer.dispose()


def test_reading_leaves_no_trace(file: str, tmp_path: Path) -> None:
    open_writer(file).dispose()
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    reader = open_reader(file)
    with reader.connect() as connection:
        connection.execute(text("SELECT * FROM results"))
        assert [path.name for path in tmp_path.iterdir()] == ["fresh.db"]
    reader.dispose()
    assert hashlib.sha256(Path(file).read_bytes()).hexdigest() == digest


def test_a_reader_sees_what_a_writer_has_just_committed(db: str) -> None:
    writer = open_writer(db)
    with writer.begin() as connection:
        connection.execute(text("INSERT INTO sweeps (name, options, launch) VALUES ('a', '{}', 1)"))
    reader = open_reader(db)
    with reader.connect() as connection:
        assert connection.scalar(text("SELECT name FROM sweeps")) == "a"
    reader.dispose()
    writer.dispose()


def test_a_missing_database_is_not_made_by_reading(file: str) -> None:
    with pytest.raises(SweeperError, match="run `sweeper launch` first"):
        open_reader(file)
    assert not Path(file).exists()


@pytest.mark.parametrize("opens", [open_reader, open_writer])
def test_a_file_that_is_no_database_is_named(file: str, opens: object) -> None:
    Path(file).write_text("these are not the pages of a database\n" * 100)
    with pytest.raises(SweeperError, match="is not a SQLite database"):
        opens(file)  # type: ignore[operator]


@pytest.mark.parametrize("opens", [open_reader, open_writer])
def test_a_newer_schema_is_refused(db: str, opens: object) -> None:
    engine = open_writer(db)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SweeperError, match="newer than this sweeper"):
        opens(db)  # type: ignore[operator]


def test_another_programs_database_is_left_alone(file: str) -> None:
    import sqlite3

    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(SweeperError, match="tables of another program"):
        open_writer(file)
    with pytest.raises(SweeperError, match="not a database of sweeper"):
        open_reader(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only files")
def test_a_read_only_database_is_named(file: str) -> None:
    open_writer(file).dispose()
    Path(file).chmod(0o444)
    with pytest.raises(SweeperError, match="read-only"):
        open_writer(file)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="its directory is missing"):
        open_writer(str(tmp_path / "none" / "x.db"))
