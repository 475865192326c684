"""`sweeper list`: the sweeps of a database."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweeper.console.words import printable
from sweeper.ledger.connect import open_reader
from sweeper.ledger.overview import Overview, overviews

WIDEST = 10_000  # columns of a line


def show_list(db: str, as_json: bool, console: Console) -> None:
    """Prints a line for every sweep, the one launched last first."""
    rows = overviews(open_reader(db))
    if as_json:
        print(json.dumps([_document(row) for row in rows]))
    elif rows:
        table = _table(rows)
        # As wide as it is: a name that is cut is no name.
        natural = console.measure(table, options=console.options.update(width=WIDEST))
        console.width = max(console.width, natural.maximum)
        console.print(table)
    else:
        console.print("this database holds no sweep yet; run `sweeper launch` first")


def _document(row: Overview) -> dict[str, Any]:
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
    }


def _table(rows: list[Overview]) -> Table:
    heads = ["sweep", "cells", "state", "seeds", "dataset", "encoder", "preset", "launched"]
    if has_notes := any(row.sweep.note for row in rows):
        heads.append("note")
    table = Table(box=None, header_style="dim")
    for head in heads:
        table.add_column(head, no_wrap=True)
    for row in rows:
        document = _document(row)
        cells = (
            row.sweep.name,
            f"{row.finished}/{row.total}",
            row.state,
            row.seeds,
            document["dataset"] or "?",
            ", ".join(name or "?" for name in document["encoders"]),
            document["preset"] or "?",
            f"{row.sweep.launched.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}",
            *([printable(row.sweep.note or "")] if has_notes else []),
        )
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table
