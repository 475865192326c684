"""`sweeper forget`: the name is free again, and what its runs scored is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sweeper.ledger.connect import open_writer
from sweeper.ledger.write import Ledger
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.commands.conftest import LAUNCH, query, write_grid

KEPT = """SELECT runs.key, attempts.state, scores.mse FROM runs
    JOIN attempts ON attempts.run_id = runs.id JOIN scores ON scores.run_id = runs.id"""


def test_a_forgotten_sweeps_name_is_free_and_its_runs_stay(trained: Sweeper) -> None:
    before = query(KEPT)
    code, out, err = trained("forget", "toy-smoke", "--yes")
    assert code == 0, err
    assert "sweep 'toy-smoke': its 5 cells go" in out and out.endswith("forgot 'toy-smoke'\n")
    assert query("SELECT * FROM cells") == [] and query(KEPT) == before
    assert query("SELECT kind, detail FROM events") == [
        ("forgotten", "'toy-smoke' and its 5 cells")
    ]
    assert json.loads(trained("list", "--json")[1]) == []
    assert "holds no sweep yet" in trained("status")[2]
    write_grid("toy", epochs=2)  # other settings: the cells of the old sweep would be in the way
    assert trained(*LAUNCH, "--grid", "toy.toml")[0] == 0
    assert [row["sweep"] for row in json.loads(trained("list", "--json")[1])] == ["toy-smoke"]
    write_grid("toy")
    code, out, _ = trained(*LAUNCH, "--grid", "toy.toml", "--name", "again")
    assert code == 0 and "nothing left to train" in out


def test_a_name_can_be_forgotten_twice_in_a_second(trained: Sweeper) -> None:
    for _ in range(2):
        assert trained("forget", "toy-smoke", "--yes")[0] == 0
        assert trained(*LAUNCH, "--grid", "toy.toml")[0] == 0
    assert len(query("SELECT DISTINCT name FROM sweeps WHERE name LIKE '%(forgotten %'")) == 2
    assert len(query("SELECT * FROM attempts")) == 4


def test_a_forgotten_sweep_is_not_recovered(trained: Sweeper) -> None:
    trained(*LAUNCH, "--grid", "toy.toml", "--name", "other")
    assert trained("forget", "toy-smoke", "--yes")[0] == 0
    code, out, _ = trained("recover")
    assert code == 0 and out == "other: 4 of 4 runs recovered\n"
    Path("results.db").unlink()
    assert trained("recover")[1] == "other: 4 of 4 runs recovered\n"


def test_nothing_is_forgotten_without_a_word_of_the_user(
    trained: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = trained("forget", "toy-smoke")
    assert (code, out) == (1, "") and err.count("\n") == 1 and "--yes" in err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda text: asked.append(text))
    code, out, _ = trained("forget", "toy-smoke")
    assert (code, out) == (1, "nothing was changed\n")
    assert asked[0].endswith("Go on?")
    assert len(query("SELECT * FROM cells")) == 5
    monkeypatch.setattr("typer.confirm", lambda text: True)
    assert trained("forget", "toy-smoke")[0] == 0


def test_a_sweep_with_a_driver_at_work_is_not_forgotten(trained: Sweeper) -> None:
    engine = open_writer("results.db")
    with Ledger.of(engine, "toy-smoke"):
        code, _, err = trained("forget", "toy-smoke", "--yes")
    engine.dispose()
    assert code == 3 and "another driver holds sweep 'toy-smoke'" in err
    assert len(query("SELECT * FROM cells")) == 5


def test_an_unknown_sweep_is_not_made_to_be_forgotten(trained: Sweeper) -> None:
    code, _, err = trained("forget", "toy-smok", "--yes")
    assert code == 1 and "did you mean 'toy-smoke'?" in err
    assert query("SELECT name FROM sweeps") == [("toy-smoke",)]


@pytest.mark.parametrize("verb", [("forget", "toy-smoke"), ("retrain", "encoder seed 0")])
def test_a_storage_that_cannot_be_written_leaves_the_database_as_it_was(
    trained: Sweeper, tmp_path: Path, verb: tuple[str, str]
) -> None:
    before = query(KEPT)
    shutil.rmtree(tmp_path / "cache" / "ledgers")
    (tmp_path / "cache" / "ledgers").write_text("in the way")
    code, _, err = trained(*verb, "--yes")
    assert code == 1 and err.startswith("sweeper: cannot write to ") and err.count("\n") == 1
    assert query(KEPT) == before and len(query("SELECT * FROM cells")) == 5
