"""The verdicts on the paper's claims, each with the configurations that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.claims import CLAIMS, SweepMeans, bars_mostly_negative, mse_correlation
from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.findings import FAILS, HOLDS, OPEN, findings

VERDICTS = {HOLDS: "supported", FAILS: "contradicted", OPEN: "undecided"}
# These look at reconstruction only without asking for it by name.
_RELATIVE = (bars_mostly_negative, mse_correlation)


def judged_claims(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One a claim: section, claim, paper, ours, rule, verdict, and `cells`, configurations' names.

    Takes the rows of `results`; nothing while no cell is finished.
    """
    if not (frame["state"] == "finished").any():
        return []
    means = _Watched(**vars(SweepMeans.of(frame)))
    rows = findings(frame).to_dict("records")
    judged = []
    for claim, row in zip(CLAIMS, rows, strict=True):
        means.asked.clear()
        claim.judge(means)
        relative = getattr(claim.judge, "func", claim.judge) in _RELATIVE
        names = means.asked | ({RECONSTRUCTION_ONLY} if relative else set())
        verdict = VERDICTS[row.pop("holds")]
        judged.append({str(k): v for k, v in row.items()} | {"verdict": verdict, "cells": names})
    return judged


@dataclass(frozen=True)
class _Watched(SweepMeans):
    """The means, and which configurations were asked for."""

    asked: set[str] = field(default_factory=set)

    @property
    def selected(self) -> str:
        """Only what was selected, not what it was selected from."""
        before = set(self.asked)
        name = super().selected
        self._only(before | {name} if name else before)
        return name

    @property
    def both_losses(self) -> pd.DataFrame:
        before = set(self.asked)
        rows = super().both_losses
        self._only(before | set(rows["name"]))
        return rows

    def one(self, name: str, measure: str) -> float:
        self.asked.add(name)
        return super().one(name, measure)

    def every(self, *objectives: str) -> pd.DataFrame:
        rows = super().every(*objectives)
        self.asked.update(rows["name"])
        return rows

    def effect(self, objective: str, panel: str) -> float:
        self.asked.add(RECONSTRUCTION_ONLY)
        return super().effect(objective, panel)

    def _only(self, names: set[str]) -> None:
        self.asked.clear()
        self.asked.update(names)
