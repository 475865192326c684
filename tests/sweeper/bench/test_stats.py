"""Median and interval: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.bench.stats import Interval, interval, ratios


def test_equal_blocks_have_an_interval_without_width():
    assert interval([2.5] * 6) == Interval(2.5, 2.5, 2.5)


def test_the_interval_of_two_blocks_is_the_blocks_themselves():
    # A resample of two is both at one value in half of all draws, a quarter at each end.
    assert interval([1.0, 3.0]) == Interval(2.0, 1.0, 3.0)


def test_one_wild_block_moves_neither_the_median_nor_the_lower_bound():
    found = interval([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 50.0])
    assert (found.median, found.low) == (2.0, 2.0)


def test_the_interval_covers_the_true_median_in_about_95_of_100_repeats():
    generator = np.random.default_rng(0)
    found = [interval(generator.normal(5.0, 1.0, size=25)) for _ in range(200)]
    covered = np.mean([own.low <= 5.0 <= own.high for own in found])
    assert 0.89 <= covered <= 0.99


def test_the_interval_is_the_same_every_time():
    values = [1.0, 1.2, 0.9, 1.4, 1.1]
    assert interval(values) == interval(values)


def test_no_block_is_an_error():
    with pytest.raises(ValueError, match="no block"):
        interval([])


def test_ratios_are_taken_within_a_block():
    assert ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
