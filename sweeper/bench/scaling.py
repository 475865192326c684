"""How the cost of a run-step goes with the pack's size, with tokens, with the number of runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.bench.crew import Crew
from sweeper.bench.flops import flops_of
from sweeper.bench.problem import Problem, auto_packs, equal_runs


@dataclass(frozen=True)
class Axes:
    """What is varied, and how long each point is measured."""

    packs: Sequence[int] = (1, 4, 8, 18, 36)
    tokens: Sequence[int] = (1, 8, 25)
    runs: Sequence[int] = (9, 18, 36, 72)
    tokens_pack: int = 18  # runs of a pack where the tokens vary
    steps: int = 16
    epochs: int = 2


def scaling(crew: Crew, problem: Problem, axes: Axes) -> dict[str, list[dict[str, Any]]]:
    """Rows of the three tables; every worker trains packs of its own, all at the same time.

    Packs and tokens vary over runs of one objective, so that only the size differs; the number
    of runs varies over the grid, packed as `--pack auto` does.
    """
    base = dataclasses.replace(problem, steps=axes.steps)

    def equal(size: int, tokens: int) -> list[Problem]:
        own = dataclasses.replace(base, runs=equal_runs(size), tokens=tokens)
        return [own] * len(crew)

    return {
        "pack": [
            {"pack": size, **_pace(crew, equal(size, base.tokens), axes)} for size in axes.packs
        ],
        "tokens": [
            {"tokens": tokens, **_pace(crew, equal(axes.tokens_pack, tokens), axes)}
            for tokens in axes.tokens
        ],
        "runs": [{"runs": runs, **_grid_pace(crew, base, runs, axes)} for runs in axes.runs],
    }


def _grid_pace(crew: Crew, base: Problem, runs: int, axes: Axes) -> dict[str, float]:
    packs = auto_packs(runs, len(crew))
    problems = [dataclasses.replace(base, runs=pack) for pack in packs]
    rounds = [problems[i : i + len(crew)] for i in range(0, len(problems), len(crew))]
    seconds = sum(max(_epochs(crew, own, axes)) for own in rounds)
    return _row(seconds, base, runs, axes) | {"packs": len(packs)}


def _pace(crew: Crew, problems: list[Problem], axes: Axes) -> dict[str, float]:
    runs = sum(len(own.runs) for own in problems)
    return _row(max(_epochs(crew, problems, axes)), problems[0], runs, axes)


def _epochs(crew: Crew, problems: Sequence[Problem], axes: Axes) -> list[float]:
    return crew.deal("epoch_seconds", [(own, axes.epochs) for own in problems])


def _row(seconds: float, problem: Problem, runs: int, axes: Axes) -> dict[str, float]:
    """Of the whole machine: milliseconds a run-step and the rate that this is."""
    per_run_step = seconds / (runs * axes.steps)
    flops = flops_of(problem.shape, problem.rows)
    return {"ms_per_run_step": 1e3 * per_run_step, "gflops": flops / per_run_step / 1e9}
