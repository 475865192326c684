"""`sweeper list`: every sweep in a line, the newest first."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert

from sweeper.commands.list import next_command
from sweeper.ledger.overview import overviews
from sweeper.ledger.schema import CellRow, Run, Sweep
from sweeper.ledger.write import Ledger, RunResult
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.conftest import scored, train

Smoke = list[tuple[Cell, RunConfig]]
OPTIONS = {"grid": "smoke", "preset": "smoke", "dataset": "notes", "encoder": "logmel"}


def results_of(smoke: Smoke, states: Sequence[str]) -> list[RunResult]:
    return [
        scored(run.key) if state == "finished" else RunResult(run.key, state, cause="odd")
        for (_, run), state in zip(smoke, states, strict=False)
    ]


@pytest.mark.parametrize(
    ("states", "word", "then"),
    [
        ([], "pending", "resume 'a b'"),
        (["finished"] * 4, "finished", "report 'a b'"),
        (["finished"] * 3, "unfinished", "resume 'a b'"),
        (["finished", "failed"], "unfinished", "resume 'a b'"),
        (["finished", "failed", "diverged", "finished"], "failed", "resume 'a b' --retry-failed"),
        (["finished", "finished", "diverged", "finished"], "diverged", "report 'a b'"),
    ],
)
def test_a_sweeps_state_is_a_word_and_says_what_to_type_next(
    engine: Engine, smoke: Smoke, states: list[str], word: str, then: str
) -> None:
    with Ledger.of(engine, "a b") as ledger:
        ledger.register(OPTIONS, smoke)
        if states:
            train(ledger, "p", results_of(smoke, states))
    (row,) = overviews(engine)
    assert row.state == word
    assert next_command(row, "results.db").replace(" --db results.db", "") == f"sweeper {then}"
    assert (row.finished, row.total, row.seeds) == (states.count("finished"), 4, 1)


def test_a_sweep_whose_driver_is_at_work_is_running(ledger: Ledger, smoke: Smoke) -> None:
    ledger.register(OPTIONS, smoke)
    (row,) = overviews(ledger.engine)
    assert row.state == State.RUNNING
    assert next_command(row, "x.db") == "sweeper status a --db x.db --watch"


def test_status_of_all_sweeps_and_sweeper_alone_say_what_is_missing_and_how_old(
    sweeper: Sweeper,
    engine: Engine,
    db: str,
    smoke: Smoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Ledger.of(engine, "a") as ledger:
        ledger.register(OPTIONS, smoke)
        train(ledger, "p", results_of(smoke, ["finished", "failed"]))
    code, out, _ = sweeper("status", "--all", "--db", db)
    assert code == 0
    row = " ".join(out.splitlines()[1].split())
    assert row == f"a 1/4 2 1 unfinished just now sweeper resume a --db {db}"
    assert json.loads(sweeper("status", "--all", "--json", "--db", db)[1])[0]["sweep"] == "a"
    assert "leave out the name" in sweeper("status", "a", "--all", "--db", db)[2]
    monkeypatch.chdir(tmp_path)
    assert "Usage: sweeper" in sweeper()[1]
    engine.dispose()
    Path(db).rename("results.db")
    code, out, _ = sweeper()
    assert (code, " ".join(out.splitlines()[1].split())) == (0, row.partition(" --db")[0])
    assert "sweeper --help" in out


def test_the_newest_launch_stands_first_and_scripts_get_json(
    sweeper: Sweeper, db: str, engine: Engine, smoke: Smoke
) -> None:
    for name in ("old", "new", "old"):
        with Ledger.of(engine, name) as ledger:
            ledger.register(OPTIONS, smoke)
            train(ledger, f"p {name}", [scored(smoke[0][1].key)])
    code, out, _ = sweeper("list", "--json", "--db", db)
    first, second = json.loads(out)
    assert code == 0 and (first["sweep"], second["sweep"]) == ("old", "new")
    assert first.pop("launched").endswith("+00:00")
    assert first == {
        "sweep": "old",
        "note": None,
        "cells": 4,
        "cells_finished": 1,
        "state": "unfinished",
        "states": {"finished": 1, "pending": 3},
        "seeds": 1,
        "dataset": "notes",
        "encoders": ["logmel"],
        "preset": "smoke",
        "next": f"sweeper resume old --db {db}",
    }
    lines = sweeper("list", "--db", db)[1].splitlines()
    assert lines[1].split()[:6] == ["old", "1/4", "unfinished", "1", "notes", "logmel"]


def test_a_long_name_is_not_cut(sweeper: Sweeper, db: str, engine: Engine, smoke: Smoke) -> None:
    name = "[b]" + "long " * 30
    with Ledger.of(engine, name) as ledger:
        ledger.register(OPTIONS, smoke)
    assert name.strip() in sweeper("list", "--db", db)[1]


def test_a_database_without_a_sweep_says_so(sweeper: Sweeper, db: str, engine: Engine) -> None:
    assert "no sweep yet" in sweeper("list", "--db", db)[1]
    assert json.loads(sweeper("list", "--json", "--db", db)[1]) == []


def test_a_thousand_sweeps_are_listed_in_a_few_queries(engine: Engine) -> None:
    runs, sweeps = range(1, 58), range(1, 1001)
    options = json.dumps(OPTIONS)
    rows = {
        Sweep: [{"id": n, "name": f"s{n}", "options": options, "launch": n} for n in sweeps],
        Run: [{"id": n, "key": f"k{n}", "config": "{}"} for n in runs],
        CellRow: [
            {"sweep_id": s, "run_id": r, "label": f"c{r}", "kind": "multiview", "seed": r % 3}
            for s in sweeps
            for r in runs
        ],
    }
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    started = time.monotonic()
    listed = overviews(engine)
    assert time.monotonic() - started < 5
    assert len(statements) < 10
    assert [row.sweep.name for row in listed[:2]] == ["s1000", "s999"]
    assert (listed[0].total, listed[0].seeds, listed[0].state) == (57, 3, "pending")
