"""Between the command line and the analysis: opens the database, names what was drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from sweeper.console.words import printable
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader

TABLES = (1,)


def write_report(
    db: str,
    name: str | None,
    figures: Sequence[str] | None,
    tables: Sequence[int] | None,
    out: Path,
    formats: Sequence[str],
    paper: bool,
    console: Console,
) -> None:
    """Draws the figures and tables asked for, all of them when none is named.

    Of a comparison of encoders, its own figure.
    """
    for number in tables or ():
        if number not in TABLES:
            choices = ", ".join(map(str, TABLES))
            raise SweeperError(f"there is no table {number}; choose from: {choices}")
    engine = open_reader(db)
    sweep = read.find_sweep(engine, name)
    if sweep.compares_encoders:
        if figures or tables:
            raise SweeperError(
                f"sweep '{sweep.name}' compares encoders and has a figure of its own; "
                "leave --figure and --table out, or name another sweep"
            )
        write_comparison(engine, sweep.name, out, formats, console)
        return
    from analysis.report import FIGURES, report_facets
    from analysis.results import load_results

    with clear_errors():
        if not figures and not tables:
            figures, tables = tuple(FIGURES), TABLES
        results = load_results(engine, sweep.name)
        written = report_facets(results, figures or (), tables or (), out, formats, paper)
    _print_lines([*written.paths, *written.omitted], console)


def write_comparison(
    engine: Engine, name: str, out: Path, formats: Sequence[str], console: Console
) -> None:
    """Draws a comparison of encoders and prints its table."""
    from analysis.comparison import load_comparison
    from analysis.figures.encoders import text_table
    from analysis.report import report_comparison

    with clear_errors():
        comparison = load_comparison(engine, name)
        written = report_comparison(comparison, out, formats)
    rows = text_table(comparison.table)
    table = Table(*rows.columns, box=None, header_style="dim")
    for row in rows.to_numpy().tolist():
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)
    _print_lines(written, console)


@contextmanager
def clear_errors() -> Iterator[None]:
    """What the analysis cannot draw, a user can mend."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise SweeperError(str(error)) from None


def _print_lines(lines: Iterable[Path | str], console: Console) -> None:
    for line in lines:
        console.print(printable(line), markup=False)
