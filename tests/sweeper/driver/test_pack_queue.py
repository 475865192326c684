"""The queue of packs: what may start, what must wait, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from sweeper.driver.pack_queue import PackQueue
from sweeper.states import State
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import make_pack, reference_of, with_references
from sweeper.study.presets import PRESETS
from tests.sweeper.driver.test_retry import some_runs


class Elsewhere:
    """Runs that another sweep has, and how they stand."""

    def __init__(self, **states: State) -> None:
        self.states = states

    def claim(self, pack: str, keys: Sequence[str]) -> set[str]:
        return set(keys) - set(self.states)

    def look(self, keys: Iterable[str]) -> dict[str, tuple[State, float | None]]:
        return {
            key: (self.states[key], 0.5 if self.states[key] == State.FINISHED else None)
            for key in keys
        }


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.driver.pack_queue.LOOK_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_run_that_another_sweep_trains_is_left_to_it_and_waited_for() -> None:
    first, second = some_runs(2)
    claims = Elsewhere(**{first.key: State.RUNNING})
    pack_queue = PackQueue("x", [make_pack([first, second])], {}, claims)
    name = handed_out(pack_queue)
    assert pack_queue.packs[name].keys == [second.key]
    pack_queue.close(name)
    assert pack_queue.next() is None and not pack_queue.over
    claims.states[first.key] = State.FINISHED
    assert pack_queue.next() is None and pack_queue.over


@pytest.mark.usefixtures("impatient")
def test_a_run_that_another_sweep_lets_go_is_trained_here() -> None:
    (run,) = some_runs(1)
    claims = Elsewhere(**{run.key: State.RUNNING})
    pack_queue = PackQueue("x", [make_pack([run])], {}, claims)
    assert pack_queue.next() is None
    claims.states = {run.key: State.INTERRUPTED}
    claims.claim = lambda pack, keys: set(keys)  # type: ignore[method-assign]
    assert pack_queue.packs[handed_out(pack_queue)].keys == [run.key]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("state", "starts"), [(State.FINISHED, True), (State.DIVERGED, False)])
def test_what_waits_for_a_reference_of_another_sweep_starts_or_is_dropped(
    state: State, starts: bool
) -> None:
    cells = [cell for cell in load_grid("smoke").cells(1) if cell.lam == 0.6]
    (run,) = (run_config(cell, PRESETS["quick"]) for cell in cells)
    reference = reference_of(run)
    assert reference is not None
    claims = Elsewhere(**{reference.key: State.RUNNING})
    pack_queue = PackQueue("x", [make_pack([reference]), make_pack([run])], {}, claims)
    assert pack_queue.next() is None
    claims.states[reference.key] = state
    assignment = pack_queue.next()
    assert (assignment is not None) == starts
    if assignment is not None:
        assert assignment.reference_mse == (0.5,)
    else:
        assert pack_queue.over


def test_a_stop_does_not_wait_for_another_sweep() -> None:
    (run,) = some_runs(1)
    pack_queue = PackQueue("x", [make_pack([run])], {}, Elsewhere(**{run.key: State.RUNNING}))
    assert pack_queue.next() is None and not pack_queue.over
    pack_queue.halt()
    assert pack_queue.over and pack_queue.idle


def handed_out(pack_queue: PackQueue) -> str:
    """The name of the next pack."""
    assignment = pack_queue.next()
    assert assignment is not None
    return assignment.pack


def test_what_a_pack_leaves_is_handed_out_next() -> None:
    first, second, third = some_runs(3)
    pack_queue = PackQueue("x", [make_pack([first, second]), make_pack([third])], {})
    pack = handed_out(pack_queue)
    pack_queue.settle(pack, first.key)
    assert pack_queue.unsettled(pack) == [second]
    pack_queue.requeue(pack, [(second,)])
    again = handed_out(pack_queue)
    assert pack_queue.packs[again].keys == [second.key]


def test_nothing_is_over_while_a_pack_may_still_come_back() -> None:
    pack_queue = PackQueue("x", [make_pack(some_runs(2))], {})
    pack = handed_out(pack_queue)
    assert pack_queue.next() is None and not pack_queue.over
    pack_queue.close(pack)
    assert pack_queue.over and pack_queue.idle


def test_only_runs_that_need_what_was_given_up_are_dropped() -> None:
    cells = [c for c in load_grid("ablation").cells(2) if c.lam in (0.6, 1.0)]
    runs = with_references(run_config(cell, PRESETS["quick"]) for cell in cells)
    references = [run for run in runs if run.lam == 1]
    waiting = [run for run in runs if run.lam == 0.6]
    pack_queue = PackQueue("x", [make_pack(waiting)], {references[1].key: 0.1})
    assert pack_queue.next() is None
    pack_queue.give_up(references[0].key)
    pack = pack_queue.packs[handed_out(pack_queue)]
    assert pack.keys == [r.key for r in waiting if reference_of(r) == references[1]]


def test_a_halted_queue_hands_out_nothing() -> None:
    pack_queue = PackQueue("x", [make_pack(some_runs(1))], {})
    pack_queue.halt()
    assert pack_queue.next() is None and pack_queue.over
