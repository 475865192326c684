"""Pairs of signals at every stage of a launch: it ends in time and in order, and is resumed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.faults import toy
from tests.faults.conftest import PATIENCE, Sweep, Whole, stops
from tests.faults.screen import Screen

pytestmark = pytest.mark.faults

END_SECONDS = 20.0  # after the last signal
# 0.3 on a machine with nothing else to do; how long it was is told at the end.
TOLD_SECONDS = float(os.environ.get("SWEEPER_TEST_TOLD_SECONDS", "2"))
ORPHAN_SECONDS = 12.0
GAPS = 3.0

RENDERED = toy.GRID.replace("[0.0, 0.6, 1.0]", "[0.6]").replace('["SEP", "SIM"]', '["SIM"]')


class Launch:
    """A launch behind a screen, with the executor `inline` in a forked process, or as typed."""

    def __init__(self, sweep: Sweep, pair: Pair) -> None:
        self.sweep, self.pair = sweep, pair
        self.screen = Screen(sweep.directory, pair.is_terminal)
        self.mark = f"SWEEPER_TEST_PAIR={sweep.directory}"
        name, _, value = self.mark.partition("=")
        sweep.environment[name] = value
        phase = PHASES[pair.phase]
        fault = f"hold@{phase.hold}" if phase.hold else ""
        if phase.executor == "forked":
            sweep.log = self.screen.path
            self._process: Any = sweep.start(fault)
            sweep.log = sweep.directory / "log"
        else:
            self._process = self._typed(phase.executor, fault)
        self.pid: int = self._process.pid

    def _typed(self, executor: str, fault: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sweeper.cli", "launch", "--grid", str(self.sweep.grid)]
        command += ["--preset", "smoke", "--db", self.sweep.db, "--device", "cpu", "--pack", "4"]
        command += ["--storage", str(self.sweep.storage), "--executor", executor]
        own = {"SWEEPER_CHECKPOINT_SECONDS": "0", "SWEEPER_FAULT": fault}
        own |= {"SWEEPER_FAULT_LOG": str(self.sweep.faults), **self.sweep.environment}
        wrapped = [sys.executable, "-c", TAKE_TERMINAL, str(self.screen.path), *command]
        return subprocess.Popen(wrapped, env={**os.environ, **own}, start_new_session=True)

    @property
    def exit_code(self) -> int | None:
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        code: int | None = self._process.exitcode
        return code

    def send(self, signum: int) -> bool:
        """Whether there was somebody to hear it. SIGINT is a key where there is a terminal."""
        if self.exit_code is not None:
            return False
        if signum == signal.SIGINT and self.screen.is_terminal:
            self.screen.press_ctrl_c()
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)
            return True
        return False

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        return until(lambda: self.exit_code is not None, seconds)

    def orphans(self) -> list[psutil.Process]:
        """Whatever it has started that lives."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                text = Path(f"/proc/{process.pid}/environ").read_bytes()
                if self.mark.encode() in text and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def end(self) -> None:
        """Leaves nothing behind, whatever the test has found."""
        with contextlib.suppress(ProcessLookupError):
            if self.exit_code is None:
                os.kill(self.pid, signal.SIGKILL)
        for process in self.orphans():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.screen.close()


# A session of its own, whose terminal is the screen, before the command takes this process over.
TAKE_TERMINAL = """
import os, sys
screen = os.open(sys.argv[1], os.O_WRONLY if "pipe" in sys.argv[1] else os.O_RDWR)
os.dup2(screen, 1), os.dup2(screen, 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


def until(what: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True)
class Phase:
    """A stage of a launch and how it is known from outside."""

    is_there: Callable[[Launch], object] = lambda launch: launch.sweep.faults.exists()
    hold: str = ""  # the failpoint that holds it there; then `is_there` needs no more
    executor: str = "forked"  # with `inline`; or typed, with `ray` or `inline`
    is_rendering: bool = False
    later: float = 0.0  # at most so many seconds after it is there


def catches_sigterm(launch: Launch) -> bool:
    status = Path(f"/proc/{launch.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)


def has_child(launch: Launch, *words: str) -> bool:
    for child in psutil.Process(launch.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(word in " ".join(child.cmdline()) for word in words):
                return True
    return False


PHASES = {
    "imports": Phase(catches_sigterm, executor="inline", later=1.2),  # it is over in two
    "registering": Phase(hold="register:before-commit"),
    "workers' start": Phase(lambda launch: has_child(launch, "spawn_main"), is_rendering=True),
    "rendering": Phase(lambda launch: "encoding clips" in launch.screen.text, is_rendering=True),
    "training": Phase(hold="epoch"),
    "probing": Phase(hold="probe"),
    "writing a checkpoint": Phase(hold="checkpoint:before-write"),
    "writing a result": Phase(hold="result:before-write"),
    "writing the database": Phase(hold="record:before-commit"),
    "Ray's start": Phase(lambda launch: has_child(launch, "gcs_server"), executor="ray", later=4.0),
    "training by Ray": Phase(hold="epoch", executor="ray"),
}
# Seven pairs have a bit of everything; of a hundred, fifteen are Ray's.
ORDER = [
    "rendering",
    "Ray's start",
    "training",
    "probing",
    "writing the database",
    "imports",
    "workers' start",
    *["training", "probing", "writing a checkpoint", "writing a result", "registering"],
    *["training by Ray", "rendering", "imports", "probing", "training"],
    *["writing a checkpoint", "writing the database", "writing a result"],
]


@dataclass(frozen=True)
class Pair:
    """What is sent, when."""

    number: int
    phase: str
    first: int
    second: int | None
    gap: float
    is_terminal: bool
    later: float

    def __str__(self) -> str:
        names = [signal.Signals(s).name for s in (self.first, self.second) if s is not None]
        where = "terminal" if self.is_terminal else "pipe"
        return f"{self.number}: {self.phase}, {f' {self.gap:.2f} s '.join(names)}, {where}"


def pairs(numbers: range, seed: int) -> Iterator[Pair]:
    for number in numbers:
        rng = random.Random(1_000 * seed + number)
        phase = ORDER[number % len(ORDER)]
        first, second = rng.choices([signal.SIGINT, signal.SIGTERM], k=2)
        gap = GAPS * rng.random() ** 2  # mostly short: a launch that stops is soon gone
        alone = rng.random() < 0.2
        later = rng.uniform(0, PHASES[phase].later)
        terminal = bool(number % 2)
        yield Pair(number, phase, first, None if alone else second, gap, terminal, later)


PAIRS = list(
    pairs(
        range(*map(int, os.environ.get("SWEEPER_TEST_SIGNAL_PAIRS", "0-7").split("-"))),
        int(os.environ.get("SWEEPER_TEST_SIGNAL_SEED", "0")),
    )
)


@pytest.fixture(scope="session")
def undisturbed_rendering(tmp_path_factory: pytest.TempPathFactory, processes: Any) -> pd.DataFrame:
    sweep = rendering(Sweep(tmp_path_factory.mktemp("rendered"), processes))
    assert sweep.launch() == 0, sweep.output
    return sweep.table()


def rendering(sweep: Sweep) -> Sweep:
    """Its latents are made by this sweep, from notes."""
    sweep.grid = toy.grid_file(sweep.directory, text=RENDERED)
    sweep.environment["SWEEPER_CACHE"] = str(sweep.directory / "cache")
    return sweep


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_launch_stopped_twice_ends_in_order_and_is_resumed(
    sweep: Sweep, assert_whole: Whole, request: pytest.FixtureRequest, pair: Pair
) -> None:
    phase = PHASES[pair.phase]
    launch = Launch(rendering(sweep) if phase.is_rendering else sweep, pair)
    try:
        told, ended = stop(launch, pair)
    finally:
        launch.end()
    stops.setdefault(pair.phase, []).append((told, ended))
    acknowledged = sweep.finished()
    go_on = "go on with: sweeper resume" in launch.screen.text
    code = sweep.sweeper("resume", "--db", sweep.db) if go_on else sweep.launch()
    assert code == 0, sweep.output
    table = request.getfixturevalue("undisturbed_rendering") if phase.is_rendering else None
    assert_whole(sweep, acknowledged, table=table)


def stop(launch: Launch, pair: Pair) -> tuple[float, float]:
    """Sends the pair; seconds until the first was answered, and from the last to the end."""
    screen = launch.screen
    assert until(lambda: PHASES[pair.phase].is_there(launch), 2 * PATIENCE), screen.text
    time.sleep(pair.later)
    sent = last = time.monotonic()
    assert launch.send(pair.first), screen.text
    second = pair.second
    if second is None or launch.wait(pair.gap) or not launch.send(second):
        second = None
    else:
        last = time.monotonic()
    assert launch.wait(END_SECONDS), f"hangs: {screen.text}"
    ended = time.monotonic() - last
    assert until(lambda: not launch.orphans(), ORPHAN_SECONDS), launch.orphans()
    screen.close()
    text = screen.text
    at_once = "stopped at once" in text
    assert not at_once or second
    # Of two that come together Python hears SIGINT first.
    codes = {128 + signum for signum in (pair.first, second) if signum}
    assert launch.exit_code in codes, text
    for noise in ("Traceback", "Exception ignored", "leaked"):
        assert noise not in text, text
    go_on = f"; go on with: sweeper resume toy-smoke --db {launch.sweep.db}"
    again = " before anything was trained; the same command goes on"
    assert text.rstrip().endswith((go_on, again)), text
    assert screen.raw.rfind("\x1b[?25h") >= screen.raw.rfind("\x1b[?25l")
    told = screen.shows("stopp", sent)
    assert told is not None
    assert told < TOLD_SECONDS, f"told after {told:.2f} s: {text}"
    return told, ended
