"""The `results` view of a sweep as a file for other tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader


def export(db: str, name: str | None, format: str, out: Path | None) -> None:
    """Writes one row a cell as csv, json (a list of objects) or parquet."""
    engine = open_reader(db)
    frame = read.results(engine, read.find_sweep(engine, name).name)
    if out is None:
        if format == "parquet":
            raise SweeperError("parquet is no text; give a file with --out")
        sys.stdout.write(_text(frame, format))
    elif format == "parquet":
        frame.to_parquet(out, index=False)
    else:
        out.write_text(_text(frame, format))


def _text(frame: pd.DataFrame, format: str) -> str:
    if format == "json":
        return str(frame.to_json(orient="records", indent=2)) + "\n"
    return str(frame.to_csv(index=False))
