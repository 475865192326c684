"""A search's front and hypervolume: known areas; trials off the grid are on no grid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.facets import facets
from analysis.report import report_facets
from analysis.results import Results
from analysis.searched import REFERENCE, Points, compared, front, hypervolume
from tests.analysis.synthetic import full_rows, results


def searched(lift: float, seeds: int = 2) -> Results:
    """The full grid, and three trials at Cosine SEP λ = 0.6, whose margins are larger by `lift`."""
    rows = full_rows(seeds)
    found = [row for row in rows if row["label"].startswith("Cosine SEP λ=0.6")]
    for trial in range(3):
        for row in found:
            label = row["label"].replace(" seed", f" temperature={trial + 1} seed")
            worse = {
                f"{split}{place}": row[f"{split}{place}"] - lift * (trial + 1)
                for split in ("", "valid_")
                for place in ("pitch_shared", "instrument_private")
            }
            rows.append({**row, **worse, "label": label, "run_key": f"{row['run_key']}{trial}"})
    whole = results(rows)
    trials = whole.frame["label"].str.extract(r"temperature=(\d)")[0]
    points = [
        json.dumps({"trial": int(t) - 1, "loss.temperature": float(t)} if t == t else {})
        for t in trials
    ]
    return replace(whole, frame=whole.frame.assign(point=points))


def test_a_hypervolume_is_the_area_above_the_reference() -> None:
    x, y = np.array([0.0, 0.1, 0.05, -0.2]), np.array([0.3, 0.1, 0.05, 0.9])
    assert hypervolume(x, y, (-0.1, 0.0)) == pytest.approx(0.2 * 0.1 + 0.1 * 0.2)
    assert hypervolume(x, y - 1, REFERENCE) == 0


def test_the_searchs_front_stands_beside_the_grids_at_equal_cost() -> None:
    points = Points.of(searched(0.05).frame)
    assert points.searched.sum() == 3 and (~points.searched).sum() == 36
    volumes = compared(points)
    counts = {what: count for what, (count, _) in volumes.items()}
    assert counts == {
        "searched": 3, "the grid's": 36, "the grid's, at equal cost": 3,
        "searched − grid's at equal cost": 3, "both": 39,
    }  # fmt: skip
    mean = {what: volume.mean for what, (_, volume) in volumes.items()}
    assert mean["both"] >= mean["the grid's"] > mean["the grid's, at equal cost"] > 0
    assert mean["searched"] > mean["the grid's, at equal cost"]
    best = front(points).iloc[0]
    assert best["name"] == "Cosine SEP λ=0.6 temperature=3" and best["searched"]
    assert best["membership"] == 1


def test_a_grid_alone_has_a_hypervolume_too() -> None:
    assert list(compared(Points.of(results(full_rows(2)).frame))) == ["the grid's"]


def test_trials_on_further_axes_are_on_no_grid_but_in_the_report(tmp_path: Path) -> None:
    whole = searched(0.05)
    (name, grid), = facets(whole).items()  # fmt: skip
    assert name == "" and len(grid.frame) == len(full_rows(2))
    report_facets(whole, ["3"], [], tmp_path, ["svg"], paper=False)
    text = (tmp_path / "search.md").read_text()
    assert "Cosine SEP λ=0.6 temperature=3" in text and "the grid's, at equal cost" in text
