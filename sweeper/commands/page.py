"""`sweeper report --html`: a sweep, or several side by side, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sweeper.console.words import printable
from sweeper.errors import SweeperError
from sweeper.ledger.connect import open_reader


def write_page(db: str, names: Sequence[str], out: Path, console: Console) -> None:
    """Writes `report.html` into `out`: the sweeps named, or the one launched last."""
    from analysis.files import write_files
    from analysis.html import page
    from sweeper.page.document import document_of  # late: it brings pandas

    content = page(document_of(open_reader(db), names, db)).encode()
    try:
        (path,) = write_files({"report.html": content}, out)
    except ValueError as error:
        raise SweeperError(str(error)) from None
    console.print(printable(path), markup=False)
