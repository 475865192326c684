"""Failure classes and second tries: the run at fault is found, and nobody else pays for it."""

from __future__ import annotations

import pytest

from sweeper.driver.ray_tune import classify_loss
from sweeper.driver.retry import Retries
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import make_packs
from sweeper.study.presets import PRESETS
from sweeper.worker.trial import classify


def some_runs(count: int) -> list[RunConfig]:
    cells = load_grid("ablation").cells(1)
    return [run_config(cell, PRESETS["quick"]) for cell in cells if cell.lam == 0.0][:count]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("odd"), "unconfirmed"),
        (MemoryError(), "out-of-memory"),
        (RuntimeError("CUDA error: out of memory"), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out-of-memory"),
        (OSError("no space left on device"), "infrastructure"),
    ],
)
def test_what_a_run_raises_is_classified(error: Exception, kind: str) -> None:
    assert classify(error) == kind


def test_what_ray_reports_is_classified() -> None:
    from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

    assert classify_loss(ActorDiedError()) == "infrastructure"
    assert classify_loss(None) == "infrastructure"
    assert classify_loss(OutOfMemoryError("killed")) == "out-of-memory"
    task = RayTaskError("f", "trace", ValueError("odd"))
    assert classify_loss(task.as_instanceof_cause()) == "unconfirmed"


def tries(guilty: RunConfig, runs: list[RunConfig], kind: State) -> tuple[int, list[str]]:
    """Plays a launch in which `guilty` always breaks its pack: its tries, and its states."""
    retries, queue, states = Retries(), [tuple(runs)], []
    finished: list[RunConfig] = []
    while queue:
        pack = queue.pop(0)
        if guilty in pack:
            state, again = retries.after(pack, kind)
            states.append(state)
            queue = [*again, *queue]
        else:
            finished.extend(pack)
    assert sorted(run.key for run in finished) == sorted(r.key for r in runs if r != guilty)
    return len(states), states


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_code_error_is_confirmed_once_alone_and_then_final(size: int) -> None:
    runs = some_runs(size)
    count, states = tries(runs[0], runs, State.UNCONFIRMED)
    assert states[-1] == "failed" and set(states[:-1]) == {"unconfirmed"}
    assert count == {1: 2, 2: 2, 7: 3}[size]


def test_want_of_memory_ends_in_a_pack_of_one() -> None:
    runs = some_runs(4)
    count, states = tries(runs[-1], runs, State.OUT_OF_MEMORY)
    assert count == 3 and set(states) == {"out-of-memory"}


def test_a_lost_worker_is_replaced_whole_then_halved_then_given_up() -> None:
    runs = some_runs(4)
    count, states = tries(runs[0], runs, State.INFRASTRUCTURE)
    assert count == 6  # whole twice, a half, and three times alone
    assert set(states) == {"infrastructure"}


def test_runs_of_unequal_epochs_and_suspects_are_packed_apart() -> None:
    runs = some_runs(4)
    apart = {runs[0].key: (False, 3), runs[1].key: (False, 3), runs[2].key: (True, 0)}
    packs = make_packs(runs, slots=1, apart=apart)
    grouped = {frozenset(pack.keys) for pack in packs}
    assert frozenset({runs[0].key, runs[1].key}) in grouped
    assert frozenset({runs[2].key}) in grouped and len(grouped) == 3
