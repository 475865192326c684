"""What was tried to explain where our sweeps and the paper disagree: the same grid, one thing
changed, the same seeds. For the page of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.findings import estimate, findings
from analysis.intervals import Interval, interval
from analysis.markdown import markdown_table, mean_and_spread
from analysis.measured import Measured, measures
from analysis.results import Results
from analysis.selection import PAPER_SELECTION, TOLERANCE
from analysis.trainings import Array, Trainings
from analysis.verdicts import CONTRADICTED

PILOT_LAMBDAS = (0.2, 0.6)  # of the criterion, which was written before the first pilot
_GAMMA_HEADS = (
    "rule",
    "smaller margin, mean of 12 cells",
    "accuracy, change from reconstruction only",
    "smaller margin of the best cell that keeps accuracy",
)
_SPLIT_POINTS = (PAPER_SELECTION, RECONSTRUCTION_ONLY, "encoder", "cl-pitch", "cl-instrument")
_SPLIT_MEASURES = {
    "pitch": "pitch_overall", "instrument": "instrument_overall",
    "Δ pitch": "delta_pitch", "Δ inst.": "delta_instrument",
}  # fmt: skip


def same_seeds(results: Results, other: Results) -> Results:
    """The results with no more seeds than another sweep has."""
    seeds = other.frame["seed"].unique()
    return replace(results, frame=results.frame[results.frame["seed"].isin(seeds)])


def verdicts(default: Results, tries: Mapping[str, Results]) -> str:
    """What becomes of the claims that the default contradicts, one column a change."""
    whole = findings(Trainings.of_results(default)).set_index("key")
    contradicted = whole[whole["verdict"] == CONTRADICTED]
    few = same_seeds(default, next(iter(tries.values())))
    columns: dict[str, list[str]] = {"claim": list(contradicted["claim"])}
    for name, results in {"as shipped": few, **tries}.items():
        table = findings(Trainings.of_results(results)).set_index("key").loc[contradicted.index]
        columns[name] = [f"{row['verdict']}: {row['ours']}" for _, row in table.iterrows()]
    return markdown_table(pd.DataFrame(columns))


def gamma(rules: Mapping[str, Results]) -> str:
    """The pilot's criterion for each γ rule, on validation, with intervals over seeds."""
    rows = []
    for rule, results in rules.items():
        worse, change, separating = _on_validation(Trainings.of_results(results))
        kept = np.where(change >= -TOLERANCE, worse, -np.inf).max(axis=1)
        found = (*(values[:, separating].mean(axis=1) for values in (worse, change)), kept)
        rows.append([f"`{rule}`", *(_told(interval(values[:, None])) for values in found)])
    return markdown_table(pd.DataFrame(rows, columns=_GAMMA_HEADS))


def _on_validation(trainings: Trainings) -> tuple[Array, Array, NDArray[np.bool_]]:
    """[seed, cell] at the pilot's λ: smaller margin, change of accuracy; [cell]: has it SEP."""
    valid, points = measures(trainings.valid), trainings.points
    cells = points["lam"].isin(PILOT_LAMBDAS).to_numpy()
    reference = (points["name"] == RECONSTRUCTION_ONLY).to_numpy()
    change = valid["mean_overall"][:, cells] - valid["mean_overall"][:, reference]
    separating = points["objective"][cells].str.contains("SEP").to_numpy()
    return valid["worse_margin"][:, cells], change, separating


def split(by_note: Results, by_clip: Results) -> str:
    """What probes tested on notes that they were trained on, at another velocity, would say."""
    sides = [Measured.of(Trainings.of_results(each)) for each in (by_clip, by_note)]
    rows = []
    for name in _SPLIT_POINTS:
        told = [
            " → ".join(_short(interval(side.one(measure, name))) for side in sides)
            for measure in _SPLIT_MEASURES.values()
        ]
        rows.append([name, *told])
    heads = ["", *(f"{name}, by clip → by note" for name in _SPLIT_MEASURES)]
    return markdown_table(pd.DataFrame(rows, columns=heads))


def _told(found: Interval) -> str:
    return estimate(found, "points of accuracy")


def _short(found: Interval) -> str:
    return mean_and_spread(found.mean, found.half())
