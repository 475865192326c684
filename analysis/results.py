"""The `results` view of a sweep as a frame, and where it came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import Engine, inspect, text

from analysis.clips import TestClips, load_clips
from analysis.factors import PAPER, Factors
from analysis.further import completed, factors_of_sweeps

# Of the paper's study; of another its `Factors` have them.
TASKS, ACCURACIES, MARGINS = PAPER.tasks, PAPER.accuracies, PAPER.margins
_MEASURES = text(
    "SELECT DISTINCT runs.key AS run_key, measures.name, measures.value FROM measures"
    " JOIN runs ON runs.id = measures.run_id JOIN cells ON cells.run_id = runs.id"
    " JOIN sweeps ON sweeps.id = cells.sweep_id WHERE sweeps.name = :sweep"
)
_UNFINISHED = ("missing", "failed", "diverged")
_LISTED = 12  # labels named in full in a caption; more are counted


@dataclass(frozen=True)
class Provenance:
    """What a figure must tell about the rows it was drawn from."""

    sweep: str
    digest: str  # SHA-256 of the canonical JSON of the sweep's rows
    seeds: int  # with a finished cell of the grid, or of the baselines where there is no other
    cells: int
    finished: int
    unfinished: dict[str, tuple[str, ...]]  # labels by state: failed, diverged, else missing
    data: str  # "notes through logmel"; empty where the sweep does not say

    @property
    def line(self) -> str:
        """Sweep, digest, seeds and counts, short enough for a figure's foot."""
        holes = [f"{len(labels)} {state}" for state, labels in self.unfinished.items()]
        counts = ", ".join([f"{self.finished} of {self.cells} cells finished", *holes])
        seeds = f"{self.seeds} seed" + "s" * (self.seeds != 1)
        origin = [f"Sweep {self.sweep}", self.data, f"digest {self.digest[:12]}", seeds]
        return " · ".join([*filter(None, origin), counts]) + "."

    @property
    def details(self) -> str:
        """One line for each kind of unfinished cell, with the cells' labels; may be empty."""
        return "\n".join(f"{state}: {listed(names)}" for state, names in self.unfinished.items())


@dataclass(frozen=True)
class Results:
    """One row a cell, in the order of their labels, with the columns of the `results` view.

    Of a study of other factors with those of its tasks too, and with its margins.
    """

    frame: pd.DataFrame  # every measure is float64, NaN where the view says NULL
    provenance: Provenance
    clips: TestClips | None = None  # what the probes said of each test clip, where that is known
    # One row a finished run, by its key, a column a further view of disentanglement; see views.py.
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    factors: Factors = PAPER


def load_results(engine: Engine, sweep: str) -> Results:
    """Reads a sweep's rows; never writes.

    Raises ValueError when the database has no `results` view or no cell of that sweep.
    """
    rows = _rows(engine, sweep)
    if not rows:
        raise ValueError(f"no sweep '{sweep}' in this database; name one that was launched into it")
    factors = factors_of_sweeps(engine).get(sweep, PAPER)
    numbers = dict.fromkeys(("lam", *PAPER.measures, *factors.measures), "float64")
    frame = pd.DataFrame(rows).astype(numbers)
    canonical = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    provenance = provenance_of(sweep, digest, frame, _data(engine, sweep))
    measures = _measures(engine, sweep)
    return Results(frame, provenance, load_clips(engine, sweep, frame), measures, factors)


def _rows(engine: Engine, sweep: str) -> list[dict[str, Any]]:
    if not inspect(engine).has_table("results"):
        raise ValueError("this database has no `results` view; run `sweeper launch` first")
    query = text("SELECT * FROM results WHERE sweep = :sweep")
    with engine.connect() as connection:
        rows = connection.execute(query, {"sweep": sweep}).mappings().all()
    # Sorted here: a database's order and collation must not reach the digest.
    return sorted(completed(engine, rows), key=lambda row: str(row["label"]))


def _measures(engine: Engine, sweep: str) -> pd.DataFrame:
    """Empty in a database of an older schema, or of runs that were trained before it."""
    if not inspect(engine).has_table("measures"):
        return pd.DataFrame()
    with engine.connect() as connection:
        rows = connection.execute(_MEASURES, {"sweep": sweep}).mappings().all()
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(map(dict, rows)).pivot(index="run_key", columns="name", values="value")


def _data(engine: Engine, sweep: str) -> str:
    """Which clips and which encoder the sweep was launched on."""
    if not inspect(engine).has_table("sweeps"):
        return ""
    query = text("SELECT options FROM sweeps WHERE name = :sweep")
    with engine.connect() as connection:
        options = json.loads(connection.scalar(query, {"sweep": sweep}) or "{}")
    return f"{options['dataset']} through {options['encoder']}" if "dataset" in options else ""


def provenance_of(sweep: str, digest: str, frame: pd.DataFrame, data: str) -> Provenance:
    """What is to be told of these rows of a sweep."""
    finished = frame["state"] == "finished"
    rest = frame[~finished]
    state = rest["state"].where(rest["state"].isin(_UNFINISHED), "missing")
    labels = rest.groupby(state)["label"].agg(tuple).to_dict()
    return Provenance(
        sweep=sweep,
        digest=digest,
        seeds=_seeds(frame[finished]),
        cells=len(frame),
        finished=int(finished.sum()),
        unfinished={name: labels[name] for name in _UNFINISHED if name in labels},
        data=data,
    )


def _seeds(finished: pd.DataFrame) -> int:
    grid = finished[finished["kind"] == "multiview"]
    return int((finished if grid.empty else grid)["seed"].nunique())


def listed(labels: tuple[str, ...]) -> str:
    """The first of many names, and how many more there are."""
    more = len(labels) - _LISTED
    return "; ".join(labels[:_LISTED]) + (f"; and {more} more" if more > 0 else "")
