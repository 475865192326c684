"""The gate before any timing counts: is the packed engine the loop that it claims to replace?

Step-1 gradients are held to a float64 reference. Losses of the first and of the last ten of a
hundred steps are held to the plain loop's on the same batches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.adamw import BETAS
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.reference import MultiView, losses
from sweeper.bench.baselines import PlainLoop, initial_module, total_of
from sweeper.bench.problem import MODEL, Problem, grid_runs, pack_run
from sweeper.errors import SweeperError

GRADIENT_LIMIT = 1e-5
LOSS_LIMITS = {10: 1e-3, 100: 1e-2}  # by step: single precision drifts apart as steps add up
STEPS = 10  # of an epoch
LR = 1e-3  # the quick preset's, so that a hundred steps move the weights far

MakeTrainer = Callable[[Problem], PackTrainer]


@dataclass(frozen=True)
class Fidelity:
    """Largest relative differences over the runs that were tried."""

    runs: int
    gradient: float  # of the first step, against float64
    losses: dict[int, float]  # by step, against the plain loop

    @property
    def faults(self) -> list[str]:
        """What is beyond its limit, in words."""
        faults = []
        if not self.gradient <= GRADIENT_LIMIT:  # NaN is a fault
            faults.append(f"gradients of step 1 by {self.gradient:.1e}")
        for step, difference in self.losses.items():
            if not difference <= LOSS_LIMITS[step]:
                faults.append(f"losses at step {step} by {difference:.1e}")
        return faults


def problem_of(base: Problem, share: int, shares: int) -> Problem:
    """One of several shares of what the gate trains, at the sizes of `base`."""
    runs = gate_runs()[share::shares]
    return dataclasses.replace(base, runs=runs, steps=STEPS, lr=LR)


def examine(problem: Problem, make: MakeTrainer = Problem.trainer) -> Fidelity:
    """How far the engine is from the reference and from the plain loop."""
    return Fidelity(
        runs=len(problem.runs),
        gradient=gradient_difference(problem, make),
        losses=loss_differences(problem, make),
    )


def insist(shares: Sequence[Fidelity]) -> Fidelity:
    """The worst of all shares; raises SweeperError when that is beyond a limit."""
    worst = Fidelity(
        runs=sum(share.runs for share in shares),
        gradient=_largest(share.gradient for share in shares),
        losses={step: _largest(share.losses[step] for share in shares) for step in LOSS_LIMITS},
    )
    if worst.faults:
        raise SweeperError(
            f"the packed engine differs from the plain loop: {'; '.join(worst.faults)}; "
            "no timing is shown: run the tests of models/ and report this"
        )
    return worst


def gate_runs() -> tuple[PackRun, ...]:
    """Every objective of every principle at one λ between, one at λ = 0, and λ = 1."""
    mixed = [pack_run(run) for run in grid_runs(36) if run.lam == 0.6]
    alone = dataclasses.replace(mixed[0], key="λ=0", lam=0.0)
    return (*mixed, alone, PackRun(key="λ=1", lam=1.0))


def gradient_difference(problem: Problem, make: MakeTrainer) -> float:
    """Largest ‖g − g₆₄‖ / ‖g₆₄‖ of a run's first step."""
    first = dataclasses.replace(problem, steps=1)
    trainer = make(first)
    trainer.train_epoch()
    exact = dataclasses.replace(first, dtype=torch.float64, device="cpu")
    # After one step AdamW's first moment is (1 − β₁) times the gradient.
    return _largest(
        _difference(
            trainer.state(run.key).exp_avg.double() / (1 - BETAS[0]),
            reference_gradient(exact, run, first.latents()),
        )
        for run in problem.runs
    )


def reference_gradient(problem: Problem, run: PackRun, latents: Tensor) -> Tensor:
    """Gradient of the first step as a vector in the order of multiview.Layout, by autograd."""
    module = initial_module(problem, run)
    x = latents.cpu()[problem.batches(run, epoch=0)[0]].to(problem.dtype)  # (V, B, T, D)
    rec, dis = losses(module, x, run, MODEL.pool)
    total_of(run, rec, dis).backward()  # type: ignore[no-untyped-call]
    return flat(module, problem, _gradient)


def _gradient(parameter: Tensor) -> Tensor:
    # None where nothing depends on it, as on private latents under a similarity alone.
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def flat(module: MultiView, problem: Problem, value: Callable[[Tensor], Tensor]) -> Tensor:
    """A value of each parameter, as one vector in the order of a multiview.Layout of one run."""
    modules = {"encoder": list(module.encoders.values())}
    if module.decoder is not None:
        modules["decoder"] = [module.decoder]
    sources = {
        f"{name}{layer}.{kind}": [value(mlp.get_parameter(f"{place}.{kind}")) for mlp in stacks]
        for name, stacks in modules.items()
        for layer, place in ((1, 0), (2, 2))  # a layer and its place in nn.Sequential
        for kind in ("weight", "bias")
    }
    names = problem.shape.layers(decoder=module.decoder is not None)
    return torch.cat([tensor.detach().flatten() for name in names for tensor in sources[name]])


def loss_differences(problem: Problem, make: MakeTrainer) -> dict[int, float]:
    """Largest relative difference of a run's losses, by step: mean of the ten steps up to it."""
    trainer = make(problem)
    loops = [PlainLoop(problem, run) for run in problem.runs]
    differences = {}
    for step in range(STEPS, max(LOSS_LIMITS) + 1, STEPS):
        trainer.train_epoch()
        for loop in loops:
            loop.train(STEPS)
        if step in LOSS_LIMITS:
            differences[step] = _largest(_loss_difference(trainer, loop) for loop in loops)
    return differences


def _loss_difference(trainer: PackTrainer, loop: PlainLoop) -> float:
    packed = trainer.losses(loop.run.key)
    rec, dis = np.mean(loop.history[-STEPS:], axis=0)
    pairs: list[tuple[float, float]] = []
    if loop.run.has_decoder:
        pairs.append((packed["train_rec"], rec))
    if loop.run.terms:
        pairs.append((packed["train_dis"], dis))
    return _largest(abs(ours / theirs - 1) for ours, theirs in pairs)


def _largest(values: Iterable[float]) -> float:
    """The largest; NaN if any is."""
    return float(np.max(list(values)))


def _difference(gradient: Tensor, reference: Tensor) -> float:
    return float((gradient - reference).norm() / reference.norm())
