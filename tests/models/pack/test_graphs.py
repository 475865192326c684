"""Graphs of steps, captured and replayed by a double of torch.cuda, are the steps one by one.

The mutants are mistakes that a CPU forgives and a GPU does not: the double must catch each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from models.adamw import FlatAdamW
from models.pack.branches import Branches
from models.pack.loss import PackedObjectives
from models.pack.runs import PackRun
from models.pack.step import PackStep, StepGraph
from models.pack.trainer import PackTrainer
from models.spec import LossSpec, ModelSpec, TrainingSpec
from tests.models.conftest import make_clips
from tests.models.pack.cuda_double import CaptureError, CudaDouble, RaceError
from tests.models.pack.test_trainer import unbounded

SPEC = ModelSpec(hidden=6, pool="flatten")
TRAINING = TrainingSpec(epochs=3, batch_pairs=4, lr=1e-2)
FIXED = LossSpec(gamma="fixed:1")
PACK = [
    PackRun(key="both", principle="InfoNCE", objective="SIM+SEP", lam=0.6, loss=FIXED),
    PackRun(key="no decoder", principle="Cosine", objective="SEP", lam=0.0),
]


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and lengths of graphs: an epoch of 8 steps is two graphs."""
    monkeypatch.setattr("models.pack.trainer.CHUNK", {})
    monkeypatch.setattr("models.pack.step.LONGEST", 4)


def trained(runs, clips, spec, training):
    trainer = PackTrainer(runs, clips, make_clips(26, 2), spec, training, native=False)
    trainer.train()
    return [trainer.state(run.key).state_dict() for run in runs]


def trained_by_graphs(runs, clips, spec, training):
    """The same by the double, and how many graphs it replayed."""
    with pytest.MonkeyPatch.context() as patch, CudaDouble() as double:
        double.install(patch)
        patch.setattr(
            "models.pack.trainer.StepGraph",
            lambda step, length, _device: StepGraph(step, length, torch.device("cuda")),
        )
        patch.setattr(
            "models.pack.loss.Branches", lambda count, _: Branches(count, torch.device("cuda"))
        )
        return trained(runs, clips, spec, training), double.replays


def assert_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for name, value in one.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value.nan_to_num(7), other[name].nan_to_num(7)), name
            else:
                assert value == other[name], name


@pytest.mark.parametrize(
    ("spec", "training"),
    [
        (SPEC, TRAINING),
        (ModelSpec(pool="mean", latent_activation="relu"), TRAINING),
        (SPEC, dataclasses.replace(TRAINING, precision="bf16")),
    ],
)
def test_graphs_train_the_grid_to_the_bit_as_single_steps_do(spec, training, grid):
    runs, clips = [*grid(0)[1:18:6], *grid(1)[4::6], unbounded()], make_clips(32, 1)
    ours, replays = trained_by_graphs(runs, clips, spec, training)
    assert replays == 3 * 2 - 1  # the first graph's steps warm up
    assert_same(ours, trained(runs, clips, spec, training))


@pytest.mark.parametrize(("batch_pairs", "replays"), [(20, 2), (4, 14)])
def test_epochs_of_one_step_and_of_a_prime_number_are_graphs_of_one_step(batch_pairs, replays):
    runs = [PackRun(key=kind, kind=kind) for kind in ("cl-pitch", "cl-instrument")]
    clips, training = make_clips(20, 1), dataclasses.replace(TRAINING, batch_pairs=batch_pairs)
    ours, replayed = trained_by_graphs(runs, clips, SPEC, training)
    assert replayed == replays
    assert_same(ours, trained(runs, clips, SPEC, training))


# --- mutants


def asks_the_host(step: PackStep) -> None:
    float(step._rec_weights.sum())
    STEP(step)


def counts_its_batches_in_python(step: PackStep) -> None:
    number = vars(step).setdefault("count", 0)
    step._number.fill_(number % len(step.losses))
    step.count += 1
    STEP(step)


def leaves_its_losses_in_the_pool(step: PackStep) -> None:
    STEP(step)
    step.losses = step.losses.clone()


def brings_the_learning_rate_along(optimizer: FlatAdamW) -> None:
    optimizer._gradient.mul_(torch.tensor([1.0]))
    ADAMW(optimizer)


def counts_its_steps_in_python(optimizer: FlatAdamW) -> None:
    optimizer.steps.fill_(vars(optimizer).setdefault("count", 0))
    optimizer.count += 1
    ADAMW(optimizer)


def warms_up_before_the_batches_are_there(graph: StepGraph, stream: torch.cuda.Stream) -> None:
    with torch.cuda.stream(stream):
        graph._run()
    torch.cuda.current_stream().wait_stream(stream)
    graph._warm = True


def does_not_wait_for_the_warm_up(graph: StepGraph, stream: torch.cuda.Stream) -> None:
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        graph._run()
    graph._warm = True


def warms_up_without_counting(graph: StepGraph, stream: torch.cuda.Stream) -> None:
    WARM_UP(graph, stream)
    graph._captured(stream).replay()


def takes_the_capture_for_a_run(graph: StepGraph) -> None:
    if graph._warm and graph._graph is None:
        graph._graph = graph._captured(graph._stream)
    else:
        CALL(graph)


def begins_before_there_are_latents(branches: Branches, work, items):
    made = []
    for stream, item in zip(branches._streams, items, strict=True):
        with torch.cuda.stream(stream):
            made.append(work(item))
        torch.cuda.current_stream().wait_stream(stream)
    return made


def waits_for_one_branch_only(branches: Branches, work, items):
    made = []
    for stream, item in zip(branches._streams, items, strict=True):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            made.append(work(item))
    torch.cuda.current_stream().wait_stream(branches._streams[0])
    return made


def adds_up_in_its_branches(objectives: PackedObjectives, z, dz, losses):
    def work(group) -> None:
        group.write(*group.losses(z, "flatten"), dz, losses)

    dz.zero_()
    losses.zero_()
    list(objectives._branches.each(work, objectives._groups))


STEP, ADAMW = PackStep.__call__, FlatAdamW.step
WARM_UP, CALL = StepGraph._warm_up, StepGraph.__call__


def leaves_out_an_epochs_last_graph(trainer: PackTrainer, clips: torch.Tensor) -> torch.Tensor:
    trainer._step.begin(clips)
    for _ in range(trainer._schedule.steps // trainer._length - trainer._steps._warm):
        trainer._steps()
    return trainer._step.losses


MUTANTS: list[tuple[type, str, Callable[..., object], type[Exception]]] = [
    (PackStep, "__call__", asks_the_host, CaptureError),
    (PackStep, "__call__", counts_its_batches_in_python, AssertionError),
    (PackStep, "__call__", leaves_its_losses_in_the_pool, AssertionError),
    (FlatAdamW, "step", brings_the_learning_rate_along, CaptureError),
    (FlatAdamW, "step", counts_its_steps_in_python, AssertionError),
    (StepGraph, "_warm_up", warms_up_before_the_batches_are_there, RaceError),
    (StepGraph, "_warm_up", does_not_wait_for_the_warm_up, RaceError),
    (StepGraph, "_warm_up", warms_up_without_counting, RuntimeError),
    (StepGraph, "__call__", takes_the_capture_for_a_run, AssertionError),
    (Branches, "each", begins_before_there_are_latents, RaceError),
    (Branches, "each", waits_for_one_branch_only, RaceError),
    (PackedObjectives, "__call__", adds_up_in_its_branches, RaceError),
    (PackTrainer, "_train_by_torch", leaves_out_an_epochs_last_graph, AssertionError),
]


@pytest.mark.parametrize(
    ("of", "name", "mutant", "caught"), MUTANTS, ids=[mutant.__name__ for *_, mutant, _ in MUTANTS]
)
def test_a_mistake_that_only_a_gpu_punishes_is_caught(of, name, mutant, caught, monkeypatch):
    one_graph, two = make_clips(16, 1), make_clips(32, 1)  # an epoch
    expected = [trained(PACK, clips, SPEC, TRAINING) for clips in (one_graph, two)]
    monkeypatch.setattr(of, name, mutant)
    with pytest.raises(caught):
        for clips, theirs in zip((one_graph, two), expected, strict=True):
            assert_same(trained_by_graphs(PACK, clips, SPEC, TRAINING)[0], theirs)


def test_a_capture_that_leaves_a_branch_behind_is_none():
    with pytest.MonkeyPatch.context() as patch, CudaDouble() as double:
        double.install(patch)
        own, branch, x = torch.cuda.Stream("cuda"), torch.cuda.Stream("cuda"), torch.zeros(1)
        with (
            pytest.raises(CaptureError, match="does not wait for side 2"),
            torch.cuda.graph(torch.cuda.CUDAGraph(), stream=own),
        ):
            branch.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(branch):
                x.add_(1)
