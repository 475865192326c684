"""A database that is removed or replaced under its driver: nothing more is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.ledger.connect import close_writer, fold_log, open_writer
from sweeper.ledger.lease import MovedError


def test_a_database_that_was_removed_is_not_made_anew(file: str) -> None:
    engine = open_writer(file)
    engine.dispose()
    Path(file).unlink()
    with pytest.raises(MovedError, match=r"was removed .*`sweeper recover"):
        engine.connect()
    assert not Path(file).exists()


def test_a_file_that_took_the_databases_place_is_left_as_it_is(file: str, tmp_path: Path) -> None:
    open_writer(f"{file}.other").dispose()
    before = Path(f"{file}.other").read_bytes()
    engine = open_writer(file)
    with engine.connect() as connection:  # one that stays open, as a driver's does
        Path(f"{file}.other").replace(file)
        with pytest.raises(MovedError, match="was replaced by another file"):
            connection.execute(text("UPDATE meta SET ledger = 'spoilt'"))
    engine.dispose()
    assert Path(file).read_bytes() == before


def add_sweeps(file: str, count: int) -> None:
    """Makes the database larger, by another program."""
    with sqlite3.connect(file) as other:
        rows = [(f"sweep {number}", " " * 4_000, number) for number in range(count)]
        other.executemany("INSERT INTO sweeps (name, options, launch) VALUES (?, ?, ?)", rows)
    other.close()


def garbage(file: str) -> bytes:
    return b"no database " * 99_999


def another_ledger(file: str) -> bytes:
    open_writer(f"{file}.other").dispose()
    return Path(f"{file}.other").read_bytes()


def as_it_was(file: str) -> bytes:
    """A backup of the same database."""
    content = Path(file).read_bytes()
    add_sweeps(file, 20)
    return content


@pytest.mark.parametrize("other", [garbage, another_ledger, as_it_was])
def test_what_is_copied_over_a_database_is_left_as_it_is(
    file: str, other: Callable[[str], bytes]
) -> None:
    """`cp other.db results.db` while a driver writes: the file is the same, its pages are not."""
    open_writer(file).dispose()
    content = other(file)
    engine = open_writer(file)
    with engine.begin() as connection:  # in the log
        connection.execute(text("INSERT INTO sweeps (name, options, launch) VALUES ('a', '', 99)"))
    Path(file).write_bytes(content)
    with pytest.raises(MovedError, match="was overwritten"), engine.begin():
        pass
    close_writer(engine)
    assert Path(file).read_bytes() == content


def test_a_driver_goes_on_beside_one_that_renames_the_ledger_and_a_vacuum(file: str) -> None:
    open_writer(file).dispose()
    add_sweeps(file, 40)
    engine, other = open_writer(file), open_writer(file)
    with other.begin() as connection:
        connection.execute(text("UPDATE meta SET ledger = 'renamed'"))
        connection.execute(text("DELETE FROM sweeps"))
    fold_log(other)
    with engine.begin():
        pass
    with other.connect() as connection:
        connection.connection.cursor().execute("VACUUM")
    fold_log(other)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT ledger FROM meta")) == "renamed"
    for one in (engine, other):
        close_writer(one)


def test_a_database_is_its_users_alone(file: str) -> None:
    engine = open_writer(file)
    with engine.begin():
        modes = {path.stat().st_mode & 0o777 for path in Path(file).parent.glob("fresh.db*")}
    assert modes == {0o600}
    engine.dispose()
    Path(file).chmod(0o640)
    open_writer(file).dispose()
    assert Path(file).stat().st_mode & 0o777 == 0o640
