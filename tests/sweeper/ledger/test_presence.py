"""A database that is removed or replaced under its driver: nothing more is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.ledger.connect import open_writer
from sweeper.ledger.lease import MovedError


def test_a_database_that_was_removed_is_not_made_anew(file: str) -> None:
    engine = open_writer(file)
    engine.dispose()
    Path(file).unlink()
    with pytest.raises(MovedError, match=r"was removed .*`sweeper recover"):
        engine.connect()
    assert not Path(file).exists()


def test_a_file_that_took_the_databases_place_is_left_as_it_is(file: str, tmp_path: Path) -> None:
    open_writer(f"{file}.other").dispose()
    before = Path(f"{file}.other").read_bytes()
    engine = open_writer(file)
    with engine.connect() as connection:  # one that stays open, as a driver's does
        Path(f"{file}.other").replace(file)
        with pytest.raises(MovedError, match="was replaced by another file"):
            connection.execute(text("UPDATE meta SET ledger = 'spoilt'"))
    engine.dispose()
    assert Path(file).read_bytes() == before
