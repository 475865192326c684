"""A results database as one JSON document: what the report page shows, and other tools may read.

Columns by name, 4 significant digits, null for what is not there. `SCHEMA` describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from sqlalchemy import Engine

from analysis.claim_cells import judged_claims
from analysis.configurations import (
    IDENTITY,
    RECONSTRUCTION_ONLY,
    in_order,
)
from analysis.effects import spearman, subspace_effects
from analysis.estimates import EDGES, configurations, edges, with_edges
from analysis.facets import facets
from analysis.factors import PAPER, Factors
from analysis.intervals import ALPHA, interval
from analysis.measured import Measured
from analysis.results import Provenance, Results, load_results
from analysis.selection import select
from analysis.training import Training, load_training
from analysis.trainings import Array, Trainings

VERSION = 1
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("document.schema.json").read_text())
INTERVAL = "95 % over seeds and test notes"
SMALLER = "smaller_margin"
EMPTY: Mapping[str, Any] = {
    "schema": VERSION,
    "interval": INTERVAL,
    "live": None,
    "sweeps": [],
    "pairs": [],
}
_DIGITS = 4  # significant: more than a probe on some hundred clips can tell
_CURVES_OF_RUNS = 300  # with more runs than that, the curves of configurations alone

Document = dict[str, Any]
Columns = dict[str, list[Any]]
Judge = Callable[[Results], list[dict[str, Any]]]


def judged(results: Results) -> list[dict[str, Any]]:
    """The claims of `judged_claims`."""
    return judged_claims(Trainings.of_results(results))


def document(
    engine: Engine,
    sweeps: Sequence[str],
    launches: Mapping[str, str],
    states: Mapping[str, str] | None = None,
    judge: Judge = judged,
) -> Document:
    """The sweeps in that order; `launches` has the command by which each gets more seeds.

    `states` has the states of runs, by key, that are known better than the database's view knows
    them. The later sweeps are each compared with the first. Never writes. Raises ValueError for a
    sweep that is not there.
    """
    parts = [part for name in sweeps for part in _parts(engine, name, states or {})]
    pairs = [_paired(parts[0], later) | {"a": 0, "b": b} for b, later in enumerate(parts[1:], 1)]
    return {
        **EMPTY,
        "sweeps": [part.as_json(launches[part.sweep], judge) for part in parts],
        "pairs": pairs,
    }


def _parts(engine: Engine, sweep: str, states: Mapping[str, str]) -> list[_Sweep]:
    """A sweep; one with further axes as a grid for each place on them."""
    training, results = load_training(engine, sweep), load_results(engine, sweep)
    rows = zip(results.frame["run_key"], results.frame["state"], strict=True)
    known = [states.get(key, state) for key, state in rows]
    grids = facets(replace(results, frame=results.frame.assign(state=known)))
    return [
        _Sweep(sweep, f"{sweep} · {place}" if place else sweep, grid, training.of(grid.frame))
        for place, grid in grids.items()
    ]


def shown(factors: Factors) -> tuple[str, ...]:
    """The measures of cells and configurations."""
    return (SMALLER, *factors.margins, "mean_overall", *factors.accuracies, "mse")


class _Sweep:
    """A sweep's rows, and its configurations with and without finished runs."""

    def __init__(self, sweep: str, name: str, results: Results, training: Training) -> None:
        self.sweep, self.name = sweep, name  # the name is the sweep's, and its place on its axes
        self.results, self.training = results, training
        self.cells = self.results.frame.assign(configuration=_names(self.results.frame))
        self.trainings = Trainings.of_results(results)
        self.means = configurations(self.trainings)
        self.table = _planned(self.cells).merge(
            self.means.drop(columns=IDENTITY), how="left", on="name"
        )
        self.place = {name: place for place, name in enumerate(self.table["name"])}

    @cached_property
    def measured(self) -> Measured:
        return Measured.of(self.trainings)

    def as_json(self, launch: str, judge: Judge) -> Document:
        claims = judge(self.results)
        return {
            "name": self.name,
            "sweep": self.sweep,
            "tasks": self.results.factors.held_by,
            **_provenance(self.results.provenance, self.training),
            "launch": launch,
            "cells": self._cells(),
            "configurations": self._configurations(),
            "correlations": self._correlations(),
            "effects": self._effects(),
            "curves": self._curves(),
            "claims": [claim | {"cells": self._places(claim["cells"])} for claim in claims],
            "troubles": self.training.troubles,
        }

    def _cells(self) -> Columns:
        cells = with_derived(self.cells, self.results.factors)
        cells["run"] = cells["run_key"].str[:12]
        cells["configuration"] = cells["configuration"].map(self.place)
        shares = cells["run_key"].map(self.training.shares).astype("float64")
        cells["share"] = shares.where(cells["state"] == "running")
        about = ["label", *IDENTITY, "seed", "state", "share", "run", "configuration", "best_epoch"]
        return columns(cells[[*about, *shown(self.results.factors)]])

    def _configurations(self) -> Columns:
        chosen = select(self.means)
        table = self.table.assign(chosen=self.table["name"] == (chosen.name if chosen else None))
        factors = self.results.factors
        smaller = table[list(factors.margins)].min(axis=1, skipna=False)
        for edge in EDGES:  # of the margin that is the smallest, the first of equals
            last, *rest = reversed(factors.margins)
            found = table[f"{last}{edge}"]
            for margin in rest:
                found = table[f"{margin}{edge}"].where(table[margin] == smaller, found)
            table[f"{SMALLER}{edge}"] = found
        table["seeds"] = table["seeds"].fillna(0).astype(int)
        return columns(table[["name", *IDENTITY, "seeds", "chosen", *with_edges(shown(factors))]])

    def _correlations(self) -> dict[str, float | None]:
        """Figure 2's."""
        points = self.means[self.means["kind"] == "multiview"].dropna(subset="mse")
        scores = {task: points[f"{task}_overall"] for task in self.results.factors.tasks}
        return {task: rounded(spearman(points["mse"], score)) for task, score in scores.items()}

    def _effects(self) -> Columns:
        """Figure 4's bars, and the principles behind each."""
        return columns(subspace_effects(self.trainings))

    def _curves(self) -> Document:
        """Means of finished runs, and every run that its configuration's mean does not show.

        Where those are too many, the runs in training alone.
        """
        cells = self.cells.drop_duplicates("run_key").set_index("run_key")
        curves = self.training.curves
        curves = curves.assign(
            configuration=curves["run_key"].map(cells["configuration"]).map(self.place),
            state=curves["run_key"].map(cells["state"]),
        )
        finished = curves[curves["state"] == "finished"]
        means = _mean_curves(finished)
        alone = [mean["configuration"] for mean in means if mean["runs"] == 1]
        rest = curves.drop(finished.index[finished["configuration"].isin(alone)])
        if curves["run_key"].nunique() > _CURVES_OF_RUNS:
            running = rest[rest["state"] == "running"]
            return {"means": means, "runs": _run_curves(running) or None}
        return {"means": means, "runs": _run_curves(rest)}

    def _places(self, names: set[str]) -> list[int]:
        """The cells of these configurations, by their place in `cells`."""
        named = self.cells["configuration"].isin(names).tolist()
        return [place for place, is_named in enumerate(named) if is_named]


def _names(frame: pd.DataFrame) -> pd.Series[str]:
    """The configuration or baseline of each cell, as `configurations` names it."""
    names = frame["label"].str.replace(r"^(.* λ=\S+).*$| seed \d+$", r"\1", regex=True)
    multiview = frame["kind"] == "multiview"
    return names.where(multiview, frame["kind"]).mask(frame["lam"] == 1, RECONSTRUCTION_ONLY)


def _planned(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a configuration, finished or not: `name`, and what makes it one."""
    rows = cells.rename(columns={"configuration": "name"})[["name", *IDENTITY]].copy()
    rows.loc[rows["lam"] == 1, ["principle", "objective"]] = None
    return in_order(rows.drop_duplicates("name"))


def with_derived(cells: pd.DataFrame, factors: Factors = PAPER) -> pd.DataFrame:
    """The cells with their smallest margin and the mean of their overall accuracies."""
    overall = cells[[f"{task}_overall" for task in factors.tasks]].mean(axis=1, skipna=False)
    smaller = cells[list(factors.margins)].min(axis=1, skipna=False)
    return cells.assign(mean_overall=overall, **{SMALLER: smaller})


def _paired(a: _Sweep, b: _Sweep) -> Document:
    """Each configuration of both: `b` less `a` within a seed, the mean over seeds, its interval.

    Test notes are in it where both sweeps were tested on the same.
    """
    one, other = a.trainings, b.trainings
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    here, there = ([part.seeds.index(seed) for seed in seeds] for part in (one, other))
    alike = one.notes is None or other.notes is None or np.array_equal(one.notes, other.notes)
    samples = slice(None) if alike else slice(1)
    names = [name for name in one.points["name"] if name in set(other.points["name"])]
    also = set(shown(b.results.factors))
    measures = [measure for measure in shown(a.results.factors) if measure in also]
    first, second = (_shown(part.measured, names, measures) for part in (a, b))
    rows = []
    for place, name in enumerate(names):
        found = {
            measure: interval(
                second[measure][there][:, samples, place] - first[measure][here][:, samples, place]
            )
            for measure in measures
        }
        row: dict[str, float] = {
            "in_a": a.place[name],
            "in_b": b.place[name],
            "seeds": found["mean_overall"].seeds,
        }
        for measure in measures:
            row |= edges(measure, found[measure])
        rows.append(row)
    table = pd.DataFrame(rows, columns=["in_a", "in_b", "seeds", *with_edges(measures)])
    return {"differences": columns(table[table["seeds"] > 0])}


def _shown(measured: Measured, names: Sequence[str], measures: Sequence[str]) -> dict[str, Array]:
    """[seed, sample, place] of each measure that is shown."""
    places = measured.places(*names)
    values = {name: measured.at(name, places) for name in measures if name not in (SMALLER, "mse")}
    mse = np.broadcast_to(measured.mse[:, None, places], values["mean_overall"].shape)
    return {**values, SMALLER: measured.at("worse_margin", places), "mse": mse}


def _mean_curves(curves: pd.DataFrame) -> list[Document]:
    """Per configuration and loss, the mean over runs at each epoch, and its interval's ends."""
    losses = list(Training.LOSSES)
    groups = curves.groupby(["configuration", "epoch"])[losses]
    runs, means = groups.size(), groups.mean()
    half = groups.sem().mul(stdtrit(runs - 1, 1 - ALPHA / 2), axis=0)
    ends = (means - half).add_suffix("_low").join((means + half).add_suffix("_high"))
    table = means.join(ends).assign(runs=runs).reset_index()
    return [
        {"configuration": place, "runs": int(rows["runs"].max())}
        | columns(rows[["epoch", *with_edges(losses)]].dropna(axis="columns", how="all"))
        for place, rows in table.groupby("configuration")
    ]


def _run_curves(curves: pd.DataFrame) -> list[Document]:
    wanted = ["epoch", *Training.LOSSES]
    return [
        {"run": str(key)[:12], "configuration": int(rows["configuration"].iloc[0])}
        | columns(rows[wanted].dropna(axis="columns", how="all"))
        for key, rows in curves.groupby("run_key", sort=False)
    ]


def _provenance(provenance: Provenance, training: Training) -> Document:
    return {
        "line": provenance.line,
        "data": provenance.data,
        "digest": provenance.digest,
        "unfinished": {state: list(labels) for state, labels in provenance.unfinished.items()},
        "options": training.options,
        "made": training.made,
    }


def columns(table: pd.DataFrame) -> Columns:
    """A frame as JSON has it."""
    return {str(name): [rounded(value) for value in table[name]] for name in table}


def rounded(value: Any) -> Any:
    """A value as JSON has it: null for NaN, few digits."""
    if value is None or value is pd.NA:
        return None
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short
