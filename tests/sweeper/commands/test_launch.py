"""A whole sweep, for real: notes rendered, packs trained on Ray, figures drawn."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from sweeper.errors import ClusterDiedError
from sweeper.signals import StoppedError
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

GRID = """
principles = ["Cosine"]
objectives = ["SEP", "SIM+SEP"]
lambdas = [0.0, 0.6, 1.0]
baselines = ["encoder", "cl-instrument"]

[data]
train_clips = 200
valid_clips = 100
downstream_clips = 200

[training]
epochs = 2

[probe]
epochs = 2
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the grid file, a cache, and the database that the tests fill in turn."""
    directory = tmp_path_factory.mktemp("sweep")
    (directory / "tiny.toml").write_text(GRID)
    return directory


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("SWEEPER_CACHE", str(place / "cache"))


def attempts(place: Path) -> int:
    engine = create_engine(f"sqlite:///{place / 'results.db'}")
    with engine.connect() as connection:
        count = connection.scalar(text("SELECT COUNT(*) FROM attempts"))
    engine.dispose()
    return int(count or 0)


def test_a_launch_trains_every_cell(sweeper: Sweeper, place: Path) -> None:
    code, out, err = sweeper(
        "launch", "--grid", "tiny.toml", "--preset", "smoke", "--device", "cpu"
    )
    assert code == 0, err
    assert "tiny-smoke: 8 of 8 cells finished" in out
    assert "sweeper report tiny-smoke" in out
    status = json.loads(sweeper("status", "--json")[1])
    assert (status["cells"], status["runs"], status["finished"]) == (8, 7, 7)
    assert len(list((place / "cache").rglob("weights/*.safetensors"))) == 6  # not of the encoder
    assert attempts(place) == 7


def test_the_same_launch_again_trains_nothing(sweeper: Sweeper, place: Path) -> None:
    code, out, _ = sweeper("launch", "--grid", "tiny.toml", "--preset", "smoke")
    assert code == 0 and "8 of 8 cells finished" in out
    assert sweeper("resume")[0] == 0
    assert attempts(place) == 7


def test_a_wider_launch_trains_the_difference(sweeper: Sweeper, place: Path) -> None:
    (place / "wider.toml").write_text(GRID.replace("[0.0, 0.6, 1.0]", "[0.0, 0.6, 0.8, 1.0]"))
    wider = ("launch", "--grid", "wider.toml", "--preset", "smoke", "--name", "tiny-smoke")
    assert "would train 2 runs" in sweeper(*wider, "--dry-run")[1]
    assert sweeper(*wider)[0] == 0
    assert attempts(place) == 9


def test_a_gamma_is_the_same_for_every_lambda_and_every_launch(
    sweeper: Sweeper, place: Path
) -> None:
    rows = json.loads(sweeper("export", "--format", "json")[1])
    gammas = {
        (row["objective"], row["gamma"])
        for row in rows
        if row["lam"] is not None and 0 < row["lam"] < 1
    }
    assert len(gammas) == 2  # one for SEP, one for SIM+SEP: λ = 0.8 was trained a launch later


def test_the_report_is_drawn_from_that_database(sweeper: Sweeper, place: Path) -> None:
    code, out, err = sweeper("report", "--figure", "3", "--table", "1", "--format", "svg")
    assert code == 0, err
    assert (place / "report" / "figure-3.svg").stat().st_size > 10_000
    assert (place / "report" / "table-1.tex").exists()
    assert len(out.splitlines()) == len(list((place / "report").iterdir()))


def test_what_the_clips_are_can_be_asked(sweeper: Sweeper, place: Path) -> None:
    code, out, _ = sweeper("data", "prepare", "--preset", "smoke")
    assert code == 0
    assert "keyboard" in out and "400 × 8 × 128" in out
    assert sweeper("data", "info", "--preset", "smoke")[0] == 0


def test_the_doctor_finds_nothing_wrong(sweeper: Sweeper) -> None:
    code, out, _ = sweeper("doctor")
    assert code == 0 and "bad" not in out


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_clips_are_rendered_stops_in_order(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch, signum: int, code: int
) -> None:
    def stopped(*_: object) -> None:
        raise StoppedError(signum)  # as the handler does that a process has, and this one has not

    monkeypatch.setattr("sweeper.sweep.prepare_all", stopped)
    left, out, _ = sweeper("launch", "--grid", "smoke", "--preset", "smoke", "--db", f"{code}.db")
    assert left == code
    assert f"go on with: sweeper resume smoke-smoke --db {code}.db" in out


def test_a_cluster_that_dies_ends_the_launch_with_a_code_of_its_own(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_arguments: object) -> None:
        raise ClusterDiedError("Ray died: its raylet (process 7) has crashed or was killed")

    monkeypatch.setattr("sweeper.driver.inline.Inline.run", dies)
    options = ("--preset", "smoke", "--db", "died.db", "--executor", "inline")
    code, out, _ = sweeper("launch", "--grid", "tiny.toml", *options)
    assert code == ClusterDiedError.exit_code == 4
    assert "0 of 8 cells finished" in out
    last = "Ray died: its raylet (process 7) has crashed or was killed; go on with: "
    assert out.splitlines()[-1] == f"{last}sweeper resume tiny-smoke --db died.db"
