"""Attempts: claimed, started, closed and scored once, whoever else is at work."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from sweeper.ledger import read
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored, train
from tests.sweeper.ledger.test_write import count

Smoke = list[tuple[Cell, RunConfig]]


def test_a_claimed_run_is_pending_until_it_starts_and_taken_all_the_while(
    engine: Engine, smoke: Smoke
) -> None:
    keys = [run.key for _, run in smoke[:2]]
    with Ledger.of(engine, "a") as first, Ledger.of(engine, "b") as second:
        first.register({}, smoke)
        second.register({}, smoke)
        assert first.claim_runs("p", keys, Provenance()) == set(keys)
        assert second.claim_runs("q", keys, Provenance()) == set()
        assert read.states(engine, keys) == dict.fromkeys(keys, State.PENDING)
        first.start_attempts("p", keys[:1], Provenance())
        assert read.states(engine, keys) == dict.fromkeys(keys, State.RUNNING)
        first.record("p", [scored(keys[0])], 1.0)
        first.close_attempts(State.INTERRUPTED, "signal 2")
        assert second.claim_runs("q", keys, Provenance()) == {keys[1]}
        second.close_attempts(State.INTERRUPTED, "signal 2")
    states = read.states(engine, keys)
    assert states == {keys[0]: State.FINISHED, keys[1]: State.PENDING}
    with Ledger.of(engine, "a") as first:
        assert first.claim_runs("r", keys, Provenance()) == {keys[1]}
    assert count(engine, "scores") == 1


def attempts(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT pack, state FROM attempts ORDER BY id"))
        return [(pack, state) for pack, state in rows]


def test_the_database_itself_admits_one_score_a_run(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    train(ledger, "p", [scored(smoke[0][1].key)])
    ledger.start_attempts("q", [smoke[0][1].key], Provenance())
    again = "INSERT INTO scores (run_id, attempt_id, valid_size, test_size) VALUES (1, 2, 1, 1)"
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(again))


def test_a_repeated_start_opens_nothing(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    for _ in range(2):
        ledger.start_attempts("p", [smoke[0][1].key], Provenance())
    assert attempts(engine) == [("p", "running")]


def test_a_result_that_comes_after_its_attempt_was_closed_counts(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    ledger.start_attempts("p", [smoke[0][1].key], Provenance())
    ledger.close_attempts(State.INTERRUPTED, "its driver is gone")
    ledger.record("p", [scored(smoke[0][1].key)], None)
    assert attempts(engine) == [("p", "finished")] and count(engine, "scores") == 1


def test_closing_leaves_alone_what_has_ended_and_what_is_another_sweeps(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    keys = [run.key for _, run in smoke]
    train(ledger, "p", [RunResult(keys[0], State.DIVERGED, cause="NaN")])
    ledger.start_attempts("q", [keys[1]], Provenance())
    with Ledger.of(engine, "b") as other:
        other.register({}, smoke)
        other.start_attempts("r", [keys[2]], Provenance())
        assert ledger.close_attempts(State.INTERRUPTED, "signal 2") == 1
    assert attempts(engine) == [("p", "diverged"), ("q", "interrupted"), ("r", "running")]


def test_a_run_that_was_claimed_and_never_started_is_free_once_its_pack_is_closed(
    engine: Engine, smoke: Smoke
) -> None:
    key = smoke[0][1].key
    with Ledger.of(engine, "a") as first, Ledger.of(engine, "b") as second:
        first.register({}, smoke)
        first.claim_runs("p", [key], Provenance())
        assert first.close_attempts(State.INTERRUPTED, "signal 2") == 0
        assert second.claim_runs("q", [key], Provenance()) == {key}


def test_what_a_dead_driver_claimed_is_free_and_what_diverged_is_not(
    engine: Engine, smoke: Smoke
) -> None:
    keys = [run.key for _, run in smoke[:2]]
    with Ledger.of(engine, "a") as dead:
        dead.register({}, smoke)
        dead.claim_runs("p", keys, Provenance())
        dead.record("p", [RunResult(keys[0], State.DIVERGED, cause="NaN")], 1.0)
    with Ledger.of(engine, "a"), Ledger.of(engine, "b") as other:  # `a` has another driver now
        assert other.claim_runs("q", keys, Provenance()) == {keys[1]}
