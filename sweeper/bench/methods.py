"""What is timed: ways to train, each in rounds of a fixed number of steps, and the work of a step.

Letters: R rows = tokens × 2 views × pairs of a batch, D features, H hidden units, S subspaces,
L features of a latent token.

A layer of w weights costs 2·R·w operations forward, as many for its weights' gradient, and as
many for its input's gradient, which the first layers do not need. With W weights in all and W₁
of them in the first layers a run-step is 2·R·(3·W − W₁) operations, the losses left out:
0.109 GFLOP for 8 frames × 128 bands and 16 pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from models.multiview import ModelShape
from models.native.build import built
from sweeper.bench.baselines import GraphedLoop, PlainLoop, StackedLoop, TunedLoop
from sweeper.bench.problem import Problem
from sweeper.bench.workers import finish

FORMULA = "2·R·(3·W − W₁): R rows, W weights, W₁ of them in the first layers; losses left out"

# Steps that a loop trains one run before it turns to the next: its weights come from memory once.
STEPS_IN_TURN = 5
# Products at once when the ceiling is measured, as many as the trainer makes.
PRODUCTS_AT_ONCE = 4

Product = tuple[int, int, int, int]  # b products of (m, k) and (k, n): b, m, n, k


@dataclass(frozen=True)
class Method:
    """One way to train, set up at its first weights."""

    round: Callable[[], object]
    run_steps: int  # of a round
    flush_denormal: bool = True


def packed(problem: Problem) -> Method:
    """Ours: one epoch of the pack a round, its bookkeeping and validation included."""
    return Method(problem.trainer().train_epoch, problem.steps * len(problem.runs))


def packed_by_torch(problem: Problem) -> Method:
    """The same pack with torch's steps."""
    trainer = problem.trainer(native=False)
    return Method(trainer.train_epoch, problem.steps * len(problem.runs))


def packed_in_bf16(problem: Problem) -> Method:
    """The same pack, its products in bf16."""
    trainer = problem.trainer(precision="bf16")
    return Method(trainer.train_epoch, problem.steps * len(problem.runs))


def one_by_one(loop: type[PlainLoop] | type[TunedLoop]) -> Callable[[Problem], Method]:
    """A loop that trains its runs in turn."""

    def method(problem: Problem) -> Method:
        loops = [loop(problem, run) for run in problem.runs]

        def turn() -> None:
            for own in loops:
                own.train(STEPS_IN_TURN)

        return Method(turn, STEPS_IN_TURN * len(loops), loop.flush_denormal)

    return method


def stacked(problem: Problem) -> Method:
    """torch.func.vmap over all runs."""
    loop = StackedLoop(problem, problem.runs)
    return Method(lambda: loop.train(STEPS_IN_TURN), STEPS_IN_TURN * len(problem.runs))


def bare_products(problem: Problem) -> Method:
    """The ceiling: the matrix products of a step on numbers in the cache, and nothing else."""

    def draw(count: int, *sizes: int) -> torch.Tensor:
        many = PRODUCTS_AT_ONCE * count
        return torch.randn(many, *sizes, device=problem.device, dtype=problem.dtype)

    operands = [
        (draw(b, m, k), draw(b, k, n), draw(b, m, n))
        for b, m, n, k in products_of(problem.shape, problem.rows)
    ]

    def multiply() -> None:
        for left, right, out in STEPS_IN_TURN * operands:
            torch.bmm(left, right, out=out)

    return Method(multiply, STEPS_IN_TURN * PRODUCTS_AT_ONCE)


def multiply_adds(problem: Problem) -> Method:
    """The peak: as many operations as so many steps have, on a core's registers alone."""
    library = built().library
    assert library is not None
    out, run_steps = torch.ones(1), 5 * PRODUCTS_AT_ONCE
    wanted = run_steps * flops_of(problem.shape, problem.rows)
    rounds = max(1, round(wanted / library.multiply_adds(1, out.data_ptr())))
    return Method(lambda: library.multiply_adds(rounds, out.data_ptr()), run_steps)


METHODS: dict[str, Callable[[Problem], Method]] = {
    "ours": packed,
    "torch": packed_by_torch,
    "bf16": packed_in_bf16,
    "b0": one_by_one(PlainLoop),
    "b1": one_by_one(TunedLoop),
    "b2": one_by_one(GraphedLoop),
    "vmap": stacked,
    "products": bare_products,
    "peak": multiply_adds,
}
_built: dict[str, Method] = {}  # in this worker


def build(name: str, problem: Problem) -> None:
    """An order to a worker: sets a method up."""
    _built[name] = METHODS[name](problem)


def train(name: str, rounds: int, threads: int) -> int:
    """An order to a worker: run-steps that a method has done, all finished on the device."""
    method = _built[name]
    torch.set_num_threads(threads)
    torch.set_flush_denormal(method.flush_denormal)
    for _ in range(rounds):
        method.round()
    finish()
    return rounds * method.run_steps


def products_of(shape: ModelShape, rows: int) -> list[Product]:
    """The matrix products of one run's step, as the trainer makes them."""
    joint = shape.subspaces * shape.latent
    layers = [  # products, outputs, inputs: encoder 1 and 2, decoder 1 and 2
        (1, shape.subspaces * shape.hidden, shape.features),
        (shape.subspaces, shape.latent, shape.hidden),
        (1, shape.hidden, joint),
        (1, shape.features, shape.hidden),
    ]
    forward = [(b, out, rows, into) for b, out, into in layers]
    weights = [(b, out, into, rows) for b, out, into in layers]
    inputs = [(b, into, rows, out) for b, out, into in layers[1:]]
    return [*forward, *weights, *inputs]


def flops_of(shape: ModelShape, rows: int) -> int:
    """Operations of one run's step in its linear layers, decoder included."""
    return sum(2 * b * m * n * k for b, m, n, k in products_of(shape, rows))
