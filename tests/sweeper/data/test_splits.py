from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.data.clips import FAMILIES, PITCHES
from sweeper.data.splits import divide, rank_in_group, stratified_order

STRATA = len(FAMILIES) * PITCHES


def order(strata: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    return stratified_order(strata, allowed, np.random.default_rng(7))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 4 * STRATA))
def test_every_beginning_is_balanced_by_family_and_pitch(count: int) -> None:
    strata = np.repeat(np.arange(STRATA), 4)
    drawn = strata[order(strata, np.ones(len(strata), bool))[:count]]
    families = np.bincount(drawn // PITCHES, minlength=len(FAMILIES))
    pitches = np.bincount(drawn % PITCHES, minlength=PITCHES)
    cells = np.bincount(drawn, minlength=STRATA)
    assert np.ptp(families) <= 1
    assert np.ptp(pitches) <= 2
    assert np.ptp(cells) <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 400))
def test_dropping_silent_clips_displaces_no_audible_one(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    strata = rng.integers(0, STRATA, 800)
    audible = rng.random(800) < 0.9
    before = order(strata, np.ones(800, bool))[:count]
    after = order(strata, audible)[:count]
    assert set(before[audible[before]]) <= set(after)
    assert audible[after].all()


def test_a_stratum_that_has_run_out_is_passed_over() -> None:
    strata = np.array([0, 0, 0, 0, 1])
    drawn = order(strata, np.ones(5, bool))
    assert sorted(drawn.tolist()) == [0, 1, 2, 3, 4]
    assert 4 in drawn[:2]


def test_the_order_depends_on_nothing_but_the_generator() -> None:
    strata = np.random.default_rng(0).integers(0, STRATA, 300)
    allowed = np.ones(300, bool)
    np.testing.assert_array_equal(order(strata, allowed), order(strata, allowed))


@given(st.lists(st.integers(0, 5)))
def test_rank_in_group_counts_the_earlier_members(groups: list[int]) -> None:
    expected = [groups[:at].count(group) for at, group in enumerate(groups)]
    assert rank_in_group(np.array(groups, np.int64)).tolist() == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_division_shares_out_every_label_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pitch, family = rng.integers(0, 88, 2_048), rng.integers(0, 10, 2_048)
    parts = divide((pitch, family), (0.7, 0.15, 0.15), rng)
    assert np.bincount(parts).tolist() == [1434, 307, 307]
    for label in (pitch, family):
        for value in np.unique(label):
            shared = np.bincount(parts[label == value], minlength=3)
            wanted = np.sum(label == value) * np.array((0.7, 0.15, 0.15))
            assert np.abs(shared - wanted).max() < 3  # clips


def test_a_division_of_few_items_still_adds_up() -> None:
    label = np.zeros(7, np.int64)
    parts = divide((label,), (0.7, 0.15, 0.15), np.random.default_rng(0))
    assert np.bincount(parts).tolist() == [5, 1, 1]
