"""What the figures show: their data against answers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.effects import MEAN, spearman
from analysis.figures import figure2, figure3, figure4
from analysis.report import FigureModule
from tests.analysis.synthetic import (
    Row,
    baseline_row,
    full_rows,
    multiview_row,
    trainings,
    unfinished,
)


def cell(principle: str, objective: str, lam: float, seed: int = 0, **measures: float) -> Row:
    return {**multiview_row(principle, objective, lam, seed), **measures}


def test_figure_2_has_every_configuration_and_the_baselines_of_its_task() -> None:
    table = figure2.data(trainings(full_rows(2)))
    pitch = table[table["task"] == "pitch"]
    assert len(table) == 2 * (46 + 2)
    assert list(pitch["kind"].unique()) == ["multiview", "encoder", "cl-pitch"]
    assert pitch["mse"].isna().sum() == 9 + 2


def test_figure_2_takes_overall_accuracy_of_each_task() -> None:
    rows = [cell("Cosine", "SEP", 0.6, pitch_overall=0.7, instrument_overall=0.9, mse=0.02)]
    table = figure2.data(trainings(rows))
    assert list(zip(table["task"], table["accuracy"], table["mse"], strict=True)) == [
        ("pitch", 0.7, 0.02), ("instrument", 0.9, 0.02)
    ]  # fmt: skip


def test_figure_2_says_how_many_points_lambda_zero_leaves_out() -> None:
    full = figure2.note(figure2.data(trainings(full_rows(1))))
    assert full == "λ = 0 has no decoder: 9 configurations left out."
    one = figure2.note(figure2.data(trainings([cell("Cosine", "SEP", 0.0)])))
    assert one.startswith("λ = 0 has no decoder: 1 configuration left out.")


def test_figure_2_correlates_ranks_and_counts_reconstruction_once() -> None:
    rows = [
        cell("Cosine", "SEP", 0.2, mse=4.0, pitch_overall=0.2),
        cell("Cosine", "SEP", 0.6, mse=3.0, pitch_overall=0.1),
        cell("Cosine", "SEP", 1.0, mse=1.0, pitch_overall=0.9),
        cell("Cosine", "SIM", 1.0, mse=1.0, pitch_overall=0.9),
        cell("Cosine", "SIM", 0.0, pitch_overall=0.99),
    ]
    # Ranks 3, 2, 1 and 2, 1, 3: ρ = 1 − 6 (1 + 1 + 4) / (3 · 8).
    assert figure2.correlation(figure2.data(trainings(rows)), "pitch") == pytest.approx(-0.5)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_spearman_agrees_with_pandas(pairs: list[tuple[int, int]]) -> None:
    points = pd.DataFrame(pairs, columns=["x", "y"], dtype=float)
    if len(points) < 3 or points.nunique().min() < 2:
        assert math.isnan(spearman(points["x"], points["y"]))
    else:
        reference = points.corr(method="spearman").loc["x", "y"]
        assert spearman(points["x"], points["y"]) == pytest.approx(reference)


@given(st.floats(1e-6, 1e3), st.floats(3.01, 1e6))
def test_a_log_axis_has_two_to_ten_round_ticks(low: float, factor: float) -> None:
    inside = [t for t in figure2.log_ticks(low, low * factor) if low <= t <= low * factor]
    assert 1 <= len(inside) <= 10
    assert all(f"{tick:.0e}".startswith(tuple("12357")) for tick in inside)


def test_names_of_lines_that_would_touch_are_moved_apart_about_their_middle() -> None:
    assert figure2.spread([0.5, 0.52], gap=0.1) == pytest.approx([0.46, 0.56])
    assert figure2.spread([0.5, 0.7], gap=0.1) == [0.5, 0.7]
    assert figure2.spread([0.5], gap=0.1) == [0.5]


def test_figure_3_has_margins_and_mean_overall_of_every_configuration() -> None:
    rows = [
        cell(
            "Cosine", "SEP", 0.6, pitch_private=0.7, pitch_shared=0.6, instrument_private=0.7,
            instrument_shared=0.9, pitch_overall=0.7, instrument_overall=0.9,
        )
    ]  # fmt: skip
    point = figure3.data(trainings(rows)).iloc[0]
    assert point["delta_pitch"] == pytest.approx(0.1)
    assert point["delta_instrument"] == pytest.approx(0.2)
    assert point["mean_overall"] == pytest.approx(0.8)
    assert len(figure3.data(trainings(full_rows(1)))) == 46


def test_figure_3_rings_the_configuration_of_table_1() -> None:
    table = figure3.data(trainings(full_rows(1)))
    assert table["chosen"].sum() == 1
    name = table.loc[table["chosen"], "name"].item()
    assert figure3.note(table).startswith(f"Ring: {name} (Table 1).")


def test_figure_3_rings_nothing_where_nothing_can_be_chosen() -> None:
    table = figure3.data(trainings([cell("Cosine", "SEP", 1.0)]))
    assert not table["chosen"].any()


PANEL_A = [
    # Reconstruction only of two seeds, then two principles.
    cell("Cosine", "SEP", 1.0, 0, instrument_private=0.90),
    cell("Cosine", "SEP", 1.0, 1, instrument_private=0.80),
    cell("Cosine", "SEP", 0.6, 0, instrument_private=0.80),
    cell("Cosine", "SEP", 0.6, 1, instrument_private=0.60),
    cell("VICReg", "SEP", 0.6, 0, instrument_private=0.70),
    cell("VICReg", "SEP", 0.6, 1, instrument_private=0.70),
]


def bars(rows: list[Row], panel: str = "A") -> pd.DataFrame:
    table = figure4.data(trainings(rows))
    return table[table["panel"] == panel].set_index("principle")


def test_figure_4_takes_differences_within_a_seed_then_averages_seeds_then_principles() -> None:
    table = bars(PANEL_A)
    # Cosine: −.10 and −.20; VICReg: −.20 and −.10. The seeds' means are both −.15.
    assert table["delta"].to_dict() == pytest.approx(
        {"mean": -0.15, "Cosine": -0.15, "VICReg": -0.15}
    )
    half = stats.t.ppf(0.975, 1) * 0.05  # of two seeds .10 apart
    assert (table["delta_high"] - table["delta"]).to_dict() == pytest.approx(
        {"mean": 0.0, "Cosine": half, "VICReg": half}, abs=1e-9
    )
    assert table["seeds"].to_dict() == {"mean": 2, "Cosine": 2, "VICReg": 2}
    assert table.loc["mean", "principles"] == 2


def test_figure_4_leaves_out_cells_whose_seed_has_no_reconstruction_only_run() -> None:
    rows = [unfinished(row) if row["lam"] == 1 and row["seed"] == 1 else row for row in PANEL_A]
    table = bars(rows)
    assert table.loc["mean", "delta"] == pytest.approx(-0.15)
    assert table.loc["mean", "seeds"] == 1
    assert table["delta_low"].isna()["mean"]


def test_figure_4_takes_the_interval_from_seeds_that_have_every_principle() -> None:
    rows = [
        unfinished(row, "diverged") if row["principle"] == "VICReg" and row["seed"] == 1 else row
        for row in PANEL_A
    ]
    table = bars(rows)
    assert table.loc["mean", "delta"] == pytest.approx((-0.15 - 0.20) / 2)
    assert table.loc["mean", "seeds"] == 1


def test_figure_4_without_a_seed_that_has_every_principle_has_no_interval() -> None:
    rows = [
        row if row["lam"] == 1 or (row["principle"] == "Cosine") == (row["seed"] == 0)
        else unfinished(row)
        for row in PANEL_A
    ]  # fmt: skip
    table = bars(rows)
    assert table.loc["mean", "delta"] == pytest.approx((-0.10 - 0.10) / 2)
    assert table.loc["mean", "seeds"] == 0 and table["delta_low"].isna()["mean"]
    note = figure4.note(figure4.data(trainings(rows)))
    assert note == "No seed has all principles of a bar: no interval."


def test_figure_4_panels_are_the_paper_s() -> None:
    table = figure4.data(trainings(full_rows(1)))
    panels = table.drop_duplicates("panel")[["panel", "task", "subspace"]].to_numpy().tolist()
    assert panels == [
        ["A", "instrument", "private"], ["B", "instrument", "shared"],
        ["C", "pitch", "private"], ["D", "pitch", "shared"],
    ]  # fmt: skip
    assert len(table) == 4 * (15 + 45)


def test_figure_4_marks_bars_that_lack_a_principle_and_bars_without_a_run() -> None:
    def state(row: Row) -> Row:
        if row.get("objective") == "SEP" and row["lam"] == 0:
            return unfinished(row, "diverged")
        if row.get("principle") == "VICReg" and row["lam"] < 0.4:
            return unfinished(row, "diverged")
        return row

    table = figure4.data(trainings([state(row) for row in full_rows(1)]))
    assert figure4.note(table) == (
        "5 of 15 bars (hatched) lack a principle. 1 of 15 bars (×) have no finished run."
    )
    empty = table[table["principles"] == 0]
    assert list(empty["lam"].unique()) == [0.0] and empty["delta"].isna().all()


def test_the_bars_go_from_light_to_dark_with_growing_weight_of_l_dis() -> None:
    table = figure4.data(trainings(full_rows(1)))
    first = table[(table["panel"] == "A") & (table["principle"] == MEAN)]
    placed = figure4.placed(first)
    for _, group in placed.groupby("objective"):
        assert list(group.sort_values("place")["lam"]) == [0.8, 0.6, 0.4, 0.2, 0.0]
    assert placed["place"].is_unique


@pytest.mark.parametrize("figure", [figure2, figure3])
@pytest.mark.parametrize("rows", [[baseline_row("encoder", 0)], []])
def test_figures_2_and_3_without_a_finished_run_say_what_to_do(
    figure: FigureModule, rows: list[Row]
) -> None:
    pending = [unfinished(row) for row in full_rows(1) if row["kind"] == "multiview"]
    with pytest.raises(ValueError, match="no finished run to draw; go on with `sweeper resume`"):
        figure.data(trainings([*rows, *pending]))


def test_figure_4_without_reconstruction_only_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="Figure 4 needs a finished λ = 1 run"):
        figure4.data(trainings([cell("Cosine", "SEP", 0.6)]))


@pytest.mark.parametrize("figure", [figure2, figure3, figure4])
def test_means_over_seeds_lie_between_the_seeds(figure: FigureModule) -> None:
    column = "delta" if figure is figure4 else "mean_overall" if figure is figure3 else "accuracy"
    alone = [
        figure.data(trainings([row for row in full_rows(3) if row["seed"] == seed]))[
            column
        ].to_numpy()
        for seed in range(3)
    ]
    together = figure.data(trainings(full_rows(3)))[column].to_numpy()
    assert np.allclose(together, np.mean(alone, axis=0))
