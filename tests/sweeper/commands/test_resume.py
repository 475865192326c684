"""`sweeper resume` where another program is in its way."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.sweeper.cli.conftest import Sweeper


def test_a_sweep_that_ends_under_somebodys_lock_says_how_it_stands(
    trained: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.ledger.connect.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect("results.db", isolation_level=None)) as other:

        def train_missing(*_: object) -> tuple[int, None]:
            other.execute("BEGIN EXCLUSIVE")
            return 1, None

        monkeypatch.setattr("sweeper.commands.launch.train_missing", train_missing)
        code, out, err = trained("resume")
    assert (code, err) == (0, "")
    assert "toy-smoke: 5 of 5 cells finished" in out
