"""Arms: what is timed. Each trains the runs of its worker in rounds of a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from sweeper.bench.baselines import GraphedLoop, PlainLoop, StackedLoop, TunedLoop
from sweeper.bench.flops import products_of
from sweeper.bench.problem import Problem

# Steps that a loop trains one run before it turns to the next: its weights come from memory once.
STEPS_IN_TURN = 5
# Products at once when the ceiling is measured, as many as the trainer makes.
PRODUCTS_AT_ONCE = 4


class Arm(Protocol):
    """One way to train."""

    flush_denormal: bool

    def train(self, rounds: int) -> int:
        """Trains; returns how many run-steps it did."""


class Packed:
    """Ours: one epoch of the pack a round, its bookkeeping and validation included."""

    flush_denormal = True

    def __init__(self, problem: Problem) -> None:
        self._trainer = problem.trainer()
        self._run_steps = problem.steps * len(problem.runs)

    def train(self, rounds: int) -> int:
        for _ in range(rounds):
            self._trainer.train_epoch()
        return rounds * self._run_steps


class OneByOne:
    """A loop that trains its runs in turn."""

    def __init__(self, problem: Problem, loop: type[PlainLoop] | type[TunedLoop]) -> None:
        self.flush_denormal = loop.flush_denormal
        self._loops = [loop(problem, run) for run in problem.runs]

    def train(self, rounds: int) -> int:
        for _ in range(rounds):
            for loop in self._loops:
                loop.train(STEPS_IN_TURN)
        return rounds * STEPS_IN_TURN * len(self._loops)


class Stacked:
    """torch.func.vmap over all runs."""

    flush_denormal = True

    def __init__(self, problem: Problem) -> None:
        self._loop, self._runs = StackedLoop(problem, problem.runs), len(problem.runs)

    def train(self, rounds: int) -> int:
        self._loop.train(rounds * STEPS_IN_TURN)
        return rounds * STEPS_IN_TURN * self._runs


class Products:
    """The ceiling: the matrix products of a step on numbers in the cache, and nothing else."""

    flush_denormal = True

    def __init__(self, problem: Problem) -> None:
        def draw(*sizes: int) -> torch.Tensor:
            return torch.randn(*sizes, device=problem.device, dtype=problem.dtype)

        self._operands = [
            (
                draw(PRODUCTS_AT_ONCE * b, m, k),
                draw(PRODUCTS_AT_ONCE * b, k, n),
                draw(PRODUCTS_AT_ONCE * b, m, n),
            )
            for b, m, n, k in products_of(problem.shape, problem.rows)
        ]

    def train(self, rounds: int) -> int:
        for _ in range(rounds * STEPS_IN_TURN):
            for left, right, out in self._operands:
                torch.bmm(left, right, out=out)
        return rounds * STEPS_IN_TURN * PRODUCTS_AT_ONCE


ARMS: dict[str, Callable[[Problem], Arm]] = {
    "ours": Packed,
    "b0": lambda problem: OneByOne(problem, PlainLoop),
    "b1": lambda problem: OneByOne(problem, TunedLoop),
    "b2": lambda problem: OneByOne(problem, GraphedLoop),
    "vmap": Stacked,
    "products": Products,
}
