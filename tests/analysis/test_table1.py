import pytest
from scipy import stats

from analysis import table1
from analysis.selection import PAPER_SELECTION
from tests.analysis.synthetic import (
    Row,
    baseline_row,
    full_rows,
    multiview_row,
    trainings,
    unfinished,
)


def cell(seed: int, **measures: float) -> Row:
    return {**multiview_row("Cosine", "SEP", 0.6, seed), **measures}


def test_the_methods_stand_in_the_order_of_the_paper() -> None:
    names = list(table1.data(trainings(full_rows(1)))["name"])
    assert names[1:] == [
        PAPER_SELECTION, "reconstruction only", "cl-pitch", "cl-instrument", "encoder"
    ]  # fmt: skip


def test_the_paper_s_choice_is_one_row_where_it_is_chosen_here_too() -> None:
    table = table1.data(trainings([cell(0)]))
    assert list(table["name"])[:2] == [PAPER_SELECTION, "reconstruction only"]
    assert table["chosen"].tolist() == [True, False, False, False, False]


def test_numbers_are_test_accuracies_averaged_over_seeds() -> None:
    rows = [
        cell(0, pitch_private=0.7, pitch_shared=0.6, pitch_overall=0.72),
        cell(1, pitch_private=0.8, pitch_shared=0.6, pitch_overall=0.74),
    ]
    row = table1.data(trainings(rows)).iloc[0]
    assert row["delta_pitch"] == pytest.approx(0.15)
    assert row["pitch_overall"] == pytest.approx(0.73)
    half = stats.t.ppf(0.975, 1) * 0.01
    assert row["pitch_overall_high"] - row["pitch_overall"] == pytest.approx(half)
    assert row["seeds"] == 2


def texts(rows: list[Row], paper: bool = False) -> dict[str, list[str]]:
    """The four cells of each row, by its name."""
    table = table1.data(trainings(rows), paper)
    return dict(
        zip(table["name"], table1.cells(table).iloc[:, 1:5].to_numpy().tolist(), strict=True)
    )


def test_one_seed_has_no_interval_and_several_have_student_s() -> None:
    one = texts([cell(0, pitch_overall=0.72)])
    assert one[PAPER_SELECTION][1] == "**0.72**"
    two = texts([cell(0, pitch_overall=0.70), cell(1, pitch_overall=0.74)])
    assert two[PAPER_SELECTION][1] == "**0.72 ± 0.25**"


def test_the_other_task_of_a_cl_baseline_is_in_brackets_and_never_bold() -> None:
    best = {**baseline_row("cl-pitch", 0), "instrument_overall": 0.99}
    text = texts([best, baseline_row("encoder", 0)])
    assert text["cl-pitch"][3] == "(0.99)"
    assert text["encoder"][3] == "**0.85**"


def test_baselines_have_no_margins_and_what_is_not_finished_says_so() -> None:
    text = texts([baseline_row("encoder", 0), unfinished(baseline_row("cl-pitch", 0))])
    assert text["encoder"] == ["–", "**0.66**", "–", "**0.85**"]
    assert text["cl-pitch"] == ["–", "not finished", "–", "not finished"]
    assert text["reconstruction only"][0] == "not finished"


def test_all_that_round_to_the_best_are_bold() -> None:
    rows = [cell(0, pitch_overall=0.714), {**baseline_row("encoder", 0), "pitch_overall": 0.706}]
    assert [cells[1] for cells in texts(rows).values()].count("**0.71**") == 2


def test_a_margin_that_rounds_to_zero_has_no_sign_and_others_a_true_minus() -> None:
    rows = [
        cell(
            0, pitch_private=0.6, pitch_shared=0.601, instrument_private=0.9, instrument_shared=0.8
        )
    ]
    text = texts(rows)[PAPER_SELECTION]
    assert (text[0], text[2]) == ("**0.00**", "**−0.10**")


def test_the_paper_s_numbers_stand_beside_ours_on_request() -> None:
    text = texts(full_rows(1), paper=True)
    assert text["cl-pitch"] == ["–", "0.63 [0.65]", "–", "(0.41) [0.35]"]
    assert text[PAPER_SELECTION][0].endswith("[0.10]")
    assert not any("[" in cell for cells in texts(full_rows(1)).values() for cell in cells)


def test_the_caption_states_the_rule_and_what_the_intervals_rest_on() -> None:
    sweep = trainings(full_rows(3))
    table = table1.data(sweep)
    caption = table1.caption(table, sweep.basis)
    assert f"{table['name'].iloc[0]} was chosen by this rule: largest min(Δ pitch" in caption
    assert "validation" in caption and "±: half of the 95 % interval; n: seeds. 3 seeds;" in caption
    assert "1 seed: these trainings" in trainings(full_rows(1)).basis
    assert list(table1.cells(table)["n"]) == ["3"] * len(table)


def test_the_caption_says_when_nothing_could_be_chosen() -> None:
    caption = table1.caption(table1.data(trainings([baseline_row("encoder", 0)])), "")
    assert "No configuration could be chosen yet." in caption


def test_latex_is_booktabs_and_escapes_what_latex_would_read() -> None:
    tex = table1.latex(
        table1.data(trainings(full_rows(1))), "5 seeds × 2 clips.", foot="Sweep 50%_{a}&b."
    )
    assert r"Sweep 50\%\_\{a\}\&b." in tex
    assert r"Multi-view ($\mathcal{L}_{\mathrm{rec}}$ + $\mathcal{L}_{\mathrm{dis}}$)" in tex
    assert r"\textbf{" in tex and "**" not in tex
    assert [tex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert tex.isascii()
    body = tex[tex.index(r"\midrule") : tex.index(r"\bottomrule")]
    assert {line.count("&") for line in body.splitlines()[1:]} == {5}


def test_no_finished_run_says_what_to_do() -> None:
    for rows in ([], [multiview_row("Cosine", "SEP", 0.0, 0)]):  # λ = 0 has no row in it
        with pytest.raises(ValueError, match="no finished run to show; go on with `sweeper resu"):
            table1.data(trainings([*rows, *(unfinished(row) for row in full_rows(1))]))
