"""Claims against baselines that have more seeds than the grid: each seed against each baseline's.

A baseline costs a fiftieth of a seed of the grid, so it may well have twice as many. Then nothing
pairs the seeds: of a statistic H_sr of grid seed s and baseline seed r, the row means vary as the
grid does and the column means as the baseline does, and their variances add up (Welch).
"""

from __future__ import annotations

from dataclasses import replace

from analysis.intervals import Interval
from analysis.measured import Measured, Places
from analysis.trainings import Array


def beside_each(m: Measured, others: Measured, baselines: Places) -> list[Measured]:
    """The grid's seeds `m` with the baselines of one seed of `others` beside them, seed by seed."""
    found = []
    for accuracy in others.accuracy[:, :, baselines]:
        values = m.accuracy.copy()
        values[:, :, baselines] = accuracy
        found.append(replace(m, accuracy=values))
    return found


def unpaired_interval(values: Array, floor: float = 0.0) -> Interval:
    """The interval of [grid seed, baseline seed, sample], two or more of each; see `interval`."""
    n, m = values.shape[:2]
    measured, drawn = values[..., 0], values[..., 1:]
    rows, columns = measured.mean(axis=1), measured.mean(axis=0)
    of_rows = max(float(rows.var(ddof=1)), floor**2) / n
    of_columns = float(columns.var(ddof=1)) / m
    both = of_rows + of_columns
    weights = of_rows**2 / (n - 1) + of_columns**2 / (m - 1)
    freedom = both**2 / weights if weights > 0 else float(n - 1)
    common = 0.0
    if drawn.shape[-1] > 1:
        of_mean = float(drawn.mean(axis=(0, 1)).var(ddof=1))
        within = sum(
            max(0.0, float(drawn.mean(axis=axis).var(axis=1, ddof=1).mean()) - of_mean) / (k - 1)
            for axis, k in ((1, n), (0, m))
        )
        common = max(0.0, of_mean - within)
    return Interval(float(measured.mean()), n, both * n, common, freedom)
