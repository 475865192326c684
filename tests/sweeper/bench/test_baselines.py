"""The opponents train what the pack trains: same weights, same batches, same losses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.multiview import weights_of
from sweeper.bench.baselines import GraphedLoop, PlainLoop, StackedLoop, TunedLoop, initial_module
from sweeper.bench.equivalence import flat
from sweeper.bench.problem import auto_packs, equal_runs, grid_runs

STEPS = 50


@pytest.fixture
def trained(problem):
    """The pack after 50 steps."""
    trainer = problem.trainer()
    for _ in range(STEPS // problem.steps):
        trainer.train_epoch()
    return trainer


def assert_same(own, other):
    torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [PlainLoop, TunedLoop])
def test_a_loop_equals_the_pack_after_50_steps(make, problem, trained):
    for run in problem.runs:
        loop = make(problem, run)
        loop.train(STEPS)
        vector = flat(loop.module, problem, lambda parameter: parameter)
        untrained = flat(initial_module(problem, run), problem, lambda parameter: parameter)
        assert_same(trained.state(run.key).vector, vector)
        assert not torch.allclose(vector, untrained, rtol=1e-3)


def test_what_a_graph_is_rehearsed_with_leaves_no_trace(problem):
    run = problem.runs[0]
    fresh, rehearsed = TunedLoop(problem, run), GraphedLoop(problem, run)
    rehearsed._rehearse()
    fresh.train(1)
    rehearsed._index.copy_(fresh._index)
    rehearsed._step()  # what the graph holds
    for name, parameter in fresh.module.state_dict().items():
        assert torch.equal(parameter, rehearsed.module.state_dict()[name])


def test_vmap_equals_the_pack_after_50_steps(problem, trained):
    stacked = StackedLoop(problem, problem.runs)
    stacked.train(STEPS)
    for place, run in enumerate(problem.runs):
        own = weights_of(trained.state(run.key).vector, problem.shape, decoder=True)
        for name, layer, part in (
            ("encoders.private", 0, 0),
            ("encoders.shared", 0, 1),
            ("decoder", 1, 0),
        ):
            theirs = stacked.parameters[f"{name}.2.weight"][place]
            assert_same(own["decoder2.weight"] if layer else own["encoder2.weight"][part], theirs)


def test_the_plain_loop_reports_the_losses_of_the_pack(problem, trained):
    for run in problem.runs:
        loop = PlainLoop(problem, run)
        loop.train(STEPS)
        rec, dis = np.mean(loop.history[-problem.steps :], axis=0)
        found = trained.losses(run.key)
        assert found["train_rec"] == pytest.approx(rec, rel=1e-9)
        assert found["train_dis"] == pytest.approx(dis, rel=1e-9)


def test_vmap_refuses_runs_that_do_not_share_their_batches(problem):
    other = dataclasses.replace(problem.runs[0], key="other", seed=1)
    with pytest.raises(ValueError, match="one seed"):
        StackedLoop(problem, (problem.runs[0], other))


def test_the_grid_has_36_runs_a_seed_with_both_losses_dealt_evenly():
    packs = auto_packs(36, 2)
    assert [len(pack) for pack in packs] == [18, 18]
    assert len({run.key for pack in packs for run in pack}) == 36
    assert all(run.has_decoder and run.lam < 1 for pack in packs for run in pack)
    assert {run.seed for run in grid_runs(72)} == {0, 1}


def test_runs_of_equal_cost_differ_in_lambda_alone():
    runs = equal_runs(4)
    assert len({run.lam for run in runs}) == 4
    assert {(run.principle, run.objective) for run in runs} == {("Cosine", "SIM+SEP")}
