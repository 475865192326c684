"""The history of a pack with known entries."""

from __future__ import annotations

import math

import numpy as np

from models.pack.history import DIVERGENCE_LIMIT, History
from models.pack.runs import PackRun

RECONSTRUCTION = PackRun(key="reconstruction", lam=1.0)
CONTRASTIVE = PackRun(key="contrastive", principle="Cosine", objective="SEP", lam=0.0)
BEYOND = 1.01 * DIVERGENCE_LIMIT


def book(*runs):
    return History(runs, [None] * len(runs))


def epoch(history, train, valid):
    """An epoch of one run: `train` and `valid` rows of (L_rec, L_dis)."""
    return history.close_epoch(np.array(train)[:, :, None], np.array(valid)[:, None])


def test_training_losses_are_means_over_the_steps():
    history = book(RECONSTRUCTION)
    epoch(history, [[1, 0], [3, 0]], [5, 0])
    assert history.losses[0, [0, 1, 4], 0].tolist() == [2, 2, 5]


def test_the_best_epoch_is_the_first_with_the_least_validation_total():
    history = book(RECONSTRUCTION)
    improved = [epoch(history, [[0, 0]], [valid, 0]) for valid in (3, 2, 2, 4, 1)]
    assert improved == [[0], [0], [], [], [0]]
    assert history.best_epoch == [5]


def test_losses_that_a_run_has_not_may_be_anything():
    history = book(RECONSTRUCTION, CONTRASTIVE)
    losses = np.array([[1.0, math.nan], [math.nan, 1.0]])
    assert history.close_epoch(losses[None], losses) == [0, 1]
    assert history.diverged_at == [None, None]


def test_divergence_is_booked_at_its_first_bad_step_and_stays():
    for bad in (math.nan, math.inf, -math.inf, BEYOND, -BEYOND):
        history = book(RECONSTRUCTION)
        assert epoch(history, [[1, 0]] * 3, [1, 0]) == [0]
        assert epoch(history, [[0.5, 0], [bad, 0], [bad, 0]], [0.5, 0]) == []
        assert history.diverged_at == [(2, 1)]
        assert epoch(history, [[0.1, 0]] * 3, [0.1, 0]) == []
        assert (history.diverged_at, history.best_epoch) == ([(2, 1)], [1])


def test_a_validation_loss_beyond_the_limit_counts_as_the_step_after_the_last():
    history = book(RECONSTRUCTION)
    assert epoch(history, [[1, 0]] * 3, [math.nan, 0]) == []
    assert history.diverged_at == [(1, 3)]
    assert history.best_epoch == [None]


def test_a_diverging_run_changes_no_other_runs_books():
    history = book(RECONSTRUCTION, RECONSTRUCTION)
    rec = np.array([[[math.nan, 1.0], [0, 0]]])
    assert history.close_epoch(rec, rec[0]) == [1]
    assert history.diverged_at == [(1, 0), None]
