"""A study of three factors, from the grid file to rows, frames and figures; on random latents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import sweeper as library
from sweeper.ledger.connect import open_reader
from sweeper.page.document import document_of
from tests.faults import toy
from tests.sweeper.cli.conftest import Sweeper, sweeper
from tests.sweeper.commands.conftest import LAUNCH, query

__all__ = ["sweeper"]

STUDY = """
[study]
share = "velocity"
[study.tasks]
pitch = "private"
instrument = "private"
velocity = "shared"
"""


def test_a_study_of_three_factors_ends_in_rows_frames_and_a_report(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    toy.make_latents()
    text = toy.GRID.replace('["encoder"]', '["encoder", "cl-velocity"]')
    toy.grid_file(tmp_path, epochs=1, text=text + STUDY)
    assert sweeper(*LAUNCH, "--grid", "toy.toml")[0] == 0
    tasks = query("SELECT DISTINCT task FROM accuracies ORDER BY task")
    assert tasks == [("instrument",), ("pitch",), ("velocity",)]
    _check_frames()
    assert sweeper("verify")[0] == 0  # what probes said is as the clips are labelled
    code, out, _ = sweeper("export", "--format", "csv")
    assert code == 0 and "valid_velocity_overall" in out.splitlines()[0]
    assert json.loads(sweeper("status", "--json")[1])["tasks"]["velocity"] == "shared"
    code, _, err = sweeper("report", "--claims")
    assert code == 1 and "this study's pairs share velocity" in err
    code, out, _ = sweeper("report", "--format", "svg")
    assert code == 0 and "The paper's claims are about pairs of one instrument" in out
    assert "Δ velocity" in Path("report/table-1.md").read_text()


def _check_frames() -> None:
    sweep = library.open("results.db")
    frame = sweep.results()
    named = frame[frame["principle"].notna()]
    assert len(named) == 6 and frame["velocity_overall"].notna().all()
    for task, held, other in (
        ("velocity", "shared", "private"),
        ("instrument", "private", "shared"),  # not as in the paper
    ):
        expected = named[f"{task}_{held}"] - named[f"{task}_{other}"]
        assert (named[f"delta_{task}"] == expected).all()
    assert "velocity_shared - velocity_private" in frame.attrs["columns"]["delta_velocity"]
    assert len(sweep.figure(3).axes) == 2
    document = document_of(open_reader("results.db"), [], "results.db")["sweeps"][0]
    assert document["tasks"]["velocity"] == "shared" and document["claims"] == []
    assert "delta_velocity" in document["cells"] and "velocity" in document["correlations"]


def test_a_factor_that_the_dataset_does_not_tell_is_one_line(
    sweeper: Sweeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = STUDY.replace("velocity =", "velocty =")
    toy.grid_file(tmp_path, epochs=1, text=toy.GRID + study)
    code, _, err = sweeper(*LAUNCH, "--grid", "toy.toml")
    assert code == 1 and not Path("results.db").exists()
    told = r"toy.toml:\d+:1: unknown factor of the dataset notes 'velocty', did you mean 'velocity'"
    assert re.search(told, err), err
