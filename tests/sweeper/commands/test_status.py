"""`sweeper status`, once and for as long as something trains."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console
from sqlalchemy import Engine, text

from sweeper.commands import status
from sweeper.console.words import clock
from sweeper.ledger.progress import Told, store
from sweeper.ledger.write import Ledger, Provenance, RunResult
from sweeper.study.config import RunConfig
from sweeper.study.grid import Cell
from sweeper.study.request import Request
from sweeper.sweep import expand
from tests.sweeper.conftest import scored, train

Smoke = list[tuple[Cell, RunConfig]]


def console_of(terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=100, force_terminal=terminal, color_system=None, soft_wrap=True
    )


def text_of(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def show(db: str, *, name: str | None = None, watch: bool = False, terminal: bool = False) -> str:
    console = console_of(terminal)
    status.show(db, name, watch=watch, as_json=False, console=console)
    return text_of(console)


@pytest.fixture
def half(db: str, ledger: Ledger, smoke: Smoke) -> list[str]:
    """Keys of four runs: finished, broken off, out of memory, waiting; the driver is at work."""
    ledger.register({"grid": "smoke"}, smoke)
    keys = [run.key for _, run in smoke]
    train(ledger, "p", [scored(keys[0])])
    for key, state in ((keys[1], "interrupted"), (keys[2], "out-of-memory")):
        ledger.start_attempts(f"q-{state}", [key], Provenance("here"))
        ledger.close_attempts(state, "it stopped")
    return keys


def test_grid_text_and_json_agree_on_every_state(
    db: str, half: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = show(db)
    grid = told.splitlines()[:-2]
    assert sum(line.count("◌") for line in grid if "stopped" not in line) == 2
    assert "4 runs: 1 finished, 2 interrupted, 1 pending" in told
    status.show(db, None, watch=False, as_json=True, console=console_of())
    found = json.loads(capsys.readouterr().out)
    assert (found["finished"], found["interrupted"], found["pending"]) == (1, 2, 1)
    (row,) = found["configurations"]
    assert (row["seeds"], row["pitch_overall_low"]) == (1, None)


def test_the_legend_names_the_marks_that_are_shown_and_no_others(db: str, half: list[str]) -> None:
    assert " ● done  ◌ stopped  · waiting\n" in show(db)


def test_what_happened_beside_the_attempts_is_one_line_and_whole_in_json(
    db: str, ledger: Ledger, half: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "events:" not in show(db)
    for kind, detail in (("checkpoint-failed", "no room"), ("taken-over", "\x1b[2J" + "x " * 99)):
        ledger.note(kind, detail)
    (line,) = (line for line in show(db).splitlines() if line.startswith("events:"))
    assert line.startswith("events: 1 checkpoint-failed, 1 taken-over; the last at 20")
    assert "UTC: \\x1b[2Jx x x" in line and "x …; all of them: sweeper status --json a" in line
    status.show(db, None, watch=False, as_json=True, console=console_of())
    first, last = json.loads(capsys.readouterr().out)["events"]
    assert (first["kind"], first["detail"]) == ("checkpoint-failed", "no room")
    assert last["detail"].startswith("\x1b[2Jx")
    ledger.retrain({half[0]: "Cosine SEP λ=0.6 seed 0"})
    assert "UTC: Cosine SEP λ=0.6 seed 0; all of them" in show(db)


def test_a_precision_that_is_not_the_default_is_told(
    db: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.register({"grid": "smoke"}, expand(Request("smoke", "smoke", precision="bf16")))
    assert "\nproducts in training: bf16\n" in show(db)
    status.show(db, None, watch=False, as_json=True, console=console_of())
    assert json.loads(capsys.readouterr().out)["precisions"] == ["bf16"]


def test_several_sweeps_are_named_where_none_was_asked_for(
    db: str, engine: Engine, ledger: Ledger, smoke: Smoke
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    assert "more sweep" not in show(db)
    with Ledger.of(engine, "b") as other:
        other.register({"grid": "smoke"}, smoke)
    assert f"1 more sweep in this database: sweeper list --db {db}" in show(db)
    assert "more sweep" not in show(db, name="a")


def test_control_codes_of_a_database_never_reach_the_terminal(
    db: str, ledger: Ledger, smoke: Smoke
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    evil = RunResult(smoke[0][1].key, "failed", cause="\x1b[2J[/bold]", traceback="\x1b]0;x\x07")
    train(ledger, "p", [evil])
    told = show(db)
    assert "\x1b" not in told and "\x07" not in told
    assert "\\x1b[2J[/bold]" in told


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(status, "WATCH_SECONDS", 0.01)
    yield


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("terminal", [False, True])
def test_a_watch_ends_with_the_sweeps_exit_code_once_its_driver_is_gone(
    db: str, engine: Engine, smoke: Smoke, terminal: bool
) -> None:
    with Ledger.of(engine, "a") as ledger:
        ledger.register({"grid": "smoke"}, smoke)
    console = console_of(terminal)
    assert status.show(db, None, watch=True, as_json=False, console=console) == 2
    assert f"no driver is at work; go on with: sweeper resume a --db {db}" in text_of(console)
    with Ledger.of(engine, "a") as ledger:
        train(ledger, "p", [scored(run.key) for _, run in smoke])
        console = console_of(terminal)
        assert status.show(db, None, watch=True, as_json=False, console=console) == 0
    told = text_of(console)
    assert "4/4 cells" in told and "go on with" not in told
    assert not terminal or told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1


@pytest.mark.usefixtures("quickly")
def test_a_watch_goes_on_while_its_driver_lives_though_nothing_trains_yet(
    db: str, ledger: Ledger, smoke: Smoke
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    keys = [run.key for _, run in smoke]
    finish = threading.Timer(0.5, train, (ledger, "p", [scored(key) for key in keys]))
    finish.start()
    console = console_of()
    assert status.show(db, None, watch=True, as_json=False, console=console) == 0
    counts = [line for line in text_of(console).splitlines() if line.startswith("4 runs")]
    assert (counts[0], counts[-1]) == ("4 runs: 4 pending", "4 runs: 4 finished")


@pytest.mark.usefixtures("quickly")
def test_a_driver_elsewhere_that_stays_silent_is_taken_for_gone(
    db: str, engine: Engine, half: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET host = 'elsewhere', expires = heartbeat - 9"))
    monkeypatch.setattr(status, "LEASE_SECONDS", 0.2)
    assert status.show(db, None, watch=True, as_json=False, console=console_of()) == 2


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_watch_and_gives_the_cursor_back(
    db: str, half: list[str], signum: int
) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signum))
    timer.start()
    console = console_of(terminal=True)
    assert status.show(db, None, watch=True, as_json=False, console=console) == 128 + signum
    assert text_of(console).rstrip("\n").endswith("\x1b[?25h")


def test_every_look_tells_the_same_time_left_and_a_script_hears_of_failures(
    db: str, ledger: Ledger, smoke: Smoke, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.register({"grid": "smoke"}, smoke)
    label, key = smoke[0][0].label, smoke[0][1].key
    train(ledger, "o", [RunResult(key, "failed", cause="ValueError: odd")])
    ledger.start_attempts("p", [smoke[1][1].key], Provenance("here"))
    assert show(db).splitlines()[-1] == "starting"
    store(ledger.lease, {"p": Told(share=0.5, seconds=100.0)})
    status.show(db, None, watch=False, as_json=True, console=console_of())
    found = json.loads(capsys.readouterr().out)
    assert found["states"] == {"pending": 2, "failed": 1, "running": 1}
    assert found["failures"] == [{"label": label, "state": "failed", "cause": "ValueError: odd"}]
    assert show(db).splitlines()[-1] == f"{clock(found['eta_seconds'])} left"
