"""The trainer on a GPU, held to the CPU's results. Skipped where there is no GPU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.pack.memory import bytes_per_run
from models.pack.runs import LOSSES, PackRun
from models.pack.trainer import PackTrainer
from models.probes import ProbeSplit, ProbeTask, train_probes
from models.spec import LossSpec, ModelSpec, ProbeSpec, TrainingSpec
from tests.models.conftest import make_clips
from tests.models.pack.test_trainer import stop_after, unbounded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

SPEC = ModelSpec(hidden=24, pool="flatten")
# 44 clips in batches of 4: 11 steps an epoch, all of one graph; the first epoch warms up
TRAINING = TrainingSpec(epochs=10, batch_pairs=4, lr=1e-3)


def trained(runs, train, valid, device="cuda", training=TRAINING, on_epoch=None, **options):
    trainer = PackTrainer(runs, train, valid, SPEC, training, device=device, **options)
    results = trainer.train(on_epoch)
    return {result.key: result for result in results}


def assert_near(one, other, tolerance):
    assert one.state == other.state
    for name in LOSSES:
        np.testing.assert_allclose(
            one.losses[name], other.losses[name], rtol=tolerance, atol=tolerance
        )
    torch.testing.assert_close(one.vector, other.vector, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("clips", "batch_pairs"), [(40, 40), (200, 4)])
def test_epochs_of_one_step_and_of_two_graphs_equal_the_cpus(clips, batch_pairs, grid):
    short = dataclasses.replace(TRAINING, epochs=3, batch_pairs=batch_pairs)
    ours, theirs = (
        trained(grid(), make_clips(clips, 4), make_clips(44, 5), device, short, dtype=torch.float64)
        for device in ("cuda", "cpu")
    )
    for key, result in ours.items():
        assert_near(result, theirs[key], 1e-8)


def test_a_training_repeated_is_the_same_to_the_bit(grid, train, valid):
    one, other = (trained(grid(), train, valid) for _ in range(2))
    assert all(torch.equal(one[key].vector, other[key].vector) for key in one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_of_the_first_ten_steps_and_of_a_hundred_are_the_cpus(dtype, grid, train, valid):
    ours = PackTrainer(grid(0) + grid(1), train, valid, SPEC, TRAINING, device="cuda", dtype=dtype)
    theirs = PackTrainer(grid(0) + grid(1), train, valid, SPEC, TRAINING, dtype=dtype)
    exact = dtype == torch.float64
    for epoch in range(TRAINING.epochs):  # 110 steps
        ours.train_epoch()
        theirs.train_epoch()
        steps = [trainer._step.losses.cpu() for trainer in (ours, theirs)]
        tolerance = 1e-9 if exact else (1e-4 if epoch == 0 else 1e-2)
        torch.testing.assert_close(*steps, rtol=tolerance, atol=tolerance)


def test_whole_trainings_equal_the_cpus_in_double_precision(grid, train, valid):
    runs = [*grid(0), *grid(1)]
    ours = trained(runs, train, valid, dtype=torch.float64)
    theirs = trained(runs, train, valid, "cpu", dtype=torch.float64)
    for key, result in ours.items():
        assert_near(result, theirs[key], 1e-8)
        assert result.best_epoch == theirs[key].best_epoch


def test_contrastive_baselines_equal_the_cpus(train, valid):
    runs = [PackRun(key=kind, kind=kind) for kind in ("cl-pitch", "cl-instrument")]
    ours = trained(runs, train, valid, dtype=torch.float64)
    theirs = trained(runs, train, valid, "cpu", dtype=torch.float64)
    for key, result in ours.items():
        assert_near(result, theirs[key], 1e-8)


def test_replayed_steps_equal_steps_launched_one_by_one(grid, train, valid):
    replayed = PackTrainer(grid(), train, valid, SPEC, TRAINING, device="cuda")
    launched = PackTrainer(grid(), train, valid, SPEC, TRAINING, device="cuda")
    launched._steps = lambda: [launched._step() for _ in range(launched._length)]
    for _ in range(4):
        replayed.train_epoch()
        launched.train_epoch()
    for run in grid():
        one, other = replayed.state(run.key), launched.state(run.key)
        torch.testing.assert_close(one.vector, other.vector, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.losses, other.losses, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_diverging_run_leaves_its_neighbours_untouched_on_a_gpu(grid, train, valid):
    # A term of its own, as the wild one has: else groups differ, and so may cuBLAS's kernels
    tame = dataclasses.replace(unbounded(), loss=LossSpec(vicreg=(25.0, 25.0, 1.5)))
    fast = dataclasses.replace(TRAINING, lr=1e-2)
    calm = trained([*grid(), tame], train, valid, training=fast)
    wild = trained([*grid(), unbounded()], train, valid, training=fast)
    assert calm["unbounded"].state == "finished"
    assert wild["unbounded"].state == "diverged"
    for run in grid():
        assert torch.equal(calm[run.key].vector, wild[run.key].vector)


@pytest.mark.parametrize(("first", "second"), [("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_where_it_stopped_on_either_device(first, second, grid, train, valid):
    double, states = {"dtype": torch.float64}, {}
    whole = trained(grid(), train, valid, **double)
    trained(grid(), train, valid, first, on_epoch=stop_after(4, states), **double)
    resumed = trained(grid(), train, valid, second, states=states, **double)
    for key, result in resumed.items():
        assert_near(result, whole[key], 1e-8)


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 1e-2), ("bf16", 0.1)])
def test_other_precisions_stay_near(precision, tolerance, grid, train, valid):
    exact = trained(grid(), train, valid)
    near = trained(
        grid(), train, valid, training=dataclasses.replace(TRAINING, precision=precision)
    )
    for key, result in near.items():
        for name in ("train_rec", "valid_rec"):
            np.testing.assert_allclose(result.losses[name], exact[key].losses[name], rtol=tolerance)
    assert any((near[key].vector != exact[key].vector).any() for key in near)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_an_epoch_waits_for_the_device_once(grid, train, valid):
    trainer = PackTrainer(grid(), train, valid, SPEC, TRAINING, device="cuda")
    for _ in range(2):  # warmed up, then captured
        trainer.train_epoch()
    trainer._step.begin(trainer._schedule.epoch(2))
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.no_grad():
            trainer._steps()
            trainer._validate()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_pack_takes_no_more_memory_than_is_foretold():
    clips, spec = make_clips(64, 0, tokens=8, features=256), ModelSpec(pool="flatten")
    loss = LossSpec(gamma="fixed:1")
    cell = PackRun(key="0", principle="VICReg", objective="SIM+SEP", lam=0.5, loss=loss)
    cells = [dataclasses.replace(cell, key=str(number)) for number in range(40)]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    trainer = PackTrainer(cells, clips, clips, spec, TrainingSpec(), device="cuda")
    for _ in range(2):
        trainer.train_epoch()
    used = torch.cuda.max_memory_allocated() - before
    assert used < 40 * bytes_per_run(trainer.shape, 256) / 0.8


def test_the_memory_of_a_finished_pack_is_free_again(grid, train, valid):
    trained(grid(), train, valid)  # what libraries keep
    torch._C._cuda_clearCublasWorkspaces()  # 32 MiB a handle and stream
    before = torch.cuda.memory_allocated()
    trained(grid(), train, valid)
    torch._C._cuda_clearCublasWorkspaces()
    assert torch.cuda.memory_allocated() <= before + 2**20


def test_probes_score_as_on_the_cpu():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 400)
    centres = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    x = centres[labels] + 0.7 * torch.from_numpy(generator.normal(size=(2, 400, 12))).float()
    tasks = {"pitch": ProbeTask(labels, 4)}
    split = ProbeSplit(np.arange(250), np.arange(250, 320), np.arange(320, 400))
    ours, theirs = (
        train_probes([x.to(device)], tasks, split, ProbeSpec(epochs=10), seed=0)[0]
        for device in ("cuda", "cpu")
    )
    assert ours.accuracies == pytest.approx(theirs.accuracies, abs=0.03)
