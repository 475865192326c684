"""What the database cannot take yet waits, in order, and is stored once it can."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from sweeper.driver import outbox
from sweeper.driver.outbox import (
    Outbox,
    append_to_spool,
    drain_spools,
    is_passing,
)
from sweeper.events import Results, RunResult
from sweeper.ledger import read
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored
from tests.sweeper.driver.test_spool import note, numbers


class Database:
    """In the place of `store`: a database that can be locked, and what it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.locked = False
        self.locks_after: int | None = None  # of further events
        self.asked = 0
        self.stored: list[object] = []
        monkeypatch.setattr(outbox, "store", self)

    def __call__(self, _ledger: Ledger, event: object) -> None:
        self.asked += 1
        if self.locks_after is not None:
            self.locked = self.locks_after <= 0
            self.locks_after = None if self.locked else self.locks_after - 1
        if self.locked:
            raise OperationalError("", None, sqlite3.OperationalError("database is locked"))
        self.stored.append(event)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    return Database(monkeypatch)


def test_what_a_locked_database_refuses_is_stored_in_order_later(
    ledger: Ledger, database: Database
) -> None:
    lines: list[str] = []
    box = Outbox(ledger, lines.append)
    box.deliver(note(0))
    database.locked = True
    for number in (1, 2):
        box.deliver(note(number))
    assert box.waiting == 2 and numbers(box.paths[0]) == [1, 2]
    assert "database is locked" in lines[0] and str(box.paths[0]) in lines[0]
    database.locked = False
    box.deliver(note(3))
    assert database.stored == [note(number) for number in range(4)]
    assert box.waiting == 0 and not box.paths[0].exists()
    assert lines[1:] == ["the database can be written again; what waited is stored"]


def test_a_locked_database_is_not_asked_for_every_event(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 60.0)
    box = Outbox(ledger, lambda line: None)
    database.locked = True
    for number in range(20):
        box.deliver(note(number))
    assert database.asked == 1 and box.waiting == 20


def test_events_go_to_the_cache_when_the_databases_disk_is_full(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    lines: list[str] = []
    box = Outbox(ledger, lines.append)
    if len(box.paths) == 1:
        pytest.skip("a server's events are in the cache anyhow")
    box.paths[0].mkdir()  # nothing can be written there
    database.locked = True
    for number in range(3):
        box.deliver(note(number))
    assert numbers(box.paths[1]) == [0, 1, 2] and box.in_memory == 0
    assert lines[0].endswith(f"results wait in {box.paths[1]}")
    box.paths[0].rmdir()
    database.locked = False
    monkeypatch.undo()
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    assert drain_spools(ledger) == 3 and not box.paths[1].exists()


def no_room(*_: object, **__: object) -> None:
    raise OSError("no space left on device")


def test_events_wait_in_memory_when_no_file_has_room(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "append_to_spool", no_room)
    box = Outbox(ledger, lambda line: None)
    database.locked = True
    assert [box.deliver(note(number)) for number in (0, 1)] == [False, False]
    database.locked = False
    assert box.waiting == box.in_memory == 2 and box.drain()
    assert database.stored == [note(0), note(1)]


def test_a_later_event_never_overtakes_one_that_only_memory_holds(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 60.0)
    box = Outbox(ledger, lambda line: None)
    database.locked = True
    with monkeypatch.context() as full:
        full.setattr("os.fsync", no_room)
        box.deliver(note(0))
    box._in_use = 0  # there is room again
    box.deliver(note(1))
    database.locked = False
    assert box.drain() and database.stored == [note(0), note(1)]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OperationalError("", None, sqlite3.OperationalError("disk I/O error")), True),
        (IntegrityError("", None, sqlite3.IntegrityError("NOT NULL")), False),
        (ProgrammingError("", None, sqlite3.ProgrammingError("no such column")), False),
        (KeyError("no such run"), False),
    ],
)
def test_a_lock_passes_and_a_broken_rule_stays(error: Exception, passes: bool) -> None:
    assert is_passing(error) == passes


def test_an_event_that_no_later_try_can_mend_is_raised(ledger: Ledger) -> None:
    box = Outbox(ledger, lambda line: None)
    with pytest.raises(KeyError):
        box.deliver(Results("p", [RunResult("no such run", State.FINISHED)], 1.0))
    assert box.waiting == 0


def test_a_spooled_event_that_no_longer_fits_is_noted_and_stops_nobody(
    ledger: Ledger, engine: Engine, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    path = Outbox(ledger, lambda line: None).paths[0]
    odd = RunResult(key, State.FINISHED, {"no_such_column": 1.0})
    for result in (odd, scored(key)):
        append_to_spool(path, Results("p", [result], 1.0))
    assert drain_spools(ledger) == 1
    assert read.states(engine, [key]) == {key: "finished"}
    assert not path.exists()
    with engine.connect() as connection:
        kinds = connection.scalars(text("SELECT kind FROM events")).all()
    assert kinds == ["spool-refused"]


def test_one_event_that_no_later_try_can_mend_holds_up_no_other(
    ledger: Ledger,
    engine: Engine,
    smoke: list[tuple[Cell, RunConfig]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    box = Outbox(ledger, lambda line: None)
    with monkeypatch.context() as patch:
        Database(patch).locked = True
        for event in (note(1), Results("p", [RunResult("none", State.FINISHED)], 1.0)):
            box.deliver(event)
        box.deliver(Results("p", [scored(key)], 1.0))
    assert box.drain() and box.waiting == 0
    assert read.states(engine, [key]) == {key: "finished"}
    with engine.connect() as connection:
        kinds = connection.scalars(text("SELECT kind FROM events ORDER BY id")).all()
    assert kinds == ["number", "spool-refused"]


def test_what_was_stored_is_not_stored_again_when_the_database_fails_in_between(
    ledger: Ledger, database: Database
) -> None:
    box = Outbox(ledger, lambda line: None)
    database.locked = True
    for number in range(3):
        box.deliver(note(number))
    database.locks_after = 1
    assert not box.drain() and box.waiting == 2
    assert numbers(box.paths[0]) == [0, 1, 2]
    database.locked = False
    assert box.drain()
    assert database.stored == [note(0), note(1), note(2)]


def test_a_spool_stays_until_all_of_it_is_stored(ledger: Ledger, database: Database) -> None:
    path = Outbox(ledger, lambda line: None).paths[0]
    for number in range(3):
        append_to_spool(path, note(number))
    database.locks_after = 1
    with pytest.raises(OperationalError):
        drain_spools(ledger)
    assert numbers(path) == [0, 1, 2]
    database.locked = False
    assert drain_spools(ledger) == 3 and not path.exists()


def test_spools_are_stored_by_the_age_of_their_drivers(ledger: Ledger, database: Database) -> None:
    """The tenth driver wrote beside the database, the ninth found that disk full."""
    beside, cached = outbox._prefixes(ledger)
    append_to_spool(Path(f"{beside}10"), note(10))
    append_to_spool(Path(f"{cached}9"), note(9))
    assert drain_spools(ledger) == 2
    assert database.stored == [note(9), note(10)]


def test_a_spool_that_cannot_be_removed_costs_no_event(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(ledger, lambda line: None)
    database.locked = True
    box.deliver(note(0))
    database.locked = False
    monkeypatch.setattr(Path, "unlink", no_room)
    assert box.deliver(note(1)) and database.stored == [note(0), note(1)]


def test_events_of_another_version_are_kept_and_told(ledger: Ledger, engine: Engine) -> None:
    path = Outbox(ledger, lambda line: None).paths[0]
    body = json.dumps({"event": "of the future"})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"sha256": outbox._digest(body), "event": body}) + "\n")
    path.with_name(f"{path.name}.bak").write_text("somebody's copy")
    append_to_spool(path, note(1))
    assert drain_spools(ledger) == 1 and not path.exists()
    assert "of the future" in path.with_name(f"{path.name}.refused").read_text()
    with engine.connect() as connection:
        details = connection.scalars(text("SELECT detail FROM events")).all()
    assert any("1 events of another version" in detail for detail in details)
    assert drain_spools(ledger) == 0
