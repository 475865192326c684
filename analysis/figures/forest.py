"""All claims in one picture: how far each lies on the side of its bound where it is true."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.claims import ACCURACY, Claim, check_factors
from analysis.factors import PAPER, Factors
from analysis.figures import style
from analysis.intervals import Interval
from analysis.trainings import Trainings
from analysis.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict, verdicts

_CAPTION = (
    "The paper's claims. Each bar is the 95 % interval of a claim's statistic, as its distance "
    "from the claim's bound: wholly to the right of the line supports it, wholly to the left "
    "contradicts it. Of a compound claim the part that decides is drawn, the others thin. Filled: "
    "the verdict also stands beside all the others (Holm)."
)
# Apart in lightness too; the marks tell them apart without colour.
COLOURS = {SUPPORTED: "#1b7837", CONTRADICTED: "#d6604d", UNDECIDED: "#8c8c8c"}
MARKS = {SUPPORTED: "o", CONTRADICTED: "X", UNDECIDED: "D"}
_PANELS = ("points of accuracy", "shares, ρ and η² × 100")
_LIMITS = (25.0, 100.0)
_ROW = 0.148  # inches
_OTHERS = 4  # parts beside the one that decides; more would hide it


def caption(factors: Factors) -> str:
    return _CAPTION


def data(trainings: Trainings) -> pd.DataFrame:
    """One row a claim's part: estimate, low, high, and their distance inside the region × 100."""
    check_factors(trainings.factors)
    rows = [
        _row(found, name, part)
        for found in verdicts(trainings)
        for name, part in (found.parts or {"": Interval(math.nan, 0, math.nan, 0.0)}).items()
    ]
    columns = ["key", "section", "claim", "verdict", "holm", "needs", "unit", "part", "estimate",
               "low", "high", "distance", "distance_low", "distance_high"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    if table["estimate"].isna().all():
        raise ValueError("The claims have no finished run to rest on; go on with `sweeper resume`")
    return table


def _row(found: Verdict, name: str, part: Interval) -> tuple[object, ...]:
    claim = found.claim
    return (
        claim.key, claim.section, claim.claim, found.verdict, found.holm, found.needs, claim.unit,
        name, part.mean, part.low, part.high, *(100 * d for d in signed(claim, part)),
    )  # fmt: skip


def signed(claim: Claim, part: Interval) -> tuple[float, float, float]:
    """Distances inside the region of the estimate and of its interval's two ends, worse first."""
    bounds = [
        [value - claim.low for value in (part.mean, part.low, part.high)],
        [claim.high - value for value in (part.mean, part.high, part.low)],
    ]
    estimate, low, high = (min(pair) for pair in zip(*bounds, strict=True))
    if part.low < (claim.low + claim.high) / 2 < part.high:  # inside on both sides at best
        high = (claim.high - claim.low) / 2
    return estimate, low, high


def note(table: pd.DataFrame) -> str:
    """What shade and fill say, and how many claims nothing could be said of."""
    absent = table.loc[table["estimate"].isna(), "key"].nunique()
    lacking = f" {absent} claims lack what they rest on (findings.md)." if absent else ""
    return f"Grey: where a claim is true. Filled: beside all the other claims too.{lacking}"


def draw(table: pd.DataFrame, foot: str, factors: Factors = PAPER) -> Figure:
    """Two columns wide: claims about accuracies left, about shares and the like right."""
    claims = table.drop_duplicates("key")
    with style.paper():
        height = _ROW * (len(claims) + 2) + 0.75
        figure = style.canvas(style.DOUBLE, height, foot)
        panels = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
        for axes, name, limit in zip(panels, _PANELS, _LIMITS, strict=True):
            here = (table["unit"] == ACCURACY) == (name == _PANELS[0])
            _panel(axes, table[here], list(claims["key"]), limit)
            axes.set_xlabel(f"{name}\ninside the claim's bound")
        panels[0].set_yticks(range(len(claims)), [_label(row) for _, row in claims.iterrows()])
        panels[0].set_ylim(len(claims) - 0.4, -0.6)
        style.legend_row(figure, _keys(claims))
    return figure


def _label(row: pd.Series) -> str:
    """`The paper's choice beats CL-Pitch on pitch   4.1`, symbols as the paper sets them."""
    symbols = re.sub(r"([zL])_([a-z]+)", r"$\1_{\2}$", row["claim"])
    return f"{symbols}   {row['section']}"


def _panel(axes: Axes, table: pd.DataFrame, keys: list[str], limit: float) -> None:
    for key, parts in table.groupby("key", sort=False):
        if not parts["distance"].isna().all():
            _claim(axes, parts.sort_values("distance", kind="stable"), keys.index(str(key)), limit)
    axes.axvspan(0, limit, color="0.94", linewidth=0, zorder=0)
    axes.axvline(0, color="0.2", linewidth=0.8, zorder=1)
    axes.set_xlim(-limit, limit)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _claim(axes: Axes, parts: pd.DataFrame, row: int, limit: float) -> None:
    """The worst part at full strength, up to `_OTHERS` of the rest thin below it."""
    verdict = parts["verdict"].iloc[0]
    colour = COLOURS[verdict]
    ends = parts[["distance_low", "distance_high"]].clip(-limit, limit).to_numpy()
    for i, (low, high) in enumerate(ends[1 : _OTHERS + 1]):
        place = row + 0.2 + 0.06 * i
        axes.plot([low, high], [place, place], color=colour, linewidth=0.6, alpha=0.7, zorder=2)
        _beyond(axes, parts.iloc[i + 1], place, colour, limit)
    axes.plot(ends[0], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    _beyond(axes, parts.iloc[0], row, colour, limit)
    place = float(np.clip(parts["distance"].iloc[0], -limit, limit))
    fill = colour if parts["holm"].iloc[0] else "white"
    axes.scatter(place, row, 16, fill, marker=MARKS[verdict], edgecolors=colour, linewidths=0.8,
                 zorder=4, clip_on=False)  # fmt: skip


def _beyond(axes: Axes, part: pd.Series, place: float, colour: str, limit: float) -> None:
    """Arrow heads where an interval goes on beyond the frame."""
    for goes_on, edge, mark in (
        (part["distance_low"] < -limit, -limit, "<"),
        (part["distance_high"] > limit, limit, ">"),
    ):
        if goes_on:
            axes.scatter(edge, place, 7, colour, marker=mark, linewidths=0, clip_on=False)


def _keys(claims: pd.DataFrame) -> list[Line2D]:
    counts = claims["verdict"].value_counts()
    return [
        style.key(f"{name} ({counts.get(name, 0)})", mark, COLOURS[name], 26)
        for name, mark in MARKS.items()
    ]
