"""Worker processes, each on its own core, that wait for orders and take no time while waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Self, TypeVar

import torch

Answer = TypeVar("Answer")


class Workers:
    """Processes that do the same thing at the same time. An order is a function of a module."""

    def __init__(self, cores: Sequence[int | None], threads: int | None) -> None:
        """A process for each entry: a core to be pinned to, or None to roam."""
        spawn = multiprocessing.get_context("spawn")
        self._pools = [ProcessPoolExecutor(1, spawn, _settle, (core, threads)) for core in cores]

    def __len__(self) -> int:
        return len(self._pools)

    def each(self, order: Callable[..., Answer], *arguments: Any) -> list[Answer]:
        """What every worker answers to the same order."""
        return self.deal(order, [arguments] * len(self))

    def deal(
        self, order: Callable[..., Answer], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Answer]:
        """What the first workers answer, each with arguments of its own, all at once."""
        shares = zip(self._pools, arguments, strict=False)
        answers = [pool.submit(order, *share) for pool, share in shares]
        return [answer.result() for answer in answers]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for pool in self._pools:
            pool.shutdown()


def _settle(core: int | None, threads: int | None) -> None:
    """A worker's first order."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a traceback
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    if threads is not None:
        torch.set_num_threads(threads)


def seconds_of(work: Callable[[], object]) -> float:
    """Until the device, too, has done the work."""
    started = time.perf_counter()
    work()
    finish()
    return time.perf_counter() - started


def finish() -> None:
    """Waits for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
