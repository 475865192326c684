"""The `results` view, of a sweep or of all of them, as a file for other tools."""

from __future__ import annotations

import sys
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader


def export(db: str, name: str | None, every: bool, format: str, out: Path | None) -> None:
    """Writes one row a cell, of every sweep if asked, as csv, json (a list) or parquet."""
    if every and name is not None:
        raise SweeperError(f"--all is every sweep; leave out '{name}', or --all")
    engine = open_reader(db)
    sweep = read.find_sweep(engine, name)
    frame = read.results(engine, None if every else sweep.name)
    if format == "parquet":
        if out is None:
            raise SweeperError("parquet is no text; give a file with --out")
        frame.to_parquet(out, index=False)
        return
    if format == "json":
        text = frame.to_json(orient="records", indent=2) + "\n"
    else:
        text = frame.to_csv(index=False)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text)
