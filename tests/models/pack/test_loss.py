"""Equation 5 and γ, and the terms that L_dis is the sum of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.pack.loss import TotalLoss, gamma_of, terms_of
from models.spec import LossSpec, RunSpec

CELL = RunSpec(principle="Cosine", objective="SEP", lam=0.25)
RECONSTRUCTION = RunSpec(lam=1.0)
CONTRASTIVE = RunSpec(principle="Cosine", objective="SEP", lam=0.0)
BASELINE = RunSpec("cl-pitch")
RUNS, GAMMAS = (CELL, RECONSTRUCTION, CONTRASTIVE, BASELINE), (2.0, None, None, None)


def test_the_total_is_equation_5():
    total = TotalLoss(RUNS, GAMMAS)
    np.testing.assert_allclose(total.rec_weights, [0.5, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(total.disentangle_weights, [0.75, 0.0, 1.0, 1.0])
    losses = np.array([[3.0] * 4, [4.0] * 4])
    expected = [[4.5, 3, 4], [3, 3, math.nan], [4, math.nan, 4], [4, math.nan, 4]]
    np.testing.assert_allclose(total.with_total(losses).T, expected)
    np.testing.assert_allclose(total.with_total(losses[None])[0].T, expected)


def test_losses_that_a_run_has_not_may_be_anything():
    losses = np.array([[3.0, 3.0, math.nan, math.nan], [4.0, math.nan, 4.0, 4.0]])
    totals = TotalLoss(RUNS, GAMMAS).with_total(losses)[0]
    np.testing.assert_allclose(totals, [4.5, 3.0, 4.0, 4.0])


def test_gamma_is_a_ratio_of_magnitudes():
    assert gamma_of("init-ratio", 6.0, 3.0, 0.75) == 2.0
    assert gamma_of("converged-ratio", 6.0, 3.0, 0.75) == 8.0
    assert gamma_of("geometric-ratio", 6.0, 3.0, 0.75) == pytest.approx(4.0)


def test_runs_that_differ_in_gamma_alone_share_their_terms():
    spec = RunSpec(principle="Cosine", objective="SIM+SEP", lam=0.5, loss=LossSpec(gamma="fixed:2"))
    other = RunSpec(principle="Cosine", objective="SEP", lam=0.2, loss=LossSpec(gamma="init-ratio"))
    assert terms_of(spec)[1:] == terms_of(other)
    assert terms_of(RECONSTRUCTION) == ()
    (term,) = terms_of(BASELINE)
    assert (term.principle, term.side, term.subspace) == ("InfoNCE", "sim", -1)
