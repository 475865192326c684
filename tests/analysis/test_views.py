"""Other views of disentanglement beside the margins: known answers on planted sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.report import report
from analysis.results import Results
from analysis.views import agreement, markdown, views
from tests.analysis.synthetic import full_rows, results


def planted(seeds: int) -> Results:
    """A sweep whose plain margins rank as the paper's do, and whose CKA ranks against them."""
    found = results(full_rows(seeds))
    runs = found.frame[found.frame["kind"] == "multiview"].drop_duplicates("run_key")
    runs = runs.set_index("run_key")
    random = np.random.default_rng(0)
    measures = pd.DataFrame({
        "cka": 0.5 - runs[["delta_pitch", "delta_instrument"]].mean(axis=1),
        "dci": random.uniform(size=len(runs)),
        "held_pitch_private": 0.5, "held_instrument_shared": 0.5 + runs["delta_instrument"],
        **{f"plain_{name}": 0.1 + 0.9 * runs[name] for name in runs if name.startswith(
            ("pitch_", "instrument_"))},
    })  # fmt: skip
    return Results(found.frame, found.provenance, None, measures)


def test_a_view_that_ranks_as_the_margins_do_agrees_and_one_of_noise_does_not() -> None:
    table = views(planted(3))
    assert agreement(table, "plain_delta_pitch", "delta_pitch").mean == pytest.approx(1)
    assert agreement(table, "cka", "mean_margin").mean == pytest.approx(-1)
    assert abs(agreement(table, "dci", "mean_margin").mean) < 0.3
    text = markdown(table)
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert lines["CKA of z_p and z_s (less is apart)"].endswith("| agrees |")
    assert lines["DCI disentanglement"].endswith("| undecided |")
    assert "Means of 3 seeds" in text


def test_a_view_that_never_varies_has_no_rank() -> None:
    table = views(planted(3))
    assert np.isnan(agreement(table, "held_pitch_private", "delta_pitch").mean)


def test_one_seed_has_a_correlation_and_no_interval() -> None:
    text = markdown(views(planted(1)))
    assert "| one seed |" in text and "agrees |" not in text


def test_a_report_of_runs_without_other_views_has_none(tmp_path: Path) -> None:
    report(planted(1), out=tmp_path / "with", formats=("svg",))
    report(results(full_rows(1)), out=tmp_path / "without", formats=("svg",))
    assert (tmp_path / "with" / "views.csv").is_file()
    assert not (tmp_path / "without" / "views.csv").exists()
