"""Methods against each other: interleaved in mirrored blocks, compared within a block only.

A block times every method once in random order and once more in the reverse order (ABBA): whatever
drifts steadily, such as a clock that falls with heat, weighs on all methods alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import bootstrap

from sweeper.bench.methods import train
from sweeper.bench.workers import Workers


@dataclass
class TimedMethod:
    """A method on its workers."""

    name: str
    workers: Workers
    method: str
    threads: Sequence[int] = (1,)  # the best of these is taken
    best_threads: int = 1
    rounds: int = 1  # of a window
    seconds: list[float] = field(default_factory=list)  # per run-step, by block

    def window(self) -> tuple[float, int]:
        """Trains one window: seconds, and the run-steps that all workers did in it."""
        started = time.perf_counter()
        run_steps = sum(self.workers.each(train, self.method, self.rounds, self.best_threads))
        return time.perf_counter() - started, run_steps

    def calibrate(self, seconds: float) -> None:
        """Warms up, and chooses the threads and the rounds of a window of about `seconds`."""
        paces = {}
        for threads in self.threads:
            self.best_threads = threads
            self.window()
            paces[threads], _ = self.window()
        self.best_threads = min(paces, key=paces.__getitem__)
        self.rounds = max(1, round(seconds / paces[self.best_threads]))


def time_interleaved(
    methods: Sequence[TimedMethod],
    blocks: int,
    seconds: float,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Times the blocks; every method keeps its seconds a run-step of each."""
    for method in methods:
        tell(f"warming up {method.name}")
        method.calibrate(seconds)
    order = np.random.default_rng(0)
    for block in range(blocks):
        tell(f"block {block + 1} of {blocks}")
        there = [methods[i] for i in order.permutation(len(methods))]
        windows = [(method, *method.window()) for method in there + there[::-1]]
        for method in methods:
            taken, run_steps = zip(*(rest for own, *rest in windows if own is method), strict=True)
            method.seconds.append(sum(taken) / sum(run_steps))


@dataclass(frozen=True)
class Interval:
    """The median of some blocks' values and its 95 % bootstrap interval."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """By percentiles of 10,000 resamples. ValueError with fewer than two values."""
    drawn = bootstrap((values,), np.median, n_resamples=10_000, method="percentile", rng=0)
    low, high = drawn.confidence_interval
    return Interval(float(np.median(values)), float(low), float(high))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Within each block, how many times as long `slow` takes as `fast`."""
    return [own / other for own, other in zip(slow, fast, strict=True)]
