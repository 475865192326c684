"""I/O errors at every call of the write path in turn: files, spools, the database, whole launches.

A launch here is a whole one, by `sweeper.commands`, of one run whose training is pretended.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy.exc import OperationalError

from sweeper.driver import outbox
from sweeper.driver.outbox import append_to_spool, read_spool, store
from sweeper.errors import SweeperError
from sweeper.events import Event, Noted
from sweeper.ledger.check import check_whole
from sweeper.ledger.connect import open_writer
from sweeper.ledger.write import Ledger
from sweeper.storage.checkpoints import Checkpoints
from sweeper.storage.files import Storage, write_atomically
from tests.faults.disk import Fault, every_fault, failing_database, failing_disk
from tests.faults.pretend import Place
from tests.sweeper.storage.test_checkpoints import state

LASTING = pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])


@LASTING
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, lasting: bool) -> None:
    path = tmp_path / "name"

    def tried(fault: Fault) -> None:
        path.write_bytes(b"old bytes")
        with failing_disk(fault, errno.ENOSPC), suppress(OSError):
            write_atomically(path, b"the new bytes")
        assert path.read_bytes() in (b"old bytes", b"the new bytes"), fault

    assert every_fault(lasting, tried) == 6  # open, write, fsync, replace, open, fsync


@LASTING
def test_a_spool_keeps_what_it_has_and_takes_what_comes_next(tmp_path: Path, lasting: bool) -> None:
    first, second, third = (Noted("p", "number", str(number)) for number in range(3))

    def tried(fault: Fault) -> None:
        path = tmp_path / str(fault.at) / "spool"
        append_to_spool(path, first)
        with failing_disk(fault, errno.ENOSPC), suppress(OSError):
            append_to_spool(path, second)
        append_to_spool(path, third)
        assert read_spool(path) in ([first, second, third], [first, third]), fault

    assert every_fault(lasting, tried) >= 5


@LASTING
def test_a_checkpoint_is_the_last_or_the_one_before(tmp_path: Path, lasting: bool) -> None:
    def tried(fault: Fault) -> None:
        with failing_disk(fault, errno.ENOSPC):
            checkpoints = Checkpoints(Storage(str(tmp_path / str(fault.at))), "ledger")
            for epoch in (3, 4):
                with suppress(OSError):
                    checkpoints.save(state("k", epoch))
        loaded = checkpoints.load("k")
        epoch = 0 if loaded is None else loaded.epoch
        assert checkpoints.epoch("k") == epoch, fault
        assert epoch in ((0, 3, 4) if lasting else (3, 4)), fault

    assert every_fault(lasting, tried) >= 12


NewPlace = Callable[[object], Place]


@pytest.fixture
def new_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewPlace:
    monkeypatch.setattr("os.fsync", lambda _handle: None)  # no power is cut here
    open_writer(str(tmp_path / "blank.db")).dispose()
    return lambda name: Place(tmp_path / str(name), tmp_path / "blank.db")


@pytest.fixture
def undisturbed(new_place: NewPlace) -> pd.DataFrame:
    place = new_place("undisturbed")
    assert place.launch() == 0 and len(place.trained) == 1
    return place.table()


class Grudging:
    """In the place of `store`: a database that takes nothing at first, and then everything."""

    def __init__(self, patience: int = 2) -> None:
        self.asked, self.patience = 0, patience

    def __call__(self, ledger: Ledger, event: Event) -> None:
        self.asked += 1
        if self.asked <= self.patience:
            raise OperationalError("", None, sqlite3.OperationalError("database is locked"))
        store(ledger, event)


@pytest.mark.faults
@LASTING
def test_a_launch_that_meets_a_bad_disk_loses_nothing(
    new_place: NewPlace, undisturbed: pd.DataFrame, lasting: bool
) -> None:
    """All files, and the spool too, as the database is locked for a while."""

    def tried(fault: Fault) -> None:
        place = new_place(fault.at)
        number = errno.ENOSPC if lasting else errno.EIO
        with failing_disk(fault, number), pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "store", Grudging())
            place.launch()
        place.check(fault, undisturbed)

    assert every_fault(lasting, tried) > 50


@pytest.mark.faults
@LASTING
def test_a_launch_that_meets_a_bad_database_loses_nothing(
    new_place: NewPlace, undisturbed: pd.DataFrame, lasting: bool
) -> None:
    def tried(fault: Fault) -> None:
        place = new_place(fault.at)
        with failing_database(fault, place.db):
            place.launch()
        place.check(fault, undisturbed)

    assert every_fault(lasting, tried) > 30


@pytest.mark.faults
@pytest.mark.parametrize("bad", ["disk", "database"])
def test_a_launch_that_takes_up_what_was_left_and_meets_an_error_leaves_it_to_the_next(
    new_place: NewPlace, undisturbed: pd.DataFrame, bad: str
) -> None:
    """A spool with the result, an open attempt, and half a file."""

    def tried(fault: Fault) -> None:
        place = new_place(fault.at)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "store", Grudging(patience=99))
            place.launch()
        (left,) = place.directory.glob("*spool-*")
        left.write_bytes(left.read_bytes() + b'\n{"sha256": "')
        place.end()
        failing = failing_disk(fault) if bad == "disk" else failing_database(fault, place.db)
        with failing:
            place.launch()
        assert len(place.trained) == 1, fault
        place.check(fault, undisturbed)

    assert every_fault(False, tried) > 15


@LASTING
def test_a_database_that_could_not_be_made_is_made_later(tmp_path: Path, lasting: bool) -> None:
    def tried(fault: Fault) -> None:
        db = tmp_path / f"{fault.at}.db"
        with failing_database(fault, db), suppress(SweeperError):
            open_writer(str(db)).dispose()
        engine = open_writer(str(db))
        with engine.connect() as connection:
            check_whole(connection, str(db))
        engine.dispose()

    assert every_fault(lasting, tried) > 20


def test_a_full_storage_keeps_no_result_from_the_driver(
    new_place: NewPlace, undisturbed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("sweeper.worker.trial.leave_result", no_room)
    place = new_place("full")
    assert place.launch() == 0
    pd.testing.assert_frame_equal(place.table(), undisturbed)
