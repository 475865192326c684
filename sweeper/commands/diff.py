"""`sweeper diff`: what sets two sweeps of a database apart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from sqlalchemy import Engine

from analysis.factors import tasks_of
from sweeper.console.listing import Fitting, listing
from sweeper.errors import NAMED, SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.states import State
from sweeper.study.config import RunConfig, changes

DIGEST = 64  # hex digits of a SHA-256


def show_diff(db: str, a: str, b: str, as_json: bool, console: Console) -> None:
    """Prints what sets sweep `b` apart from sweep `a`."""
    document = diff(open_reader(db), a, b)
    if as_json:
        print(json.dumps(document))
    else:
        _print(document, console)


def diff(engine: Engine, a: str, b: str) -> dict[str, Any]:
    """What sets sweep `b` apart from sweep `a`, as JSON has it. Raises SweeperError if a is b."""
    if a == b:
        raise SweeperError(f"'{a}' twice: name two sweeps")
    old, new = read.find_sweep(engine, a), read.find_sweep(engine, b)
    before, after = _by_label(engine, old), _by_label(engine, new)
    common = [label for label in before if label in after]
    rows = [read.results(engine, name).set_index("label").loc[common] for name in (a, b)]
    finished = (rows[0]["state"] == State.FINISHED) & (rows[1]["state"] == State.FINISHED)
    return {
        "a": a,
        "b": b,
        "options": _listed(changes(_told(old.options), _told(new.options))),
        "common": len(common),
        "same_run": sum(before[label].key == after[label].key for label in common),
        "config": _config(before, after, common),
        "only_a": [label for label in before if label not in after],
        "only_b": [label for label in after if label not in before],
        "finished_in_both": int(finished.sum()),
        "numbers": _paired(rows[0][finished], rows[1][finished]),
    }


def _told(options: Mapping[str, Any]) -> dict[str, Any]:
    """A launch's options, less its grid file: what that says is in the cells and their configs."""
    return {name: value for name, value in options.items() if name != "grid_file"}


def _by_label(engine: Engine, sweep: read.SweepInfo) -> dict[str, RunConfig]:
    return {cell.label: run for cell, run in read.cells_of(engine, sweep.id)}


def _listed(changed: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{"field": name, "a": was, "b": now} for name, (was, now) in changed.items()]


def _config(
    before: Mapping[str, RunConfig], after: Mapping[str, RunConfig], common: Sequence[str]
) -> list[dict[str, Any]]:
    """Each change of a field once, with the common cells that it holds for."""
    labels: dict[str, list[str]] = {}
    told: dict[str, dict[str, Any]] = {}
    for label in common:
        pair = dataclasses.asdict(before[label]), dataclasses.asdict(after[label])
        for change in _listed(changes(*pair)):
            text = json.dumps(change)
            told[text] = change
            labels.setdefault(text, []).append(label)
    return [{**change, "cells": labels[text]} for text, change in told.items()]


def _paired(a: pd.DataFrame, b: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each number the differences b - a of the cells that have it in both."""
    rows, tasks = [], [task for task in tasks_of(a) if task in tasks_of(b)]
    overalls = (f"{task}_overall" for task in tasks)
    for name in (*(f"delta_{task}" for task in tasks), *overalls, "mse"):
        differences = (b[name].astype(float) - a[name].astype(float)).dropna()
        if len(differences):
            mean, low, high = differences.mean(), differences.min(), differences.max()
            spread = {"mean": float(mean), "min": float(low), "max": float(high)}
            rows.append({"number": name, "cells": len(differences), **spread})
    return rows


def _print(document: dict[str, Any], console: Console) -> None:
    a, b, common = document["a"], document["b"], document["common"]
    lines = [f"from '{a}' to '{b}'"]
    lines += [f"option {_change(change)}" for change in document["options"]]
    for change in document["config"]:
        cells = len(change["cells"])
        where = "" if cells == common else f", in {cells} of {common} common cells"
        lines.append(f"{_change(change)}{where}")
    for name, labels in ((a, document["only_a"]), (b, document["only_b"])):
        if labels:
            more = f", and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
            lines.append(f"only in '{name}': {', '.join(labels[:NAMED])}{more}")
    lines.append(
        f"common cells: {common}; {document['same_run']} show the same run in both; "
        f"{document['finished_in_both']} are finished in both"
    )
    console.print("\n".join(lines), markup=False)
    if document["numbers"]:
        console.print(f"\n'{b}' less '{a}', cell by cell", markup=False)
        console.print(_table(document["numbers"]))


def _change(change: Mapping[str, Any]) -> str:
    return f"{change['field']} {_short(change['a'])} → {_short(change['b'])}"


def _short(value: Any) -> Any:
    """A digest by its first digits."""
    return value[:12] if isinstance(value, str) and len(value) == DIGEST else value


def _table(rows: Sequence[Mapping[str, Any]]) -> Fitting:
    heads = ("number", "mean difference", "cells", "min", "max")
    told = []
    for row in rows:
        mean, low, high = (f"{row[name]:+.4f}" for name in ("mean", "min", "max"))
        told.append((row["number"], mean, row["cells"], low, high))
    return listing(heads, told)
