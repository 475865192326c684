"""A training step fit for a CUDA graph; see test_graphs.py for the graphs."""

from __future__ import annotations

import dataclasses

import torch

from models.pack.step import LONGEST, StepGraph, graph_length
from models.pack.trainer import PackTrainer
from models.spec import LossSpec, ModelSpec, TrainingSpec

SPEC = ModelSpec(hidden=6, pool="flatten")
TRAINING = TrainingSpec(epochs=2, batch_pairs=4)


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
