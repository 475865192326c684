"""Tune's callbacks: each puts one event on the recorder's queue, and raises nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError
from ray.tune.search import Searcher

from sweeper.driver.pack_queue import PackQueue
from sweeper.driver.ray_tune import (
    PackSearcher,
    StopWhenAsked,
    TuneCallback,
    _check_count,
    kill_worker,
)
from sweeper.driver.silence import Silence
from sweeper.driver.watch import nothing_known
from sweeper.errors import SweeperError
from sweeper.events import Alive, Ended, Event, Lost, Noted, Progress
from sweeper.states import State
from sweeper.study.plan import Assignment, make_pack
from tests.sweeper.driver.test_retry import some_runs


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.packs: list[str] = []

    def put(self, event: Event) -> None:
        self.events.append(event)

    def started(self, pack: str) -> None:
        self.packs.append(pack)


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder()


def callback_of(recorder: Any, dead: Any = nothing_known, **own: Any) -> TuneCallback:
    return TuneCallback(
        recorder, dead, own.get("silence") or Silence(), own.get("kill") or kill_worker
    )


def trial(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(config={"assignment": Assignment("p", (), ())}, **attributes)


def test_a_trial_that_starts_and_ends_is_a_pack_that_does(recorder: FakeRecorder) -> None:
    callback = callback_of(recorder)  # type: ignore[arg-type]
    callback.on_trial_start(0, [], trial())
    callback.on_trial_complete(0, [], trial())
    assert recorder.packs == ["p"] and recorder.events == [Ended("p")]


def test_an_event_of_a_worker_is_passed_on_and_nothing_else(recorder: FakeRecorder) -> None:
    callback = callback_of(recorder)  # type: ignore[arg-type]
    progress = Progress("p", "epoch", 1, 2, 0.4)
    callback.on_trial_result(0, [], trial(), {"event": progress, "place": ("n", 1)})
    callback.on_trial_result(0, [], trial(), {"event": Alive("p"), "place": ("n", 1)})
    callback.on_trial_result(0, [], trial(), {"done": True})
    assert recorder.events == [progress]


def test_a_lost_trial_tells_what_ray_says(recorder: FakeRecorder, tmp_path: Path) -> None:
    file = tmp_path / "error.pkl"
    file.write_bytes(cloudpickle.dumps(ActorDiedError()))
    callback_of(recorder).on_trial_error(  # type: ignore[arg-type]
        0, [], trial(pickled_error_file=str(file))
    )
    (event,) = recorder.events
    assert isinstance(event, Lost) and event.kind == State.INFRASTRUCTURE
    assert event.cause == "ActorDiedError: the worker died or raised"


@pytest.mark.parametrize("file", [None, "/no/such/file"])
def test_an_error_that_cannot_be_read_is_a_lost_worker(
    recorder: FakeRecorder, file: str | None
) -> None:
    callback_of(recorder).on_trial_error(  # type: ignore[arg-type]
        0, [], trial(pickled_error_file=file)
    )
    (event,) = recorder.events
    assert isinstance(event, Lost) and event.kind == State.INFRASTRUCTURE


def test_a_trial_that_went_with_its_cluster_is_no_packs_fault(recorder: FakeRecorder) -> None:
    callback = callback_of(recorder, lambda: "the raylet is gone")  # type: ignore[arg-type]
    callback.on_trial_error(0, [], trial(pickled_error_file=None))
    assert recorder.events == []


def test_a_silent_worker_is_noted_and_killed_where_it_is(recorder: FakeRecorder) -> None:
    now, killed = [0.0], list[tuple[str, int]]()

    def kill(node: str, process: int) -> None:
        killed.append((node, process))
        if len(killed) > 1:
            raise OSError("the node is gone")

    own = callback_of(recorder, silence=Silence(lambda: now[0]), kill=kill)
    own.on_trial_start(0, [], trial())
    own.on_trial_result(0, [], trial(), {"event": Alive("p"), "place": ("node", 7)})
    for _ in range(2 * 61 + 1):
        own.on_step_begin(0, [])
        now[0] += 5
    assert killed == [("node", 7)] * 2
    told = "p: its worker was silent for 305 s and "
    assert recorder.events == [
        Noted("p", "worker-frozen", told + "is killed"),
        Noted("p", "worker-frozen", told + "cannot be killed: OSError: the node is gone"),
    ]
    own.on_trial_complete(0, [], trial())
    now[0] += 5
    own.on_step_begin(0, [])
    assert len(killed) == 2


def test_tune_is_given_packs_then_told_to_wait_then_that_it_is_over() -> None:
    pack_queue = PackQueue("x", [make_pack(some_runs(1))], {})
    searcher = PackSearcher(pack_queue)
    assignment = searcher.suggest("1")["assignment"]
    assert searcher.suggest("2") is None  # the first may come back
    pack_queue.close(assignment.pack)
    assert searcher.suggest("2") == Searcher.FINISHED
    with pytest.raises(NotImplementedError):
        searcher.restore("anywhere")


def test_the_experiment_stops_when_asked_and_no_trial_alone() -> None:
    answers = iter([False, True])
    stopper = StopWhenAsked(lambda: next(answers))
    assert not stopper("1", {})
    assert [stopper.stop_all(), stopper.stop_all()] == [False, True]


def test_nothing_of_ours_is_pickled_into_tunes_state(recorder: FakeRecorder) -> None:
    ours = (
        callback_of(recorder),
        PackSearcher(PackQueue("x", [], {})),
        StopWhenAsked(bool),
    )  # type: ignore[arg-type]
    assert [thing.__getstate__() for thing in ours] == [{}, {}, {}]


def test_a_trial_too_many_or_too_few_is_told() -> None:
    _check_count(2, 2)
    with pytest.raises(SweeperError, match="ran 1 trials for 2 packs"):
        _check_count(1, 2)
