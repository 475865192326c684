"""A kill while a sweep is forgotten or runs are taken back: the same command again ends it."""

from __future__ import annotations

import signal

import pytest

from tests.faults.conftest import Sweep, counts

pytestmark = pytest.mark.faults

CELL = "Cosine SEP λ=0.6 seed 0"
VERBS = {"forget": ("forget", "toy-smoke"), "retrain": ("retrain", CELL)}


def state_of(sweep: Sweep, verb: str) -> str:
    """`before`, `after` or `torn`, by what the database holds."""
    ((cells, scores, attempts, events),) = sweep.query(
        "SELECT (SELECT COUNT(*) FROM cells), (SELECT COUNT(*) FROM scores), "
        "(SELECT COUNT(*) FROM attempts), "
        "(SELECT COUNT(*) FROM events WHERE kind IN ('forgotten', 'retrain'))"
    )
    after = (0, 6, 6, 1) if verb == "forget" else (7, 5, 7, 1)
    standing = {(7, 6, 6, 0): "before", after: "after"}
    return standing.get((cells, scores, attempts, events), "torn")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("point", "standing"),
    [("begin", "before"), ("before-commit", "before"), ("after-commit", "after")],
)
def test_a_kill_leaves_all_or_nothing(sweep: Sweep, verb: str, point: str, standing: str) -> None:
    assert sweep.launch() == 0, sweep.output
    table = sweep.table()
    command = (*VERBS[verb], "--db", sweep.db, "--yes")
    assert sweep.sweeper(*command, fault=f"kill@{verb}:{point}") == -signal.SIGKILL
    counts["injected"] += 1
    assert state_of(sweep, verb) == standing
    again = 0 if standing == "before" else 1  # there is no such sweep; the cell waits anyway
    assert sweep.sweeper(*command) == again, sweep.output
    assert state_of(sweep, verb) == "after"
    assert sweep.launch() == 0, sweep.output
    assert sweep.table().equals(table)
