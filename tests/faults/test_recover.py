"""A lost database, and a sweep on PostgreSQL: the same table every time."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from tests.faults.conftest import Sweep, Whole, counts
from tests.sweeper.ledger.conftest import new_database, server

__all__ = ["server"]

pytestmark = pytest.mark.faults


def lose_the_database(sweep: Sweep) -> None:
    for file in sweep.directory.glob("results.db*"):
        file.unlink()
    counts["injected"] += 1


def test_a_lost_database_is_rebuilt_from_the_storage(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    assert sweep.launch() == 0, sweep.output
    lose_the_database(sweep)
    assert sweep.sweeper("recover", "--db", sweep.db, "--storage", str(sweep.storage)) == 0
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_a_sweep_whose_database_was_lost_midway_goes_on_from_what_was_recovered(
    sweep: Sweep, assert_whole: Whole
) -> None:
    assert sweep.launch("kill@record:after-commit#2") == -signal.SIGKILL
    acknowledged = sweep.finished()
    lose_the_database(sweep)
    assert sweep.sweeper("recover", "--db", sweep.db, "--storage", str(sweep.storage)) == 0
    assert acknowledged <= sweep.finished()
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)


def test_recovery_finds_the_storage_of_a_database_by_its_path(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    command = ["launch", "--grid", str(sweep.grid), "--preset", "smoke", "--device", "cpu"]
    assert sweep.sweeper(*command, "--db", sweep.db) == 0, sweep.output
    lose_the_database(sweep)
    assert sweep.sweeper("recover", "--db", sweep.db) == 0, sweep.output
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_what_a_crash_left_of_a_manifest_is_no_sweep_and_a_damaged_one_is_told(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    assert sweep.launch() == 0, sweep.output
    (folder,) = sweep.storage.rglob("sweeps")
    (folder / "toy-smoke.json.partial").write_text('{"options": {')
    (folder / "other.json").write_text('{"options": {')
    lose_the_database(sweep)
    assert sweep.sweeper("recover", "--db", sweep.db, "--storage", str(sweep.storage)) == 1
    assert "the manifest of sweep 'other' is damaged" in sweep.output
    assert "toy-smoke: 6 of 6 runs recovered" in sweep.output
    assert sweep.query("SELECT name FROM sweeps") == [("toy-smoke",)]
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_a_database_that_nobody_knows_cannot_be_recovered(sweep: Sweep) -> None:
    assert sweep.sweeper("recover", "--db", sweep.db) == 1
    assert "belongs to" in sweep.output and "name its --storage" in sweep.output
    assert not Path(sweep.db).exists()


def test_a_copied_database_goes_on_in_a_storage_of_its_own(
    sweep: Sweep, undisturbed: pd.DataFrame, assert_whole: Whole
) -> None:
    assert sweep.launch("kill@record:after-commit#2") == -signal.SIGKILL
    acknowledged = sweep.finished()
    copy = sweep.directory / "copy.db"
    sweep.query("PRAGMA wal_checkpoint(TRUNCATE)")  # the killed driver could not fold it
    copy.write_bytes(Path(sweep.db).read_bytes())
    storage = ("--storage", str(sweep.storage))
    counts["injected"] += 1
    assert sweep.launch("", "--db", str(copy)) == 0, sweep.output
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)
    identities = {
        ledger
        for db in (sweep.db, copy)
        for (ledger,) in sqlite3.connect(db).execute("SELECT ledger FROM meta")
    }
    assert len(identities) == 2
    copy.unlink()
    lose_the_database(sweep)
    assert sweep.sweeper("recover", "--db", str(sweep.directory / "new.db"), *storage) == 1
    assert "holds what several databases left" in sweep.output
    assert sweep.sweeper("recover", "--db", str(copy), *storage) == 0, sweep.output


def test_a_killed_sweep_on_postgresql_resumes_to_the_same_table(
    sweep: Sweep, undisturbed: pd.DataFrame, server: str
) -> None:
    url = new_database(server).replace("sweeper@", "sweeper:S3CRET@")
    assert sweep.launch("kill@record:after-commit#2", "--db", url) == -signal.SIGKILL
    counts["injected"] += 1
    assert sweep.launch("", "--db", url) == 0, sweep.output
    engine = open_reader(url)
    table = read.results(engine, "toy-smoke").set_index("label")
    engine.dispose()
    pd.testing.assert_frame_equal(table, undisturbed, check_exact=True)
    other = sweep.storage / "ledgers" / "0" / "ledger.json"  # its storage is found by its URL
    other.parent.mkdir()
    other.write_text('{"database": "postgresql://elsewhere", "launched": "9999"}')
    assert sweep.sweeper("recover", "--db", url, "--storage", str(sweep.storage)) == 0, sweep.output
    assert "toy-smoke: 6 of 6 runs recovered" in sweep.output and "S3CRET" not in sweep.output
