"""Blocks: mirrored order, seconds a run-step of both halves together; intervals: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.bench import timing
from sweeper.bench.methods import train
from sweeper.bench.timing import Interval, TimedMethod, interval, ratios, time_interleaved


class FakeWorkers:
    """Two workers whose training takes as long as the clock says."""

    def __init__(self, clock, seconds_a_round, played):
        self.clock, self.seconds, self.played = clock, seconds_a_round, played

    def each(self, order, method, rounds, threads):
        assert order is train
        self.played.append(method)
        self.clock.now += rounds * self.seconds[threads]
        return [rounds * 5, rounds * 5]


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_every_block_is_a_mirror_of_itself_and_windows_last_as_asked(clock):
    played = []
    methods = [
        TimedMethod(name, FakeWorkers(clock, {1: seconds}, played), name)
        for name, seconds in (("slow", 0.5), ("fast", 0.1), ("faster", 0.05))
    ]
    time_interleaved(methods, blocks=3, seconds=1.0)
    assert [method.rounds for method in methods] == [2, 10, 20]
    blocks = played[-18:]
    for start in (0, 6, 12):
        block = blocks[start : start + 6]
        assert block == block[::-1]
        assert set(block) == {"slow", "fast", "faster"}
    assert [method.seconds for method in methods] == [
        pytest.approx([seconds / 10] * 3) for seconds in (0.5, 0.1, 0.05)
    ]


def test_the_better_number_of_threads_is_taken(clock):
    workers = FakeWorkers(clock, {1: 0.2, 2: 0.3}, [])
    method = TimedMethod("b1", workers, "b1", threads=(1, 2))
    method.calibrate(seconds=1.0)
    assert (method.best_threads, method.rounds) == (1, 5)


def test_equal_blocks_have_an_interval_without_width():
    assert interval([2.5] * 6) == Interval(2.5, 2.5, 2.5)


def test_the_interval_of_two_blocks_is_the_blocks_themselves():
    # A resample of two is both at one value in half of all draws, a quarter at each end.
    assert interval([1.0, 3.0]) == Interval(2.0, 1.0, 3.0)


def test_one_wild_block_moves_neither_the_median_nor_the_lower_bound():
    wild = interval([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 50.0])
    assert (wild.median, wild.low) == (2.0, 2.0)


def test_the_interval_covers_the_true_median_in_about_95_of_100_repeats():
    generator = np.random.default_rng(0)
    intervals = [interval(generator.normal(5.0, 1.0, size=25)) for _ in range(200)]
    covered = np.mean([each.low <= 5.0 <= each.high for each in intervals])
    assert 0.89 <= covered <= 0.99


@pytest.mark.parametrize("blocks", [2, 5, 7])
def test_the_interval_is_that_of_10_000_resamples_to_the_last_digit(blocks):
    values = np.random.default_rng(blocks).lognormal(size=blocks)
    drawn = np.random.default_rng(0).choice(values, size=(10_000, blocks))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    assert interval(values) == Interval(np.median(values), low, high)


def test_the_interval_is_the_same_every_time():
    values = [1.0, 1.2, 0.9, 1.4, 1.1]
    assert interval(values) == interval(values)


def test_fewer_than_two_blocks_are_an_error():
    with pytest.raises(ValueError, match="two or more"):
        interval([])
    with pytest.raises(ValueError, match="two or more"):
        interval([1.0])


def test_ratios_are_taken_within_a_block():
    assert ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
