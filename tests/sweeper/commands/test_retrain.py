"""`sweeper retrain`: a cell's run is trained again, and its old numbers are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeper.ledger.connect import open_writer
from sweeper.ledger.write import Ledger, Provenance, RunResult
from tests.sweeper.cli.conftest import Sweeper
from tests.sweeper.commands.conftest import LAUNCH, query
from tests.sweeper.conftest import train

CELL = "Cosine SEP λ=0.6 seed 0"
REFERENCE = "Cosine SEP λ=1 seed 0"
RESUME = ("resume", "--executor", "inline")


def states(sweeper: Sweeper, *arguments: str) -> dict[str, str]:
    rows = json.loads(sweeper("export", "--format", "json", *arguments)[1])
    return {row["label"]: row["state"] for row in rows}


def key_of(label: str) -> str:
    ((key,),) = query(f"SELECT run_key FROM results WHERE label = '{label}'")
    return str(key)


def ends(label: str, state: str) -> None:
    """Has the cell's run end in a state, as a driver would tell it."""
    engine = open_writer("results.db")
    with Ledger.of(engine, "toy-smoke") as ledger:
        train(ledger, "p", [RunResult(key_of(label), state, cause="odd")])
    engine.dispose()


def test_a_cell_is_pending_and_then_trained_again(trained: Sweeper) -> None:
    code, out, err = trained("retrain", CELL, "--yes")
    assert code == 0, err
    assert "1 run of sweep 'toy-smoke' to be trained again" in out
    assert out.endswith("1 run to be trained again: sweeper resume toy-smoke\n")
    assert {label for label, state in states(trained).items() if state == "pending"} == {CELL}
    assert query(f"SELECT state FROM results WHERE label = '{CELL}'") == [("pending",)]
    status = json.loads(trained("status", "--json")[1])
    assert (status["finished"], status["pending"]) == (3, 1)
    assert trained(*RESUME)[0] == 0
    tried = query(
        "SELECT attempts.state, cause FROM attempts JOIN cells USING (run_id) "
        f"WHERE label = '{CELL}' ORDER BY attempts.id"
    )
    again = ("pending", "to be trained again, as a user asked")
    assert tried == [("finished", None), again, ("finished", None)]
    assert set(states(trained).values()) == {"finished"}
    assert "nothing left to train" in trained(*RESUME)[1]


def test_the_old_numbers_stay_in_the_history(trained: Sweeper) -> None:
    ((run_id, mse),) = query(
        f"SELECT run_id, scores.mse FROM scores JOIN cells USING (run_id) WHERE label = '{CELL}'"
    )
    trained("retrain", CELL, "--yes")
    ((kind, detail),) = query("SELECT kind, detail FROM events")
    kept = json.loads(detail)
    assert kind == "retrain" and kept["cell"] == CELL
    assert (kept["scores"]["run_id"], kept["scores"]["mse"]) == (run_id, mse)


def test_no_result_file_brings_the_old_numbers_back(trained: Sweeper, tmp_path: Path) -> None:
    trained("retrain", CELL, "--yes")
    assert len(list((tmp_path / "cache").rglob("results/*.json"))) == 3
    assert key_of(CELL) not in {p.stem for p in (tmp_path / "cache").rglob("weights/*")}
    Path("results.db").unlink()
    assert trained("recover")[1] == "toy-smoke: 3 of 4 runs recovered\n"
    assert {label for label, state in states(trained).items() if state == "pending"} == {CELL}


def test_who_shares_the_run_and_whose_gamma_stays_is_told(trained: Sweeper) -> None:
    trained(*LAUNCH, "--grid", "toy.toml", "--name", "other")
    _, out, _ = trained("retrain", REFERENCE, "--sweep", "toy-smoke", "--yes")
    assert "in this sweep 1 more cell shows the same" in out
    assert "in sweep 'other' 2 more cells show the same" in out
    assert "γ of 2 runs trained already was measured against one of them, and stays" in out
    assert states(trained, "other")[REFERENCE] == "pending"


def test_two_cells_of_one_run_are_one_run(trained: Sweeper) -> None:
    _, out, _ = trained("retrain", REFERENCE, REFERENCE.replace("SEP", "SIM"), "--yes")
    assert out.startswith("1 run of sweep") and "in this sweep" not in out


def test_a_diverged_cell_can_be_trained_again(trained: Sweeper) -> None:
    trained("retrain", CELL, "--yes")
    ends(CELL, "diverged")
    assert states(trained)[CELL] == "diverged"
    assert trained("retrain", CELL, "--yes")[0] == 0
    assert states(trained)[CELL] == "pending"


def test_a_blocked_cell_has_the_run_trained_again_that_it_waits_for(trained: Sweeper) -> None:
    trained("retrain", CELL, REFERENCE, "--yes")
    ends(REFERENCE, "failed")
    assert states(trained)[CELL] == "blocked"
    assert trained("retrain", CELL, "--yes")[0] == 0
    assert (states(trained)[CELL], states(trained)[REFERENCE]) == ("pending", "pending")


def test_a_run_in_training_elsewhere_is_left_alone(trained: Sweeper) -> None:
    trained("retrain", CELL, "--yes")
    engine = open_writer("results.db")
    with Ledger.of(engine, "other") as ledger:
        ledger.start_attempts("p", [key_of(CELL)], Provenance())
        code, _, err = trained("retrain", CELL, "--sweep", "toy-smoke", "--yes")
    engine.dispose()
    assert code == 1 and f"'{CELL}' is in training by another driver" in err


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (
            ("Cosine SEP 0.6",),
            f"no cell 'Cosine SEP 0.6' in sweep 'toy-smoke'; did you mean '{CELL}'",
        ),
        ((CELL, "zzz"), "no cell 'zzz' in sweep 'toy-smoke'; it holds: Cosine SEP"),
        ((), "Missing argument"),
    ],
)
def test_an_unknown_cell_changes_nothing(
    trained: Sweeper, cells: tuple[str, ...], says: str
) -> None:
    code, _, err = trained("retrain", *cells, "--yes")
    assert code == 1 and says in err and err.count("\n") == 1
    assert set(states(trained).values()) == {"finished"}


def test_a_cell_that_waits_anyway_is_refused(trained: Sweeper) -> None:
    trained("retrain", CELL, "--yes")
    code, _, err = trained("retrain", CELL, "--yes")
    assert code == 1 and "waits to be trained anyway" in err
    assert len(query("SELECT * FROM events")) == 1


def test_nothing_is_taken_back_without_a_word_of_the_user(trained: Sweeper) -> None:
    code, out, err = trained("retrain", CELL)
    assert (code, out) == (1, "") and "--yes" in err
    assert set(states(trained).values()) == {"finished"}


def test_a_sweep_with_a_driver_at_work_is_held(trained: Sweeper) -> None:
    engine = open_writer("results.db")
    with Ledger.of(engine, "toy-smoke"):
        assert trained("retrain", CELL, "--yes")[0] == 3
    engine.dispose()


def test_a_copied_database_leaves_its_originals_files_alone(
    trained: Sweeper, tmp_path: Path
) -> None:
    Path("copy.db").write_bytes(Path("results.db").read_bytes())
    assert trained("retrain", CELL, "--db", "copy.db", "--yes")[0] == 0
    assert trained("forget", "toy-smoke", "--db", "copy.db", "--yes")[0] == 0
    assert len(list((tmp_path / "cache").rglob("results/*.json"))) == 4
    assert set(states(trained).values()) == {"finished"}
