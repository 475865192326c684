"""Views beside the margins: known answers, and properties of alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from models.disentanglement import dci, held, linear_cka, measures
from models.evaluation import probe_encoder
from models.probes import Probed, ProbeSplit, ProbeTask
from models.spec import ModelSpec, ProbeSpec

TASKS = ("pitch", "instrument")


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100),
    shift=st.floats(-10, 10, allow_subnormal=False),
)
def test_a_rotated_scaled_shifted_copy_is_aligned_wholly(
    seed: int, scale: float, shift: float
) -> None:
    x = draws(seed, 40, 6)
    rotation = torch.from_numpy(ortho_group.rvs(6, random_state=seed)).float()
    assert linear_cka(x, scale * x @ rotation + shift) == pytest.approx(1, abs=1e-4)


def test_features_that_share_nothing_are_not_aligned_though_they_outnumber_the_clips() -> None:
    """The plain estimate says .9 here; the mean of the unbiased one is 0."""
    found = [linear_cka(draws(seed, 50, 400), draws(seed + 100, 50, 400)) for seed in range(40)]
    assert abs(np.mean(found)) < 2.5 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) < 0.1


@pytest.mark.parametrize("widths", [(2, 3), (2, 9), (9, 9)])
def test_alignment_equals_the_definition_by_u_statistics(widths: tuple[int, int]) -> None:
    """HSIC as a mean over quadruples of distinct clips (Song et al. 2012, section 2)."""
    first, second = widths
    x, y = draws(1, 6, first).double().numpy() + 1, draws(2, 6, second).double().numpy()

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        k, level, n = a @ a.T, b @ b.T, len(a)
        total, count = 0.0, 0
        for i in range(n):
            for j in range(n):
                for q in range(n):
                    for r in range(n):
                        if len({i, j, q, r}) == 4:
                            total += k[i, j] * (level[i, j] + level[q, r] - 2 * level[i, q])
                            count += 1
        return total / count

    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert linear_cka(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-9)


def test_a_constant_subspace_has_no_alignment_and_is_left_out() -> None:
    features = torch.stack([torch.zeros(10, 3), draws(0, 10, 3)])
    probed = Probed({"pitch_private": 0.5, "valid_pitch_private": 0.4}, {}, np.ones((2, 3, 2)))
    found = measures(features, probed, np.arange(10), TASKS)
    assert "cka" not in found
    assert found["plain_pitch_private"] == 0.5
    assert not [name for name in found if "valid" in name]


def test_features_that_serve_one_task_each_are_disentangled_and_shared_ones_are_not() -> None:
    alone = np.zeros((2, 4, 2))
    alone[0, :, 0], alone[1, :, 1] = 1, 5
    assert dci(alone) == pytest.approx(1)
    assert held(alone, TASKS) == {
        "held_pitch_private": 1, "held_pitch_shared": 0,
        "held_instrument_private": 0, "held_instrument_shared": 1,
    }  # fmt: skip
    assert dci(np.ones((2, 4, 2))) == pytest.approx(0, abs=1e-12)


def test_a_dead_feature_changes_nothing() -> None:
    importance = np.random.default_rng(0).uniform(size=(2, 4, 2))
    padded = np.concatenate([importance, np.zeros((2, 3, 2))], axis=1)
    assert dci(padded) == pytest.approx(dci(importance))


def test_a_frozen_encoder_has_the_plain_probe_alone() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 60)
    latents = draws(3, 60, 2, 4) + 3 * torch.from_numpy(labels).float()[:, None, None]
    split = ProbeSplit(np.arange(30), np.arange(30, 40), np.arange(40, 60))
    spec = ProbeSpec(epochs=20, batch=10, lr=0.05, dropout=0.5)
    task = {"instrument": ProbeTask(labels, 2)}
    found = probe_encoder(latents, task, split, ModelSpec(pool="mean"), spec, 0)
    assert set(found.measures) == {"plain_instrument_overall"}
    assert found.measures["plain_instrument_overall"] > 0.9
