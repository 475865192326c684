"""The configurations (principle, objective, λ) and the baselines: their runs, names and order."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.factors import PAPER, Factors

BASELINES = ("encoder", "cl-pitch", "cl-instrument")  # the paper's; then cl- and another factor
KINDS = ("multiview", *BASELINES)
PRINCIPLES = ("InfoNCE", "Cosine", "VICReg")
OBJECTIVES = ("SIM", "SEP", "SIM+SEP")
IDENTITY = ["kind", "principle", "objective", "lam"]  # what makes a configuration
RECONSTRUCTION_ONLY = "reconstruction only"
# What a figure of changes from reconstruction only says without them.
NEEDS_PAIR = (
    "needs a finished λ = 1 run and a λ < 1 run of the same seed; go on with `sweeper resume`"
)
_PAPER_ORDER = {"kind": KINDS, "principle": PRINCIPLES, "objective": OBJECTIVES}


def finished_runs(frame: pd.DataFrame, factors: Factors = PAPER) -> pd.DataFrame:
    """One row a finished run, with margins and mean overall accuracy on validation and test.

    At λ = 1 the principle and the objective play no part: the nine cells of a seed show one
    run, which is counted once and has neither.
    """
    runs = without_identity(frame[frame["state"] == "finished"])
    runs = runs.drop_duplicates(["run_key", *IDENTITY, "seed"])
    for split in ("", "valid_"):
        overall = runs[[f"{split}{task}_overall" for task in factors.tasks]]
        runs[f"{split}mean_overall"] = overall.mean(axis=1, skipna=False)
    for task in factors.tasks:
        held, other = (runs[f"valid_{side}"] for side in factors.sides(task))
        runs[f"valid_delta_{task}"] = held - other
    return in_order(runs)


def in_figures(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of configurations and baselines."""
    kinds = cells["kind"]
    return cells[kinds.isin(KINDS) | kinds.str.startswith("cl-")]


def without_identity(cells: pd.DataFrame) -> pd.DataFrame:
    """A copy in which cells with λ = 1 have neither a principle nor an objective."""
    cells = cells.copy()
    cells.loc[cells["lam"] == 1, ["principle", "objective"]] = None
    return cells


def multiview(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a disentanglement loss: λ < 1."""
    return table[(table["kind"] == "multiview") & (table["lam"] < 1)]


def reconstruction_only(table: pd.DataFrame) -> pd.DataFrame:
    """The rows without one: λ = 1."""
    return table[(table["kind"] == "multiview") & (table["lam"] == 1)]


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sorted by kind, principle, objective, λ and seed, in the paper's order of each."""
    by = [name for name in (*IDENTITY, "seed") if name in table]
    return table.sort_values(by, key=_rank, kind="stable", ignore_index=True)


def _rank(column: pd.Series) -> pd.Series:
    """The places of names in the paper's order, those without a name last; numbers as they are."""
    if column.name not in _PAPER_ORDER:
        return column
    names = ordered(column, _PAPER_ORDER[str(column.name)])
    return column.map({name: place for place, name in enumerate(names)}).fillna(len(names))


def ordered(names: Sequence[str] | pd.Series[str], first: Sequence[str]) -> list[str]:
    """Distinct names, those of `first` in its order, then the others alphabetically."""
    present = set(pd.Series(names).dropna())
    return [name for name in first if name in present] + sorted(present - set(first))


def name_of(row: pd.Series) -> str:
    """As the cells' labels have it, less the seed: `Cosine SEP λ=0.6`, `encoder`."""
    if row["kind"] != "multiview":
        return str(row["kind"])
    if row["lam"] == 1:
        return RECONSTRUCTION_ONLY
    return f"{row['principle']} {row['objective']} λ={row['lam']:g}"
