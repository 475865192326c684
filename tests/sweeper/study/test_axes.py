"""Further axes of a grid: cells, labels, runs that are shared, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, override
from sweeper.study.request import Request
from sweeper.sweep import expand, widened

GRID = """
principles = ["InfoNCE", "VICReg"]
objectives = ["SIM"]
lambdas = [0.6, 1.0]
baselines = ["encoder", "cl-pitch"]
"""


def cells(tmp_path: Path, text: str, seeds: int = 1) -> dict[str, RunConfig]:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    request = Request(str(file), "smoke", seeds)
    return {cell.label: run for cell, run in expand(request)}


def test_every_combination_is_a_cell_and_its_run_has_the_values(tmp_path: Path) -> None:
    found = cells(
        tmp_path, 'lambdas = [0.6]\nprinciples = ["InfoNCE"]\nobjectives = ["SIM"]\n'
        "[axes]\nloss.temperature = [0.1, 1]\ntraining.lr = [0.001, 0.01]\n",
    )  # fmt: skip
    assert list(found) == [
        "InfoNCE SIM λ=0.6 temperature=0.1 lr=0.001 seed 0",
        "InfoNCE SIM λ=0.6 temperature=0.1 lr=0.01 seed 0",
        "InfoNCE SIM λ=0.6 temperature=1 lr=0.001 seed 0",
        "InfoNCE SIM λ=0.6 temperature=1 lr=0.01 seed 0",
    ]
    run = found["InfoNCE SIM λ=0.6 temperature=0.1 lr=0.01 seed 0"]
    assert run.loss is not None and run.training is not None
    assert (run.loss.temperature, run.training.lr) == (0.1, 0.01)


def test_an_axis_that_plays_no_part_in_a_run_is_no_part_of_its_cell(tmp_path: Path) -> None:
    found = cells(tmp_path, GRID + '[axes]\n"loss.temperature" = [0.1, 0.5]\n')
    assert list(found) == [
        "InfoNCE SIM λ=0.6 temperature=0.1 seed 0", "InfoNCE SIM λ=1 seed 0",
        "VICReg SIM λ=0.6 seed 0", "VICReg SIM λ=1 seed 0",
        "encoder seed 0", "cl-pitch temperature=0.1 seed 0",
        "InfoNCE SIM λ=0.6 temperature=0.5 seed 0", "cl-pitch temperature=0.5 seed 0",
    ]  # fmt: skip


def test_the_papers_value_on_an_axis_is_the_papers_run(tmp_path: Path) -> None:
    """The axis gives no key of its own: what is trained is not trained again."""
    plain = cells(tmp_path, GRID)
    axis = cells(tmp_path, GRID + '[axes]\n"loss.temperature" = [0.1, 1]\n')
    assert (
        axis["InfoNCE SIM λ=0.6 temperature=1 seed 0"].key == plain["InfoNCE SIM λ=0.6 seed 0"].key
    )


def test_the_papers_axes_may_stand_in_the_table_too(tmp_path: Path) -> None:
    text = '[axes]\nprinciple = ["Cosine"]\nobjective = ["SEP"]\nlam = [0.4, 1]\n'
    assert list(cells(tmp_path, text)) == ["Cosine SEP λ=0.4 seed 0", "Cosine SEP λ=1 seed 0"]


def test_zipped_axes_go_together(tmp_path: Path) -> None:
    text = (
        'zip = [["training.epochs", "training.lr"]]\nprinciples = ["Cosine"]\nlambdas = [0.6]\n'
        'objectives = ["SEP"]\n[axes]\ntraining.epochs = [1, 2]\ntraining.lr = [0.1, 0.2]\n'
    )
    assert list(cells(tmp_path, text)) == [
        "Cosine SEP λ=0.6 epochs=1 lr=0.1 seed 0", "Cosine SEP λ=0.6 epochs=2 lr=0.2 seed 0",
    ]  # fmt: skip


def test_a_condition_keeps_the_cells_that_it_holds_for(tmp_path: Path) -> None:
    text = (
        'where = "temperature == 0.1 or lam == 1"\n' + GRID.replace('"encoder", ', "")
        + "[axes]\nloss.temperature = [0.1, 0.5]\n"
    )  # fmt: skip
    assert "InfoNCE SIM λ=0.6 temperature=0.5 seed 0" not in cells(tmp_path, text)
    assert "InfoNCE SIM λ=0.6 temperature=0.1 seed 0" in cells(tmp_path, text)


def test_two_encoders_have_latents_of_their_own_and_the_request_knows_which(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('baselines = ["encoder"]\n[axes]\ndata.encoder = ["logmel", "mae"]\n')
    request = Request(str(file), "smoke")
    filled = expand(request)
    assert [cell.label for cell, _ in filled] == [
        "encoder encoder=logmel seed 0", "encoder encoder=mae seed 0",
    ]  # fmt: skip
    fingerprints = [run.data.fingerprint for _, run in filled]
    assert widened(request, filled).encoders == dict(
        zip(fingerprints, ("logmel", "mae"), strict=True)
    )
    assert len(set(fingerprints)) == 2


def test_a_cell_is_the_same_after_json() -> None:
    cell = Cell("multiview", 0, "VICReg", "SIM", 0.5, axes=(("loss.vicreg", (25.0, 25.0, 1.0)),))
    assert cell.label == "VICReg SIM λ=0.5 vicreg=25,25,1 seed 0"
    again = Cell("multiview", 0, "VICReg", "SIM", 0.5, axes=[["loss.vicreg", [25.0, 25.0, 1.0]]])  # type: ignore[arg-type]
    assert again == cell


WRONG = {
    "[axes]\nloss.temprature = [1]": "did you mean 'loss.temperature'?",
    "[axes]\nloss.temperature = 1": "a list of its values is expected",
    "[axes]\nloss.temperature = []": "a list of its values is expected",
    "[axes]\nloss.temperature = [-1]": "loss.temperature = -1.0: a number above 0",
    "[axes]\ntraining.epochs = [1.5]": "a whole number",
    "[axes]\nloss.temperature = [1, 1.0]": "names a point twice",
    "[axes]\ndata.fingerprint = ['x']": "unknown axis",
    "[axes]\nlam = [0.5]": "has both lambdas and lam in [axes]",
    "axes = 3": "[axes] must be one table",
    "zip = 'training.lr'": "lists of axes are expected",
    "zip = [['training.lr']]": "unknown axis in zip 'training.lr'",
    "zip = [['training.lr', 'probe.lr']]\n[axes]\ntraining.lr = [1]\nprobe.lr = [1, 2]":
        "zipped axes need equally many values; training.lr has 1, probe.lr has 2",
    "where = 3": "a condition is expected",
    "where = 'temperatur > 1'": "the axes are principle, objective, lam",
    "where = 'lam >'": "the axes are principle, objective, lam",
    "where = 'lam > 7'": 'where = "lam > 7" keeps no cell',
    "where = 'lambda > 0'": "λ is called lam",
    "[axes]\nloss.gamma = ['fixed:2']\n[loss]\ngamma = 'fixed:1'": "is an axis, and [loss] has it",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_is_wrong_says_so_in_one_line(tmp_path: Path, text: str) -> None:
    base = 'principles = ["InfoNCE"]\nobjectives = ["SIM"]\nlambdas = [0.6]\n'
    with pytest.raises(SweeperError) as caught:
        cells(tmp_path, f"{base}{text}\n")
    assert WRONG[text] in str(caught.value) and "\n" not in str(caught.value)
    assert "mine.toml:" in str(caught.value)


def test_the_shipped_grids_have_no_further_axes() -> None:
    from sweeper.study.presets import PRESETS

    for name in ("full", "ablation", "baselines", "smoke"):
        grid = load_grid(name)
        assert not grid.axes.values
        assert override(PRESETS["quick"], grid) == PRESETS["quick"]
