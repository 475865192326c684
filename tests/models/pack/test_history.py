"""Books of a pack with known entries."""

from __future__ import annotations

import math

import numpy as np

from models.pack.history import Progress
from models.pack.runs import PackRun

CELL = PackRun("cell", principle="Cosine", objective="SEP", lam=0.25, gamma="fixed:2")
RECONSTRUCTION = PackRun("reconstruction", lam=1.0)
CONTRASTIVE = PackRun("contrastive", principle="Cosine", objective="SEP", lam=0.0)


def book(*runs, limit=100.0):
    return Progress(runs, [run.fixed_gamma if run.needs_gamma else None for run in runs], limit)


def epoch(progress, train, valid):
    """An epoch of one run: `train` and `valid` rows of (L_rec, L_dis)."""
    return progress.close_epoch(np.array(train)[:, :, None], np.array(valid)[:, None])


def test_the_total_is_equation_5():
    progress = book(CELL, RECONSTRUCTION, CONTRASTIVE)
    np.testing.assert_allclose(progress.rec_weights, [0.5, 1.0, 0.0])
    rec, dis = [3.0, 3.0, 3.0], [4.0, 4.0, 4.0]
    progress.close_epoch(np.array([[rec, dis]]), np.array([rec, dis]))
    expected = [[4.5, 3, 4], [3, 3, math.nan], [4, math.nan, 4]]
    np.testing.assert_allclose(progress.losses[0, :3].T, expected)
    np.testing.assert_allclose(progress.losses[0, 3:].T, expected)


def test_training_losses_are_means_over_the_steps():
    progress = book(RECONSTRUCTION)
    epoch(progress, [[1, 0], [3, 0]], [5, 0])
    assert progress.losses[0, [0, 1, 4], 0].tolist() == [2, 2, 5]


def test_the_best_epoch_is_the_first_with_the_least_validation_total():
    progress = book(RECONSTRUCTION)
    improved = [epoch(progress, [[0, 0]], [valid, 0]) for valid in (3, 2, 2, 4, 1)]
    assert improved == [[0], [0], [], [], [0]]
    assert progress.best_epoch == [5]


def test_losses_that_a_run_has_not_may_be_anything():
    progress = book(RECONSTRUCTION, CONTRASTIVE)
    losses = np.array([[1.0, math.nan], [math.nan, 1.0]])
    assert progress.close_epoch(losses[None], losses) == [0, 1]
    assert progress.diverged_at == [None, None]


def test_divergence_is_booked_at_its_first_bad_step_and_stays():
    for bad in (math.nan, math.inf, -math.inf, 101.0, -101.0):
        progress = book(RECONSTRUCTION)
        assert epoch(progress, [[1, 0]] * 3, [1, 0]) == [0]
        assert epoch(progress, [[0.5, 0], [bad, 0], [bad, 0]], [0.5, 0]) == []
        assert progress.diverged_at == [(2, 1)]
        assert epoch(progress, [[0.1, 0]] * 3, [0.1, 0]) == []
        assert (progress.diverged_at, progress.best_epoch) == ([(2, 1)], [1])


def test_a_validation_loss_beyond_the_limit_counts_as_the_step_after_the_last():
    progress = book(RECONSTRUCTION)
    assert epoch(progress, [[1, 0]] * 3, [math.nan, 0]) == []
    assert progress.diverged_at == [(1, 3)]
    assert progress.best_epoch == [None]


def test_a_diverging_run_changes_no_other_runs_books():
    progress = book(RECONSTRUCTION, RECONSTRUCTION)
    rec = np.array([[[math.nan, 1.0], [0, 0]]])
    assert progress.close_epoch(rec, rec[0]) == [1]
    assert progress.diverged_at == [(1, 0), None]
