"""A sweep with further axes is the paper's grid once a place on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.facets import compared, facets
from analysis.places import fits, name_of_place, whole_places
from analysis.report import report_facets
from analysis.results import Results
from tests.analysis.synthetic import full_rows, results


def with_temperatures(seeds: int = 2) -> Results:
    """A sweep at two temperatures, which no cell at λ = 1 and no frozen encoder has."""
    rows = []
    for row in full_rows(seeds):
        plays = row.get("lam", 1) < 1
        for temperature in (0.1, 1.0) if plays else (None,):
            point = {"lam": row.get("lam")}
            named = f"{row['run_key']}{temperature}"
            if temperature:
                point["loss.temperature"] = temperature
            label = row["label"].replace(" seed", f" temperature={temperature} seed")
            lift = 0.1 * (temperature == 0.1)
            rows.append(
                {**row, "label": label if temperature else row["label"], "run_key": named}
                | ({"pitch_private": row["pitch_private"] + lift} if lift else {})
                | {"point": json.dumps(point)}
            )
    found = results([{k: v for k, v in row.items() if k != "point"} for row in rows])
    by_label = {row["label"]: row["point"] for row in rows}
    return replace(found, frame=found.frame.assign(point=found.frame["label"].map(by_label)))


def test_each_value_has_all_cells_that_are_on_it_and_all_that_are_on_no_axis() -> None:
    found = facets(with_temperatures())
    assert list(found) == ["temperature=0.1", "temperature=1"]
    for name, facet in found.items():
        assert len(facet.frame) == len(full_rows(2))
        assert facet.provenance.sweep == f"synthetic · {name}"
        assert facet.provenance.cells == len(facet.frame)


def test_a_sweep_without_further_axes_is_one_grid() -> None:
    whole = results(full_rows(1))
    assert facets(whole) == {"": whole}


def test_what_a_value_changes_stands_in_the_comparison() -> None:
    table = compared(with_temperatures()).set_index(["facet", "objective"])["delta_pitch"]
    warm, cold = table["temperature=0.1"], table["temperature=1"]
    assert warm["SEP"].mean - cold["SEP"].mean == pytest.approx(0.1)
    assert warm[RECONSTRUCTION_ONLY].mean == pytest.approx(cold[RECONSTRUCTION_ONLY].mean)


def test_zipped_axes_and_axes_that_no_cell_is_on_together() -> None:
    zipped = [{"a.x": 1, "a.y": 2}, {"a.x": 3, "a.y": 4}, {}]
    assert list(whole_places(zipped)) == zipped[:2]
    apart = [{"a.x": 1}, {"a.x": 2}, {"b.y": 3}, {"b.y": 4}]
    wholes = list(whole_places(apart))
    assert len(wholes) == 4
    assert [sum(fits(place, whole) for whole in wholes) for place in apart] == [2, 2, 2, 2]


def test_names_tell_axes_of_one_leaf_apart() -> None:
    assert name_of_place({"training.lr": 0.1, "probe.lr": 1.0}) == "training.lr=0.1 probe.lr=1"
    assert name_of_place({"loss.vicreg": [25.0, 25.0, 1.0]}) == "vicreg=25,25,1"


def test_a_report_has_a_folder_for_each_value_and_their_comparison(tmp_path: Path) -> None:
    written = report_facets(with_temperatures(), ("3",), (), tmp_path, ("svg",), False)
    names = {str(path.relative_to(tmp_path)) for path in written.paths}
    assert {"axes.md", "axes.csv", "temperature=0.1/figure-3.svg"} <= names
    assert "| temperature=1 | SEP | 2 |" in (tmp_path / "axes.md").read_text()
