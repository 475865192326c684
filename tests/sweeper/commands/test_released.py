"""Databases as every release has left them: resumed, reported, searched, recovered; nothing again.

The training is pretended: what counts is which runs are asked for.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeper.study.config import RunConfig
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.commands.conftest import query
from tests.sweeper.conftest import scored

ROOT = Path(__file__).parents[3]
DUMPS = sorted((ROOT / "tests/sweeper/ledger/released").glob("*.sql"))
SHIPPED = ROOT / "results.db"
RELEASES = [*DUMPS, SHIPPED]
SCORED = "SELECT runs.key, scores.mse FROM scores JOIN runs ON runs.id = run_id ORDER BY run_id"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """Runs that were trained, or so it is pretended."""
    runs: list[RunConfig] = []

    def train(assigned: Sequence[RunConfig], *_: Any, **__: Any) -> Any:
        runs.extend(assigned)
        return [scored(run.key) for run in assigned]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sweeper.sweep.prepare_all", lambda *_: None)
    monkeypatch.setattr("sweeper.worker.trial.latents_of", lambda *_, **__: None)
    monkeypatch.setattr("sweeper.worker.trial.train", train)
    return runs


def restore(release: Path) -> None:
    """`results.db` as that release has left it."""
    if release == SHIPPED:
        shutil.copy(release, "results.db")
        return
    with closing(sqlite3.connect("results.db")) as connection:
        connection.executescript(release.read_text())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_a_released_database_goes_on_and_trains_nothing_again(
    sweeper: Sweeper, asked: list[RunConfig], release: Path
) -> None:
    restore(release)
    code, out, err = sweeper("resume", "--executor", "inline")
    assert code == (0 if release == SHIPPED else 2), err  # one had failed, one diverged
    assert [run.kind for run in asked] == ([] if release == SHIPPED else ["encoder"])
    before = query(SCORED)
    assert len(before) > 98 if release == SHIPPED else len(before) == 2
    assert sweeper("report", "--table", "1")[0] == 0
    asked.clear()
    assert sweeper("search", "--trials", "1", "--executor", "inline")[0] == code
    assert asked and not {run.key for run in asked} & {key for key, _ in before}
    assert query(SCORED)[: len(before)] == before
    code, out, err = sweeper("verify", "--json")
    assert json.loads(out)["findings"] == [] and code == 0, err


@pytest.mark.parametrize("release", DUMPS, ids=lambda path: path.stem)
def test_what_a_released_driver_left_beside_its_database_is_recovered(
    sweeper: Sweeper, asked: list[RunConfig], release: Path
) -> None:
    """Manifest and results as they were written then: without checksums, by the keys of then."""
    restore(release)
    leave_as_then()
    Path("results.db").unlink()
    code, out, err = sweeper("recover")
    assert (code, out) == (0, "a: 1 of 4 runs recovered\n"), err
    assert json.loads(sweeper("status", "--json")[1])["finished"] == 1
    assert sweeper("resume", "--executor", "inline")[0] == 0
    assert len(asked) == 3
    code, out, err = sweeper("verify", "--json")
    assert json.loads(out)["findings"] == [] and code == 0, err


def leave_as_then() -> None:
    (ledger,) = query("SELECT ledger FROM meta")[0]
    root = Path("cache/ledgers") / ledger
    options = json.loads(query("SELECT options FROM sweeps")[0][0])
    rows = query(
        "SELECT key, config, kind, cells.principle, cells.objective, lam, seed FROM cells "
        "JOIN runs ON runs.id = run_id"
    )
    names = ("kind", "seed", "principle", "objective", "lam")
    cells = [
        {"cell": dict(zip(names, (kind, seed, *rest), strict=True)), "run": config}
        for _, config, kind, *rest, seed in rows
    ]
    documents = {
        "ledger.json": {"database": f"sqlite:///{Path('results.db').absolute()}", "launched": "1"},
        "sweeps/a.json": {"options": options, "cells": cells, "extra": []},
        f"results/{rows[0][0]}.json": {
            "pack": "then",
            "result": dataclasses.asdict(scored(rows[0][0])),
        },
    }
    for name, document in documents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(document))
