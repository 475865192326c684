"""SIGKILL to the driver: at every named point of the write path, and at any moment."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.conftest import Sweep, Whole, ended

pytestmark = pytest.mark.faults

TRANSACTIONS = ("claim", "register", "start", "place", "record", "close")
POINTS = [
    *(f"{step}:{moment}" for step in TRANSACTIONS for moment in ("begin", "before-commit")),
    *(f"{step}:after-commit" for step in TRANSACTIONS),
    *(
        f"{file}:{moment}-write"
        for file in ("checkpoint", "weights", "result")
        for moment in ("before", "after")
    ),
]


TRAINED = """SELECT DISTINCT key FROM scores JOIN runs ON runs.id = scores.run_id
    JOIN epochs ON epochs.attempt_id = scores.attempt_id"""


@pytest.mark.parametrize("point", POINTS)
def test_a_driver_killed_at_a_named_point_loses_and_repeats_nothing(
    sweep: Sweep, assert_whole: Whole, point: str
) -> None:
    assert sweep.launch(f"kill@{point}") == -signal.SIGKILL
    assert sweep.faults.read_text() == f"{point}\n"
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)
    kept = {path.stem for path in sweep.storage.rglob("weights/*.safetensors")}
    assert kept == {key for (key,) in sweep.query(TRAINED)}  # no result is there without


@pytest.mark.parametrize("point", ["record:before-commit", "record:after-commit"])
def test_a_driver_killed_late_resumes_what_is_left_and_no_more(
    sweep: Sweep, assert_whole: Whole, point: str
) -> None:
    assert sweep.launch(f"kill@{point}#3") == -signal.SIGKILL
    acknowledged = sweep.finished()
    assert len(acknowledged) >= 2
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged)


@pytest.mark.parametrize("seed", range(30))
def test_a_driver_killed_at_a_random_moment_loses_and_repeats_nothing(
    sweep: Sweep, assert_whole: Whole, seed: int
) -> None:
    process = sweep.start()
    time.sleep(random.Random(seed).uniform(0.05, 1.0))
    process.kill()
    was_running = ended(process) == -signal.SIGKILL
    acknowledged = sweep.finished()
    assert sweep.launch() == 0, sweep.output
    assert_whole(sweep, acknowledged, injected=int(was_running))
