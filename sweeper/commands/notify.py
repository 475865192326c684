"""A user's own command at the end of a launch, with the outcome in its environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable

from rich.console import Console

from sweeper.console.words import printable
from sweeper.errors import SweeperError, redact
from sweeper.ledger import read
from sweeper.ledger.connect import open_reader
from sweeper.signals import StoppedError, caught, leave_at_once
from sweeper.states import State

PATIENCE = 30.0  # seconds

OUTCOMES = {0: "finished", 2: "failed", 3: "held", 4: "ray-died", 130: "interrupted"}
OUTCOMES[143] = OUTCOMES[130]


def notified(
    notify: str | None, db: str, name: str | None, console: Console, work: Callable[[], int]
) -> int:
    """Does the work and runs the command, whatever has come of it; returns the work's exit code.

    Raises SweeperError before anything is done for a command that is empty.
    """
    if notify is None:
        return work()
    if not notify.strip():
        raise SweeperError("--notify is empty; give a command, or leave it out")
    code = 1  # a defect's
    try:
        code = work()
    except (SweeperError, StoppedError) as error:
        code = error.exit_code
        raise
    finally:
        with caught(leave_at_once):
            if trouble := run(notify, environment(db, name, code)):
                line = f"--notify: {trouble}; the sweep is as it was"
                console.print(printable(line), markup=False)
    return code


def environment(db: str, name: str | None, code: int) -> dict[str, str]:
    """What the command is told: the sweep, how it ended, and how many of its cells are finished."""
    told = {"SWEEP": name or "", "OUTCOME": OUTCOMES.get(code, "error"), "EXIT_CODE": str(code)}
    told |= {"FINISHED": "", "TOTAL": "", "DB": redact(db)}
    with contextlib.suppress(SweeperError):  # bad input: there may be no sweep, and no database
        engine = open_reader(db)
        sweep = read.find_sweep(engine, name)
        states = read.results(engine, sweep.name)["state"]
        finished = int((states == State.FINISHED).sum())
        told |= {"SWEEP": sweep.name, "FINISHED": str(finished), "TOTAL": str(len(states))}
        engine.dispose()
    return {f"SWEEPER_{key}": value for key, value in told.items()}


def run(notify: str, told: dict[str, str]) -> str | None:
    """Runs the command by the shell; what went wrong with it, in a few words."""
    process = subprocess.Popen(
        notify,
        shell=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **told},
        start_new_session=True,  # so that what it has started ends with it
    )
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"the command was ended after {PATIENCE:g} s"
    return f"the command ended with exit code {code}" if code else None
