"""Events as lines of a file: what is written is what is read."""

from __future__ import annotations

import pytest

from sweeper.events import (
    Closed,
    Event,
    Noted,
    Placed,
    Provenance,
    Results,
    RunResult,
    Started,
    from_json,
    to_json,
)
from sweeper.states import State

FINISHED = RunResult("k", State.FINISHED, {"mse": 0.1, "gamma": None}, [{"train_total": 1.0}])
DURABLE: list[Event] = [
    Started("p", ["k"], Provenance("here", git_dirty=True, versions={"torch": "2"})),
    Placed("p", "here", "cpu", {"k": 3}),
    Results("p", (FINISHED, RunResult("l", State.DIVERGED, epochs=[], cause="in epoch 1")), 2.5),
    Noted("p", "checkpoint-failed", "no room"),
    Closed("p", State.INTERRUPTED, "signal 2", None, ["k"], again=True),
]


@pytest.mark.parametrize("event", DURABLE, ids=lambda event: type(event).__name__)
def test_a_durable_event_survives_its_line(event: Event) -> None:
    assert event.durable
    assert from_json(to_json(event)) == event


def test_lines_of_an_earlier_version_are_read() -> None:
    old = '{"event": "closed", "state": "failed", "cause": "x", "pack": "p", "traceback": null}'
    assert from_json(old) == Closed("p", State.FAILED, "x")


@pytest.mark.parametrize("line", ["{}", "[1]", '{"event": "closed"}', '{"event": "?"}', "x"])
def test_any_other_line_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        from_json(line)
