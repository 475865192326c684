"""What of the paper's claims holds in a sweep, and what does not."""

from __future__ import annotations

import math

import pandas as pd

from analysis.claims import CLAIMS, Claim, Outcome, SweepMeans
from analysis.markdown import markdown_table

HOLDS, FAILS, OPEN = "holds", "does not hold", "not enough runs"


def findings(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: section, claim, paper, ours, rule, holds. Takes the rows of `results`."""
    means = SweepMeans.of(frame)
    rows = [_row(claim, claim.judge(means)) for claim in CLAIMS]
    return pd.DataFrame(rows, columns=["section", "claim", "paper", "ours", "rule", "holds"])


def _row(claim: Claim, outcome: Outcome) -> tuple[str, ...]:
    values, ours, holds = outcome
    text, verdict = ours.replace("-0.", "−0."), HOLDS if holds else FAILS
    if any(map(math.isnan, values)):
        text, verdict = "–", OPEN
    return claim.section, claim.claim, claim.paper, text, claim.rule, verdict


def markdown(table: pd.DataFrame) -> str:
    counts = table["holds"].value_counts()
    verdicts = ", ".join(f"{verdict}: {counts.get(verdict, 0)}" for verdict in (HOLDS, FAILS, OPEN))
    title = "# The paper's claims in this sweep"
    return f"{title}\n\n{verdicts.capitalize()}.\n\n{markdown_table(table)}\n"
