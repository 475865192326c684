"""Leases: one driver a sweep, and no word from one that has lost it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from sweeper.errors import SweepHeldError
from sweeper.ledger import lease, read
from sweeper.ledger.lease import FencedError, Holder, claim, holders
from sweeper.ledger.process import Process
from sweeper.ledger.write import Ledger, Provenance
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored

Smoke = list[tuple[Cell, RunConfig]]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this machine."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def hand_over(engine: Engine, **columns: object) -> None:
    """Rewrites the lease's row as another driver's."""
    values = ", ".join(f"{name} = :{name}" for name in columns)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE leases SET {values}"), columns)


def as_process(process: Process) -> dict[str, object]:
    return {"host": process.host, "pid": process.pid, "process": process.identity}


def process_of(popen: subprocess.Popen[bytes]) -> Process:
    from sweeper.ledger import process

    return Process(
        Process.current().host, popen.pid, f"{process._machine()} {process._start(popen.pid)}"
    )


def holders_of(engine: Engine) -> dict[int, Holder]:
    with Session(engine) as session:
        return holders(session)


def test_a_sweep_has_one_driver(engine: Engine) -> None:
    with claim(engine, "a"), pytest.raises(SweepHeldError) as told:
        claim(engine, "a")
    assert f"process {os.getpid()}, since 20" in str(told.value)
    assert told.value.exit_code == 3


def test_other_sweeps_of_the_database_are_free(engine: Engine) -> None:
    with claim(engine, "a"), claim(engine, "b") as other:
        assert other.token == 1


def test_a_sweep_that_was_let_go_is_free_and_its_token_grows(engine: Engine) -> None:
    with claim(engine, "a") as first:
        pass
    with claim(engine, "a") as second:
        assert (first.token, second.token) == (1, 2)
        assert second.took_over is None


def test_a_driver_that_died_on_this_machine_is_replaced_at_once(
    engine: Engine, sleeper: subprocess.Popen[bytes]
) -> None:
    claim(engine, "a")
    hand_over(engine, **as_process(process_of(sleeper)))
    with pytest.raises(SweepHeldError):
        claim(engine, "a")
    sleeper.kill()
    sleeper.wait()
    assert claim(engine, "a").took_over == f"{Process.current().host}, process {sleeper.pid}"


def test_a_killed_driver_is_gone_before_anybody_reaps_it(
    engine: Engine, sleeper: subprocess.Popen[bytes]
) -> None:
    claim(engine, "a")
    hand_over(engine, **as_process(process_of(sleeper)))
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert claim(engine, "a").token == 2


def test_a_number_used_again_by_another_process_is_not_the_driver(engine: Engine) -> None:
    claim(engine, "a")
    own = Process.current()
    hand_over(engine, process=own.identity.rsplit(" ", 1)[0] + " 1")
    assert claim(engine, "a").token == 2


def test_a_stopped_process_keeps_its_sweep_while_its_lease_runs(
    engine: Engine, sleeper: subprocess.Popen[bytes]
) -> None:
    claim(engine, "a")
    hand_over(engine, **as_process(process_of(sleeper)))
    os.kill(sleeper.pid, signal.SIGSTOP)
    while not process_of(sleeper).stopped:
        time.sleep(0.01)
    with pytest.raises(SweepHeldError):
        claim(engine, "a")
    hand_over(engine, expires=0.0)
    assert claim(engine, "a").token == 2


ELSEWHERE = {"host": "elsewhere", "pid": 1, "process": "another-boot 1"}


def test_a_driver_elsewhere_keeps_its_sweep_while_its_heart_beats(engine: Engine) -> None:
    claim(engine, "a")
    hand_over(engine, **ELSEWHERE)
    with pytest.raises(SweepHeldError, match="host elsewhere, process 1"):
        claim(engine, "a")


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_driver_elsewhere_is_watched_before_it_is_called_dead(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """After a jump of the clock every heartbeat looks old, or lies in the future."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.6)
    claim(engine, "a")
    hand_over(engine, **ELSEWHERE)
    shift(engine, jump)
    monkeypatch.setattr(lease.time, "sleep", lambda _seconds: shift(engine, 0.1))
    with pytest.raises(SweepHeldError):
        claim(engine, "a")
    watched: list[float] = []
    monkeypatch.setattr(lease.time, "sleep", watched.append)
    assert claim(engine, "a").token == 2
    assert watched == [pytest.approx(0.25)]


def shift(engine: Engine, seconds: float) -> None:
    with engine.begin() as connection:
        moved = "heartbeat = heartbeat + :s, expires = expires + :s"
        connection.execute(text(f"UPDATE leases SET {moved}"), {"s": seconds})


def test_a_driver_that_lost_its_sweep_can_write_nothing(engine: Engine, smoke: Smoke) -> None:
    zombie = Ledger(claim(engine, "a"))
    zombie.register({}, smoke)
    key = smoke[0][1].key
    zombie.start_attempts("p", [key], Provenance())
    hand_over(engine, **ELSEWHERE, expires=0.0, token=2)
    writes = [
        lambda: zombie.register({}, smoke),
        lambda: zombie.start_attempts("q", [key], Provenance()),
        lambda: zombie.place("p", "here", "cpu", {key: 1}),
        lambda: zombie.record("p", [scored(key)], 1.0),
        lambda: zombie.close_attempts("failed", "late"),
        lambda: zombie.note("kind", "detail"),
        zombie.lease.beat,
    ]
    for write in writes:
        with pytest.raises(FencedError):
            write()
    assert zombie.lease.lost.is_set()
    assert read.states(engine, [key]) == {key: "interrupted"}


def test_the_heart_beats_by_the_databases_clock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.3)
    with claim(engine, "a") as own:
        first = holders_of(engine)[own.sweep_id]
        deadline = time.monotonic() + 10
        while holders_of(engine)[own.sweep_id].heartbeat == first.heartbeat:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert holders_of(engine)[own.sweep_id].since == first.since


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "running"),
        ({"expires": 0.0}, "unknown"),
        ({"heartbeat": 9e9, "expires": 9e9}, "unknown"),
        ({"token": 2}, "interrupted"),
        ({"host": None}, "interrupted"),
    ],
)
def test_a_run_is_running_only_under_a_live_lease(
    engine: Engine, smoke: Smoke, change: dict[str, object], state: str
) -> None:
    ledger = Ledger(claim(engine, "a"))
    ledger.register({}, smoke)
    key = smoke[0][1].key
    ledger.start_attempts("p", [key], Provenance())
    hand_over(engine, **{**ELSEWHERE, **change})
    assert read.states(engine, [key])[key] == state
    with engine.connect() as connection:
        view = text("SELECT state FROM results WHERE run_key = :key")
        assert set(connection.scalars(view, {"key": key})) == {state}


def test_a_run_whose_driver_died_on_this_machine_is_interrupted_whatever_the_lease_says(
    engine: Engine, smoke: Smoke, sleeper: subprocess.Popen[bytes]
) -> None:
    ledger = Ledger(claim(engine, "a"))
    ledger.register({}, smoke)
    ledger.start_attempts("p", [smoke[0][1].key], Provenance())
    hand_over(engine, **as_process(process_of(sleeper)))
    assert read.results(engine, "a")["state"].to_list().count("running") == 1
    sleeper.kill()
    sleeper.wait()
    assert read.results(engine, "a")["state"].to_list().count("interrupted") == 1
