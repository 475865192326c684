"""The private directory of a driver, and the keeper that ends what lives in it with the driver.

The keeper is this file, run as a process of its own: it needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = re.compile(r"sweeper-ray-\d+-\w{8}")  # the number is the driver's process
LONGEST_BASE = 12  # characters: Ray's unix sockets below it may have paths of 107
END_SECONDS = 8.0  # for killed processes to vanish
RAY_NAMES = (b"gcs_server", b"raylet", b"ray::", b"python")  # of the processes of a session


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for this user only; at the end it is gone, with all processes of Ray in it.

    So it is when this process is killed, and at the latest when another one is made.
    """
    base = tempfile.gettempdir()
    base = base if len(base) <= LONGEST_BASE else "/tmp"
    remove_stale(Path(base))
    path, lock = _locked(base)
    command = [sys.executable, "-I", "-S", __file__, str(path), str(os.getpid())]
    keeper = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # closed when this process ends, in whatever way
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what is sent to the driver's group is not for the keeper
    )
    try:
        yield path
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(END_SECONDS + 2)
        end(path, os.getpid())  # nothing to do unless the keeper was killed
        os.close(lock)


def _locked(base: str) -> tuple[Path, int]:
    """A new directory and the lock on it, which dies with this process."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"sweeper-ray-{os.getpid()}-", dir=base))
        with contextlib.suppress(FileNotFoundError):  # taken for stale before it was locked
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)


def remove_stale(base: Path) -> None:
    """Ends the sessions of drivers that are gone together with their keepers."""
    for path in filter(lambda path: NAME.fullmatch(path.name), base.iterdir()):
        with contextlib.suppress(OSError):  # somebody else's, or gone by now
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails: its driver lives
                    end(path, os.getpid())
            finally:
                os.close(lock)


def end(path: Path, driver: int) -> None:
    """Kills the processes of Ray that live in a directory, but not its driver, and removes it."""
    deadline = time.monotonic() + END_SECONDS
    while (alive := processes_of(path, driver)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(path, ignore_errors=True)


def processes_of(path: Path, driver: int) -> list[int]:
    """Ray's processes in the directory: by their arguments or, where titled, by their files."""
    if not os.path.isdir("/proc/self/fd"):
        return []  # not Linux: Ray ends what it started
    others = {entry for entry in os.listdir("/proc") if entry.isdigit()}
    others -= {str(driver), str(os.getpid())}
    return [int(pid) for pid in others if _lives_in(f"{path}/".encode(), f"/proc/{pid}")]


def _lives_in(inside: bytes, process: str) -> bool:
    try:
        if not Path(process, "comm").read_bytes().startswith(RAY_NAMES):
            return False
        if inside in Path(process, "cmdline").read_bytes():
            return True
        files = os.listdir(f"{process}/fd")
    except OSError:  # it has ended, or is another user's
        return False
    return any(_link(f"{process}/fd/{file}").startswith(inside) for file in files)


def _link(file: str) -> bytes:
    with contextlib.suppress(OSError):
        return os.readlink(file).encode(errors="surrogateescape")
    return b""


if __name__ == "__main__":
    sys.stdin.read()  # until the driver has ended
    end(Path(sys.argv[1]), int(sys.argv[2]))
