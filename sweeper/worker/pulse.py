"""A worker's word that its process lives, while its training has nothing to tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeper.events import Alive, FromWorker

Send = Callable[[FromWorker], None]


@contextmanager
def pulsing(send: Send, pack: str, seconds: float) -> Iterator[Send]:
    """A `send` for one thread; after `seconds` without a call another thread sends `Alive`.

    From a thread, and not from the loops of the training: a process that is stopped, frozen or
    swapped out is silent, and one that computes never is, however long a step takes it.
    """
    turn, over, last = threading.Lock(), threading.Event(), time.monotonic()

    def send_in_turn(event: FromWorker) -> None:
        nonlocal last
        with turn:
            send(event)
            last = time.monotonic()

    def beat() -> None:
        while not over.wait(max(0.0, last + seconds - time.monotonic())):
            if time.monotonic() - last >= seconds:
                send_in_turn(Alive(pack))

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield send_in_turn
    finally:
        over.set()
        thread.join()
