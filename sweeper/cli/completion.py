"""What a shell offers for an option: names that are known here, cheaply, and never an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer


def _offered(names: Callable[[typer.Context], Iterable[str]]) -> Callable[..., list[str]]:
    """A callback that offers the names which begin with what is typed so far."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [name for name in names(ctx) if name.startswith(incomplete)]
        except Exception:  # a database that is none, a directory that is gone: nothing is offered
            return []

    return complete


@_offered
def presets(_context: typer.Context) -> Iterable[str]:
    from sweeper.study.presets import PRESETS

    return PRESETS


@_offered
def grids(_context: typer.Context) -> Iterable[str]:
    from sweeper.study.grid import GRIDS

    return [*GRIDS, *sorted(str(path) for path in Path().glob("*.toml"))]


@_offered
def encoders(_context: typer.Context) -> Iterable[str]:
    from models.encoders import ENCODERS, PRETRAINED

    return [*ENCODERS, *PRETRAINED]


@_offered
def datasets(_context: typer.Context) -> Iterable[str]:
    from sweeper.data import DATASETS

    return DATASETS


@_offered
def sweeps(context: typer.Context) -> Iterable[str]:
    """Of the database that the line names, the one launched last first."""
    from sqlalchemy import text

    from sweeper.ledger.connect import open_reader

    engine = open_reader(context.params.get("db") or "results.db")
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT name FROM sweeps ORDER BY launch DESC")))
