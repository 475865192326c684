"""A ratio and how sure of it one can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """The median of some blocks' values and its bootstrap interval."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Median and 95 % percentile bootstrap interval. ValueError without values."""
    sample = np.asarray(values, dtype=float)
    if not len(sample):
        raise ValueError("no block was measured; an interval needs at least one")
    draws = np.random.default_rng(seed).choice(sample, size=(DRAWS, len(sample)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(draws, axis=1), [tail, 1 - tail])
    return Interval(float(np.median(sample)), float(low), float(high))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Within each block, how many times as long `slow` takes as `fast`."""
    return [own / other for own, other in zip(slow, fast, strict=True)]
