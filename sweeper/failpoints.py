"""Faults on demand, for the tests: SWEEPER_FAULT=ACTION@POINT[#N] strikes at a named point.

ACTION is `kill` (SIGKILL to this process), `stop` (SIGSTOP), `hold` (stay there for a while, for
somebody who waits for this moment), `raise`, or `oom` (raise as if memory had run out).
It strikes at the N-th passage of the process through POINT, once in all; with a trailing `*`
every time from then on. POINT may end in a prefix of what is passed there (`epoch=3fa9`).
SWEEPER_FAULT_LOG names the file in which every strike is noted: the proof that it happened.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

HOLD_SECONDS = 0.6

_passages: Counter[str] = Counter()


def failpoint(name: str, *subjects: str) -> None:
    """A named point. Without SWEEPER_FAULT it does nothing."""
    if plan := os.environ.get("SWEEPER_FAULT"):
        _pass(plan, name, subjects)


def _pass(plan: str, name: str, subjects: tuple[str, ...]) -> None:
    action, _, where = plan.rstrip("*").partition("@")
    where, _, nth = where.partition("#")
    wanted, _, prefix = where.partition("=")
    if name != wanted or not any(s.startswith(prefix) for s in subjects or ("",)):
        return
    _passages[plan] += 1
    if _passages[plan] >= int(nth or 1) and _note(plan, name):
        _strike(action, name)


def _note(plan: str, name: str) -> bool:
    """Notes a strike; False when there was one already and one is enough."""
    log = os.environ["SWEEPER_FAULT_LOG"]
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
    try:
        handle = os.open(log, flags if plan.endswith("*") else flags | os.O_EXCL)
    except FileExistsError:
        return False
    os.write(handle, f"{name}\n".encode())
    os.fsync(handle)
    os.close(handle)
    return True


def _strike(action: str, name: str) -> None:
    if action == "hold":
        return time.sleep(HOLD_SECONDS)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    raise (MemoryError if action == "oom" else RuntimeError)(f"injected at {name}")
