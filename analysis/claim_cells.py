"""The verdicts on the paper's claims, each with the configurations that it rests on."""

from __future__ import annotations

from typing import Any

from analysis.claims import CLAIMS, UNTRAINED, Claim
from analysis.factors import PAPER
from analysis.findings import findings
from analysis.measured import Measured
from analysis.trainings import Trainings

_SHOWN = ["section", "claim", "paper", "ours", "rule", "verdict", "holm", "needs"]


def judged_claims(trainings: Trainings) -> list[dict[str, Any]]:
    """One a claim: _SHOWN of its finding, and `cells`, the names of configurations.

    Nothing while no cell is finished, and of another study than the paper's.
    """
    if not trainings.seeds or trainings.factors != PAPER:
        return []
    measured = Measured.of(trainings, samples=0)
    rows = findings(trainings)[_SHOWN].to_dict("records")
    return [
        {str(name): value for name, value in row.items()} | {"cells": _cells(claim, measured)}
        for claim, row in zip(CLAIMS, rows, strict=True)
    ]


def _cells(claim: Claim, measured: Measured) -> set[str]:
    names = measured.points["name"]
    cells = set(claim.points) & set(names)
    for family in claim.families:
        untrained = family == UNTRAINED
        places = measured.where(lam=0) if untrained else measured.where(family)
        cells |= set(names.iloc[places])
    return cells
