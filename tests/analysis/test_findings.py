"""Verdicts turn when the data turn, and are withheld where data are missing."""

import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest

from analysis.effects import eta_squared
from analysis.findings import FAILS, HOLDS, OPEN, findings, markdown
from tests.analysis.synthetic import SWEEPS, Row, frame, full_rows, unfinished


def verdicts(rows: list[Row]) -> dict[str, str]:
    table = findings(frame(rows))
    return dict(zip(table["claim"], table["holds"], strict=True))


def verdict(judged: dict[str, str], words: str) -> str:
    matching = [holds for claim, holds in judged.items() if words in claim]
    assert len(matching) == 1, matching
    return matching[0]


def changed(change: Callable[[Row], Row]) -> dict[str, str]:
    return verdicts([change(row) for row in full_rows(1)])


@pytest.fixture(scope="module")
def unchanged() -> dict[str, str]:
    return verdicts(full_rows(1))


def test_claims_are_judged_on_numbers_never_on_a_figure() -> None:
    program = (
        "import sys, analysis.findings; print({'matplotlib', 'analysis.figures'} & {*sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed.stderr


def test_a_sweep_made_after_the_paper_bears_out_most_of_its_claims() -> None:
    judged = list(verdicts(full_rows(3)).values())
    assert judged.count(HOLDS) >= 18
    assert OPEN not in judged


def test_a_sweep_that_has_only_begun_is_not_judged() -> None:
    pending = [unfinished(row) for row in full_rows(1)[1:]]
    assert set(verdicts([full_rows(1)[0], *pending]).values()) == {OPEN}


def test_ours_is_a_dash_where_nothing_is_judged() -> None:
    table = findings(frame(SWEEPS["few"]))
    assert (table.loc[table["holds"] == OPEN, "ours"] == "–").all()
    assert (table.loc[table["holds"] != OPEN, "ours"] != "–").all()


def test_swapping_similarity_and_separation_turns_the_claims_about_them(
    unchanged: dict[str, str],
) -> None:
    swapped = {"SIM": "SEP", "SEP": "SIM"}
    swapped_over = changed(
        lambda row: (
            {**row, "objective": swapped.get(row.get("objective", ""), "SIM+SEP")}
            if row["kind"] == "multiview"
            else row
        )
    )
    for words in ("Separation gives", "Separation lowers", "Similarity lowers", "Similarity loses"):
        assert verdict(unchanged, words) == HOLDS
        assert verdict(swapped_over, words) == FAILS


def test_accuracy_that_rises_with_the_mse_contradicts_the_paper(unchanged: dict[str, str]) -> None:
    rising = changed(
        lambda row: {**row, "pitch_overall": 0.5 + row["mse"]} if row.get("mse") else row
    )
    assert verdict(unchanged, "higher pitch accuracy") == HOLDS
    assert verdict(rising, "higher pitch accuracy") == FAILS


def test_a_strong_cl_baseline_is_not_beaten() -> None:
    strong = changed(
        lambda row: {**row, "pitch_overall": 0.95} if row["kind"] == "cl-pitch" else row
    )
    assert verdict(strong, "It beats CL-Pitch") == FAILS
    assert verdict(strong, "both losses beat CL-Pitch") == FAILS
    assert verdict(strong, "It beats CL-Instrument") == HOLDS


@pytest.mark.parametrize(("seeds", "expected"), [(3, HOLDS), (5, FAILS)])
def test_reconstruction_only_must_be_nearer_to_zero_with_five_seeds(
    seeds: int, expected: str
) -> None:
    rows = [
        {**row, "pitch_private": 0.70, "pitch_shared": 0.65} if row.get("lam") == 1 else row
        for row in full_rows(seeds)
    ]
    assert verdict(verdicts(rows), "Reconstruction only is entangled") == expected


def test_a_missing_baseline_leaves_its_claims_open_and_no_others() -> None:
    rows = [unfinished(row) if row["kind"] == "cl-pitch" else row for row in full_rows(1)]
    unjudged = [claim for claim, holds in verdicts(rows).items() if holds == OPEN]
    assert unjudged and all("CL" in claim for claim in unjudged)
    assert len(unjudged) == 3


def test_explained_variance_is_one_for_the_only_factor_that_matters() -> None:
    rows = pd.DataFrame(
        {
            "objective": ["SIM", "SIM", "SEP", "SEP"],
            "principle": ["Cosine", "VICReg"] * 2,
            "delta_pitch": [0.0, 0.0, 0.2, 0.2],
            "delta_instrument": [0.1, 0.1, 0.3, 0.3],
        }
    )
    assert eta_squared(rows, "objective") == pytest.approx(1)
    assert eta_squared(rows, "principle") == pytest.approx(0)


def test_the_markdown_counts_the_verdicts() -> None:
    table = findings(frame(full_rows(1)))
    lines = markdown(table).splitlines()
    holding = (table["holds"] == HOLDS).sum()
    assert lines[2].startswith(f"Holds: {holding}, does not hold: ")
    assert {line.count("|") for line in lines[4:]} == {7}
