"""The search: proposals are cells, chosen on validation, repeatable from the ledger alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.spec import OBJECTIVES
from sweeper.commands.search import GOALS, finished, propose
from sweeper.study.grid import Cell, load_grid
from sweeper.study.request import Request
from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

REQUEST = Request(grid="full", preset="smoke")


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


GRID = rows([cell for cell in load_grid("ablation").cells(1) if cell.lam != 1])


def test_proposals_are_cells_of_the_space() -> None:
    for cell in propose(GRID, REQUEST, 8, 0):
        assert cell.kind == "multiview" and cell.seed == 0
        assert cell.principle in ("InfoNCE", "Cosine", "VICReg") and cell.objective in OBJECTIVES
        assert cell.lam is not None and 0 <= cell.lam < 1
        assert cell.lam * 20 == pytest.approx(round(cell.lam * 20))


def test_the_same_ledger_gets_the_same_proposals() -> None:
    assert propose(GRID, REQUEST, 8, 0) == propose(GRID, REQUEST, 8, 0)


def test_proposals_go_where_the_margins_were_best() -> None:
    asked = [cell for number in range(6) for cell in propose(GRID, REQUEST, 8, number)]
    best = [cell for cell in asked if (cell.principle, cell.objective) == ("Cosine", "SEP")]
    assert len(best) > len(asked) / 4  # a blind draw would give a ninth


def test_an_empty_sweep_can_be_searched() -> None:
    assert len(propose(GRID.iloc[:0], REQUEST, 8, 0)) == 8


def test_the_goals_are_the_smaller_margin_and_the_mean_overall_accuracy() -> None:
    row = finished(GRID).iloc[0]
    margins = (
        row["valid_pitch_private"] - row["valid_pitch_shared"],
        row["valid_instrument_shared"] - row["valid_instrument_private"],
    )
    assert row[GOALS[0]] == min(margins)
    assert row[GOALS[1]] == pytest.approx(0.8)


def test_unfinished_cells_other_seeds_and_reconstruction_only_teach_nothing() -> None:
    cells = [Cell("multiview", 1, "Cosine", "SEP", 0.4), Cell("multiview", 0, "Cosine", "SEP", 1.0)]
    known = rows([*cells, Cell("multiview", 0, "Cosine", "SEP", 0.2)])
    known.loc[2, "state"] = "failed"
    assert finished(known).empty


def test_no_proposal_is_a_cell_that_the_sweep_has_nor_one_of_the_same_round() -> None:
    held = GRID
    for number in range(12):
        cells = propose(held, REQUEST, 8, number)
        labels = [cell.label for cell in cells]
        assert len(set(labels)) == 8 and not set(labels) & set(held["label"])
        held = pd.concat([held, rows(cells)])


def test_cells_outside_the_space_teach_nothing_and_stop_nothing() -> None:
    request = Request(grid="smoke", preset="smoke")  # Cosine SEP alone, up to λ = 0.95
    odd = [
        Cell("multiview", 0, "VICReg", "SIM", 0.5),
        Cell("multiview", 0, "Cosine", "SEP", 0.99),
    ]
    assert len(propose(rows(odd), request, 4, 0)) == 4


def test_the_space_ends_and_every_point_of_it_is_proposed_once() -> None:
    request = Request(grid="smoke", preset="smoke")  # Cosine SEP alone: 20 points
    held = rows([cell for cell in load_grid("smoke").cells(1) if cell.lam == 0.6])
    sizes = []
    while cells := propose(held, request, 8, len(held)):
        sizes.append(len(cells))
        held = pd.concat([held, rows(cells)])
    assert sizes == [8, 8, 3] and held["label"].is_unique


def test_a_search_over_the_whole_space_says_what_was_left_to_ask(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command line, with a real sweep: 20 points, of which the grid holds two."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    toy.make_latents()
    text = toy.GRID.replace('["SEP", "SIM"]', '["SEP"]').replace("[0.0, 0.6, 1.0]", "[0.0, 0.6]")
    grid = toy.grid_file(tmp_path, epochs=1, text=text)
    options = ("--executor", "inline")
    launch = ("launch", "--grid", str(grid), "--preset", "smoke", "--device", "cpu")
    assert sweeper(*launch, *options)[0] == 0
    grid.unlink()  # the sweep has what it held
    code, out, err = sweeper("search", "--trials", "30", *options)
    assert code == 0, err
    assert "18 cells left to ask" in out and "Pareto front" in out
    assert json.loads(sweeper("status", "--json")[1])["cells"] == 2 + 1 + 18
