"""How the cost of a run-step goes with the sizes of pack, latents, grid and study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweeper.bench.methods import flops_of
from sweeper.bench.problem import Problem, auto_packs, equal_runs
from sweeper.bench.workers import Workers, finish, seconds_of


@dataclass(frozen=True)
class Axes:
    """What is varied, and how long each point is measured."""

    packs: Sequence[int] = (1, 4, 8, 18, 36)
    tokens: Sequence[int] = (1, 8, 25)
    runs: Sequence[int] = (9, 18, 36, 72)
    clips: Sequence[int] = (256, 512, 1_024)
    epochs_trained: Sequence[int] = (1, 4, 8)
    equal_pack: int = 18  # runs of a pack where something else varies
    steps: int = 16
    epochs: int = 2


def scaling(workers: Workers, problem: Problem, axes: Axes) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables; every worker trains packs of its own, all at the same time.

    All but the number of runs varies over runs of one objective, so that only the size differs;
    the number of runs varies over the grid, packed as `--pack auto` does. Cost is linear in runs,
    clips and epochs where a run-step costs the same in every row.
    """
    base = replace(problem, runs=equal_runs(axes.equal_pack), steps=axes.steps)

    def pace(epochs: int = axes.epochs, **sizes: Any) -> dict[str, float]:
        return _pace(workers, [replace(base, **sizes)] * len(workers), epochs)

    def grid_pace(runs: int) -> dict[str, float]:
        packs = [replace(base, runs=pack) for pack in auto_packs(runs, len(workers))]
        return _pace(workers, packs, axes.epochs) | {"packs": len(packs)}

    return {
        "pack": [{"pack": size, **pace(runs=equal_runs(size))} for size in axes.packs],
        "tokens": [{"tokens": tokens, **pace(tokens=tokens)} for tokens in axes.tokens],
        "runs": [{"runs": runs, **grid_pace(runs)} for runs in axes.runs],
        "clips": [
            {"clips": clips, **pace(steps=clips // base.batch_pairs)} for clips in axes.clips
        ],
        "epochs": [{"epochs": epochs, **pace(epochs)} for epochs in axes.epochs_trained],
    }


def _pace(workers: Workers, packs: Sequence[Problem], epochs: int) -> dict[str, float]:
    """Of the whole machine: milliseconds a run-step and the rate that this is."""
    rounds = [packs[i : i + len(workers)] for i in range(0, len(packs), len(workers))]
    seconds = sum(
        max(workers.deal(epoch_seconds, [(pack, epochs) for pack in some])) for some in rounds
    )
    per_run_step = seconds / sum(len(pack.runs) * pack.steps for pack in packs)
    flops = flops_of(packs[0].shape, packs[0].rows)
    return {"ms_per_run_step": 1e3 * per_run_step, "gflops": flops / per_run_step / 1e9}


def epoch_seconds(problem: Problem, epochs: int) -> float:
    """An order to a worker: mean of some epochs of a new pack, after one that does not count."""
    trainer = problem.trainer()
    trainer.train_epoch()
    finish()
    return sum(seconds_of(trainer.train_epoch) for _ in range(epochs)) / epochs
