"""Properties of pairs of views."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pairs import LabelledLatents, batches, training_pairs, validation_pairs
from models.spec import RunSpec

FACTORS = ("instrument", "pitch", "velocity")
RUNS = {
    **{f"cl-{factor}": RunSpec(f"cl-{factor}") for factor in FACTORS},
    "multiview": RunSpec(lam=1.0),
    "mirror": RunSpec(lam=1.0, share="pitch", differ="instrument"),
    "third": RunSpec(lam=1.0, share="velocity", differ="pitch"),
}


def sampler_of(kind, family, pitch):
    """Of clips that every family plays with a velocity of its own."""
    clips = LabelledLatents(None, family, pitch, {"velocity": family})
    return clips.sampler(RUNS[kind].pairing)


@st.composite
def clips(draw):
    size = draw(st.integers(4, 60))
    families, pitches = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    family, pitch = generator.integers(0, families, size), generator.integers(0, pitches, size)
    # The first four clips have partners of every kind.
    family[:4], pitch[:4] = [0, 0, 1, 1], [0, 1, 0, 1]
    return family, pitch


def has_partner(shared, different):
    return [
        any(shared[i] == shared[j] and different[i] != different[j] for j in range(len(shared)))
        for i in range(len(shared))
    ]


@given(clips(), st.sampled_from(sorted(RUNS)), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_views_share_one_label_and_differ_in_the_other(labels, kind, seed, epoch):
    sampler = sampler_of(kind, *labels)
    pairs = training_pairs(sampler, seed, epoch)
    of_factor = dict(zip(FACTORS, (*labels, labels[0]), strict=True))
    shared, different = (of_factor[name] for name in RUNS[kind].pairing)
    assert (shared[pairs[:, 0]] == shared[pairs[:, 1]]).all()
    assert (different[pairs[:, 0]] != different[pairs[:, 1]]).all()


@given(clips(), st.sampled_from(sorted(RUNS)), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_each_clip_with_a_partner_is_view_1_and_an_epoch_has_as_many_pairs_as_clips(
    labels, kind, seed
):
    sampler = sampler_of(kind, *labels)
    first = training_pairs(sampler, seed, 0)[:, 0]
    of_factor = dict(zip(FACTORS, (*labels, labels[0]), strict=True))
    shared, different = (of_factor[name] for name in RUNS[kind].pairing)
    paired = has_partner(shared, different)
    assert set(first) == set(np.flatnonzero(paired))
    assert set(sampler.alone) == set(np.flatnonzero(np.logical_not(paired)))
    assert len(first) == len(shared)


@given(clips(), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_pairs_are_functions_of_seed_and_epoch_alone(labels, seed, epoch):
    one, other = sampler_of("multiview", *labels), sampler_of("cl-instrument", *labels)
    np.testing.assert_array_equal(
        training_pairs(one, seed, epoch), training_pairs(other, seed, epoch)
    )
    np.testing.assert_array_equal(validation_pairs(one, seed), validation_pairs(other, seed))


def test_epochs_and_seeds_differ_and_validation_meets_no_training_epoch():
    generator = np.random.default_rng(0)
    sampler = sampler_of("multiview", generator.integers(0, 5, 200), generator.integers(0, 20, 200))
    draws = [training_pairs(sampler, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    draws += [validation_pairs(sampler, seed) for seed in (0, 1)]
    assert len({draw.tobytes() for draw in draws}) == len(draws)


def test_partners_are_drawn_uniformly():
    family = np.zeros(5, dtype=int)
    pitch = np.array([60, 60, 60, 61, 62])
    sampler = sampler_of("multiview", family, pitch)
    pairs = np.concatenate([training_pairs(sampler, 0, epoch) for epoch in range(3000)])
    for clip, partners in {0: (3, 4), 3: (0, 1, 2, 4)}.items():
        drawn = np.bincount(pairs[pairs[:, 0] == clip, 1], minlength=5)
        assert set(np.flatnonzero(drawn)) == set(partners)
        np.testing.assert_allclose(drawn[list(partners)], 3000 / len(partners), rtol=0.12)


def test_labels_may_be_names():
    pairs = training_pairs(
        sampler_of("multiview", np.array(["reed", "reed", "brass", "brass"]), np.arange(4)), 0, 0
    )
    assert {tuple(pair) for pair in pairs} == {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_clips_that_can_form_no_pair_at_all_are_an_error_that_names_the_classes():
    with pytest.raises(ValueError, match="within class reed: each class needs clips that differ"):
        sampler_of("multiview", np.array(["reed", "reed"]), np.array([60, 60]))


def test_an_unknown_kind_or_factor_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="choose multiview, or cl- and a factor"):
        RunSpec("encoder")
    clips = LabelledLatents(None, np.arange(2), np.arange(2))
    with pytest.raises(ValueError, match="no factor 'room', only pitch, instrument"):
        clips.sampler(RunSpec("cl-room").pairing)


def test_batches_hold_view_1_before_view_2_and_drop_the_partial_last():
    pairs = np.arange(14).reshape(7, 2)
    np.testing.assert_array_equal(
        batches(pairs, 3), [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]]
    )
    with pytest.raises(ValueError, match="7 pairs do not fill a batch of 8"):
        batches(pairs, 8)


def test_ten_thousand_clips_are_paired_in_milliseconds():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 10_000), generator.integers(21, 109, 10_000)
    sampler = sampler_of("multiview", *labels)
    times = []
    for epoch in range(5):
        start = time.thread_time()
        training_pairs(sampler, 0, epoch)
        times.append(time.thread_time() - start)
    assert min(times) < 0.01
