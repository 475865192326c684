"""A problem small enough for tests."""

from __future__ import annotations

import pytest
import torch

from sweeper.bench.problem import Problem, auto_packs


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores are shared by whoever runs tests; the bench's workers obey the variable."""
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def problem() -> Problem:
    """Nine runs, one of each principle and objective at λ = 0.6, in float64."""
    (runs,) = auto_packs(36, 1)[:1]
    return Problem(
        runs=tuple(run for run in runs if run.lam == 0.6),
        tokens=2,
        features=8,
        batch_pairs=4,
        steps=10,
        lr=1e-2,
        weight_decay=1e-2,
        dtype=torch.float64,
    )
