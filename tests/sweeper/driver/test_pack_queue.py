"""The queue of packs: what may start, what must wait, and when it is over."""

from __future__ import annotations

from sweeper.driver.pack_queue import PackQueue
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import make_pack, reference_of, with_references
from sweeper.study.presets import PRESETS
from tests.sweeper.driver.test_retry import some_runs


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
