"""Grids: the cells that a name or a file stands for, and what bad files are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.spec import BASELINES
from sweeper.errors import SweeperError
from sweeper.study.grid import GRIDS, Cell, Grid, load_grid, override, run_config
from sweeper.study.presets import PRESETS, preset


def grid_file(directory: Path, text: str) -> str:
    path = directory / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_full_grid_is_the_papers_54_cells_and_three_baselines() -> None:
    cells = load_grid("full").cells(1)
    assert len(cells) == 57
    assert sum(cell.kind == "multiview" for cell in cells) == 54
    assert len({cell.label for cell in cells}) == 57


def test_the_54_cells_of_a_seed_are_46_runs() -> None:
    runs = {run_config(cell, PRESETS["paper"]).key for cell in load_grid("ablation").cells(1)}
    assert len(runs) == 46


def test_seeds_multiply_the_cells_and_share_no_run() -> None:
    cells = load_grid("full").cells(3)
    assert len(cells) == 3 * 57
    by_seed = [
        {run_config(cell, PRESETS["paper"]).key for cell in cells if cell.seed == seed}
        for seed in range(3)
    ]
    assert not by_seed[0] & by_seed[1] and not by_seed[1] & by_seed[2]


def test_baselines_can_have_more_seeds_than_the_grid() -> None:
    cells = load_grid("full").cells(2, 4)
    assert cells[: 2 * 57] == load_grid("full").cells(2)
    further = [(cell.kind, cell.seed) for cell in cells[2 * 57 :]]
    assert further == [(kind, seed) for seed in (2, 3) for kind in BASELINES]


def test_labels_read_like_the_paper() -> None:
    assert Cell("multiview", 2, "Cosine", "SIM+SEP", 0.6).label == "Cosine SIM+SEP λ=0.6 seed 2"
    assert Cell("cl-pitch", 0).label == "cl-pitch seed 0"


def test_a_grid_file_chooses_axes_and_overrides_fields(tmp_path: Path) -> None:
    text = 'principles = ["Cosine"]\nlambdas = [0.5, 1]\n[loss]\ngamma = "init-ratio"\n'
    grid = load_grid(grid_file(tmp_path, text + "[training]\nepochs = 3\nlr = 1\n"))
    study = override(preset("quick"), grid)
    assert [cell.lam for cell in grid.cells(1)] == [0.5, 1.0] * 3
    assert study.loss.gamma == "init-ratio"
    assert (study.training.epochs, study.training.lr) == (3, 1)
    assert study.probe == PRESETS["quick"].probe


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("principles = [", "not TOML"),
        ('principals = ["Cosine"]', "unknown key 'principals'"),
        ('principles = "Cosine"', "must be a list"),
        ('principles = ["Barlow"]', "unknown principle 'Barlow'; choose one of InfoNCE"),
        ('principles = ["Cosine"]\nobjectives = ["SAME"]', "unknown objective 'SAME'"),
        ('principles = ["Cosine"]\nlambdas = [1.5]', "λ = 1.5 is outside [0, 1]"),
        ('principles = ["Cosine"]\nlambdas = ["a"]', "λ = 'a' is outside [0, 1]"),
        ('baselines = ["pca"]', "unknown baseline 'pca'"),
        ("", "no cells"),
    ],
)
def test_a_bad_grid_file_is_told_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SweeperError) as told:
        load_grid(grid_file(tmp_path, text))
    assert says in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"training": {"epoch": 3}}, "[training]: unknown field 'epoch', did you"),
        (
            {"training": {"epochs": "3"}},
            "training.epochs = '3': a whole number of at least 1 is",
        ),
        ({"data": {"fingerprint": "x"}}, "unknown field 'fingerprint'"),
        ({"loss": {"gamma": "guess"}}, "unknown γ rule 'guess'"),
        ({"loss": {"gamma": "fixed:much"}}, "unknown γ rule 'fixed:much'"),
        (
            {"loss": {"gamma": "x"}},
            "unknown γ rule 'x' in [loss]; "
            "known: init-ratio, geometric-ratio, converged-ratio, fixed:NUMBER",
        ),
        ({"model": {"latent_activation": "gelu"}}, "unknown latent activation 'gelu'"),
        ({"model": {"pool": "max"}}, "unknown pooling 'max'"),
        ({"training": {"precision": "fp8"}}, "unknown precision 'fp8'"),
        ({"training": {"lr": float("nan")}}, "training.lr = nan: a number above 0 is expected"),
        ({"training": {"lr": float("inf")}}, "training.lr = inf"),
        ({"training": {"lr": -1.0}}, "training.lr = -1.0"),
        ({"training": {"lr": True}}, "training.lr = True"),
        ({"training": {"epochs": 0}}, "training.epochs = 0"),
        ({"training": {"batch_pairs": 1}}, "a whole number of at least 2 is expected"),
        ({"training": {"weight_decay": -0.1}}, "training.weight_decay = -0.1"),
        ({"probe": {"dropout": 1.5}}, "probe.dropout = 1.5: a number of at least 0 and at most"),
        ({"probe": {"batch": 0}}, "probe.batch = 0"),
        ({"model": {"hidden": "big"}}, "model.hidden = 'big'"),
        ({"loss": {"vicreg": [1.0]}}, "loss.vicreg = (1.0,): three weights are expected"),
        ({"loss": {"vicreg": [1.0, 1.0, "x"]}}, "loss.vicreg = 'x'"),
        ({"loss": {"gamma": "fixed:nan"}}, "loss.gamma = nan"),
        ({"loss": {"gamma": 3}}, "unknown γ rule '3'"),
        ({"loss": {"epsilon": 0}}, "loss.epsilon = 0"),
        ({"data": {"train_clips": 1e11}}, "data.train_clips = 100000000000.0"),
        ({"data": {"train_clips": 10**11}}, "at most 1e+07 is expected"),
        ({"data": {"encoder": 3}}, "data.encoder = 3: a name is expected"),
    ],
)
def test_a_bad_override_is_told_what_is_wrong(
    overrides: dict[str, dict[str, object]], says: str
) -> None:
    with pytest.raises(SweeperError) as told:
        override(preset("paper"), Grid("mine", overrides=overrides))
    assert says in str(told.value)
    assert str(told.value).startswith("grid 'mine': ")


def test_an_unknown_grid_or_preset_lists_the_known_ones() -> None:
    with pytest.raises(SweeperError, match="full, ablation, baselines, smoke"):
        load_grid("fool")
    with pytest.raises(SweeperError, match="paper, quick, smoke"):
        preset("large")


def test_every_named_grid_has_cells() -> None:
    assert all(grid.cells(1) for grid in GRIDS.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('principles = ["Cosine", "Cosine"]', "names a point twice: 'Cosine SIM λ=0 seed 0'"),
        (
            'principles = ["Cosine"]\nobjectives = ["SEP"]\nlambdas = [0.1234567, 0.1234568]',
            "names a point twice: 'Cosine SEP λ=0.123457 seed 0'",
        ),
        ('baselines = ["encoder", "encoder"]', "names a point twice: 'encoder seed 0'"),
        ('baselines = ["encoder"]\nloss = 3', "[loss] must be one table of fields"),
        ('baselines = ["encoder"]\n[[loss]]\ngamma = "x"', "[loss] must be one table of fields"),
    ],
)
def test_a_grid_that_says_a_thing_twice_or_in_the_wrong_shape_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SweeperError) as refused:
        load_grid(grid_file(tmp_path, text))
    assert says in str(refused.value)


def test_a_byte_order_mark_is_no_part_of_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'baselines = ["encoder"]')
    assert load_grid(str(path)).baselines == ("encoder",)
