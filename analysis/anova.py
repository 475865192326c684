"""Balanced analysis of variance of principle × objective × λ, with the seeds as blocks."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from analysis.trainings import Array

FACTORS = ("principle", "objective", "λ")
EFFECTS = tuple(names for size in (1, 2, 3) for names in combinations(FACTORS, size))
_WITH_LAMBDA = "interactions with λ"
SOURCES = ("principle", "objective", "λ", "principle × objective", _WITH_LAMBDA, "seed",
           "seed × configuration")  # fmt: skip


def effect_name(effect: tuple[str, ...]) -> str:
    return " × ".join(effect)


def sums_of_squares(values: Array) -> dict[tuple[str, ...], Array]:
    """Of each effect in [..., principle, objective, λ]; they add up to that about the mean."""
    return {effect: _sum_of_squares(values, effect) for effect in EFFECTS}


def _sum_of_squares(values: Array, effect: tuple[str, ...]) -> Array:
    """Centred along the effect's factors, averaged along the others: what only they explain."""
    weight = 1
    for axis, factor in enumerate(FACTORS, start=-len(FACTORS)):
        mean = values.mean(axis=axis, keepdims=True)
        weight *= 1 if factor in effect else values.shape[axis]
        values = values - mean if factor in effect else mean
    return np.asarray(weight * (values**2).sum(axis=(-3, -2, -1)))


def shares(values: Array) -> dict[tuple[str, ...], Array]:
    """η² of each effect: its part of the sum of squares; NaN where nothing varies."""
    squares = sums_of_squares(values)
    total = np.asarray(sum(squares.values()))
    safe = np.where(total > 0, total, np.nan)
    return {effect: square / safe for effect, square in squares.items()}


def anova(values: Array) -> pd.DataFrame:
    """One row an effect of [seed, principle, objective, λ]: df, ss, F against seed × effect, p.

    A repeated-measures ANOVA: every seed trains every configuration, and an effect is judged by
    how much it differs between seeds. `eta2`: of the variance between configurations. ValueError
    with one seed, and where a configuration has no training.
    """
    n = _checked(values)
    between = sums_of_squares(values.mean(axis=0))
    total = float(sum(between.values()))
    rows = []
    for effect, size in zip(EFFECTS, _degrees(values), strict=True):
        ss = n * float(between[effect])
        error = float(_sum_of_squares(values - values.mean(axis=0), effect).sum())
        f = (ss / size) / (error / (size * (n - 1))) if error > 0 else np.inf
        p = float(fdtrc(size, size * (n - 1), f)) if error > 0 else 0.0
        eta2 = float(between[effect]) / total if total > 0 else np.nan
        rows.append((effect_name(effect), size, ss, size * (n - 1), error, f, p, eta2))
    columns = ["effect", "df", "ss", "df_error", "ss_error", "F", "p", "eta2"]
    return pd.DataFrame(rows, columns=columns)


def variance_components(values: Array) -> dict[str, float]:
    """Of [seed, principle, objective, λ]: the variance that each of SOURCES adds, in unit².

    By the method of moments: what an effect's error would add by itself is taken off, and what
    falls below zero is zero. All interactions with λ are one source; `seed × configuration` is
    what a single training varies by, beside its seed's level.
    """
    table = anova(values).set_index("effect")
    free = (table["ss"] - table["df"] * table["ss_error"] / table["df_error"]) / values.size
    alone = {name: float(free[name]) for name in SOURCES[:4]}
    with_lambda = float(sum(free[effect_name(e)] for e in EFFECTS if "λ" in e and len(e) > 1))
    residual = float(table["ss_error"].sum() / table["df_error"].sum())
    of_seeds = float(values.mean(axis=(1, 2, 3)).var(ddof=1)) - residual / values[0].size
    found = [*alone.values(), with_lambda, of_seeds, residual]
    return {name: max(0.0, value) for name, value in zip(SOURCES, found, strict=True)}


def _degrees(values: Array) -> list[int]:
    levels = dict(zip(FACTORS, values.shape[-3:], strict=True))
    return [int(np.prod([levels[factor] - 1 for factor in effect])) for effect in EFFECTS]


def _checked(values: Array) -> int:
    """How many seeds there are."""
    if min(values.shape[1:]) < 2:
        raise ValueError("an analysis of variance needs two levels or more of every factor")
    if values.ndim != 4 or len(values) < 2:
        raise ValueError(
            "an analysis of variance needs every configuration with two seeds or more, "
            "see `sweeper launch --seeds`"
        )
    if np.isnan(values).any():
        raise ValueError("an analysis of variance needs every configuration with every seed")
    return len(values)
