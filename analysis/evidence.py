"""What the paper's claims are judged on: the finished part of a sweep, averaged over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analysis.configurations import OBJECTIVES, configurations, multiview
from analysis.figures import figure4
from analysis.selection import choose

_COVERED = 2 / 3  # of an objective's planned configurations must be finished to judge it
_FEWEST = 3


@dataclass(frozen=True)
class Evidence:
    """Means over seeds, and how much of the plan they cover. What is not there is NaN."""

    table: pd.DataFrame  # of `configurations`
    bars: pd.DataFrame  # of Figure 4, principles averaged; empty where it cannot be drawn
    planned: pd.Series[int]  # configurations with λ < 1, by objective

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Evidence:
        """Takes the rows of the `results` view."""
        cells = multiview(frame).drop_duplicates(["principle", "objective", "lam"])
        return cls(configurations(frame), _bars(frame), cells["objective"].value_counts())

    @property
    def chosen(self) -> str:
        """Name of the configuration chosen for Table 1; empty when too few are there to choose."""
        choice = None if self.every(*OBJECTIVES).empty else choose(self.table)
        return choice.name if choice else ""

    @property
    def seeds(self) -> int:
        return int(self.table["seeds"].max())

    def one(self, name: str, measure: str) -> float:
        """A measure of the configuration or baseline of that name."""
        return float(self.table.loc[self.table["name"] == name, measure].mean())

    def every(self, *objectives: str) -> pd.DataFrame:
        """Configurations with these objectives; no row when too few of the planned are there."""
        rows = multiview(self.table)
        rows = rows[rows["objective"].isin(objectives)]
        planned = self.planned.reindex(objectives).sum()
        return rows if len(rows) >= max(_FEWEST, _COVERED * planned) else rows.iloc[:0]

    def share_with_both_margins(self, objective: str) -> float:
        """Share of an objective's configurations whose margins are both positive."""
        rows = self.every(objective)
        positive = rows[["delta_pitch", "delta_instrument"]].min(axis=1) > 0
        return float(positive.mean()) if len(rows) else math.nan

    def effect(self, objective: str, panel: str) -> float:
        """Mean of Figure 4's bars of an objective in a panel."""
        if self.every(objective).empty:
            return math.nan
        rows = self.bars[(self.bars["objective"] == objective) & (self.bars["panel"] == panel)]
        return float(rows["delta"].mean())


def _bars(frame: pd.DataFrame) -> pd.DataFrame:
    try:
        drawn = figure4.data(frame)
    except ValueError:
        return pd.DataFrame({"objective": [], "panel": [], "delta": pd.Series(dtype=float)})
    return drawn[drawn["principle"] == figure4.MEAN]
