"""The sweeps of a database."""

from __future__ import annotations

from os import PathLike

import pandas as pd

from sweeper.api.reading import reader
from sweeper.api.sweep import Sweep
from sweeper.commands.list import document
from sweeper.ledger import read
from sweeper.ledger.overview import overviews
from sweeper.ledger.url import DEFAULT


def open(db: str | PathLike[str] = DEFAULT, sweep: str | None = None) -> Sweep:
    """A sweep of a database (a SQLite file or a URL): the one launched last unless it is named.

    Nothing is written. Raises SweeperError where there is no such database or sweep.

    >>> sweeper.open("results.db", "toy-smoke").name
    'toy-smoke'
    """
    with reader(str(db)) as engine:
        return Sweep(str(db), read.find_sweep(engine, sweep).name)


def sweeps(db: str | PathLike[str] = DEFAULT) -> pd.DataFrame:
    """One row a sweep, the one launched last first, as `sweeper list --json` has them: `sweep`,
    `cells`, `cells_finished`, `state`, `seeds` (counts), `launched` (UTC), `note` and more.

    Raises SweeperError where there is no such database.

    >>> sweeper.sweeps()[["sweep", "cells", "cells_finished", "state"]]
           sweep  cells  cells_finished     state
    0  toy-smoke      5               5  finished
    """
    with reader(str(db)) as engine:
        frame = pd.DataFrame([document(row, str(db)) for row in overviews(engine)])
    return frame.assign(launched=pd.to_datetime(frame["launched"])) if len(frame) else frame
