"""The vocabulary of models: needs no torch, and says what is wrong with an option."""

from __future__ import annotations

import subprocess
import sys

import pytest

from models.spec import (
    GAMMA_RULES,
    PRECISIONS,
    REFERRING,
    LossSpec,
    ModelSpec,
    RunSpec,
    TrainingSpec,
    precision_refusal,
)


def test_it_brings_no_torch() -> None:
    code = "import sys, models.spec, models.pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec(latent_activation="gelu"), "unknown latent activation 'gelu'; choose none or"),
        (ModelSpec(pool="max"), "unknown pooling 'max'; choose flatten, mean or encoder"),
        (TrainingSpec(precision="fp8"), "unknown precision 'fp8'; choose one of ieee, tf32, bf16"),
        (LossSpec(gamma="guess"), r"unknown γ rule 'guess' in \[loss\]; known: init-ratio, "),
        (LossSpec(gamma="fixed:much"), "unknown γ rule 'fixed:much'"),
        (LossSpec(gamma="fixed"), "unknown γ rule 'fixed'"),
        (LossSpec(gamma=None), "unknown γ rule ''"),
    ],
)
def test_an_unknown_option_is_an_error_that_lists_the_known(
    spec: ModelSpec | TrainingSpec | LossSpec, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        spec.check()


def test_a_precision_is_refused_where_products_would_be_of_another() -> None:
    places = [("cpu", None), ("cuda", None), ("cuda", (7, 5)), ("cuda", (9, 0))]
    refused = {
        (precision, *place)
        for precision in PRECISIONS
        for place in places
        if precision_refusal(precision, *place)
    }
    volta = {(precision, "cuda", (7, 5)) for precision in ("tf32", "bf16")}
    assert refused == {("tf32", "cpu", None), *volta}


def test_known_options_pass() -> None:
    for rule in (*GAMMA_RULES, "fixed:2.5", "fixed:1e3"):
        LossSpec(gamma=rule).check()
    ModelSpec(latent_activation="relu", pool="mean").check()
    TrainingSpec(precision="bf16").check()
    assert set(REFERRING) == {"geometric-ratio", "converged-ratio"}


@pytest.mark.parametrize(
    ("rule", "x"),
    [("fixed:2.5", 2.5), ("fixed:much", None), ("init-ratio", None), ("2.5", None), (None, None)],
)
def test_a_fixed_gamma_is_read_in_one_place(rule: str | None, x: float | None) -> None:
    assert LossSpec(gamma=rule).fixed_gamma == x


@pytest.mark.parametrize(
    ("lam", "has_decoder", "needs_gamma"),
    [(0.0, False, False), (0.4, True, True), (1, True, False)],
)
def test_lambda_decides_what_a_run_has(lam: float, has_decoder: bool, needs_gamma: bool) -> None:
    run = RunSpec(principle="Cosine", objective="SEP", lam=lam)
    assert (run.has_decoder, run.needs_gamma) == (has_decoder, needs_gamma)
    baseline = RunSpec("cl-pitch")
    assert not baseline.has_decoder and not baseline.needs_gamma
