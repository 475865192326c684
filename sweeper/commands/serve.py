"""`sweeper serve`: the report page of a database, live."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sweeper.errors import redact
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.page.gate import token_for
from sweeper.page.server import address, listening, run


def serve(
    db: str, names: Sequence[str], host: str, port: int, token: str | None, console: Console
) -> int:
    """Serves the page until a signal; returns the exit code.

    Raises SweeperError where there is no such database, sweep or port.
    """
    token = token_for(host, token)
    engine = open_reader(db)
    for name in names:
        read.find_sweep(engine, name)
    engine.dispose()
    with listening(host, port) as bound:
        line = f"{redact(db)} is shown at {address(bound, token)} until Ctrl-C"
        console.print(line, markup=False)
        return run(db, names, host, token, bound)
