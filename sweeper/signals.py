"""SIGINT and SIGTERM, which terminals, SLURM and Kubernetes send: who answers them, and when."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]


def catch(handler: Handler) -> dict[int, Any]:
    """Gives both signals to `handler`, as only a main thread can; returns who had them before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}


@contextmanager
def caught(handler: Handler) -> Iterator[None]:
    """Both signals are `handler`'s within, and whose they were after."""
    before = catch(handler)
    try:
        yield
    finally:
        for signum, handler_before in before.items():
            signal.signal(signum, handler_before)


@dataclass
class Interrupt:
    """The signal that asks the sweep to stop, once there was one."""

    signum: int | None = None
    _event: threading.Event = field(default_factory=threading.Event)

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None:
            os._exit(128 + signum)  # a second signal stops at once
        self.signum = signum
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catches SIGINT and SIGTERM for the time of a sweep.

    Ray takes SIGTERM for itself when it starts, and would abort: `catch` again after that.
    """
    interrupt = Interrupt()
    with caught(interrupt):
        yield interrupt


class StoppedError(Exception):
    """A signal, while latents were made: before there is a driver that could stop in order."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """Turns SIGINT and SIGTERM into StoppedError, so that the line to resume is printed."""

    def stop(signum: int, _frame: object) -> None:
        raise StoppedError(signum)

    with caught(stop):
        yield
