"""`sweeper forget`: a sweep's cells go, its name is free again, its runs stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from sweeper.ledger import read
from sweeper.ledger.connect import open_reader, writer
from sweeper.ledger.write import Ledger
from sweeper.storage.files import reachable
from sweeper.storage.results import remove_manifest
from sweeper.sweep import settle


def forget(db: str, name: str, agree: Callable[[Sequence[str]], bool], console: Console) -> int:
    """Forgets a sweep if the user agrees; returns the exit code.

    Raises SweepHeldError when a driver is at work on it.
    """
    reader = open_reader(db)
    sweep = read.find_sweep(reader, name)
    cells = len(read.cells_of(reader, sweep.id))
    reader.dispose()
    what = (
        f"sweep '{name}': its {cells} cells go, its name is free again, what its runs scored stays"
    )
    if not agree([what]):
        console.print("nothing was changed")
        return 1
    with reachable(), writer(db) as engine, Ledger.of(engine, name) as ledger:
        storage = settle(ledger, sweep.options.get("storage"))
        # First the file: who is killed in between finds the sweep as it was, to be forgotten again.
        remove_manifest(storage, name)
        ledger.forget()
    console.print(f"forgot '{name}'", markup=False)
    return 0
