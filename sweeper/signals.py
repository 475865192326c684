"""SIGINT and SIGTERM, which terminals, SLURM and Kubernetes send: who answers them, and when."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
