"""The commands over what a database holds: its sweeps listed, compared, forgotten, trained anew."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.options import AsJson, Db, DbToWrite, Yes, agreement
from sweeper.console.terminal import console


def list_(db: Db = "results.db", as_json: AsJson = False) -> None:
    """List every sweep of the database, the one launched last first. Reads only.

    The state, in a word: running (a driver is at work), finished, unfinished (resume goes on),
    pending (nothing was tried yet), failed or diverged (all was tried), unknown (its driver, on
    another machine, is silent).
    """
    from sweeper.commands.list import show_list

    show_list(db, as_json, console())


def diff(
    a: Annotated[str, typer.Argument(help="A sweep.")],
    b: Annotated[str, typer.Argument(help="Another sweep of the same database.")],
    db: Db = "results.db",
    as_json: AsJson = False,
) -> None:
    """Say what sets two sweeps apart: options, config fields, cells, and what the cells scored.

    Numbers are compared cell by cell, B less A, over the cells of the same label that are finished
    in both. Reads only.
    """
    from sweeper.commands.diff import show_diff

    show_diff(db, a, b, as_json, console())


def forget(
    sweep: Annotated[str, typer.Argument(help="The sweep to forget.")],
    db: DbToWrite = None,
    yes: Yes = False,
) -> None:
    """Take a sweep's cells out of the database, so that its name is free for another grid.

    What its runs scored stays: other sweeps may show the same runs, and a later launch of the same
    cells finds them finished.
    """
    from sweeper.commands.forget import forget as take_out
    from sweeper.ledger.url import to_write

    raise typer.Exit(take_out(to_write(db), sweep, agreement(yes), console()))


def retrain(
    cells: Annotated[
        list[str],
        typer.Argument(
            metavar="CELL",
            help="Labels of cells as `sweeper export` shows them, each in quotes: "
            "'Cosine SEP λ=0.6 seed 0'.",
        ),
    ],
    sweep: Annotated[
        str | None, typer.Option("--sweep", help="Their sweep; the one launched last by default.")
    ] = None,
    db: DbToWrite = None,
    yes: Yes = False,
) -> None:
    """Have cells trained again by the next launch or resume, whatever has become of them.

    Their scores, result files and checkpoints go; the old numbers stay in the sweep's history.
    Diverged and failed cells may be named too.
    """
    from sweeper.commands.retrain import retrain as take_back
    from sweeper.ledger.url import to_write

    raise typer.Exit(take_back(to_write(db), sweep, cells, agreement(yes), console()))


def verify(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what can be mended; no stored result is touched."),
    ] = False,
    db: DbToWrite = None,
    as_json: AsJson = False,
) -> None:
    """Check that all that is stored is whole: database, storage, cached latents.

    Without --repair this only reads. Exit codes: 0 all is whole, 2 something is not.
    """
    from sweeper.commands.verify import verify as check
    from sweeper.ledger.url import DEFAULT, to_write

    db = to_write(db) if repair or db is not None else DEFAULT
    raise typer.Exit(check(db, repair=repair, as_json=as_json, console=console()))
