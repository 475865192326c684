"""The ledger: what was recorded stays, once, and the view shows it."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from analysis.predictions import pack, unpack
from sweeper.errors import SweeperError
from sweeper.ledger import read
from sweeper.ledger.clips import latents_with_clips, probe_clips
from sweeper.ledger.history import Failure, failures
from sweeper.ledger.lease import FencedError
from sweeper.ledger.overview import overviews
from sweeper.ledger.schema import Prediction
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.states import State
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell, load_grid, run_config
from sweeper.study.presets import PRESETS
from tests.sweeper.conftest import scored, train

Smoke = list[tuple[Cell, RunConfig]]


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) or 0)


def test_registering_twice_adds_nothing(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    ledger.register({}, smoke)
    assert count(engine, "cells") == 4
    assert count(engine, "runs") == 4


def test_two_sweeps_share_their_runs(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    with Ledger.of(engine, "b") as other:
        other.register({}, smoke)
    assert count(engine, "cells") == 8
    assert count(engine, "runs") == 4


def cells_of(preset: str) -> Smoke:
    return [(c, run_config(c, PRESETS[preset])) for c in load_grid("smoke").cells(1)]


def test_a_cell_with_other_settings_is_refused_field_by_field(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    train(ledger, "p", [scored(smoke[0][1].key)])
    with pytest.raises(SweeperError) as refused:
        ledger.register({}, cells_of("quick"))
    assert "training.epochs 2 → 8, probe.epochs 3 → 40" in str(refused.value)
    assert str(refused.value).endswith("give this one another --name")
    assert count(engine, "runs") == 4  # the refused registration left nothing behind


def test_a_sweep_that_has_tried_nothing_takes_other_settings(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    """So a launch that failed on its data does not spoil the name of the sweep."""
    ledger.register({}, smoke)
    ledger.register({}, cells_of("quick"))
    runs = read.runs_of(engine, ledger.sweep_id)
    assert {run.key for run in runs} == {run.key for _, run in cells_of("quick")}


def test_a_finished_run_shows_its_scores_and_margins(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    _, run = smoke[1]
    result = scored(run.key)
    assert result.scores is not None
    scores = {**result.scores, "pitch_private": 0.75, "instrument_shared": 0.25}
    told = RunResult(run.key, "finished", scores, result.epochs, engine="native")
    train(ledger, "p", [told])
    with engine.connect() as connection:
        (versions,) = connection.execute(text("SELECT versions FROM attempts")).scalars()
    assert json.loads(versions)["engine"] == "native"
    row = read.results(engine, "a").set_index("run_key").loc[run.key]
    assert row["state"] == "finished"
    assert row["delta_pitch"] == 0.25
    assert row["delta_instrument"] == -0.25


def test_nine_reconstruction_only_cells_show_one_run(ledger: Ledger, engine: Engine) -> None:
    cells = [(c, run_config(c, PRESETS["smoke"])) for c in load_grid("ablation").cells(1)]
    ledger.register({}, cells)
    train(ledger, "p", [scored(next(run.key for cell, run in cells if cell.lam == 1))])
    shown = read.results(engine, "a").query("state == 'finished'")
    assert len(shown) == 9 and set(shown["lam"]) == {1.0}
    assert count(engine, "scores") == 1


def test_a_late_report_changes_nothing(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    train(ledger, "p", [scored(key, 0.5)])
    before = read.results(engine, "a")
    ledger.record("p", [scored(key, 0.9)], seconds=1.0)
    train(ledger, "q", [scored(key, 0.9)])
    pd.testing.assert_frame_equal(read.results(engine, "a"), before)


def test_a_pack_is_recorded_whole_or_not_at_all(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    keys = [run.key for _, run in smoke]
    ledger.start_attempts("p", keys, Provenance())
    broken = RunResult(keys[1], "finished", {"no_such_column": 1.0})
    with pytest.raises(ValueError, match="'no_such_column' is no score"):
        ledger.record("p", [scored(keys[0]), broken], seconds=1.0)
    assert count(engine, "scores") == count(engine, "accuracies") == 0


def test_states_follow_the_latest_attempt_until_a_run_is_finished(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    ledger.start_attempts("p", [key], Provenance())
    assert read.states(engine, [key])[key] == "running"
    assert ledger.close_attempts("interrupted", "signal 2") == 1
    assert read.states(engine, [key])[key] == "interrupted"
    train(ledger, "q", [scored(key)])
    ledger.start_attempts("r", [key], Provenance())
    assert read.states(engine, [key])[key] == "finished"


def test_a_reader_is_told_of_the_runs_it_asks_for_and_of_no_others(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    keys = [run.key for _, run in smoke]
    train(ledger, "p", [scored(key) for key in keys])
    assert read.states(engine, keys[:2]) == dict.fromkeys(keys[:2], "finished")
    assert set(read.validation_mse(engine, keys[2:])) <= set(keys[2:])
    assert read.states(engine, []) == {} == read.states(engine, ["0" * 64])


def test_the_pace_is_that_of_whole_trainings(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    keys = [run.key for _, run in smoke[:3]]
    ledger.record("recovered", [scored(keys[0])], None)
    assert read.pace(engine) is None
    train(ledger, "p", [scored(keys[1])])
    pace = read.pace(engine)
    ledger.start_attempts("resumed", [keys[2]], Provenance())
    ledger.place("resumed", "here", "cpu", {keys[2]: 1})
    ledger.record("resumed", [scored(keys[2])], 1e-6)
    assert pace and read.pace(engine) == pace


def test_cells_that_another_sweep_has_trained_are_not_replaced(
    engine: Engine, smoke: Smoke
) -> None:
    with Ledger.of(engine, "a") as first:
        first.register({}, smoke)
        train(first, "p", [scored(run.key) for _, run in smoke])
    with Ledger.of(engine, "b") as second:
        second.register({}, smoke)
        with pytest.raises(SweeperError, match="other settings"):
            second.register({}, cells_of("quick"))
    assert set(read.results(engine, "b")["state"]) == {"finished"}


def test_equal_failures_are_grouped(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    failed = [
        RunResult(run.key, "failed", cause="ValueError: odd", traceback=f"at {i}")
        for i, (_, run) in enumerate(smoke[:3])
    ]
    train(ledger, "p", [*failed, RunResult(smoke[3][1].key, "diverged", cause="NaN")])
    assert failures(engine, read.plan_of(engine, read.runs_of(engine, ledger.sweep_id))) == [
        Failure(State.FAILED, "ValueError: odd", 3, "at 2"),
        Failure(State.DIVERGED, "NaN", 1),
    ]


def test_the_latest_launch_is_the_default_sweep(engine: Engine, smoke: Smoke) -> None:
    with pytest.raises(SweeperError, match="holds no sweep yet"):
        read.find_sweep(engine, None)
    for name in ("a", "b"):
        with Ledger.of(engine, name) as ledger:
            ledger.register({"grid": "x"}, smoke)
    assert read.find_sweep(engine, None).name == "b"
    assert read.find_sweep(engine, "a").options == {"grid": "x"}
    with pytest.raises(SweeperError, match="no sweep 'c' in this database; it holds: b, a"):
        read.find_sweep(engine, "c")


def test_the_runs_of_a_sweep_come_back_as_they_went_in(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    assert read.runs_of(engine, ledger.sweep_id) == [run for _, run in smoke]


def test_a_forgotten_sweep_keeps_its_row_and_nothing_of_its_runs_goes(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    train(ledger, "p", [scored(smoke[0][1].key)])
    ledger.forget()
    assert [count(engine, table) for table in ("cells", "runs", "attempts", "scores")] == [
        0,
        4,
        1,
        1,
    ]
    assert read.sweep_of(engine, ledger.sweep_id).name.startswith("a (forgotten 2")
    assert read.sweeps(engine) == []
    with Ledger.of(engine, "a") as new:
        assert new.sweep_id != ledger.sweep_id
        new.register({}, smoke)
        assert read.results(engine, "a")["state"].tolist() == ["finished", *["pending"] * 3]
    (listed,) = overviews(engine)
    assert (listed.sweep.name, listed.cells) == ("a", {"finished": 1, "pending": 3})
    assert {name for name, _ in read.cells_showing(engine, [smoke[0][1].key])} == {"a"}
    assert read.options_behind(engine, [smoke[0][1].key]) == [{}]


def test_a_run_to_train_again_is_pending_and_takes_a_new_result_alone(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    cell, run = smoke[0]
    ledger.register({}, smoke)
    train(ledger, "p", [scored(run.key, 0.5)])
    ledger.retrain({run.key: cell.label})
    assert read.states(engine, [run.key]) == {run.key: State.PENDING}
    ledger.record("p", [scored(run.key, 0.5)], None)  # as a late event of the old pack would
    assert read.states(engine, [run.key]) == {run.key: State.PENDING}
    train(ledger, "q", [scored(run.key, 0.75)])
    row = read.results(engine, "a").iloc[0]
    assert (row["state"], row["pitch_overall"]) == ("finished", 0.75)


@pytest.mark.parametrize("step", ["forget", "retrain"])
def test_a_driver_that_was_taken_over_can_neither_forget_nor_retrain(
    ledger: Ledger, engine: Engine, smoke: Smoke, step: str
) -> None:
    ledger.register({}, smoke)
    train(ledger, "p", [scored(smoke[0][1].key)])
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET token = token + 1"))
    with pytest.raises(FencedError):
        ledger.forget() if step == "forget" else ledger.retrain({smoke[0][1].key: "cell"})
    assert [count(engine, table) for table in ("cells", "scores", "attempts")] == [4, 1, 1]


def test_what_probes_said_of_every_clip_is_read_as_it_was_stored(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    ledger.register({}, smoke)
    key = smoke[0][1].key
    said = {"pitch_private": [0, 87, 300], "valid_instrument_overall": [9]}
    packed = {name: pack(classes, [7] * len(classes)) for name, classes in said.items()}
    train(ledger, "p", [dataclasses.replace(scored(key), predictions=packed)])
    with Session(engine) as session:
        rows = session.scalars(select(Prediction).order_by(Prediction.part)).all()
    of = [(row.part, row.task, row.subspace) for row in rows]
    assert of == [("test", "pitch", "private"), ("validation", "instrument", "overall")]
    assert unpack(rows[0].classes, [7, 7, 7]).tolist() == [0, 87, 300]
    assert unpack(rows[1].classes, [7]).tolist() == [9]


def test_measures_are_stored_with_the_scores_and_go_with_them_into_the_history(
    ledger: Ledger, engine: Engine, smoke: Smoke
) -> None:
    cell, run = smoke[0]
    ledger.register({}, smoke)
    train(ledger, "p", [dataclasses.replace(scored(run.key), measures={"cka": 0.25})])
    with engine.begin() as connection:
        assert connection.execute(text("SELECT name, value FROM measures")).all() == [("cka", 0.25)]
    ledger.retrain({run.key: cell.label})
    assert count(engine, "measures") == 0
    with engine.begin() as connection:
        assert '"cka": 0.25' in connection.scalar(text("SELECT detail FROM events"))


def test_a_cell_is_read_with_the_label_that_it_was_registered_by(
    ledger: Ledger, engine: Engine, smoke: list[tuple[Cell, RunConfig]]
) -> None:
    axes = (("training.lr", 0.1), ("loss.vicreg", (1.0, 2.0, 3.0)), ("loss.temperature", 0.5))
    placed = dataclasses.replace(smoke[0][0], axes=axes)
    ledger.register({}, [(placed, smoke[0][1])])
    assert [cell.label for cell, _ in read.cells_of(engine, ledger.sweep_id)] == [placed.label]


def test_the_clips_of_some_latents_are_stored_once(ledger: Ledger, engine: Engine) -> None:
    labels = '{"instrument":4,"pitch":39}'
    rows = [
        {"position": at, "part": "test", "labels": labels, "note": at // 2, "twin": False}
        for at in range(3)
    ]
    for _ in range(2):
        ledger.store_clips("f", rows)
    assert latents_with_clips(engine) == {"f"}
    clips = probe_clips(engine, "f")
    assert clips["note"].tolist() == [0, 0, 1] and clips["pitch"].tolist() == [39, 39, 39]


def test_a_note_stays_until_another_is_given(ledger: Ledger, engine: Engine, smoke: Smoke) -> None:
    ledger.register({}, smoke)
    ledger.annotate("first light", "0" * 40, False)
    ledger.annotate(None, "1" * 40, True)
    sweep = read.find_sweep(engine, "a")
    assert (sweep.note, sweep.git_commit, sweep.git_dirty) == ("first light", "1" * 40, True)
