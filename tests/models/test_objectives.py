"""Each objective against the paper's formula, written naively in float64 NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models import reference
from models.objectives import (
    PRINCIPLES,
    cosine_sep,
    cosine_sim,
    infonce_sep,
    infonce_sim,
    vicreg_sep,
    vicreg_sim,
)
from models.spec import OBJECTIVES, LossSpec

EPSILON = 1e-6


def cosine(a, b):
    return sum(a * b) / math.sqrt(sum(a * a)) / math.sqrt(sum(b * b))


def separation(sim):
    return -math.log(max(1 - abs(sim), EPSILON))


def similarity(sim):
    return -math.log(sim) if sim >= EPSILON else -math.log(EPSILON) + EPSILON - sim


def paper_infonce_sim(z1, z2, temperature=1.0):
    size = len(z1)
    total = 0.0
    for j in range(size):
        exps = [math.exp(cosine(z1[j], z2[k]) / temperature) for k in range(size)]
        total += -math.log(exps[j] / sum(exps))
    return total / size


def paper_infonce_sep(z1, z2):
    return np.mean([separation(cosine(a, b)) for a in z1 for b in z2])


def paper_cosine_sim(z1, z2):
    return np.mean([similarity(cosine(a, b)) for a, b in zip(z1, z2, strict=True)])


def paper_cosine_sep(z1, z2):
    return np.mean([separation(cosine(a, b)) for a, b in zip(z1, z2, strict=True)])


def paper_vicreg(z1, z2, weights=(25.0, 25.0, 1.0)):
    width = z1.shape[1]
    invariance = np.mean((z1 - z2) ** 2)
    hinge = covariance = 0.0
    for z in (z1, z2):
        hinge += np.mean(np.maximum(0, 1 - np.sqrt(np.var(z, axis=0, ddof=1) + 1e-4))) / 2
        cov = np.cov(z.T)
        covariance += (
            sum(cov[i, j] ** 2 for i in range(width) for j in range(width) if i != j) / width
        )
    return weights[0] * invariance + weights[1] * hinge + weights[2] * covariance


def paper_vicreg_sep(z1, z2):
    return paper_vicreg(z1, z2, (-25.0, 25.0, 1.0))


WEIGHTS = (25.0, 25.0, 1.0)
CASES = {
    "InfoNCE-SIM": (lambda a, b: infonce_sim(a, b, 1.0), paper_infonce_sim),
    "InfoNCE-SIM, temperature 0.1": (
        lambda a, b: infonce_sim(a, b, 0.1),
        lambda a, b: paper_infonce_sim(a, b, 0.1),
    ),
    "InfoNCE-SEP": (lambda a, b: infonce_sep(a, b, EPSILON), paper_infonce_sep),
    "Cosine-SIM": (lambda a, b: cosine_sim(a, b, EPSILON), paper_cosine_sim),
    "Cosine-SEP": (lambda a, b: cosine_sep(a, b, EPSILON), paper_cosine_sep),
    "VICReg-SIM": (lambda a, b: vicreg_sim(a, b, WEIGHTS), paper_vicreg),
    "VICReg-SEP": (lambda a, b: vicreg_sep(a, b, WEIGHTS), paper_vicreg_sep),
}


def views(seed, runs=3, size=8, width=12, mean=0.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, runs, size, width, generator=generator, dtype=dtype) + mean
    return z[0], z[1]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("size", "width", "mean"), [(8, 12, 0.0), (16, 40, 0.7), (5, 3, 0.0), (2, 1, 1.0)]
)
def test_each_objective_is_the_papers_formula(name, size, width, mean):
    objective, formula = CASES[name]
    z1, z2 = views(size, size=size, width=width, mean=mean)
    wanted = [formula(a, b) for a, b in zip(z1.numpy(), z2.numpy(), strict=True)]
    np.testing.assert_allclose(objective(z1, z2).numpy(), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", reference.OBJECTIVES)
def test_the_references_objectives_are_the_papers_formulas_too(name):
    _, formula = CASES[name]
    for size, width, mean in ((8, 12, 0.0), (16, 40, 0.7), (2, 1, 1.0)):
        z1, z2 = views(size, runs=1, size=size, width=width, mean=mean)
        loss = reference.OBJECTIVES[name](z1[0], z2[0], LossSpec())
        assert loss.item() == pytest.approx(formula(z1[0].numpy(), z2[0].numpy()), rel=1e-9)


@pytest.mark.parametrize("name", reference.OBJECTIVES)
@pytest.mark.parametrize("scale", [1.0, 0.05, -1.0])
def test_gradients_are_those_of_the_reference(name, scale):
    principle, side = name.split("-")
    packed = getattr(PRINCIPLES[principle], side.lower())
    z1, z2 = views(10, runs=2, size=6, width=9, mean=0.3)
    inputs = [(z1 * scale).requires_grad_(), z2.requires_grad_()]
    ours = torch.autograd.grad(packed(*inputs, LossSpec()).sum(), inputs)
    losses = [reference.OBJECTIVES[name](a, b, LossSpec()) for a, b in zip(*inputs, strict=True)]
    torch.testing.assert_close(ours, torch.autograd.grad(sum(losses), inputs), rtol=1e-9, atol=1e-9)


def test_an_option_that_was_left_out_and_is_needed_is_an_error():
    with pytest.raises(ValueError, match="needs is None"):
        PRINCIPLES["InfoNCE"].sim(*views(0), LossSpec(temperature=None))


@pytest.mark.parametrize("name", CASES)
def test_single_precision_agrees_to_1e_6(name):
    objective, formula = CASES[name]
    z1, z2 = views(1, size=16, width=512, mean=0.3, dtype=torch.float32)
    wanted = [formula(a, b) for a, b in zip(z1.double().numpy(), z2.double().numpy(), strict=True)]
    np.testing.assert_allclose(objective(z1, z2).numpy(), wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_gradients_are_those_of_finite_differences(name, scale):
    objective, _ = CASES[name]
    z1, z2 = views(2, runs=2, size=4, width=5, mean=0.4)
    inputs = (z1 * scale).requires_grad_(), (z2 * scale).requires_grad_()
    assert torch.autograd.gradcheck(objective, inputs, eps=1e-7, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_losses_of_packed_runs_are_those_of_each_run_alone(name):
    objective, _ = CASES[name]
    z1, z2 = views(3, runs=4)
    alone = torch.cat([objective(z1[k : k + 1], z2[k : k + 1]) for k in range(4)])
    torch.testing.assert_close(objective(z1, z2), alone, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_a_run_full_of_nan_leaves_its_neighbours_gradients_alone(name):
    objective, _ = CASES[name]
    z1, z2 = views(4, runs=3)
    gradients = []
    for poison in (0.0, math.nan):
        poisoned = z1.clone()
        poisoned[1] += poison
        inputs = poisoned.requires_grad_(), z2.clone().requires_grad_()
        gradients.append(torch.autograd.grad(objective(*inputs), inputs, torch.ones(3).double()))
    for clean, dirty in zip(*gradients, strict=True):
        assert torch.equal(clean[[0, 2]], dirty[[0, 2]])


@pytest.mark.parametrize("name", [name for name in CASES if "InfoNCE-SIM" not in name])
def test_swapping_the_views_changes_nothing(name):
    objective, _ = CASES[name]
    z1, z2 = views(5)
    torch.testing.assert_close(objective(z1, z2), objective(z2, z1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CASES if "VICReg" not in name])
def test_cosine_objectives_do_not_see_the_length_of_a_latent(name):
    objective, _ = CASES[name]
    z1, z2 = views(6)
    torch.testing.assert_close(objective(z1 * 3, z2 * 0.2), objective(z1, z2))


def orthogonal(size):
    return torch.eye(2 * size, dtype=torch.float64)[None, :size]


def test_identical_views_have_the_known_losses():
    z = orthogonal(16)
    assert infonce_sim(z, z, 1.0).item() == pytest.approx(math.log(1 + 15 / math.e))
    assert cosine_sim(z, z, EPSILON).item() == pytest.approx(0.0, abs=1e-12)
    assert cosine_sep(z, z, EPSILON).item() == pytest.approx(-math.log(EPSILON))
    # 16 matched pairs at the clamp, 240 orthogonal ones at zero
    assert infonce_sep(z, z, EPSILON).item() == pytest.approx(-math.log(EPSILON) / 16)
    assert vicreg_sim(z, z, (25.0, 0.0, 0.0)).item() == 0.0


def test_orthogonal_views_have_the_known_losses():
    z1 = orthogonal(16)
    z2 = z1.roll(16, dims=-1)
    assert infonce_sim(z1, z2, 1.0).item() == pytest.approx(math.log(16))
    assert infonce_sep(z1, z2, EPSILON).item() == pytest.approx(0.0, abs=1e-12)
    assert cosine_sep(z1, z2, EPSILON).item() == pytest.approx(0.0, abs=1e-12)
    assert cosine_sim(z1, z2, EPSILON).item() == pytest.approx(-math.log(EPSILON) + EPSILON)
    assert vicreg_sep(z1, z2, (25.0, 0.0, 0.0)).item() == pytest.approx(-25 * 2 / 32)


def test_shuffling_one_view_hurts_similarity_and_helps_separation():
    z, _ = views(7, size=16, mean=0.0)
    noisy, shuffled = z + 0.1, z.roll(1, dims=1)
    assert (infonce_sim(z, shuffled, 1.0) > infonce_sim(z, noisy, 1.0) + 0.3).all()
    assert (cosine_sim(z, shuffled, EPSILON) > cosine_sim(z, noisy, EPSILON) + 0.3).all()
    assert (cosine_sep(z, shuffled, EPSILON) < cosine_sep(z, noisy, EPSILON) - 0.3).all()
    torch.testing.assert_close(infonce_sep(z, shuffled, EPSILON), infonce_sep(z, z, EPSILON))


def test_whitened_latents_pay_neither_variance_nor_covariance():
    signs = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    white = (2 * signs[:, 1:]).double()[None]  # three uncorrelated columns of deviation > 1
    assert vicreg_sim(white, white, WEIGHTS).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("objective", [infonce_sep, cosine_sep, cosine_sim])
def test_views_at_the_clamp_and_zero_vectors_give_finite_losses_and_gradients(objective):
    for z1, z2 in [views(8), (views(8)[0],) * 2, (torch.zeros(1, 4, 6), torch.randn(1, 4, 6))]:
        inputs = z1.float().requires_grad_(), z2.float().clone().requires_grad_()
        loss = objective(*inputs, EPSILON)
        assert loss.isfinite().all()
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss.sum(), inputs))


def test_dissimilar_views_still_feel_a_pull_towards_similarity():
    z1 = torch.tensor([[[1.0, 0.2]]], requires_grad=True)
    z2 = torch.tensor([[[-1.0, 0.1]]])
    (gradient,) = torch.autograd.grad(cosine_sim(z1, z2, EPSILON).sum(), z1)
    closer = z1.detach() - 0.1 * gradient
    assert cosine_sim(closer, z2, EPSILON) < cosine_sim(z1, z2, EPSILON)
    assert 0.01 < gradient.norm() < 10


def test_every_principle_has_both_sides_and_takes_its_own_options():
    z1, z2 = views(9)
    options = LossSpec(temperature=0.5, epsilon=0.3, vicreg=(1.0, 2.0, 3.0))
    expected = {
        "InfoNCE": (infonce_sim(z1, z2, 0.5), infonce_sep(z1, z2, 0.3)),
        "Cosine": (cosine_sim(z1, z2, 0.3), cosine_sep(z1, z2, 0.3)),
        "VICReg": (vicreg_sim(z1, z2, (1, 2, 3)), vicreg_sep(z1, z2, (1, 2, 3))),
    }
    assert set(PRINCIPLES) == set(expected)
    assert OBJECTIVES == {"SIM": ("sim",), "SEP": ("sep",), "SIM+SEP": ("sim", "sep")}
    for name, (sim, sep) in expected.items():
        assert torch.equal(PRINCIPLES[name].sim(z1, z2, options), sim)
        assert torch.equal(PRINCIPLES[name].sep(z1, z2, options), sep)
