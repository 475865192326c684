"""SIGINT and SIGTERM, which terminals, SLURM and Kubernetes send: who answers them, and when."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

Handler = Callable[[int, FrameType | None], None]

ENDLESS = "ray"  # name of the thread that may wait for ever, for a Ray that is dead


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

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None:
            leave_at_once(signum)
        self.signum = signum

    def __bool__(self) -> bool:
        return self.signum is not None


@contextmanager
def told_at_once(interrupt: Interrupt, tell: Callable[[int], None]) -> Iterator[None]:
    """Calls `tell` with the signal within a tenth of a second, from a thread of its own.

    Whoever waits for packs to save themselves asks too rarely, and a handler must not print.
    """
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.1):
            if interrupt.signum is not None:
                return tell(interrupt.signum)

    thread = threading.Thread(target=wait, name="interrupt", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catches SIGINT and SIGTERM for the time of a sweep.

    Ray takes SIGTERM for itself when it starts, and would abort: `catch` again after that.
    """
    interrupt = Interrupt()
    with caught(interrupt):
        yield interrupt


class StoppedError(BaseException):
    """A signal, while latents were made: before there is a driver that could stop in order.

    No Exception, as KeyboardInterrupt is none: a library's `except Exception` must not eat it.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """Turns SIGINT and SIGTERM into StoppedError, so that the line to resume is printed.

    Whoever sends a second signal will not wait for workers to put down what they hold.
    """
    stopped = False

    def stop(signum: int, _frame: object) -> None:
        nonlocal stopped
        if stopped:
            leave_at_once(signum)
        stopped = True
        raise StoppedError(signum)

    with caught(stop):
        yield


def leave_at_once(signum: int) -> NoReturn:
    """Ends this process with nothing tidied but the terminal: what is missing can be resumed."""
    if sys.stdout.isatty():
        os.write(1, b"\x1b[?25h\n")  # a live view has hidden the cursor
    os.write(2, b"stopped at once; go on with: sweeper resume\n")
    os._exit(128 + signum)


def leave(code: str | int | None) -> NoReturn:
    """Ends this process as sys.exit does, but whatever else waits for a Ray that is dead."""
    if any(thread.name == ENDLESS for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)
    sys.exit(code)
