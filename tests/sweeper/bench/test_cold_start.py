"""The parts of a sweep, by the driver's events."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sweeper.bench import cold_start
from sweeper.bench.cold_start import PARTS, Clock, seconds_by_part, shares
from sweeper.cli.app import app
from sweeper.errors import SweeperError
from sweeper.events import Broke, Ended, Placed, Planned, Progress, Results
from sweeper.states import State
from sweeper.study.request import Request


@pytest.fixture
def clocked(monkeypatch):
    """The seconds by part after (time, event) moments of a sweep, which ends a second later."""

    def seconds(*moments, writing=0.0):
        now = [0.0]
        monkeypatch.setattr(cold_start.time, "time", lambda: now[0])
        clock = Clock(-3.0)
        with clock.data():
            now[0] = 0.0
        with clock.sweep(None, None) as observe:
            for now[0], event in moments:
                observe(event)
        return seconds_by_part(clock.marks, now[0] + 1.0, writing)

    return seconds


def parts(**seconds):
    return {**dict.fromkeys(PARTS, 0.0), "import": 3.0, **seconds}


def placed(pack):
    return Placed(pack, "host", "cpu", {})


def progress(pack, stage):
    return Progress(pack, stage, 0, 1, 0.5)


def test_time_before_the_first_pack_is_placed_is_rays(clocked):
    seconds = clocked((2.0, Planned(1, 1)), (5.0, placed("a")))
    assert seconds == parts(ray=5.0, training=1.0)


def test_a_pack_trains_until_it_probes_and_probes_until_its_results(clocked):
    seconds = clocked(
        (1.0, placed("a")),
        (2.0, progress("a", "epoch")),
        (4.0, progress("a", "probes")),
        (4.5, Results("a", [], 1.0)),
        (7.0, Ended("a")),
    )
    assert seconds == parts(ray=1.0, training=3.0, probes=0.5, rest=3.5)


def test_packs_at_work_together_share_the_moment(clocked):
    seconds = clocked(
        (0.0, placed("a")),
        (0.0, placed("b")),
        (2.0, progress("a", "probes")),
        (4.0, Results("a", [], 1.0)),
        (5.0, Broke("b", State.FAILED, "cause")),
    )
    assert seconds == parts(training=2.0 + 1.0 + 1.0, probes=1.0, rest=1.0)


def test_what_writing_took_is_not_counted_twice(clocked):
    moments = (1.0, placed("a")), (4.0, Results("a", [], 1.0)), (6.0, Ended("a"))
    assert clocked(*moments, writing=0.5) == parts(ray=1.0, training=3.0, rest=2.5, writing=0.5)
    assert clocked(*moments, writing=9.0) == parts(ray=1.0, training=3.0, writing=3.0)


def test_making_data_is_a_part_of_its_own(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(cold_start.time, "time", lambda: now[0])
    clock = Clock(0.0)
    now[0] = 2.0
    with clock.data():
        now[0] = 5.0
    assert seconds_by_part(clock.marks, 6.0) == {
        **dict.fromkeys(PARTS, 0.0), "import": 2.0, "data": 3.0, "rest": 1.0
    }  # fmt: skip


def test_shares_are_of_all_parts_and_sum_to_one():
    report = shares({part: float(number) for number, part in enumerate(PARTS)})
    assert report["seconds"] == 21.0
    assert list(report["parts"]) == list(PARTS)
    assert sum(part["share"] for part in report["parts"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("sleep 0.2", None),
        ("echo no disk >&2; exit 1", "did not finish: no disk"),
        ("exec sleep 5", "did not finish in 0.5 s"),
    ],
)
def test_the_sweep_is_a_process_that_ends_fails_in_one_line_or_is_late(
    does, said, tmp_path, monkeypatch
):
    told = json.dumps({"runs": 4, "seconds": dict.fromkeys(PARTS, 1.0)})
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{told}' > $3/parts.json\n{does}\n")
    python.chmod(0o755)
    monkeypatch.setattr(cold_start.sys, "executable", str(python))
    monkeypatch.setattr(cold_start, "TIMEOUT", 0.5 if said and "in" in said.split() else 60)
    if said:
        with pytest.raises(SweeperError, match=said):
            cold_start.measure((1, 1, 1))
    else:
        assert cold_start.measure((1, 1, 1))["seconds"] == len(PARTS)


@pytest.mark.parametrize("name", [None, "quick", "paper"])
def test_the_sweep_is_a_small_one_or_a_presets_full_grid(name, tmp_path):
    request = Request(**cold_start._request(str(tmp_path), (30, 20, 40), name))
    study = request.study(request.load_grid())
    if name is None:
        assert (study.data.train_clips, len(request.load_grid().cells(1))) == (30, 4)
    else:
        assert (request.grid, request.encoder) == ("full", study.data.encoder)


def test_a_preset_that_is_none_is_refused_before_anything_is_measured():
    result = CliRunner().invoke(app, ["bench", "--preset", "papre"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SweeperError)
    assert "'papre'" in str(result.exception)
