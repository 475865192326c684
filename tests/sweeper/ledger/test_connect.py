"""Opening databases: durable for the writer, closed to readers, clear about bad ones."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from sweeper.errors import SweeperError
from sweeper.ledger import filesystem, read
from sweeper.ledger.connect import fold_log, open_reader, open_writer, writer
from sweeper.ledger.url import database_url
from sweeper.ledger.write import Ledger
from tests.sweeper.ledger.conftest import new_database


def test_the_writer_is_durable(file: str) -> None:
    engine = open_writer(file)
    with engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_transaction_has_the_write_lock_before_it_reads(file: str) -> None:
    """Else another driver could take the sweep between a look at the lease and the write."""
    engine = open_writer(file)
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    with engine.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()


@pytest.mark.parametrize("beside_a_writer", [True, False])
def test_a_reader_cannot_write(db: str, beside_a_writer: bool) -> None:
    writer = open_writer(db)
    if not beside_a_writer:
        writer.dispose()
    reader = open_reader(db)
    with pytest.raises(SweeperError, match=r"readonly|read-only"), reader.begin() as connection:
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
        connection.execute(text("UPDATE schema_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SweeperError, match="newer than this sweeper"):
        opens(db)  # type: ignore[operator]


def test_another_programs_database_is_left_alone(db: str) -> None:
    other = create_engine(database_url(db))
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE songs (title TEXT)"))
    with pytest.raises(SweeperError, match="tables of another program"):
        open_writer(db)
    with pytest.raises(SweeperError, match="not a database of sweeper"):
        open_reader(db)
    assert inspect(other).get_table_names() == ["songs"]
    other.dispose()


def test_reading_makes_no_schema_in_an_empty_server(server: str) -> None:
    db = new_database(server)
    with pytest.raises(SweeperError, match="not a database of sweeper"):
        open_reader(db)
    other = create_engine(db)
    assert inspect(other).get_table_names() == []
    other.dispose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only files")
def test_a_read_only_database_is_named(file: str) -> None:
    open_writer(file).dispose()
    Path(file).chmod(0o444)
    with pytest.raises(SweeperError, match="read-only"):
        open_writer(file)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="its directory is missing"):
        open_writer(str(tmp_path / "none" / "x.db"))


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        *((kind, True) for kind in ("nfs4", "cifs", "lustre", "fuse.sshfs")),
        *((kind, False) for kind in ("ext4", "tmpfs", "overlay", "fuseblk")),
    ],
)
def test_sqlite_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, network: bool
) -> None:
    shared = tmp_path / "our share"
    shared.mkdir()
    mounts = tmp_path / "mounts"
    escaped = str(shared).replace(" ", r"\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {escaped} {kind} rw 0 0\n")
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    assert filesystem.network_type(shared / "sub") == (kind if network else None)
    assert filesystem.network_type(tmp_path) is None
    if network:
        with pytest.raises(SweeperError, match=f"network file system .{kind}.*postgresql"):
            open_writer(str(shared / "x.db"))
    else:
        open_writer(str(shared / "x.db")).dispose()


def test_the_database_is_one_whole_file_while_a_reader_is_connected(file: str) -> None:
    with writer(file):
        pass
    reader = sqlite3.connect(file)  # a notebook, Datasette, the sqlite3 shell
    reader.execute("SELECT * FROM results").fetchall()
    with writer(file) as engine, Ledger.of(engine, "seen"):
        assert os.path.exists(f"{file}-wal")
    assert names_in_a_copy(file) == ["seen"]
    assert reader.execute("SELECT name FROM sweeps").fetchall() == [("seen",)]
    reader.close()


def test_what_a_reader_kept_in_the_log_is_folded_by_the_next_writer(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.ledger.connect.BUSY_SECONDS", 0.1)
    with writer(file):
        pass
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM sweeps").fetchall()  # holds the log at this moment
    with writer(file) as engine, Ledger.of(engine, "later"):
        pass
    assert names_in_a_copy(file) == []
    reader.close()
    open_writer(file).dispose()
    assert names_in_a_copy(file) == ["later"]


def names_in_a_copy(file: str) -> list[str]:
    """The sweeps in the database's file alone, without what stands beside it."""
    copy = Path(f"{file}.copy")
    copy.write_bytes(Path(file).read_bytes())
    connection = sqlite3.connect(copy)
    names = [name for (name,) in connection.execute("SELECT name FROM sweeps")]
    connection.close()
    return names


def test_a_reader_sees_what_a_driver_has_committed_and_holds_nothing(file: str) -> None:
    with writer(file) as engine, Ledger.of(engine, "a") as ledger:
        reader = open_reader(file)
        assert read.sweep_of(reader, ledger.sweep_id).name == "a"
        fold_log(engine)
        assert os.path.getsize(f"{file}-wal") == 0
    reader.dispose()


@pytest.mark.parametrize("name", ["a?b.db", "a%41.db", "a#b.db", "a b.db", "é&mode=ro.db"])
def test_any_file_name_is_the_name_of_the_file(tmp_path: Path, name: str) -> None:
    open_writer(str(tmp_path / name)).dispose()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    open_reader(str(tmp_path / name)).dispose()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:SECRET@127.0.0.1:1/x",
        "mysql://me:SECRET@127.0.0.1:1/x",
        "nothing://me:SECRET@127.0.0.1:one/x",
    ],
)
def test_a_password_is_never_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.ledger.connect.BUSY_SECONDS", 0.1)
    for opened in (open_reader, open_writer):
        with pytest.raises(SweeperError) as error:
            opened(url)
        assert "SECRET" not in str(error.value)
