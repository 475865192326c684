"""A toy sweep trained in this process, by the command line, in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

LAUNCH = ("launch", "--preset", "smoke", "--executor", "inline", "--device", "cpu")


@pytest.fixture
def trained(sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeper:
    """The command line where `results.db` holds the finished sweep `toy-smoke` of five cells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    toy.make_latents()
    write_grid("toy")
    assert sweeper(*LAUNCH, "--grid", "toy.toml")[0] == 0
    return sweeper


def write_grid(name: str, lambdas: str = "[0.6, 1.0]", epochs: int = 1) -> None:
    text = toy.GRID.replace("[0.0, 0.6, 1.0]", lambdas).format(epochs=epochs)
    Path(f"{name}.toml").write_text(text)


def query(sql: str) -> list[tuple]:
    import sqlite3

    connection = sqlite3.connect("results.db")
    rows = connection.execute(sql).fetchall()
    connection.close()
    return rows
