"""A PostgreSQL server that may be killed, and comes back with its data."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from tests.sweeper.ledger.conftest import OWNER, binaries, new_database

START_SECONDS = 30.0


class Server:
    """Its socket is the directory `root`; it listens nowhere else. Ends with the context."""

    def __init__(self) -> None:
        found = binaries()
        assert found, "PostgreSQL is not installed: apt-get install postgresql"
        self._binaries = found

    def __enter__(self) -> Server:
        self.root = Path(tempfile.mkdtemp(prefix="sweeper-postgres-", dir="/tmp"))
        if OWNER:
            shutil.chown(self.root, OWNER)
        self._run("initdb", "-U", "sweeper", "-A", "trust")
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(self.root)

    def new_database(self) -> str:
        return new_database(str(self.root))

    def start(self) -> None:
        """Returns when it answers; what a killed one has left may have to end first."""
        options = f"-k {self.root} -c listen_addresses='' -c shared_buffers=16MB"
        deadline = time.monotonic() + START_SECONDS
        while not self._run("pg_ctl", "-w", "-l", f"{self.root}/log", "-o", options, "start"):
            assert time.monotonic() < deadline, (self.root / "log").read_text()
            time.sleep(0.3)

    def processes(self) -> list[int]:
        """The postmaster, and all that it has begotten."""
        pid = int((self.root / "data" / "postmaster.pid").read_text().split()[0])
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]

    def _run(self, program: str, *arguments: str) -> bool:
        command = [self._binaries / program, "-D", self.root / "data", *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.root}
        return subprocess.run(command, user=OWNER, **quiet).returncode == 0  # type: ignore[call-overload]
