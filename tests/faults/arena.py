"""Where a nemesis meets a sweep: its disks, its database, its launches, one after another."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sweeper.storage.files import cache_root
from tests.faults import toy
from tests.faults.history import History
from tests.faults.server import Server
from tests.faults.witness import Witness

PATIENCE = 60.0  # s; longer is a hang, and ends with a kill
FROZEN_SECONDS = 15.0  # after which a driver kills a worker that says nothing
DISK = "64m"
MAY_MOUNT = os.geteuid() == 0
OPTIONS = ("--preset", "smoke", "--device", "cpu")


class Arena:
    """One sweep, and the drivers that come and go. A context; `out` keeps log and history."""

    server: Server
    witness: Witness

    def __init__(self, database: str, out: Path, cells: int, epochs: int) -> None:
        self.database = database
        self.directory = out / "disks"
        self.cells = cells  # seeds of every cell: more when a sweep is done before its nemesis
        self.alive: dict[int, subprocess.Popen[bytes]] = {}  # launches, by number
        self._log = out / "log"
        self.launches = 0
        self._stack = ExitStack()
        self.history = self._stack.enter_context(History(out / "history.jsonl"))
        for disk in ("database", "storage"):
            (self.directory / disk).mkdir(parents=True, exist_ok=True)
        self.grid = toy.grid_file(out, epochs)

    def __enter__(self) -> Arena:
        for disk in ("database", "storage") if MAY_MOUNT else ():
            place = str(self.directory / disk)
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", place], check=True
            )
            self._stack.callback(subprocess.run, ["umount", "--lazy", place], check=True)
        if self.database == "postgresql":
            self.server = self._stack.enter_context(Server())
            self.db = self.server.new_database()
        else:
            self.db = str(self.directory / "database" / "results.db")
        self._stack.callback(self._end_all)
        self.witness = Witness(self.db, self.directory / "storage", self.history, self.drivers)
        self._stack.enter_context(self.witness)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def _end_all(self) -> None:
        for process in self.alive.values():
            process.kill()
            process.wait()

    @property
    def is_planned(self) -> bool:
        """Whether a launch has come as far as to make a database and write its plan."""
        return bool(self.witness.planned)

    def drivers(self) -> list[int]:
        return [process.pid for process in list(self.alive.values())]

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        """The launch that lives, or of several the latest."""
        return self.alive[max(self.alive)]

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Any command of sweeper's, as a user types it."""
        own = {
            "SWEEPER_CHECKPOINT_SECONDS": "0.5",
            "SWEEPER_SILENCE_SECONDS": str(FROZEN_SECONDS),
        }
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sweeper.cli", *arguments],
                env={**os.environ, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def launch(self) -> None:
        """One more driver of the sweep."""
        self.launches += 1
        storage = str(self.directory / "storage")
        command = ["launch", "--grid", str(self.grid), *OPTIONS, "--seeds", str(self.cells)]
        command += ["--pack", "2", "--db", self.db, "--storage", storage]
        self.history.add("launch", "invoke", launch=self.launches)
        self.alive[self.launches] = self.run(*command)

    def reap(self) -> int | None:
        """The exit code of a launch that has ended, once it has; None while all live."""
        for number, process in self.alive.items():
            if process.poll() is not None:
                self._note_end(number)
                return process.returncode
        return None

    def await_end(self, unless: Callable[[], bool] = lambda: False) -> int | None:
        """Until a launch ends: its exit code. One that is still for too long is killed."""
        begun = time.monotonic()
        while (code := self.reap()) is None and not unless():
            if time.monotonic() - max(begun, self.witness.moved) > PATIENCE:
                os.killpg(self.driver.pid, signal.SIGKILL)
                self.driver.wait()
                return self._note_end(max(self.alive), hung=True)
            time.sleep(0.05)
        return code

    def _note_end(self, number: int, **details: Any) -> int:
        """What it has stored counts before its end does."""
        self.witness.scan()
        code = self.alive.pop(number).returncode
        outcome = "unknown" if code in (-signal.SIGKILL, -signal.SIGTERM) else "ok"
        self.history.add("launch", outcome, launch=number, code=code, **details)
        return code

    def files(self, folder: str) -> list[Path]:
        """Checkpoints or results of the sweep's ledger, which was the first in the storage."""
        ledgers = (self.directory / "storage" / "ledgers").glob("*")
        first = sorted(ledgers, key=lambda path: path.stat().st_ctime)[:1]
        found = (file for place in first for file in (place / folder).glob("*"))
        return sorted(file for file in found if file.suffix != ".partial")

    def litter(self) -> list[str]:
        """What a sweep that is done should not leave: logs, spools, checkpoints, broken pages."""
        left = [*(self.directory / "database").glob("results.db?*"), *self.files("checkpoints")]
        left += cache_root().glob("spool/*")
        broken = []
        if self.database == "sqlite":
            with self.writing() as connection:
                broken = connection.execute("PRAGMA integrity_check").fetchall()
        return [path.name for path in left] + [text for (text,) in broken if text != "ok"]

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Another program's connection to the database, on which statements may be executed."""
        if self.database == "postgresql":
            import psycopg

            with psycopg.connect(self.db.replace("+psycopg", "")) as connection:
                yield connection
            return
        connection = sqlite3.connect(self.db, timeout=30, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
