"""The pack trainer against a plain training loop, and against itself in other company."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch

from models import reference
from models.multiview import Layout, initial_vector
from models.pack.history import DIVERGENCE_LIMIT
from models.pack.runs import LOSSES, PackRun
from models.pack.trainer import PackTrainer
from models.pairs import LabelledLatents, batches, training_pairs
from models.spec import LossSpec, ModelSpec, TrainingSpec
from tests.models.conftest import make_clips

SPEC = ModelSpec(hidden=6, pool="flatten")
PLACES = [(place, kind) for place in (0, 2) for kind in ("weight", "bias")]  # in nn.Sequential
# 44 clips in batches of 4: 11 steps an epoch, 55 in all
TRAINING = TrainingSpec(epochs=5, batch_pairs=4, lr=1e-2, weight_decay=1e-2)


def pack(runs, train, valid, spec=SPEC, training=TRAINING, on_epoch=None, **options):
    options = {"dtype": torch.float64, **options}
    results = PackTrainer(runs, train, valid, spec, training, **options).train(on_epoch)
    return {result.key: result for result in results}


def assert_same(one, other, tolerance=1e-9):
    assert (one.state, one.best_epoch) == (other.state, other.best_epoch)
    torch.testing.assert_close(one.vector, other.vector, rtol=tolerance, atol=tolerance)
    for name in LOSSES:
        np.testing.assert_allclose(
            one.losses[name], other.losses[name], rtol=tolerance, atol=tolerance
        )


def stop_after(epoch, states):
    def on_epoch(trainer):
        if trainer.epoch == epoch:
            states.update({run.key: trainer.state(run.key) for run in trainer.runs})
            return True
        return False

    return on_epoch


def mixed(principle, objective, lam, gamma, key="r", **fields):
    """A run with both losses."""
    loss = LossSpec(gamma=gamma)
    return PackRun(key=key, principle=principle, objective=objective, lam=lam, loss=loss, **fields)


def contrastive(seed=0):
    return [PackRun(key=kind, kind=kind, seed=seed) for kind in ("cl-pitch", "cl-instrument")]


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        ModelSpec(pool="flatten"),
        dataclasses.replace(SPEC, latent_activation="relu"),
        ModelSpec(pool="mean"),
    ],
)
def test_every_run_of_a_pack_equals_a_plain_loop_with_autograd_and_torch_adamw(
    spec, grid, train, valid
):
    runs = grid()
    results = pack(runs, train, valid, spec)
    for run in runs:
        best, losses = reference.train(run, train, valid, spec, TRAINING)
        check_losses(run, results[run.key], losses)
        # The encoder that λ = 0 leaves without a gradient decays in the pack; plain AdamW skips it.
        if run.lam or run.objective == "SIM+SEP":
            # Biases that VICReg does not see have gradients of rounding alone; Adam magnifies them.
            check_weights(results[run.key], best, atol=1e-7)


def check_losses(run, result, losses):
    for number, part in enumerate(("train", "valid")):
        rec, dis = result.losses[f"{part}_rec"], result.losses[f"{part}_dis"]
        if run.has_decoder:
            np.testing.assert_allclose(rec, losses[:, number, 0], rtol=1e-8)
        assert np.isfinite(rec).all() == run.has_decoder
        if run.lam != 1:
            np.testing.assert_allclose(dis, losses[:, number, 1], rtol=1e-8, atol=1e-9)
        assert np.isfinite(dis).all() == (run.lam != 1)


def check_weights(result, best, atol=1e-8):
    torch.testing.assert_close(result.vector, flat_parameters(best), rtol=1e-7, atol=atol)


def flat_parameters(model):
    """The parameters in the order of multiview.Layout."""
    encoders = list(model.encoders.values())
    layers = [[getattr(encoder[place], kind) for encoder in encoders] for place, kind in PLACES]
    decoder = [] if model.decoder is None else list(model.decoder.parameters())
    parameters = [*(parameter for layer in layers for parameter in layer), *decoder]
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


def test_first_gradients_in_single_precision_are_those_of_float64_autograd(grid, valid):
    batch = make_clips(4, 5)  # one batch, so one step an epoch
    runs = grid()
    trainer = PackTrainer(runs, batch, valid, SPEC, TRAINING)
    trainer.train_epoch()
    for run in runs:
        state = trainer.state(run.key)
        module = reference.initial_model(8, run, SPEC).double()
        index = batches(training_pairs(batch.sampler(run.pairing), 0, 0), 4)
        rec, dis = reference.losses(module, batch.latents[index[0]], run, SPEC.pool)
        gamma = 1.0 if state.gamma is None else state.gamma
        reference.total_loss(rec, dis, run.lam, gamma).backward()
        for parameter in module.parameters():
            parameter.data = (
                torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            )
        wanted = flat_parameters(module)
        gradient = state.exp_avg.double() / 0.1  # AdamW's first moment after one step
        assert (gradient - wanted).norm() < 1e-5 * wanted.norm()


def test_contrastive_baselines_equal_a_plain_loop(train, valid):
    results = pack(contrastive(), train, valid)
    for run in contrastive():
        best, losses = reference.train(run, train, valid, SPEC, TRAINING)
        check_losses(run, results[run.key], losses)
        check_weights(results[run.key], best)
        assert results[run.key].shape.latent == 8
        assert results[run.key].gamma is None


def test_the_best_weights_are_those_of_the_epoch_with_the_least_validation_total(train, valid):
    run = mixed("InfoNCE", "SIM", 0.2, "fixed:0.5", seed=3)
    long = dataclasses.replace(TRAINING, epochs=12, lr=0.1)
    result = pack([run], train, valid, training=long)["r"]
    totals = result.losses["valid_total"]
    expected = 0.1 * result.losses["valid_rec"] + 0.8 * result.losses["valid_dis"]
    np.testing.assert_allclose(totals, expected, rtol=1e-12)
    assert result.best_epoch == int(totals.argmin()) + 1
    assert 1 < result.best_epoch < 12, "the test needs a run that overfits"
    for epochs in (result.best_epoch, 12):
        stopped = dataclasses.replace(long, epochs=epochs)
        check_weights(result, reference.train(run, train, valid, SPEC, stopped)[0])
    assert result.valid_rec == result.losses["valid_rec"][result.best_epoch - 1]


@pytest.mark.parametrize("kind", ["multiview", "cl-pitch"])
def test_initial_weights_are_those_of_linear_layers_built_after_seeding(kind):
    run = PackRun(key="r", kind=kind, seed=7, lam=1.0 if kind == "multiview" else None)
    module = reference.initial_model(8, run, SPEC)
    trainer = PackTrainer([run], make_clips(8, 0), make_clips(8, 0), SPEC, TRAINING)
    drawn = initial_vector(trainer.shape, run.has_decoder, 7)
    assert torch.equal(drawn, flat_parameters(module))
    assert torch.equal(trainer.state("r").vector, drawn)


@pytest.mark.parametrize("shuffle", range(3))
def test_packed_runs_equal_solo_runs_in_any_order_with_any_neighbours(shuffle, grid, train, valid):
    runs = grid(0) + grid(1)
    random.Random(shuffle).shuffle(runs)
    together = pack(runs[: 10 + 9 * shuffle], train, valid)
    for run in runs[:10:3]:
        assert_same(together[run.key], pack([run], train, valid)[run.key])


def test_contrastive_runs_of_two_seeds_and_pairings_equal_solo_runs(train, valid):
    runs = contrastive(0) + [
        dataclasses.replace(run, key=f"{run.key} again") for run in contrastive(1)
    ]
    together = pack(runs, train, valid)
    for run in runs:
        assert_same(together[run.key], pack([run], train, valid)[run.key])


def test_the_results_come_in_the_order_of_the_runs(grid, train, valid):
    runs = grid()[::-4]
    trainer = PackTrainer(runs, train, valid, SPEC, dataclasses.replace(TRAINING, epochs=1))
    results = trainer.train()
    assert [result.key for result in results] == [run.key for run in runs]


def test_single_precision_trajectories_do_not_depend_on_the_pack(grid, train, valid):
    runs = grid()
    together = pack(runs, train, valid, dtype=torch.float32)
    for run in runs[::5]:
        alone = pack([run], train, valid, dtype=torch.float32)[run.key]
        assert_same(together[run.key], alone, tolerance=1e-4)


def test_the_same_seed_gives_the_same_results_twice(grid, train, valid):
    first = pack(grid(), train, valid, dtype=torch.float32)
    second = pack(grid(), train, valid, dtype=torch.float32)
    for key, result in first.items():
        assert torch.equal(result.vector, second[key].vector)


def test_seeds_differ_in_weights_and_batches(train, valid):
    runs = [PackRun(key=f"{seed}", seed=seed, lam=1.0) for seed in (0, 1)]
    results = pack(runs, train, valid)
    assert not torch.allclose(results["0"].vector, results["1"].vector)


def test_options_of_one_run_do_not_reach_another(train, valid):
    base = mixed("InfoNCE", "SIM", 0.5, "fixed:1", key="base")
    cold = dataclasses.replace(base.loss, temperature=0.1)
    runs = [base, dataclasses.replace(base, key="cold", loss=cold)]
    together = pack(runs, train, valid)
    for run in runs:
        assert_same(together[run.key], pack([run], train, valid)[run.key])
    assert not torch.allclose(together["base"].vector, together["cold"].vector)


# --- divergence


def unbounded(key="unbounded"):
    """VICReg-SEP without its covariance term has no lower bound."""
    free = LossSpec(vicreg=(1e5, 0.0, 0.0))
    return PackRun(key=key, principle="VICReg", objective="SEP", lam=0.0, loss=free)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_diverging_run_leaves_its_neighbours_untouched_bit_for_bit(dtype, grid, train, valid):
    runs = grid()
    tame = dataclasses.replace(unbounded(), loss=LossSpec())
    calm = pack([*runs, tame], train, valid, dtype=dtype)
    wild = pack([*runs, unbounded()], train, valid, dtype=dtype)
    assert calm["unbounded"].state == "finished"
    assert wild["unbounded"].state == "diverged"
    for run in runs:
        assert torch.equal(calm[run.key].vector, wild[run.key].vector)


def test_nan_in_one_runs_weights_reaches_no_neighbour(grid, train, valid):
    runs, states = grid(), {}
    clean = pack(runs, train, valid)
    pack(runs, train, valid, on_epoch=stop_after(2, states))
    poisoned = runs[1].key
    states[poisoned].vector.fill_(math.nan)
    dirty = pack(runs, train, valid, states=states)
    assert dirty[poisoned].state == "diverged"
    assert dirty[poisoned].diverged_at == (3, 0)
    for key in clean.keys() - {poisoned}:
        assert torch.equal(clean[key].vector, dirty[key].vector)
        assert dirty[key].state == "finished"


def test_divergence_names_the_first_epoch_and_step_beyond_the_limit(train, valid):
    result = pack([unbounded()], train, valid)["unbounded"]
    epoch, step = result.diverged_at
    limited = dataclasses.replace(TRAINING, epochs=epoch)
    _, losses = reference.train(unbounded(), train, valid, SPEC, limited)
    assert (losses[: epoch - 1].abs() < DIVERGENCE_LIMIT).all()
    assert step <= 11
    assert result.best_epoch is None or result.best_epoch < epoch


def test_a_pack_whose_runs_have_all_diverged_stops(train, valid):
    epochs = []
    long = dataclasses.replace(TRAINING, epochs=50)
    result = pack(
        [unbounded()], train, valid, training=long, on_epoch=lambda t: epochs.append(t.epoch)
    )["unbounded"]
    assert len(epochs) == result.diverged_at[0] < 50


# --- γ


def test_gamma_rules_have_their_known_values(train, valid):
    cell = mixed("Cosine", "SEP", 0.3, "init-ratio", key="init")
    runs = [
        cell,
        dataclasses.replace(cell, key="unused reference", reference_mse=0.05),
        dataclasses.replace(cell, key="other objective", objective="SIM"),
        dataclasses.replace(cell, key="other λ", lam=0.9),
        dataclasses.replace(cell, key="fixed", loss=LossSpec(gamma="fixed:2.5")),
        mixed("Cosine", "SEP", 0.3, "converged-ratio", key="converged", reference_mse=0.05),
        mixed("Cosine", "SEP", 0.3, "geometric-ratio", key="geometric", reference_mse=0.05),
        dataclasses.replace(cell, key="alone", lam=0.0),
        PackRun(key="reconstruction", lam=1.0),
    ]
    results = pack(runs, train, valid)
    module = reference.initial_model(8, cell, SPEC).double()
    index = PackTrainer([cell], train, valid, SPEC, TRAINING)._schedule.validation(0)
    first = reference.losses_over(module, valid, index, cell, SPEC.pool)
    rec, dis = first.abs().mean(0).tolist()
    assert results["init"].gamma == pytest.approx(dis / rec, rel=1e-6)
    assert results["other λ"].gamma == results["init"].gamma
    assert results["unused reference"].gamma == results["init"].gamma
    assert results["other objective"].gamma != pytest.approx(results["init"].gamma, rel=0.1)
    assert results["fixed"].gamma == 2.5
    assert results["converged"].gamma == pytest.approx(dis / 0.05, rel=1e-6)
    assert results["geometric"].gamma == pytest.approx(dis / math.sqrt(rec * 0.05), rel=1e-6)
    for key in ("init", "fixed", "converged", "geometric"):
        run = next(run for run in runs if run.key == key)
        gamma = reference.gamma_of(run.loss.gamma, rec, dis, run.reference_mse)
        assert results[key].gamma == pytest.approx(gamma, rel=1e-6)
    assert results["alone"].gamma is None
    assert results["reconstruction"].gamma is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "encoder"}, "unknown kind 'encoder'"),
        ({"lam": None}, "λ is None"),
        ({"lam": 1.5}, "λ is 1.5"),
        ({"principle": "BYOL"}, "unknown principle 'BYOL'; choose one of InfoNCE, Cosine, VICReg"),
        ({"objective": "SUM"}, r"unknown objective 'SUM'; choose one of SIM, SEP, SIM\+SEP"),
        ({"loss": LossSpec(gamma="guess")}, "unknown γ rule 'guess'"),
        ({"loss": LossSpec(gamma="fixed:much")}, "unknown γ rule 'fixed:much'"),
        ({"loss": LossSpec(gamma=None)}, "unknown γ rule"),
        ({"loss": LossSpec(gamma="converged-ratio")}, "converged-ratio needs the validation MSE"),
        ({"loss": LossSpec(gamma="geometric-ratio")}, "geometric-ratio needs the validation MSE"),
    ],
)
def test_a_run_that_cannot_be_trained_is_an_error_that_says_why(fields, message):
    good = {"principle": "Cosine", "objective": "SIM", "lam": 0.5}
    with pytest.raises(ValueError, match=message):
        PackRun(key="r", **{**good, "loss": LossSpec(gamma="init-ratio"), **fields})


def test_runs_that_cannot_share_a_pack_are_an_error(train, valid):
    multiview = PackRun(key="a", lam=1.0)
    for runs in ([], [multiview, multiview], [multiview, *contrastive()]):
        with pytest.raises(ValueError, match="pack"):
            pack(runs, train, valid)


def test_too_few_clips_and_odd_latents_are_errors_before_training(train, valid):
    run = PackRun(key="r", lam=1.0)
    with pytest.raises(ValueError, match="do not fill a batch"):
        pack([run], train, make_clips(3, 0))
    with pytest.raises(ValueError, match="two halves"):
        odd = LabelledLatents(train.latents[:, :, :7], train.family, train.pitch)
        pack([run], odd, odd)
    for spec, message in (
        (ModelSpec(pool="max"), "unknown pooling"),
        (ModelSpec(pool="encoder"), "pooling is still 'encoder'"),
        (ModelSpec(latent_activation="gelu"), "unknown latent activation"),
    ):
        with pytest.raises(ValueError, match=message):
            pack([run], train, valid, spec)


# --- stopping and resuming


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stopping_and_resuming_in_other_packs_equals_never_stopping(
    dtype, grid, train, valid, tmp_path
):
    runs = grid(0) + grid(1)[:6]
    whole = pack(runs, train, valid, dtype=dtype)
    states = {}
    stopped = pack(runs, train, valid, dtype=dtype, on_epoch=stop_after(2, states))
    assert {result.state for result in stopped.values()} == {"interrupted"}
    torch.save({key: state.state_dict() for key, state in states.items()}, tmp_path / "states")
    kept = torch.load(tmp_path / "states", weights_only=True)
    states = {key: type(states[key])(**fields) for key, fields in kept.items()}
    random.Random(0).shuffle(runs)
    resumed = pack(runs[:7], train, valid, dtype=dtype, states=states)
    resumed |= pack(runs[7:], train, valid, dtype=dtype, states=states)
    for run in runs:
        if dtype == torch.float64:
            assert_same(resumed[run.key], whole[run.key])
        else:
            assert_same(resumed[run.key], whole[run.key], tolerance=1e-4)
        assert resumed[run.key].gamma == whole[run.key].gamma
        assert len(resumed[run.key].losses["valid_total"]) == TRAINING.epochs


def test_a_diverged_run_is_still_diverged_after_resuming(train, valid):
    states = {}
    runs = [unbounded(), PackRun(key="r", lam=1.0)]
    early = pack(runs, train, valid, on_epoch=stop_after(4, states))
    late = pack(runs, train, valid, states=states)
    assert early["unbounded"].diverged_at == late["unbounded"].diverged_at is not None
    assert late["r"].state == "finished"


def test_runs_of_different_epochs_cannot_share_a_pack(train, valid):
    states = {}
    runs = [PackRun(key="a", lam=1.0), PackRun(key="b", seed=1, lam=1.0)]
    pack(runs, train, valid, on_epoch=stop_after(2, states))
    del states["b"]
    with pytest.raises(ValueError, match=r"epochs \[0, 2\] cannot share a pack"):
        pack(runs, train, valid, states=states)


def test_training_reports_each_epoch_and_may_be_stopped_by_an_exception(train, valid):
    seen = []
    run = PackRun(key="r", lam=1.0)
    results = pack(
        [run],
        train,
        valid,
        on_epoch=lambda t: seen.append((t.epoch, t.losses("r")["valid_total"])),
    )
    assert seen == list(enumerate(results["r"].losses["valid_total"], start=1))

    def stop(_trainer):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack([run], train, valid, on_epoch=stop)


def test_the_layout_of_a_pack_holds_each_runs_vector(grid, train, valid):
    trainer = PackTrainer(grid(), train, valid, SPEC, TRAINING)
    layout = Layout(trainer.shape, 5, 3)
    flat = torch.arange(layout.size, dtype=torch.float64)
    vectors = [layout.take(flat, run) for run in range(5)]
    assert torch.equal(torch.cat(vectors).sort().values, flat)
    assert [len(v) for v in vectors] == [274, 274, 274, 164, 164]
    other = torch.zeros_like(flat)
    for run, vector in enumerate(vectors):
        layout.put(other, run, vector)
    assert torch.equal(other, flat)
