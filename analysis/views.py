"""Other views of disentanglement than the margins, and whether they agree with them.

They are measured on the same trained encoders and the same test clips (`models/disentanglement.py`
says how) and stand in the table `measures` of the database.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from analysis.configurations import OBJECTIVES, RECONSTRUCTION_ONLY, finished_runs, name_of
from analysis.factors import PAPER, SYMBOLS, Factors
from analysis.intervals import Interval, interval
from analysis.markdown import markdown_table, number
from analysis.results import Results


# A view, what it should agree with, and the sign that agreement has.
def agreements(factors: Factors) -> dict[str, tuple[str, str, int]]:
    return {
        **{f"Δ {t} without dropout": (f"plain_delta_{t}", f"delta_{t}", 1) for t in factors.tasks},
        **{
            f"importance for {task} held by {SYMBOLS[side]}": (
                f"held_{task}_{side}", f"delta_{task}", 1,
            )
            for task, side in factors.wanted
        },
        "DCI disentanglement": ("dci", "mean_margin", 1),
        "CKA of z_p and z_s (less is apart)": ("cka", "mean_margin", -1),
    }  # fmt: skip


def _shown(factors: Factors) -> dict[str, str]:
    """Column → head; no two heads are the same."""
    heads: dict[str, str] = {}
    named = {f"delta_{task}": f"Δ {task}" for task in factors.tasks}
    for place, (name, head) in enumerate({**named, "mean_overall": "overall accuracy"}.items()):
        heads |= {name: head, f"plain_{name}": "without dropout" + " " * place}
    heads |= {f"held_{t}_{side}": f"{t} held by {SYMBOLS[side]}" for t, side in factors.wanted}
    return heads | {"dci": "DCI", "cka": "CKA"}


def views(results: Results) -> pd.DataFrame:
    """One row a multi-view run, with the margins beside the other views of the same run."""
    factors = results.factors
    runs = finished_runs(results.frame, factors)
    runs = runs[runs["kind"] == "multiview"].join(results.measures, on="run_key")
    runs.insert(0, "name", [name_of(row) for _, row in runs.iterrows()])
    for task in factors.tasks:
        own, other = (runs[f"plain_{side}"] for side in factors.sides(task))
        runs[f"plain_delta_{task}"] = own - other
    overall = runs[[f"plain_{task}_overall" for task in factors.tasks]]
    runs["plain_mean_overall"] = overall.mean(axis=1, skipna=False)
    runs["mean_margin"] = runs[list(factors.margins)].mean(axis=1, skipna=False)
    named = ["name", "objective", "lam", "seed", "mean_margin", *_shown(factors)]
    return runs[named].reset_index(drop=True)


def agreement(table: pd.DataFrame, view: str, margin: str) -> Interval:
    """Spearman's ρ over the configurations with 0 < λ < 1 inside a seed, its mean over seeds."""
    trained = table[(table["lam"] > 0) & (table["lam"] < 1)].dropna(subset=[view, margin])
    ranks = [
        spearmanr(of_seed[view], of_seed[margin]).statistic
        for _, of_seed in trained.groupby("seed")
        if min(of_seed[view].nunique(), of_seed[margin].nunique()) > 2
    ]
    return interval(np.array(ranks, dtype=float).reshape(-1, 1))


def markdown(table: pd.DataFrame, factors: Factors = PAPER) -> str:
    """What the views are, and their tables."""
    return "\n\n".join([
        "# Other views of disentanglement",
        "Of the same trained encoders, on the same test clips. The paper's probe drops half of its "
        "inputs; *without dropout* is the same probe without. *Held* is the share of a task's "
        "importance (the plain probes' weights on all features) in a subspace: .50 where both hold "
        "as much. DCI is 1 where each feature serves one task. CKA is 0 where z_p and z_s share "
        "nothing.",
        tables(table, factors),
    ]) + "\n"  # fmt: skip


def tables(table: pd.DataFrame, factors: Factors = PAPER) -> str:
    """Means by objective, then how each view agrees with the margins."""
    found = [
        [name, margin.replace("_", " ").replace("delta", "Δ"), *_agreed(table, view, margin, sign)]
        for name, (view, margin, sign) in agreements(factors).items()
    ]  # fmt: skip
    heads = ["view", "margin", "ρ", "95 % over seeds", ""]
    seeds = table["seed"].nunique()
    return "\n\n".join([
        markdown_table(_means(table, _shown(factors))),
        f"Means of {seeds} seed{'s' * (seeds != 1)}; an objective's over principles and 0 < λ < 1. "
        "Do the views agree with the margins? Spearman's ρ over the configurations with 0 < λ < 1 "
        "inside a seed, its mean over seeds:",
        markdown_table(pd.DataFrame(found, columns=heads)),
    ])  # fmt: skip


def _agreed(table: pd.DataFrame, view: str, margin: str, sign: int) -> list[str]:
    found = agreement(table, view, margin)
    if np.isnan(found.half()):
        return [number(found.mean), "–", "one seed" if found.seeds == 1 else "–"]
    low, high = sorted((sign * found.low, sign * found.high))
    word = "agrees" if low > 0 else "contradicts" if high < 0 else "undecided"
    between = f"[{number(found.low)}, {number(found.high)}]"
    return [number(found.mean), between, word]


def _means(table: pd.DataFrame, shown: Mapping[str, str]) -> pd.DataFrame:
    trained = table[(table["lam"] > 0) & (table["lam"] < 1)]
    groups = {RECONSTRUCTION_ONLY: table[table["name"] == RECONSTRUCTION_ONLY]}
    groups |= {objective: trained[trained["objective"] == objective] for objective in OBJECTIVES}
    rows = [
        [name, *(number(float(of_group[column].mean())) for column in shown)]
        for name, of_group in groups.items()
        if len(of_group)
    ]
    return pd.DataFrame(rows, columns=["", *shown.values()])
