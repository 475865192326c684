"""A database that is locked, full, or loses its power: results wait, and none is lost."""

from __future__ import annotations

import os
import resource
import sqlite3
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest

from sweeper.ledger.connect import open_writer
from sweeper.signals import Interrupt
from tests.faults.conftest import PATIENCE, Sweep, Whole, counts, ended

pytestmark = pytest.mark.faults

BRIEF = {"sweeper.ledger.connect.BUSY_SECONDS": 0.1, "sweeper.driver.outbox.RETRY_SECONDS": 0.2}

# A minute in the nightly run, a moment in every other.
LOCKED_SECONDS = float(os.environ.get("SWEEPER_TEST_LOCKED_SECONDS", "0.5"))


def wait_for_a_finished_run(sweep: Sweep, process: BaseProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not sweep.finished():
        assert process.is_alive() and time.monotonic() < deadline, sweep.output
        time.sleep(0.01)


def test_a_locked_database_delays_results_and_loses_none(sweep: Sweep, assert_whole: Whole) -> None:
    process = sweep.start(
        **BRIEF, **{"sweeper.driver.recorder.LAST_DRAIN_SECONDS": 30.0 + LOCKED_SECONDS}
    )
    wait_for_a_finished_run(sweep, process)
    lock = sqlite3.connect(sweep.db, timeout=PATIENCE, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    acknowledged = {key for (key,) in lock.execute("SELECT key FROM runs JOIN scores ON id=run_id")}
    wait_for_a_spool(sweep, process)
    time.sleep(LOCKED_SECONDS)
    lock.execute("ROLLBACK")
    lock.close()
    assert ended(process) == 0, sweep.output
    assert "the database cannot be written (database is locked); results wait in" in sweep.output
    assert "the database can be written again" in sweep.output
    assert_whole(sweep, acknowledged)


def wait_for_a_spool(sweep: Sweep, process: BaseProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(sweep.directory.glob("*.spool*")):
        assert process.is_alive() and time.monotonic() < deadline, sweep.output
        time.sleep(0.01)


def test_results_that_were_never_drained_are_stored_by_the_next_launch(
    sweep: Sweep, assert_whole: Whole
) -> None:
    process = sweep.start(**BRIEF, **{"sweeper.driver.recorder.LAST_DRAIN_SECONDS": 0.2})
    wait_for_a_finished_run(sweep, process)
    lock = sqlite3.connect(sweep.db, timeout=PATIENCE, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(3.0, lambda: None)
    unlock.start()
    wait_for_a_spool(sweep, process)
    unlock.join()
    process.kill()
    ended(process)
    lock.close()
    assert list(sweep.directory.glob("*.spool*"))
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)


def limit_file_size(size: int) -> None:
    """Writes beyond `size` bytes of any file fail from now on, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("room", [4_096, 150_000])
def test_a_full_disk_stops_no_run_and_a_later_launch_stores_all(
    sweep: Sweep, assert_whole: Whole, room: int
) -> None:
    """From the first pack on no file may grow beyond `room`: database, spool or checkpoint."""
    code = sweep.launch(**BRIEF, **{"sweeper.driver.execute.interruptible": full_disk(room)})
    assert code == 2, sweep.output
    assert "the database cannot be written" in sweep.output
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)


class full_disk:
    """In the place of `interruptible`, which opens the part of a launch that trains."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self) -> full_disk:
        return self

    def __enter__(self) -> Interrupt:
        limit_file_size(self.room)
        return Interrupt()

    def __exit__(self, *_: object) -> None:
        return


@pytest.mark.parametrize("replaced", [False, True])
def test_a_driver_whose_database_is_removed_or_replaced_stops_and_its_results_are_recovered(
    sweep: Sweep, undisturbed: pd.DataFrame, replaced: bool
) -> None:
    other = sweep.directory / "other.db"
    open_writer(str(other)).dispose()
    before = other.read_bytes()
    process = sweep.start()
    wait_for_a_finished_run(sweep, process)
    if replaced:
        other.replace(sweep.db)
    for file in sweep.directory.glob("results.db-*" if replaced else "results.db*"):
        file.unlink()
    counts["injected"] += 1
    assert ended(process) == 1
    line = sweep.output.splitlines()[-1]
    assert ("replaced by another file" if replaced else "was removed") in line
    assert "sweeper recover" in line and "Traceback" not in sweep.output
    if replaced:
        assert Path(sweep.db).read_bytes() == before
        Path(sweep.db).unlink()
    assert not Path(sweep.db).exists()
    assert sweep.sweeper("recover", "--db", sweep.db, "--storage", str(sweep.storage)) == 0
    assert sweep.launch() == 0, sweep.output
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)
