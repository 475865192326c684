"""The gate opens for the engine and stays shut for a wrong one."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

import models.adamw
from models.native.engine import NativePack
from sweeper.bench import equivalence as fidelity
from sweeper.bench.equivalence import Fidelity, examine, insist, problem_of
from sweeper.errors import SweeperError

FINE = Fidelity(runs=1, gradient=1e-7, losses={10: 1e-6, 100: 1e-4})


@pytest.fixture
def gate(problem):
    """What the gate trains, small and in the precision in which it is timed."""
    return problem_of(dataclasses.replace(problem, dtype=torch.float32), 0, 1)


def test_the_engine_passes(gate):
    held = insist([examine(gate)])
    assert held.runs == 11
    assert 0 < held.gradient < 1e-5
    assert set(held.losses) == {10, 100}


def spoil_gradients(monkeypatch, spoil):
    """Torch's engine, whose optimizer is given other gradients than its losses have."""
    monkeypatch.setenv("SWEEPER_NATIVE", "0")
    step = models.adamw.adamw

    def wrong(weights, gradients, *rest, **options):
        spoil(gradients[0])
        step(weights, gradients, *rest, **options)

    monkeypatch.setattr(models.adamw, "adamw", wrong)


def test_gradients_wrong_in_scale_alone_are_caught_though_adamw_hides_them(gate, monkeypatch):
    spoil_gradients(monkeypatch, lambda gradient: gradient.mul_(1 + 1e-4))
    with pytest.raises(SweeperError, match=r"gradients of step 1 by 1\.0e-04; no timing"):
        insist([examine(gate)])


def test_native_gradients_wrong_in_scale_alone_are_caught(gate, monkeypatch):
    weigh = NativePack.weigh

    def wrong(pack, rec_weights, dis_weights):
        weigh(pack, *([1.0001 * weight for weight in of] for of in (rec_weights, dis_weights)))

    monkeypatch.setattr(NativePack, "weigh", wrong)
    with pytest.raises(SweeperError, match=r"gradients of step 1 by 1\.0e-04; no timing"):
        insist([examine(gate)])


def test_one_run_with_a_wrong_gradient_is_caught_by_its_losses_too(gate, monkeypatch):
    spoil_gradients(monkeypatch, lambda gradient: gradient[: len(gradient) // 100].neg_())
    with pytest.raises(SweeperError, match=r"gradients of step 1.*losses at step 100"):
        insist([examine(gate)])


def test_a_loss_that_is_no_number_is_caught_in_any_share():
    broken = dataclasses.replace(FINE, losses={10: 1e-6, 100: math.nan})
    for shares in ([FINE, broken], [broken, FINE]):
        with pytest.raises(SweeperError, match="losses at step 100 by nan"):
            insist(shares)


def test_shares_cover_every_run_once(problem):
    keys = [run.key for i in range(3) for run in problem_of(problem, i, 3).runs]
    assert sorted(keys) == sorted(run.key for run in fidelity.gate_runs())
    assert len(set(keys)) == 11


def test_the_worst_share_is_reported():
    worse = dataclasses.replace(FINE, gradient=5e-6)
    assert insist([FINE, worse]) == dataclasses.replace(worse, runs=2)
