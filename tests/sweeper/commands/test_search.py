"""The search: configurations of a sweep, chosen on validation, repeatable from the ledger alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from analysis.factors import Factors
from sweeper.commands.search import GOALS, Search, finished, known_of, searched, trials_of
from sweeper.errors import SweeperError
from sweeper.study.grid import Cell, load_grid
from sweeper.study.propose import propose
from sweeper.study.request import Request
from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

FULL, ONE = searched(Request("full", "smoke"), (), None), searched(Request("smoke", "smoke"), (), 1)


def rows(cells: list[Cell], seed: int = 0) -> pd.DataFrame:
    """Finished cells whose smaller margin is best for Cosine SEP near λ = 0.5."""
    rng = np.random.default_rng(seed)
    table = []
    for cell in cells:
        good = cell.principle == "Cosine" and cell.objective == "SEP"
        margin = (0.3 if good else 0.0) - abs((cell.lam or 0) - 0.5) + rng.normal(0, 0.01)
        table.append(
            {
                "label": cell.label,
                "kind": cell.kind,
                "principle": cell.principle,
                "objective": cell.objective,
                "lam": cell.lam,
                "seed": cell.seed,
                "state": "finished",
                "valid_pitch_private": margin,
                "valid_pitch_shared": 0.0,
                "valid_instrument_shared": 0.9,
                "valid_instrument_private": 0.0,
                "valid_pitch_overall": 0.8,
                "valid_instrument_overall": 0.8,
            }
        )
    return pd.DataFrame(table)


GRID = [cell for cell in load_grid("ablation").cells(1) if cell.lam != 1]


def ask(found: Search, cells: list[Cell], count: int, seed: int = 0) -> list[Cell]:
    """What a search would ask for with these cells in its sweep."""
    held = [(cell, found.config_of(cell)) for cell in cells]
    known = known_of(held, rows(cells), found) if cells else []
    keys = {run.key for _, run in held}
    points = propose(found.space, known, count, found.key_of, keys, seed)
    return [cell for point in points for cell, _ in found.cells(point, 0)]


def test_proposals_are_cells_of_the_space_and_the_same_for_the_same_ledger() -> None:
    asked = ask(FULL, GRID, 3)
    assert asked == ask(FULL, GRID, 3) and len({cell.label for cell in asked}) == 3
    assert not {cell.label for cell in asked} & {cell.label for cell in GRID}
    for cell in asked:
        assert cell.kind == "multiview" and cell.lam is not None and 0 <= cell.lam < 1
        assert cell.lam * 20 == pytest.approx(round(cell.lam * 20))


def test_proposals_go_where_the_margins_were_best() -> None:
    first = [ask(FULL, GRID, 1, seed)[0] for seed in range(3)]
    best = [cell for cell in first if (cell.principle, cell.objective) == ("Cosine", "SEP")]
    assert len(best) >= 2  # a blind draw would give a ninth


def test_an_empty_sweep_can_be_searched() -> None:
    assert len(ask(FULL, [], 8)) == 8


def test_the_goals_are_the_smaller_margin_and_the_mean_overall_accuracy() -> None:
    row = finished(rows(GRID)).iloc[0]
    margins = (
        row["valid_pitch_private"] - row["valid_pitch_shared"],
        row["valid_instrument_shared"] - row["valid_instrument_private"],
    )
    assert row[GOALS[0]] == min(margins)
    assert row[GOALS[1]] == pytest.approx(0.8)


def test_the_margins_are_those_that_the_study_wants() -> None:
    row = finished(rows(GRID), Factors.of({"share": "pitch"})).iloc[0]
    margins = (
        row["valid_pitch_shared"] - row["valid_pitch_private"],
        row["valid_instrument_private"] - row["valid_instrument_shared"],
    )
    assert row[GOALS[0]] == min(margins)


def test_a_configuration_teaches_by_its_mean_over_seeds_once_all_are_there() -> None:
    found = searched(Request("full", "smoke", seeds=2), (), None)
    cells = [Cell("multiview", seed, "Cosine", "SEP", 0.2) for seed in range(3)]
    cells += [Cell("multiview", seed, "VICReg", "SEP", 0.2) for seed in range(2)]
    cells += [Cell("multiview", 0, "Cosine", "SIM", 0.2), Cell("multiview", 0, "Cosine", "SEP", 1)]
    held = [(cell, found.config_of(cell)) for cell in cells]
    table = rows(cells)
    table.loc[4, "state"] = "diverged"
    trials = trials_of(held, table, found)
    assert list(trials) == ["Cosine SEP λ=0.2", "VICReg SEP λ=0.2"]
    point, values = trials["Cosine SEP λ=0.2"]
    assert point == {"principle": "Cosine", "objective": "SEP", "lam": 0.2}
    assert values == pytest.approx([table["valid_pitch_private"][:2].mean(), 0.8])
    assert trials["VICReg SEP λ=0.2"][1] is None  # one of its seeds diverged


def test_cells_outside_the_space_teach_nothing_and_stop_nothing() -> None:
    odd = [
        Cell("multiview", 0, "VICReg", "SIM", 0.5),
        Cell("multiview", 0, "Cosine", "SEP", 0.99),
    ]
    assert len(ask(ONE, odd, 4)) == 4  # Cosine SEP alone, up to λ = 0.95


def test_the_space_ends_and_every_point_of_it_is_proposed_once() -> None:
    found = searched(Request("smoke", "smoke"), ["lam=0.1:0.5:0.05"], None)
    held, sizes = [Cell("multiview", 0, "Cosine", "SEP", 0.2)], []  # of 9 points
    while cells := ask(found, held, 5, len(held)):
        sizes.append(len(cells))
        held += cells
    assert sizes == [5, 3] and len({cell.label for cell in held}) == 9


LAUNCH = ("--grid", "toy.toml", "--preset", "smoke", "--executor", "inline", "--device", "cpu")
SEARCH = ("--executor", "inline", "--over", "lam=0.05:0.9", "--over", "loss.gamma=0.5:5:log",
          "--over", "loss.vicreg.covariance=0.1:10:log", "--principle", "VICReg")  # fmt: skip


@pytest.fixture
def launched(sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeper:
    """A sweep of Cosine SEP at λ = 0, 0.6 and 1, which its grid file is no longer beside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    toy.make_latents()
    text = toy.GRID.replace('["SEP", "SIM"]', '["SEP"]')
    grid = toy.grid_file(tmp_path, epochs=1, text=text)
    assert sweeper("launch", *LAUNCH)[0] == 0
    grid.unlink()  # the sweep has what it held
    return sweeper


def test_a_search_over_the_whole_space_says_what_was_left_to_ask(launched: Sweeper) -> None:
    """By the command line, with a real sweep: 5 points, of which the grid holds one."""
    search = ("search", "--trials", "30", "--over", "lam=0.2:0.6:0.1", "--executor", "inline")
    code, out, err = launched(*search)
    assert code == 0, err
    assert "4 configurations left to ask" in out and "Pareto front" in out
    assert json.loads(launched("status", "--json")[1])["cells"] == 3 + 1 + 4


def trials(db: str) -> dict[str, int]:
    with sqlite3.connect(db) as connection:
        query = "SELECT label, json_extract(point, '$.trial') FROM cells WHERE point LIKE '%trial%'"
        found = dict(connection.execute(query))
    connection.close()
    return found


def test_an_interrupted_search_goes_on_and_asks_what_it_would_have_asked(
    launched: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Continuous axes, two seeds; the fourth trial's round is the second."""
    monkeypatch.setattr("sweeper.commands.search.ROUND", 3)
    shutil.copy("results.db", "again.db")
    search = ("search", *SEARCH, "--trials", "5", "--seeds", "2")
    assert launched(*search)[0] == 0
    whole = trials("results.db")
    assert len(whole) == 10 and set(whole.values()) == set(range(5))
    assert all("gamma=fixed:" in label and "vicreg=25,25," in label for label in whole)

    from sweeper.commands import search as command

    with monkeypatch.context() as patch:
        patch.setattr(command, "train", lambda *_: 130)
        assert launched(*search, "--db", "again.db")[0] == 130
    assert len(trials("again.db")) == 6
    code, out, _ = launched(*search, "--db", "again.db")
    assert code == 0 and "3 of 5 configurations are there" in out
    assert trials("again.db") == whole
    assert "going on" not in launched(*search, "--db", "again.db")[1]  # five more
    assert len(trials("again.db")) == 20


def test_the_study_can_be_loaded_from_its_own_file(launched: Sweeper) -> None:
    code, out, err = launched("search", *SEARCH, "--trials", "2")
    assert code == 0 and "hypervolume" in out, err
    url = next(line for line in out.splitlines() if "optuna-dashboard" in line).split()[1]
    name = optuna.get_all_study_names(url)[0]
    study = optuna.load_study(study_name=name, storage=url)
    assert name.startswith("toy-smoke: principle=VICReg objective=SEP lam=0.05:0.9")
    assert study.metric_names == list(GOALS) and len(study.trials) == 2
    gamma = study.trials[0].params["loss.gamma"]
    assert f"gamma=fixed:{gamma:g}" in study.trials[0].user_attrs["cell"]
    assert launched("verify")[0] == 0  # the database itself knows nothing of it


WRONG = {
    "lamda=0:1": "unknown axis 'lamda', did you mean 'lam'?",
    "lam": "lam: AXIS=RANGE is expected",
    "lam=0.5:1.5": "λ is from 0 to 1",
    "lam=0.5:0.1": "the low end must be below the high one",
    "loss.temperature=0:1:log": "a logarithmic range begins above 0",
    "loss.temperature=-1:1": "loss.temperature = -1.0: a number above 0",
    "loss.temperature=a:b": "LOW:HIGH, LOW:HIGH:STEP, LOW:HIGH:log, or values",
    "training.epochs=0.5:2": "whole numbers are expected",
    "training.lr=0.1:0.2:1": "the step is no part of the range",
    "principle=cosine": "unknown principle 'cosine', did you mean 'Cosine'?",
    "objective=SAP": "unknown objective 'SAP'",
    "loss.options.weight=0:1": "unknown axis 'loss.options.weight'",
    "loss.gamma=guess": "unknown γ rule 'guess'",
}


@pytest.mark.parametrize("over", WRONG)
def test_what_cannot_be_searched_is_refused_in_one_line(over: str) -> None:
    with pytest.raises(SweeperError) as caught:
        searched(Request("full", "smoke"), [over], None)
    assert WRONG[over] in str(caught.value) and "\n" not in str(caught.value)


def test_a_grid_file_says_what_is_searched_and_the_command_line_has_the_last_word(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'principles = ["InfoNCE"]\nlambdas = [1.0]\n[axes]\nloss.epsilon = [1e-6, 1e-3]\n'
        '[search]\nlam = "0.1:0.9"\nprinciple = ["InfoNCE", "Cosine"]\n'
        'loss.temperature = "0.05:2:log"\n'
    )
    space = searched(Request(str(file), "smoke"), ["lam=0.2,0.4"], None).space
    assert str(space) == (
        "principle=InfoNCE,Cosine objective=SIM,SEP,SIM+SEP lam=0.2,0.4 "
        "loss.epsilon=1e-06,0.001 loss.temperature=0.05:2:log"
    )
    file.write_text(file.read_text().replace("0.05:2:log", "2:0.05"))
    with pytest.raises(
        SweeperError, match=r"mine\.toml:8:20: loss.temperature=2:0.05: the low end"
    ):
        searched(Request(str(file), "smoke"), [], None)
