"""A results database as one JSON document: what the report page shows, and other tools may read.

Columns by name, 4 significant digits, null for what is not there. `SCHEMA` describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from analysis.claim_cells import judged_claims
from analysis.configurations import (
    IDENTITY,
    RECONSTRUCTION_ONLY,
    configurations,
    in_order,
)
from analysis.effects import spearman, subspace_effects
from analysis.facets import facets
from analysis.results import ACCURACIES, MARGINS, TASKS, Provenance, Results, load_results
from analysis.selection import select
from analysis.training import Training, load_training
from analysis.trainings import Trainings

VERSION = 1
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("document.schema.json").read_text())
INTERVAL = "± 1 sd over seeds"
SMALLER = "smaller_margin"
SHOWN = (SMALLER, *MARGINS, "mean_overall", *ACCURACIES, "mse")
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


class _Sweep:
    """A sweep's rows, and its configurations with and without finished runs."""

    def __init__(self, sweep: str, name: str, results: Results, training: Training) -> None:
        self.sweep, self.name = sweep, name  # the name is the sweep's, and its place on its axes
        self.results, self.training = results, training
        self.cells = self.results.frame.assign(configuration=_names(self.results.frame))
        self.means = configurations(self.cells)
        self.table = _planned(self.cells).merge(
            self.means.drop(columns=IDENTITY), how="left", on="name"
        )
        self.place = {name: place for place, name in enumerate(self.table["name"])}

    def as_json(self, launch: str, judge: Judge) -> Document:
        claims = judge(self.results)
        return {
            "name": self.name,
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
        cells = with_derived(self.cells)
        cells["run"] = cells["run_key"].str[:12]
        cells["configuration"] = cells["configuration"].map(self.place)
        shares = cells["run_key"].map(self.training.shares).astype("float64")
        cells["share"] = shares.where(cells["state"] == "running")
        about = ["label", *IDENTITY, "seed", "state", "share", "run", "configuration", "best_epoch"]
        return columns(cells[[*about, *SHOWN]])

    def _configurations(self) -> Columns:
        chosen = select(self.means)
        table = self.table.assign(chosen=self.table["name"] == (chosen.name if chosen else None))
        table = with_intervals(table, [name for name in SHOWN if name != SMALLER])
        smaller = table[list(MARGINS)].min(axis=1, skipna=False)
        for edge in ("", "_low", "_high"):  # of the margin that is the smaller
            pitch, instrument = (table[f"{margin}{edge}"] for margin in MARGINS)
            table[f"{SMALLER}{edge}"] = pitch.where(table[MARGINS[0]] == smaller, instrument)
        table["seeds"] = table["seeds"].fillna(0).astype(int)
        edges = [f"{name}{edge}" for name in SHOWN for edge in ("", "_low", "_high")]
        return columns(table[["name", *IDENTITY, "seeds", "chosen", *edges]])

    def _correlations(self) -> dict[str, float | None]:
        """Figure 2's."""
        points = self.means[self.means["kind"] == "multiview"].dropna(subset="mse")
        scores = {task: points[f"{task}_overall"] for task in TASKS}
        return {task: rounded(spearman(points["mse"], score)) for task, score in scores.items()}

    def _effects(self) -> Columns:
        """Figure 4's bars, and the principles behind each."""
        bars = with_intervals(subspace_effects(self.cells), ["delta"])
        return columns(bars.drop(columns=["delta_sd"]))

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


def with_derived(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with their smaller margin and the mean of their overall accuracies."""
    overall = cells[[f"{task}_overall" for task in TASKS]].mean(axis=1, skipna=False)
    smaller = cells[list(MARGINS)].min(axis=1, skipna=False)
    return cells.assign(mean_overall=overall, **{SMALLER: smaller})


def with_intervals(table: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """The table with the ends of each measure's interval, NaN where one seed has none."""
    ends = {}
    for name in measures:
        ends[f"{name}_low"] = table[name] - table[f"{name}_sd"]
        ends[f"{name}_high"] = table[name] + table[f"{name}_sd"]
    return table.assign(**ends)


def _paired(a: _Sweep, b: _Sweep) -> Document:
    """Each configuration of both: `b` less `a` within a seed, then the mean over seeds."""
    key, measures = ["configuration", "seed"], list(SHOWN)
    one, other = (
        with_derived(part.cells[part.cells["state"] == "finished"])
        .drop_duplicates(["run_key", *key])
        .set_index(key)[measures]
        for part in (a, b)
    )
    differences = (other - one).dropna(how="all").groupby(level="configuration", sort=False)
    table = differences.mean().join(differences.std().add_suffix("_sd"))
    table = with_intervals(table, measures).assign(seeds=differences.size()).reset_index()
    table = table.assign(
        **{s: table["configuration"].map(p.place) for s, p in (("a", a), ("b", b))}
    )
    edges = [f"{name}{edge}" for name in measures for edge in ("", "_low", "_high")]
    return {"differences": columns(table[["a", "b", "seeds", *edges]].rename(
        columns={"a": "in_a", "b": "in_b"}))}  # fmt: skip


def _mean_curves(curves: pd.DataFrame) -> list[Document]:
    """Per configuration and loss, the mean over runs at each epoch, and the interval's ends."""
    losses = list(Training.LOSSES)
    groups = curves.groupby(["configuration", "epoch"])[losses]
    means = groups.mean().join(groups.std().add_suffix("_sd"))
    table = with_intervals(means, losses).assign(runs=groups.size()).reset_index()
    edges = [f"{name}{edge}" for name in losses for edge in ("", "_low", "_high")]
    return [
        {"configuration": place, "runs": int(rows["runs"].max())}
        | columns(rows[["epoch", *edges]].dropna(axis="columns", how="all"))
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
