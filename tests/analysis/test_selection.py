"""Every test changes validation accuracies of one row: margins (pitch, instrument), overall."""

import pandas as pd
import pytest

from analysis.estimates import configurations
from analysis.selection import FALLBACK, RULE, select
from tests.analysis.synthetic import Row, full_rows, multiview_row, trainings, unfinished


def row(
    principle: str, lam: float, margins: tuple[float, float], overall: float, seed: int = 0
) -> Row:
    """A SEP cell with these validation numbers, and the opposite ones on test."""
    pitch, instrument = margins
    return {
        **multiview_row(principle, "SEP", lam, seed),
        "valid_pitch_private": 0.5 + pitch, "valid_pitch_shared": 0.5,
        "valid_instrument_private": 0.5, "valid_instrument_shared": 0.5 + instrument,
        "valid_pitch_overall": overall, "valid_instrument_overall": overall,
        "pitch_private": 0.5 - pitch, "pitch_shared": 0.5,
        "instrument_private": 0.5, "instrument_shared": 0.5 - instrument,
    }  # fmt: skip


RECONSTRUCTION = row("Cosine", 1.0, (0.0, 0.0), 0.80)


def chosen(*rows: Row) -> str | None:
    selection = select(table(*rows))
    return selection.name if selection else None


def table(*rows: Row) -> pd.DataFrame:
    return configurations(trainings(rows))


def test_the_larger_of_the_smaller_margins_on_validation_wins() -> None:
    lopsided = row("Cosine", 0.4, (0.02, 0.50), 0.80)
    even = row("VICReg", 0.6, (0.05, 0.06), 0.80)
    assert chosen(RECONSTRUCTION, lopsided, even) == "VICReg SEP λ=0.6"


def test_a_configuration_that_loses_accuracy_is_out() -> None:
    best = row("Cosine", 0.4, (0.3, 0.3), 0.789)
    kept = row("VICReg", 0.6, (0.1, 0.1), 0.791)
    assert chosen(RECONSTRUCTION, best, kept) == "VICReg SEP λ=0.6"


def test_where_all_lose_accuracy_the_largest_margin_is_taken_and_the_rule_says_so() -> None:
    lost = [row("Cosine", 0.4, (0.3, 0.3), 0.5), row("VICReg", 0.6, (0.1, 0.1), 0.6)]
    selection = select(table(RECONSTRUCTION, *lost))
    assert selection is not None
    assert (selection.name, selection.rule) == ("Cosine SEP λ=0.4", FALLBACK)


def test_without_a_reconstruction_only_run_the_fallback_applies() -> None:
    selection = select(table(row("Cosine", 0.4, (0.3, 0.3), 0.8)))
    assert selection is not None and selection.rule == FALLBACK


def test_lambda_zero_has_no_reconstruction_and_is_no_candidate() -> None:
    pure = row("Cosine", 0.0, (0.4, 0.4), 0.8)
    both = row("Cosine", 0.2, (0.1, 0.1), 0.8)
    assert chosen(RECONSTRUCTION, pure, both) == "Cosine SEP λ=0.2"


def test_a_configuration_that_diverged_for_one_seed_is_no_candidate() -> None:
    rows = [row("Cosine", 1.0, (0, 0), 0.8, seed) for seed in (0, 1)]
    rows += [row("VICReg", 0.6, (0.1, 0.1), 0.8, seed) for seed in (0, 1)]
    lucky = row("InfoNCE", 0.4, (0.4, 0.4), 0.8, 0)
    lost = unfinished(row("InfoNCE", 0.4, (0.4, 0.4), 0.8, 1), "diverged")
    assert chosen(*rows, lucky, lost) == "VICReg SEP λ=0.6"


def test_equal_margins_are_decided_by_accuracy() -> None:
    low = row("VICReg", 0.6, (0.1, 0.1), 0.80)
    high = row("Cosine", 0.6, (0.1, 0.1), 0.82)
    assert chosen(RECONSTRUCTION, high, low) == "Cosine SEP λ=0.6"


def test_nothing_is_chosen_where_nothing_is_finished() -> None:
    assert chosen(RECONSTRUCTION) is None


@pytest.mark.parametrize("seeds", [1, 3])
def test_test_accuracies_play_no_part(seeds: int) -> None:
    rows = full_rows(seeds)
    scrambled = [
        {**cell, "pitch_private": 0.1 * (i % 7), "instrument_shared": 0.1 * (i % 5)}
        if cell["kind"] == "multiview"
        else cell
        for i, cell in enumerate(rows)
    ]
    first, second = (
        select(configurations(trainings(rows))),
        select(configurations(trainings(scrambled))),
    )
    assert first == second
    assert first is not None and first.rule == RULE
