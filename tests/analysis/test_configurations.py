from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.configurations import (
    finished_runs,
    multiview,
    ordered,
    reconstruction_only,
)
from analysis.estimates import bounded, configurations
from analysis.markdown import seeds_note
from tests.analysis.planted import planted
from tests.analysis.synthetic import (
    OBJECTIVES,
    PRINCIPLES,
    Row,
    baseline_row,
    frame,
    full_rows,
    multiview_row,
    trainings,
)


def test_the_nine_cells_at_lambda_one_count_as_one_run_a_seed() -> None:
    runs = reconstruction_only(finished_runs(frame(full_rows(3))))
    assert list(runs["seed"]) == [0, 1, 2]
    assert runs["principle"].isna().all() and runs["objective"].isna().all()


def test_54_cells_and_3_baselines_are_46_configurations_and_3_baselines() -> None:
    table = configurations(trainings(full_rows(2)))
    assert len(multiview(table)) == 45
    assert len(table) == 49
    assert (table["seeds"] == 2).all()


def test_without_predictions_the_interval_is_student_s_over_the_seeds() -> None:
    values = [0.1, 0.2, 0.6]
    row = configurations(trainings([_with(seed, mse) for seed, mse in enumerate(values)])).iloc[0]
    assert row["name"] == "Cosine SEP λ=0.6"
    assert row["mse"] == pytest.approx(0.3)
    low, high = stats.t.interval(0.95, 2, 0.3, stats.sem(values))
    assert (row["mse_low"], row["mse_high"]) == pytest.approx((low, high))


def test_intervals_that_are_told_end_where_their_measure_does() -> None:
    rows = [_with(0, 0.1) | {"pitch_private": 0.1}, _with(1, 0.6) | {"pitch_private": 0.9}]
    told, whole = (make(trainings(rows)).iloc[0] for make in (bounded, configurations))
    for name, low, high in (("pitch_private", 0, 1), ("delta_pitch", -1, 1), ("mse", 0, np.inf)):
        assert whole[f"{name}_low"] < low and told[f"{name}_low"] == low
        assert told[f"{name}_high"] == min(whole[f"{name}_high"], high)
    assert told["pitch_overall_high"] == whole["pitch_overall_high"] < 1  # the same in both seeds


def test_test_notes_are_in_the_interval_where_they_are_known() -> None:
    sweep = planted(3, np.random.default_rng(0))
    row = configurations(sweep).iloc[0]
    alone = configurations(replace(sweep, correct=None, notes=None)).iloc[0]
    for name in ("pitch_overall", "delta_instrument"):
        assert row[name] == pytest.approx(alone[name])
        assert row[f"{name}_high"] - row[name] > alone[f"{name}_high"] - alone[name]
    assert row["mse"] == alone["mse"] or np.isnan(row["mse"])


def test_one_seed_has_no_interval_over_seeds() -> None:
    table = configurations(trainings(full_rows(1)))
    assert table.filter(regex="_(low|high)$").isna().all(axis=None)


def test_a_diverged_run_is_never_averaged_even_when_numbers_are_stored() -> None:
    broken = {**_with(1, 1e9), "state": "diverged"}
    row = configurations(trainings([_with(0, 0.1), broken, _with(2, 0.2)])).iloc[0]
    assert (row["seeds"], row["mse"]) == (2, pytest.approx(0.15))


def test_mean_overall_and_validation_margins_are_differences_and_means_of_their_columns() -> None:
    row = {
        **_with(0, 0.1),
        "pitch_overall": 0.6, "instrument_overall": 0.9,
        "valid_pitch_overall": 0.5, "valid_instrument_overall": 0.8,
        "valid_pitch_private": 0.5, "valid_pitch_shared": 0.4,
        "valid_instrument_private": 0.6, "valid_instrument_shared": 0.9,
    }  # fmt: skip
    run = configurations(trainings([row])).iloc[0]
    assert run["mean_overall"] == pytest.approx(0.75)
    assert run["valid_mean_overall"] == pytest.approx(0.65)
    assert run["valid_delta_pitch"] == pytest.approx(0.1)
    assert run["valid_delta_instrument"] == pytest.approx(0.3)


def test_rows_stand_in_the_order_of_the_paper() -> None:
    table = configurations(trainings(full_rows(1)))
    assert list(table["kind"].unique()) == ["multiview", "encoder", "cl-pitch", "cl-instrument"]
    assert list(table["principle"].dropna().unique()) == list(PRINCIPLES)
    assert list(table["objective"].dropna().unique()) == list(OBJECTIVES)
    assert list(table["lam"].head(5)) == [0, 0.2, 0.4, 0.6, 0.8]


def test_a_principle_that_the_paper_does_not_know_comes_last() -> None:
    assert ordered(["Barlow", "VICReg", "Cosine"], PRINCIPLES) == ["Cosine", "VICReg", "Barlow"]
    rows = [{**_with(0, 0.1), "principle": p, "label": p} for p in ("Barlow", "Cosine")]
    assert list(configurations(trainings(rows))["principle"]) == ["Cosine", "Barlow"]


def test_baselines_are_named_by_their_kind() -> None:
    table = configurations(trainings([baseline_row("cl-pitch", 0)]))
    assert list(table["name"]) == ["cl-pitch"]


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ([1, 1], "1 seed: no seed interval."),
        ([3, 3], "Means of 3 seeds, ± 1 sd."),
        ([2, 3], "Means of 2 to 3 seeds, ± 1 sd."),
    ],
)
def test_the_note_tells_how_many_seeds_there_are(seeds: list[int], expected: str) -> None:
    assert seeds_note(pd.Series(seeds)) == expected


def _with(seed: int, mse: float) -> Row:
    return {**multiview_row("Cosine", "SEP", 0.6, seed), "mse": mse}
