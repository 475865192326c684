"""Which points an axis shows in their place, and which it holds at its edge."""

from __future__ import annotations

import math

import pandas as pd

_FENCE = 3.0  # interquartile ranges beyond the quartiles: Tukey's "far out"
_FEWEST = 8  # points, before any can be called far out
_EDGE = 0.08  # of the span of the others, that a held point stands beyond them
_NAMED = 3


def is_wide(values: pd.Series) -> bool:
    """Whether positive values spread over more than a factor of three: worth a log scale."""
    return len(values) > 0 and bool(values.max() > 3 * values.min())


def hold(table: pd.DataFrame, column: str, log: bool = False) -> pd.DataFrame:
    """Moves values that are far out to just beyond the others, so that these can be told apart.

    Adds `{column}_beyond` (−1, 0 or 1). A point that is held loses its interval.
    """
    values: pd.Series[float] = table[column].map(math.log10) if log else table[column]
    low, high = _limits(values)
    held = values.clip(low, high)
    beyond = (values > high).astype(int) - (values < low).astype(int)
    moved = {
        column: table[column].where(beyond == 0, 10**held if log else held),
        f"{column}_sd": table[f"{column}_sd"].where(beyond == 0),
        f"{column}_beyond": beyond,
    }
    return table.assign(**moved)


def clip(values: pd.Series[float]) -> pd.Series[float]:
    """The values, those far out moved to just beyond the others."""
    return values.clip(*_limits(values))


def note(table: pd.DataFrame) -> str:
    """Names the configurations of a table that `hold` moved; empty when it moved none."""
    far = table[table.filter(regex="_beyond$").ne(0).any(axis=1)]
    names = list(far["name"].unique())
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Off the scale (arrows): {', '.join(names[:_NAMED])}{more}. " if names else ""


def _limits(values: pd.Series) -> tuple[float, float]:
    known = values.dropna()
    low, high = known.quantile(0.25), known.quantile(0.75)
    reach = _FENCE * (high - low)
    near = known[known.between(low - reach, high + reach)]
    if len(known) < _FEWEST or len(near) == len(known):
        return -math.inf, math.inf
    edge = _EDGE * (near.max() - near.min())
    return float(near.min() - edge), float(near.max() + edge)
