"""What a study of other factors adds to its rows of the `results` view.

The view has the columns of the paper's two tasks. Accuracies of further tasks are rows of the
table `accuracies`, and which subspace should hold a task, so that a margin is good, is the study's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Engine, inspect, text

from analysis.factors import PAPER, PARTS, Factors

Row = dict[str, Any]
_PREFIXES = dict(zip(("test", "validation"), PARTS, strict=True))
_OPTIONS = text("SELECT name, options FROM sweeps")
_ACCURACIES = text(
    "SELECT DISTINCT runs.key, part, task, subspace, accuracy FROM accuracies"
    " JOIN runs ON runs.id = accuracies.run_id JOIN cells ON cells.run_id = runs.id"
    " JOIN sweeps ON sweeps.id = cells.sweep_id WHERE sweeps.name = :sweep"
)


def factors_of_sweeps(engine: Engine) -> dict[str, Factors]:
    """What each sweep of a database asks, by its name."""
    if not inspect(engine).has_table("sweeps"):
        return {}
    with engine.connect() as connection:
        return {
            name: Factors.of_options(json.loads(options or "{}"))
            for name, options in connection.execute(_OPTIONS)
        }


def completed(engine: Engine, rows: Iterable[Mapping[Any, Any]]) -> list[Row]:
    """Rows of the view; those of other studies than the paper's with their tasks and margins."""
    whole = [dict(row) for row in rows]
    factors = factors_of_sweeps(engine)
    for sweep in dict.fromkeys(row["sweep"] for row in whole):
        if (asked := factors.get(sweep, PAPER)) != PAPER:
            accuracies = _accuracies(engine, sweep)
            for row in whole:
                if row["sweep"] == sweep:
                    row |= _numbers(asked, accuracies.get(row["run_key"], {}))
    return whole


def _accuracies(engine: Engine, sweep: str) -> dict[str, dict[str, float]]:
    """Run key → `valid_velocity_private`, … → accuracy."""
    found: dict[str, dict[str, float]] = {}
    with engine.connect() as connection:
        rows = connection.execute(_ACCURACIES, {"sweep": sweep})
        for key, part, task, subspace, accuracy in rows:
            found.setdefault(key, {})[f"{_PREFIXES[part]}{task}_{subspace}"] = accuracy
    return found


def _numbers(factors: Factors, accuracies: Mapping[str, float]) -> Row:
    numbers: Row = {
        f"{part}{name}": accuracies.get(f"{part}{name}")
        for part in PARTS
        for name in factors.accuracies
    }
    for task in factors.tasks:
        held, other = (numbers[side] for side in factors.sides(task))
        known = held is not None and other is not None
        numbers[f"delta_{task}"] = held - other if known else None
    return numbers
