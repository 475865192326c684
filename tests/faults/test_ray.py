"""The same claims with Ray as users run it: signals, killed workers, and what a run costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import toy
from tests.faults.conftest import PATIENCE, Sweep, Whole, counts

pytestmark = pytest.mark.faults

RAY_PATIENCE = 2.5 * PATIENCE
STOP_SECONDS = 20.0
COST_SECONDS = 0.2  # of orchestration, for each trivial run


def start(sweep: Sweep, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """`sweeper launch` as a user types it."""
    command = [sys.executable, "-m", "sweeper.cli", "launch", "--grid", str(sweep.grid)]
    command += ["--preset", "smoke", "--db", sweep.db, "--storage", str(sweep.storage)]
    options = ["--device", "cpu", "--pack", "4"]
    own = {"SWEEPER_CHECKPOINT_SECONDS": "0", "SWEEPER_FAULT_LOG": str(sweep.faults)}
    with (sweep.directory / "log").open("ab") as log:
        return subprocess.Popen(
            [*command, *options, *arguments],
            env={**os.environ, **own, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def left(process: subprocess.Popen[bytes], sweep: Sweep) -> int:
    try:
        return process.wait(RAY_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pytest.fail(f"the driver hangs: {sweep.output}")


def wait_until(sweep: Sweep, process: subprocess.Popen[bytes], what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RAY_PATIENCE
    while not what():
        assert process.poll() is None and time.monotonic() < deadline, sweep.output
        time.sleep(0.02)


def long_sweep(sweep: Sweep) -> Sweep:
    """Long enough to be stopped while packs train, whatever the machine."""
    sweep.grid = toy.grid_file(sweep.directory, epochs=20_000)
    return sweep


def in_training(sweep: Sweep) -> bool:
    return len(list(sweep.storage.rglob("checkpoints/*"))) > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_in_time_with_packs_checkpointed(
    sweep: Sweep, number: int, code: int
) -> None:
    process = start(long_sweep(sweep), SWEEPER_CHECKPOINT_SECONDS="3600")
    training = "SELECT 1 FROM attempts WHERE device = 'cpu'"
    wait_until(sweep, process, lambda: bool(Path(sweep.db).exists() and sweep.query(training)))
    time.sleep(1.0)
    sent = time.monotonic()
    os.kill(process.pid, number)
    assert left(process, sweep) == code, sweep.output
    assert time.monotonic() - sent < STOP_SECONDS
    assert "go on with: sweeper resume toy-smoke" in sweep.output
    assert in_training(sweep)
    states = {state for (state,) in sweep.query("SELECT state FROM attempts")}
    assert "interrupted" in states and states <= {"interrupted", "finished"}
    counts["injected"] += 1


def test_a_second_signal_stops_at_once(sweep: Sweep) -> None:
    process = start(long_sweep(sweep), SWEEPER_CHECKPOINT_SECONDS="3600")
    training = "SELECT 1 FROM attempts WHERE device = 'cpu'"
    wait_until(sweep, process, lambda: bool(Path(sweep.db).exists() and sweep.query(training)))
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)  # signals that come together are one
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    assert left(process, sweep) == 130, sweep.output
    assert time.monotonic() - sent < 2
    assert set(sweep.table()["state"]) <= {"interrupted", "pending", "finished"}
    counts["injected"] += 1


def test_a_worker_that_dies_before_it_tells_its_results_is_replaced(
    sweep: Sweep, assert_whole: Whole
) -> None:
    point = "result:after-write"
    process = start(sweep, SWEEPER_FAULT=f"kill@{point}")
    assert left(process, sweep) == 0, sweep.output
    assert sweep.faults.read_text() == f"{point}\n"
    assert sweep.query("SELECT 1 FROM attempts WHERE state = 'infrastructure'")
    assert_whole(sweep, sweep.finished())


def test_a_frozen_worker_is_killed_and_its_runs_go_on(sweep: Sweep, assert_whole: Whole) -> None:
    """It is stopped where it has just saved its pack, as SIGSTOP or a swapping machine stop it."""
    process = start(sweep, SWEEPER_FAULT="stop@checkpoint:after-write", SWEEPER_SILENCE_SECONDS="4")
    assert left(process, sweep) == 0, sweep.output
    assert sweep.faults.read_text() == "checkpoint:after-write\n"
    assert sweep.query("SELECT 1 FROM attempts WHERE state = 'infrastructure'")
    assert sweep.query("SELECT kind FROM events") == [("worker-frozen",)]
    assert_whole(sweep, sweep.finished())


FULL = toy.GRID.replace('["Cosine"]', '["InfoNCE", "Cosine", "VICReg"]').replace(
    '["SEP", "SIM"]\nlambdas = [0.0, 0.6, 1.0]\nbaselines = ["encoder"]',
    '["SIM", "SEP", "SIM+SEP"]\nlambdas = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]\n'
    'baselines = ["encoder", "cl-pitch", "cl-instrument"]',
)


def test_orchestration_costs_a_fifth_of_a_second_a_run(sweep: Sweep) -> None:
    """57 cells of toy size, one run a pack: from the first result on, less what trials took."""
    sweep.grid = toy.grid_file(sweep.directory, epochs=1, text=FULL)
    process = start(sweep, "--pack", "1", SWEEPER_CHECKPOINT_SECONDS="60")
    assert left(process, sweep) == 0, sweep.output
    assert len(sweep.table()) == 57
    runs, seconds, trained = sweep.query(SPAN)[0]
    cost = (seconds - trained / (os.cpu_count() or 1)) / runs
    print(f"{runs} runs, {cost:.3f} s of orchestration a run")
    assert cost <= COST_SECONDS


SPAN = """SELECT COUNT(*), 86400 * (julianday(MAX(ended)) - julianday(MIN(ended))), SUM(seconds)
    FROM attempts"""
