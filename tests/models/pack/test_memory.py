"""The memory of packed runs."""

from __future__ import annotations

import torch

from models.multiview import Layout, ModelShape
from models.pack.memory import bytes_per_run, largest_pack
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.spec import ModelSpec, TrainingSpec
from tests.models.conftest import make_clips

PAPER = ModelShape(subspaces=2, features=768, hidden=768, latent=384)


def test_the_papers_model_takes_its_known_bytes():
    parameters = 2_952_960
    assert Layout(PAPER, 1, 1).size == parameters
    per_row = 2 * 1536 + 2 * 768 + 8 * 768 + 768
    assert bytes_per_run(PAPER, 256) == 4 * (5 * parameters + 256 * per_row)


def test_as_many_runs_as_fit_and_never_none():
    one = bytes_per_run(PAPER, 256)
    assert largest_pack(PAPER, 256, 100 * one) == 80
    assert largest_pack(PAPER, 256, one // 2) == 1


def test_the_buffers_of_a_pack_take_no_more_than_is_foretold():
    clips = make_clips(16, 0, tokens=4, features=64)
    few, many = (bytes_of(trainer(clips, runs)) for runs in (2, 12))
    foretold = bytes_per_run(ModelShape(2, 64, 64, 32), rows=4 * 8)
    assert 0.7 * foretold < (many - few) / 10 <= foretold


def trainer(clips, runs):
    """On the device without numbers, where there are no chunks, as on a GPU."""
    cells = [PackRun(key=str(number), lam=1.0) for number in range(runs)]
    model, training = ModelSpec(pool="flatten"), TrainingSpec(batch_pairs=4)
    return PackTrainer(cells, clips, clips, model, training, device="meta")


def bytes_of(root) -> int:
    """Bytes of all tensors that an object of models/ reaches, each storage once."""
    storages, seen, waiting = {}, set(), [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            storages[storage._cdata] = storage.nbytes()
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item
        elif type(item).__module__.startswith("models."):
            waiting += vars(item).values()
    return sum(storages.values())
