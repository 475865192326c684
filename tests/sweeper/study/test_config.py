"""Run keys: equal trainings have equal keys, unequal ones have not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import OBJECTIVES, LossSpec
from sweeper.study.config import DataConfig, RunConfig
from sweeper.study.grid import Cell, run_config
from sweeper.study.presets import PRESETS

PRINCIPLES = ("InfoNCE", "Cosine", "VICReg")

cells = st.builds(
    Cell,
    kind=st.just("multiview"),
    seed=st.integers(0, 9),
    principle=st.sampled_from(PRINCIPLES),
    objective=st.sampled_from(tuple(OBJECTIVES)),
    lam=st.sampled_from((0.0, 0.2, 0.6, 1.0)),
)


def config_of(cell: Cell) -> RunConfig:
    return run_config(cell, PRESETS["quick"])


@given(cells)
def test_a_config_survives_json_with_its_key(cell: Cell) -> None:
    config = config_of(cell)
    again = RunConfig.from_json(config.to_json())
    assert again == config
    assert again.key == config.key


@given(cells, cells)
def test_keys_differ_exactly_when_the_trainings_differ(one: Cell, other: Cell) -> None:
    def training(cell: Cell) -> tuple[object, ...]:
        if cell.lam == 1:
            return (cell.seed,)
        return (cell.seed, cell.principle, cell.objective, cell.lam)

    same = training(one) == training(other)
    assert (config_of(one).key == config_of(other).key) is same


def test_the_nine_reconstruction_only_cells_of_a_seed_are_one_run() -> None:
    grid = [Cell("multiview", 0, p, o, 1.0) for p in PRINCIPLES for o in OBJECTIVES]
    assert len({config_of(cell).key for cell in grid}) == 1


@pytest.mark.parametrize("lam", [0, 1])
def test_an_integer_lambda_is_the_same_as_a_float(lam: int) -> None:
    one, other = (Cell("multiview", 0, "Cosine", "SEP", value) for value in (lam, float(lam)))
    assert config_of(one).key == config_of(other).key


@pytest.mark.parametrize(
    ("cell", "change", "matters"),
    [
        (Cell("multiview", 0, "InfoNCE", "SIM", 0.6), {"temperature": 0.1}, True),
        (Cell("multiview", 0, "VICReg", "SIM", 0.6), {"temperature": 0.1}, False),
        (Cell("multiview", 0, "VICReg", "SIM", 0.6), {"vicreg": (1.0, 1.0, 1.0)}, True),
        (Cell("multiview", 0, "Cosine", "SIM", 0.6), {"vicreg": (1.0, 1.0, 1.0)}, False),
        (Cell("multiview", 0, "Cosine", "SIM", 0.6), {"gamma": "init-ratio"}, True),
        (Cell("multiview", 0, "Cosine", "SIM", 0.0), {"gamma": "init-ratio"}, False),
        (Cell("cl-pitch", 0), {"gamma": "init-ratio"}, False),
        (Cell("cl-pitch", 0), {"temperature": 0.1}, True),
        (Cell("encoder", 0), {"temperature": 0.1}, False),
    ],
)
def test_only_options_that_play_a_part_change_the_key(
    cell: Cell, change: dict[str, object], matters: bool
) -> None:
    study = PRESETS["quick"]
    loss = dataclasses.replace(LossSpec(), **change)  # type: ignore[arg-type]
    changed = run_config(cell, dataclasses.replace(study, loss=loss))
    assert (changed.key != run_config(cell, study).key) is matters


def test_other_data_is_another_run() -> None:
    config = config_of(Cell("encoder", 0))
    moved = dataclasses.replace(config, data=DataConfig(fingerprint="f" * 64))
    assert moved.key != config.key


@pytest.mark.parametrize(
    ("preset", "cell", "key"),
    [
        ("paper", Cell("multiview", 0, "Cosine", "SEP", 0.6), "5956f832df9a04c5"),
        ("paper", Cell("multiview", 3, "VICReg", "SIM+SEP", 0.0), "250871198ced6b8a"),
        ("paper", Cell("multiview", 0, "InfoNCE", "SIM", 1.0), "06cac116e2767c30"),
        ("paper", Cell("cl-pitch", 1), "3a7e117e3e9542db"),
        ("paper", Cell("encoder", 0), "b1f79eeaf3245ebe"),
        ("quick", Cell("multiview", 0, "Cosine", "SEP", 0.6), "aad2138d53a691c7"),
        ("quick", Cell("encoder", 0), "e9a2a3f6057640c4"),
    ],
)
def test_keys_stay_what_they_are_from_release_to_release(preset: str, cell: Cell, key: str) -> None:
    """A changed key trains everything again: change one only with a migration of the ledger."""
    study = PRESETS[preset]
    data = dataclasses.replace(study.data, encoder="logmel", fingerprint="f" * 64)
    sizes = {"paper": 4_096, "quick": 2_048}  # as long as downstream clips were divided by clip
    data = dataclasses.replace(data, split="clip", downstream_clips=sizes[preset])
    assert run_config(cell, dataclasses.replace(study, data=data)).key.startswith(key)


@pytest.mark.parametrize(
    ("preset", "cell", "key"),
    [
        ("paper", Cell("multiview", 0, "Cosine", "SEP", 0.6), "54a3aa4673ed1cb6"),
        ("quick", Cell("multiview", 0, "Cosine", "SEP", 0.6), "0207e89c02541a98"),
        ("quick", Cell("encoder", 0), "a14da6b947be3ed2"),
    ],
)
def test_keys_of_the_division_by_note_stay_too(preset: str, cell: Cell, key: str) -> None:
    study = PRESETS[preset]
    data = dataclasses.replace(study.data, encoder="logmel", fingerprint="f" * 64)
    assert run_config(cell, dataclasses.replace(study, data=data)).key.startswith(key)


def test_a_run_stored_before_there_was_a_choice_was_divided_by_clip() -> None:
    config = config_of(Cell("encoder", 0))
    old = dataclasses.replace(config, data=dataclasses.replace(config.data, split="clip"))
    assert '"split"' not in old.to_json() and '"split":"note"' in config.to_json()
    assert RunConfig.from_json(old.to_json()) == old
