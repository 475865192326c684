"""A run that raises, or wants more memory than there is: found, given up, and alone in that."""

from __future__ import annotations

import pandas as pd
import pytest

from sweeper.study.grid import load_grid
from sweeper.study.plan import reference_of
from sweeper.study.request import Request
from sweeper.sweep import expand
from tests.faults import toy
from tests.faults.conftest import Sweep, counts

pytestmark = pytest.mark.faults

GUILTY = "Cosine SEP λ=0.6 seed 0"


def hurt(sweep: Sweep, undisturbed: pd.DataFrame, action: str) -> list[tuple[str, int]]:
    """Launches with one run that breaks off every time; its attempts as (state, pack size)."""
    key = undisturbed.loc[GUILTY, "run_key"]
    assert sweep.launch(f"{action}@epoch={key}*") == 2, sweep.output
    assert sweep.faults.exists()
    counts["injected"] += 1
    table = sweep.table()
    others = table.index != GUILTY
    pd.testing.assert_frame_equal(table[others], undisturbed[others], check_dtype=False)
    return [(str(state), int(size)) for state, size in sweep.query(ATTEMPTS.format(key=key))]


ATTEMPTS = """SELECT state, (SELECT COUNT(*) FROM attempts AS others
    WHERE others.pack = attempts.pack) FROM attempts
    JOIN runs ON runs.id = run_id WHERE runs.key = '{key}' ORDER BY attempts.id"""


def test_a_run_that_raises_fails_alone_and_its_pack_finishes(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    attempts = hurt(sweep, undisturbed, "raise")
    assert attempts == [("unconfirmed", 2), ("failed", 1)]
    assert sweep.table().loc[GUILTY, "state"] == "failed"
    assert "1 failed: RuntimeError: injected at epoch" in sweep.output


def test_a_failed_run_is_not_tried_again_unless_asked(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    hurt(sweep, undisturbed, "raise")
    before = sweep.query("SELECT COUNT(*) FROM attempts")
    assert sweep.launch() == 2
    assert sweep.query("SELECT COUNT(*) FROM attempts") == before
    assert sweep.launch("", "--retry-failed") == 0, sweep.output
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_a_run_short_of_memory_is_tried_in_a_smaller_pack(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    attempts = hurt(sweep, undisturbed, "oom")
    assert attempts == [("out-of-memory", 2), ("out-of-memory", 1)]
    assert sweep.launch() == 0, sweep.output  # memory may be there next time
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_an_error_that_passes_costs_nothing_but_a_second_try(
    sweep: Sweep, undisturbed: pd.DataFrame
) -> None:
    key = undisturbed.loc[GUILTY, "run_key"]
    assert sweep.launch(f"raise@epoch={key}") == 0, sweep.output
    assert sweep.faults.exists()
    counts["injected"] += 1
    pd.testing.assert_frame_equal(sweep.table(), undisturbed)


def test_the_toy_grid_is_what_these_tests_think(undisturbed: pd.DataFrame) -> None:
    assert len(undisturbed) == 7 and undisturbed["run_key"].nunique() == 6
    assert (undisturbed["state"] == "finished").all()


HIDDEN = toy.GRID.replace("[0.0, 0.6, 1.0]", "[0.0, 0.6]")


def test_cells_whose_hidden_reference_failed_are_blocked_and_say_why(sweep: Sweep) -> None:
    """No cell shows the reconstruction-only run, so nothing else would tell of its failure."""
    sweep.grid = toy.grid_file(sweep.directory, text=HIDDEN)
    cells = [cell for cell in load_grid(str(sweep.grid)).cells(1) if cell.lam == 0.6]
    runs = dict(expand(Request(str(sweep.grid), "smoke")))
    reference = reference_of(runs[cells[0]])
    assert reference is not None
    assert sweep.launch(f"raise@epoch={reference.key}*") == 2, sweep.output
    counts["injected"] += 1
    blocked = "2 blocked: its reconstruction-only run failed: RuntimeError: injected at epoch"
    assert "1 failed: RuntimeError: injected at epoch" in sweep.output
    assert blocked in sweep.output
    assert f"sweeper resume toy-smoke --db {sweep.db} --retry-failed" in sweep.output
    assert set(sweep.table().loc[[cell.label for cell in cells], "state"]) == {"blocked"}
    attempts = sweep.query("SELECT COUNT(*) FROM attempts")
    assert sweep.launch() == 2 and "nothing left to train" in sweep.output
    assert sweep.sweeper("status", "--db", sweep.db) == 0
    assert sweep.output.count(blocked) == 3  # after either launch, and in the status
    assert sweep.query("SELECT COUNT(*) FROM attempts") == attempts
    assert sweep.launch("", "--retry-failed") == 0, sweep.output
    assert set(sweep.table()["state"]) == {"finished"}
