"""A connection for as long as something is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from sweeper.ledger.connect import open_reader


@contextmanager
def reader(db: str) -> Iterator[Engine]:
    """Raises SweeperError where there is no such database."""
    engine = open_reader(db)
    try:
        yield engine
    finally:
        engine.dispose()
