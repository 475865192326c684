"""This process, named so that another one on the same machine can tell whether it still lives."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process by host and number, and by what makes it unlike a later one of that number."""

    host: str
    pid: int
    identity: str  # machine (boot and PID namespace), a space, the process's start

    @classmethod
    def current(cls) -> Process:
        pid = os.getpid()
        return cls(platform.node(), pid, f"{_machine()} {_start(pid)}")

    @property
    def is_local(self) -> bool:
        """Whether this machine can see the process, if it lives."""
        machine = self.identity.split(" ")[0]
        return machine == _machine() and self.host == platform.node()

    @property
    def alive(self) -> bool:
        """Whether it lives; to be asked of a local process only."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it exists, and is another user's
        return _start(self.pid) == self.identity.split(" ")[1] and _status(self.pid) != "Z"

    @property
    def stopped(self) -> bool:
        """Whether a local process was stopped (SIGSTOP, Ctrl-Z) and so beats no heart."""
        return _status(self.pid) in ("T", "t")


def _machine() -> str:
    """This boot of this machine and this PID namespace; empty where there is no /proc."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Clock ticks from boot to the start of a process: no clock jump can change it."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _status(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat after the name, which may itself hold spaces and brackets."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
