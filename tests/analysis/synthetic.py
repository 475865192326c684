"""A synthetic `results` table with the contract's columns and numbers like those of a sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Column, Engine, Float, Integer, MetaData, Table, Text, create_engine

from analysis.results import Results, load_results
from analysis.trainings import Trainings

PRINCIPLES = ("InfoNCE", "Cosine", "VICReg")
OBJECTIVES = ("SIM", "SEP", "SIM+SEP")
LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ACCURACIES = tuple(
    f"{task}_{subspace}"
    for task in ("pitch", "instrument")
    for subspace in ("private", "shared", "overall")
)
VALIDATION = tuple(f"valid_{name}" for name in ACCURACIES)
TEXTS = ("sweep", "label", "kind", "principle", "objective", "state", "run_key")
WHOLE = ("seed", "best_epoch", "test_size", "valid_size")
MEASURED = (
    "mse", "gamma", "best_epoch", "test_size", "valid_size", *ACCURACIES,
    *VALIDATION, "delta_pitch", "delta_instrument",
)  # fmt: skip
COLUMNS = (
    "sweep", "label", "kind", "principle", "objective", "lam", "seed", "state", "run_key", *MEASURED
)  # fmt: skip

Row = dict[str, Any]

# What an objective takes from (pitch z_p, pitch z_s, instrument z_p, instrument z_s) at λ = 0.
LOSSES = {
    "SIM": (0.15, 0.22, 0.01, 0.12),
    "SEP": (0.0, 0.01, 0.26, 0.01),
    "SIM+SEP": (0.005, 0.20, 0.24, 0.06),
}
STRENGTH = {"InfoNCE": 1.0, "Cosine": 0.9, "VICReg": 0.6}


def multiview_row(principle: str, objective: str, lam: float, seed: int) -> Row:
    """A finished cell: accuracies fall with the weight of L_dis as the paper says they do."""
    label = f"{principle} {objective} λ={lam:g} seed {seed}"
    named = label if lam < 1 else f"reconstruction seed {seed}"
    noise = np.random.default_rng([seed, sum(map(ord, named))]).normal(0, 0.008, 12)
    weight = STRENGTH[principle] * (1 - lam) ** 0.7
    taken = [weight * loss for loss in LOSSES[objective]]
    pitch, instrument = (0.69 - taken[0], 0.68 - taken[1]), (0.87 - taken[2], 0.88 - taken[3])
    values = [*pitch, max(pitch) + 0.03 - 0.06 * weight**3, *instrument, max(instrument) + 0.02]
    accuracies = [round(value, 6) for value in np.array([*values, *values]) + noise]
    return {
        **_named(label, "multiview", named, seed),
        "principle": principle, "objective": objective, "lam": lam,
        "mse": round(0.014 + 0.06 * weight**2, 6) if lam > 0 else None,
        "gamma": 42.0 if lam > 0 else None,
        **dict(zip((*ACCURACIES, *VALIDATION), accuracies, strict=True)),
    }  # fmt: skip


def baseline_row(kind: str, seed: int) -> Row:
    pitch, instrument = {
        "encoder": (0.66, 0.85), "cl-pitch": (0.63, 0.41), "cl-instrument": (0.19, 0.8)
    }[kind]  # fmt: skip
    overall = {
        "pitch_overall": pitch + 0.002 * seed, "instrument_overall": instrument - 0.002 * seed
    }  # fmt: skip
    valid = {f"valid_{name}": value for name, value in overall.items()}
    return {**_named(f"{kind} seed {seed}", kind, f"{kind} seed {seed}", seed), **overall, **valid}


def _named(label: str, kind: str, run: str, seed: int) -> Row:
    return {
        "sweep": "synthetic", "label": label, "kind": kind, "seed": seed, "state": "finished",
        "run_key": hashlib.sha256(run.encode()).hexdigest(),
        "best_epoch": 8, "test_size": 614, "valid_size": 614,
    }  # fmt: skip


def full_rows(seeds: int) -> list[Row]:
    """The 54 cells and 3 baselines of every seed, finished."""
    cells = [
        multiview_row(principle, objective, lam, seed)
        for seed in range(seeds)
        for principle in PRINCIPLES
        for objective in OBJECTIVES
        for lam in LAMBDAS
    ]
    kinds = ("encoder", "cl-pitch", "cl-instrument")
    return cells + [baseline_row(kind, seed) for seed in range(seeds) for kind in kinds]


def unfinished(row: Row, state: str = "pending") -> Row:
    """The same cell in another state, its measures NULL as in the view."""
    return {**row, "state": state, **dict.fromkeys(MEASURED)}


def database(rows: Iterable[Row]) -> Engine:
    """An in-memory database whose table `results` holds the rows, margins added, in their order."""
    engine = create_engine("sqlite://")
    kinds = {name: Text for name in TEXTS} | {name: Integer for name in WHOLE}
    table = Table("results", MetaData(), *(Column(c, kinds.get(c, Float)) for c in COLUMNS))
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [_complete(row) for row in rows])
    return engine


def _complete(row: Row) -> Row:
    whole: Row = {name: row.get(name) for name in COLUMNS}
    if whole["pitch_private"] is not None:
        whole["delta_pitch"] = whole["pitch_private"] - whole["pitch_shared"]
        whole["delta_instrument"] = whole["instrument_shared"] - whole["instrument_private"]
    return whole


def results(rows: Iterable[Row]) -> Results:
    return load_results(database(rows), "synthetic")


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    return results(rows).frame


def trainings(rows: Iterable[Row]) -> Trainings:
    return Trainings.of(frame(rows))


def nasty_rows() -> list[Row]:
    """Three seeds with diverged, failed and missing cells, and a configuration far off."""
    return [_spoilt(row) for row in full_rows(3)]


def _spoilt(row: Row) -> Row:
    principle, objective, lam, seed = (
        row.get(name) for name in ("principle", "objective", "lam", "seed")
    )
    if principle == "VICReg" and objective == "SEP" and lam in (0.0, 0.2):
        return unfinished(row, "diverged")
    if principle == "VICReg" and objective == "SIM+SEP" and lam == 0.2:
        far = {"pitch_overall": 0.05, "instrument_overall": 0.12, "instrument_private": 0.1}
        return {**row, **far, "mse": 4e3}
    if row["label"] == "Cosine SEP λ=0.8 seed 0":
        return unfinished(row, "failed")
    if objective == "SIM" and principle == "InfoNCE" and seed == 2 and lam in (0.4, 0.6):
        return unfinished(row)
    return row


def equal_rows() -> list[Row]:
    """One seed in which every accuracy and every MSE is the same."""
    same = dict.fromkeys((*ACCURACIES, *VALIDATION), 0.7)
    return [
        {**row, **{name: 0.7 for name in same if row.get(name)}, "mse": row.get("mse") and 0.02}
        for row in full_rows(1)
    ]


def few_rows() -> list[Row]:
    """One seed of which three configurations and a baseline are finished."""
    kept = {"Cosine SEP λ=0.6 seed 0", "InfoNCE SIM λ=0 seed 0", "encoder seed 0"}
    return [
        row if row["label"] in kept or row.get("lam") == 1 else unfinished(row)
        for row in full_rows(1)
    ]


SWEEPS = {
    "one seed": full_rows(1),
    "three seeds": full_rows(3),
    "nasty": nasty_rows(),
    "equal": equal_rows(),
    "few": few_rows(),
}
