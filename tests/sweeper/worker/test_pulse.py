"""A worker that has nothing to tell says that it lives, and one that tells says nothing else."""

from __future__ import annotations

import threading
import time

from sweeper.events import Alive, FromWorker, Progress
from sweeper.worker.pulse import pulsing

PROGRESS = Progress("p", "epoch", 1, 2, 0.5)


def test_a_worker_that_computes_says_that_it_lives() -> None:
    heard, lives = list[FromWorker](), threading.Event()

    def send(event: FromWorker) -> None:
        heard.append(event)
        if len(heard) == 3:
            lives.set()

    with pulsing(send, "p", 0.01) as tell:
        tell(PROGRESS)
        assert lives.wait(20)
    assert heard.count(PROGRESS) == 1
    assert all(event in (PROGRESS, Alive("p")) for event in heard)
    told = len(heard)
    time.sleep(0.05)
    assert len(heard) == told


def test_what_a_worker_tells_is_never_told_by_two_threads_at_once() -> None:
    busy, clashes = threading.Lock(), []

    def send(event: FromWorker) -> None:
        clashes.extend([] if busy.acquire(blocking=False) else [event])
        time.sleep(0.002)
        busy.release()

    with pulsing(send, "p", 0.0001) as tell:
        for _ in range(50):
            tell(PROGRESS)
    assert clashes == []
