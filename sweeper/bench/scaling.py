"""How the cost of a run-step goes with the sizes of pack, latents, grid and study."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.bench.flops import flops_of
from sweeper.bench.problem import Problem, auto_packs, equal_runs
from sweeper.bench.workers import Crew


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


def scaling(crew: Crew, problem: Problem, axes: Axes) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables; every worker trains packs of its own, all at the same time.

    All but the number of runs varies over runs of one objective, so that only the size differs;
    the number of runs varies over the grid, packed as `--pack auto` does. Cost is linear in runs,
    clips and epochs where a run-step costs the same in every row.
    """
    base = dataclasses.replace(problem, runs=equal_runs(axes.equal_pack), steps=axes.steps)

    def pace(epochs: int = axes.epochs, **sizes: Any) -> dict[str, float]:
        return _pace(crew, dataclasses.replace(base, **sizes), epochs)

    return {
        "pack": [{"pack": size, **pace(runs=equal_runs(size))} for size in axes.packs],
        "tokens": [{"tokens": tokens, **pace(tokens=tokens)} for tokens in axes.tokens],
        "runs": [{"runs": runs, **_grid_pace(crew, base, runs, axes)} for runs in axes.runs],
        "clips": [
            {"clips": clips, **pace(steps=clips // base.batch_pairs)} for clips in axes.clips
        ],
        "epochs": [{"epochs": epochs, **pace(epochs)} for epochs in axes.epochs_trained],
    }


def _grid_pace(crew: Crew, base: Problem, runs: int, axes: Axes) -> dict[str, float]:
    packs = auto_packs(runs, len(crew))
    problems = [dataclasses.replace(base, runs=pack) for pack in packs]
    rounds = [problems[i : i + len(crew)] for i in range(0, len(problems), len(crew))]
    seconds = sum(max(_epochs(crew, own, axes.epochs)) for own in rounds)
    return _row(seconds, base, runs) | {"packs": len(packs)}


def _pace(crew: Crew, problem: Problem, epochs: int) -> dict[str, float]:
    """Every worker trains the same."""
    seconds = max(_epochs(crew, [problem] * len(crew), epochs))
    return _row(seconds, problem, len(problem.runs) * len(crew))


def _epochs(crew: Crew, problems: Sequence[Problem], epochs: int) -> list[float]:
    """Seconds an epoch, of each worker."""
    return crew.deal("epoch_seconds", [(own, epochs) for own in problems])


def _row(seconds: float, problem: Problem, runs: int) -> dict[str, float]:
    """Of the whole machine: milliseconds a run-step and the rate that this is."""
    per_run_step = seconds / (runs * problem.steps)
    flops = flops_of(problem.shape, problem.rows)
    return {"ms_per_run_step": 1e3 * per_run_step, "gflops": flops / per_run_step / 1e9}
