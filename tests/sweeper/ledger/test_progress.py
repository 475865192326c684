"""How far packs are, in the database: stored beside everything else, and after it."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sweeper.events import Provenance
from sweeper.ledger import read
from sweeper.ledger.progress import Told, headway, store
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.plan import cost
from tests.sweeper.conftest import scored, train

Smoke = list[tuple[Cell, RunConfig]]


@pytest.fixture
def runs(ledger: Ledger, smoke: Smoke) -> list[RunConfig]:
    """Two runs are in a pack `p`, two wait."""
    ledger.register({}, smoke)
    runs = [run for _, run in smoke]
    ledger.start_attempts("p", [run.key for run in runs[:2]], Provenance())
    return runs


def epochs(engine: Engine) -> list[tuple[int, float]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT epoch, train_total FROM epochs ORDER BY 1, 2"))
        return [tuple(row) for row in rows]


def told(run: RunConfig, share: float, *numbers: int) -> dict[str, Told]:
    losses = {number: {"train_total": 0.5, "train_rec": None} for number in numbers}
    return {"p": Told(share, seconds=3.0, epochs={run.key: losses})}


def test_epochs_come_in_one_by_one_and_the_result_has_the_last_word(
    ledger: Ledger, engine: Engine, runs: list[RunConfig]
) -> None:
    store(ledger.lease, told(runs[0], 0.2, 1))
    store(ledger.lease, told(runs[0], 0.4, 1, 2))  # the first may have been stored or not
    assert epochs(engine) == [(1, 0.5), (2, 0.5)]
    ledger.record("p", [scored(runs[0].key)], seconds=7.0)
    assert epochs(engine) == [(1, 1.0)]
    store(ledger.lease, told(runs[0], 0.6, 3))
    assert epochs(engine) == [(1, 1.0)], "a result is not added to"
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT share, seconds FROM attempts ORDER BY id"))
        assert [tuple(row) for row in rows] == [(0.4, 7.0), (0.6, 3.0)]


def test_a_locked_database_is_not_waited_for(
    ledger: Ledger, engine: Engine, runs: list[RunConfig]
) -> None:
    with engine.begin() as other:
        other.execute(text("UPDATE leases SET heartbeat = heartbeat"))
        began = time.monotonic()
        with pytest.raises(DBAPIError):
            store(ledger.lease, told(runs[0], 0.2, 1))
        assert time.monotonic() - began < 1
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        assert patience == 5000, "the next transaction is as patient as ever"


def test_the_headway_is_that_of_the_launch(
    ledger: Ledger, engine: Engine, runs: list[RunConfig]
) -> None:
    train(ledger, "o", [scored(runs[2].key)])  # one second
    store(ledger.lease, told(runs[0], 0.5))
    plan = read.plan_of_sweep(engine, ledger.sweep_id)
    ahead = headway(engine, ledger.sweep_id, plan)
    at_work = sum(map(cost, runs[:2]))
    assert ahead.at_work == 1
    assert ahead.missing == pytest.approx(at_work + cost(runs[3]))
    assert ahead.left == pytest.approx(at_work / 2 + cost(runs[3]))
    assert sorted(pack.seconds for pack in ahead.packs) == [1.0, 6.0]
    ledger.close_attempts(State.INTERRUPTED, "signal 15")
    plan = read.plan_of_sweep(engine, ledger.sweep_id)
    ahead = headway(engine, ledger.sweep_id, plan)
    assert (ahead.at_work, ahead.seconds_left) == (0, None)
    assert ahead.left == pytest.approx(at_work + cost(runs[3]))
