"""The `results` view of a sweep as a file for other tools."""

from __future__ import annotations

import sys
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader


def export(db: str, name: str | None, format: str, out: Path | None) -> None:
    """Writes one row a cell as csv, json (a list of objects) or parquet."""
    engine = open_reader(db)
    frame = read.results(engine, read.find_sweep(engine, name).name)
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
