"""Predictions in a database become intervals over notes."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from analysis.clips import load_clips
from analysis.trainings import Trainings
from tests.analysis.synthetic import frame, full_rows, results


@pytest.fixture
def predicted(tmp_path: Path):
    """A database of one run and three test clips, of which it says two rightly."""
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    packed = zlib.compress(np.array([1, 2, 9], "<u2").tobytes())
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE sweeps (id INTEGER, name TEXT)",
            "CREATE TABLE runs (id INTEGER, key TEXT)",
            "CREATE TABLE cells (sweep_id INTEGER, run_id INTEGER)",
            "CREATE TABLE predictions (run_id, part, task, subspace, classes)",
            "CREATE TABLE clips (latents, part, position, labels, note, twin)",
            "INSERT INTO sweeps VALUES (1, 'a')",
            "INSERT INTO runs VALUES (1, 'k')",
            "INSERT INTO cells VALUES (1, 1), (1, 1)",
        ):
            connection.execute(text(statement))
        row = {"classes": packed}
        insert = "INSERT INTO predictions VALUES (1, 'test', 'pitch', 'private', :classes)"
        connection.execute(text(insert), row)
        for position, label in enumerate((1, 2, 3)):
            values = {"labels": json.dumps({"pitch": label}), "at": position}
            insert = "INSERT INTO clips VALUES ('f', 'test', :at, :labels, :at, 0)"
            connection.execute(text(insert), values)
    yield engine
    engine.dispose()


def test_what_was_said_rightly_is_known_clip_by_clip(predicted) -> None:
    clips = load_clips(predicted, "a", frame(full_rows(1)).assign(latents="f"))
    assert clips is not None and clips.notes.tolist() == [0, 1, 2]
    assert clips.correct["k"]["pitch_private"].tolist() == [True, True, False]
    assert not clips.twin.any()
    assert clips.remarks == ("3 of 3 pitch classes in test have a single note.",)


def test_classes_that_test_lacks_are_counted_in_one_line(predicted) -> None:
    with predicted.begin() as connection:
        for label in (1, 7, 8):
            row = {"labels": json.dumps({"pitch": label})}
            connection.execute(
                text("INSERT INTO clips VALUES ('f', 'train', 9, :labels, 9, 0)"), row
            )
        connection.execute(text("UPDATE clips SET labels = '{\"pitch\": 1}' WHERE part = 'test'"))
    clips = load_clips(predicted, "a", frame(full_rows(1)).assign(latents="f"))
    assert clips is not None and clips.remarks == ("2 of 3 pitch classes have no test clip.",)


def test_runs_of_several_latents_are_one_line_and_have_the_intervals_of_seeds() -> None:
    whole = results(full_rows(2))
    rows = whole.frame.assign(latents=["f", "g"] * (len(whole.frame) // 2))
    mixed = Trainings.of_results(replace(whole, frame=rows))
    assert mixed.remarks == ("The runs are of 2 latents: no test notes that they share.",)
    assert "intervals are over seeds only" in mixed.basis


@pytest.mark.parametrize("latents", ["g", ["f", "g"]])
def test_other_latents_or_several_have_no_clips(predicted, latents) -> None:
    rows = frame(full_rows(1))
    if isinstance(latents, list):
        latents = [latents[i % 2] for i in range(len(rows))]
    assert load_clips(predicted, "a", rows.assign(latents=latents)) is None
