"""Which points an axis shows in their place, and which it shows at its edge."""

from __future__ import annotations

import math

import pandas as pd

_FENCE = 3.0  # interquartile ranges beyond the quartiles: Tukey's "far out"
_FEWEST = 8  # points, before any can be called far out
_EDGE = 0.08  # of the span of the others, that a clipped point stands beyond them
_NAMED = 3


def is_wide(values: pd.Series) -> bool:
    """Whether positive values spread over more than a factor of three: worth a log scale."""
    return len(values) > 0 and bool(values.max() > 3 * values.min())


def clip_outliers(table: pd.DataFrame, column: str, log: bool = False) -> pd.DataFrame:
    """Moves values that are far out to just beyond the others, so that these can be told apart.

    Adds `{column}_clipped` (−1, 0 or 1). A point that is clipped loses its interval, and stands
    beyond those of the others too: within them it would look like one of its place.
    """
    values: pd.Series[float] = table[column].map(math.log10) if log else table[column]
    low, high = _limits(values)
    direction = (values > high).astype(int) - (values < low).astype(int)
    ends = [table.loc[direction == 0, f"{column}{end}"] for end in ("_low", "_high")]
    near: pd.Series[float] = pd.concat(ends, ignore_index=True)
    drawn = near[near > 0].map(math.log10) if log else near
    edge = _EDGE * (drawn.max() - drawn.min())  # NaN without intervals: the limits stay
    clipped = values.clip(min(low, drawn.min() - edge), max(high, drawn.max() + edge))
    columns = {
        column: table[column].where(direction == 0, 10**clipped if log else clipped),
        **{end: table[end].where(direction == 0) for end in (f"{column}_low", f"{column}_high")},
        f"{column}_clipped": direction,
    }
    return table.assign(**columns)


def clip(values: pd.Series[float]) -> pd.Series[float]:
    """The values, those far out moved to just beyond the others."""
    return values.clip(*_limits(values))


def note(table: pd.DataFrame) -> str:
    """Names the configurations that `clip_outliers` moved; empty when it moved none."""
    far = table[table.filter(regex="_clipped$").ne(0).any(axis=1)]
    names = list(far["name"].unique())
    told = names if len(names) == _NAMED + 1 else names[:_NAMED]  # a name is as short as "1 more"
    more = f" and {len(names) - _NAMED} more" if len(names) > len(told) else ""
    return f"Off the scale (arrows): {', '.join(told)}{more}." if names else ""


def _limits(values: pd.Series) -> tuple[float, float]:
    values = values.dropna()
    low, high = values.quantile(0.25), values.quantile(0.75)
    reach = _FENCE * (high - low)
    near = values[values.between(low - reach, high + reach)]
    if len(values) < _FEWEST or len(near) == len(values):
        return -math.inf, math.inf
    edge = _EDGE * (near.max() - near.min())
    return float(near.min() - edge), float(near.max() + edge)
