"""Which configuration stands in Table 1: selected on validation accuracy, never on test."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import multiview, reconstruction_only
from analysis.factors import PAPER, tasks_of

TOLERANCE = 0.01  # of mean overall accuracy, that a selected configuration may lose
PAPER_SELECTION = "Cosine SEP λ=0.6"


def rule(tasks: Iterable[str], qualified: bool = True) -> str:
    """In words: what is chosen where a configuration keeps the accuracy, and where none does."""
    margins = ", ".join(f"Δ {task}" for task in tasks)
    largest = f"largest min({margins}) on validation among 0 < λ < 1"
    kept = f"with mean overall validation accuracy ≥ reconstruction-only − {TOLERANCE:g}"
    none = f"none is known to keep the accuracy of reconstruction-only within {TOLERANCE:g}"
    return f"{largest} {kept}" if qualified else f"{largest}; {none}"


RULE, FALLBACK = rule(PAPER.tasks), rule(PAPER.tasks, qualified=False)  # of the paper's study


@dataclass(frozen=True)
class Selection:
    """The selected configuration, and by which `rule`."""

    name: str
    rule: str


def select(table: pd.DataFrame) -> Selection | None:
    """Applies the rule to the means over seeds of `configurations`, or that where none qualifies.

    A configuration that lacks seeds which others have (one diverged, say) is no candidate.
    None when no configuration with 0 < λ < 1 is finished.
    """
    candidates = _candidates(table)
    if candidates.empty:
        return None
    reference = reconstruction_only(table)["valid_mean_overall"]
    bound = float(reference.iloc[0]) if len(reference) else math.nan
    overall = candidates["valid_mean_overall"].to_numpy()
    order, qualified = best(overall, candidates["worse_margin"].to_numpy(), bound)
    return Selection(str(candidates["name"].iloc[order[0]]), rule(tasks_of(table), qualified))


def best(
    overall: NDArray[np.float64], worse_margin: NDArray[np.float64], reference: float
) -> tuple[NDArray[np.intp], bool]:
    """RULE's order, best first and those that do not qualify last, and whether any does.

    Where a margin is NaN there is no candidate; without a `reference` (NaN) none qualifies.
    """
    candidates = np.flatnonzero(~np.isnan(worse_margin))
    qualified = overall[candidates] >= reference - TOLERANCE
    keys = (candidates, overall[candidates], worse_margin[candidates], qualified)
    return candidates[np.lexsort(keys)[::-1]], bool(qualified.any())


def _candidates(table: pd.DataFrame) -> pd.DataFrame:
    both_losses = multiview(table).query("lam > 0")
    margins = both_losses[[f"valid_delta_{task}" for task in tasks_of(table)]]
    worse = margins.min(axis=1, skipna=False)
    complete = both_losses.assign(worse_margin=worse).dropna(subset=["worse_margin"])
    everywhere: pd.DataFrame = complete[complete["seeds"] == complete["seeds"].max()]
    return everywhere
