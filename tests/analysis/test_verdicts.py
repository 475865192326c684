"""Verdicts on planted sweeps: right where the truth is known, withheld where too little is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from analysis.anova import anova
from analysis.findings import findings, markdown, untrained
from analysis.intervals import Interval
from analysis.trainings import Trainings
from analysis.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, judge, verdicts
from tests.analysis.planted import nothing, planted
from tests.analysis.synthetic import frame, full_rows, unfinished


@pytest.fixture(scope="module")
def true() -> Trainings:
    return planted(5, np.random.default_rng(0), notes=600)


def by_key(trainings: Trainings) -> dict[str, str]:
    return {found.claim.key: found.verdict for found in verdicts(trainings)}


def test_claims_are_judged_on_numbers_never_on_a_figure() -> None:
    program = (
        "import sys, analysis.findings; print({'matplotlib', 'analysis.figures'} & {*sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed.stderr


def test_what_was_planted_is_supported_and_its_opposite_contradicted(true: Trainings) -> None:
    found = by_key(true)
    assert found["3"] == found["4"] == found["6"] == found["9"] == SUPPORTED
    # Where private and shared change places, the margins turn round.
    swapped = true.correct[..., [1, 0, 2, 4, 3, 5], :] if true.correct is not None else None
    turned = replace(true, correct=swapped, accuracy=true.accuracy[..., [1, 0, 2, 4, 3, 5]])
    assert by_key(turned)["1"] == CONTRADICTED


def test_a_margin_smaller_than_the_notes_can_show_is_left_open(true: Trainings) -> None:
    (found,) = (found for found in verdicts(true) if found.claim.key == "1")
    assert found.verdict == UNDECIDED and found.needs == "more test notes"
    assert found.parts["Δ pitch"].low < 0 < found.parts["Δ pitch"].high


def test_one_seed_settles_no_claim_and_says_what_would() -> None:
    table = findings(planted(1, np.random.default_rng(1)))
    assert set(table["verdict"]) == {UNDECIDED}
    assert (table["needs"] != "").all()


def test_under_the_null_hardly_any_claim_of_an_effect_is_supported() -> None:
    """Of the claims that a loss does something; that it costs nothing is true under the null."""
    harmless = {"2", "2c", "5", "k", "d", "e", "19", "b"}
    supported = judged = 0
    for seed in range(6):
        found = by_key(planted(5, np.random.default_rng(seed), truth=nothing))
        effects = [verdict for key, verdict in found.items() if key not in harmless]
        supported += effects.count(SUPPORTED)
        judged += len(effects)
    assert supported / judged <= 0.02


def test_all_seeds_of_a_baseline_count_though_the_grid_has_fewer(true: Trainings) -> None:
    few, grid = 3, (true.points["kind"] == "multiview").to_numpy()
    correct, accuracy, valid = (
        np.array(values) for values in (true.correct, true.accuracy, true.valid)
    )
    for values in (correct, accuracy, valid):
        values[np.ix_(np.arange(few, 5), grid)] = np.nan
    fewer = replace(true, correct=correct, accuracy=accuracy, valid=valid)
    assert fewer.basis.startswith("3 seeds (5 of the baselines) × ")
    found = {found.claim.key: found for found in verdicts(fewer)}
    for key, baseline in (("3", "cl-pitch"), ("10", "cl-instrument"), ("k", "encoder")):
        assert found[key].seeds == few and f"(5 of {baseline})" in found[key].rests_on
    assert found["6"].seeds == 5 and found["7"].seeds == few
    assert untrained(fewer).iloc[0, 0] == "SIM (3 of 3)"


def test_seeds_of_baselines_alone_are_no_missing_trainings_of_the_grid() -> None:
    rows = [row for row in full_rows(4) if row["kind"] != "multiview" or row["seed"] < 2]
    trainings = Trainings.of(frame(rows))
    assert trainings.remarks == () and trainings.basis.startswith("2 seeds (4 of the baselines);")
    assert markdown(findings(trainings), trainings)


def test_without_predictions_a_verdict_says_that_it_is_of_seeds_only() -> None:
    trainings = Trainings.of(frame(full_rows(3)))
    table = findings(trainings)
    settled = table[table["verdict"] != UNDECIDED]
    assert len(settled) and settled["ours"].str.endswith("(seeds only)").all()
    assert not table["holm"].any() and "Of seeds only" in markdown(table, trainings)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.5, SUPPORTED), (-0.5, CONTRADICTED), (0.05, UNDECIDED)]
)
def test_an_interval_inside_supports_outside_contradicts_across_leaves_open(
    mean: float, verdict: str
) -> None:
    part = Interval(mean=mean, seeds=5, of_seed=0.01, common=0.0)
    assert judge([part], 0, np.inf)[0] == verdict
    # Of a compound claim one part outside is enough, and every part must be inside.
    inside = Interval(mean=0.9, seeds=5, of_seed=0.01, common=0.0)
    assert judge([inside, part], 0, np.inf)[0] == verdict


def test_a_sweep_that_has_only_begun_is_not_judged() -> None:
    pending = [unfinished(row) for row in full_rows(3)[1:]]
    table = findings(Trainings.of(frame([full_rows(3)[0], *pending])))
    assert set(table["verdict"]) == {UNDECIDED} and (table["ours"] == "–").any()


def test_missing_trainings_and_missing_clips_are_told_in_a_line() -> None:
    rows = full_rows(3)
    rows[0] = unfinished(rows[0])
    trainings = Trainings.of(frame(rows))
    text = markdown(findings(trainings), trainings)
    assert "no predictions on test clips" in text and "not finished" in text


def test_the_analysis_of_variance_is_that_of_statsmodels() -> None:
    values = np.random.default_rng(2).normal(size=(4, 3, 3, 2))
    places = np.indices(values.shape).reshape(4, -1)
    table = pd.DataFrame(places.T, columns=["seed", "a", "b", "c"]).assign(y=values.ravel())
    wanted = AnovaRM(table, "y", "seed", within=["a", "b", "c"]).fit().anova_table
    ours = anova(values)
    names = [name.replace("principle", "a").replace("objective", "b").replace("λ", "c")
             for name in ours["effect"]]  # fmt: skip
    for name, (_, row) in zip(names, ours.iterrows(), strict=True):
        reference = wanted.loc[name.replace(" × ", ":")]
        assert row["F"] == pytest.approx(reference["F Value"])
        assert row["p"] == pytest.approx(reference["Pr > F"])
