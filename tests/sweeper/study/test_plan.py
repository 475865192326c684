"""Plans: what is missing, who trains with whom, what must come first."""

from __future__ import annotations

import dataclasses

import pytest

from models.spec import LossSpec
from sweeper.study.config import RunConfig
from sweeper.study.grid import load_grid, run_config
from sweeper.study.plan import Plan, make_packs, reference_of, with_references
from sweeper.study.presets import PRESETS


def runs(grid: str = "full", seeds: int = 1) -> list[RunConfig]:
    study = PRESETS["quick"]
    return with_references(run_config(cell, study) for cell in load_grid(grid).cells(seeds))


def test_every_missing_run_is_in_exactly_one_pack() -> None:
    planned = runs(seeds=2)
    packed = [key for pack in make_packs(planned, slots=2) for key in pack.keys]
    assert sorted(packed) == sorted(run.key for run in planned)


def test_a_reference_is_planned_even_when_the_grid_does_not_show_it() -> None:
    cell = next(c for c in load_grid("ablation").cells(1) if c.lam == 0.6)
    planned = with_references([run_config(cell, PRESETS["quick"])])
    assert [run.lam for run in planned] == [1.0, 0.6]


def test_packs_that_wait_come_after_the_packs_that_they_wait_for() -> None:
    seen: set[str] = set()
    for pack in make_packs(runs(seeds=3), slots=4):
        assert pack.needs <= seen
        seen.update(pack.keys)


def test_only_converged_ratio_needs_a_reference() -> None:
    run = next(run for run in runs() if run.lam == 0.6)
    assert run.loss is not None and reference_of(run) is not None
    free = dataclasses.replace(run, loss=dataclasses.replace(run.loss, gamma="init-ratio"))
    assert reference_of(free) is None


@pytest.mark.parametrize("size", [1, 5, 100])
def test_no_pack_is_larger_than_asked(size: int) -> None:
    assert max(len(pack.runs) for pack in make_packs(runs(), 2, size)) <= size


@pytest.mark.parametrize(("largest", "expected"), [(10, 10), (50, 36), (108, 108), (500, 108)])
def test_auto_packs_are_no_larger_than_the_device_bears(largest: int, expected: int) -> None:
    packs = make_packs(runs(seeds=3), slots=1, largest=largest)
    assert max(len(pack.runs) for pack in packs if pack.needs) == expected


def test_auto_packs_keep_every_slot_busy_with_equal_shares() -> None:
    waiting = [len(pack.runs) for pack in make_packs(runs(), slots=2) if pack.needs]
    assert waiting == [18, 18]


@pytest.mark.parametrize(("gamma", "apart", "expected"), [
    ("geometric-ratio", True, [1, 9, 36]), ("geometric-ratio", False, [1, 9, 36]),
    ("init-ratio", True, [1, 9, 36]), ("init-ratio", False, [1, 45]),
])  # fmt: skip
def test_decoders_part_runs_where_that_is_asked_and_references_always(
    gamma: str, apart: bool, expected: list[int]
) -> None:
    study = dataclasses.replace(PRESETS["quick"], loss=LossSpec(gamma=gamma))
    cells = load_grid("ablation").cells(1)
    planned = with_references(run_config(cell, study) for cell in cells)
    packs = make_packs(planned, slots=1, largest=100, decoders_apart=apart)
    assert sorted(len(pack.runs) for pack in packs) == expected


def test_runs_of_one_pack_share_architecture_and_training() -> None:
    for pack in make_packs(runs(seeds=2), slots=2):
        assert len({(run.kind.startswith("cl-"), run.training) for run in pack.runs}) == 1


def test_done_runs_are_not_missing_and_failed_ones_only_when_asked() -> None:
    planned = runs("smoke")
    states = dict(
        zip((r.key for r in planned), ("finished", "diverged", "failed", "running"), strict=True)
    )
    plan = Plan(tuple(planned), states)
    assert [run.key for run in plan.missing()] == [planned[3].key]
    assert len(plan.missing(retry_failed=True)) == 2
    assert plan.count("finished") == 1
