"""What of the paper's claims a sweep supports, contradicts or leaves undecided, as a table."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.claims import ACCURACY, SHARE, SHARES, check_factors
from analysis.configurations import OBJECTIVES, RECONSTRUCTION_ONLY
from analysis.intervals import Interval, interval
from analysis.markdown import markdown_table
from analysis.measured import Measured
from analysis.results import MARGINS
from analysis.thresholds import FROZEN, THRESHOLDS
from analysis.trainings import UNTRAINED, VARIED, Trainings
from analysis.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict, depth, verdicts

SEEDS_ONLY = " (seeds only)"  # of a verdict without predictions on test clips: it is too sure
ONLY_SEEDS = (
    " Of seeds only: no predictions on test clips are stored, so chance in the test notes is not in"
    " the intervals, and these verdicts are surer than they may be."
)
_SHOWN_PARTS = 4  # of a compound claim; of more, the worst one
# Of a unit: the factor to what is told, its decimals, and its sign.
_UNITS = {SHARE: (100, 0, " %"), SHARES: (100, 0, " points"), ACCURACY: (1, 3, "")}
_COLUMNS = ["key", "section", "claim", "paper", "ours", "rule", "verdict", "holm", "needs", "seeds",
            "rests_on"]  # fmt: skip
_HEADS = {"section": "", "verdict": "verdict", "claim": "claim", "ours": "here [95 %]",
          "rule": "true where", "paper": "paper", "rests_on": "rests on"}  # fmt: skip


def findings(trainings: Trainings) -> pd.DataFrame:
    """One row a claim: its verdict, the estimates behind it, what would settle it.

    ValueError for a study that is not the paper's.
    """
    check_factors(trainings.factors)
    seeds_only = trainings.notes is None
    rows = [_row(verdict, seeds_only) for verdict in verdicts(trainings)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _row(found: Verdict, seeds_only: bool) -> tuple[object, ...]:
    claim = found.claim
    ours = _ours(found) + SEEDS_ONLY * (seeds_only and found.settled)
    return (
        claim.key, claim.section, claim.claim, claim.paper, ours, claim.rule,
        found.verdict, found.holm, found.needs, found.seeds, found.rests_on,
    )  # fmt: skip


def _ours(found: Verdict) -> str:
    """`Δ pitch 0.102 [0.081, 0.123], Δ instrument …`; of many parts the worst; a dash for none."""
    unit, parts = found.claim.unit, found.parts
    if not parts:
        return "–"
    if len(parts) > _SHOWN_PARTS:
        worst = min(parts, key=lambda name: depth(parts[name], found.claim.low, found.claim.high))
        return f"worst of {len(parts)}: {worst} {estimate(parts[worst], unit)}"
    return ", ".join(f"{name} {estimate(part, unit)}".strip() for name, part in parts.items())


def estimate(part: Interval, unit: str) -> str:
    """`0.102 [0.081, 0.123]` of accuracies, `67 % [55, 79]` of shares, else two decimals."""
    scale, digits, sign = _UNITS.get(unit, (1, 2, ""))
    limit = math.inf if unit == ACCURACY else scale
    least = 0 if unit == SHARE else -limit

    def text(value: float) -> str:
        shown = f"{max(least, min(limit, scale * value)):.{digits}f}"
        zero = f"{0:.{digits}f}"
        return zero if shown == f"-{zero}" else shown.replace("-", "−")

    if math.isnan(part.mean):
        return "–"
    if math.isnan(part.half()):
        return f"{text(part.mean)}{sign}"
    return f"{text(part.mean)}{sign} [{text(part.low)}, {text(part.high)}]"


def markdown(table: pd.DataFrame, trainings: Trainings) -> str:
    """The counts, the claims, λ = 0 apart, and the thresholds with their reasons."""
    shown = table.assign(verdict=[verdict_of(row) for _, row in table.iterrows()])
    claims = markdown_table(shown[list(_HEADS)].rename(columns=_HEADS))
    return "\n\n".join([
        "# The paper's claims in this sweep", summary(table), caution(trainings), claims,
        "A claim of k parts is supported where all their intervals are inside its region, and "
        "contradicted where one at 1 − 5 %/k is wholly outside. Intervals hold one claim at a "
        "time; with †, the verdict also stands beside all the others (Holm). "
        f"{VARIED} Fix the seeds before you look: adding some until a claim is supported "
        "makes it so.",
        "## λ = 0, apart",
        f"Left out of every claim but the one on adding reconstruction. {UNTRAINED}",
        markdown_table(untrained(trainings)),
        "## From words to bounds", f"Judgement calls, frozen {FROZEN}.", _thresholds(),
    ]) + "\n"  # fmt: skip


def summary(table: pd.DataFrame) -> str:
    counts = table["verdict"].value_counts()
    names = (SUPPORTED, CONTRADICTED, UNDECIDED)
    text = ", ".join(f"{name}: {counts.get(name, 0)}" for name in names)
    settled = table["verdict"] != UNDECIDED
    beside = f" Of the {settled.sum()} settled, {table['holm'].sum()} stand beside all others (†)."
    only = table["ours"].str.endswith(SEEDS_ONLY).any()
    return f"{text.capitalize()}." + beside * bool(settled.any()) + ONLY_SEEDS * bool(only)


def caution(trainings: Trainings) -> str:
    """What the intervals rest on, and whatever keeps them from saying more."""
    alone = "One seed settles no claim. " if len(trainings.seeds) == 1 else ""
    return f"{alone}Based on {' '.join([trainings.basis, *trainings.remarks])}"


def verdict_of(row: pd.Series) -> str:
    """A claim's verdict, what would settle it, and whether it stands beside all others (†)."""
    if row["verdict"] == UNDECIDED:
        return f"undecided: needs {row['needs']}" if row["needs"] else UNDECIDED
    return f"**{row['verdict']}**" + " †" * bool(row["holm"])


def untrained(trainings: Trainings) -> pd.DataFrame:
    """One row an objective: margins and change of overall accuracy at λ = 0, with intervals."""
    measured = Measured.of(trainings)
    measured = measured.only(
        measured.seeds_of(RECONSTRUCTION_ONLY), np.full(len(measured.points), True)
    )
    heads = ["", "Δ pitch", "Δ instrument", "overall accuracy, change from reconstruction only"]
    if RECONSTRUCTION_ONLY not in set(measured.points["name"]):
        return pd.DataFrame(columns=heads)
    rows = []
    for objective in OBJECTIVES:
        places = measured.where(objective, lam=0)
        whole = places[measured.there[:, places].all(axis=0)]
        values = [measured.at(margin, whole) for margin in MARGINS]
        values.append(measured.change("mean_overall", whole))
        texts = [estimate(interval(v.mean(-1)), ACCURACY) if len(whole) else "–" for v in values]
        rows.append([f"{objective} ({len(whole)} of {len(places)})", *texts])
    return pd.DataFrame(rows, columns=heads)


def _thresholds() -> str:
    rows = [(f"“{each.word}”", each.meaning, each.reason) for each in THRESHOLDS]
    return markdown_table(pd.DataFrame(rows, columns=["the paper's word", "here", "why"]))
