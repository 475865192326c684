"""Between the command line and the analysis: opens the database, names what was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader

FIGURES = (2, 3, 4)
TABLES = (1,)


def write_report(
    db: str,
    name: str | None,
    figures: Sequence[int] | None,
    tables: Sequence[int] | None,
    out: Path,
    formats: Sequence[str],
    paper: bool,
    console: Console,
) -> None:
    """Draws the figures and tables asked for, all of them when none is named."""
    if not figures and not tables:
        figures, tables = FIGURES, TABLES
    _known("figure", figures or (), FIGURES)
    _known("table", tables or (), TABLES)
    engine = open_reader(db)
    sweep = read.find_sweep(engine, name)
    from analysis.report import report
    from analysis.results import load_results

    try:
        written = report(
            load_results(engine, sweep.name),
            figures=tuple(figures or ()),
            tables=tuple(tables or ()),
            out=out,
            formats=tuple(formats),
            paper=paper,
        )
    except (ValueError, OSError) as error:
        raise SweeperError(str(error)) from None
    for path in written:
        console.print(str(path), markup=False)


def _known(what: str, asked: Sequence[int], known: Sequence[int]) -> None:
    for number in asked:
        if number not in known:
            listed = ", ".join(map(str, known))
            raise SweeperError(f"there is no {what} {number}; choose from: {listed}")
