"""`sweeper list`: the sweeps of a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from sweeper.console.listing import Fitting, listing
from sweeper.console.summary import command
from sweeper.console.words import ago
from sweeper.ledger.connect import open_reader
from sweeper.ledger.overview import Overview, overviews
from sweeper.states import State

# What to type next of a sweep, by its state.
NEXT: dict[str, str] = {
    State.RUNNING: "status {} --watch",
    State.UNKNOWN: "status {} --watch",
    State.FINISHED: "report {}",
    State.DIVERGED: "report {}",
    State.FAILED: "resume {} --retry-failed",
}
GO_ON = "resume {}"


def show_list(db: str, as_json: bool, console: Console) -> None:
    """Prints a line for every sweep, the one launched last first."""
    _show(db, as_json, console, _table)


def show_next(db: str, as_json: bool, console: Console) -> None:
    """The same, with what is missing of each and what to type next."""
    _show(db, as_json, console, lambda rows: _next_table(rows, db))


def _show(
    db: str, as_json: bool, console: Console, table_of: Callable[[list[Overview]], Fitting]
) -> None:
    rows = overviews(open_reader(db))
    if as_json:
        print(json.dumps([document(row, db) for row in rows]))
    elif rows:
        console.print(table_of(rows))
    else:
        console.print("this database holds no sweep yet; run `sweeper launch` first")


def next_command(row: Overview, db: str) -> str:
    """What to type next, quoted for a shell."""
    verb, _, flag = NEXT.get(row.state, GO_ON).partition(" {}")
    return command(verb, row.sweep.name, db) + flag


def document(row: Overview, db: str) -> dict[str, Any]:
    """What --json says of a sweep."""
    options = row.sweep.options
    compared = dict.fromkeys((options.get("encoders") or {}).values())
    return {
        "sweep": row.sweep.name,
        "cells": row.total,
        "cells_finished": row.finished,
        "state": row.state,
        "states": dict(row.cells),
        "seeds": row.seeds,
        "dataset": options.get("dataset"),
        "encoders": list(compared) or [options.get("encoder")],
        "preset": options.get("preset"),
        "launched": row.sweep.launched.replace(tzinfo=UTC).isoformat(),
        "note": row.sweep.note,
        "next": next_command(row, db),
    }


def _next_table(rows: list[Overview], db: str) -> Fitting:
    heads = ("sweep", "done", "missing", "failed", "state", "launched", "next")
    told = []
    for row in rows:
        failed = row.cells.get(State.FAILED, 0) + row.cells.get(State.DIVERGED, 0)
        age = (datetime.now(UTC) - row.sweep.launched.replace(tzinfo=UTC)).total_seconds()
        done, missing = f"{row.finished}/{row.total}", row.total - row.finished - failed
        then = next_command(row, db)
        told.append((row.sweep.name, done, missing, failed, row.state, ago(age), then))
    return listing(heads, told, alone="next")


def _table(rows: list[Overview]) -> Fitting:
    heads = ["sweep", "cells", "state", "seeds", "dataset", "encoder", "preset", "launched"]
    if has_notes := any(row.sweep.note for row in rows):
        heads.append("note")
    cells = []
    for row in rows:
        told = document(row, "")
        cells.append(
            (
                row.sweep.name,
                f"{row.finished}/{row.total}",
                row.state,
                row.seeds,
                told["dataset"] or "?",
                ", ".join(name or "?" for name in told["encoders"]),
                told["preset"] or "?",
                f"{row.sweep.launched.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}",
                *([row.sweep.note or ""] if has_notes else []),
            )
        )
    return listing(heads, cells)
