"""`sweeper diff`: what two sweeps differ in, each thing once."""

from __future__ import annotations

import dataclasses
import json

import pytest
from sqlalchemy import Engine

from sweeper.ledger.write import Ledger
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.conftest import scored, train

Smoke = list[tuple[Cell, RunConfig]]


def longer(run: RunConfig) -> RunConfig:
    """The same run with more epochs of the probe, and of the training where there is one."""
    training = run.training and dataclasses.replace(run.training, epochs=9)
    probe = dataclasses.replace(run.probe, epochs=7)
    return dataclasses.replace(run, training=training, probe=probe)


@pytest.fixture
def two(db: str, engine: Engine, smoke: Smoke) -> str:
    """Sweep a: four cells. Sweep b: the first three of them trained longer, and one of its own."""
    with Ledger.of(engine, "a") as a:
        a.register({"grid": "smoke", "pack": None}, smoke)
        train(a, "pa", [scored(run.key, 0.5) for _, run in smoke])
    other = [(cell, longer(run)) for cell, run in smoke if cell.kind == "multiview"]
    cell, run = other[0]
    other.append((dataclasses.replace(cell, seed=1), dataclasses.replace(run, seed=1)))
    with Ledger.of(engine, "b") as b:
        b.register({"grid": "other.toml", "pack": None}, other)
        train(b, "pb", [scored(other[0][1].key, 0.6), scored(other[1][1].key, 0.8)])
    engine.dispose()
    return db


def test_a_difference_of_all_common_cells_is_told_once(sweeper: Sweeper, two: str) -> None:
    code, out, _ = sweeper("diff", "a", "b", "--db", two)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "from 'a' to 'b'"
    assert "option grid smoke → other.toml" in lines
    assert "training.epochs 2 → 9" in lines
    assert "probe.epochs 3 → 7" in lines
    assert "only in 'a': encoder seed 0" in lines
    assert "only in 'b': Cosine SEP λ=0 seed 1" in lines
    assert "common cells: 3; 0 show the same run in both; 2 are finished in both" in lines
    assert not [line for line in lines if "pack" in line]


def test_numbers_are_compared_cell_by_cell(sweeper: Sweeper, two: str) -> None:
    document = json.loads(sweeper("diff", "a", "b", "--json", "--db", two)[1])
    numbers = {row.pop("number"): row for row in document["numbers"]}
    expected = {"cells": 2, "mean": 0.2, "min": 0.1, "max": 0.3}
    assert numbers["pitch_overall"] == pytest.approx(expected)
    assert numbers["delta_pitch"] == {"cells": 2, "mean": 0.0, "min": 0.0, "max": 0.0}
    assert document["finished_in_both"] == 2
    back = json.loads(sweeper("diff", "b", "a", "--json", "--db", two)[1])
    assert back["numbers"][2]["mean"] == pytest.approx(-0.2)


def test_a_difference_of_some_cells_says_of_how_many(
    sweeper: Sweeper, db: str, engine: Engine, smoke: Smoke
) -> None:
    with Ledger.of(engine, "a") as ledger:
        ledger.register({}, smoke)
    with Ledger.of(engine, "b") as ledger:
        ledger.register({}, [(smoke[0][0], longer(smoke[0][1])), *smoke[1:]])
    out = sweeper("diff", "a", "b", "--db", db)[1]
    assert "training.epochs 2 → 9, in 1 of 4 common cells" in out
    assert "common cells: 4; 3 show the same run in both; 0 are finished in both" in out
    assert "mean difference" not in out


def test_two_sweeps_without_a_common_cell_have_nothing_to_compare(
    sweeper: Sweeper, db: str, engine: Engine, smoke: Smoke
) -> None:
    for name, cells in (("a", smoke[:2]), ("b", smoke[2:])):
        with Ledger.of(engine, name) as ledger:
            ledger.register({}, cells)
    code, out, _ = sweeper("diff", "a", "b", "--db", db)
    assert code == 0 and "common cells: 0" in out


@pytest.mark.parametrize(
    ("names", "says"),
    [(("a", "a"), "'a' twice: name two sweeps"), (("a", "bee"), "no sweep 'bee'")],
)
def test_two_sweeps_must_be_named(
    sweeper: Sweeper, two: str, names: tuple[str, str], says: str
) -> None:
    code, _, err = sweeper("diff", *names, "--db", two)
    assert code == 1 and says in err and err.count("\n") == 1
