"""Native probes against the reference's single heads, float64, and themselves in other company."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.native import probes
from models.native.build import built
from models.native.probes import probe
from models.probes import Draws, Probed, _Heads, _standardised, train_probes
from models.spec import ProbeSpec
from tests.models.test_probes import noisy_features, plain_probes, split_of, tasks_of

pytestmark = pytest.mark.skipif(built().library is None, reason=f"no C: {built().how}")

SPEC = ProbeSpec(epochs=6, batch=16, lr=3e-2)
RATES = (0.5, 0.0)
COUNT = 131  # no whole number of batches


def assert_same(one: Probed, other: Probed) -> None:
    """Bit for bit."""
    assert one.accuracies == other.accuracies
    np.testing.assert_array_equal(one.importance, other.importance)
    for name, classes in one.classes.items():
        np.testing.assert_array_equal(classes, other.classes[name])


@pytest.mark.parametrize(("blocks", "width", "batch"), [(1, 6, 16), (2, 6, 16), (2, 37, 40)])
def test_each_head_is_the_references_at_each_rate_of_dropout(blocks, width, batch):
    tasks, split = tasks_of(COUNT), split_of(COUNT)
    spec = dataclasses.replace(SPEC, batch=batch, weight_decay=0.1)
    features = [noisy_features(tasks, seed, blocks, width) for seed in range(2)]
    for rate, packed in zip(RATES, probe(features, tasks, split, spec, RATES, 4), strict=True):
        of_rate = dataclasses.replace(spec, dropout=rate)
        for x, probed in zip(features, packed, strict=True):
            wanted = plain_probes(x, tasks, split, of_rate, seed=4)
            assert probed.accuracies == pytest.approx(wanted, abs=1e-6)
            assert 0.3 < probed.accuracies["pitch_overall"] <= 1


@pytest.mark.parametrize("rate", RATES)
def test_weights_are_as_near_to_float64_as_torchs(rate):
    tasks, split = tasks_of(COUNT), split_of(COUNT)
    spec = dataclasses.replace(SPEC, dropout=rate, epochs=20, lr=3e-3)
    apart = []
    for seed in range(4):
        x = noisy_features(tasks, seed, width=40)
        exact = _Heads(
            _standardised(x[None].double(), split.train), tasks, split, spec, Draws(seed)
        )
        for _ in range(spec.epochs):
            exact.train_epoch()
            exact.choose()
        wanted = exact.probed()[0].importance
        ((native,),) = probe([x], tasks, split, spec, [rate], seed)
        (by_torch,) = train_probes([x], tasks, split, spec, seed)
        apart.append([np.abs(one.importance - wanted).max() for one in (native, by_torch)])
    native, by_torch = np.median(apart, 0)
    assert native <= 2 * by_torch < 1e-4, apart


def test_a_run_alone_equals_itself_in_any_pack_and_order_on_one_thread_or_two(monkeypatch):
    tasks, split = tasks_of(COUNT), split_of(COUNT)
    features = [noisy_features(tasks, seed) for seed in range(4)]
    together = probe(features, tasks, split, SPEC, RATES, 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(probes, "DRAWN", 1)  # bits of one batch at a time
    in_threads = probe(features[::-1], tasks, split, SPEC, RATES, 1)
    for place, x in enumerate(features):
        alone = probe([x], tasks, split, SPEC, RATES[::-1], 1)
        for rate in range(2):
            assert_same(together[rate][place], alone[1 - rate][0])
            assert_same(together[rate][place], in_threads[rate][-1 - place])


def test_units_that_are_dead_or_not_finite_are_as_in_torch():
    tasks, split = tasks_of(COUNT), split_of(COUNT)
    dead = torch.cat((noisy_features(tasks, 0), torch.full((2, COUNT, 2), 7.0)), dim=-1)
    lost = dead.clone()
    lost[0, split.train[3], 2] = torch.nan
    for x in (dead, lost, torch.zeros_like(dead)):
        ((native,),) = probe([x], tasks, split, SPEC, [0.5], 0)
        (by_torch,) = train_probes([x], tasks, split, SPEC, 0)
        assert native.accuracies == pytest.approx(by_torch.accuracies, abs=1e-6)


@pytest.mark.parametrize("place", ["0", None])
def test_without_a_library_torch_probes_and_progress_is_the_same(place, monkeypatch):
    tasks, split = tasks_of(60), split_of(60)
    features, told = [noisy_features(tasks, seed) for seed in range(5)], []
    if place:
        monkeypatch.setenv("SWEEPER_NATIVE", place)
    probed, plain = probe(features, tasks, split, SPEC, RATES, 1, told.append)
    assert sum(told) == pytest.approx(len(features))
    if place:
        for one, other in zip(probed, train_probes(features, tasks, split, SPEC, 1), strict=True):
            assert_same(one, other)
    assert probed[0].accuracies.keys() == plain[0].accuracies.keys()
