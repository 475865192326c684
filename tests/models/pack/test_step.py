"""A training step fit for a CUDA graph, and the order in which graphs are made and replayed."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.pack.step import LONGEST, StepGraph, graph_length
from models.pack.trainer import PackTrainer
from models.spec import LossSpec, ModelSpec, TrainingSpec

SPEC = ModelSpec(hidden=6, pool="flatten")
TRAINING = TrainingSpec(epochs=2, batch_pairs=4)

# What waits for the device, depends on its numbers, or brings some from the host. Not
# scalar_tensor, which clamp's gradient uses: on CUDA it is filled by a kernel.
FORBIDDEN = {
    "_local_scalar_dense",
    "item",
    "equal",
    "nonzero",
    "masked_select",
    "lift_fresh",
    "lift_fresh_copy",
    "_to_copy",
    "is_nonzero",
}


class Watched(TorchDispatchMode):
    """Collects the names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))


def test_the_watch_sees_what_a_graph_cannot_hold():
    with Watched() as watched:
        x = torch.ones(3)
        float(x.sum())
        x[x > 0]
        torch.tensor([1.0]) + x.double()
    assert {"_local_scalar_dense", "lift_fresh", "_to_copy"} <= watched.names
    assert watched.names & {"nonzero", "masked_select", "index"}


@pytest.mark.parametrize(
    "spec", [SPEC, ModelSpec(latent_activation="relu", pool="flatten"), ModelSpec(pool="mean")]
)
def test_a_step_asks_the_host_nothing_and_brings_nothing_from_it(spec, grid, train, valid):
    trainer = PackTrainer(grid(0) + grid(1), train, valid, spec, TRAINING)
    with torch.no_grad(), Watched() as watched:
        trainer._step()
    assert "bmm" in watched.names
    assert not watched.names & FORBIDDEN


def test_a_steps_buffers_stay_where_they_are(grid, train, valid):
    trainer = PackTrainer(grid(), train, valid, SPEC, TRAINING)

    def places():
        own = (trainer._step, trainer._model, trainer._optimizer)
        return [
            (type(o).__name__, name, value.data_ptr())
            for o in own
            for name, value in sorted(vars(o).items())
            if isinstance(value, torch.Tensor)
        ]

    before = places()
    trainer.train_epoch()
    trainer.train_epoch()
    assert places() == before
    assert len(before) > 10


def test_an_epoch_of_steps_takes_its_batches_in_order(grid, train, valid):
    trainer = PackTrainer(grid(), train, valid, SPEC, TRAINING)
    clips = trainer._schedule.epoch(0)
    with torch.no_grad():
        trainer._step.begin(clips)
        for step in range(3):
            trainer._step()
            wanted = train.latents.float()[clips[0, step]].transpose(0, 1).flatten(0, 1)
            assert torch.equal(trainer._model.x[0], wanted)
    assert (trainer._step.losses[:3].abs().sum((1, 2)) > 0).all()
    assert not trainer._step.losses[3:].any()


def test_graphs_make_up_an_epoch_and_are_not_too_long():
    assert [graph_length(steps) for steps in (1, 11, 25, 29, 625, 156)] == [1, 11, 25, 1, 25, 13]
    for steps in range(1, 200):
        assert steps % graph_length(steps) == 0
        assert graph_length(steps) <= LONGEST


def test_on_the_cpu_a_call_is_so_many_steps():
    done = []
    graph = StepGraph(lambda: done.append(1), 3, torch.device("cpu"))
    graph()
    graph()
    assert len(done) == 6


# --- a stand-in for torch.cuda: what is launched while a graph is captured does not run


class Stand:
    """Streams and graphs that write down what happens to them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now = "default"
        self.recording: list[str] | None = None

    def launch(self) -> None:
        """What a step does."""
        if self.recording is None:
            self.log.append(f"step on {self.now}")
        else:
            self.recording.append("step")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand = self

        class Stream:
            def __init__(self, name="side"):
                self.name = name

            def wait_stream(self, other):
                stand.log.append(f"{self.name} waits for {other.name}")

        class Graph:
            def replay(self):
                stand.log.extend(f"{step} of a graph on {stand.now}" for step in self.steps)

        @contextmanager
        def on(stream):
            before, stand.now = stand.now, stream.name
            yield
            stand.now = before

        @contextmanager
        def capture(graph, stream):
            with on(stream):
                stand.recording = graph.steps = []
                yield
                stand.recording = None
            stand.log.append(f"captured on {stream.name}")

        monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream(stand.now))
        monkeypatch.setattr(torch.cuda, "stream", on)
        monkeypatch.setattr(torch.cuda, "graph", capture)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)


def test_on_cuda_steps_run_once_to_warm_up_then_are_captured_once_and_replayed(monkeypatch):
    stand = Stand()
    stand.install(monkeypatch)
    graph = StepGraph(stand.launch, 2, torch.device("cuda"))
    for _ in range(3):
        graph()
    replay = ["step of a graph on default"] * 2
    assert stand.log == [
        "side waits for default",
        *["step on side"] * 2,
        "default waits for side",
        "captured on side",
        *replay,
        *replay,
    ]


# --- tensors without numbers: torch refuses to mix them with others, or to tell what they hold


def test_away_from_the_cpu_a_step_and_a_validation_mix_no_devices(grid, train, valid):
    runs = [dataclasses.replace(run, loss=LossSpec(gamma="fixed:1")) for run in grid(0) + grid(1)]
    trainer = PackTrainer(runs, train, valid, SPEC, TRAINING, device="meta")
    with torch.no_grad():
        trainer._step.begin(trainer._schedule.epoch(0))
        trainer._step()
        losses = torch.cat((trainer._step.losses, trainer._validate()[None]))
    trainer._keep_best([0, 3])
    assert losses.device.type == "meta"
    assert losses.shape == (12, 2, len(runs))
