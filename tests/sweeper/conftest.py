"""A fresh database, a small sweep in it, and scores to fill it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sweeper.ledger.connect import open_writer
from sweeper.ledger.schema import ACCURACIES
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, run_config
from sweeper.study.presets import PRESETS


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "fresh.db")


@pytest.fixture
def engine(db: str) -> Iterator[Engine]:
    engine = open_writer(db)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Iterator[Ledger]:
    """This process holds a sweep of the name `a`."""
    with Ledger.of(engine, "a") as ledger:
        yield ledger


@pytest.fixture
def smoke() -> list[tuple[Cell, RunConfig]]:
    return [(cell, run_config(cell, PRESETS["smoke"])) for cell in load_grid("smoke").cells(1)]


def scored(key: str, accuracy: float = 0.5) -> RunResult:
    """A finished run whose twelve accuracies all are `accuracy`."""
    accuracies = {f"{part}{name}": accuracy for part in ("", "valid_") for name in ACCURACIES}
    scores = {"mse": 0.1, "gamma": 2.0, "best_epoch": 1, "valid_rec": 0.2}
    sizes = {"valid_size": 10, "test_size": 20}
    return RunResult(key, "finished", {**scores, **sizes, **accuracies}, [{"train_total": 1.0}])


def train(ledger: Ledger, pack: str, results: list[RunResult]) -> None:
    """What the driver does for one pack."""
    ledger.start_attempts(pack, [result.key for result in results], Provenance("here"))
    ledger.record(pack, results, seconds=1.0)
