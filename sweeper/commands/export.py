"""The `results` view, of a sweep or of all of them, as a file for other tools; or the document."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.commands.logs import TOOLS, write_logs
from sweeper.console.words import counted, printable
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine


def export(
    db: str, name: str | None, every: bool, format: str, out: Path | None, by: str = "cell"
) -> None:
    """Writes one row a cell, of every sweep if asked, as csv, json (a list) or parquet.

    For tensorboard, mlflow and wandb: its finished runs, as logs in the directory `out`. By
    `configuration`: its means over seeds, with their intervals. As `document`: what the report
    page shows. Both of every sweep that is a grid if asked.
    """
    if every and name is not None:
        raise SweeperError(f"--all is every sweep; leave out '{name}', or --all")
    engine = open_reader(db)
    if format == "parquet" and out is None:
        raise SweeperError("parquet is no text; give a file with --out")
    sweep = read.find_sweep(engine, name)
    if format in TOOLS:
        if by != "cell":
            raise SweeperError(f"{format} takes runs; leave out --by {by}")
        asked = [other.name for other in read.sweeps(engine)] if every else [sweep.name]
        _log(engine, asked, format, out)
        return
    grids = [other.name for other in read.sweeps(engine) if not other.compares_encoders]
    if format == "document":
        text = json.dumps(document_of(engine, grids if every else [sweep.name], db)) + "\n"
    else:
        if by == "configuration":
            if sweep.compares_encoders and not every:
                raise SweeperError(f"sweep '{sweep.name}' compares encoders: export it by cell")
            frame = estimates(engine, grids if every else [sweep.name])
        else:
            frame = read.results(engine, None if every else sweep.name)
        text = "" if format == "parquet" else _text(frame, format)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        if format == "parquet":
            frame.to_parquet(out, index=False)
        else:
            out.write_text(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SweeperError(f"cannot write {out}: {reason}; give another --out") from None


def estimates(engine: Engine, sweeps: list[str]) -> pd.DataFrame:
    """Means over seeds and their 95 % intervals, as `analysis.estimates` has them: one row a
    configuration of each sweep, and of each place on its further axes."""
    from analysis.estimates import bounded
    from analysis.facets import tabulated
    from analysis.results import load_results

    return tabulated((load_results(engine, name) for name in sweeps), bounded)


def _log(engine: Engine, sweeps: list[str], tool: str, out: Path | None) -> None:
    """For another tool, whose files are many."""
    if out is None:
        raise SweeperError(f"{tool} takes a directory; give one with --out")
    written, had = write_logs(engine, sweeps, tool, out)
    known = f"; {counted(had, 'run')} had been there" if had else ""
    sys.stdout.write(f"{counted(written, 'run')} written to {printable(out)}{known}\n")


def _text(frame: pd.DataFrame, format: str) -> str:
    if format == "json":
        return str(frame.to_json(orient="records", indent=2)) + "\n"
    return str(frame.to_csv(index=False))
