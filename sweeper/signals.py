"""SIGINT and SIGTERM, which terminals, SLURM and Kubernetes send: who answers them, and when."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

Handler = Callable[[int, FrameType | None], None]

ENDLESS = "ray"  # name of the thread that may wait for ever, for a Ray that is dead
DEAF_SECONDS = 0.2  # without an answer: the main thread is not in Python

_answered = threading.Event()


def catch(handler: Handler) -> dict[int, Any]:
    """Gives both signals to `handler`, as only a main thread can; returns who had them before."""
    if threading.current_thread() is not threading.main_thread():
        return {}

    def answered(signum: int, frame: FrameType | None) -> None:
        _answered.set()
        handler(signum, frame)

    return {s: signal.signal(s, answered) for s in (signal.SIGINT, signal.SIGTERM)}


def keep() -> None:
    """Both signals are again whose they were in Python, though a library took them in C."""
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.getsignal(signum))


@contextmanager
def caught(handler: Handler) -> Iterator[None]:
    """Both signals are `handler`'s within, and whose they were after."""
    before = catch(handler)
    try:
        yield
    finally:
        for signum, handler_before in before.items():
            signal.signal(signum, handler_before)


@contextmanager
def unbroken() -> Iterator[None]:
    """What is done within is done whole: signals that come meanwhile are answered after it."""
    came: list[int] = []
    with caught(lambda signum, _frame: came.append(signum)):
        yield
    if came[1:]:
        leave_at_once(came[1])
    for signum in came:
        if callable(handler := signal.getsignal(signum)):
            handler(signum, None)


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
    """A signal, where there is no driver that could stop in order.

    No Exception, as KeyboardInterrupt is none: a library's `except Exception` must not eat it.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum


def answer(rest: str = "") -> None:
    """From now on the first signal raises StoppedError, and a second one ends this process.

    Whoever sends a second one will not wait for workers to put down what they hold. `rest` is what
    `last_words` add.
    """
    _say(rest)
    stopped = False

    def stop(signum: int, _frame: object) -> None:
        nonlocal stopped
        if stopped:
            leave_at_once(signum)
        stopped = True
        raise StoppedError(signum)

    if catch(stop):
        threading.Thread(target=_listen, args=(_signals(),), name="signals", daemon=True).start()


def _signals() -> int:
    """A pipe that every signal writes its number to as it comes."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    return ours


def _listen(pipe: int) -> None:
    """Answers for a main thread that hears nothing: Python runs handlers there alone, and not while
    it waits in C, for a locked database or a large product of matrices."""
    _next_of(pipe)
    if not _answered.wait(DEAF_SECONDS):
        os.write(2, b"stopping as soon as possible; a second signal stops at once\n")
    while select.select([pipe], [], [], 0)[0]:
        os.read(pipe, 64)  # what comes together is one
    signum = _next_of(pipe)
    time.sleep(DEAF_SECONDS)
    leave_at_once(signum)


def _next_of(pipe: int) -> int:
    while (signum := os.read(pipe, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
        pass
    return signum


def go_on_with(command: str) -> None:
    """From now on whoever is stopped is told this command."""
    _say(f"; go on with: {command}")


_rest = ""


def _say(rest: str) -> None:
    global _rest
    _rest = rest


def last_words(how: str = "stopped by a signal") -> str:
    """What a process says that a signal has stopped."""
    return how + _rest


def leave_at_once(signum: int, _frame: object = None) -> NoReturn:
    """Ends this process with nothing tidied but the terminal: what is missing can be resumed."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        os.write(1, b"\x1b[?25h\n")  # a live view has hidden the cursor
    os.write(2, f"{last_words('stopped at once')}\n".encode())
    _exit(128 + signum)


def _exit(code: int) -> NoReturn:
    """Ends this process here, and those that it has spawned: one that is still loading what it
    needs would miss this one, and say so at length."""
    process = sys.modules.get("multiprocessing.process")
    with contextlib.suppress(Exception):
        for child in process.active_children() if process else ():
            child.kill()
    os._exit(code)


def leave(code: str | int | None) -> NoReturn:
    """Ends this process as sys.exit does, but whatever else waits for a Ray that is dead.

    All is said: a signal that comes now changes no exit code. Python gives signals up long before
    the process is over, so that one which was stopped, and may be once more, ends here.
    """
    number = code if isinstance(code, int) else 0
    with contextlib.suppress(OSError):  # a reader that has gone
        sys.stdout.flush()
        sys.stderr.flush()
    waits = any(thread.name == ENDLESS for thread in threading.enumerate())
    if waits or _answered.is_set():
        _exit(number)
    catch(lambda *_: _exit(number))
    sys.exit(code)
