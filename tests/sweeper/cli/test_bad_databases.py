"""Broken databases: every command says in one line what to do, and touches nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sweeper.ledger.connect import writer
from sweeper.ledger.write import Ledger
from sweeper.study.grid import load_grid, run_config
from sweeper.study.presets import PRESETS
from tests.sweeper.cli.conftest import Refused
from tests.sweeper.conftest import scored, train

FILE = Path("results.db")
RELEASED = Path(__file__).parents[1] / "ledger" / "released"
NO_LOG = "PRAGMA journal_mode = DELETE"  # so that even a change of mode would be seen
RECOVER = "move it away and run `sweeper recover`"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a sweep, one of whose runs is finished."""
    path = tmp_path_factory.mktemp("good") / "results.db"
    cells = [(cell, run_config(cell, PRESETS["smoke"])) for cell in load_grid("smoke").cells(1)]
    with writer(str(path)) as engine, Ledger.of(engine, "smoke-smoke") as ledger:
        ledger.register({"grid": "smoke", "preset": "smoke"}, cells)
        train(ledger, "p", [scored(cells[0][1].key)])
    return path


def sql(*statements: str) -> Callable[[], None]:
    """What another program did to the file."""

    def run() -> None:
        with closing(sqlite3.connect(FILE)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


def cut(size: int) -> Callable[[], None]:
    return lambda: os.truncate(FILE, size)


def overwrite(start: int, data: bytes) -> Callable[[], None]:
    def run() -> None:
        with FILE.open("r+b") as file:
            file.seek(start)
            file.write(data)

    return run


def instead(make: Callable[[], object]) -> Callable[[], None]:
    """Something else where the file was."""

    def run() -> None:
        FILE.unlink()
        make()

    return run


def is_no_file() -> None:
    FILE.mkdir()
    (FILE / "x").touch()


def older(*statements: str) -> Callable[[], None]:
    """A database of release 0002, and what was then done to it."""

    def run() -> None:
        FILE.unlink()
        with closing(sqlite3.connect(FILE)) as connection:
            connection.executescript((RELEASED / "0002.sql").read_text())
        sql(*statements)()

    return run


READ = ("status", "status --json", "export", "report", "resume --executor inline", "search")
LAUNCH = ("launch --grid smoke --preset smoke --executor inline",)
DRY = ("launch --grid smoke --preset smoke --dry-run",)
ALL = (*READ, *LAUNCH, *DRY)

# How a database is broken, by which commands it is noticed, and what they say.
BROKEN: dict[str, tuple[Callable[[], None], tuple[str, ...], str]] = {
    "garbage": (overwrite(0, b"no pages of a database" * 999), ALL, RECOVER),
    "another header": (overwrite(0, b"\x89PNG\r\n"), ALL, "is not a SQLite database"),
    "cut in the first page": (cut(3_000), ALL, "`sweeper recover`"),
    "cut after the first page": (cut(4_096), ALL, "`sweeper recover`"),
    "cut in half": (cut(40_000), ALL, "`sweeper recover`"),
    "zeros within": (overwrite(4_096, bytes(120_000)), ALL, RECOVER),
    "no bytes": (cut(0), (*READ, *DRY), "is not a database of sweeper; run `sweeper launch`"),
    "gone": (instead(lambda: None), READ, "no database at results.db"),
    "a directory": (instead(is_no_file), ALL, "is a directory"),
    "a link to itself": (
        instead(lambda: FILE.symlink_to(FILE)),
        (*READ, *LAUNCH),
        "results.db",
    ),
    "a link to nothing": (instead(lambda: FILE.symlink_to("no/x.db")), READ, "no database at"),
    "a log without its file": (
        instead(lambda: Path("results.db-wal").write_bytes(b"\x37\x7f\x06\x82" * 99)),
        (*READ, *LAUNCH),
        "only its log is there; run `sweeper recover`",
    ),
    "tables of another program, to readers": (
        instead(sql("CREATE TABLE songs (title TEXT)")),
        (*READ, *DRY),
        "is not a database of sweeper",
    ),
    "tables of another program": (
        instead(sql("CREATE TABLE songs (title TEXT)")),
        LAUNCH,
        "holds tables of another program; name another with --db",
    ),
    "another program that has a meta and a version": (
        instead(sql("CREATE TABLE meta (x)", "CREATE TABLE alembic_version (version_num)")),
        LAUNCH,
        "holds tables of another program; name another with --db",
    ),
    "a newer schema": (
        sql(NO_LOG, "UPDATE schema_version SET version_num = '9999'"),
        ALL,
        "newer than this sweeper's",
    ),
    "a version that is none": (
        sql(NO_LOG, "UPDATE schema_version SET version_num = 'abc'"),
        ALL,
        "'abc' is no version of a schema",
    ),
    "no table of versions": (
        sql(NO_LOG, "DROP TABLE schema_version"),
        ALL,
        f"(it does not say its schema's version); {RECOVER}",
    ),
    "no table of identity": (
        sql(NO_LOG, "DROP TABLE meta"),
        ALL,
        f"(it lacks meta); {RECOVER}",
    ),
    "an older schema without a table": (
        older("DROP TABLE scores"),
        ALL,
        RECOVER,
    ),
    "an older schema with a run config that is no JSON": (
        older("UPDATE runs SET config = '{'"),
        ALL,
        "run config",
    ),
    "no version": (sql("DELETE FROM schema_version"), ALL, "does not say its schema's version"),
    "no identity": (sql("DELETE FROM meta"), ALL, "does not say which ledger it is"),
    "no view": (sql("DROP VIEW results"), ALL, f"(it lacks results); {RECOVER}"),
    "no table of scores": (sql("DROP TABLE scores"), ALL, f"(it lacks scores); {RECOVER}"),
    "options that are no JSON": (
        sql("UPDATE sweeps SET options = '{grid'"),
        READ,
        "the stored options of sweep 'smoke-smoke' are damaged; move the database away",
    ),
    "options that are a list": (
        sql("UPDATE sweeps SET options = '[]'"),
        READ,
        "the stored options of sweep 'smoke-smoke' are damaged",
    ),
    "a run config that is no JSON": (sql("UPDATE runs SET config = '{'"), ALL, "run config"),
    "a run config that is a number": (sql("UPDATE runs SET config = '3'"), ALL, "run config"),
    "a sweep without a name": (
        sql("DELETE FROM sweeps"),
        READ,
        "this database holds no sweep yet",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_database_is_named_and_left_as_it_is(
    refused: Refused, good: Path, how: str
) -> None:
    shutil.copy(good, FILE)
    break_it, commands, says = BROKEN[how]
    break_it()
    for command in commands:
        refused(says, *command.split())


@pytest.fixture
def locked(good: Path, place: Path) -> Iterator[None]:
    """Another program is in the middle of a transaction."""
    shutil.copy(good, FILE)
    with closing(sqlite3.connect(FILE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.usefixtures("locked")
def test_a_locked_database_is_named(refused: Refused) -> None:
    for command in (*LAUNCH, "resume --executor inline"):
        refused("is locked by another program; close that, or wait", *command.split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
@pytest.mark.parametrize(
    ("target", "mode", "says"),
    [
        ("results.db", 0o000, "cannot open results.db"),
        ("results.db", 0o444, "results.db is read-only"),
        (".", 0o555, "results.db"),
    ],
)
def test_what_a_user_may_not_open_or_write_is_named(
    refused: Refused, good: Path, target: str, mode: int, says: str
) -> None:
    shutil.copy(good, FILE)
    Path(target).chmod(mode)
    try:
        refused(says, *LAUNCH[0].split())
    finally:
        Path(target).chmod(0o755)
