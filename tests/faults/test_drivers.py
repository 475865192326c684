"""Two drivers, a driver that froze and came back, and clocks that jump."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from multiprocessing.process import BaseProcess

import pandas as pd
import psutil
import pytest

from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from tests.faults.conftest import Sweep, Whole, counts, ended
from tests.faults.test_database import wait_for_a_finished_run

pytestmark = pytest.mark.faults

SHORT = {"sweeper.ledger.lease.LEASE_SECONDS": 0.6}
HOUR = 3600


def start_slowly(sweep: Sweep) -> BaseProcess:
    """A driver that is at work yet for a while after its first run has finished."""
    return sweep.start("hold@epoch#6", **{"sweeper.failpoints.HOLD_SECONDS": 1.5})


def test_a_second_driver_leaves_in_two_seconds_and_names_the_first(
    sweep: Sweep, assert_whole: Whole
) -> None:
    first = start_slowly(sweep)
    wait_for_a_finished_run(sweep, first)
    freeze(sweep, first)
    acknowledged, started = sweep.finished(), time.monotonic()
    assert sweep.launch() == 3
    assert time.monotonic() - started < 2
    assert f"another driver holds sweep 'toy-smoke': host {os.uname().nodename}" in sweep.output
    assert f"process {first.pid}, since 20" in sweep.output
    os.kill(first.pid or 0, signal.SIGCONT)
    assert ended(first) == 0, sweep.output
    assert_whole(sweep, acknowledged)


def test_a_frozen_driver_is_replaced_and_can_write_nothing_when_it_thaws(
    sweep: Sweep, assert_whole: Whole
) -> None:
    zombie = sweep.start(**SHORT)
    wait_for_a_finished_run(sweep, zombie)
    freeze(sweep, zombie)
    acknowledged = sweep.finished()
    time.sleep(1.0)
    assert sweep.launch(**SHORT) == 0, sweep.output
    before = sweep.query("SELECT * FROM attempts") + sweep.query("SELECT * FROM leases")
    os.kill(zombie.pid or 0, signal.SIGCONT)
    assert ended(zombie) == 3
    assert "another driver has taken this sweep over" in sweep.output
    assert sweep.query("SELECT * FROM attempts") + sweep.query("SELECT * FROM leases") == before
    assert sweep.query("SELECT detail FROM events WHERE kind = 'taken-over'")
    assert_whole(sweep, acknowledged)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_an_hour_takes_no_sweep_from_a_living_driver(
    sweep: Sweep, assert_whole: Whole, jump: int
) -> None:
    """The second driver sees the database's clock an hour off; the first lives, and keeps it."""
    first = start_slowly(sweep)
    wait_for_a_finished_run(sweep, first)
    acknowledged = sweep.finished()
    assert sweep.launch(**jumped(jump)) == 3, sweep.output
    assert ended(first) == 0, sweep.output
    assert_whole(sweep, acknowledged)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_dead_driver_is_replaced_at_once_whatever_the_clock_says(
    sweep: Sweep, assert_whole: Whole, jump: int
) -> None:
    first = start_slowly(sweep)
    wait_for_a_finished_run(sweep, first)
    first.kill()
    ended(first)
    acknowledged = sweep.finished()
    assert sweep.launch(**jumped(jump)) == 0, sweep.output
    assert_whole(sweep, acknowledged)


def freeze(sweep: Sweep, process: BaseProcess) -> None:
    """Stops a driver between two transactions."""
    while True:
        os.kill(process.pid or 0, signal.SIGSTOP)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)  # on a busy machine it may run on for a while
        probe = sqlite3.connect(sweep.db, timeout=0.05, isolation_level=None)
        try:
            probe.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
            return
        except sqlite3.OperationalError:  # in the middle of one: let it end
            os.kill(process.pid or 0, signal.SIGCONT)
        finally:
            probe.close()


def jumped(seconds: int) -> dict[str, object]:
    clock = f"((julianday('now') - 2440587.5) * 86400.0 + {seconds})"
    return {"sweeper.ledger.schema.NOW": {"sqlite": clock}}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_in_order_and_the_sweep_resumes(
    sweep: Sweep, assert_whole: Whole, number: int, code: int
) -> None:
    process = start_slowly(sweep)
    wait_for_a_finished_run(sweep, process)
    os.kill(process.pid or 0, number)
    left = ended(process)
    counts["injected"] += left != code
    assert left == code, sweep.output
    assert "go on with: sweeper resume toy-smoke" in sweep.output
    acknowledged = sweep.finished()
    assert not sweep.query("SELECT 1 FROM attempts WHERE state = 'running'")
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)


def test_two_sweeps_that_share_their_runs_train_each_of_them_once(
    sweep: Sweep, assert_whole: Whole, undisturbed: pd.DataFrame
) -> None:
    """Launched at the same time under two names, over one database and one storage."""
    first = sweep.start("", "--name", "first")
    second = sweep.start("", "--name", "second")
    assert (ended(first), ended(second)) == (0, 0), sweep.output
    assert sweep.query("SELECT COUNT(*) FROM attempts WHERE state = 'finished'") == [(6,)]
    assert not sweep.query("SELECT 1 FROM events WHERE kind = 'checkpoint-failed'")
    counts["injected"] += 1
    for name in ("first", "second"):
        engine = open_reader(sweep.db)
        table = read.results(engine, name).set_index("label")
        engine.dispose()
        pd.testing.assert_frame_equal(
            table.drop(columns="sweep"), undisturbed.drop(columns="sweep"), check_exact=True
        )


def test_what_a_killed_sweep_held_is_trained_by_the_one_that_waited(
    sweep: Sweep, assert_whole: Whole
) -> None:
    first = sweep.start("kill@checkpoint:after-write#3", "--name", "first")
    while not sweep.query("SELECT 1 FROM attempts"):  # it is to die with runs of its own
        assert first.is_alive(), sweep.output
        time.sleep(0.01)
    second = sweep.start("", "--name", "toy-smoke")
    assert ended(first) == -signal.SIGKILL and ended(second) == 0, sweep.output
    trained = sweep.query("SELECT COUNT(*) FROM attempts")
    assert sweep.launch("", "--name", "toy-smoke") == 0  # the latest, to be looked at
    assert sweep.query("SELECT COUNT(*) FROM attempts") == trained
    assert_whole(sweep, set())
