"""Blocks: mirrored order, and seconds a run-step of both halves together."""

from __future__ import annotations

import pytest

from sweeper.bench import contest
from sweeper.bench.contest import Contender, play


class FakeCrew:
    """Two workers whose training takes as long as the clock says."""

    def __init__(self, clock, seconds_a_round, played):
        self.clock, self.seconds, self.played = clock, seconds_a_round, played

    def each(self, order, arm, rounds, threads):
        assert order == "train"
        self.played.append(arm)
        self.clock.now += rounds * self.seconds[threads]
        return [rounds * 5, rounds * 5]


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(contest, "time", clock)
    return clock


def test_every_block_is_a_mirror_of_itself_and_windows_last_as_asked(clock):
    played = []
    arms = [
        Contender(name, FakeCrew(clock, {1: seconds}, played), name)
        for name, seconds in (("slow", 0.5), ("fast", 0.1), ("faster", 0.05))
    ]
    play(arms, blocks=3, seconds=1.0)
    assert [arm.rounds for arm in arms] == [2, 10, 20]
    blocks = played[-18:]
    for start in (0, 6, 12):
        block = blocks[start : start + 6]
        assert block == block[::-1]
        assert set(block) == {"slow", "fast", "faster"}
    assert [arm.seconds for arm in arms] == [
        pytest.approx([seconds / 10] * 3) for seconds in (0.5, 0.1, 0.05)
    ]


def test_the_better_number_of_threads_is_taken(clock):
    crew = FakeCrew(clock, {1: 0.2, 2: 0.3}, [])
    contender = Contender("b1", crew, "b1", threads=(1, 2))
    contender.calibrate(seconds=1.0)
    assert (contender.best_threads, contender.rounds) == (1, 5)
