"""`sweeper report --claims`: the paper's claims as a table in the terminal, or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.commands.report import clear_errors
from sweeper.console.words import printable
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader

if TYPE_CHECKING:
    import pandas as pd

_COLOURS = {"supported": "green", "contradicted": "red", "undecided": "dim"}


def show_claims(db: str, name: str | None, as_json: bool, console: Console) -> None:
    """Prints each claim's verdict, statistic with its interval, seeds, and what would settle it.

    Of a sweep with further axes for each place on them. Writes nothing.
    """
    engine = open_reader(db)
    sweep = read.find_sweep(engine, name)
    if sweep.compares_encoders:
        raise SweeperError(f"sweep '{sweep.name}' compares encoders: no claim is about it")
    from analysis.facets import facets
    from analysis.findings import caution, findings, summary
    from analysis.results import load_results
    from analysis.trainings import Trainings

    documents = []
    for grid in facets(load_results(engine, sweep.name)).values():
        trainings = Trainings.of_results(grid)
        if not trainings.seeds:
            raise SweeperError(
                f"no run of '{grid.provenance.sweep}' is finished; go on with `sweeper resume`"
            )
        with clear_errors():
            table, told = findings(trainings), caution(trainings)
        documents.append(_document(grid.provenance.sweep, told, table))
        if not as_json:
            lines = [grid.provenance.line, told, summary(table)]
            console.print(*map(printable, lines), sep="\n", markup=False, highlight=False)
            console.print(_table(table))
            console.print("† also beside all the other claims (Holm)", style="dim")
    if as_json:
        print(json.dumps(documents, ensure_ascii=False, indent=2))


def _document(sweep: str, basis: str, table: pd.DataFrame) -> dict[str, Any]:
    rows = json.loads(table.to_json(orient="records"))
    return {"sweep": printable(sweep), "basis": basis, "claims": rows}


def _table(claims: pd.DataFrame) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", ratio=5)
    table.add_column("here [95 %]", ratio=4)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("needs", ratio=2)
    for _, row in claims.iterrows():
        verdict = Text(row["verdict"] + " †" * row["holm"], style=_COLOURS[row["verdict"]])
        claim = Text(printable(f"{row['section']} {row['claim']}"))
        cells = row["rests_on"].rpartition("; ")[0]  # less the seeds, which are n
        claim.append(printable(f"\ntrue where {row['rule']}"), style="dim")
        claim.append(printable(f"\n{cells}" if cells else ""), style="dim")
        here, needs = (Text(printable(row[name])) for name in ("ours", "needs"))
        table.add_row(verdict, claim, here, str(row["seeds"]), needs)
    return table
