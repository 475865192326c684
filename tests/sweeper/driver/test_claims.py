"""Which runs are this driver's: what another sweep has is left to it, whatever happens there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sweeper.driver.claims import LedgerClaims
from sweeper.events import Provenance
from sweeper.ledger.write import Ledger
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.conftest import scored

Smoke = list[tuple[Cell, RunConfig]]


@pytest.fixture
def other(ledger: Ledger, engine: Engine, smoke: Smoke) -> Iterator[Ledger]:
    """A second sweep of the same runs."""
    ledger.register({}, smoke)
    with Ledger.of(engine, "b") as other:
        other.register({}, smoke)
        yield other


def test_a_run_is_the_other_sweeps_from_its_claim_to_its_end(
    ledger: Ledger, other: Ledger, smoke: Smoke
) -> None:
    claims, key = LedgerClaims(other, Provenance()), smoke[0][1].key
    assert LedgerClaims(ledger, Provenance()).claim("p", [key]) == {key}
    assert claims.claim("q", [key]) == set()
    assert claims.look([key]) == {key: (State.RUNNING, None)}
    ledger.start_attempts("p", [key], Provenance())
    assert claims.look([key]) == {key: (State.RUNNING, None)}
    ledger.record("p", [scored(key)], 1.0)
    assert claims.look([key]) == {key: (State.FINISHED, 0.2)}


def test_a_database_that_cannot_be_asked_stops_nobody(
    other: Ledger, engine: Engine, smoke: Smoke
) -> None:
    claims, key = LedgerClaims(other, Provenance()), smoke[0][1].key
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE attempts RENAME TO away"))
    assert claims.claim("p", [key]) == {key}
    assert claims.look([key]) == {}


def test_a_driver_that_was_taken_over_claims_nothing(
    other: Ledger, engine: Engine, smoke: Smoke
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET token = token + 1"))
    assert LedgerClaims(other, Provenance()).claim("p", [smoke[0][1].key]) == set()
