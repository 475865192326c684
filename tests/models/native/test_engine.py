"""Native steps against the paper's model in float64, and against themselves in other company."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch

from models import reference
from models.multiview import ModelShape
from models.native.build import built
from models.native.engine import NATIVE, TERMS, agrees, has_bf16, refusal, terms_alone
from models.objectives import PRINCIPLES, Principle
from models.pack.loss import LossTerm
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.pairs import LabelledLatents
from models.spec import LossSpec, ModelSpec, TrainingSpec
from tests.models.conftest import make_clips
from tests.models.pack.test_trainer import flat_parameters

pytestmark = pytest.mark.skipif(built().library is None, reason=f"no native steps: {built().how}")

needs_bf16 = pytest.mark.skipif(not has_bf16(), reason="the processor has no bf16 products")

SPEC = ModelSpec(hidden=6, pool="flatten")
TRAINING = TrainingSpec(epochs=1, batch_pairs=4, lr=1e-2, weight_decay=1e-2)


def single(clips: LabelledLatents) -> LabelledLatents:
    return dataclasses.replace(clips, latents=clips.latents.float())


def trainer(runs, train, valid, spec=SPEC, training=TRAINING, **options):
    made = PackTrainer(runs, single(train), single(valid), spec, training, **options)
    assert (made.engine == NATIVE) == options.get("native", True), made.engine
    return made


def baselines(seed=0):
    return [PackRun(key=kind, kind=kind, seed=seed) for kind in ("cl-pitch", "cl-instrument")]


def distances(runs, train, valid, spec, training):
    """Of the native and of torch's single precision from float64: weights and losses, by run."""
    exact = LabelledLatents(train.latents.float().double(), train.family, train.pitch)
    held = LabelledLatents(valid.latents.float().double(), valid.family, valid.pitch)
    made = [trainer(runs, train, valid, spec, training, native=native) for native in (True, False)]
    for one in made:
        one.train_epoch()
    for run in runs:
        gamma = made[0].state(run.key).gamma
        loss = dataclasses.replace(run.loss, gamma=f"fixed:{gamma}") if gamma else run.loss
        fixed = dataclasses.replace(run, loss=loss)
        model, losses = reference.train(fixed, exact, held, spec, training)
        wanted, part = flat_parameters(model), losses[0, 0]
        if not run.has_decoder and run.kind == "multiview" and run.objective != "SIM+SEP":
            wanted = None  # the reference leaves an unused encoder as it is
        apart = []
        for one in made:
            state = one.state(run.key)
            rec, dis = (one.losses(run.key)[f"train_{name}"] for name in ("rec", "dis"))
            got = torch.tensor([rec, dis]).nan_to_num()
            drift = 0.0 if wanted is None else float((state.vector - wanted).norm() / wanted.norm())
            apart.append((drift, float(((got - part) / (part.abs() + 1e-3)).abs().max())))
        yield run.key, *apart


RECTIFIED = ModelSpec(hidden=40, latent_activation="relu", pool="flatten")


@pytest.mark.parametrize(
    ("steps", "spec"), [(1, SPEC), (1, ModelSpec(pool="mean")), (1, RECTIFIED), (100, SPEC)]
)
def test_weights_and_losses_are_as_near_to_float64_as_torchs(steps, spec, grid, valid):
    clips = make_clips(4 * steps, 5)
    packs = [grid() if steps == 1 else grid()[1::2], baselines()]
    rows = [row for runs in packs for row in distances(runs, clips, valid, spec, TRAINING)]
    native, by_torch = (np.array([row[place] for row in rows]) for place in (1, 2))
    # Rounding grows with the steps, in some runs more than in others: the runs' median is compared.
    assert (np.median(native, 0) <= 2 * np.median(by_torch, 0)).all(), rows
    assert (native <= 20 * by_torch + (1e-6 if steps == 1 else 1e-3)).all(), rows


def test_at_the_default_sizes_too(valid):
    clips, held = (make_clips(48, seed, tokens=8, features=128) for seed in (1, 2))
    training = TrainingSpec(epochs=1, lr=1e-3)
    runs = [
        PackRun(
            key=key, principle=key, objective="SIM+SEP", lam=lam, loss=LossSpec(gamma="fixed:1")
        )
        for key, lam in (("InfoNCE", 0.4), ("Cosine", 0.0), ("VICReg", 0.4))
    ]
    for _, native, by_torch in distances(runs, clips, held, ModelSpec(pool="flatten"), training):
        assert native[0] <= 2 * by_torch[0] and native[1] < 1e-5


@needs_bf16
@pytest.mark.parametrize("spec", [SPEC, RECTIFIED])
def test_bf16_rounds_what_torch_rounds_and_sums_as_exactly(spec, grid, valid):
    """Against the same roundings with all else in float64."""
    clips, training = make_clips(4, 5), dataclasses.replace(TRAINING, precision="bf16")
    for runs in (grid(), baselines()):
        ours = trainer(runs, clips, valid, spec, training)
        by_torch = trainer(runs, clips, valid, spec, training, native=False)
        ieee = trainer(runs, clips, valid, spec, TRAINING)
        exact = PackTrainer(runs, single(clips), single(valid), spec, training, dtype=torch.float64)
        apart = []
        for made in (exact, ours, by_torch, ieee):
            made.train_epoch()
            apart.append([made.state(run.key).exp_avg.double() for run in runs])
        wanted, *others = apart
        scale = [float(of_run.norm()) + 1e-12 for of_run in wanted]
        native, torchs, plain = (
            np.median(
                [float((a - b).norm()) / n for a, b, n in zip(one, wanted, scale, strict=True)]
            )
            for one in others
        )
        assert native <= 2 * torchs + 1e-6 and native < plain / 4, (native, torchs, plain)


@pytest.mark.parametrize("spec", [SPEC, ModelSpec(pool="mean"), RECTIFIED])
def test_validation_and_the_gamma_made_of_it_are_those_of_float64(spec, grid, train):
    valid = make_clips(27, 2)  # no whole number of blocks
    for runs in (grid(), baselines()):
        ours = trainer(runs, train, valid, spec)
        exact = PackTrainer(runs, single(train), single(valid), spec, TRAINING, dtype=torch.float64)
        for run, native, wanted in zip(
            ours.runs, ours._validate().T, exact._validate().T, strict=True
        ):
            torch.testing.assert_close(
                native.double(), wanted, rtol=2e-6, atol=2e-6, equal_nan=True
            )
            gamma = exact.state(run.key).gamma
            assert ours.state(run.key).gamma == (gamma and pytest.approx(gamma, rel=1e-5))


# --- company, order, threads, stops


def bits(runs, train, valid, threads=1, **options):
    """Final states by key."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made = trainer(runs, train, valid, **options)
        made.train()
        return {run.key: made.state(run.key) for run in runs}
    finally:
        torch.set_num_threads(before)


def assert_equal(one, other):
    for name, value in one.state_dict().items():
        others = other.state_dict()[name]
        if isinstance(value, torch.Tensor):
            assert torch.equal(value.nan_to_num(-1), others.nan_to_num(-1)), name
        else:
            assert value == others, name


def test_a_run_alone_equals_itself_in_any_pack_and_order_on_one_thread_or_two(grid, train, valid):
    training = dataclasses.replace(TRAINING, epochs=2)
    runs = grid(0) + grid(1)[:5]
    together = bits(runs, train, valid, training=training)
    random.Random(0).shuffle(runs)
    in_threads = bits(runs[:12], train, valid, threads=2, training=training)
    for run in runs[:12:3]:
        (alone,) = bits([run], train, valid, training=training).values()
        assert_equal(together[run.key], alone)
        assert_equal(in_threads[run.key], alone)


def test_a_resumed_run_equals_one_that_never_stopped_bit_for_bit(grid, train, valid):
    training = dataclasses.replace(TRAINING, epochs=4)
    runs = grid()
    whole = bits(runs, train, valid, training=training)
    early = trainer(runs, train, valid, training=training)
    early.train(lambda made: made.epoch == 2)
    states = {run.key: early.state(run.key) for run in runs}
    resumed = bits(runs[::-1], train, valid, training=training, states=states)
    for run in runs:
        assert_equal(resumed[run.key], whole[run.key])


def test_a_call_of_few_steps_changes_nothing(grid, train, valid, monkeypatch):
    whole = bits(grid(), train, valid)
    monkeypatch.setattr("models.native.engine.CALL", 1)
    for key, state in bits(grid(), train, valid).items():
        assert_equal(state, whole[key])


# --- gradients, NaN


def term_of(principle, side, **options):
    return LossTerm(principle, side, dataclasses.replace(LossSpec(gamma=None), **options))


@pytest.mark.parametrize(("principle", "side"), TERMS)
@pytest.mark.parametrize("pooling", ["flatten", "mean"])
def test_the_gradient_of_a_term_is_its_finite_difference(principle, side, pooling):
    generator = torch.Generator().manual_seed(1)
    z, direction = torch.randn(2, 1, 2, 7, 3, 37, generator=generator)
    shape, term = ModelShape(1, 37, 37, 37), term_of(principle, side)

    def term_at(step):
        return terms_alone([term], shape, ModelSpec(pool=pooling), z + step * direction)

    loss, gradient = term_at(0.0)
    wanted = (term_at(1e-2)[0] - term_at(-1e-2)[0]) / 2e-2
    views = z[0].double().mean(-2) if pooling == "mean" else z[0].double().flatten(-2)
    assert loss == pytest.approx(float(term(*views[:, None])), rel=1e-5)
    assert float((gradient * direction).sum()) == pytest.approx(wanted, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize(("principle", "side"), TERMS)
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_nan_in_a_clips_latents_is_nan_in_the_loss_and_in_its_gradient(principle, side, poison):
    z = torch.randn(1, 2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    z[0, 0, 2, 1, 3] = poison
    shape = ModelShape(1, 4, 4, 4)
    loss, gradient = terms_alone([term_of(principle, side)], shape, ModelSpec(pool="flatten"), z)
    assert not math.isfinite(loss)
    assert gradient[0, 0, 2].isnan().any()


@pytest.mark.parametrize("layer", [0, -1])
def test_one_nan_in_a_runs_weights_makes_it_diverge_at_its_next_step(layer, grid, train, valid):
    training = dataclasses.replace(TRAINING, epochs=2)
    runs = [run for run in grid() if run.lam]
    early = trainer(runs, train, valid, training=training)
    early.train_epoch()
    states = {run.key: early.state(run.key) for run in runs}
    poisoned = runs[2].key
    whole = bits(runs, train, valid, training=training, states=states)
    states[poisoned].vector[layer] = math.nan
    late = bits(runs, train, valid, training=training, states=states)
    assert late[poisoned].diverged_at == (2, 0)
    assert late[poisoned].vector.isnan().all()
    for run in runs:
        if run.key != poisoned:
            assert_equal(late[run.key], whole[run.key])


# --- which engine


def test_what_step_c_does_not_do_is_torchs_and_the_reason_is_told(monkeypatch, grid, train, valid):
    runs = grid()
    monkeypatch.setattr("models.native.engine.has_bf16", lambda: False)
    assert trainer(runs, train, valid).engine == NATIVE
    for training, dtype, reason in (
        (TRAINING, torch.float64, "float64"),
        (dataclasses.replace(TRAINING, precision="bf16"), torch.float32, "bf16"),
    ):
        made = PackTrainer(runs, train, valid, SPEC, training, dtype=dtype)
        assert made.engine == f"torch: {reason}"
    assert made.results()[0].engine == "torch: bf16"
    assert refusal(runs, TRAINING, torch.empty(1, 1, 1, device="meta")) == "meta"


def test_a_principle_of_ones_own_is_torchs_under_a_known_name_too(monkeypatch, train, valid):
    shipped = PRINCIPLES["Cosine"]
    own = Principle(sim=shipped.sim, sep=lambda z1, z2, loss: 2 * shipped.sep(z1, z2, loss))
    monkeypatch.setitem(PRINCIPLES, "Own", own)
    monkeypatch.setitem(PRINCIPLES, "Cosine", own)
    assert agrees(term_of("Cosine", "sim")) and not agrees(term_of("Cosine", "sep"))
    for name in ("Own", "Cosine"):
        run = PackRun(key="r", principle=name, objective="SEP", lam=0.0)
        made = PackTrainer([run], train, valid, SPEC, TRAINING)
        assert made.engine.startswith(f"torch: {name} is ")
        made.train_epoch()
