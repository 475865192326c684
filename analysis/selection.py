"""Which configuration stands in Table 1: selected on validation accuracy, never on test."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.configurations import multiview, reconstruction_only
from analysis.results import MARGINS

TOLERANCE = 0.01  # of mean overall accuracy, that a selected configuration may lose
PAPER_SELECTION = "Cosine SEP λ=0.6"

_LARGEST = "largest min(Δ pitch, Δ instrument) on validation among 0 < λ < 1"
RULE = f"{_LARGEST} with mean overall validation accuracy ≥ reconstruction-only − {TOLERANCE:g}"
FALLBACK = (
    f"{_LARGEST}; none is known to keep the accuracy of reconstruction-only within {TOLERANCE:g}"
)


@dataclass(frozen=True)
class Selection:
    """The selected configuration, and by which rule: RULE or FALLBACK."""

    name: str
    rule: str


def select(table: pd.DataFrame) -> Selection | None:
    """Applies RULE to the means over seeds of `configurations`, FALLBACK when none qualifies.

    A configuration that lacks seeds which others have (one diverged, say) is no candidate.
    None when no configuration with 0 < λ < 1 is finished.
    """
    candidates = _candidates(table)
    if candidates.empty:
        return None
    reference = reconstruction_only(table)["valid_mean_overall"]
    bound = float(reference.iloc[0]) - TOLERANCE if len(reference) else float("inf")
    qualified = candidates[candidates["valid_mean_overall"] >= bound]
    pool = candidates if qualified.empty else qualified
    best = pool.sort_values(["worse_margin", "valid_mean_overall"], kind="stable").iloc[-1]
    return Selection(str(best["name"]), FALLBACK if qualified.empty else RULE)


def _candidates(table: pd.DataFrame) -> pd.DataFrame:
    both_losses = multiview(table).query("lam > 0")
    worse = both_losses[[f"valid_{margin}" for margin in MARGINS]].min(axis=1, skipna=False)
    complete = both_losses.assign(worse_margin=worse).dropna(subset=["worse_margin"])
    everywhere: pd.DataFrame = complete[complete["seeds"] == complete["seeds"].max()]
    return everywhere
